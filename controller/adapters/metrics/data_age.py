"""A source of metrics that is opened when it is needed, and remembers how old its data were."""

from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta

from controller.core.observation import MetricQuery, Series, Span
from controller.ports.clock import Clock
from controller.ports.metrics import MetricSource


class LagTrackingMetrics:
    """`MetricSource` on another one, which `open_metrics` gives when something is asked for.

    lag: how long before a read the newest datapoint had ended; None without one.
    """

    def __init__(self, open_metrics: Callable[[], MetricSource], clock: Clock) -> None:
        self._open_metrics = open_metrics
        self._metrics: MetricSource | None = None
        self._clock = clock
        self.lag: timedelta | None = None

    def read(self, queries: Iterable[MetricQuery], span: Span) -> Mapping[MetricQuery, Series]:
        """Return what the other one does, and raise what it raises."""
        if self._metrics is None:
            self._metrics = self._open_metrics()
        found = self._metrics.read(queries, span)
        ends = [max(one.points) + query.period_s for query, one in found.items() if one.points]
        if ends:
            self.lag = timedelta(seconds=self._clock.now().timestamp() - max(ends))
        return found
