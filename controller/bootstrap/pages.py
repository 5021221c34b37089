"""Where pages are written, and what a report reads besides the store."""

from collections.abc import Mapping
from datetime import datetime

from controller.adapters.aws.clients import Clients
from controller.bootstrap.account import real_account
from controller.core.observation import MetricQuery, Series
from controller.errors import MetricsError, UsageError
from controller.operations.report.report import RolloutHistory, RolloutReport, make_report
from controller.ports.metrics import MetricSource
from controller.process.settings import PageLocation, S3Page

__all__ = ["Clients", "report_of", "write_page"]


def write_page(place: PageLocation, text: str, clients: Clients | None = None) -> None:
    """Write the page `text` to `place`. Raises PageError, and UsageError without credentials.

    clients: those of a tick, whose time limits the call.
    """
    if isinstance(place, S3Page):
        from controller.adapters.pages import put_page

        account = real_account(clients=clients)
        put_page(account.client("s3"), place.bucket, place.key, text)
        return
    from controller.adapters.pages import write_file

    write_file(place.path, text)


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
