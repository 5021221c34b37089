"""The contract of every metric source: what the judge relies on, whatever the source is.

A test module subclasses it for each implementation. `metrics.py` has what is of CloudWatch alone.
"""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Protocol

import pytest

from controller.core.observation import MetricQuery, Series, Span
from controller.errors import MetricsError
from controller.ports.metrics import MetricSource
from tests.support.core import QueryStatus

MINUTE = 60
# Seconds; a request that takes longer than LIMIT is slow.
FAST, LIMIT, SLOW = 0.1, 0.5, 2.0


class SourceBench(Protocol):
    """An application with two paths, `canary` and `stable`, whose requests a source counts.

    Minutes are counted from `start`, unix seconds, which begins a period of 5 minutes.
    """

    @property
    def start(self) -> int:
        """The second from which minutes are counted."""
        ...

    def serve(
        self, minute: int, times: Sequence[float], *, failed: int = 0, path: str = "canary"
    ) -> None:
        """Let a path answer requests in the middle of a minute, each in so many seconds."""

    def restart(self, minute: int) -> None:
        """Let new processes of the application begin between this minute and the one before."""

    def unseen(self, minute: int) -> None:
        """Let nothing be measured in a minute."""

    def delay(self, minute: int) -> None:
        """Let what was measured from a minute on arrive only after the next read."""

    def query(
        self, what: str, statistic: str = "Sum", period_s: int = MINUTE, path: str = "canary"
    ) -> MetricQuery:
        """Return the query of the requests, the failures, or the latency of a path."""
        ...

    def source(self) -> MetricSource:
        """Return the source, half an hour after the start."""
        ...

    def silenced(self) -> AbstractContextManager[None]:
        """Let the source get no answer."""
        ...

    def refused(self) -> AbstractContextManager[None]:
        """Let the source have no right to read."""
        ...


class SourceContract:
    """Promises of a `MetricSource`."""

    @pytest.fixture
    def bench(self) -> Iterator[SourceBench]:
        raise NotImplementedError

    def points(
        self, bench: SourceBench, query: MetricQuery, first: int = 0, end: int = 20
    ) -> dict[int, float]:
        """Return the points of `query` by minutes after the start, without those of 0.

        A source may count to 0, or have no datapoint where nothing happened.
        """
        span = Span(bench.start + MINUTE * first, bench.start + MINUTE * end)
        series = bench.source().read([query], span)[query]
        assert series.status is QueryStatus.COMPLETE, series.message
        return {
            (second - bench.start) // MINUTE: value
            for second, value in series.points.items()
            if value
        }

    def test_a_minute_has_its_requests_and_its_failures(self, bench: SourceBench) -> None:
        bench.serve(1, [FAST] * 30)
        bench.serve(2, [FAST] * 40, failed=7)
        assert self.points(bench, bench.query("requests")) == {1: 30, 2: 40}
        assert self.points(bench, bench.query("failures")) == {2: 7}

    def test_the_first_failure_of_all_is_counted(self, bench: SourceBench) -> None:
        for minute in range(8):
            bench.serve(minute, [FAST] * 10, failed=2 * (minute == 6))
        assert self.points(bench, bench.query("failures")) == {6: 2}

    def test_silence_is_an_empty_and_complete_series(self, bench: SourceBench) -> None:
        assert self.points(bench, bench.query("requests")) == {}

    def test_a_minute_in_which_nothing_was_measured_has_no_point(self, bench: SourceBench) -> None:
        for minute in (0, 1, 3):
            bench.serve(minute, [FAST] * 10)
        bench.unseen(2)
        query = bench.query("requests")
        span = Span(bench.start, bench.start + 10 * MINUTE)
        points = bench.source().read([query], span)[query].points
        assert bench.start + 2 * MINUTE not in points

    def test_a_new_process_loses_no_request_and_counts_none_twice(self, bench: SourceBench) -> None:
        bench.serve(0, [FAST] * 50, failed=5)
        bench.serve(1, [FAST] * 50, failed=5)
        bench.restart(2)
        bench.serve(2, [FAST] * 20, failed=1)
        bench.serve(3, [FAST] * 90, failed=9)
        assert self.points(bench, bench.query("requests")) == {0: 50, 1: 50, 2: 20, 3: 90}
        assert self.points(bench, bench.query("failures")) == {0: 5, 1: 5, 2: 1, 3: 9}
        assert self.points(bench, bench.query("latency", "SampleCount")) == {
            0: 50, 1: 50, 2: 20, 3: 90,
        }  # fmt: skip

    def test_what_arrives_late_is_in_the_next_read(self, bench: SourceBench) -> None:
        bench.serve(1, [FAST] * 30)
        bench.serve(3, [FAST] * 40)
        bench.delay(3)
        assert self.points(bench, bench.query("requests")) == {1: 30}
        assert self.points(bench, bench.query("requests")) == {1: 30, 3: 40}

    def test_a_path_is_told_from_the_other_by_its_labels(self, bench: SourceBench) -> None:
        bench.serve(1, [FAST] * 30)
        bench.serve(1, [FAST] * 300, failed=11, path="stable")
        assert self.points(bench, bench.query("requests")) == {1: 30}
        assert self.points(bench, bench.query("failures", path="stable")) == {1: 11}

    def test_a_longer_period_puts_minutes_together(self, bench: SourceBench) -> None:
        for minute in (0, 4, 5):
            bench.serve(minute, [FAST] * 10)
        assert self.points(bench, bench.query("requests", period_s=300)) == {0: 20, 5: 10}

    def test_a_span_has_its_start_and_not_its_end(self, bench: SourceBench) -> None:
        for minute in range(5):
            bench.serve(minute, [FAST] * (minute + 1))
        assert self.points(bench, bench.query("requests"), 1, 3) == {1: 2, 2: 3}

    def test_a_minute_is_the_same_wherever_a_span_begins(self, bench: SourceBench) -> None:
        for minute in range(8):
            bench.serve(minute, [FAST] * (10 + minute), failed=minute % 3)
        bench.restart(4)
        for what in ("requests", "failures"):
            whole = self.points(bench, bench.query(what))
            parts = [self.points(bench, bench.query(what), first, first + 1) for first in range(8)]
            assert whole == {minute: one for part in parts for minute, one in part.items()}

    def test_requests_above_a_limit_are_counted(self, bench: SourceBench) -> None:
        bench.serve(1, [FAST] * 90 + [SLOW] * 10)
        bench.serve(2, [FAST] * 20)
        assert self.points(bench, bench.query("latency", f"TC({LIMIT}:)")) == {1: 10}
        assert self.points(bench, bench.query("latency", "SampleCount")) == {1: 100, 2: 20}

    def test_a_percentile_tells_slow_requests_from_fast_ones(self, bench: SourceBench) -> None:
        bench.serve(1, [FAST] * 90 + [SLOW] * 10)
        bench.serve(2, [FAST] * 100)
        points = self.points(bench, bench.query("latency", "p95"))
        assert points[1] > LIMIT > points[2]

    def test_a_minute_without_requests_has_no_latency(self, bench: SourceBench) -> None:
        bench.serve(1, [FAST] * 90)
        bench.serve(3, [FAST] * 90)
        assert self.points(bench, bench.query("latency", "p95")).keys() == {1, 3}

    def test_many_queries_are_all_answered(self, bench: SourceBench) -> None:
        bench.serve(1, [FAST] * 90 + [SLOW] * 10, failed=3)
        queries = [
            *(bench.query(what, path=path) for what in ("requests", "failures")
              for path in ("canary", "stable")),
            *(bench.query("latency", f"p{share}") for share in range(50, 100)),
        ]  # fmt: skip
        span = Span(bench.start, bench.start + 5 * MINUTE)
        series = bench.source().read(queries, span)
        assert series.keys() == set(queries)
        assert {one.status for one in series.values()} == {QueryStatus.COMPLETE}

    def test_no_answer_is_no_empty_series(self, bench: SourceBench) -> None:
        bench.serve(1, [FAST] * 30)
        with bench.silenced():
            one = self.read_or_error(bench)
        assert isinstance(one, MetricsError) or one.status is QueryStatus.ERROR

    def test_a_missing_right_is_told_from_a_failure(self, bench: SourceBench) -> None:
        with bench.refused():
            one = self.read_or_error(bench)
        denied = one.denied if isinstance(one, MetricsError) else False
        assert denied or getattr(one, "status", None) is QueryStatus.FORBIDDEN

    def read_or_error(self, bench: SourceBench) -> Series | MetricsError:
        """Return the series of the requests, or the error of the whole read."""
        query = bench.query("requests")
        try:
            return bench.source().read([query], Span(bench.start, bench.start + 300))[query]
        except MetricsError as error:
            return error
