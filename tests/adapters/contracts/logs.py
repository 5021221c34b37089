"""The contract of every log source. A test module subclasses it for each implementation."""

import json
from collections.abc import Mapping
from typing import Any, ClassVar

import pytest

from controller.adapters.metrics.logs import CloudWatchLogCounts, CloudWatchLogEvents
from controller.core.observation import LogQuery, Span
from controller.core.units import from_unix
from controller.errors import LogsError
from controller.ports.logs import LogEvent
from tests.adapters.contracts.benches import LogsBench
from tests.support.core import QueryStatus, Series

GROUP = "/aws/lambda/handler"
ALL = 10_000
TEN_MINUTES = 600


def query(
    bench: LogsBench,
    pattern: str = '"gateway call"',
    *,
    group: str = GROUP,
    span: tuple[int, int] = (0, TEN_MINUTES),
    enough: int = ALL,
) -> LogQuery:
    """Return a query over a span of seconds after the bench's start."""
    begin, end = span
    return LogQuery(group, pattern, Span(bench.start + begin, bench.start + end), enough)


def answer(bench: LogsBench, log_query: LogQuery) -> Series:
    source = CloudWatchLogCounts(lambda: bench.client, bench.clock)
    return source.count([log_query])[log_query]


def minute_counts(bench: LogsBench, log_query: LogQuery) -> dict[int, float]:
    """Return the number of events by minute after the bench's start."""
    series = answer(bench, log_query)
    assert (series.status, series.message) == (QueryStatus.COMPLETE, "")
    return {(second - bench.start) // 60: number for second, number in series.points.items()}


def log(bench: LogsBench, *events: tuple[int, object], group: str = GROUP) -> None:
    """Log events at seconds after the bench's start; other values than text become JSON."""
    texts = [(at, one if isinstance(one, str) else json.dumps(one)) for at, one in events]
    bench.put(group, [(bench.start * 1_000 + at * 1_000, text) for at, text in texts])


class LogsContract:
    """Promises of a `LogSource` on CloudWatch Logs.

    CANNOT: promises that this implementation cannot keep, and why; each is expected to fail.
    """

    CANNOT: ClassVar[Mapping[str, str]] = {}

    def test_events_are_counted_by_the_minute_in_which_they_were_logged(
        self, bench: LogsBench
    ) -> None:
        log(bench, (0, "gateway call"), (59, "a gateway call, too"), (180, "gateway call"))
        assert minute_counts(bench, query(bench)) == {0: 2, 3: 1}

    def test_other_events_are_not_counted(self, bench: LogsBench) -> None:
        log(bench, (0, "direct call"), (1, "gateway"), (2, "call gateway"), (3, "gateway call"))
        assert minute_counts(bench, query(bench)) == {0: 1}

    def test_a_word_is_found_in_an_event(self, bench: LogsBench) -> None:
        log(bench, (0, "took api_gateway today"), (1, "took direct"))
        assert minute_counts(bench, query(bench, "api_gateway")) == {0: 1}

    def test_a_field_of_an_event_in_json_is_compared(self, bench: LogsBench) -> None:
        log(bench, (0, {"event": "gateway"}), (1, {"event": "direct"}), (2, "event gateway"))
        assert minute_counts(bench, query(bench, '{ $.event = "gateway" }')) == {0: 1}

    def test_every_condition_has_to_hold(self, bench: LogsBench) -> None:
        log(
            bench,
            (0, {"event": "check", "inner": {"gateway": True}}),
            (1, {"event": "check", "inner": {"gateway": False}}),
            (2, {"event": "other", "inner": {"gateway": True}}),
        )
        pattern = '{ $.event = "check" && $.inner.gateway IS TRUE }'
        assert minute_counts(bench, query(bench, pattern)) == {0: 1}

    def test_without_a_pattern_every_event_is_counted(self, bench: LogsBench) -> None:
        log(bench, (0, "anything"), (1, {"what": "ever"}))
        assert minute_counts(bench, query(bench, "")) == {0: 2}

    def test_a_span_has_its_start_and_not_its_end(self, bench: LogsBench) -> None:
        log(bench, *[(60 * minute, "gateway call") for minute in range(5)])
        assert minute_counts(bench, query(bench, span=(60, 180))) == {1: 1, 2: 1}

    def test_no_event_is_an_empty_and_complete_series(self, bench: LogsBench) -> None:
        log(bench, (0, "direct call"))
        assert minute_counts(bench, query(bench)) == {}

    def test_another_group_has_other_events(self, bench: LogsBench) -> None:
        log(bench, (0, "gateway call"))
        log(bench, (0, "gateway call"), (1, "gateway call"), group="/aws/lambda/other")
        assert minute_counts(bench, query(bench)) == {0: 1}

    def test_pages_are_put_together(self, bench: LogsBench) -> None:
        """CloudWatch takes no more than 10,000 to a page, and one page is one megabyte."""
        log(bench, *[(second, "gateway call") for second in range(20)])
        every = query(bench)
        source = CloudWatchLogCounts(lambda: _SmallPages(bench.client, 7), bench.clock)
        assert sum(source.count([every])[every].points.values()) == 20

    def test_no_more_is_counted_than_the_limit(self, bench: LogsBench) -> None:
        log(bench, *[(second, "gateway call") for second in range(20)])
        assert minute_counts(bench, query(bench, enough=3)) == {0: 3}

    def test_a_group_that_does_not_exist_is_reported(self, bench: LogsBench) -> None:
        series = answer(bench, query(bench, group="/aws/lambda/mistyped"))
        assert series.status is QueryStatus.ERROR
        assert series.message.startswith(
            "/aws/lambda/mistyped could not be searched (logs:FilterLogEvents): "
            "ResourceNotFoundException: "
        )
        assert series.message.endswith("; check the name, the region and the account")

    # --- events with their text -----------------------------------------------------------------

    def test_events_of_a_span_are_read_with_their_text(self, bench: LogsBench) -> None:
        log(bench, (0, "before"), (60, "first"), (61, {"event": "second"}), (200, "after"))
        assert [(one.at_ms // 1_000 - bench.start, one.text) for one in read(bench, 60, 120)] == [
            (60, "first"), (61, '{"event": "second"}'),
        ]  # fmt: skip

    def test_an_event_has_the_same_id_whenever_it_is_read(self, bench: LogsBench) -> None:
        log(bench, (0, "same"), (60, "same"), (60, "same"), (61, "same"))
        every, later = read(bench, 0, 120), read(bench, 60, 120)
        assert len({one.id for one in every}) == 4
        assert {one.id for one in later} < {one.id for one in every}
        assert len(later) == 3

    def test_a_group_that_does_not_exist_is_no_empty_one(self, bench: LogsBench) -> None:
        with pytest.raises(LogsError, match="there is no log group /aws/lambda/mistyped"):
            read(bench, 0, 120, group="/aws/lambda/mistyped")


def read(bench: LogsBench, begin: int, end: int, *, group: str = GROUP) -> list[LogEvent]:
    """Return the events between seconds after the bench's start."""
    reader = CloudWatchLogEvents(lambda: bench.client)
    pages = reader.pages(group, "", from_unix(bench.start + begin), from_unix(bench.start + end))
    return [event for page in pages for event in page]


class _SmallPages:
    """A client that asks for pages of so many events."""

    def __init__(self, client: Any, size: int) -> None:
        self._client, self._size = client, size

    def filter_log_events(self, **request: Any) -> Any:
        return self._client.filter_log_events(**{**request, "limit": self._size})
