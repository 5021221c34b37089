"""What the body of a hook's answer means: consent, a refusal, or no answer. IAM: none.

Nothing but `{"allow": true}` is read as consent: a page of a load balancer, a default of a
framework or half an answer must not raise a weight.
"""

import json
from collections.abc import Iterator
from typing import Any, Final

from controller.core.observation import Consent, HookAnswer
from controller.text import printable

MOST_REASON: Final = 400
# Python versions differ in the depth at which they give up, so the limit is our own.
MOST_DEPTH: Final = 32

ALLOW: Final = "allow"
# What API Gateway and function URLs unwrap, and Invoke does not.
_ENVELOPE: Final = frozenset({"statusCode", "body"})
_KINDS: Final = {bool: "true or false", str: "a text", list: "a list", type(None): "null"}


class _InvalidAnswerError(ValueError):
    """The body is no answer: why, in a few words."""


def consent_of(body: bytes) -> HookAnswer:
    """Return what `body` says: consent is a JSON object whose `allow` is exactly true.

    A refusal is one whose `allow` is exactly false. Everything else, an empty body as well, is no
    answer.
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
    said = printable_line(reason) if isinstance(reason, str) else ""
    return HookAnswer(Consent.REFUSED, said or "it gave no reason")


def _object(body: bytes) -> dict[str, Any]:
    """Return the object that is all of `body`. Raises _NoAnswerError."""
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
    """Refuse a key that is there twice: readers differ in which of both they take."""
    data = dict(pairs)
    if len(data) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise _InvalidAnswerError(f'its JSON has "{twice[:40]}" twice')
    return data


def _reject_constant(name: str) -> Any:
    raise _InvalidAnswerError(f"its answer has {name}, which is no JSON")


def _depths(data: Any) -> Iterator[int]:
    """Yield how deep each value stands; without recursion, which is what is guarded against."""
    left: list[tuple[Any, int]] = [(data, 1)]
    while left:
        value, depth = left.pop()
        yield depth
        inner = value.values() if isinstance(value, dict) else value
        if isinstance(value, dict | list):
            left += [(one, depth + 1) for one in inner]


def _missing_allow(data: dict[str, Any]) -> str:
    if ALLOW in data:
        return '"allow" is neither true nor false in its answer'
    if data.keys() >= _ENVELOPE:
        return 'its answer is an API Gateway response; "allow" has to stand at the top'
    return 'its answer has no "allow"'


def printable_line(text: str) -> str:
    """Return `text` in one line that no terminal takes for a command, and not too long."""
    return " ".join(printable(text).split())[:MOST_REASON]
