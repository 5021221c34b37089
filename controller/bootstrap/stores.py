"""Stores by location: opened, created, described. Only the needed kind of store is imported."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import assert_never

from controller.adapters.stores.audit_log import AuditLogStore
from controller.bootstrap.account import AwsAccount
from controller.errors import UsageError
from controller.ports.store import Store
from controller.process.settings import DynamoDbLocation, SqliteLocation, StoreLocation


@contextmanager
def store_at(
    place: StoreLocation, account: AwsAccount, *, must_exist: bool, writes: bool
) -> Iterator[Store]:
    """Yield the store at `place`.

    must_exist: a missing file is a NoStoreError; else it is created by a run that `writes`, and is
        an empty store to others. A table is not checked here: a missing one is a NoStoreError of
        the first call, and only `create` creates it.
    writes: each save is logged, as `AuditLogStore` says.
    """
    match place:
        case SqliteLocation():
            from controller.bootstrap import sqlite_stores

            with sqlite_stores.store_at(place, must_exist=must_exist, writes=writes) as store:
                yield AuditLogStore(store) if writes else store
        case DynamoDbLocation(table=table):
            from controller.adapters.stores.dynamodb import DynamoDbStore

            store = DynamoDbStore(account.client("dynamodb"), table)
            yield AuditLogStore(store) if writes else store
        case unreachable:
            assert_never(unreachable)


def create(place: StoreLocation, account: AwsAccount) -> bool:
    """Create the store at `place`; return False when it exists.

    Raises StoreError when it cannot be created, or something else is there.
    """
    match place:
        case SqliteLocation():
            from controller.bootstrap import sqlite_stores

            return sqlite_stores.create(place)
        case DynamoDbLocation(table=table):
            from controller.adapters.stores.dynamodb.table import create_table

            return create_table(account.client("dynamodb"), table, account.clock)
        case unreachable:
            assert_never(unreachable)


def template(place: StoreLocation) -> str:
    """Return the CloudFormation template of the table at `place`. Raises UsageError for a file."""
    if isinstance(place, SqliteLocation):
        raise UsageError(
            f"{place.path} is a file, which no template makes; name a table: "
            "--store dynamodb://TABLE"
        )
    from controller.adapters.stores.dynamodb.table import template as table_template

    return table_template(place.table)
