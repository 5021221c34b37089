"""Hooks behind HTTPS: a POST that is signed, tried again a little, and never redirected. IAM: none.

docs/hooks.md says how to verify the signature.
"""

import hashlib
import hmac
from collections.abc import Callable, Collection
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from controller.adapters.hooks.answer import consent_of, printable_line
from controller.adapters.http.request import HttpsError, NotSentError, post
from controller.core.hook_call import HookCall
from controller.core.observation import Consent, HookAnswer
from controller.core.policy import HttpsHook, SecretReference
from controller.errors import DeliveryError
from controller.ports.clock import Clock
from controller.process.settings import Egress

if TYPE_CHECKING:
    from controller.adapters.http.response import Answer

# Of one call, within its time; each has the same delivery and a signature of its own.
TRIES: Final = 3
PAUSE: Final = timedelta(milliseconds=500)

DELIVERY: Final = "X-Rolloutctl-Delivery"
TIMESTAMP: Final = "X-Rolloutctl-Timestamp"
SIGNATURE: Final = "X-Rolloutctl-Signature"


def signature(key: str, timestamp: str, body: bytes) -> str:
    """Return the value of the header: HMAC-SHA256 over `timestamp.body`, in hexadecimal."""
    signed = hmac.new(key.encode(), timestamp.encode() + b"." + body, hashlib.sha256)
    return f"v1={signed.hexdigest()}"


class HttpsHooks:
    """Calls hosts, as `egress` allows. read_secret: gives the key of a signature."""

    def __init__(
        self, read_secret: Callable[[SecretReference], str], clock: Clock, egress: Egress
    ) -> None:
        self._read_secret, self._clock, self._egress = read_secret, clock, egress

    def ask(
        self, hook: HttpsHook, call: HookCall, *, within: timedelta, private: Collection[str]
    ) -> HookAnswer:
        """Return what `hook` says to `call`. Never raises."""
        try:
            answer = self._call(hook, call, within, private, whole=True)
        except (HttpsError, DeliveryError) as error:
            return HookAnswer(Consent.FAILED, printable_line(str(error)))
        if _is_success(answer):
            return _consent_of(hook, answer)
        moved = "; redirects are not followed" if 300 <= answer.status < 400 else ""
        refused = answer.status in (401, 403, 409, 412, 423)
        verdict = Consent.REFUSED if refused else Consent.FAILED
        return HookAnswer(verdict, f"the answer was {answer.status}{moved}")

    def tell(
        self, hook: HttpsHook, call: HookCall, *, within: timedelta, private: Collection[str]
    ) -> None:
        """Tell `hook` what happened. Raises DeliveryError."""
        try:
            answer = self._call(hook, call, within, private, whole=False)
        except HttpsError as error:
            raise DeliveryError(f"{hook.display_name} was not reached: {error}") from error
        if not _is_success(
            answer
        ):  # what stands in the body is of no interest, nor whether it is whole
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
    ) -> "Answer":
        """Return the answer, after more tries while there is time and the answer may pass.

        whole: a good answer that broke off is tried again, too.
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
                passing = _is_retryable(answer) or (whole and _is_success(answer) and answer.flaw)
                if not passing or not left_tries or deadline - self._clock.now() <= 2 * PAUSE:
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
    ) -> "Answer":
        timestamp = _unix_text(self._clock.now())
        headers = {
            "Content-Type": "application/json",
            DELIVERY: call.delivery,
            TIMESTAMP: timestamp,
            SIGNATURE: signature(key, timestamp, body),
        }
        seconds = left.total_seconds()
        return post(hook.url, body, headers, within_s=seconds, private=private, egress=self._egress)


def _unix_text(moment: datetime) -> str:
    return str(int(moment.timestamp()))


def _is_success(answer: "Answer") -> bool:
    return 200 <= answer.status < 300


def _is_retryable(answer: "Answer") -> bool:
    return answer.status == 429 or answer.status >= 500


def _consent_of(hook: HttpsHook, answer: "Answer") -> HookAnswer:
    """Return what a good answer says. Of a host, nothing at all is consent: `204 No Content`."""
    if answer.flaw:
        return HookAnswer(Consent.FAILED, f"{hook.host} {answer.flaw}")
    return consent_of(answer.body) if answer.body else HookAnswer(Consent.GIVEN)
