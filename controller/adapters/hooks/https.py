"""HTTPS hooks: a signed POST with a few retries, which follows no redirect. IAM: none.

docs/hooks.md says how to verify the signature.
"""

import hashlib
import hmac
from collections.abc import Callable, Collection
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from controller.adapters.hooks.answer import consent_of, printable_line
from controller.adapters.http.request import HttpsError, NotSentError, post
from controller.core.observation import Consent, HookAnswer
from controller.core.policy import HttpsHook, SecretReference
from controller.errors import DeliveryError
from controller.ports.account import Account, Egress
from controller.ports.clock import Clock
from controller.ports.notify import HookCall

if TYPE_CHECKING:
    from controller.adapters.http.response import HttpAnswer

# Attempts of one call within its time limit: the same delivery id, each with its own signature.
TRIES: Final = 3
PAUSE: Final = timedelta(milliseconds=500)

DELIVERY: Final = "X-Rolloutctl-Delivery"
TIMESTAMP: Final = "X-Rolloutctl-Timestamp"
SIGNATURE: Final = "X-Rolloutctl-Signature"


def signature(key: str, timestamp: str, body: bytes) -> str:
    """Return the value of the header: HMAC-SHA256 over `timestamp.body`, in hexadecimal."""
    signed = hmac.new(key.encode(), timestamp.encode() + b"." + body, hashlib.sha256)
    return f"v1={signed.hexdigest()}"


def open_caller(account: Account) -> "HttpsHooks":
    """Return the caller of hosts for `account`, which has the keys of their signatures."""
    return HttpsHooks(account.read_secret, account.clock, account.egress)


class HttpsHooks:
    """`HookCaller` of HTTPS hooks, within `egress`.

    read_secret: returns the signing key of a hook.
    """

    def __init__(
        self, read_secret: Callable[[SecretReference], str], clock: Clock, egress: Egress
    ) -> None:
        self._read_secret, self._clock, self._egress = read_secret, clock, egress

    def ask(
        self, hook: HttpsHook, call: HookCall, *, within: timedelta, private: Collection[str]
    ) -> HookAnswer:
        try:
            answer = self._call(hook, call, within, private, whole=True)
        except (HttpsError, DeliveryError) as error:
            return HookAnswer(Consent.FAILED, printable_line(str(error)))
        if _is_success(answer):
            if answer.flaw:
                return HookAnswer(Consent.FAILED, f"{hook.host} {answer.flaw}")
            # Without a body it is consent: 204 No Content.
            return consent_of(answer.body) if answer.body else HookAnswer(Consent.GIVEN)
        redirect = "; redirects are not followed" if 300 <= answer.status < 400 else ""
        refused = answer.status in (401, 403, 409, 412, 423)
        consent = Consent.REFUSED if refused else Consent.FAILED
        return HookAnswer(consent, f"the answer was {answer.status}{redirect}")

    def tell(
        self, hook: HttpsHook, call: HookCall, *, within: timedelta, private: Collection[str]
    ) -> None:
        try:
            answer = self._call(hook, call, within, private, whole=False)
        except HttpsError as error:
            raise DeliveryError(f"{hook.display_name} was not reached: {error}") from error
        # The body does not matter here, nor whether it is complete.
        if not _is_success(answer):
            raise DeliveryError(
                f"{hook.display_name} did not take it: the answer was {answer.status}"
            )

    def _call(
        self,
        hook: HttpsHook,
        call: HookCall,
        within: timedelta,
        private: Collection[str],
        *,
        whole: bool,
    ) -> "HttpAnswer":
        """Return the answer, after retries while there is time and the failure is transient.

        whole: whether a successful answer that broke off is retried, too.
        """
        deadline = self._clock.now() + within
        key = self._read_secret(hook.secret)
        body = call.body.encode()
        for left_tries in reversed(range(TRIES)):
            left = deadline - self._clock.now()
            if left <= timedelta():
                break
            try:
                answer = self._attempt(hook, call, key, body, left, private)
            except NotSentError:
                raise
            except HttpsError:
                if not left_tries or deadline - self._clock.now() <= 2 * PAUSE:
                    raise
            else:
                broke_off = whole and _is_success(answer) and answer.flaw
                retryable = answer.status == 429 or answer.status >= 500 or broke_off
                if not retryable or not left_tries or deadline - self._clock.now() <= 2 * PAUSE:
                    return answer
            self._clock.sleep(PAUSE)
        raise HttpsError("no time was left")

    def _attempt(
        self,
        hook: HttpsHook,
        call: HookCall,
        key: str,
        body: bytes,
        left: timedelta,
        private: Collection[str],
    ) -> "HttpAnswer":
        timestamp = str(int(self._clock.now().timestamp()))
        headers = {
            "Content-Type": "application/json",
            DELIVERY: call.delivery,
            TIMESTAMP: timestamp,
            SIGNATURE: signature(key, timestamp, body),
        }
        seconds = left.total_seconds()
        return post(hook.url, body, headers, within_s=seconds, private=private, egress=self._egress)


def _is_success(answer: "HttpAnswer") -> bool:
    return 200 <= answer.status < 300
