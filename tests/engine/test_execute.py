"""A raise and a rollback at the same time: whichever is later, the weight ends at 0%."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from controller.engine.execute import TickOutcome
from controller.tools.simulation.alb_weights import SimulatedAlbWeights
from controller.tools.simulation.fakes.errors import AwsResponse, Proceed, client_error
from tests.adapters.contracts.alb_benches import RULE, simulated
from tests.support.core import Alert, Phase, Reason, Rollout, replay
from tests.support.stage import READ, WRITE, ActAfter, ActBefore, Stage, open_stage, short_policy
from tests.tools.simulation.worlds import MINUTE, START, scenario

AFTER_THE_WATCH = timedelta(minutes=16)


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    with open_stage(tmp_path) as opened:
        yield opened


def manual_rollback(stage: Stage) -> tuple[Callable[[], object], list[TickOutcome]]:
    """Return an action that rolls back in another process, and the visits that it returns."""
    rival, visits = stage.another_runner(), list[TickOutcome]()
    return lambda: visits.append(rival.roll_back("orders#1", "stop!")), visits


# --- freeze between decision and write -----------------------------------------------------------


def measuring_takes(stage: Stage, time: timedelta) -> None:
    """Let `time` pass while the next tick reads the metrics."""
    slow = ActBefore(("cloudwatch", "GetMetricData"), lambda: stage.world.clock.advance(time))
    stage.world.interceptors.append(slow)


def test_a_raise_whose_freeze_began_before_its_write_is_written_after_the_freeze(
    tmp_path: Path,
) -> None:
    """The tick of 09:05 decides the raise, and has its hooks and measurements at 09:06:30."""
    freeze = {"zone": "UTC", "daily": [{"from": "09:06", "to": "09:30"}]}
    with open_stage(tmp_path, policy=short_policy(freeze=freeze)) as stage:
        stage.start()
        stage.ticks(4)
        measuring_takes(stage, timedelta(seconds=90))
        writes = stage.writes
        after = stage.tick().rollout
        assert (after.weight, after.reason, stage.writes) == (100, Reason.FROZEN, writes)
        assert stage.world.weight_now() == 10
        assert [one.kind for one in stage.store.history("orders#1")][-2:] == ["advanced", "blocked"]
        assert "100% was decided but not written; frozen until" in stage.notices[-1].text
        while stage.world.clock.now() < START + timedelta(minutes=29):
            stage.tick()
        assert stage.writes == writes
        stage.ticks(2)
        assert stage.world.weight_now() == 100
        assert replay(stage.rollout, stage.store.history("orders#1")).consistent


# --- a write that somebody takes back at once ---------------------------------------------------


def a_rule() -> dict[str, Any]:
    return simulated(RULE).target.model_dump(exclude_none=True)


@pytest.fixture
def rule(tmp_path: Path) -> Iterator[Stage]:
    """A stage whose target is a listener rule: its token is a digest of the actions."""
    with open_stage(tmp_path, scenario(), short_policy(target=a_rule())) as opened:
        yield opened


def put_back(stage: Stage) -> Callable[[], None]:
    """Return an action that gives the rule the actions that it has now."""
    twin = stage.world.simulated_target
    assert isinstance(twin, SimulatedAlbWeights)
    actions = twin.actions
    return lambda: twin.replace(actions)


@pytest.mark.parametrize(
    ("ticks", "phase", "reason", "weight"),
    [
        pytest.param(0, Phase.ROLLED_BACK, Reason.FOUND_AT_ZERO, 0, id="the first raise"),
        pytest.param(3, Phase.PAUSED, Reason.RAISE_UNCERTAIN, 10, id="a later raise"),
    ],
)
def test_a_raise_that_a_deploy_takes_back_before_it_is_read_is_not_written_again(
    rule: Stage, ticks: int, phase: Phase, reason: Reason, weight: int
) -> None:
    written = ("elbv2", "ModifyRule")
    if ticks:
        rule.start()
        rule.ticks(ticks)
    rule.world.interceptors.append(ActAfter(written, put_back(rule)))
    if not ticks:
        rule.start()
    rule.ticks(2)
    assert (rule.rollout.phase, rule.rollout.reason) == (phase, reason)
    assert rule.world.weight_now() == weight
    assert replay(rule.rollout, rule.store.history("orders#1")).consistent


# --- rollback between decision and write ---------------------------------------------------------


def test_a_start_with_a_concurrent_manual_rollback_stays_at_0(stage: Stage) -> None:
    """The weight is 0% already; without a write the token of the raise would still be valid."""
    roll_back, visits_of_rollback = manual_rollback(stage)
    stage.world.interceptors.append(ActBefore(WRITE, roll_back))
    rollout = stage.start()
    assert (visits_of_rollback[0].rollout.phase, visits_of_rollback[0].alerts) == (
        Phase.ROLLED_BACK,
        (),
    )
    assert (rollout.phase, stage.world.weight_now()) == (Phase.ROLLED_BACK, 0)
    assert not any("came back" in notice.text for notice in stage.notices)
    stage.world.clock.advance(AFTER_THE_WATCH)
    assert stage.world.weight_now() == 0


def test_a_rollback_of_a_weight_that_was_seen_at_0_writes_nothing(stage: Stage) -> None:
    stage.start()
    stage.world.set_variables("handler", {"PERCENTAGE": "0", "ENABLED": "false"})
    stage.world.clock.advance(MINUTE)
    writes = stage.writes
    assert stage.runner.roll_back("orders#1", "stop!").rollout.phase is Phase.ROLLED_BACK
    assert stage.writes == writes


# --- rollback that did not void the raise --------------------------------------------------------


def throttle_writes(service: str, operation: str, request: Any, proceed: Proceed) -> AwsResponse:
    """Throttle every write."""
    if (service, operation) == WRITE:
        raise client_error(operation, "TooManyRequestsException", "slow down")
    return proceed()


def start_during_a_throttled_rollback(stage: Stage) -> Rollout:
    """Start, and roll back in another process while Lambda throttles the write of the rollback."""
    rival = stage.another_runner()

    def roll_back_meanwhile() -> None:
        stage.world.interceptors.append(throttle_writes)
        assert rival.roll_back("orders#1", "stop!").rollout.phase is Phase.ROLLED_BACK
        stage.world.interceptors.remove(throttle_writes)

    stage.world.interceptors.append(ActBefore(WRITE, roll_back_meanwhile))
    return stage.start()


@pytest.mark.parametrize("takes", ["0s", "20s"])
def test_a_raise_that_lands_after_the_rollback_is_undone_at_once(
    tmp_path: Path, takes: str
) -> None:
    """The weight was 0% when the rollback read it, so the rollback was reported as complete."""
    with open_stage(tmp_path, scenario(function={"update_takes": takes})) as stage:
        rollout = start_during_a_throttled_rollback(stage)
        stage.world.clock.advance(AFTER_THE_WATCH)
        assert (rollout.phase, stage.world.weight_now()) == (Phase.ROLLED_BACK, 0)
        assert stage.rollout.sentence == "stop!"
        assert stage.notices[-1].text.startswith("orders#1: 10% was applied after the rollback")
        assert replay(stage.rollout, stage.store.history("orders#1")).consistent


def test_a_raise_that_lands_slowly_after_the_rollback_pages_and_is_undone_by_the_ticks(
    tmp_path: Path,
) -> None:
    with open_stage(tmp_path, scenario(function={"update_takes": "4m"})) as stage:
        start_during_a_throttled_rollback(stage)
        assert any("orders#1 is NOT at 0% any more" in notice.text for notice in stage.notices)
        stage.ticks(5)
        stage.world.clock.advance(AFTER_THE_WATCH)
        assert (stage.rollout.phase, stage.world.weight_now()) == (Phase.ROLLED_BACK, 0)


def test_another_weight_that_an_operator_set_after_the_rollback_is_left_alone(stage: Stage) -> None:
    rival = stage.another_runner()

    def roll_back_meanwhile() -> None:
        rival.roll_back("orders#1", "stop!")
        stage.world.set_variables("handler", {"PERCENTAGE": "40"})

    stage.world.interceptors.append(ActBefore(WRITE, roll_back_meanwhile))
    assert stage.start().phase is Phase.ROLLED_BACK
    stage.world.clock.advance(MINUTE)
    assert stage.world.weight_now() == 40


class Interrupted(BaseException):
    """Ctrl-C was pressed."""


def deny_the_write(stage: Stage) -> None:
    def deny(service: str, operation: str, request: Any, proceed: Proceed) -> AwsResponse:
        if (service, operation) == WRITE:
            stage.world.interceptors.remove(deny)
            raise client_error(operation, "AccessDeniedException", "not authorized")
        return proceed()

    stage.world.interceptors.append(deny)
    assert stage.runner.roll_back("orders#1", "enough").alerts == (Alert.ROLLBACK_UNCONFIRMED,)


def interrupt_the_rollback(stage: Stage) -> None:
    def interrupt() -> None:
        raise Interrupted

    def after_the_write() -> None:
        stage.world.interceptors.append(ActBefore(READ, interrupt))

    stage.world.interceptors.append(ActBefore(WRITE, after_the_write))
    with pytest.raises(Interrupted):
        stage.runner.roll_back("orders#1", "enough")


@pytest.mark.parametrize("happens", [deny_the_write, interrupt_the_rollback])
def test_a_manual_rollback_that_was_not_confirmed_is_continued_by_the_next_tick(
    stage: Stage, happens: Callable[[Stage], None]
) -> None:
    stage.start()
    happens(stage)
    assert stage.rollout.phase is Phase.ROLLING_BACK
    stage.world.clock.advance(MINUTE / 6)
    visit = stage.another_runner().visit("orders#1")
    assert (visit.busy, visit.rollout.phase) == (False, Phase.ROLLED_BACK)
    assert stage.world.weight_now() == 0
