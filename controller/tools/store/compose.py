"""Stores are made, and described by a template."""

from typing import assert_never

from controller.bootstrap.account import real_account
from controller.core import stored_formats
from controller.errors import UsageError
from controller.process.settings import DynamoDbLocation, SqliteLocation, StoreLocation


def make_store(place: StoreLocation) -> bool:
    """Create the store at `place`; return False when it exists.

    Raises StoreError when it cannot be created, or something else is there.
    """
    match place:
        case SqliteLocation():
            from controller.adapters.stores.sqlite import SqliteStore
            from controller.adapters.stores.sqlite.file import store_errors

            with store_errors(place.path, "make the store"):
                new = not place.path.exists()
            with SqliteStore(place.path):
                return new
        case DynamoDbLocation(table=table):
            from controller.adapters.stores.dynamodb import DynamoDbStore
            from controller.adapters.stores.dynamodb.table import create_table

            account = real_account()
            client = account.client("dynamodb")
            if new := create_table(client, table, account.clock):
                DynamoDbStore(client, table).set_format(stored_formats.NEWEST)
            return new
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
