"""A dashboard over a table: what is seen in time, and by how many calls."""

from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from time import monotonic
from typing import Any, Final

import pytest
from boto3.session import Session
from moto import mock_aws

from controller.adapters.stores.dynamodb import DynamoDbStore
from controller.adapters.stores.dynamodb.table import TABLE_DEFINITION
from controller.process.settings import DynamoDbLocation
from controller.tools.dashboard.feed import Feed
from controller.tools.dashboard.verb import poll_interval
from tests.support.dashboards import open_dashboard
from tests.support.emulator import REGION
from tests.support.stage import Stage, open_stage

TABLE: Final = "rollouts"
SEEN_WITHIN_S: Final = 10.0
EVENTS: Final = "/events/rollouts/orders%231"


@pytest.fixture
def table() -> Iterator[Any]:
    """A client of an empty table."""
    with mock_aws():
        session = Session("a", "b", region_name=REGION)
        client = session.client("dynamodb")
        client.create_table(TableName=TABLE, **TABLE_DEFINITION)
        yield client


@pytest.fixture
def stage(tmp_path: Path, table: Any) -> Iterator[Stage]:
    """A rollout in the table, in its first step."""
    with open_stage(tmp_path) as opened:
        opened.use_store(DynamoDbStore(table, TABLE))
        opened.start()
        opened.runner.visit("orders#1")
        yield opened


@pytest.fixture
def calls(table: Any) -> Counter[str]:
    """How often each operation is called from now on."""
    counted: Counter[str] = Counter()
    table.meta.events.register(
        "before-call.dynamodb", lambda model, **_: counted.update([model.name])
    )
    return counted


def test_a_quiet_interval_costs_one_query_and_one_read_of_what_runs(
    stage: Stage, table: Any, calls: Counter[str]
) -> None:
    at, poll = [0.0], poll_interval(DynamoDbLocation(TABLE))
    feed = Feed(DynamoDbStore(table, TABLE), stage.world.clock, poll, lambda: at[0])
    feed.view()
    calls.clear()
    for second in range(1, 51):
        at[0] = float(second)
        for _ in range(10):  # tabs
            feed.view()
            feed.find("orders#1")
    assert calls == {"Query": 10, "BatchGetItem": 10}


def test_a_rollback_is_seen_in_time_however_many_tabs_are_open(
    stage: Stage, table: Any, calls: Counter[str]
) -> None:
    poll = poll_interval(DynamoDbLocation(TABLE))
    store = DynamoDbStore(table, TABLE)
    with open_dashboard(stage, store=store, poll=poll) as visitor, ExitStack() as tabs:
        visitor.enter()
        page, *_ = [tabs.enter_context(visitor.stream(EVENTS)) for _ in range(6)]
        stage.runner.roll_back("orders#1", "customers called")
        calls.clear()
        begin = monotonic()
        page.next_stamp()
        shown = visitor.get("/rollouts/orders%231").page.texts("h1")[0]
        took_s = monotonic() - begin
    assert "was rolled back from 10" in shown
    assert took_s < SEEN_WITHIN_S
    # The list is read anew as the rollout is watched from now on, then its entry and its history.
    assert calls["Query"] <= 4
    assert calls["BatchGetItem"] <= 2
