"""Stores in SQLite files: opened and created."""

from collections.abc import Iterator
from contextlib import contextmanager
from shlex import quote

from controller.adapters.stores.sqlite import SqliteStore
from controller.adapters.stores.sqlite.file import store_errors
from controller.errors import NoStoreError
from controller.ports.store import Store
from controller.process.settings import FROM_OPTION, STORE_OPTION, STORE_VARIABLE, SqliteLocation


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
            raise NoStoreError(_missing_text(place), store=place.url)


def _missing_text(place: SqliteLocation) -> str:
    """Return what is missing, which setting names it, and what to do."""
    option = f" --store {quote(place.url)}" if place.origin in ("", FROM_OPTION) else ""
    origin = f" ({place.origin})" if place.origin else ""
    return (
        f"there is no store at {place.path.absolute()}{origin}; a rollout that runs is "
        f"probably in another store: name that with {STORE_OPTION} or {STORE_VARIABLE}; only for "
        f"a first set-up, make an empty one: rolloutctl store init{option}"
    )
