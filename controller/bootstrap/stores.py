"""Stores by location. Only the needed kind of store is imported."""

from collections.abc import Iterator
from contextlib import contextmanager
from shlex import quote
from typing import assert_never

from controller.adapters.stores.audit_log import AuditLogStore
from controller.bootstrap.account import AwsAccount
from controller.errors import NoStoreError
from controller.ports.store import Store
from controller.process.settings import (
    FROM_OPTION,
    STORE_OPTION,
    STORE_VARIABLE,
    DynamoDbLocation,
    SqliteLocation,
    StoreLocation,
)


@contextmanager
def store_at(
    place: StoreLocation, account: AwsAccount, *, must_exist: bool, writes: bool
) -> Iterator[Store]:
    """Yield the store at `place`.

    must_exist: a missing file is a NoStoreError; else it is created by a run that `writes`, and is
        an empty store to others. A table is not checked here: a missing one is a NoStoreError of
        the first call, and only `store init` creates it.
    writes: each save is logged, as `AuditLogStore` says.
    """
    match place:
        case SqliteLocation():
            from controller.adapters.stores.sqlite import SqliteStore, one_call_at_a_time
            from controller.adapters.stores.sqlite.file import store_errors

            if must_exist:  # a mistyped path must not look like an empty store
                with store_errors(place.path, "open the store"):
                    if not place.path.exists():
                        raise NoStoreError(_missing_text(place), store=place.url)
            with SqliteStore(place.path, create=writes) as file:
                store = one_call_at_a_time(file)
                yield AuditLogStore(store) if writes else store
        case DynamoDbLocation(table=table):
            from controller.adapters.stores.dynamodb import DynamoDbStore

            rollouts = DynamoDbStore(account.client("dynamodb"), table)
            yield AuditLogStore(rollouts) if writes else rollouts
        case unreachable:
            assert_never(unreachable)


def _missing_text(place: SqliteLocation) -> str:
    """Return what is missing, which setting names it, and what to do."""
    option = f" --store {quote(place.url)}" if place.origin in ("", FROM_OPTION) else ""
    origin = f" ({place.origin})" if place.origin else ""
    return (
        f"there is no store at {place.path.absolute()}{origin}; a rollout that runs is "
        f"probably in another store: name that with {STORE_OPTION} or {STORE_VARIABLE}; only for "
        f"a first set-up, make an empty one: rolloutctl store init{option}"
    )
