"""Holds JSON that a verb printed to the schema that `rolloutctl schema` prints for it."""

from functools import cache
from typing import Any

from jsonschema import Draft202012Validator

from controller.tools.schema import OUTPUTS, output_schema


@cache
def _validator(name: str) -> Draft202012Validator:
    return Draft202012Validator(output_schema(name))


def mistakes(document: Any) -> list[str]:
    """Return how `document` differs from the schema that its field `schema` names."""
    name, _, version = str(document.get("schema")).partition("/")
    if name not in OUTPUTS or version != "1":
        return [f"there is no schema {name}/{version}"]
    return [
        f"{error.json_path}: {error.message}" for error in _validator(name).iter_errors(document)
    ]


def validated(document: Any) -> Any:
    """Return `document`. Raises AssertionError where it differs from its schema."""
    assert not (found := mistakes(document)), found
    return document
