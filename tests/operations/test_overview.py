"""The rollouts of a store at a glance: which are read, and in how many reads."""

from collections.abc import Iterator, Sequence
from datetime import timedelta
from pathlib import Path

import pytest

from controller.adapters.stores.sqlite import SqliteStore, one_call_at_a_time
from controller.errors import StoreError
from controller.operations.overview import MAX_FINISHED, load_overview, load_rollouts
from controller.ports.store import Store
from tests.support.core import Phase, Rollout
from tests.support.rollouts import NOON, a_rollout, a_state
from tests.support.stage import PatchedStore


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """A store of 30 rollouts that are over, and 220 that are in progress."""
    with SqliteStore(tmp_path / "rollouts.db", durable=False) as file:
        for number in range(1, 251):
            state = a_state(Phase.SUCCEEDED if number <= 30 else Phase.PROGRESSING)
            created = NOON - timedelta(minutes=number)
            file.create(a_rollout(f"checkout#{number}", state=state, created=created), [], [])
        yield one_call_at_a_time(file)


def counting(store: Store, reads: list[Sequence[str]]) -> PatchedStore:
    """Return `store`, which adds the ids of each read to `reads`."""

    def load_all(ids: Sequence[str]) -> Sequence[Rollout | StoreError]:
        reads.append(ids)
        return store.load_all(ids)

    return PatchedStore(store, load_all=load_all)


def test_many_rollouts_are_read_by_the_hundred_and_stay_in_their_order(store: Store) -> None:
    reads: list[Sequence[str]] = []
    ids = store.all()
    found = load_rollouts(counting(store, reads), ids)
    assert tuple(one.id for one in found.rollouts) == ids
    assert sorted(map(len, reads)) == [50, 100, 100]


def test_a_page_reads_what_is_active_and_only_the_newest_of_the_others(store: Store) -> None:
    reads: list[Sequence[str]] = []
    overview = load_overview(counting(store, reads), NOON)
    assert sum(map(len, reads)) == len(overview.rollouts) == 220 + MAX_FINISHED
    assert overview.left_out == 30 - MAX_FINISHED
