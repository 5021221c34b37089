"""What a report reads besides the store."""

from collections.abc import Mapping
from datetime import datetime

from controller.bootstrap.account import real_account
from controller.core.observation import MetricQuery, Series
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
    """Return the report of a rollout; latencies that it has not recorded are read again.

    source: of the real account when it is None. offline: nothing is read. What could not be read
    is said in the report.
    """
    queries = history.latency_queries(now)
    if queries is None:
        return make_report(history, now)
    recorded = history.recorded_answers(queries)
    if recorded is not None:
        return make_report(history, now, queries=queries, answers=recorded)
    answers: Mapping[MetricQuery, Series] = {}
    problem = "the history does not have them minute by minute, and CloudWatch was not asked"
    if not offline:
        problem = ""
        try:
            source = source or real_account().metrics()
            answers = source.read(queries.by_metric.values(), queries.span)
        except (MetricsError, UsageError) as error:
            problem = str(error)
    return make_report(history, now, queries=queries, answers=answers, problem=problem)
