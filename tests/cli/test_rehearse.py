"""rehearse: the whole policy in virtual time, as text, as JSON, and as a check in CI."""

from pathlib import Path
from typing import Any

import pytest

from controller.errors import Exit
from tests.cli.conftest import CliHarness
from tests.support.cases import cases
from tests.support.stage import SHORT_POLICY
from tests.tools.simulation.worlds import POLICY

# The events of the shipped scenarios are in the second step, so this policy bakes there for long.
LADDER: dict[str, Any] = {
    "criteria": {
        "works": {**SHORT_POLICY["criteria"]["works"], "window": "5m", "failure_limit": 2}
    },
    "steps": [
        {"weight": 10, "bake": "20m"},
        {"weight": 50, "bake": "1h"},
        {"weight": 100, "bake": "20m"},
    ],
}
# No request takes less than a millisecond: the start is refused.
HOPELESS: dict[str, Any] = {
    "metrics": {
        **SHORT_POLICY["metrics"],
        "direct": {**POLICY["metrics"]["direct"], "counts": "stable"},
    },
    "criteria": {
        **SHORT_POLICY["criteria"],
        "quick": {
            "kind": "threshold",
            "judge": "threshold",
            "metric": "direct",
            "max": 1,
            "window": "1m",
            "failure_limit": 1,
        },
    },
}
# The alias itself, which `start` reads before version 2 has requests, is in no metric.
BY_VERSION: dict[str, Any] = {
    "target": {"kind": "lambda-alias", "function": "thumbs", "alias": "prod"},
    "metrics": {
        name: {
            "namespace": "AWS/Lambda",
            "name": "Duration",
            "statistic": "p95",
            "unit": "ms",
            "dimensions": {
                "FunctionName": "thumbs",
                "Resource": "thumbs:prod",
                "ExecutedVersion": version,
            },
        }
        for name, version in [("duration", "${canary}"), ("usual", "${stable}")]
    },
    "criteria": {
        "latency": {
            "kind": "latency_increase",
            "metric": "duration",
            "max_increase": "10%",
            "baseline": {"concurrent": "usual"},
        },
        "alarm": {"kind": "alarm", "alarm": "thumbs-5xx"},
    },
    "steps": [
        {"weight": 10, "bake": "1h"},
        {"weight": 100, "bake": "1h", "criteria": ["alarm"]},
    ],
}

KINDS = {
    "started", "applied", "advanced", "rolling_back", "rolled_back", "leak_checked", "paused",
}  # fmt: skip


@pytest.fixture
def policy(desk: CliHarness) -> str:
    """A policy file of three steps, an hour and forty minutes long."""
    return desk.another_policy("ladder", **LADDER)


def test_the_rehearsal_logs_nothing_but_may(desk: CliHarness, policy: str) -> None:
    assert desk.run("rehearse", policy, "--scenario", "metrics-outage").err == ""
    ended = desk.run("rehearse", policy, "--scenario", "metrics-outage", "--verbose")
    assert "metrics_unavailable" in {event["event"] for event in ended.events}


def test_the_same_seed_gives_the_same_timeline_and_another_seed_another(
    desk: CliHarness, policy: str
) -> None:
    first, again, other_seed = (
        desk.run("rehearse", policy, "--scenario", "error-burst", "--seed", seed, "--json").out
        for seed in ("1", "1", "2")
    )
    assert first == again != other_seed


@pytest.mark.parametrize("per_minute", [60, 6_000])
def test_the_request_rate_may_be_ones_own(desk: CliHarness, policy: str, per_minute: int) -> None:
    options = "--scenario", "error-burst", "--requests-per-minute", str(per_minute), "--json"
    data = desk.run("rehearse", policy, *options).data
    (samples,) = [one["samples"] for one in data["criteria"] if one["kind"] == "success_rate"]
    minutes = 20  # of the step at 50%, until the errors begin
    assert samples == pytest.approx(per_minute / 2 * minutes, rel=0.7)


def test_fewer_ticks_are_made_when_they_are_further_apart(desk: CliHarness, policy: str) -> None:
    often, seldom = (
        desk.run("rehearse", policy, "--scenario", "silent", "--interval", every, "--json").data
        for every in ("1m", "5m")
    )
    assert seldom["status"] == often["status"] == "paused"
    assert seldom["ticks"] < often["ticks"] / 4


def test_a_rehearsal_is_read_at_a_glance(desk: CliHarness, policy: str) -> None:
    """A row for each decision, none for a write that is confirmed at once; the end comes last."""
    rollback = desk.run("rehearse", policy, "--scenario", "error-burst").out.splitlines()
    rows = [line.split() for line in rollback if line.startswith("Mon ")]
    kinds = [next(word for word in row if word in KINDS) for row in rows]
    assert kinds == ["started", "advanced", "rolling_back", "leak_checked"]
    assert rollback[-1].startswith("rolled_back at 0% after 57m (applied: 10% > 50%); ")
    paused = desk.run("rehearse", policy, "--scenario", "silent").out.splitlines()
    assert [line for line in paused if "on hold" in line] == [paused[2]]


@cases("scenario, expected, status", {
    "it ended as expected": ("silent", "paused", Exit.DONE),
    "it did not": ("silent", "succeeded", Exit.CHECK_FAILED),
})  # fmt: skip
def test_expect_turns_the_end_into_a_check(
    desk: CliHarness, policy: str, scenario: str, expected: str, status: Exit
) -> None:
    ended = desk.run("rehearse", policy, "--scenario", scenario, "--expect", expected)
    assert ended.status == status
    assert ("expected succeeded, but it ended paused" in ended.err) == (status != Exit.DONE)


def test_an_unknown_scenario_is_named_with_those_that_there_are(
    desk: CliHarness, policy: str
) -> None:
    ended = desk.run("rehearse", policy, "--scenario", "sunny")
    assert ended.status == Exit.USAGE
    assert "no scenario is called 'sunny'" in ended.err
    assert "healthy, " in ended.err


def test_a_world_that_lets_nothing_start_ends_with_2(desk: CliHarness) -> None:
    policy = desk.another_policy("hopeless", **HOPELESS)
    ended = desk.run("rehearse", policy)
    assert ended.status == Exit.USAGE
    assert "hopeless was not started" in ended.err


def test_a_rehearsal_needs_no_place_on_a_disk(
    desk: CliHarness, policy: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in a container whose root is read-only."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "missing"))
    ended = desk.run("rehearse", policy, "--expect", "succeeded")
    assert (ended.status, ended.err) == (Exit.DONE, "")


# --- operators ----------------------------------------------------------------------------------


def test_a_second_start_is_printed_with_its_refusal(desk: CliHarness, policy: str) -> None:
    lines = desk.run("rehearse", policy, "--scenario", "second-owner").out.splitlines()
    index = lines.index(
        "A second start was refused: ladder-beside was not started; nothing was changed:"
    )
    assert "the canary has 10% already by ladder#1" in lines[index + 1]
    data = desk.run("rehearse", policy, "--scenario", "second-owner", "--json").data
    (refusal,) = data["refused"]
    assert "ladder#1" in refusal
    assert data["accepted"] == []


def test_a_baseline_of_an_alias_needs_no_metric_of_the_alias(desk: CliHarness) -> None:
    policy = desk.another_policy("thumbs", **BY_VERSION)
    ended = desk.run("rehearse", policy, "--expect", "succeeded")
    assert ended.status == Exit.DONE


def test_adopt_begins_where_the_canary_has_everything(desk: CliHarness, policy: str) -> None:
    data = desk.run("rehearse", policy, "--adopt", "--json").data
    assert (data["status"], data["weights"], data["final_weight"]) == ("succeeded", [100], 100)
    assert "lambda:UpdateFunctionConfiguration" not in data["calls"]


@cases("options, status, weights", {
    "approved": (["--approve"], Exit.DONE, [10, 100]),
    "not approved": ([], Exit.UNDECIDED, [10]),
})  # fmt: skip
def test_a_step_waits_for_its_approval(
    desk: CliHarness, options: list[str], status: Exit, weights: list[int]
) -> None:
    first, last = SHORT_POLICY["steps"]
    careful = desk.another_policy("careful", steps=[first, {**last, "approval": "required"}])
    ended = desk.run("rehearse", careful, "--interval", "10m", "--json", *options)
    assert (ended.status, ended.data["weights"]) == (status, weights)


def test_a_rehearsal_in_a_store_of_its_own_can_be_looked_at_later(
    desk: CliHarness, policy: str, tmp_path: Path
) -> None:
    url = f"sqlite:///{tmp_path / 'rehearsed.db'}"
    assert desk.run("rehearse", policy, "--store", url).status == Exit.DONE
    ended = desk.run("history", "ladder#1", "--store", url)
    assert "succeeded" in ended.out
    assert "(by rehearsal)" in ended.out


def test_a_store_that_is_not_empty_is_no_stage(
    desk: CliHarness, policy: str, tmp_path: Path
) -> None:
    url = f"sqlite:///{tmp_path / 'rehearsed.db'}"
    desk.run("rehearse", policy, "--store", url)
    ended = desk.run("rehearse", policy, "--store", url)
    assert ended.status == Exit.USAGE
    assert "needs an empty store" in ended.err


def test_a_scenario_that_does_not_fit_the_policy_says_why(desk: CliHarness) -> None:
    target = {name: value for name, value in SHORT_POLICY["target"].items() if name != "boolean"}
    policy = desk.another_policy("plain", target=target)
    ended = desk.run("rehearse", policy, "--scenario", "contradiction")
    assert ended.status == Exit.USAGE
    assert "contradiction does not fit: events[0].boolean" in ended.err
