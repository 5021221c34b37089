"""Stores in SQLite files: opened and created."""

from collections.abc import Iterator
from contextlib import contextmanager

from controller.adapters.stores.sqlite import SqliteStore
from controller.adapters.stores.sqlite.file import store_errors
from controller.errors import NoStoreError
from controller.ports.store import Store
from controller.process.settings import SqliteLocation


@contextmanager
def store_at(place: SqliteLocation, *, must_exist: bool, writes: bool) -> Iterator[Store]:
    """Yield the store at `place`, as `stores.store_at` says."""
    if must_exist:
        _check(place)
    with SqliteStore(place.path, create=writes) as store:
        yield store


def create(place: SqliteLocation) -> bool:
    """Create the store at `place`; return False when it exists. Raises StoreError."""
    with store_errors(place.path, "make the store"):
        new = not place.path.exists()
    with SqliteStore(place.path):
        return new


def _check(place: SqliteLocation) -> None:
    """Raise NoStoreError without a file: a mistyped path must not look like an empty store."""
    with store_errors(place.path, "open the store"):
        if not place.path.exists():
            raise NoStoreError(
                f"there is no store at {place.path}; check --store and ROLLOUTCTL_STORE "
                "(`rolloutctl store init` makes a new one, without any rollout)",
                store=place.url,
            )
