"""Stores for tests of the engine."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from controller.adapters.stores.sqlite import SqliteStore
from controller.ports.store import Store
from tests.chaos.dynamodb import on_moto
from tests.support.deep_rows import deep_after


@pytest.fixture(params=deep_after(1, ["sqlite", "dynamodb"]))
def empty_store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """Yield an empty store: a file, and with --deep or for a test that says so a table, too."""
    with ExitStack() as stack:
        if request.param == "sqlite":
            yield stack.enter_context(SqliteStore(tmp_path / "empty.db", durable=False))
        else:
            yield stack.enter_context(stack.enter_context(on_moto()).fault_free())
