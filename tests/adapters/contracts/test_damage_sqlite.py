"""A damaged row is refused by name, and does not affect other rows."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from controller.adapters.stores.sqlite import SqliteStore
from controller.errors import StoreError, TargetTakenError
from tests.adapters.contracts.damage import DamageContract, Damaged
from tests.adapters.contracts.store import LATER, LOCK, check_long_holder, save_changes, started
from tests.support.core import Rollout
from tests.support.damage import SQLITE_DAMAGES
from tests.support.rollouts import NOON, a_rollout


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state.db"


def damage(path: Path, name: str, rollout_id: str = "checkout#1") -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        SQLITE_DAMAGES[name](connection, rollout_id)


class TestDamagedRows(DamageContract):
    """Each damage to a row: the row is refused, the other one works."""

    names = tuple(SQLITE_DAMAGES)

    @pytest.fixture
    def damaged(self, path: Path) -> Iterator[Damaged]:
        with SqliteStore(path) as store:
            yield Damaged(store, lambda name: damage(path, name))


@pytest.mark.parametrize("column", ["id", "name"])
def test_an_id_of_bytes_that_are_not_utf_8_is_listed_and_refused(path: Path, column: str) -> None:
    with SqliteStore(path) as store:
        started(store, a_rollout("checkout#1"))
        other = started(store, a_rollout("search#1"))
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("PRAGMA foreign_keys = OFF")
        statement = f"UPDATE rollouts SET {column} = CAST(x'6f72ff2331' AS TEXT) WHERE id = ?"  # noqa: S608
        connection.execute(statement, ("checkout#1",))
    with SqliteStore(path) as store:
        ids = store.active(NOON)
        assert set(ids) == set(store.all())
        assert "search#1" in ids
        (odd,) = {*ids} - {"search#1"}
        assert odd.isascii()
        if column == "id":
            with pytest.raises(StoreError, match="is damaged"):
                store.acquire(odd, NOON, LATER)
            with pytest.raises(StoreError, match="is damaged"):
                store.load(odd)
        assert store.load("search#1") == other


def test_a_holder_with_a_long_id_is_named_in_short_and_once(path: Path) -> None:
    long = "x" * 300_000
    with SqliteStore(path) as store:
        started(store, a_rollout("checkout#1"), LOCK)
        with closing(sqlite3.connect(path)) as connection, connection:
            connection.execute("PRAGMA foreign_keys = OFF")
            connection.execute("UPDATE rollouts SET id = ?", [long])
            connection.execute("UPDATE locks SET rollout = ?", [long])
        check_long_holder(store)
        assert [len(one) for one in store.active(NOON)] == [124]
        with pytest.raises(StoreError, match="is damaged"):
            store.load(*store.active(NOON))


def _open_rollout(store: SqliteStore) -> Rollout:
    return started(store, a_rollout("checkout#1"), LOCK)


@pytest.mark.parametrize(
    "name", ["closed: while it goes on", "closed: neither 0 nor 1", "closed: below 0"]
)
def test_an_open_rollout_keeps_its_target_despite_damaged_columns(path: Path, name: str) -> None:
    with SqliteStore(path) as store:
        _open_rollout(store)
        damage(path, name)
        with pytest.raises(TargetTakenError, match="checkout#1"):
            started(store, a_rollout("search#1"), LOCK)


def test_a_lock_of_a_rollout_that_is_gone_gives_way(path: Path) -> None:
    with SqliteStore(path) as store:
        _open_rollout(store)
        damage(path, "lock: of a rollout that is gone")
        assert store.owner(LOCK) == "gone#1"
        started(store, a_rollout("search#1"), LOCK)
        assert store.owner(LOCK) == "search#1"


@pytest.mark.parametrize("name", ["exposed_from: no time", "exposed_to: not UTF-8"])
def test_an_exposure_of_unknown_length_counts_as_a_whole(path: Path, name: str) -> None:
    with SqliteStore(path) as store:
        for one in ("checkout#1", "search#1"):
            rollout = a_rollout(one, target="fn", exposed_to=NOON)
            save_changes(store, started(store, rollout))
        damage(path, name)
        known = {one: (begin, end) for one, begin, end in store.exposures("fn", [])}
    assert known["search#1"] == (NOON, NOON)
    assert known["checkout#1"] == (NOON, NOON if name.startswith("exposed_from") else None)
