"""A metric source that is opened on first use, and remembers the age of its newest data."""

from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta

from controller.core.observation import MetricQuery, Series, Span
from controller.ports.clock import Clock
from controller.ports.metrics import MetricSource


class LagTrackingMetrics:
    """`MetricSource` that wraps another one, which `open_metrics` opens on the first read.

    lag: time between the end of the newest datapoint and the last read; None without datapoints.
    """

    def __init__(self, open_metrics: Callable[[], MetricSource], clock: Clock) -> None:
        self._open_metrics = open_metrics
        self._metrics: MetricSource | None = None
        self._clock = clock
        self.lag: timedelta | None = None

    def read(self, queries: Iterable[MetricQuery], span: Span) -> Mapping[MetricQuery, Series]:
        """Return what the wrapped source returns, and raise what it raises."""
        if self._metrics is None:
            self._metrics = self._open_metrics()
        result = self._metrics.read(queries, span)
        ends = [max(one.points) + query.period_s for query, one in result.items() if one.points]
        if ends:
            self.lag = timedelta(seconds=self._clock.now().timestamp() - max(ends))
        return result
