"""The metrics that `rolloutctl metrics` reads, minute by minute, and for how long."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Final, TypeAlias

from controller.core.judge.series import query
from controller.core.observation import MetricQuery, Span
from controller.core.policy import Metric, Policy
from controller.core.policy.comparison import (
    Level,
)
from controller.core.units import (
    MINUTE_S,
    floor_to,
)
from controller.immutable import Immutable
from controller.ports import api_gateway

# The longest span that is read; a bound on a longer window is not evaluated.
MAX_MINUTES: Final = 180

_Key: TypeAlias = tuple[str, str, str, tuple[tuple[str, str], ...]]


class MetricView(Immutable):
    """One metric with one statistic, minute by minute.

    name: its name in the policy; empty for a related metric that the policy does not name.
    alias: the name in the policy of the same metric with any statistic, or that of CloudWatch.
    """

    name: str
    alias: str
    metric: Metric

    @property
    def title(self) -> str:
        """Name and statistic: `latency p95`."""
        return f"{self.name or self.alias} {self.metric.statistic}"

    @property
    def additive(self) -> bool:
        """True for a statistic that adds up over minutes."""
        return self.metric.is_count

    @property
    def query(self) -> MetricQuery:
        """The CloudWatch query, one datapoint a minute."""
        return query(self.metric, self.metric.statistic, MINUTE_S)


def metric_views(policy: Policy) -> list[MetricView]:
    """Return the views of `policy` in the order of its metrics, without duplicates.

    A metric of an API Gateway adds the API's requests, 4XX, 5XX, latency p50, p95, p99 and
    integration latency p95.
    """
    names = {key_of(metric): name for name, metric in policy.metrics.items()}
    aliases = {key_of(metric, ""): name for name, metric in policy.metrics.items()}
    views: dict[_Key, MetricView] = {}
    for metric in policy.metrics.values():
        for one in (*_related_metrics(metric), metric):
            alias = aliases.get(key_of(one, ""), one.name)
            views.setdefault(key_of(one), MetricView(names.get(key_of(one), ""), alias, one))
    return list(views.values())


def _related_metrics(metric: Metric) -> Iterator[Metric]:
    if metric.namespace != api_gateway.NAMESPACE:
        return
    for name in (api_gateway.REQUESTS, *api_gateway.error_metrics(metric.dimensions)):
        yield _sibling(metric, name, "Sum", "")
    for statistic in api_gateway.PERCENTILES:
        yield _sibling(metric, api_gateway.LATENCY, statistic, "ms")
    yield _sibling(metric, api_gateway.INTEGRATION_LATENCY, "p95", "ms")


def _sibling(metric: Metric, name: str, statistic: str, unit: str) -> Metric:
    return Metric(
        namespace=metric.namespace,
        name=name,
        statistic=statistic,
        dimensions=metric.dimensions,
        unit=unit,
    )


def key_of(metric: Metric, statistic: str | None = None) -> _Key:
    dimensions = tuple(sorted(metric.dimensions.items()))
    known = metric.statistic if statistic is None else statistic
    return metric.namespace, metric.name, known, dimensions


def span_of(policy: Policy, minutes: int, now: datetime) -> Span:
    """Return the closed minutes to read: the newest `minutes`, or the longest window of a bound.

    Unsettled minutes come on top: a lower bound is evaluated on settled minutes only.
    """
    levels = (one for _, one in policy.comparisons() if isinstance(one.measured, Level))
    longest = max([minutes, *(window_minutes(one.window) for one in levels)])
    longest += unsettled_minutes(policy)
    end = floor_to(now, MINUTE_S)
    return Span(end - longest * MINUTE_S, end)


def unsettled_minutes(policy: Policy) -> int:
    """Return how many of the newest minutes may still receive data."""
    return -int(-policy.evaluation_delay.total_seconds() // MINUTE_S)


def window_minutes(window: timedelta | None) -> int:
    """Return the minutes of `window`; -1 for a whole step, and for more than MAX_MINUTES."""
    minutes = -1 if window is None else int(window.total_seconds()) // MINUTE_S
    return minutes if minutes <= MAX_MINUTES else -1
