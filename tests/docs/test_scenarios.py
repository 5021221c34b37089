"""docs/scenarios.md agrees with the code: its example runs, its tables are complete."""

import re
from pathlib import Path
from typing import Any, get_args

import pytest
from pydantic import BaseModel

from controller.cli import VERBS, main
from controller.tools.simulation.scenario.fault_events import Event
from controller.tools.simulation.scenario.metric_roles import Measure, Role
from controller.tools.simulation.scenario.scenario import (
    ColdStart,
    FunctionModel,
    PathModel,
    Publication,
    Scenario,
    TrafficProfile,
    load_scenario,
    scenario_names,
)

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "scenarios.md").read_text(encoding="utf-8")
ROWS = dict(re.findall(r"^\| ([^|]+?) \| (.+) \|$", TEXT, re.MULTILINE))


def test_every_shipped_scenario_is_documented() -> None:
    documented = set(re.findall(r"^\| `([a-z][a-z-]+)` \| ", TEXT, re.MULTILINE))
    assert documented - {"cold_start", "function", "publication", "traffic"} == set(
        scenario_names()
    )


@pytest.mark.parametrize(
    ("row", "model"),
    [
        ("the scenario", Scenario),
        ("`traffic`", TrafficProfile),
        ("`stable`, `canary`", PathModel),
        ("`cold_start`", ColdStart),
        ("`function`", FunctionModel),
        ("`publication`", Publication),
    ],
)
def test_every_field_of_a_part_is_documented(row: str, model: type[BaseModel]) -> None:
    assert re.findall(r"`([a-z_]+)`", ROWS[row]) == list(model.model_fields)


def test_every_documented_option_is_one_of_rehearse(capsys: pytest.CaptureFixture[str]) -> None:
    documented = re.findall(r"^\| `(--[a-z-]+)", TEXT, re.MULTILINE)
    assert main(["rehearse", "--help"]) == 0
    help_text = capsys.readouterr().out
    assert len(documented) == 5
    assert [option for option in documented if option not in help_text] == []


def test_what_looks_at_a_rehearsal_is_a_verb() -> None:
    documented = re.findall(r"`([a-z]+)`", ROWS["`--store URL`"])
    assert (len(documented), set(documented) - set(VERBS)) == (3, set())


def _events() -> list[Any]:
    return list(get_args(get_args(Event)[0]))


@pytest.mark.parametrize("event", _events(), ids=lambda event: event.__name__)
def test_every_field_of_an_event_is_documented(event: Any) -> None:
    (kind,) = get_args(event.model_fields["kind"].annotation)
    fields, _, values = ROWS[f"event `{kind}`"].partition(": ")
    assert re.findall(r"`([a-z_]+)`", fields) == [
        name for name in event.model_fields if name != "kind"
    ]
    if values:
        name = "how" if "how" in event.model_fields else "state"
        assert re.findall(r"`([a-z_]+)`", values) == list(
            get_args(event.model_fields[name].annotation)
        )


def test_every_measure_is_documented() -> None:
    (documented,) = re.findall(r"\(measures: ([^)]+)\)", TEXT)
    assert re.findall(r"`([a-z_]+)`", documented) == list(Measure)
    described = Role.model_fields["measure"].description or ""
    assert [measure for measure in Measure if measure not in described] == []


def test_the_example_is_played_to_an_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    ((name, body),) = re.findall(r"^```yaml scenario=(\S+)\n(.*?)^```$", TEXT, re.DOTALL | re.M)
    (tmp_path / name).write_text(body, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    assert load_scenario(name).name == "friday"
    policy = str(ROOT / "policies" / "execution-api.yaml")
    assert main(["rehearse", policy, "--scenario", name, "--expect", "rolled_back"]) == 0
    assert "found at 0%" in capsys.readouterr().out
