"""The store of a small world, which can be put back to what it held."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

from controller.adapters.stores.sqlite import SqliteStore

_TABLES: Final = {
    "rollouts": "SELECT * FROM rollouts ORDER BY id",
    "history": "SELECT * FROM history ORDER BY rollout, seq",
    "locks": "SELECT * FROM locks ORDER BY lock",
}
_INSPECTOR: Final = "keeper"


class StoreState(NamedTuple):
    """What is stored, and what store objects remember of it.

    rollouts, history, locks: the rows of each table. fences: the fences that each process holds.
    """

    rollouts: tuple[tuple[Any, ...], ...] = ()
    history: tuple[tuple[Any, ...], ...] = ()
    locks: tuple[tuple[Any, ...], ...] = ()
    fences: tuple[tuple[str, Any], ...] = ()

    def without(self, process: str) -> "StoreState":
        """Return it once `process` is gone, with all that only it could remember."""
        return self._replace(fences=tuple(one for one in self.fences if one[0] != process))

    @property
    def rows(self) -> tuple[Any, ...]:
        """The rows of all tables."""
        return self[:3]


class ProcessStores:
    """One file, and the store object of each process."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "rollouts.db"
        self._open: dict[str, SqliteStore] = {}
        self._cached_rows: tuple[int, tuple[Any, ...]] | None = None

    def of(self, process: str) -> SqliteStore:
        """Return the store as `process` has it open."""
        if process not in self._open:
            store = SqliteStore(self._file, durable=False)
            vars(store)["_holder"] = process
            self._open[process] = store
        return self._open[process]

    def close(self) -> None:
        """Close every store."""
        for store in self._open.values():
            store.close()

    def snapshot(self) -> StoreState:
        """Return everything as it stands."""
        held = {name: _fences(store) for name, store in sorted(self._open.items())}
        memories = tuple((name, tuple(fences.items())) for name, fences in held.items() if fences)
        rollouts, history, locks = self._rows()
        return StoreState(rollouts, history, locks, memories)

    def restore(self, state: StoreState) -> None:
        """Make everything as it was."""
        known: Mapping[str, Any] = dict(state.fences)
        for name, store in self._open.items():
            vars(store)["_fences"] = dict(known.get(name, ()))
        if state.rows != self._rows():
            self._write(state.rows)

    def _rows(self) -> tuple[Any, ...]:
        keeper = vars(self.of(_INSPECTOR))["_connection"]
        changes = _data_version(keeper)
        if self._cached_rows is None or self._cached_rows[0] != changes:
            tables = _TABLES.values()
            self._cached_rows = (
                changes,
                tuple(tuple(keeper.execute(one).fetchall()) for one in tables),
            )
        return self._cached_rows[1]

    def _write(self, rows: tuple[Any, ...]) -> None:
        keeper = vars(self.of(_INSPECTOR))["_connection"]
        keeper.execute("BEGIN IMMEDIATE")
        keeper.execute("PRAGMA defer_foreign_keys = ON")
        for table, kept in zip(_TABLES, rows, strict=True):
            keeper.execute(f"DELETE FROM {table}")  # noqa: S608 - three names from above
            if kept:
                places = ", ".join("?" * len(kept[0]))
                keeper.executemany(f"INSERT INTO {table} VALUES ({places})", kept)  # noqa: S608
        keeper.execute("COMMIT")
        self._cached_rows = _data_version(keeper), rows


def _data_version(keeper: Any) -> int:
    """Return a number that is another one once anybody else has changed the file."""
    (version,) = keeper.execute("PRAGMA data_version").fetchone()
    return int(version)


def _fences(store: SqliteStore) -> dict[str, int]:
    fences: dict[str, int] = vars(store)["_fences"]
    return fences
