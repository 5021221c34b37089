"""The body of a hook's answer as consent, a refusal, or no answer. IAM: none.

Only `{"allow": true}` is consent: the page of a load balancer, the default answer of a framework or
half an answer must not raise a weight.
"""

import json
from collections.abc import Iterator
from typing import Any, Final

from controller.core.observation import Consent, HookAnswer
from controller.safe_text import printable

MOST_REASON: Final = 400
# Python versions differ in their recursion limit of JSON, so this one is fixed.
MOST_DEPTH: Final = 32

ALLOW: Final = "allow"
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
    allow = data.get(ALLOW)
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
    if any(depth > MOST_DEPTH for depth in _depths(data)):
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
    if ALLOW in data:
        return '"allow" is neither true nor false in its answer'
    if data.keys() >= _ENVELOPE:
        return 'its answer is an API Gateway response; "allow" has to stand at the top'
    return 'its answer has no "allow"'


def printable_line(text: str) -> str:
    """Return `text` as one line of at most MOST_REASON characters, without control characters."""
    return " ".join(printable(text).split())[:MOST_REASON]
