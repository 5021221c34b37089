"""Hooks that are asked for consent: an HTTPS endpoint, or a Lambda function.

An HTTPS hook gets a signed POST with a few retries, which follows no redirect: docs/hooks.md says
how to verify the signature. A function is invoked with the call, under the role of this process.
When a hook is asked, and what its silence means, is in `engine/hooks.py`.

IAM: lambda:InvokeFunction on the functions that a policy names as hooks.
"""

import hashlib
import hmac
import json
from collections.abc import Callable, Collection, Iterator
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from controller.adapters.aws.clients import AWS_ERRORS, error_text
from controller.adapters.http import HttpsError, NotSentError, post
from controller.adapters.iam import HOOK, TRAFFIC_JOBS, Permission
from controller.core.observation import Consent, HookAnswer
from controller.core.policy import HttpsHook, LambdaHook, SecretReference
from controller.errors import DeliveryError, UsageError
from controller.ports.account import Account, Egress
from controller.ports.clock import Clock
from controller.ports.notify import HookCall
from controller.safe_text import printable

if TYPE_CHECKING:
    from controller.adapters.http.response import HttpAnswer


IAM: Final = (Permission("lambda:InvokeFunction", HOOK, TRAFFIC_JOBS),)

# --- HTTPS ----------------------------------------------------------------------------------------

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


def open_https_caller(account: Account) -> "HttpsHooks":
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


# --- Lambda ---------------------------------------------------------------------------------------

MOST_ANSWER: Final = 16_384


def open_lambda_caller(account: Account) -> "LambdaHooks":
    """Return the caller of the functions of `account`."""
    return LambdaHooks(partial(account.single_try, "lambda"))


class LambdaHooks:
    """`HookCaller` of Lambda hooks, which have no private hosts.

    open_client: returns a client that waits so many seconds.
    """

    def __init__(self, open_client: Callable[[float], Any]) -> None:
        self._open_client = open_client

    def ask(
        self, hook: LambdaHook, call: HookCall, *, within: timedelta, private: Collection[str] = ()
    ) -> HookAnswer:
        try:
            answer = self._invoke(hook, call, within, "RequestResponse")
            if answer.get("FunctionError"):  # its payload may hold anything
                return HookAnswer(Consent.FAILED, "it ended in an error; see its log")
            body = _payload(answer)
        except DeliveryError as error:
            return HookAnswer(Consent.FAILED, printable_line(str(error)))
        except AWS_ERRORS as error:
            return HookAnswer(
                Consent.FAILED, printable_line(error_text(f"{hook.display_name} broke off", error))
            )
        if len(body) > MOST_ANSWER:
            return HookAnswer(
                Consent.FAILED, f"its answer is longer than {MOST_ANSWER // 1024} KiB"
            )
        return consent_of(body)

    def tell(
        self, hook: LambdaHook, call: HookCall, *, within: timedelta, private: Collection[str] = ()
    ) -> None:
        """Queue `call` at Lambda, which retries on its own. Raises DeliveryError."""
        self._invoke(hook, call, within, "Event")

    def _invoke(self, hook: LambdaHook, call: HookCall, within: timedelta, invocation: str) -> Any:
        try:
            answer = self._open_client(within.total_seconds()).invoke(
                FunctionName=hook.function, InvocationType=invocation, Payload=call.body.encode()
            )
        except UsageError as error:
            raise DeliveryError(str(error)) from error
        except AWS_ERRORS as error:
            what = f"{hook.display_name} was not invoked (lambda:InvokeFunction)"
            raise DeliveryError(error_text(what, error)) from error
        return answer


def _payload(answer: Any) -> bytes:
    """Return the payload of the function, at most MOST_ANSWER + 1 bytes of it.

    One read may end before the payload does. botocore compares the length with the announced one
    in the last read, which returns nothing.
    """
    body = b""
    while "Payload" in answer and len(body) <= MOST_ANSWER:
        part: bytes = answer["Payload"].read(MOST_ANSWER + 1 - len(body))
        if not part:
            break
        body += part
    return body


# --- The answer -----------------------------------------------------------------------------------

# Only `{"allow": true}` is consent: the page of a load balancer, the default answer of a framework
# or half an answer must not raise a weight.

_MOST_REASON: Final = 400
# Python versions differ in their recursion limit of JSON, so this one is fixed.
_MOST_DEPTH: Final = 32

_ALLOW: Final = "allow"
# The envelope of a response: API Gateway and function URLs unwrap it, Invoke does not.
_ENVELOPE: Final = frozenset({"statusCode", "body"})
_KINDS: Final = {bool: "true or false", str: "a text", list: "a list", type(None): "null"}


class _InvalidAnswerError(ValueError):
    """The body is not a valid answer; the message says why, in a few words."""


def consent_of(body: bytes) -> HookAnswer:
    """Return the answer in `body`: consent is a JSON object whose `allow` is exactly true.

    A refusal is an object whose `allow` is exactly false. Everything else, also an empty body, is
    no answer (`Consent.FAILED`).
    """
    try:
        data = _object(body)
    except _InvalidAnswerError as error:
        return HookAnswer(Consent.FAILED, printable_line(str(error)))
    allow = data.get(_ALLOW)
    if allow is True:
        return HookAnswer(Consent.GIVEN)
    if allow is not False:
        return HookAnswer(Consent.FAILED, _missing_allow(data))
    reason = data.get("reason")
    reason_text = printable_line(reason) if isinstance(reason, str) else ""
    return HookAnswer(Consent.REFUSED, reason_text or "it gave no reason")


def _object(body: bytes) -> dict[str, Any]:
    """Return the JSON object that `body` consists of. Raises _InvalidAnswerError."""
    if not body:
        raise _InvalidAnswerError("it answered with nothing")
    try:
        data: Any = json.loads(
            body.decode("utf-8"),
            object_pairs_hook=_reject_duplicate_keys,
            parse_constant=_reject_constant,
        )
    except _InvalidAnswerError:
        raise
    except UnicodeDecodeError:
        raise _InvalidAnswerError("its answer is not in UTF-8") from None
    except RecursionError:
        raise _InvalidAnswerError("its JSON is nested too deeply") from None
    except ValueError:
        raise _InvalidAnswerError("its answer is no JSON, or not all of it") from None
    if any(depth > _MOST_DEPTH for depth in _depths(data)):
        raise _InvalidAnswerError("its JSON is nested too deeply")
    if not isinstance(data, dict):
        kind = _KINDS.get(type(data), "a number")
        raise _InvalidAnswerError(f"its answer is {kind}, and no JSON object")
    return data


def _reject_duplicate_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Refuse a duplicate key: JSON parsers differ in which of the two they keep."""
    data = dict(pairs)
    if len(data) < len(pairs):
        names = [name for name, _ in pairs]
        duplicate = next(name for name in names if names.count(name) > 1)
        raise _InvalidAnswerError(f'its JSON has "{duplicate[:40]}" twice')
    return data


def _reject_constant(name: str) -> Any:
    raise _InvalidAnswerError(f"its answer has {name}, which is no JSON")


def _depths(data: Any) -> Iterator[int]:
    """Yield the nesting depth of each value, without recursion, which deep JSON would exhaust."""
    stack: list[tuple[Any, int]] = [(data, 1)]
    while stack:
        value, depth = stack.pop()
        yield depth
        inner = value.values() if isinstance(value, dict) else value
        if isinstance(value, dict | list):
            stack += [(one, depth + 1) for one in inner]


def _missing_allow(data: dict[str, Any]) -> str:
    if _ALLOW in data:
        return '"allow" is neither true nor false in its answer'
    if data.keys() >= _ENVELOPE:
        return 'its answer is an API Gateway response; "allow" has to stand at the top'
    return 'its answer has no "allow"'


def printable_line(text: str) -> str:
    """Return `text` as one line of at most _MOST_REASON characters, without control characters."""
    return " ".join(printable(text).split())[:_MOST_REASON]
