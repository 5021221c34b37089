"""A DynamoDB table for simulation runs, on moto in this process."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any, Final
from unittest.mock import patch

from boto3.session import Session

from controller.adapters.stores.dynamodb import DynamoDbStore, calls
from controller.adapters.stores.dynamodb.table import create_table
from controller.immutable import Immutable
from controller.ports.store import Store
from tests.chaos.process import Process

TABLE: Final = "rollouts"
REGION: Final = "eu-central-1"


class DynamoDbStores(Immutable):
    """One DynamoDB table; faults are injected into the client calls of a process.

    direct_client: another client of the same table, without faults.
    """

    client: Any
    table: str
    direct_client: Any

    def of(self, process: Process) -> AbstractContextManager[Store]:
        """Open the store, with the calls of `process` intercepted."""
        return nullcontext(DynamoDbStore(process.client(self.client, "dynamodb"), self.table))

    def fault_free(self) -> AbstractContextManager[Store]:
        """Open the store without any fault."""
        return nullcontext(DynamoDbStore(self.direct_client, self.table))


class InstantClock:
    """A clock for creating a table in this process, where no wait is needed."""

    def now(self) -> datetime:
        """Return a fixed time."""
        return datetime(2026, 1, 5, tzinfo=UTC)

    def sleep(self, length: timedelta) -> None:
        """Return at once."""


@contextmanager
def on_moto() -> Iterator[DynamoDbStores]:
    """Yield an empty DynamoDB table in this process."""
    from moto import mock_aws  # slow to import, and few tests need it

    with mock_aws(), patch.object(calls, "PAUSE_S", 0.0):
        client = _session().client("dynamodb")
        create_table(client, TABLE, InstantClock())
        yield DynamoDbStores(client, TABLE, DirectClient(client))


class DirectClient:
    """A client of moto's table that reads items without HTTP."""

    def __init__(self, client: Any) -> None:
        from moto.core.models import DEFAULT_ACCOUNT_ID
        from moto.dynamodb.models import dynamodb_backends

        self._client = client
        self._tables = dynamodb_backends[DEFAULT_ACCOUNT_ID][REGION]

    def get_item(self, TableName: str, Key: Any, ConsistentRead: bool) -> Any:
        """Return one item as stored."""
        item = self._tables.get_item(TableName, Key)
        content = {} if item is None else {"Item": item.to_json()["Attributes"]}
        return {**content, "ResponseMetadata": {"RequestId": "near"}}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)


@cache
def _session() -> Session:
    """Return the session of this process, which loads the service model once."""
    return Session("test", "test", region_name=REGION)
