"""The verb `report`: writes the report of a rollout as one page.

What it reads besides the store is here: the newest minutes, and the latency of both paths. The
sequential judge reads no percentiles of the stable path, so where it has one both are read again.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final, TypeAlias

import click

from controller.bootstrap.account import real_account, write_page
from controller.cli import options
from controller.cli.call import CommandContext, Result
from controller.core.judge.queries import gate_query_plan
from controller.core.judge.series import WindowCounts, query, series_key
from controller.core.observation import MetricQuery, QueryStatus, Series, Span
from controller.core.policy import Policy
from controller.core.policy.comparison import Increase
from controller.core.rollout import Rollout
from controller.core.stats.counts import Counts
from controller.core.units import MINUTE_S, ceil_to, clock_text, floor_to, from_unix
from controller.errors import Exit, MetricsError, UsageError
from controller.immutable import Immutable
from controller.operations.history import known_entries, load_unverified
from controller.operations.recorded.series import WeightSpan, judge_for
from controller.operations.recorded.trace import Trace, TraceForm, TraceSource, latency_limit, trace
from controller.ports.json_view import Count
from controller.ports.metrics import MetricSource
from controller.process.settings import FilePage, PageLocation
from controller.render.history import ExposureData, exposure_data
from controller.render.html import report_file
from controller.safe_text import printable_block
from controller.tools.report import (
    LatencyReport,
    RolloutHistory,
    RolloutReport,
    make_report,
)
from controller.tools.report.html import headline, report_html

# Age up to which CloudWatch keeps values of a period; after 455 days it has none.
_KEPT: Final = ((60, timedelta(days=15)), (300, timedelta(days=63)), (3_600, timedelta(days=455)))
# The most datapoints of one series: a chart cannot show more, and an answer has few pages.
_MAX_POINTS: Final = 10_000
_NOT_ASKED: Final = "CloudWatch was not asked"

_Read: TypeAlias = Callable[[Iterable[MetricQuery], Span], Mapping[MetricQuery, Series]]


class ReportData(Immutable):
    """The page that was written."""

    rollout: str
    """Id of the rollout."""
    file: str
    """Where the page is: a path, or the address of an object in S3."""
    bytes: Count
    """Size of the page."""
    exposure: ExposureData
    """Bad requests served and to expect."""
    missing: list[str]
    """What the page does not show, and why."""


@click.command()
@click.argument("rollout", metavar="ROLLOUT")
@click.option(
    "--html", "place", type=options.PAGE_PLACE, metavar="FILE|s3://BUCKET/KEY",
    help="Where the page is written. Default: a file of the rollout's name in this folder, like "
    "checkout-1.html.",
)  # fmt: skip
@click.option("--offline", is_flag=True, help="Read the store alone, and not CloudWatch.")
@options.call_options("store", "json")
def report(call: CommandContext, rollout: str, place: PageLocation | None, offline: bool) -> Result:
    """Write the report of a rollout: one HTML page.

    It has the outcome and its reason, the measurements over time with their limits, what operators
    did, and the audit log. It is made from the stored history; the latencies of both paths are read
    from CloudWatch where the history has counts of slow requests alone. Ends with 1 when the
    history was changed, and the page says so.
    """
    with call.store_session() as store:
        stored, snapshot = load_unverified(store, call.rollout_id(store, rollout))
        history = RolloutHistory(stored, known_entries(store, stored), snapshot)
        made = report_of(history, real_account().clock.now(), offline=offline)
    page = report_html(made)
    place = place or FilePage(report_file(stored))
    write_page(place, page)
    size = len(page.encode())
    problems = [made.unread, *(latency.problem for latency in made.latencies)]
    missing = list(dict.fromkeys(filter(None, problems)))

    return Result(
        "report",
        data=lambda: ReportData(stored.id, place.text, size, exposure_data(made.exposure), missing),
        text=lambda: printable_block(
            [headline(stored), f"report: {place.text} ({-(-size // 1_000)} kB)"]
        ),
        notes=[f"not shown in full: {one}" for one in missing],
        status=Exit.DONE if history.intact else Exit.INTERNAL,
    )


# --- What is read besides the store ---------------------------------------------------------------


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

    def read(queries: Iterable[MetricQuery], span: Span) -> Mapping[MetricQuery, Series]:
        return (source or real_account().metrics()).read(queries, span)

    unread = _add_unstored_minutes(history, now, None if offline else read)
    latencies = list(_latencies(history, now, None if offline else read))
    return make_report(history, now, latencies, unread)


def _add_unstored_minutes(history: RolloutHistory, now: datetime, read: _Read | None) -> str:
    """Add the newest minutes of a gate that is judged; return why they are missing, or nothing.

    They are stored once an hour, so that a rollout that has just started has none.
    """
    plan = gate_query_plan(history.rollout, now)
    if not plan.queries:
        return ""
    missing = f"minutes from {clock_text(from_unix(plan.span.start))} on are not stored yet"
    if read is None:
        return f"{missing}, and {_NOT_ASKED}"
    try:
        answers = read(plan.queries.values(), plan.span)
    except (MetricsError, UsageError) as error:
        return f"{missing}: {error}"
    history.add({key: answers[one] for key, one in plan.queries.items() if one in answers})
    return ""


# --- Latencies ------------------------------------------------------------------------------------


class LatencyPair(Immutable):
    """A latency of the canary, by the name in the policy, and that of the stable path.

    stable: empty where no criterion compares them. criteria: on this latency.
    """

    canary: str
    stable: str
    criteria: tuple[str, ...]


def _latency_pairs(policy: Policy) -> list[LatencyPair]:
    """Return the latencies that the criteria of `policy` judge, each once."""
    stable: dict[str, str] = {}
    criteria: dict[str, list[str]] = {}
    for name, comparison in policy.comparisons():
        metric = comparison.metric
        is_increase = isinstance(comparison.measured, Increase)
        if metric is None or not (is_increase or policy.metrics[metric].percentile):
            continue
        stable[metric] = stable.get(metric) or comparison.stable_metric
        criteria.setdefault(metric, []).append(name)
    return [LatencyPair(one, stable[one], tuple(names)) for one, names in criteria.items()]


def _latencies(
    history: RolloutHistory, now: datetime, read: _Read | None
) -> Iterator[LatencyReport]:
    """Yield the latencies of both paths, as the policy's own statistics: p95, or another one.

    They are read where the history does not have all of them. The period is the shortest that
    CloudWatch still has, with at most 10,000 datapoints.
    """
    policy, times = history.rollout.policy, history.weight_spans
    pairs = _latency_pairs(policy)
    names = dict.fromkeys(name for one in pairs for name in (one.canary, one.stable) if name)
    if not names or not times:
        return
    begin, end = times[0].begin, times[-1].end
    period_s = next((size for size, age in _KEPT if now - begin < age), _KEPT[-1][0])
    while (end - begin).total_seconds() / period_s > _MAX_POINTS:
        period_s *= 5
    statistics = {name: policy.metrics[name].statistic for name in names}
    queries = {name: query(policy.metrics[name], statistics[name], period_s) for name in names}
    recorded = {
        one: history.series.get(series_key(name, statistics[name], period_s))
        for name, one in queries.items()
    }
    answers: Mapping[MetricQuery, Series] = {
        one: series for one, series in recorded.items() if series is not None
    }
    problem = ""
    if len(answers) < len(recorded):
        answers = {}
        if read is None:
            problem = f"the history does not have them minute by minute, and {_NOT_ASKED}"
        else:
            span = Span(floor_to(begin, period_s), ceil_to(int(end.timestamp()), period_s))
            try:
                answers = read(queries.values(), span)
            except (MetricsError, UsageError) as error:
                problem = str(error)
    series = {name: answers.get(one, Series()) for name, one in queries.items()}
    for pair in pairs:
        found = _trace(history.rollout, pair, series, period_s, times)
        why = problem or _problem(pair, series)
        shown = found if found.bins else None
        yield LatencyReport(pair.canary, statistics[pair.canary], shown, why)


def _problem(pair: LatencyPair, series: Mapping[str, Series]) -> str:
    """Return why values of a pair are missing; empty when both were answered in full."""
    for name in filter(None, (pair.canary, pair.stable)):
        one = series[name]
        if one.status is not QueryStatus.COMPLETE:
            return f"metric {name} was not read in full: {one.message or one.status}"
        if not one.points and name == pair.canary:
            return f"metric {name} has no datapoint in this time"
    return ""


def _trace(
    rollout: Rollout,
    pair: LatencyPair,
    series: Mapping[str, Series],
    period_s: int,
    times: Sequence[WeightSpan],
) -> Trace:
    """Return a latency of both paths, and the lowest stored limit of each step."""
    canary = series[pair.canary].points
    stable = series[pair.stable].points if pair.stable else {}

    def measure(start: int) -> WindowCounts | None:
        value, other = canary.get(start), stable.get(start)
        if value is None:
            return None
        samples = 0.0 if other is None else 1.0
        return WindowCounts(Counts(1.0, value, samples, other or 0.0), value)

    limits: dict[int, float | None] = {}
    for step in {one.step for one in times}:
        gate = rollout.policy.gate(step)
        known = [latency_limit(judge_for(rollout, name)) for name in pair.criteria if name in gate]
        limits[step] = min((limit for limit in known if limit is not None), default=None)
    unit, period_s = rollout.policy.metrics[pair.canary].unit, max(period_s, MINUTE_S)
    return trace(TraceSource(measure, period_s, TraceForm.LEVEL, unit, pair.stable), times, limits)
