"""Counting log events when CloudWatch Logs is slow, odd, or denies access: no tick fails."""

from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from controller.adapters.metrics.logs import (
    PAGES_PER_QUERY,
    SEARCH_LIMIT,
    CloudWatchLogCounts,
)
from controller.core.observation import LogQuery, Span
from controller.errors import UsageError
from controller.tools.simulation.fakes.errors import apply_outage, client_error
from tests.support.core import QueryStatus, Series
from tests.tools.simulation.worlds import START, empty_world

GROUP = "/aws/lambda/handler"
NOW = int(START.timestamp())
QUERY = LogQuery(GROUP, "gateway", Span(NOW - 600, NOW), 1_000)


class Pages:
    """A client that answers with these pages, one after the other, and remembers the requests."""

    def __init__(self, pages: Iterator[dict[str, Any]], each: Callable[[], object]) -> None:
        self.requests: list[Mapping[str, Any]] = []
        self._pages, self._each = pages, each

    def filter_log_events(self, **request: Any) -> dict[str, Any]:
        self.requests.append(request)
        self._each()
        return next(self._pages)


def page(*seconds: int, more: bool = True) -> dict[str, Any]:
    events = [{"timestamp": second * 1_000 + 999, "message": "gateway"} for second in seconds]
    return {"events": events, **({"nextToken": "go on"} if more else {})}


def count(
    pages: Iterator[dict[str, Any]], query: LogQuery = QUERY, takes: timedelta = timedelta()
) -> tuple[Series, list[Mapping[str, Any]]]:
    """Return the answer to `query`, and the requests; each page takes `each`."""
    clock = empty_world().clock
    client = Pages(pages, lambda: clock.advance(takes))
    return CloudWatchLogCounts(lambda: client, clock).count([query])[query], client.requests


def test_an_empty_page_may_not_be_the_last() -> None:
    series, requests = count(iter([page(), page(), page(NOW - 60, more=False)]))
    assert series == Series({NOW - 60: 1.0})
    assert [request.get("nextToken") for request in requests] == [None, "go on", "go on"]


def endless() -> Iterator[dict[str, Any]]:
    while True:
        yield page(NOW - 60)


def test_a_search_without_an_end_ends() -> None:
    series, requests = count(endless())
    assert series.status is QueryStatus.PARTIAL
    assert series.points == {NOW - 60: PAGES_PER_QUERY}
    assert series.message == f"{GROUP} was searched in part: there were more than 50 pages"
    assert len(requests) == PAGES_PER_QUERY


def test_a_search_that_takes_long_ends() -> None:
    series, requests = count(endless(), takes=SEARCH_LIMIT / 4)
    assert series.status is QueryStatus.PARTIAL
    assert series.message == (
        f"{GROUP} was searched in part: it took longer than its part of 20s for all searches of a "
        "tick"
    )
    assert len(requests) == 4


def test_all_queries_together_have_one_limit_of_time() -> None:
    clock = empty_world().clock
    client = Pages(endless(), lambda: clock.advance(SEARCH_LIMIT / 2))
    other = LogQuery(GROUP, "direct", QUERY.span, 1_000)
    counts = CloudWatchLogCounts(lambda: client, clock).count([QUERY, other])
    assert {one.status for one in counts.values()} == {QueryStatus.PARTIAL}
    assert len(client.requests) == 2


def test_a_search_without_an_end_leaves_the_others_their_time() -> None:
    clock = empty_world().clock
    other = LogQuery("/aws/lambda/other", "direct", QUERY.span, 1_000)
    last = {"events": [{"timestamp": (NOW - 60) * 1_000, "message": "direct"}]}

    def read(**request: Any) -> dict[str, Any]:
        clock.advance(SEARCH_LIMIT / 10)
        return last if request["logGroupName"] == other.group else page(NOW - 60)

    client = SimpleNamespace(filter_log_events=read)
    counts = CloudWatchLogCounts(lambda: client, clock).count([QUERY, other])
    assert counts[QUERY].status is QueryStatus.PARTIAL
    assert counts[other] == Series({NOW - 60: 1.0})


@pytest.mark.parametrize(
    ("how", "answer", "message"),
    [
        (
            "throttle", QueryStatus.ERROR,
            "ThrottlingException: Rate exceeded; the account's limit for such calls is reached; "
            "run again in a moment",
        ),
        (
            "denied", QueryStatus.FORBIDDEN,
            "AccessDeniedException: not authorized to perform this action; grant the action to "
            "this role",
        ),
        (
            "timeout", QueryStatus.ERROR,
            'ReadTimeoutError: Read timeout on endpoint URL: "https://logs.example.invalid/"'
            "; run again",
        ),
    ],
)  # fmt: skip
def test_a_failed_search_is_a_series_with_the_reason_and_raises_nothing(
    how: str, answer: QueryStatus, message: str
) -> None:
    world = empty_world()
    world.add_log_event(GROUP, START, "gateway")
    world.interceptors.append(
        lambda service, operation, request, proceed: apply_outage(service, operation, how, proceed)
    )
    series = CloudWatchLogCounts(lambda: world.client("logs"), world.clock).count([QUERY])[QUERY]
    expected = f"{GROUP} could not be searched (logs:FilterLogEvents): {message}"
    assert (series.status, series.message, series.points) == (answer, expected, {})


def test_what_was_counted_before_it_failed_is_kept() -> None:
    """One event that must be absent is enough to know."""

    def pages() -> Iterator[dict[str, Any]]:
        yield page(NOW - 60)
        raise client_error("FilterLogEvents", "ThrottlingException", "Rate exceeded")

    series, _ = count(pages())
    assert (series.status, series.points) == (QueryStatus.ERROR, {NOW - 60: 1.0})


def test_a_client_that_cannot_be_opened_is_the_reason_too() -> None:
    def none() -> Any:
        raise UsageError("there is no AWS client for logs")

    series = CloudWatchLogCounts(none, empty_world().clock).count([QUERY])[QUERY]
    assert (series.status, series.message) == (QueryStatus.ERROR, "there is no AWS client for logs")
