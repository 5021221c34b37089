"""Rehearsals: duration, operators, second starts, and the outcome."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from controller.process import logging
from controller.tools.rehearse.rehearsal import (
    EXTRA_TIME,
    RehearsalOutcome,
    rehearse,
)
from tests.support.cases import cases
from tests.support.core import Label, Policy, Rollout
from tests.support.stage import (
    METRICS,
    READ,
    SHORT_POLICY,
    WRITE,
    Stage,
    function_with,
    open_stage,
    short_policy,
)
from tests.tools.simulation.worlds import HOUR, MINUTE, START, scenario

SILENT = [{"kind": "traffic", "times": 0}]


@pytest.fixture(autouse=True)
def _silence() -> None:
    logging.disable()


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    with open_stage(tmp_path) as stage:
        yield stage


def run_rehearsal(
    stage: Stage, every: timedelta = MINUTE, *, adopt: bool = False, approve: bool = False
) -> tuple[RehearsalOutcome, list[Rollout]]:
    rollouts: list[Rollout] = []
    outcome = rehearse(
        stage.runner,
        stage.world,
        stage.policy,
        every=every,
        on_tick=rollouts.append,
        adopt=adopt,
        approve=approve,
    )
    return outcome, rollouts


def approved_at_100() -> Policy:
    """Return the short policy whose second step needs an approval."""
    first, last = SHORT_POLICY["steps"]
    return short_policy(steps=[first, {**last, "approval": "required"}])


def frozen_for(length: timedelta) -> Policy:
    """Return the short policy, frozen from a minute after the start on."""
    begin, end = (f"{START + after:%Y-%m-%dT%H:%M}" for after in (MINUTE, MINUTE + length))
    return short_policy(freeze={"zone": "UTC", "dates": [{"from": begin, "to": end}]})


def test_the_calls_of_a_rehearsal_are_counted_by_service_and_operation(stage: Stage) -> None:
    outcome, _ = run_rehearsal(stage)
    assert outcome.calls == {
        f"{service}:{operation}": number
        for (service, operation), number in stage.world.calls.items()
    }
    assert {"lambda:UpdateFunctionConfiguration", "cloudwatch:GetMetricData"} <= set(outcome.calls)
    assert stage.world.calls[WRITE] == 2
    assert stage.world.calls[METRICS] < stage.world.calls[READ]


@pytest.mark.parametrize(
    ("probes", "status"), [({}, "paused"), ({"probes_per_minute": 40}, "succeeded")]
)
def test_declared_probes_let_a_quiet_service_pass(
    tmp_path: Path, probes: dict[str, float], status: str
) -> None:
    quiet = scenario(traffic={"requests_per_minute": 2}, function=function_with())
    with open_stage(tmp_path, quiet, short_policy(**probes)) as stage:
        assert run_rehearsal(stage)[0].status == status


def test_probes_that_go_on_after_a_rollback_are_no_leak(tmp_path: Path) -> None:
    sick = {"kind": "errors", "at": {"step": 1}, "server_errors": "20%"}
    failing = scenario(function=function_with(), events=[sick])
    with open_stage(tmp_path, failing, short_policy(probes_per_minute=3)) as stage:
        outcome, _ = run_rehearsal(stage)
        assert outcome.status == "rolled_back"
        assert outcome.rollout.leak_check is not None
        assert outcome.rollout.leak_check.label is Label.CONFIRMED


@cases("traffic, why", {
    "one criterion is open: it says all itself": ({}, "criterion works has no data: no "),
    "several: what they lack, and their names": (
        {"traffic": {"kind": "traffic", "judge": "threshold", "metric": "requests"}},
        "no data (traffic, works).",
    ),
})  # fmt: skip
def test_a_pause_says_shortly_what_it_waited_for(
    tmp_path: Path, traffic: dict[str, Any], why: str
) -> None:
    policy = short_policy(criteria={**SHORT_POLICY["criteria"], **traffic})
    with open_stage(tmp_path, scenario(events=SILENT), policy) as stage:
        sentence = run_rehearsal(stage)[0].rollout.sentence
        assert sentence.startswith(f"still on hold at 10% 4m after the bake: {why}")


def test_a_rollout_that_never_ends_is_left_after_its_ladder_and_a_day(tmp_path: Path) -> None:
    """A rollback without permission to write never ends; its rehearsal does."""
    denied = {"kind": "kms_denied", "at": {"step": 1, "after": "1m"}}
    sick = {"kind": "errors", "at": {"step": 1}, "server_errors": "20%"}
    with open_stage(tmp_path, scenario(function=function_with(), events=[denied, sick])) as stage:
        outcome, _ = run_rehearsal(stage, timedelta(minutes=30))
        assert (outcome.status, outcome.final_weight) == ("rolling_back", 10)
        assert timedelta() <= outcome.ended - START - EXTRA_TIME < timedelta(hours=1)


# --- operators ------------------------------------------------------------------------------------


def test_a_missing_approval_is_waited_for_until_its_first_reminder(
    tmp_path: Path,
) -> None:
    with open_stage(tmp_path, scenario(), approved_at_100()) as stage:
        outcome, _ = run_rehearsal(stage, 10 * MINUTE)
    asked = next(entry.at for entry in outcome.entries if entry.kind == "blocked")
    assert (outcome.status, outcome.final_weight) == ("progressing", 10)
    assert outcome.ended - asked == timedelta(days=1)
    assert outcome.entries[-1].kind == "reminded"


def test_a_freeze_is_waited_for(tmp_path: Path) -> None:
    with open_stage(tmp_path, scenario(), frozen_for(timedelta(days=3))) as stage:
        outcome, _ = run_rehearsal(stage, 30 * MINUTE)
    assert (outcome.status, outcome.weights) == ("succeeded", (10, 100))
    assert timedelta(days=3) < outcome.ended - START < timedelta(days=3) + 2 * HOUR
