"""Traffic estimate: the requests that a policy's metrics counted in the last 24 hours."""

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta

from controller.core.judge.series import SAMPLE_COUNT, query
from controller.core.observation import MetricQuery, QueryStatus, Series, Span
from controller.core.policy import Policy
from controller.core.policy.comparison import Increase, Ratio
from controller.core.policy.metric import CountedPath
from controller.immutable import Immutable
from controller.ports.metrics import MetricSource

DAY = timedelta(hours=24)
_PERIOD_S = 3_600


class TrafficEstimate(Immutable):
    """Requests a minute, on average over a day, and the metrics that counted them.

    scope: whose requests they are: those of one path, or of both in one metric. None where metrics
        count each path by itself.
    by_hour: requests a minute in each hour of the day, UTC.
    """

    per_minute: float
    metrics: tuple[str, ...]
    scope: CountedPath | None
    by_hour: tuple[float, ...]


def estimate_traffic(source: MetricSource, policy: Policy, now: datetime) -> TrafficEstimate:
    """Return the requests of both paths in the last settled 24 hours, by one read.

    A metric that counts both paths is used alone. Of several metrics that count one path, the first
    that has any data is used.
    Raises MetricsError when the metric source cannot be read.
    """
    judged, stable = dict(_judged_queries(policy)), dict(_stable_queries(policy))
    by_path: dict[CountedPath, dict[str, MetricQuery]] = {"canary": {}, "stable": {}, "both": {}}
    for name, one in judged.items():
        by_path[policy.counts[name]][name] = one
    canary, both = by_path["canary"], by_path["both"]
    stable = by_path["stable"] | stable
    end = policy.settled_end(now, _PERIOD_S)
    span = Span(end - int(DAY.total_seconds()), end)
    series = source.read([*judged.values(), *stable.values()], span)
    whole = _first_with_data(both, series)
    paths = (_first_with_data(canary, series), _first_with_data(stable, series))
    counts = [one for one in ([whole] if whole else paths) if one is not None]
    by_hour = [0.0] * 24
    for _, one in counts:
        for at, requests in series[one].points.items():
            by_hour[at // _PERIOD_S % 24] += requests / 60
    scope: CountedPath | None = "both" if whole else None
    if scope is None and not (canary and stable):
        scope = "canary" if canary else "stable"
    return TrafficEstimate(
        sum(by_hour) / 24, tuple(name for name, _ in counts), scope, tuple(by_hour)
    )


def _judged_queries(policy: Policy) -> Iterator[tuple[str, MetricQuery]]:
    """Yield the metrics of requests that criteria judge, those of success rates first."""
    ratios = [
        comparison.measured
        for _, comparison in policy.comparisons()
        if isinstance(comparison.measured, Ratio)
    ]
    names = [ratio.whole[0] for ratio in ratios if ratio.judges_failures]
    names += [comparison.requests[0] for _, comparison in policy.comparisons()]
    names += [ratio.whole[0] for ratio in ratios]
    yield from ((name, _query_of(policy, name)) for name in names if name)


def _stable_queries(policy: Policy) -> Iterator[tuple[str, MetricQuery]]:
    """Yield the metrics that count requests of the stable path; a latency has a sample for each."""
    for _, comparison in policy.comparisons():
        if stable := comparison.requests[1]:
            yield stable, _query_of(policy, stable)
    for _, one in policy.comparisons():
        if isinstance(one.measured, Increase) and one.stable_metric:
            yield one.stable_metric, _query_of(policy, one.stable_metric, SAMPLE_COUNT)


def _query_of(policy: Policy, name: str, statistic: str = "") -> MetricQuery:
    metric = policy.metrics[name]
    return query(metric, statistic or metric.statistic, _PERIOD_S)


def _first_with_data(
    queries: Mapping[str, MetricQuery], series: Mapping[MetricQuery, Series]
) -> tuple[str, MetricQuery] | None:
    """Return the first metric that has requests; None when none has."""
    for name, one in queries.items():
        if series[one].status is QueryStatus.COMPLETE and any(series[one].points.values()):
            return name, one
    return None
