"""Whether a metric of the policy has data, and what is wrong with its name when it has none."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from difflib import get_close_matches
from typing import Final

from controller.core.checks import Check, fail, ok, warn
from controller.core.judge.latency_tail import SAMPLES
from controller.core.judge.queries import query
from controller.core.observation import MetricQuery, QueryStatus, Series, Span
from controller.core.policy import Metric, Policy
from controller.core.units import count_text, duration_text, floor_to, from_unix
from controller.ports.metrics import Dimensions, MetricListing

LOOKBACK: Final = timedelta(hours=24)
_PERIOD_S: Final = 300
_MAX_SHOWN: Final = 3
_GRANT: Final = "grant cloudwatch:GetMetricData to this role, and run again"


def span_until(now: datetime) -> Span:
    """Return the last day in whole periods, the one that is still open included."""
    end = floor_to(now, _PERIOD_S) + _PERIOD_S
    return Span(end - int(LOOKBACK.total_seconds()), end)


def queries_of(metric: Metric) -> tuple[MetricQuery, MetricQuery]:
    """Return what is asked of a metric: how many samples it has, and the policy's statistic."""
    return query(metric, SAMPLES, _PERIOD_S), query(metric, metric.statistic, _PERIOD_S)


def data_check(
    name: str, metric: Metric, samples: Series, values: Series, now: datetime
) -> Check | None:
    """Return the check of a metric that has data, or that cannot be read; None when it has none."""
    what = f"metric {name}"
    for series in (samples, values):
        if series.answer in (QueryStatus.ERROR, QueryStatus.FORBIDDEN):
            return fail(what, f"cannot be read: {series.message or series.answer}", _GRANT)
    seconds = [second for second, count in samples.points.items() if count]
    if not seconds:
        return None
    counted = count_text(sum(samples.points.values()), "sample")
    if not values.points:
        return fail(
            what,
            f"has {counted} in the last 24h and no {metric.statistic}: what publishes it sends "
            "statistic sets",
            "publish values, or judge another statistic",
        )
    age = duration_text(max(now - from_unix(max(seconds)), timedelta()))
    return ok(what, f"{counted} in the last 24h, the newest {age} ago")


def missing_data_check(name: str, policy: Policy, listed: MetricListing) -> Check:
    """Return the check of a metric that had no data for a day.

    That another metric of the policy is there, like that of the other path, says nothing of it.
    """
    what, metric = f"metric {name}", policy.metrics[name]
    paths = _paths(policy, metric)
    others = [one for one in listed.dimensions if dict(one) not in paths]
    if listed.problem:
        return warn(what, f"no data in the last 24h; its name is not checked: {listed.problem}")
    if dict(metric.dimensions) in [dict(one) for one in listed.dimensions]:
        return warn(
            what,
            "no data in the last 24h; it had some in the last two weeks",
            "fine where that path has no requests now; else look at what publishes it",
        )
    if others:
        nearest = sorted(others, key=lambda one: _distance(metric.dimensions, one))
        shown = " or ".join(map(_text, nearest[:_MAX_SHOWN]))
        return fail(
            what,
            f"{metric.namespace} {metric.name} has no dimensions {_text(metric.dimensions)}",
            f"it has {shown}: correct the policy",
        )
    if alike := _close_matches(metric.name, listed.names):
        return fail(
            what,
            f"{metric.namespace} has no {metric.name}",
            f"it has {' and '.join(alike)}: correct the policy",
        )
    return warn(
        what,
        f"{metric.namespace} {metric.name} had no data in the last two weeks",
        "fine before the first request on that path; else check the name and the region",
    )


def _distance(wanted: Dimensions, listed: Dimensions) -> tuple[int, int, str]:
    """Return how far dimensions are from those that are wanted: values first, then names."""
    pairs = len(set(wanted.items()) ^ set(listed.items()))
    return pairs, len(set(wanted) ^ set(listed)), _text(listed)


def _text(dimensions: Dimensions) -> str:
    inside = ", ".join(f"{name}: {value}" for name, value in sorted(dimensions.items()))
    return f"{{{inside}}}"


def _paths(policy: Policy, metric: Metric) -> list[Dimensions]:
    """Return the dimensions of what the policy measures on other paths.

    Those of the same name; and those of the namespace, where the metric is not the only one that
    has its own dimensions: a mistyped one would be.
    """
    beside = [one for one in policy.metrics.values() if one.namespace == metric.namespace]
    shared = sum(one.dimensions == metric.dimensions for one in beside) > 1
    return [one.dimensions for one in beside if shared or one.name == metric.name]


def _close_matches(name: str, names: Sequence[str]) -> list[str]:
    """Return names that `name` may have been meant for: another case, or a slip of the hand."""
    lower = {one.lower(): one for one in names if one != name}
    return [lower[one] for one in get_close_matches(name.lower(), lower, n=_MAX_SHOWN, cutoff=0.75)]
