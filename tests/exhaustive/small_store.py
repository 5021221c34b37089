"""The store of a small world, which can be restored."""

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
    """The rows of the store, and the memory of its store objects.

    rollouts, history, locks: the rows of each table. fences: the fences that each process holds.
    """

    rollouts: tuple[tuple[Any, ...], ...] = ()
    history: tuple[tuple[Any, ...], ...] = ()
    locks: tuple[tuple[Any, ...], ...] = ()
    fences: tuple[tuple[str, Any], ...] = ()

    def without(self, process: str) -> "StoreState":
        """Return the state without the memory of `process`, which has ended."""
        return self._replace(fences=tuple(fence for fence in self.fences if fence[0] != process))

    @property
    def rows(self) -> tuple[Any, ...]:
        """The rows of all tables."""
        return self[:3]


class ProcessStores:
    """One SQLite file, and the store object of each process."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "rollouts.db"
        self._open: dict[str, SqliteStore] = {}
        self._cached_rows: tuple[int, tuple[Any, ...]] | None = None

    def of(self, process: str) -> SqliteStore:
        """Return the store as `process` has it open."""
        if process not in self._open:
            store = SqliteStore(self._file, durable=False)
            _set_private(store, "_holder", process)
            self._open[process] = store
        return self._open[process]

    def close(self) -> None:
        """Close every store."""
        for store in self._open.values():
            store.close()

    def snapshot(self) -> StoreState:
        """Return the current state."""
        fences_by_process = {name: _fences(store) for name, store in sorted(self._open.items())}
        held_fences = tuple(
            (name, tuple(fences.items())) for name, fences in fences_by_process.items() if fences
        )
        rollouts, history, locks = self._rows()
        return StoreState(rollouts, history, locks, held_fences)

    def restore(self, state: StoreState) -> None:
        """Restore `state`."""
        fences_by_process: Mapping[str, Any] = dict(state.fences)
        for name, store in self._open.items():
            _set_private(store, "_fences", dict(fences_by_process.get(name, ())))
        if state.rows != self._rows():
            self._write(state.rows)

    def _rows(self) -> tuple[Any, ...]:
        connection = vars(self.of(_INSPECTOR))["_connection"]
        changes = _data_version(connection)
        if self._cached_rows is None or self._cached_rows[0] != changes:
            tables = _TABLES.values()
            self._cached_rows = (
                changes,
                tuple(tuple(connection.execute(table).fetchall()) for table in tables),
            )
        return self._cached_rows[1]

    def _write(self, rows: tuple[Any, ...]) -> None:
        connection = vars(self.of(_INSPECTOR))["_connection"]
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("PRAGMA defer_foreign_keys = ON")
        for table, table_rows in zip(_TABLES, rows, strict=True):
            connection.execute(f"DELETE FROM {table}")  # noqa: S608 - three names from above
            if table_rows:
                places = ", ".join("?" * len(table_rows[0]))
                connection.executemany(f"INSERT INTO {table} VALUES ({places})", table_rows)  # noqa: S608
        connection.execute("COMMIT")
        self._cached_rows = _data_version(connection), rows


def _data_version(connection: Any) -> int:
    """Return a number that changes when another connection has changed the file."""
    (version,) = connection.execute("PRAGMA data_version").fetchone()
    return int(version)


def _set_private(store: SqliteStore, name: str, value: object) -> None:
    """Set a private attribute. Raises AssertionError when the store has none of this name."""
    assert name in vars(store), name
    vars(store)[name] = value


def _fences(store: SqliteStore) -> dict[str, int]:
    fences: dict[str, int] = vars(store)["_fences"]
    return fences
