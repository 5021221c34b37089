"""The traffic of a policy: the requests that its metrics counted in the last 24 hours."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from controller.core.judge.series import SAMPLE_COUNT, query
from controller.core.observation import MetricQuery, QueryStatus, Series, Span
from controller.core.policy import Policy
from controller.core.policy.comparison import Increase, Ratio
from controller.core.policy.metric import CountedPath
from controller.errors import MetricsError
from controller.ports.metrics import MetricSource

_DAY: Final = timedelta(hours=24)
_PERIOD_S: Final = 3_600


class TrafficRate(NamedTuple):
    """Requests a minute of both paths, and where they are from, in words.

    per_minute: None where it is unknown, and `source` says why. by_hour: requests a minute in each
    hour of the day, UTC; empty: unknown.
    """

    per_minute: float | None
    source: str
    by_hour: Sequence[float] = ()


def measured_traffic(metrics: MetricSource, policy: Policy, now: datetime) -> TrafficRate:
    """Return the requests of the last settled 24 hours, on average over the day, by one read.

    A metric that counts both paths is used alone. Of several metrics that count one path, the first
    that has any data is used.
    """
    judged, stable = dict(_judged_queries(policy)), dict(_stable_queries(policy))
    by_path: dict[CountedPath, dict[str, MetricQuery]] = {"canary": {}, "stable": {}, "both": {}}
    for name, one in judged.items():
        by_path[policy.counts[name]][name] = one
    canary, both = by_path["canary"], by_path["both"]
    stable = by_path["stable"] | stable
    end = policy.settled_end(now, _PERIOD_S)
    span = Span(end - int(_DAY.total_seconds()), end)
    hint = "name the rate: --requests-per-minute N"
    try:
        series = metrics.read([*judged.values(), *stable.values()], span)
    except MetricsError as error:
        return TrafficRate(None, f"measurements cannot be read: {error}; {hint}")
    whole = _first_with_data(both, series)
    paths = (_first_with_data(canary, series), _first_with_data(stable, series))
    counts = [one for one in ([whole] if whole else paths) if one is not None]
    by_hour = [0.0] * 24
    for _, one in counts:
        for at, requests in series[one].points.items():
            by_hour[at // _PERIOD_S % 24] += requests / 60
    per_minute = sum(by_hour) / 24
    if not per_minute:
        no_requests = "no metric of the policy counted a request in the last 24h"
        return TrafficRate(None, f"{no_requests}; {hint}")
    whose = ""
    if whole:
        whose = ", of both paths"
    elif not (canary and stable):
        whose = ", of the canary alone" if canary else ", of the stable path"
    names = " + ".join(name for name, _ in counts)
    return TrafficRate(per_minute, f"{names} of the last 24h{whose}", by_hour)


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
