"""Carrying out what meets a rollback: whichever is later, traffic ends at 0 %."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from controller.core.commands import Command, Verb
from controller.core.decision import Alert
from controller.core.replay.replay import replay
from controller.core.rollout import Phase, Reason, Rollout
from controller.engine.execute import Visit
from controller.simulation.fakes.errors import client_error
from controller.simulation.fakes.outages import AwsResponse, Proceed
from tests.simulation.worlds import MINUTE, START, scenario
from tests.support.stage import READ, WRITE, ActBefore, Stage, open_stage, short_policy

GUARD_IS_OVER = timedelta(minutes=16)


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    with open_stage(tmp_path) as made:
        yield made


def a_person(stage: Stage) -> tuple[Callable[[], object], list[Visit]]:
    """Return how a person rolls back in another process, and what that person is told."""
    rival, told = stage.another_runner(), list[Visit]()
    return lambda: told.append(rival.roll_back("orders#1", "stop!")), told


# --- a freeze that comes first -------------------------------------------------------------------


def measuring_takes(stage: Stage, time: timedelta) -> None:
    """Let so much time pass while the next tick reads the metrics."""
    slow = ActBefore(("cloudwatch", "GetMetricData"), lambda: stage.world.clock.advance(time))
    stage.world.interceptors.append(slow)


def test_a_raise_that_a_freeze_comes_before_is_written_when_that_is_over(tmp_path: Path) -> None:
    """The tick of 09:05 decides it, and is done with its hooks and measurements at 09:06:30."""
    freeze = {"zone": "UTC", "daily": [{"from": "09:06", "to": "09:30"}]}
    with open_stage(tmp_path, policy=short_policy(freeze=freeze)) as stage:
        stage.start()
        stage.ticks(4)
        measuring_takes(stage, timedelta(seconds=90))
        writes = stage.writes
        after = stage.tick().rollout
        assert (after.weight, after.reason, stage.writes) == (100, Reason.FROZEN, writes)
        assert stage.world.weight_now() == 10
        assert [one.kind for one in stage.store.history("orders#1")][-2:] == ["advanced", "held_up"]
        assert "100 % was decided but not written; frozen until" in stage.notices[-1].text
        while stage.world.clock.now() < START + timedelta(minutes=29):
            stage.tick()
        assert stage.writes == writes
        stage.ticks(2)
        assert stage.world.weight_now() == 100
        assert replay(stage.rollout, stage.store.history("orders#1")).consistent


def test_what_is_lowered_waits_for_no_freeze(tmp_path: Path) -> None:
    freeze = {"zone": "UTC", "daily": [{"from": "09:02", "to": "09:30"}]}
    with open_stage(tmp_path, policy=short_policy(freeze=freeze)) as stage:
        stage.start()
        stage.world.set_variables("handler", {"PERCENTAGE": "60", "ENABLED": "false"})
        stage.ticks(3)
        stage.runner.run_command("orders#1", Command(Verb.RESUME, way="restore"))
        assert stage.world.weight_now() == 10


def test_what_a_person_insists_on_waits_for_no_freeze(tmp_path: Path) -> None:
    freeze = {"zone": "UTC", "daily": [{"from": "09:02", "to": "09:30"}]}
    with open_stage(tmp_path, policy=short_policy(freeze=freeze)) as stage:
        stage.start()
        stage.ticks(3)
        stage.runner.run_command("orders#1", Command(Verb.SET_WEIGHT, "a demo", weight=40))
        assert stage.variables["PERCENTAGE"] == "40"


# --- a rollback that comes first -----------------------------------------------------------------


def test_a_start_that_a_rollback_by_hand_overtakes_stays_at_0(stage: Stage) -> None:
    """0 % stood already, so the token of the raise would still fit if nothing was written."""
    rolls_back, told = a_person(stage)
    stage.world.interceptors.append(ActBefore(WRITE, rolls_back))
    rollout = stage.start()
    assert (told[0].rollout.phase, told[0].alerts) == (Phase.ROLLED_BACK, ())
    assert (rollout.phase, stage.world.weight_now()) == (Phase.ROLLED_BACK, 0)
    assert not any("came back" in one.text for one in stage.notices)
    stage.world.clock.advance(GUARD_IS_OVER)
    assert stage.world.weight_now() == 0


def test_a_raise_that_a_rollback_by_hand_overtakes_stays_at_0(stage: Stage) -> None:
    stage.start()
    rolls_back, told = a_person(stage)
    stage.world.interceptors.append(ActBefore(WRITE, rolls_back))
    visits = stage.ticks(6)
    assert told[0].rollout.phase is Phase.ROLLED_BACK
    assert (visits[-1].rollout.phase, stage.world.weight_now()) == (Phase.ROLLED_BACK, 0)


def test_a_rollback_of_a_weight_that_was_seen_at_0_writes_nothing(stage: Stage) -> None:
    stage.start()
    stage.world.set_variables("handler", {"PERCENTAGE": "0", "ENABLED": "false"})
    stage.world.clock.advance(MINUTE)
    writes = stage.writes
    assert stage.runner.roll_back("orders#1", "stop!").rollout.phase is Phase.ROLLED_BACK
    assert stage.writes == writes


# --- a rollback that could not outdate the raise -------------------------------------------------


def throttled(service: str, operation: str, request: Any, proceed: Proceed) -> AwsResponse:
    """Let no write pass."""
    if (service, operation) == WRITE:
        raise client_error(operation, "TooManyRequestsException", "slow down")
    return proceed()


def start_beside_a_rollback_that_writes_nothing(stage: Stage) -> Rollout:
    """Start, and meanwhile let a person roll back while Lambda takes no write of theirs."""
    rival = stage.another_runner()

    def meanwhile() -> None:
        stage.world.interceptors.append(throttled)
        assert rival.roll_back("orders#1", "stop!").rollout.phase is Phase.ROLLED_BACK
        stage.world.interceptors.remove(throttled)

    stage.world.interceptors.append(ActBefore(WRITE, meanwhile))
    return stage.start()


@pytest.mark.parametrize("takes", ["0s", "20s"])
def test_a_raise_that_lands_after_the_rollback_is_taken_back_at_once(
    tmp_path: Path, takes: str
) -> None:
    """0 % stood when the person looked, so the rollback was told as done."""
    with open_stage(tmp_path, scenario(function={"update_takes": takes})) as stage:
        rollout = start_beside_a_rollback_that_writes_nothing(stage)
        stage.world.clock.advance(GUARD_IS_OVER)
        assert (rollout.phase, stage.world.weight_now()) == (Phase.ROLLED_BACK, 0)
        assert stage.rollout.sentence == "stop!"
        assert stage.notices[-1].text.startswith("orders#1: 10 % came back after the rollback")
        assert replay(stage.rollout, stage.store.history("orders#1")).consistent


def test_a_raise_that_lands_slowly_after_the_rollback_pages_and_is_taken_back_by_the_ticks(
    tmp_path: Path,
) -> None:
    with open_stage(tmp_path, scenario(function={"update_takes": "4m"})) as stage:
        start_beside_a_rollback_that_writes_nothing(stage)
        assert any("orders#1 is NOT at 0 % any more" in one.text for one in stage.notices)
        stage.ticks(5)
        stage.world.clock.advance(GUARD_IS_OVER)
        assert (stage.rollout.phase, stage.world.weight_now()) == (Phase.ROLLED_BACK, 0)


def test_a_raise_that_lands_after_a_rollback_long_over_is_taken_back_too(stage: Stage) -> None:
    """The run was suspended between its save and its write, and nobody guards zero any more."""
    rival = stage.another_runner()

    def meanwhile() -> None:
        stage.world.interceptors.append(throttled)
        rival.roll_back("orders#1", "stop!")
        stage.world.interceptors.remove(throttled)
        stage.world.clock.advance(GUARD_IS_OVER)
        rival.tick(["orders#1"])

    stage.world.interceptors.append(ActBefore(WRITE, meanwhile))
    assert (stage.start().phase, stage.world.weight_now()) == (Phase.ROLLED_BACK, 0)


def test_a_raise_whose_answer_is_lost_is_looked_after_too(stage: Stage) -> None:
    """It may have been written: what the store says decides what is done about it."""
    rival = stage.another_runner()

    def lost(service: str, operation: str, request: Any, proceed: Proceed) -> AwsResponse:
        if (service, operation) != WRITE:
            return proceed()
        stage.world.interceptors.remove(lost)
        proceed()
        stage.world.interceptors.append(throttled)
        rival.roll_back("orders#1", "stop!")
        stage.world.interceptors.remove(throttled)
        raise client_error(operation, "ServiceException", "an answer was lost")

    stage.world.interceptors.append(lost)
    rollout = stage.start()
    assert (rollout.phase, stage.world.weight_now()) == (Phase.ROLLED_BACK, 0)


def test_a_person_who_set_another_weight_after_the_rollback_is_left_alone(stage: Stage) -> None:
    rival = stage.another_runner()

    def meanwhile() -> None:
        rival.roll_back("orders#1", "stop!")
        stage.world.set_variables("handler", {"PERCENTAGE": "40"})

    stage.world.interceptors.append(ActBefore(WRITE, meanwhile))
    assert stage.start().phase is Phase.ROLLED_BACK
    stage.world.clock.advance(MINUTE)
    assert stage.world.weight_now() == 40


# --- what a rollback by hand leaves behind -------------------------------------------------------


class Interrupted(BaseException):
    """Somebody pressed Ctrl-C."""


def denied(stage: Stage) -> None:
    def deny(service: str, operation: str, request: Any, proceed: Proceed) -> AwsResponse:
        if (service, operation) == WRITE:
            stage.world.interceptors.remove(deny)
            raise client_error(operation, "AccessDeniedException", "not authorized")
        return proceed()

    stage.world.interceptors.append(deny)
    assert stage.runner.roll_back("orders#1", "limit").alerts == (Alert.ROLLBACK_UNCONFIRMED,)


def interrupted(stage: Stage) -> None:
    def interrupt() -> None:
        raise Interrupted

    def after_the_write() -> None:
        stage.world.interceptors.append(ActBefore(READ, interrupt))

    stage.world.interceptors.append(ActBefore(WRITE, after_the_write))
    with pytest.raises(Interrupted):
        stage.runner.roll_back("orders#1", "limit")


@pytest.mark.parametrize("happens", [denied, interrupted])
def test_a_rollback_by_hand_that_was_not_confirmed_is_taken_up_by_the_next_tick(
    stage: Stage, happens: Callable[[Stage], None]
) -> None:
    stage.start()
    happens(stage)
    assert stage.rollout.phase is Phase.ROLLING_BACK
    stage.world.clock.advance(MINUTE / 6)
    visit = stage.another_runner().visit("orders#1")
    assert (visit.busy, visit.rollout.phase) == (False, Phase.ROLLED_BACK)
    assert stage.world.weight_now() == 0
