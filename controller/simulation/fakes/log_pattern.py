"""Filter patterns of CloudWatch Logs, as far as the fake supports them.

Supported are one term, `"words in quotes"`, and `{ $.a = "text" && $.b.c = 5 && $.d IS TRUE }`.
"""

import json
import re
from collections.abc import Mapping
from typing import Any, Final

SUPPORTED_SYNTAX: Final = '{ $.event = "name" && $.flag IS TRUE }, "words in quotes" or one word'

_TERM = re.compile(r'"([^"\\]+)"|([A-Za-z0-9_]+)')
_CONDITION = re.compile(
    r"""\$\.(?P<path>[A-Za-z0-9_.-]+)\s*
    (?:=\s*(?:"(?P<text>[^"\\*]+)"|(?P<number>-?\d+(?:\.\d+)?)|(?P<word>[A-Za-z_-][A-Za-z0-9_-]*))
    |\s+IS\s+(?P<flag>TRUE|FALSE))""",
    re.VERBOSE,
)


class LogPattern:
    """A filter pattern. Raises ValueError for one that the fake does not support."""

    def __init__(self, text: str) -> None:
        self._term: str | None = None
        self._conditions: dict[str, Any] = {}
        text = text.strip()
        if text.startswith("{"):
            parts = text.removeprefix("{").removesuffix("}").split("&&")
            self._conditions = dict(_condition(part) for part in parts)
        elif text:
            term = _TERM.fullmatch(text)
            if term is None:
                raise ValueError(f"a simulated log reads {SUPPORTED_SYNTAX}, not {text}")
            self._term = term[1] or term[2]

    def matches(self, message: str) -> bool:
        """Tell whether an event with this message matches."""
        if self._term is not None:
            return self._term in message
        if not self._conditions:
            return True
        try:
            data = json.loads(message)
        except ValueError:
            return False
        return all(_value_at(data, path) == value for path, value in self._conditions.items())

    def example(self) -> str:
        """Return a message that matches."""
        if self._term is not None:
            return self._term
        data: dict[str, Any] = {}
        for path, value in self._conditions.items():
            *outer, last = path.split(".")
            inner = data
            for name in outer:
                inner = inner.setdefault(name, {})
            inner[last] = value
        return json.dumps(data)


def _condition(part: str) -> tuple[str, Any]:
    match = _CONDITION.fullmatch(part.strip())
    if match is None:
        raise ValueError(f"a simulated log reads {SUPPORTED_SYNTAX}, not {part.strip()}")
    if match["flag"]:
        return match["path"], match["flag"] == "TRUE"
    if match["number"]:
        return match["path"], float(match["number"])
    return match["path"], match["text"] or match["word"]


def _value_at(data: object, path: str) -> object:
    """Return the value at `path`; None where there is none."""
    for name in path.split("."):
        data = data.get(name) if isinstance(data, Mapping) else None
    return data
