"""The JSON Schema: it marks mistakes in an editor, and allows whatever the loader accepts."""

from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft7Validator

from controller.policy_file import yaml_file
from controller.policy_file.schema import policy_schema
from tests.support.cases import cases
from tests.support.parsed import parse

SHIPPED = sorted((Path(__file__).parents[2] / "policies").glob("*.yaml"))
SCHEMA = policy_schema()


def objects() -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield every mapping that the schema describes, by name."""
    yield "Policy", SCHEMA
    yield from SCHEMA["definitions"].items()


FIELDS = {
    f"{name}.{field}": described
    for name, one in objects()
    for field, described in one["properties"].items()
}


def shipped() -> dict[str, Any]:
    """Return the shipped policy of the first user as plain data."""
    (path,) = (one for one in SHIPPED if one.stem == "execution-api")
    data = yaml_file.read(path).data
    assert isinstance(data, dict)
    return deepcopy(data)


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_a_shipped_policy_fits(path: Path) -> None:
    Draft7Validator(SCHEMA).validate(yaml_file.read(path).data)


WEEKEND = {"from": "fri 16:00", "to": "mon 08:00"}


def test_a_policy_with_a_freeze_and_an_approval_fits() -> None:
    data = shipped()
    data["freeze"] = {
        "zone": "Europe/Berlin",
        "weekly": [WEEKEND],
        "daily": [{"from": "22:00", "to": "06:00"}],
        "dates": [{"from": "2026-12-23", "to": "2027-01-02T08:00"}],
    }
    data["steps"][1]["approval"] = "required"
    Draft7Validator(SCHEMA).validate(data)
    assert parse(data).needs_approval(1)


@pytest.mark.parametrize("field", FIELDS)
def test_a_field_says_what_it_is(field: str) -> None:
    assert len(FIELDS[field].get("description", "").split()) >= 2


@pytest.mark.parametrize(("name", "schema"), [*objects()])
def test_a_mapping_has_no_other_keys(name: str, schema: dict[str, Any]) -> None:
    assert schema["additionalProperties"] is False


@cases("path, value", {
    "another version": ("version", 2),
    "a duration in words": ("evaluation_delay", "3 minutes"),
    "an unknown key": ("sumary", "x"),
    "no steps": ("steps", []),
    "more than all traffic": ("steps.0.weight", 101),
    "a metric whose name is none": ("metrics.5xx", {}),
    "a percent without its sign": ("criteria.SC-004.min", 99.9),
    "an unknown kind": ("criteria.SC-004.kind", "success"),
    "no window": ("criteria.SC-003.baseline", {"frozen": "direct"}),
    "a baseline that is a number": ("criteria.SC-003.baseline", 300),
    "two bounds": ("criteria.SC-002.min", 1),
    "a freeze without a zone": ("freeze", {"weekly": [WEEKEND]}),
    "a time that no clock shows":
        ("freeze", {"zone": "Europe/Berlin", "daily": [{"from": "22:00", "to": "24:00"}]}),
})  # fmt: skip
def test_an_editor_marks_a_mistake(path: str, value: object) -> None:
    data = shipped()
    *outer_keys, last = [int(part) if part.isdigit() else part for part in path.split(".")]
    inner: Any = data
    for part in outer_keys:
        inner = inner[part]
    inner[last] = value
    assert not Draft7Validator(SCHEMA).is_valid(data)


# Keywords of draft-07 that the schema uses; SchemaStore refuses those of other dialects.
DRAFT_07 = {
    "$comment", "$id", "$ref", "$schema", "additionalProperties", "anyOf", "const", "default",
    "definitions", "description", "enum", "examples", "exclusiveMaximum", "exclusiveMinimum", "if",
    "items", "maxItems", "maxLength", "maxProperties", "maximum", "minItems", "minLength",
    "minimum", "oneOf", "pattern", "patternProperties", "properties", "propertyNames", "required",
    "then", "title", "type", "format",
}  # fmt: skip
# Below these are names or values, and no keywords.
NAMES = {"properties", "patternProperties", "definitions"}


def keywords(schema: Any) -> Iterator[str]:
    """Yield every keyword of a schema."""
    for word, value in schema.items():
        yield word
        if word in NAMES:
            for inner in value.values():
                yield from keywords(inner)
        elif word in ("anyOf", "oneOf"):
            for inner in value:
                yield from keywords(inner)
        elif word in ("items", "additionalProperties", "propertyNames") and value not in (0, 1):
            yield from keywords(value)


def test_it_is_in_the_form_that_schemastore_takes() -> None:
    Draft7Validator.check_schema(SCHEMA)
    assert SCHEMA["$schema"] == "http://json-schema.org/draft-07/schema#"
    assert SCHEMA["$id"].startswith("https://json.schemastore.org/")
    assert set(keywords(SCHEMA)) - DRAFT_07 == set()
