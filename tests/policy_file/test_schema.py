"""The JSON Schema: it marks mistakes in an editor, and allows whatever the loader accepts."""

from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from controller.policy_file import yaml
from controller.policy_file.check.parse import parse
from controller.policy_file.schema import policy_schema

SHIPPED = sorted((Path(__file__).parents[2] / "policies").glob("*.yaml"))
SCHEMA = policy_schema()


def objects() -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield every mapping that the schema describes, by name."""
    yield "Policy", SCHEMA
    yield from SCHEMA["$defs"].items()


FIELDS = {
    f"{name}.{field}": described
    for name, one in objects()
    for field, described in one["properties"].items()
}


def shipped() -> dict[str, Any]:
    """Return the shipped policy of the first user as plain data."""
    (path,) = (one for one in SHIPPED if one.stem == "execution-api")
    data = yaml.read(path).data
    assert isinstance(data, dict)
    return deepcopy(data)


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_a_shipped_policy_fits(path: Path) -> None:
    Draft202012Validator(SCHEMA).validate(yaml.read(path).data)


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
    Draft202012Validator(SCHEMA).validate(data)
    assert parse(data).needs_approval(1)


@pytest.mark.parametrize("field", FIELDS)
def test_a_field_says_what_it_is(field: str) -> None:
    assert len(FIELDS[field].get("description", "").split()) >= 2


@pytest.mark.parametrize(("name", "schema"), [*objects()])
def test_a_mapping_has_no_other_keys(name: str, schema: dict[str, Any]) -> None:
    assert schema["additionalProperties"] is False


@pytest.mark.parametrize(
    ("path", "value"),
    [
        pytest.param("version", 2, id="another version"),
        pytest.param("evaluation_delay", "3 minutes", id="a duration in words"),
        pytest.param("sumary", "x", id="an unknown key"),
        pytest.param("steps", [], id="no steps"),
        pytest.param("steps.0.weight", 101, id="more than all traffic"),
        pytest.param("metrics.5xx", {}, id="a metric whose name is none"),
        pytest.param("criteria.SC-004.min", 99.9, id="a percent without its sign"),
        pytest.param("criteria.SC-004.kind", "success", id="an unknown kind"),
        pytest.param("criteria.SC-003.baseline", {"frozen": "direct"}, id="no window"),
        pytest.param("criteria.SC-003.baseline", 300, id="a baseline that is a number"),
        pytest.param("criteria.SC-002.min", 1, id="two bounds"),
        pytest.param("freeze", {"weekly": [WEEKEND]}, id="a freeze without a zone"),
        pytest.param(
            "freeze",
            {"zone": "Europe/Berlin", "daily": [{"from": "22:00", "to": "24:00"}]},
            id="a time that no clock shows",
        ),
    ],
)
def test_an_editor_marks_a_mistake(path: str, value: object) -> None:
    data = shipped()
    *outer_keys, last = [int(part) if part.isdigit() else part for part in path.split(".")]
    inner: Any = data
    for part in outer_keys:
        inner = inner[part]
    inner[last] = value
    assert not Draft202012Validator(SCHEMA).is_valid(data)
