"""A rehearsal: how long it plays, and what it hands back."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from controller import events
from controller.core.history import broken_link
from controller.core.rollout import Rollout
from controller.errors import UsageError
from controller.rehearsal import AFTER_PAUSE, SPARE, Outcome, rehearse
from tests.simulation.worlds import MINUTE, START, scenario
from tests.stage import METRICS, READ, SHORT, WRITE, Stage, on_stage, short, variables

SILENT = [{"kind": "traffic", "times": 0}]


@pytest.fixture(autouse=True)
def _silence() -> None:
    events.silence()


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    with on_stage(tmp_path) as made:
        yield made


def played(stage: Stage, every: timedelta = MINUTE) -> tuple[Outcome, list[Rollout]]:
    seen: list[Rollout] = []
    outcome = rehearse(stage.runner, stage.world, stage.policy, every=every, on_tick=seen.append)
    return outcome, seen


def test_a_rehearsal_ends_with_the_rollout_and_says_how(stage: Stage) -> None:
    outcome, seen = played(stage)
    assert (outcome.status, outcome.weights, outcome.final_weight) == ("succeeded", (10, 100), 100)
    assert outcome.ticks == len(seen)
    assert seen[-1] == outcome.rollout
    assert (outcome.started, outcome.ended) == (START, stage.world.clock.now())
    assert [entry.kind for entry in outcome.entries] == [
        "started", "settled", "advanced", "settled", "succeeded",
    ]  # fmt: skip
    assert broken_link(outcome.entries, outcome.rollout.chain) is None


def test_the_calls_of_a_rehearsal_are_counted_by_service_and_operation(stage: Stage) -> None:
    outcome, _ = played(stage)
    assert outcome.calls == {
        f"{service}:{operation}": number
        for (service, operation), number in stage.world.calls.items()
    }
    assert {"lambda:UpdateFunctionConfiguration", "cloudwatch:GetMetricData"} <= set(outcome.calls)
    assert stage.world.calls[WRITE] == 2
    assert stage.world.calls[METRICS] < stage.world.calls[READ]


def test_a_pause_is_looked_at_for_an_hour_more(tmp_path: Path) -> None:
    with on_stage(tmp_path, scenario(function=variables(), events=SILENT)) as stage:
        outcome, _ = played(stage)
        assert outcome.status == "paused"
        assert outcome.ended - outcome.rollout.since == AFTER_PAUSE == timedelta(hours=1)


@pytest.mark.parametrize(
    ("traffic", "why"),
    [
        pytest.param(
            {}, "works has no data: no ", id="one criterion is open: it says all itself"
        ),
        pytest.param(
            {"traffic": {"kind": "traffic", "judge": "threshold", "metric": "requests"}},
            "no data (traffic, works).", id="several: what they lack, and their names",
        ),
    ],
)  # fmt: skip
def test_a_pause_says_shortly_what_it_waited_for(
    tmp_path: Path, traffic: dict[str, Any], why: str
) -> None:
    policy = short(criteria={**SHORT["criteria"], **traffic})
    with on_stage(tmp_path, scenario(events=SILENT), policy) as stage:
        sentence = played(stage)[0].rollout.sentence
        assert sentence.startswith(f"still held at 10 % 4m after the bake: {why}")


def test_a_rollout_that_never_ends_is_left_after_its_ladder_and_a_day(tmp_path: Path) -> None:
    """A rollback that nobody may write goes on for ever; its rehearsal does not."""
    denied = {"kind": "kms_denied", "at": {"step": 1, "after": "1m"}}
    sick = {"kind": "errors", "at": {"step": 1}, "server_errors": "20%"}
    with on_stage(tmp_path, scenario(function=variables(), events=[denied, sick])) as stage:
        outcome, _ = played(stage, timedelta(minutes=30))
        assert (outcome.status, outcome.final_weight) == ("rolling_back", 10)
        assert timedelta() <= outcome.ended - START - SPARE < timedelta(hours=1)


def test_a_world_in_which_nothing_can_start_says_why(tmp_path: Path) -> None:
    with (
        on_stage(tmp_path, scenario(function={"weight": 50}), short()) as stage,
        pytest.raises(UsageError, match="the canary has 50 % already"),
    ):
        played(stage)
