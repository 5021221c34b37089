"""A store in a file for several threads: one call at a time."""

from typing import Any, cast

from controller.adapters.stores.sqlite import SqliteStore
from controller.ports.store import Store


class _OneCallAtATime:
    def __init__(self, store: SqliteStore) -> None:
        self._store = store

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._store, name)

        def call(*values: Any, **named: Any) -> Any:
            with self._store.in_use:
                return method(*values, **named)

        return call


def one_call_at_a_time(store: SqliteStore) -> Store:
    """Return `store`, of which each call waits for those of other threads.

    A connection of SQLite has one transaction at a time, and a call takes milliseconds.
    """
    return cast("Store", _OneCallAtATime(store))
