"""Hooks behind HTTPS: a POST that is signed, tried again a little, and never redirected. IAM: none.

docs/hooks.md says how to verify the signature.
"""

import hashlib
import hmac
import json
from codecs import BOM_UTF8
from collections.abc import Callable, Collection
from datetime import datetime, timedelta
from typing import Any, Final

from controller.adapters.https import Answer, HttpsError, post
from controller.core.hook_call import HookCall
from controller.core.observation import Consent, HookAnswer
from controller.core.policy import HttpsHook, Kept
from controller.errors import DeliveryError
from controller.ports import Clock
from controller.text import printable

# Of one call, within its time; each has the same delivery and a signature of its own.
TRIES: Final = 3
PAUSE: Final = timedelta(milliseconds=500)

DELIVERY: Final = "X-Rolloutctl-Delivery"
TIMESTAMP: Final = "X-Rolloutctl-Timestamp"
SIGNATURE: Final = "X-Rolloutctl-Signature"

MOST_SAID: Final = 400


def signature(key: str, timestamp: str, body: bytes) -> str:
    """Return the value of the header: HMAC-SHA256 over `timestamp.body`, in hexadecimal."""
    signed = hmac.new(key.encode(), timestamp.encode() + b"." + body, hashlib.sha256)
    return f"v1={signed.hexdigest()}"


class HttpsHooks:
    """Calls hosts. read_secret: gives the key of a signature that is kept somewhere."""

    def __init__(self, read_secret: Callable[[Kept], str], clock: Clock) -> None:
        self._read_secret, self._clock = read_secret, clock

    def ask(
        self, hook: HttpsHook, call: HookCall, *, within: timedelta, private: Collection[str]
    ) -> HookAnswer:
        """Return what `hook` says to `call`. Never raises."""
        try:
            answer = self._called(hook, call, within, private)
        except (HttpsError, DeliveryError) as error:
            return HookAnswer(Consent.FAILED, clean(str(error)))
        if 200 <= answer.status < 300:
            return consent(answer.body)
        moved = "; redirects are not followed" if 300 <= answer.status < 400 else ""
        refused = answer.status in (401, 403, 409, 412, 423)
        verdict = Consent.REFUSED if refused else Consent.FAILED
        return HookAnswer(verdict, f"the answer was {answer.status}{moved}")

    def tell(
        self, hook: HttpsHook, call: HookCall, *, within: timedelta, private: Collection[str]
    ) -> None:
        """Tell `hook` what happened. Raises DeliveryError."""
        try:
            answer = self._called(hook, call, within, private)
        except HttpsError as error:
            raise DeliveryError(f"{hook.shown} was not reached: {error}") from error
        if not 200 <= answer.status < 300:
            raise DeliveryError(f"{hook.shown} did not take it: the answer was {answer.status}")

    def _called(
        self, hook: HttpsHook, call: HookCall, within: timedelta, private: Collection[str]
    ) -> Answer:
        """Return the answer, after more tries while there is time and the answer may pass."""
        deadline = self._clock.now() + within
        key = self._read_secret(hook.secret)
        body = call.body.encode()
        for left_tries in reversed(range(TRIES)):
            left = deadline - self._clock.now()
            if left <= timedelta():
                break
            try:
                answer = self._once(hook, call, key, body, left, private)
            except HttpsError:
                if not left_tries or deadline - self._clock.now() <= 2 * PAUSE:
                    raise
            else:
                passing = answer.status == 429 or answer.status >= 500
                if not passing or not left_tries or deadline - self._clock.now() <= 2 * PAUSE:
                    return answer
            self._clock.sleep(PAUSE)
        raise HttpsError("no time was left")

    def _once(
        self,
        hook: HttpsHook,
        call: HookCall,
        key: str,
        body: bytes,
        left: timedelta,
        private: Collection[str],
    ) -> Answer:
        timestamp = _unix(self._clock.now())
        headers = {
            "Content-Type": "application/json",
            DELIVERY: call.delivery,
            TIMESTAMP: timestamp,
            SIGNATURE: signature(key, timestamp, body),
        }
        return post(hook.url, body, headers, within_s=left.total_seconds(), private=private)


def _unix(moment: datetime) -> str:
    return str(int(moment.timestamp()))


def consent(answer: bytes) -> HookAnswer:
    """Return what a good answer says: consent, unless it is JSON with `"allow": false`.

    What begins as an object and cannot be read may say so: that is no answer.
    """
    try:
        data: Any = json.loads(answer or b"null")
    except (ValueError, RecursionError):
        if not answer.removeprefix(BOM_UTF8).lstrip().startswith(b"{"):
            return HookAnswer(Consent.GIVEN)
        return HookAnswer(Consent.FAILED, "it answered in JSON that could not be read to its end")
    if not isinstance(data, dict) or data.get("allow", True) is not False:
        return HookAnswer(Consent.GIVEN)
    reason = data.get("reason")
    return HookAnswer(Consent.REFUSED, clean(str(reason)) if reason else "it gave no reason")


def clean(text: str) -> str:
    """Return `text` in one line that no terminal takes for a command, and not too long."""
    return " ".join(printable(text).split())[:MOST_SAID]
