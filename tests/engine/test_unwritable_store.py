"""A store that can be read and not written: the weight may be lowered, and never raised."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from boto3.session import Session

from controller.adapters.stores.sqlite import SqliteStore
from controller.engine.execute import TickOutcome
from controller.tools.simulation.fakes.errors import client_error
from tests.adapters.stores.odd_dynamodb import a_store
from tests.support.core import Phase, Reason, StoreError
from tests.support.emulator import REGION
from tests.support.stage import (
    WRITE,
    PatchedStore,
    ReadOnlyStore,
    Stage,
    failing,
    function_with,
    open_stage,
)
from tests.tools.simulation.worlds import MINUTE, scenario

SICK = [{"kind": "errors", "at": {"step": 1}, "server_errors": "20%"}]


def full_disk(stage: Stage, open_until: ExitStack) -> Callable[[], object]:
    return lambda: stage.use_store(ReadOnlyStore(stage.store))


def read_only_file(stage: Stage, open_until: ExitStack) -> Callable[[], object]:
    return lambda: stage.store._connection.execute("PRAGMA query_only = ON")


def read_only_table(stage: Stage, open_until: ExitStack) -> Callable[[], object]:
    """The role lost UpdateItem; TransactWriteItems needs it too."""
    from moto import mock_aws

    open_until.enter_context(mock_aws())
    client = Session("test", "test", region_name=REGION).client("dynamodb")
    stage.use_store(a_store(client))

    def deny(model: Any, **_: Any) -> None:
        if model.name in ("UpdateItem", "TransactWriteItems"):
            raise client_error(model.name, "AccessDeniedException", "not authorized")

    return lambda: client.meta.events.register("before-call.dynamodb", deny)


UNWRITABLE_STORES = [
    full_disk,
    read_only_file,
    pytest.param(read_only_table, marks=pytest.mark.slow),
]


@pytest.fixture(params=UNWRITABLE_STORES)
def started(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[..., Stage]]:
    """Return a function that starts a rollout with `events`, and then makes the store fail."""
    with ExitStack() as open_until:

        def start(*events: Any) -> Stage:
            world = scenario(function=function_with(), events=events)
            stage = open_until.enter_context(open_stage(tmp_path, world))
            make_unwritable = request.param(stage, open_until)
            stage.start()
            make_unwritable()
            return stage

        yield start


def stored_rollout(stage: Stage) -> Any:
    return stage.runner.store.load("orders#1")


def ticks(stage: Stage, number: int) -> list[TickOutcome]:
    return [stage.tick("orders#1") for _ in range(number)]


def test_a_failing_canary_is_rolled_back_and_notified(
    started: Callable[..., Stage],
) -> None:
    stage = started(*SICK)
    visits = ticks(stage, 8)
    assert stage.world.weight_now() == 0
    assert all(visit.problem and not visit.saved for visit in visits)
    assert [
        notice.text
        for notice in stage.notices
        if "is rolling back to 0%: criterion works fails" in notice.text
    ]
    assert stored_rollout(stage).phase is Phase.PROGRESSING


def test_a_healthy_canary_keeps_its_weight_and_each_tick_has_a_problem(
    started: Callable[..., Stage],
) -> None:
    stage = started()
    before, notices = stored_rollout(stage), len(stage.notices)
    visits = ticks(stage, 8)
    assert (stage.world.weight_now(), stage.writes, len(stage.notices)) == (10, 1, notices)
    assert [visit.rollout for visit in visits] == [before] * 8
    assert stored_rollout(stage) == before
    assert all(visit.problem and not visit.saved for visit in visits)


def test_a_manual_rollback_is_executed_read_back_and_notified_once(
    started: Callable[..., Stage],
) -> None:
    stage = started()
    visit = stage.runner.roll_back("orders#1", "support is paged")
    assert (visit.rollout.phase, visit.saved, stage.world.weight_now()) == (
        Phase.ROLLED_BACK, False, 0,
    )  # fmt: skip
    assert visit.problem
    assert [
        notice.text for notice in stage.notices if "orders#1 is rolling back" in notice.text
    ] == ["orders#1 is rolling back to 0%: support is paged"]


def leaseless(stage: Stage) -> PatchedStore:
    """Return the store of `stage`, which gives no lease and accepts every other write."""
    return PatchedStore(stage.store, acquire=failing(StoreError("the table is throttled")))


def test_without_a_lease_nothing_is_raised_even_where_it_could_be_saved(tmp_path: Path) -> None:
    with open_stage(tmp_path) as stage:
        before = stage.start()
        stage.use_store(leaseless(stage))
        visits = ticks(stage, 8)
        assert {visit.problem for visit in visits} == {"the table is throttled"}
        assert (stage.rollout, stage.world.weight_now()) == (before, 10)


def test_without_a_lease_a_rollback_is_recorded_where_it_can_be_and_the_problem_reported(
    tmp_path: Path,
) -> None:
    with open_stage(tmp_path, scenario(function=function_with(), events=SICK)) as stage:
        stage.start()
        stage.use_store(leaseless(stage))
        visits = ticks(stage, 8)
        recorded = [visit for visit in visits if visit.saved]
        assert {one.rollout.reason for one in recorded} == {Reason.GATE_FAILED}
        assert {visit.problem for visit in visits} == {"the table is throttled"}
        assert (stage.rollout.phase, stage.world.weight_now()) == (Phase.ROLLED_BACK, 0)


def test_the_lease_that_a_rollback_was_recorded_with_is_released(tmp_path: Path) -> None:
    """The save of a move keeps a lease, also where none was acquired; the tick releases it."""
    slow = scenario(function=function_with() | {"update_takes": "45s"}, events=SICK)
    with open_stage(tmp_path, slow) as stage, SqliteStore(stage.file, durable=False) as other:
        stage.start()
        ticks(stage, 2)
        stage.use_store(leaseless(stage))
        while stage.rollout.phase is Phase.PROGRESSING:
            ticks(stage, 1)
        assert stage.rollout.phase is Phase.ROLLING_BACK
        now = stage.world.clock.now()
        assert other.acquire("orders#1", now, now + MINUTE).phase is Phase.ROLLING_BACK


def test_a_disk_that_fills_up_during_a_tick_raises_nothing(tmp_path: Path) -> None:
    """There is room for the lease, and none for the decision."""
    with open_stage(tmp_path) as stage:
        stage.start()
        for _ in range(8):
            stage.use_store(ReadOnlyStore(stage.store, after=1))
            visit = stage.tick("orders#1")
            assert (visit.problem, visit.saved) == ("the disk is full", False)
            stage.store.release("orders#1")
        assert (stage.world.weight_now(), stage.rollout.weight) == (10, 10)


def test_a_rollback_that_can_be_neither_written_nor_recorded_is_an_alert(tmp_path: Path) -> None:
    def deny(service: str, operation: str, request: Any, proceed: Any) -> Any:
        if (service, operation) == WRITE:
            raise client_error(operation, "AccessDeniedException", "not authorized")
        return proceed()

    with open_stage(tmp_path, scenario(function=function_with(), events=SICK)) as stage:
        stage.start()
        stage.use_store(ReadOnlyStore(stage.store))
        stage.world.interceptors.append(deny)
        assert ticks(stage, 6)[-1].alerts
