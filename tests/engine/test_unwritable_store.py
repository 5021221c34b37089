"""A store that is read and not written: traffic may go down all the same, and nothing else."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from boto3.session import Session
from moto import mock_aws

from controller.adapters.stores.sqlite import SqliteStore
from controller.core.commands import Command, Verb
from controller.core.rollout import Phase, Reason, Rollout
from controller.engine.execute import Visit
from controller.errors import StoreError
from controller.simulation.fakes.errors import client_error
from tests.adapters.stores.odd_dynamodb import a_store
from tests.simulation.worlds import MINUTE, scenario
from tests.support.emulator import REGION
from tests.support.stage import WRITE, ReadOnlyStore, Stage, function_with, open_stage

SICK = [{"kind": "errors", "at": {"step": 1}, "server_errors": "20%"}]


def a_full_disk(stage: Stage, open_until: ExitStack) -> Callable[[], object]:
    return lambda: stage.use_store(ReadOnlyStore(stage.store))


def a_read_only_file(stage: Stage, open_until: ExitStack) -> Callable[[], object]:
    return lambda: stage.store._connection.execute("PRAGMA query_only = ON")


def a_table_that_may_only_be_read(stage: Stage, open_until: ExitStack) -> Callable[[], object]:
    """The role lost UpdateItem; TransactWriteItems needs it too."""
    open_until.enter_context(mock_aws())
    client = Session("test", "test", region_name=REGION).client("dynamodb")
    stage.use_store(a_store(client))

    def deny(model: Any, **_: Any) -> None:
        if model.name in ("UpdateItem", "TransactWriteItems"):
            raise client_error(model.name, "AccessDeniedException", "not authorized")

    return lambda: client.meta.events.register("before-call.dynamodb", deny)


PLACES = [a_full_disk, a_read_only_file, a_table_that_may_only_be_read]


@pytest.fixture(params=PLACES, ids=[one.__name__ for one in PLACES])
def started(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[..., Stage]]:
    """Return what starts a rollout in a world of these `events`, and loses the store then."""
    with ExitStack() as open_until:

        def start(*events: Any) -> Stage:
            played = scenario(function=function_with(), events=events)
            stage = open_until.enter_context(open_stage(tmp_path, played))
            lose = request.param(stage, open_until)
            stage.start()
            lose()
            return stage

        yield start


def stored(stage: Stage) -> Any:
    return stage.runner.store.load("orders#1")


def ticks(stage: Stage, number: int) -> list[Visit]:
    return [stage.tick("orders#1") for _ in range(number)]


def test_a_failing_canary_is_rolled_back_and_people_hear_of_it(
    started: Callable[..., Stage],
) -> None:
    stage = started(*SICK)
    visits = ticks(stage, 8)
    assert stage.world.weight_now() == 0
    assert all(visit.problem and not visit.saved for visit in visits)
    assert [one.text for one in stage.notices if "is rolling back to 0 %: works fails" in one.text]
    assert stored(stage).phase is Phase.PROGRESSING


def test_what_is_rolled_back_once_is_not_written_again(started: Callable[..., Stage]) -> None:
    stage = started(*SICK)
    ticks(stage, 8)
    told, writes = len(stage.notices), stage.writes
    ticks(stage, 8)
    assert (len(stage.notices), stage.writes) == (told, writes)


def test_a_healthy_canary_stays_where_it_is_and_each_tick_has_a_problem(
    started: Callable[..., Stage],
) -> None:
    stage = started()
    before, told = stored(stage), len(stage.notices)
    visits = ticks(stage, 8)
    assert (stage.world.weight_now(), stage.writes, len(stage.notices)) == (10, 1, told)
    assert [visit.rollout for visit in visits] == [before] * 8
    assert stored(stage) == before
    assert all(visit.problem and not visit.saved for visit in visits)


def test_a_rollback_by_hand_is_carried_out_and_read_back(started: Callable[..., Stage]) -> None:
    stage = started()
    visit = stage.runner.roll_back("orders#1", "support is paged")
    assert (visit.rollout.phase, visit.saved, stage.world.weight_now()) == (
        Phase.ROLLED_BACK, False, 0,
    )  # fmt: skip
    assert visit.problem


def test_other_verbs_of_people_change_nothing(started: Callable[..., Stage]) -> None:
    stage = started()
    with pytest.raises(StoreError):
        stage.runner.run_command("orders#1", Command(Verb.PROMOTE, "seen by eye"))
    assert stage.world.weight_now() == 10


class Leaseless:
    """A store that gives no lease, and takes every other write."""

    def __init__(self, store: Any) -> None:
        self._store = store

    def acquire(self, rollout_id: str, now: datetime, until: datetime) -> Rollout:
        raise StoreError("the table is throttled")

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)


def test_without_a_lease_nothing_is_raised_even_where_it_could_be_saved(tmp_path: Path) -> None:
    with open_stage(tmp_path) as stage:
        before = stage.start()
        stage.use_store(Leaseless(stage.store))
        visits = ticks(stage, 8)
        assert {visit.problem for visit in visits} == {"the table is throttled"}
        assert (stage.rollout, stage.world.weight_now()) == (before, 10)


def test_without_a_lease_a_rollback_is_recorded_where_it_can_be_and_the_problem_told(
    tmp_path: Path,
) -> None:
    with open_stage(tmp_path, scenario(function=function_with(), events=SICK)) as stage:
        stage.start()
        stage.use_store(Leaseless(stage.store))
        visits = ticks(stage, 8)
        recorded = [one for one in visits if one.saved]
        assert {one.rollout.reason for one in recorded} == {Reason.GATE_FAILED}
        assert {one.problem for one in visits} == {"the table is throttled"}
        assert (stage.rollout.phase, stage.world.weight_now()) == (Phase.ROLLED_BACK, 0)


def test_the_lease_that_a_rollback_was_recorded_with_is_given_back(tmp_path: Path) -> None:
    """The save of a move keeps a lease, also where none was acquired; the next tick goes on."""
    slow = scenario(function=function_with() | {"update_takes": "45s"}, events=SICK)
    with open_stage(tmp_path, slow) as stage, SqliteStore(stage.file, durable=False) as other:
        stage.start()
        ticks(stage, 2)
        stage.use_store(Leaseless(stage.store))
        while stage.rollout.phase is Phase.PROGRESSING:
            ticks(stage, 1)
        assert stage.rollout.phase is Phase.ROLLING_BACK
        now = stage.world.clock.now()
        assert other.acquire("orders#1", now, now + MINUTE).phase is Phase.ROLLING_BACK


def test_a_disk_that_fills_up_during_a_tick_raises_nothing(tmp_path: Path) -> None:
    """The lease finds room, and the decision does not."""
    with open_stage(tmp_path) as stage:
        stage.start()
        for _ in range(8):
            stage.use_store(ReadOnlyStore(stage.store, after=1))
            visit = stage.tick("orders#1")
            assert (visit.problem, visit.saved) == ("the disk is full", False)
            stage.store.release("orders#1")
        assert (stage.world.weight_now(), stage.rollout.weight) == (10, 10)


def test_what_cannot_be_recorded_and_not_be_lowered_either_is_an_alarm(tmp_path: Path) -> None:
    def deny(service: str, operation: str, request: Any, proceed: Any) -> Any:
        if (service, operation) == WRITE:
            raise client_error(operation, "AccessDeniedException", "not authorized")
        return proceed()

    with open_stage(tmp_path, scenario(function=function_with(), events=SICK)) as stage:
        stage.start()
        stage.use_store(ReadOnlyStore(stage.store))
        stage.world.interceptors.append(deny)
        assert ticks(stage, 6)[-1].alerts
