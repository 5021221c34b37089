"""A record that was saved in the future is named and not raised, on both stores."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path

import pytest

from controller.core.events import Command, Verb
from controller.core.words.notices import MAX_CLOCK_SKEW
from controller.errors import Exit
from controller.immutable import replace
from controller.operations.start import StartRequest, start
from tests.chaos.dynamodb import on_moto
from tests.engine.test_owner import HEALTHY, SICK
from tests.engine.test_stored_state import ticks
from tests.support.core import Phase
from tests.support.deep_rows import deep_after
from tests.support.stage import Stage, function_with, open_stage, short_policy
from tests.tools.simulation.worlds import HOUR, MINUTE, scenario

STEPS = [{"weight": 10, "bake": "30m"}, {"weight": 100, "bake": "30m"}]
OpenStage = Callable[..., Stage]


@pytest.fixture(params=deep_after(1, ["sqlite", "dynamodb"]))
def open_at_10(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[OpenStage]:
    """Yield a function that opens a stage at 10% and advances whatever the gate has found."""
    policy = short_policy(steps=STEPS, on_inconclusive="advance", max_hold="30m")
    with ExitStack() as stack:

        def opened(ahead: timedelta, events: list[dict[str, object]] = HEALTHY) -> Stage:
            played = scenario(function=function_with(), events=events)
            stage = stack.enter_context(open_stage(tmp_path, played, policy))
            if request.param == "dynamodb":
                stage.use_store(stack.enter_context(stack.enter_context(on_moto()).fault_free()))
            stage.start()
            ticks(stage, 1)
            rollout = stage.runner.store.load("orders#1")
            saved = replace(rollout, updated=stage.world.clock.now() + ahead)
            stage.runner.store.save(saved, [])
            return stage

        yield opened


def test_a_record_from_the_future_is_named_and_not_raised(open_at_10: OpenStage) -> None:
    """By its own time, its bake and its hold are over."""
    stage = open_at_10(1000 * HOUR)
    result = ticks(stage)
    (visit,) = result.visits
    assert visit.problem.startswith(
        "orders#1 was last saved at 2026-02-16 01:01 UTC, which is in the future: its time stands "
        "still until then, and no tick raises it;"
    )
    assert result.status == Exit.INTERNAL
    assert stage.variables["PERCENTAGE"] == "10"


@pytest.mark.parametrize(("ahead", "status"), [
    (MAX_CLOCK_SKEW, Exit.DONE), (MAX_CLOCK_SKEW + MINUTE, Exit.INTERNAL),
])  # fmt: skip
def test_a_clock_that_is_a_little_ahead_is_no_problem(
    open_at_10: OpenStage, ahead: timedelta, status: Exit
) -> None:
    assert open_at_10(ahead).runner.tick_active(early=True).status == status


def test_a_gate_that_fails_still_lowers_a_record_from_the_future(open_at_10: OpenStage) -> None:
    stage = open_at_10(HOUR, SICK)
    (visit,) = ticks(stage).visits
    assert visit.rollout.phase in (Phase.ROLLING_BACK, Phase.ROLLED_BACK)
    assert stage.variables["PERCENTAGE"] == "0"
    assert "in the future" in visit.problem


def test_a_record_from_the_future_is_rolled_back_and_another_one_started(
    open_at_10: OpenStage,
) -> None:
    stage = open_at_10(HOUR)
    visit = stage.runner.run_command("orders#1", Command(Verb.ROLLBACK, "its clock"))
    assert visit.rollout.phase is Phase.ROLLED_BACK
    assert stage.variables["PERCENTAGE"] == "0"
    again = StartRequest(stage.policy, fallback="stage", retry_reason="a new record")
    start(stage.runner, again)
    assert {one.rollout.id for one in ticks(stage, 2).visits} == {"orders#2"}
    assert ticks(stage, 1).status == Exit.DONE
    assert stage.variables["PERCENTAGE"] == "10"
