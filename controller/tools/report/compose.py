"""What a report reads besides the store."""

from collections.abc import Mapping
from datetime import datetime

from controller.bootstrap.account import real_account
from controller.core.observation import MetricQuery, Series
from controller.core.units import clock_text, from_unix
from controller.errors import MetricsError, UsageError
from controller.ports.metrics import MetricSource
from controller.tools.report.report import RolloutHistory, RolloutReport, make_report


def report_of(
    history: RolloutHistory,
    now: datetime,
    source: MetricSource | None = None,
    *,
    offline: bool = False,
) -> RolloutReport:
    """Return the report of a rollout; what it has not recorded is read: latencies, newest minutes.

    source: of the real account when it is None. offline: nothing is read. What could not be read
    is said in the report.
    """
    unread = _add_unstored_minutes(history, now, source, offline=offline)
    queries = history.latency_queries(now)
    if queries is None:
        return make_report(history, now, unread=unread)
    recorded = history.recorded_answers(queries)
    if recorded is not None:
        return make_report(history, now, queries=queries, answers=recorded, unread=unread)
    answers: Mapping[MetricQuery, Series] = {}
    problem = "the history does not have them minute by minute, and CloudWatch was not asked"
    if not offline:
        problem = ""
        try:
            source = source or real_account().metrics()
            answers = source.read(queries.by_metric.values(), queries.span)
        except (MetricsError, UsageError) as error:
            problem = str(error)
    return make_report(
        history, now, queries=queries, answers=answers, problem=problem, unread=unread
    )


def _add_unstored_minutes(
    history: RolloutHistory, now: datetime, source: MetricSource | None, *, offline: bool
) -> str:
    """Add the newest minutes of a gate that is judged; return why they are missing, or nothing.

    They are stored once an hour, so that a rollout that has just started has none.
    """
    plan = history.unstored_minutes(now)
    if not plan.queries:
        return ""
    since = clock_text(from_unix(plan.span.start))
    if offline:
        return f"minutes from {since} on are not stored yet, and CloudWatch was not asked"
    try:
        source = source or real_account().metrics()
        answers = source.read(plan.queries.values(), plan.span)
    except (MetricsError, UsageError) as error:
        return f"minutes from {since} on are not stored yet: {error}"
    history.add({key: answers[one] for key, one in plan.queries.items() if one in answers})
    return ""
