"""Scenario files: their format, and the messages about mistakes in them."""

from pathlib import Path

import pytest
from pydantic import BaseModel

from controller.errors import PolicyError
from controller.tools.simulation.scenario.fault_events import EventTime
from controller.tools.simulation.scenario.metric_roles import Role
from controller.tools.simulation.scenario.scenario import (
    EVENT_TYPES,
    ColdStart,
    FunctionModel,
    PathModel,
    Publication,
    Scenario,
    TrafficProfile,
    load_scenario,
    scenario_names,
)

SOUND = """\
name: mine
summary: A world of my own.
traffic: {requests_per_minute: 100}
stable: {median_ms: 100}
canary: {median_ms: 100}
"""


def written(folder: Path, text: str) -> str:
    path = folder / "mine.yaml"
    path.write_text(text, encoding="utf-8")
    return str(path)


def test_a_file_of_ones_own_is_loaded_by_its_path(tmp_path: Path) -> None:
    assert load_scenario(written(tmp_path, SOUND)).name == "mine"


def test_the_shipped_scenarios_are_found_by_name() -> None:
    assert set(scenario_names()) == {
        "alias-reset",
        "cdk-reset",
        "console-up",
        "contradiction",
        "error-burst",
        "healthy",
        "latency-creep",
        "meddling-human",
        "metrics-outage",
        "quiet",
        "second-owner",
        "silent",
        "slow-lambda",
    }
    assert all(load_scenario(name).name == name for name in scenario_names())


def test_an_unknown_name_lists_the_shipped_ones() -> None:
    with pytest.raises(PolicyError) as error:
        load_scenario("helathy")
    assert all(name in str(error.value) for name in ("helathy", *scenario_names()))


@pytest.mark.parametrize(
    ("added", "line"),
    [
        ("colour: red", "6:1: colour: unknown key; known: name,"),
        ("events: [{kind: errors, at: {stpe: 1}}]", "6:30: events[0].at.stpe: unknown key; did"),
        ("events: [{kind: erors}]", "6:17: events[0].kind: no kind of event is called 'erors'"),
        ("events: [{at: {step: 1}}]", "6:10: events[0].kind: is required; one of errors,"),
        ("events: [{kind: errors, lasting: 5}]", "6:34: events[0].lasting: expected a number and"),
        ("events: [{kind: person, weight: 101}]", "6:33: events[0].weight: must be at most 100"),
        ("events: [{kind: person, boolean: yes}]", "6:34: events[0].boolean: expected true or"),
        ("events: [{kind: latency}]", "6:10: events[0].times: is required"),
        ("function: {weight: yes}", "6:20: function.weight: expected a whole number, not 'yes'"),
        ("metrics: {a: {path: up, measure: latency}}", "6:21: metrics.a.path: expected 'stable'"),
        ("name: again", "6:1: name: duplicate key, first on line 1"),
    ],
)
def test_a_mistake_is_reported_at_its_line_and_column(
    tmp_path: Path, added: str, line: str
) -> None:
    path = written(tmp_path, SOUND + added + "\n")
    with pytest.raises(PolicyError) as error:
        load_scenario(path)
    (message,) = str(error.value).splitlines()
    assert message.startswith(f"{path}:{line}")


def test_all_mistakes_are_reported_at_once(tmp_path: Path) -> None:
    path = written(tmp_path, SOUND.replace("100}", "-1}"))
    with pytest.raises(PolicyError) as error:
        load_scenario(path)
    places = [line.split(": ")[1] for line in str(error.value).splitlines()]
    assert places == ["traffic.requests_per_minute", "stable.median_ms", "canary.median_ms"]


MODELS: list[type[BaseModel]] = [
    Scenario,
    TrafficProfile,
    PathModel,
    ColdStart,
    FunctionModel,
    Publication,
    Role,
    EventTime,
    *EVENT_TYPES.values(),
]


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
def test_every_field_has_a_description(model: type[BaseModel]) -> None:
    assert [name for name, field in model.model_fields.items() if not field.description] == []
