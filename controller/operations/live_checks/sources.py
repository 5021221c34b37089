"""Checks of metrics that are not of CloudWatch: what their source cannot count, and how often.

A source may count requests above some limits only: a histogram of Prometheus has buckets.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from itertools import pairwise
from statistics import median
from typing import Final

from controller.core.judge.criterion_judge import judges_of
from controller.core.judge.evidence import BaselineMeasurement
from controller.core.judge.latency_tail import trimmed_count
from controller.core.judge.series import query
from controller.core.observation import MetricQuery, QueryStatus, Span
from controller.core.policy import Metric, Policy
from controller.core.units import MINUTE_S, floor_to, format_duration
from controller.operations.checks import Check, fail, warn
from controller.ports.metrics import MetricSource

_SPAN: Final = timedelta(hours=1)
# Fewer datapoints do not show how often a metric is measured.
_FEWEST_POINTS: Final = 4


def limit_checks(
    source: MetricSource,
    policy: Policy,
    baselines: Mapping[str, BaselineMeasurement],
    now: datetime,
) -> Iterator[Check]:
    """Yield a failure for each criterion with a limit that its source cannot count above.

    baselines: those that were read; without the one of a criterion, its limits are not known.
    Raises MetricsError when the metric source cannot be read at all.
    """
    queries = {name: own for name, own in _limits(policy, baselines).items() if own}
    if not queries:
        return
    series = source.read([one for own in queries.values() for one in own], _last_hour(now))
    for name, own in queries.items():
        messages = [series[one].message for one in own if series[one].status is QueryStatus.ERROR]
        for message in dict.fromkeys(messages):
            yield fail(f"criterion {name}", message, "then start")


def _limits(
    policy: Policy, baselines: Mapping[str, BaselineMeasurement]
) -> dict[str, list[MetricQuery]]:
    """Return the queries for requests above a limit, by criterion; empty for CloudWatch."""
    limits: dict[str, list[MetricQuery]] = {}
    for judge in judges_of(policy, policy.criteria, baselines):
        limits[judge.name] = [
            one
            for one in judge.queries.values()
            if one.source is not None and one.statistic.startswith("TC(")
        ]
    for name, comparison in policy.comparisons():
        if policy.criteria[name].sequential or comparison.metric is None:
            continue
        metric, stored = policy.metrics[comparison.metric], baselines.get(name)
        bound = comparison.limit(None if stored is None else stored.value)
        if metric.source is not None and metric.percentile is not None and bound:
            limits[name].append(query(metric, trimmed_count(bound), MINUTE_S))
    return limits


def frequency_checks(source: MetricSource, policy: Policy, now: datetime) -> Iterator[Check]:
    """Yield a failure for each counter that is measured less than once a minute.

    Raises MetricsError when the metric source cannot be read at all.
    """
    queries = {
        name: query(metric, metric.statistic, MINUTE_S)
        for name, metric in policy.metrics.items()
        if metric.source is not None and metric.statistic == "Sum"
    }
    series = source.read(queries.values(), _last_hour(now)) if queries else {}
    for name, one in queries.items():
        stamps = sorted(series[one].points)
        if len(stamps) < _FEWEST_POINTS:
            continue
        apart = median(later - at for at, later in pairwise(stamps))
        if apart > MINUTE_S:
            yield fail(
                f"metric {name}",
                f"it has a sample every {format_duration(timedelta(seconds=apart))}: a minute "
                "without one has no data",
                "scrape it once a minute or more often",
            )


def missing_check(name: str, metric: Metric, *, idle: bool, proven: bool) -> Check:
    """Return the check of a metric without data for 24 hours.

    idle, proven: as for a metric of CloudWatch.
    """
    labels = ", ".join(f"{label}: {value}" for label, value in sorted(metric.dimensions.items()))
    remedy = "check the name and the labels"
    if idle or proven:
        remedy = f"fine before there is something to count, else {remedy}"
    return warn(
        f"metric {name}",
        f"{metric.place} had no {metric.name} with {{{labels}}} in the last 24h",
        remedy,
    )


def _last_hour(now: datetime) -> Span:
    end = floor_to(now, MINUTE_S)
    return Span(end - int(_SPAN.total_seconds()), end)
