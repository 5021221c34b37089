"""One run at a time works on a rollout: ticks skip it, commands wait, and rollbacks do not wait."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from controller.adapters.stores.sqlite import SqliteStore
from controller.engine.lease import load_for_rollback
from controller.engine.time_limits import LEASE_DURATION
from controller.errors import (
    LeaseHeldError,
    StateConflictError,
    StoreError,
    UnknownRolloutError,
    UsageError,
)
from controller.operations.start import StartRequest, start
from controller.tools.simulation.fakes.errors import AwsResponse, Proceed
from tests.support.core import Command, Phase, Reason, Rollout, Verb
from tests.support.rollouts import with_state
from tests.support.stage import (
    METRICS,
    WRITE,
    ActBefore,
    PatchedStore,
    Stage,
    failing,
    function_with,
    open_stage,
    short_policy,
)
from tests.tools.simulation.worlds import MINUTE, POLICY, scenario

SECOND = timedelta(seconds=1)
PAUSE = Command(Verb.PAUSE, "lunch")


class Crash(BaseException):
    """The process is gone."""


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    """A stage with a rollout at 10%."""
    with open_stage(tmp_path) as opened:
        opened.start()
        yield opened


@pytest.fixture
def other(stage: Stage) -> Iterator[SqliteStore]:
    """The same store, as another process opens it."""
    with SqliteStore(stage.file, durable=False) as opened:
        yield opened


def lease_elsewhere(
    stage: Stage, other: SqliteStore, length: timedelta = LEASE_DURATION
) -> Rollout:
    """Let another run lease the rollout for `length`."""
    now = stage.world.clock.now()
    return other.acquire("orders#1", now, now + length)


def is_free(stage: Stage, other: SqliteStore) -> bool:
    """Tell whether another run could lease the rollout now."""
    try:
        lease_elsewhere(stage, other)
    except LeaseHeldError:
        return False
    other.release("orders#1")
    return True


# --- ticks --------------------------------------------------------------------------------------


def test_a_tick_of_a_leased_rollout_is_busy_and_changes_nothing(
    stage: Stage, other: SqliteStore
) -> None:
    before = lease_elsewhere(stage, other)
    calls = stage.world.calls.copy()
    visit = stage.tick()
    assert (visit.busy, visit.rollout, visit.problem) == (True, before, "")
    assert (stage.rollout, stage.world.calls) == (before, calls)


def test_a_tick_visits_a_free_rollout_and_skips_a_leased_one(
    stage: Stage, other: SqliteStore
) -> None:
    stage.world.add_function("payments", {"PERCENTAGE": "0", "ENABLED": "false"})
    target = {**POLICY["target"], "function": "payments"}
    start(stage.runner, StartRequest(short_policy(name="payments", target=target)))
    lease_elsewhere(stage, other)
    stage.world.clock.advance(3 * MINUTE - LEASE_DURATION)
    visits = stage.runner.tick(["orders#1", "payments#1"]).visits
    assert {visit.rollout.id: visit.busy for visit in visits} == {
        "payments#1": False,
        "orders#1": True,
    }


def test_a_rollout_that_is_leased_and_damaged_stops_no_other(
    stage: Stage, other: SqliteStore
) -> None:
    stage.world.add_function("payments", {"PERCENTAGE": "0", "ENABLED": "false"})
    target = {**POLICY["target"], "function": "payments"}
    second = start(stage.runner, StartRequest(short_policy(name="payments", target=target))).rollout
    lease_elsewhere(stage, other)
    with closing(sqlite3.connect(stage.file)) as connection, connection:
        connection.execute("UPDATE rollouts SET state = 'no JSON' WHERE id = 'orders#1'")
    stage.world.clock.advance(MINUTE)
    (skip,) = stage.runner.tick(["orders#1", "payments#1"]).skips
    assert (skip.rollout_id, "orders#1 is damaged" in str(skip.error)) == ("orders#1", True)
    assert stage.store.load(second.id).updated == stage.world.clock.now()


def test_a_tick_keeps_its_lease_while_it_waits_for_a_raise_to_be_applied(tmp_path: Path) -> None:
    with (
        open_stage(tmp_path, scenario(function={"update_takes": "20s"})) as stage,
        SqliteStore(stage.file, durable=False) as other,
    ):
        stage.start()
        free: list[bool] = []
        after_write = ActBefore(
            ("lambda", "GetFunctionConfiguration"), lambda: free.append(is_free(stage, other))
        )
        stage.world.interceptors.append(
            ActBefore(WRITE, lambda: stage.world.interceptors.append(after_write))
        )
        stage.tick_until(100)
        assert free == [False]
        assert is_free(stage, other)


def test_a_start_keeps_its_lease_to_its_end(tmp_path: Path) -> None:
    with open_stage(tmp_path) as stage, SqliteStore(stage.file, durable=False) as other:
        free: list[bool] = []
        stage.world.interceptors.append(
            ActBefore(WRITE, lambda: free.append(is_free(stage, other)))
        )
        stage.start()
        assert free == [False]
        assert is_free(stage, other)


def test_a_tick_that_crashes_releases_its_lease(stage: Stage, other: SqliteStore) -> None:
    def crash() -> None:
        raise Crash

    stage.world.interceptors.append(ActBefore(METRICS, crash))
    with pytest.raises(Crash):
        stage.tick(after=3 * MINUTE)
    assert is_free(stage, other)


def test_a_tick_of_an_unknown_rollout_releases_the_other_leases(
    stage: Stage, other: SqliteStore
) -> None:
    with pytest.raises(UnknownRolloutError):
        stage.tick("orders#1", "orders#7")
    assert is_free(stage, other)


def test_the_lease_of_a_run_that_was_killed_is_over_after_two_minutes(
    stage: Stage, other: SqliteStore
) -> None:
    lease_elsewhere(stage, other)
    assert stage.tick(after=2 * MINUTE - SECOND).busy
    visit = stage.tick(after=SECOND)
    assert (visit.busy, visit.rollout.updated) == (False, stage.world.clock.now())


def test_a_lease_that_cannot_be_released_stops_nothing(stage: Stage) -> None:
    unreleasable = failing(StoreError("the disk is gone"))
    stage.use_store(PatchedStore(stage.store, release=unreleasable))
    assert stage.tick(after=3 * MINUTE).problem == ""


def test_a_tick_that_loses_the_race_for_the_lease_is_busy_and_no_error(stage: Stage) -> None:
    contended = failing(StateConflictError("others wrote at the same moment, 6 times"))
    stage.use_store(PatchedStore(stage.store, acquire=contended))
    visit = stage.tick()
    assert (visit.busy, visit.problem, visit.rollout) == (True, "", stage.rollout)


def test_a_lease_by_a_clock_hours_ahead_stops_no_tick(stage: Stage, other: SqliteStore) -> None:
    """The run that has it was killed, and other runs would wait for hours."""
    ahead = stage.world.clock.now() + timedelta(hours=6)
    other.acquire("orders#1", ahead, ahead + LEASE_DURATION)
    assert not stage.tick().busy


# --- commands -----------------------------------------------------------------------------------


def test_a_command_waits_for_a_tick_and_is_then_applied(stage: Stage, other: SqliteStore) -> None:
    begin = stage.world.clock.now()
    lease_elsewhere(stage, other)
    stage.world.clock.at(begin + 20 * SECOND, lambda: other.release("orders#1"))
    visit = stage.runner.run_command("orders#1", PAUSE)
    assert (visit.busy, visit.rollout.phase) == (False, Phase.PAUSED)
    assert visit.rollout.since == begin + 20 * SECOND
    assert is_free(stage, other)


def test_a_command_is_applied_to_the_state_that_the_tick_saved(
    stage: Stage, other: SqliteStore
) -> None:
    rollout = lease_elsewhere(stage, other)

    def save() -> None:
        other.save(with_state(rollout, sentence="the tick was here"), [])

    stage.world.clock.at(stage.world.clock.now() + 5 * SECOND, save)
    assert stage.runner.run_command("orders#1", PAUSE).rollout.version == rollout.version + 2


def test_a_command_gives_up_after_two_minutes_and_changes_nothing(
    stage: Stage, other: SqliteStore
) -> None:
    begin, before = stage.world.clock.now(), stage.rollout

    def lease_again() -> None:
        lease_elsewhere(stage, other)

    lease_elsewhere(stage, other)
    stage.world.clock.at(begin + MINUTE, lease_again)
    with pytest.raises(LeaseHeldError, match="orders#1"):
        stage.runner.run_command("orders#1", PAUSE)
    assert stage.world.clock.now() == begin + LEASE_DURATION
    assert stage.rollout == before


def test_a_command_that_does_not_fit_releases_its_lease_and_changes_nothing(
    stage: Stage, other: SqliteStore
) -> None:
    before = stage.rollout
    with pytest.raises(UsageError, match="the rollout is progressing; allowed now:"):
        stage.runner.run_command("orders#1", Command(Verb.RESUME))
    assert stage.rollout == before
    assert is_free(stage, other)


def test_a_command_that_a_rollback_precedes_changes_nothing(stage: Stage) -> None:
    rival = stage.another_runner()

    def roll_back_first() -> None:
        rival.roll_back("orders#1", "support is paged")

    stage.world.interceptors.append(ActBefore(METRICS, roll_back_first))
    stage.world.clock.advance(3 * MINUTE)
    with pytest.raises(StateConflictError, match="orders#1"):
        stage.runner.run_command("orders#1", Command(Verb.PROMOTE, "hurry"))
    assert (stage.rollout.phase, stage.world.weight_now()) == (Phase.ROLLED_BACK, 0)


# --- rollbacks ----------------------------------------------------------------------------------


def test_a_rollback_does_not_wait_and_takes_the_lease(stage: Stage, other: SqliteStore) -> None:
    leased, begin = lease_elsewhere(stage, other), stage.world.clock.now()
    visit = stage.runner.roll_back("orders#1", "support is paged")
    assert (visit.rollout.phase, visit.saved) == (Phase.ROLLED_BACK, True)
    assert stage.world.clock.now() - begin < MINUTE
    with pytest.raises(StateConflictError):
        other.save(with_state(leased, sentence="I was here first"), [])


def test_a_tick_whose_lease_was_taken_over_still_records_its_rollback(tmp_path: Path) -> None:
    sick = [{"kind": "errors", "at": {"step": 1}, "server_errors": "20%"}]
    with (
        open_stage(tmp_path, scenario(function=function_with(), events=sick)) as stage,
        SqliteStore(stage.file, durable=False) as other,
    ):
        stage.start()

        def take_the_lease_over(
            service: str, operation: str, request: Any, proceed: Proceed
        ) -> AwsResponse:
            if (service, operation) == WRITE:
                stage.world.clock.advance(LEASE_DURATION)
                lease_elsewhere(stage, other)
                stage.world.interceptors.remove(take_the_lease_over)
            return proceed()

        stage.world.interceptors.append(take_the_lease_over)
        visits = stage.ticks(5)
        visit = next(one for one in visits if one.rollout.phase is not Phase.PROGRESSING)
        assert (visit.saved, visit.busy, stage.world.weight_now()) == (True, False, 0)
        assert stage.rollout.reason is Reason.GATE_FAILED


def test_a_rollback_with_a_changed_policy_reads_the_first_entry_alone(stage: Stage) -> None:
    with closing(sqlite3.connect(stage.file)) as file, file:
        file.execute("UPDATE rollouts SET policy = policy || ' '")
    read = list[object]()

    def history(rollout_id: str, most: int | None = None) -> object:
        read.append(most)
        return stage.store.history(rollout_id, most)

    assert load_for_rollback(PatchedStore(stage.store, history=history), "orders#1").changed_policy
    assert read == [1]
