"""A store in a file for several threads: one call at a time."""

import threading
from typing import Any, cast

from controller.ports.store import Store


class _OneCallAtATime:
    def __init__(self, store: Store) -> None:
        self._store, self._lock = store, threading.RLock()

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._store, name)

        def call(*values: Any, **named: Any) -> Any:
            with self._lock:
                return method(*values, **named)

        return call


def one_call_at_a_time(store: Store) -> Store:
    """Return `store`, of which each call waits for those of other threads.

    A connection of SQLite has one transaction at a time, and a call takes milliseconds.
    """
    return cast("Store", _OneCallAtATime(store))
