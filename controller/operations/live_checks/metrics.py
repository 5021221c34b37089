"""Checks of the metrics of a policy: recent data, or why a metric may be misspelt."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from difflib import get_close_matches
from typing import Final

from controller.core.judge.series import SAMPLE_COUNT, query
from controller.core.observation import MetricQuery, QueryStatus, Series, Span
from controller.core.policy import Metric, Policy, TargetSpec
from controller.core.units import count_text, duration_text, floor_to, from_unix
from controller.operations.checks import Check, fail, ok, warn
from controller.ports.metrics import Dimensions, MetricListing

LOOKBACK: Final = timedelta(hours=24)
_PERIOD_S: Final = 300
_MAX_SHOWN: Final = 3
_GRANT: Final = "grant cloudwatch:GetMetricData to this role, and run again"


def span_until(now: datetime) -> Span:
    """Return the 24 hours before `now` in whole periods, including the one that is still open."""
    end = floor_to(now, _PERIOD_S) + _PERIOD_S
    return Span(end - int(LOOKBACK.total_seconds()), end)


def queries_of(metric: Metric) -> tuple[MetricQuery, MetricQuery]:
    """Return the queries of a metric: its sample count, and the policy's statistic."""
    return query(metric, SAMPLE_COUNT, _PERIOD_S), query(metric, metric.statistic, _PERIOD_S)


def data_check(
    name: str, metric: Metric, samples: Series, values: Series, now: datetime
) -> Check | None:
    """Return the check of a metric that has data or cannot be read; None when it has no data."""
    what = f"metric {name}"
    for series in (samples, values):
        if series.status in (QueryStatus.ERROR, QueryStatus.FORBIDDEN):
            return fail(what, f"cannot be read: {series.message or series.status}", _GRANT)
    seconds = [second for second, count in samples.points.items() if count]
    if not seconds:
        return None
    sample_count = count_text(sum(samples.points.values()), "sample")
    if not values.points:
        return fail(
            what,
            f"has {sample_count} in the last 24h and no {metric.statistic}: its publisher "
            "sends statistic sets",
            "publish values, or judge another statistic",
        )
    age = duration_text(max(now - from_unix(max(seconds)), timedelta()))
    return ok(what, f"{sample_count} in the last 24h, the newest {age} ago")


def missing_data_check(name: str, policy: Policy, listed: MetricListing) -> Check:
    """Return the check of a metric without data for 24 hours, from the metrics that are listed.

    Dimensions that the policy uses for another metric, like that of the other path, are no
    correction for this one; those of a path of the target need none.
    """
    what, metric = f"metric {name}", policy.metrics[name]
    paths = _paths(policy, metric)
    is_right = metric.dimensions in _own_dimensions(policy.target)
    other_dimensions = [one for one in listed.dimensions if not is_right and dict(one) not in paths]
    if listed.problem:
        return warn(what, f"no data in the last 24h; its name is not checked: {listed.problem}")
    if dict(metric.dimensions) in [dict(one) for one in listed.dimensions]:
        return warn(
            what,
            "no data in the last 24h; it had some in the last two weeks",
            "fine where that path has no requests now; else check its publisher",
        )
    if other_dimensions:
        nearest = sorted(other_dimensions, key=lambda one: _distance(metric.dimensions, one))
        alternatives = " or ".join(map(_text, nearest[:_MAX_SHOWN]))
        return fail(
            what,
            f"{metric.namespace} {metric.name} has no dimensions {_text(metric.dimensions)}",
            f"it has {alternatives}: correct the policy",
        )
    if close_matches := _close_matches(metric.name, listed.names):
        return fail(
            what,
            f"{metric.namespace} has no {metric.name}",
            f"it has {' and '.join(close_matches)}: correct the policy",
        )
    return warn(
        what,
        f"{metric.namespace} {metric.name} had no data in the last two weeks",
        "fine before the first request on that path; else check the name and the region",
    )


def _own_dimensions(target: TargetSpec) -> list[Dimensions]:
    """Return the dimensions by which AWS counts each path of the target."""
    source = target.counted_by
    if source is None:
        return []
    counts = (source.count("Any", one) for one in (source.dimensions, source.stable))
    return [one.resolved(target.values).dimensions for one in counts]


def _distance(expected: Dimensions, listed: Dimensions) -> tuple[int, int, str]:
    """Return how far `listed` is from `expected`: differing pairs, then differing names."""
    pairs = len(set(expected.items()) ^ set(listed.items()))
    return pairs, len(set(expected) ^ set(listed)), _text(listed)


def _text(dimensions: Dimensions) -> str:
    inside = ", ".join(f"{name}: {value}" for name, value in sorted(dimensions.items()))
    return f"{{{inside}}}"


def _paths(policy: Policy, metric: Metric) -> list[Dimensions]:
    """Return the dimensions of the metrics that the policy measures on other paths.

    These are the metrics of the same name. The metrics of the same namespace count too when
    another one has the dimensions of `metric`: mistyped dimensions would be the only ones.
    """
    same_namespace = [one for one in policy.metrics.values() if one.namespace == metric.namespace]
    shared = sum(one.dimensions == metric.dimensions for one in same_namespace) > 1
    return [one.dimensions for one in same_namespace if shared or one.name == metric.name]


def _close_matches(name: str, names: Sequence[str]) -> list[str]:
    """Return the listed names closest to `name`: other letter case, or a typing mistake."""
    lower = {one.lower(): one for one in names if one != name}
    return [lower[one] for one in get_close_matches(name.lower(), lower, n=_MAX_SHOWN, cutoff=0.75)]
