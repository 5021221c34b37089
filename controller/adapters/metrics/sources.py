"""All sources of metrics as one: CloudWatch, and those that metrics of a policy name. IAM: none.

A source is imported when a query names it. One that does not answer affects its own queries alone.
"""

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import timedelta
from typing import Final, TypeAlias

from controller.core.observation import MetricQuery, QueryStatus, Series, Span
from controller.core.policy.kind_registry import load
from controller.core.policy.sources import MissingSource, SourceSpec
from controller.errors import MetricsError, MetricsRefusedError, RolloutError
from controller.ports.account import Account
from controller.ports.clock import Clock
from controller.ports.metrics import MetricSource

_UNANSWERED: Final = Series(
    status=QueryStatus.ERROR, message="its source did not answer this query"
)

Open: TypeAlias = Callable[[SourceSpec], MetricSource]


def opener(account: Account) -> Open:
    """Return the function that opens a source for `account`. It raises MetricsError."""

    def open_source(source: SourceSpec) -> MetricSource:
        if isinstance(source, MissingSource):
            raise MetricsError(source.problem)
        adapter: MetricSource = load(source.opened_by)(source, account)
        return adapter

    return open_source


class MetricSources:
    """`MetricSource` of every query, by the source that it names.

    lag: time between the end of the newest datapoint and the last read; None without datapoints.
    """

    def __init__(self, cloudwatch: MetricSource, open_source: Open, clock: Clock) -> None:
        self._cloudwatch, self._open, self._clock = cloudwatch, open_source, clock
        self.lag: timedelta | None = None
        self._newest, self._noting = float("-inf"), threading.Lock()  # a tick reads side by side

    def read(self, queries: Iterable[MetricQuery], span: Span) -> Mapping[MetricQuery, Series]:
        """Return one series per query; of a source that fails, each says why.

        Raises MetricsError when CloudWatch does not answer a call at all and was asked alone,
        MetricsRefusedError when it refuses the queries, UsageError without a region or credentials.
        """
        by_source: dict[SourceSpec | None, list[MetricQuery]] = {}
        for query in dict.fromkeys(queries):
            by_source.setdefault(query.source, []).append(query)
        series: dict[MetricQuery, Series] = {}
        for source, own in by_source.items():
            if source is None:
                series |= self._read_cloudwatch(own, span, alone=len(by_source) == 1)
            else:
                series |= self._read_from(source, own, span)
        self._note_lag(series)
        return series

    def _read_cloudwatch(
        self, queries: Sequence[MetricQuery], span: Span, *, alone: bool
    ) -> Mapping[MetricQuery, Series]:
        try:
            return self._cloudwatch.read(queries, span)
        except MetricsError as error:
            if alone or isinstance(error, MetricsRefusedError):
                raise
            status = QueryStatus.FORBIDDEN if error.denied else QueryStatus.ERROR
            return dict.fromkeys(queries, Series(status=status, message=str(error)))

    def _read_from(
        self, source: SourceSpec, queries: Sequence[MetricQuery], span: Span
    ) -> Mapping[MetricQuery, Series]:
        try:
            answered = self._open(source).read(queries, span)
            return {query: answered.get(query, _UNANSWERED) for query in queries}
        except RolloutError as error:
            denied = isinstance(error, MetricsError) and error.denied
            status = QueryStatus.FORBIDDEN if denied else QueryStatus.ERROR
            problem = f"{source.display_name}: {error}"
        except Exception as error:  # noqa: BLE001 - a source of another package may raise anything
            status = QueryStatus.ERROR
            problem = f"{source.display_name} failed with {type(error).__name__}"
        return dict.fromkeys(queries, Series(status=status, message=problem))

    def _note_lag(self, series: Mapping[MetricQuery, Series]) -> None:
        ends = [max(one.points) + query.period_s for query, one in series.items() if one.points]
        if ends:
            with self._noting:
                self._newest = max(self._newest, *ends)
                self.lag = timedelta(seconds=self._clock.now().timestamp() - self._newest)
