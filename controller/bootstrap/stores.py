"""Stores by their places: opened, made, described. What one kind needs, the other loads none of."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import assert_never

from controller.adapters.aws.clients import Clients
from controller.adapters.stores.audit_log import AuditLogStore
from controller.errors import UsageError
from controller.ports.clock import Clock
from controller.ports.store import Store
from controller.process.settings import DynamoDbLocation, SqliteLocation, StoreLocation


@contextmanager
def store_at(
    place: StoreLocation, clients: Clients, *, must_exist: bool, writes: bool
) -> Iterator[Store]:
    """Yield the store at `place`.

    must_exist: a file that is not there is a NoStoreError; else it is made by a run that `writes`,
    and an empty store to one that does not. A table is asked for nothing before it is used: that
    it is not there is a NoStoreError of the first call, and no run but `make` makes it. What a run
    that writes saves is written to the log.
    """
    match place:
        case SqliteLocation():
            from controller.bootstrap import store_files

            with store_files.store_at(place, must_exist=must_exist, writes=writes) as store:
                yield AuditLogStore(store) if writes else store
        case DynamoDbLocation(table=table):
            from controller.adapters.stores.dynamodb import DynamoDbStore

            store = DynamoDbStore(clients.get("dynamodb"), table)
            yield AuditLogStore(store) if writes else store
        case unreachable:
            assert_never(unreachable)


def create(place: StoreLocation, clients: Clients, clock: Clock) -> bool:
    """Make the store at `place`; False when it was there already.

    Raises StoreError when it cannot be made, or something else is there.
    """
    match place:
        case SqliteLocation():
            from controller.bootstrap import store_files

            return store_files.create(place)
        case DynamoDbLocation(table=table):
            from controller.adapters.stores.dynamodb.table import create_table

            return create_table(clients.get("dynamodb"), table, clock)
        case unreachable:
            assert_never(unreachable)


def template(place: StoreLocation) -> str:
    """Return the CloudFormation of the table at `place`. Raises UsageError for a file."""
    if isinstance(place, SqliteLocation):
        raise UsageError(
            f"{place.path} is a file, which no template makes; name a table: "
            "--store dynamodb://TABLE"
        )
    from controller.adapters.stores.dynamodb.table import template as table_template

    return table_template(place.table)
