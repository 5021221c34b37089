"""A record moves a target only while the store says that it owns the target, on both stores.

The forged record is a real one, with its whole history, in a store where it owns nothing.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from controller.engine.slices import TickResult
from controller.errors import Exit, NotOwnerError, StoreError
from controller.immutable import replace
from controller.ports.store import Store
from tests.support.core import Phase
from tests.support.deep_rows import FILE_AND_TABLE
from tests.support.rollouts import a_rollout, a_state
from tests.support.stage import PatchedStore, Stage, failing, function_with, open_stage
from tests.tools.simulation.worlds import HOUR, MINUTE, scenario

SICK: list[dict[str, object]] = [{"kind": "errors", "at": {"step": 1}, "server_errors": "20%"}]


HEALTHY: list[dict[str, object]] = []


@pytest.fixture
def stage(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Stage]:
    """Yield a stage at 10%: the next minutes raise a healthy canary and lower a sick one."""
    played = scenario(function=function_with(), events=getattr(request, "param", HEALTHY))
    with open_stage(tmp_path, played) as stage:
        stage.start()
        stage.tick_until(10)
        yield stage


def copy(stage: Stage, store: Store, locks: Sequence[str]) -> None:
    """Copy the newest rollout of `stage` into `store` with these locks, and use that store."""
    stage.use_store(store)
    store.receive(stage.rollout, stage.store.history(stage.rollout.id), locks)


def tick(stage: Stage, minutes: int) -> TickResult:
    """Tick every minute, as the scheduled task does; return the result of the last tick."""
    results = list[TickResult]()
    for _ in range(minutes):
        stage.world.clock.advance(MINUTE)
        results.append(stage.runner.tick_active(early=True))
    return results[-1]


@pytest.mark.parametrize(("stage", "weight"), [(HEALTHY, "100"), (SICK, "0")], indirect=["stage"])
def test_a_record_that_owns_its_target_moves_it(
    stage: Stage, empty_store: Store, weight: str
) -> None:
    copy(stage, empty_store, stage.rollout.locks)
    tick(stage, 10)
    assert stage.variables["PERCENTAGE"] == weight


@pytest.mark.parametrize("empty_store", FILE_AND_TABLE, indirect=True)
@pytest.mark.parametrize("stage", [HEALTHY, SICK], indirect=True)
@pytest.mark.parametrize("owner", [None, "search#1"])
def test_a_record_that_owns_nothing_moves_nothing(
    stage: Stage, empty_store: Store, owner: str | None
) -> None:
    copy(stage, empty_store, [])
    if owner is not None:
        taken = a_rollout(owner, a_state(Phase.ROLLED_BACK))
        empty_store.create(taken, [], stage.rollout.locks)
    writes = stage.writes
    result = tick(stage, 10)
    (skip,) = result.skips
    assert (skip.rollout_id, stage.writes) == ("orders#1", writes)
    assert isinstance(skip.error, NotOwnerError)
    assert skip.error.context.get("owner") == owner
    assert result.status == Exit.INTERNAL


@pytest.mark.parametrize(("stage", "weight"), [(HEALTHY, "10"), (SICK, "0")], indirect=["stage"])
def test_owners_that_cannot_be_read_delay_a_raise_and_no_rollback(
    stage: Stage, empty_store: Store, weight: str
) -> None:
    copy(stage, empty_store, [])
    stage.use_store(PatchedStore(empty_store, owners_and_requests=failing(StoreError("throttled"))))
    saved = empty_store.load("orders#1").updated
    result = tick(stage, 1)
    assert result.status == Exit.INTERNAL
    assert empty_store.load("orders#1").updated == saved
    tick(stage, 9)
    assert stage.variables["PERCENTAGE"] == weight


def test_a_target_that_was_taken_over_between_the_lease_and_the_save_is_not_raised(
    stage: Stage, empty_store: Store
) -> None:
    copy(stage, empty_store, [])
    known = dict.fromkeys(stage.rollout.locks, stage.rollout.id)
    stage.use_store(PatchedStore(empty_store, owners_and_requests=lambda *_: (known, {})))
    tick(stage, 10)
    assert stage.variables["PERCENTAGE"] == "10"


@pytest.mark.parametrize(("locks", "weight"), [((), "0"), (("another/lock",), "10")])
def test_an_ended_record_is_held_to_the_locks_of_its_policy_and_not_to_its_own(
    stage: Stage, empty_store: Store, locks: tuple[str, ...], weight: str
) -> None:
    real = stage.rollout
    watched = stage.world.clock.now() + HOUR
    ended = a_state(Phase.ROLLED_BACK, real.policy, since=real.updated, watch_until=watched)
    stage.use_store(empty_store)
    empty_store.receive(
        replace(real, state=ended), stage.store.history(real.id), locks or real.locks
    )
    tick(stage, 3)
    assert stage.variables["PERCENTAGE"] == weight
