"""Checks of what is no metric of CloudWatch: alarms, log events, and other sources of metrics.

A source may count requests above some limits only: a histogram of Prometheus has buckets.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from itertools import pairwise
from statistics import median
from typing import Final, assert_never

from controller.core.judge.criterion_judge import judges_of
from controller.core.judge.evidence import BaselineMeasurement
from controller.core.judge.latency_tail import trimmed_count
from controller.core.judge.series import query
from controller.core.observation import (
    AlarmReading,
    AlarmState,
    LogQuery,
    MetricQuery,
    QueryStatus,
    Series,
    Span,
)
from controller.core.policy import Alarm, LogEvents, Metric, Policy, alarm_name
from controller.core.units import MINUTE_S, clock_text, floor_to, format_duration, from_unix
from controller.operations.checks import Check, fail, ok, warn
from controller.ports.metrics import MetricSource

_LOOKBACK: Final = timedelta(hours=1)
_SEARCH_REMEDY: Final = "check that the group exists"
_MISSING_REMEDY: Final = "create it, or correct the policy"


def alarms_of(policy: Policy) -> dict[str, Alarm]:
    """Return the criteria of `policy` that read a CloudWatch alarm, by name."""
    return {
        name: criterion
        for name, criterion in policy.criteria.items()
        if isinstance(criterion, Alarm)
    }


def alarm_check(
    name: str,
    criterion: Alarm,
    reading: AlarmReading,
    *,
    starting: bool = False,
    fix: bool = False,
) -> Check:
    """Return the check of the alarm that a criterion reads.

    An alarm that is in ALARM already would be blamed on the rollout, and a missing one never
    reports. For a criterion that only reports, both are warnings: it blocks no start.
    starting: a rollout starts now, so an alarm in ALARM fails. fix: it starts as a fix, for which
    that is a warning, too.
    """
    what, alarm = f"alarm of {name}", alarm_name(criterion.alarm)
    level_of = fail if criterion.gating else warn
    match reading.state:
        case AlarmState.OK:
            return ok(what, f"{alarm} is OK")
        case AlarmState.ALARM:
            since = f" since {clock_text(from_unix(reading.since))}" if reading.since else ""
            reason = f" ({reading.reason})" if reading.reason else ""
            remedy = "the criterion only reports"
            if criterion.gating:
                remedy = "start is refused until it is OK, but for start --fix"
            if criterion.gating and fix:
                remedy = "it does not gate until it has been OK once"
            level = level_of if starting and not fix else warn
            return level(what, f"{alarm} is in ALARM{since}{reason}", remedy)
        case AlarmState.INSUFFICIENT_DATA:
            return warn(what, f"{alarm} has no data", "check which metric it uses")
        case AlarmState.MISSING:
            return level_of(
                what, f"there is no alarm {alarm} in this account and region", _MISSING_REMEDY
            )
        case AlarmState.UNREAD:
            remedy = "its gate cannot pass" if criterion.gating else "the criterion only reports"
            return level_of(what, f"{alarm} cannot be read: {reading.reason}", remedy)
        case unreachable:
            assert_never(unreachable)


def log_queries(policy: Policy, now: datetime) -> dict[str, tuple[LogQuery, ...]]:
    """Return the log queries of `policy`, by the name of their check; one event of each is enough.

    `verify_rollback` has two patterns, and the live weight decides which one is logged now: an
    event of either passes.
    """
    end = int(now.timestamp())
    span = Span(end - int(_LOOKBACK.total_seconds()), end)
    queries: dict[str, tuple[LogQuery, ...]] = {}
    if (verify := policy.verify_rollback) is not None:
        group = policy.log_group_of(verify)
        queries["log of verify_rollback"] = tuple(
            LogQuery(group, pattern, span, 1) for pattern in (verify.present, verify.absent)
        )
    for name, criterion in policy.criteria.items():
        if isinstance(criterion, LogEvents):
            query = LogQuery(policy.log_group_of(criterion), criterion.control, span, 1)
            queries[f"log of {name}"] = (query,)
    return queries


def log_check(what: str, queries: tuple[LogQuery, ...], counts: Mapping[LogQuery, Series]) -> Check:
    """Return the check that an event of one of `queries` was logged in the last hour."""
    group = queries[0].group
    series = [counts[query] for query in queries]
    statuses = {one.status for one in series}
    if QueryStatus.FORBIDDEN in statuses:
        return warn(what, f"not checked: grant logs:FilterLogEvents on {group}")
    for one in series:
        if one.status is QueryStatus.ERROR:
            return fail(what, one.message or f"{group} cannot be searched", _SEARCH_REMEDY)
    if any(one.points for one in series):
        return ok(what, f"{group} has a matching event in the last hour")
    patterns = " nor ".join(query.pattern for query in queries)
    negation = "neither " if len(queries) > 1 else "no "
    return warn(
        what,
        f"{group} has {negation}{patterns} in the last hour",
        "fine where there were no requests; else see what the application logs: rolloutctl logs "
        "POLICY",
    )


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
