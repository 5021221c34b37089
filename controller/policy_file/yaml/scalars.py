"""Resolves plain scalars by the core schema of YAML 1.2 (10.3.2): `on` and dates are text."""

import re
from types import MappingProxyType, NoneType
from typing import Any

from controller.core.units import quote_value

_NULL = frozenset({"", "~", "null", "Null", "NULL"})
_BOOL = MappingProxyType(
    {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
)
# A longer run of digits is a float: Python refuses to read 4,300 of them as an int.
_INT = re.compile(r"[-+]?[0-9]{1,400}")
_OCTAL = re.compile(r"0o[0-7]{1,400}")
_HEX = re.compile(r"0x[0-9a-fA-F]{1,400}")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_SPECIAL = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")

_TYPES: dict[str, type[Any]] = {
    "null": NoneType,
    "bool": bool,
    "int": int,
    "float": float,
}


def resolve(text: str) -> object:
    """Return the value of the plain scalar `text`: None, a bool, an int, a float, or itself."""
    if text in _NULL:
        return None
    if text in _BOOL:
        return _BOOL[text]
    if _INT.fullmatch(text):
        return int(text)
    if _OCTAL.fullmatch(text) or _HEX.fullmatch(text):
        return int(text, 0)
    if _FLOAT.fullmatch(text):
        return float(text)
    if _SPECIAL.fullmatch(text):
        return float(text.replace(".", "", 1))
    return text


def resolve_tag(tag: str, text: str) -> object:
    """Return the value of `text` under an explicit core tag like `int`.

    Raises ValueError when the text has another type, or the tag is not of the core schema.
    """
    if tag == "str":
        return text
    if tag not in _TYPES:
        raise ValueError("only the core tags of YAML are read, like !!str")
    value = resolve(text)
    if type(value) is not _TYPES[tag]:
        raise ValueError(f"{quote_value(text)} is no {tag}")
    return value
