"""What the body of a hook's answer means: consent, a refusal, or no answer. IAM: none.

Nothing but `{"allow": true}` is read as consent: a page of a load balancer, a default of a
framework or half an answer must not raise a weight.
"""

import json
from collections.abc import Iterator
from typing import Any, Final

from controller.core.observation import Consent, HookAnswer
from controller.text import printable

MOST_SAID: Final = 400
# Python versions differ in the depth at which they give up, so the limit is our own.
MOST_DEEP: Final = 32

ALLOW: Final = "allow"
# What API Gateway and function URLs unwrap, and Invoke does not.
_ENVELOPE: Final = frozenset({"statusCode", "body"})
_KINDS: Final = {bool: "true or false", str: "a text", list: "a list", type(None): "null"}


class _NoAnswerError(ValueError):
    """The body is no answer: why, in a few words."""


def consent(body: bytes) -> HookAnswer:
    """Return what `body` says: consent is a JSON object whose `allow` is exactly true.

    A refusal is one whose `allow` is exactly false. Everything else, an empty body as well, is no
    answer.
    """
    try:
        data = _object(body)
    except _NoAnswerError as error:
        return HookAnswer(Consent.FAILED, clean(str(error)))
    allow = data.get(ALLOW)
    if allow is True:
        return HookAnswer(Consent.GIVEN)
    if allow is not False:
        return HookAnswer(Consent.FAILED, _no_allow(data))
    reason = data.get("reason")
    said = clean(reason) if isinstance(reason, str) else ""
    return HookAnswer(Consent.REFUSED, said or "it gave no reason")


def _object(body: bytes) -> dict[str, Any]:
    """Return the object that is all of `body`. Raises _NoAnswerError."""
    if not body:
        raise _NoAnswerError("it answered with nothing")
    try:
        data: Any = json.loads(
            body.decode("utf-8"), object_pairs_hook=_without_twins, parse_constant=_refuse_constant
        )
    except _NoAnswerError:
        raise
    except UnicodeDecodeError:
        raise _NoAnswerError("its answer is not in UTF-8") from None
    except RecursionError:
        raise _NoAnswerError("its JSON is nested too deeply") from None
    except ValueError:
        raise _NoAnswerError("its answer is no JSON, or not all of it") from None
    if any(depth > MOST_DEEP for depth in _depths(data)):
        raise _NoAnswerError("its JSON is nested too deeply")
    if not isinstance(data, dict):
        kind = _KINDS.get(type(data), "a number")
        raise _NoAnswerError(f"its answer is {kind}, and no JSON object")
    return data


def _without_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Refuse a key that is there twice: readers differ in which of both they take."""
    data = dict(pairs)
    if len(data) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise _NoAnswerError(f'its JSON has "{twice[:40]}" twice')
    return data


def _refuse_constant(name: str) -> Any:
    raise _NoAnswerError(f"its answer has {name}, which is no JSON")


def _depths(data: Any) -> Iterator[int]:
    """Yield how deep each value stands; without recursion, which is what is guarded against."""
    left: list[tuple[Any, int]] = [(data, 1)]
    while left:
        value, depth = left.pop()
        yield depth
        inner = value.values() if isinstance(value, dict) else value
        if isinstance(value, dict | list):
            left += [(one, depth + 1) for one in inner]


def _no_allow(data: dict[str, Any]) -> str:
    if ALLOW in data:
        return '"allow" is neither true nor false in its answer'
    if data.keys() >= _ENVELOPE:
        return 'its answer is an API Gateway response; "allow" has to stand at the top'
    return 'its answer has no "allow"'


def clean(text: str) -> str:
    """Return `text` in one line that no terminal takes for a command, and not too long."""
    return " ".join(printable(text).split())[:MOST_SAID]
