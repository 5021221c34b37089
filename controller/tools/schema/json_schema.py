"""The JSON Schema (draft 2020-12) of documents whose types have docstrings of their fields."""

import ast
import sys
import types
import typing
from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from functools import cache
from inspect import getsource
from itertools import pairwise
from types import NoneType
from typing import Any, Final, get_args, get_origin

from msgspec.structs import fields

from controller.immutable import Immutable

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
_JSON_TYPES: Final[Mapping[type, str]] = {
    str: "string",
    datetime: "string",
    int: "integer",
    float: "number",
    bool: "boolean",
    NoneType: "null",
}


class SchemaWriter:
    """Describes types of documents, and collects the objects to which they refer, by name.

    names: those under which objects are published whose classes have other ones.
    """

    def __init__(self, names: Mapping[str, str]) -> None:
        self.definitions: dict[str, Any] = {}
        self._names = names

    def describe(self, document: type[Immutable]) -> dict[str, Any]:
        """Return the schema of an object with a fixed set of keys."""
        texts, keys = _field_texts(document), fields(document)
        return {
            "additionalProperties": False,
            "description": document.__doc__,
            "properties": {
                key.encode_name: dict(
                    sorted({"description": texts[key.name], **self._of(key.type)}.items())
                )
                for key in keys
            },
            "required": [key.encode_name for key in keys],
            "title": self._name(document),
            "type": "object",
        }

    def _of(self, hint: Any) -> dict[str, Any]:
        """Return the schema of a value whose type is `hint`."""
        parts = get_args(hint)
        match get_origin(hint):
            case None:
                return self._of_class(hint)
            case typing.Annotated:
                return {**parts[1].extra_json_schema, **self._of(parts[0])}
            case typing.Literal:
                return {"const": parts[0], **self._of(type(parts[0]))}
            case typing.Union | types.UnionType:
                return {"anyOf": [self._of(part) for part in parts]}
            case kind if issubclass(kind, Mapping):
                values = parts[1]
                allowed = True if values is Any else self._of(values)
                return {"additionalProperties": allowed, "type": "object"}
            case _:
                return {"items": self._of(parts[0]), "type": "array"}

    def _of_class(self, kind: Any) -> dict[str, Any]:
        if kind in _JSON_TYPES:
            return {"type": _JSON_TYPES[kind]}
        if issubclass(kind, StrEnum):
            return {"enum": [str(one) for one in kind], "type": "string"}
        name = self._name(kind)
        if name not in self.definitions:
            self.definitions[name] = self.describe(kind)
        return {"$ref": f"#/$defs/{name}"}

    def _name(self, kind: type) -> str:
        return self._names.get(kind.__name__, kind.__name__)


def _field_texts(document: type) -> dict[str, str]:
    """Return the docstrings of the fields of a class, those that it inherits too, by name."""
    texts: dict[str, str] = {}
    for one in document.__mro__:
        if issubclass(one, Immutable):
            texts |= _texts_in(one.__module__)[one.__name__]
    return texts


@cache
def _texts_in(module: str) -> dict[str, dict[str, str]]:
    """Return the docstrings of fields in a module, by class and name."""
    tree = ast.parse(getsource(sys.modules[module]))
    return {
        one.name: {
            ast.unparse(field.target): ast.literal_eval(text.value)
            for field, text in pairwise(one.body)
            if isinstance(field, ast.AnnAssign) and isinstance(text, ast.Expr)
        }
        for one in tree.body
        if isinstance(one, ast.ClassDef)
    }
