"""A source of metrics that remembers how old the newest datapoint was when it was read."""

from collections.abc import Iterable, Mapping
from datetime import timedelta

from controller.core.observation import Query, Series, Span
from controller.ports import Clock, MetricSource


class MeteredMetrics:
    """`MetricSource` on another one. lag: since the end of the newest datapoint; None without."""

    def __init__(self, metrics: MetricSource, clock: Clock) -> None:
        self._metrics = metrics
        self._clock = clock
        self.lag: timedelta | None = None

    def read(self, queries: Iterable[Query], span: Span) -> Mapping[Query, Series]:
        """Return what the other one does, and raise what it raises."""
        found = self._metrics.read(queries, span)
        ends = [max(one.points) + query.period_s for query, one in found.items() if one.points]
        if ends:
            self.lag = timedelta(seconds=self._clock.now().timestamp() - max(ends))
        return found
