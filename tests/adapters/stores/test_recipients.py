"""A stored list of recipients that is damaged is refused as a whole, in both stores."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from controller.adapters.stores import side_items
from controller.adapters.stores.sqlite import SqliteStore
from controller.core.message import RecipientList
from controller.errors import StoreError
from tests.chaos.dynamodb import TABLE, on_moto
from tests.support.cases import cases

LISTED = RecipientList({"shop": ("events:event-bus/default",), "*": ()})


@cases("stored", {
    "nothing": None,
    "bytes": b"{}",
    "no JSON": "{",
    "another type": "[]",
    "no list": '{"schema": 1, "allowed": null}',
    "a number for a resource": '{"schema": 1, "allowed": {"shop": [1]}}',
    "a resource for a list": '{"schema": 1, "allowed": {"shop": "a:b"}}',
    "one more field": '{"schema": 1, "allowed": {}, "denied": {}}',
    "another schema": '{"schema": 2, "allowed": {}}',
    "half a character": '{"schema": 1, "allowed": {"\ud83d": []}}',
    "too many lists": '{"schema": 1, "allowed": {"shop": ' + "[" * 100_000,
    "too large": " " * (1 << 20),
})  # fmt: skip
def test_what_is_no_list_is_damaged(stored: object) -> None:
    with pytest.raises(StoreError, match=r"list of recipients is damaged \(.*\); set it again"):
        side_items.load_recipients(stored)


def test_what_was_written_is_read() -> None:
    assert side_items.load_recipients(side_items.dump_recipients(LISTED)) == LISTED


def test_a_damaged_item_of_a_table_can_be_replaced() -> None:
    with on_moto() as stores, stores.fault_free() as store:
        for damaged in ({}, {"list": {"N": "1"}}, {"list": {"S": "{"}}):
            key = {"pk": {"S": "RECIPIENTS"}, "sk": {"S": "LIST"}}
            stores.client.put_item(TableName=TABLE, Item={**key, **damaged})
            with pytest.raises(StoreError, match="is damaged"):
                store.recipients()
            store.set_recipients(LISTED)
            assert store.recipients() == LISTED


def test_a_damaged_format_of_a_table_can_be_replaced() -> None:
    with on_moto() as stores, stores.fault_free() as store:
        key = {"pk": {"S": "FORMAT"}, "sk": {"S": "FORMAT"}}
        stores.client.put_item(TableName=TABLE, Item={**key, "format": {"S": "two"}})
        with pytest.raises(StoreError, match=r"format of the store is damaged .* store upgrade"):
            store.format()
        store.set_format(2)
        assert store.format() == 2


def test_a_damaged_row_of_a_file_can_be_replaced(tmp_path: Path) -> None:
    path = tmp_path / "rollouts.db"
    with SqliteStore(path) as store:
        store.set_recipients(LISTED)
        with closing(sqlite3.connect(path)) as connection, connection:
            connection.execute("UPDATE recipients SET list = '{'")
        with pytest.raises(StoreError, match="is damaged"):
            store.recipients()
        store.set_recipients(LISTED)
        assert store.recipients() == LISTED
