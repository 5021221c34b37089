"""The criteria of a rollout for its report: the newest finding, the queries, and the trace."""

from collections.abc import Iterator, Mapping, Sequence
from typing import TypeAlias

from controller.core.judge.criterion_judge import CriterionJudge, judge_of
from controller.core.judge.facts import Breach, Odds
from controller.core.judge.findings import Finding
from controller.core.judge.latency_tail import LatencyLimits, TailJudge
from controller.core.judge.queries import queries_for
from controller.core.judge.sequential import SequentialJudge
from controller.core.judge.series import Measure, WindowCounts
from controller.core.observation import LogQuery, MetricQuery, Series, Span
from controller.core.policy import Criterion
from controller.core.policy.comparison import (
    Comparison,
    Computed,
    NotCompared,
    Ratio,
)
from controller.core.rollout import Rollout
from controller.core.units import MINUTE_S
from controller.core.words.criteria_table import CriterionTexts, rows
from controller.immutable import Immutable, replace
from controller.operations.report.recorded import Stretch
from controller.operations.report.trace import Trace, TraceForm, TraceSource, trace

Judge: TypeAlias = CriterionJudge[Criterion]

# A ratio with a bound up to this is a share of failures, for which small differences matter.
_SMALL_SHARE = 0.05


class CriterionReport(Immutable):
    """One criterion of a rollout.

    finding: the newest with its facts, which the state keeps for the live step alone.
    demand: what it asks for. queries, logs: what a tick reads for it.
    trace: None where its values are no series, or none of it is recorded. why: it has none because
    it compares no values; else empty.
    """

    row: CriterionTexts
    finding: Finding | None
    demand: str
    queries: tuple[MetricQuery, ...]
    logs: tuple[LogQuery, ...]
    trace: Trace | None
    why: str = ""


def criteria_reports(
    rollout: Rollout,
    recorded: Mapping[str, Finding],
    series: Mapping[str, Series],
    times: Sequence[Stretch],
) -> Iterator[CriterionReport]:
    """Yield the criteria of `rollout`: those that fail first, then by id.

    recorded: the newest finding of each criterion in the history.
    """
    ranked = sorted(rows(rollout), key=lambda row: row.finding is None or not row.finding.fails)
    for row in ranked:
        judge = judge_for(rollout, row.criterion)
        found, compared = trace_of(judge, series, times), judge.criterion.compares()
        yield CriterionReport(
            row=row,
            finding=_with_facts(row.finding, recorded.get(row.criterion)),
            demand=judge.rule_text,
            queries=tuple(queries_for([judge]).values()),
            logs=tuple(query for _, query in judge.log_queries(0, Span(0, MINUTE_S))),
            trace=found if found.bins else None,
            why=compared.why if isinstance(compared, NotCompared) and not found.bins else "",
        )


def _with_facts(finding: Finding | None, recorded: Finding | None) -> Finding | None:
    same = finding is not None and recorded is not None and finding.end == recorded.end
    return recorded if same and finding is not None and not finding.facts else finding


def judge_for(rollout: Rollout, name: str) -> Judge:
    """Return the judge of the criterion called `name`, with the baseline that was read for it."""
    criterion = rollout.policy.criteria[name]
    return judge_of(name, criterion, rollout.policy, rollout.evidence.baselines.get(name))


def windows_seen(
    judge: Judge, series: Mapping[str, Series], begin: int, end: int
) -> list[tuple[int, WindowCounts]]:
    """Return the windows of `judge` from `begin` to below `end` that have data, by their start."""
    measure = judge.measure(series, has_traffic=True)
    first = begin // judge.period_s * judge.period_s
    found = ((start, measure(start)) for start in range(first, end, judge.period_s))
    return [(start, one) for start, one in found if one is not None and one.consistent]


def trace_of(judge: Judge, series: Mapping[str, Series], times: Sequence[Stretch]) -> Trace:
    """Return the trace of a criterion; it has values in the steps whose gate judges it."""
    judged = [one for one in times if judge.name in judge.policy.gate(one.step)]
    return trace(
        source_of(judge, series), times, {one.step: limit_of(judge, one) for one in judged}
    )


def source_of(judge: Judge, series: Mapping[str, Series]) -> TraceSource:
    """Return where the trace of a criterion has its windows from."""
    factor, form, compared = _window_factor(judge), form_of(judge), judge.criterion.window_value
    measure = judge.measure(series, has_traffic=True)
    return TraceSource(
        measure=_counts(measure) if compared.window is None else measure,
        period_s=judge.period_s,
        form=form,
        unit=judge.criterion.value_unit(judge.metrics) if form is TraceForm.LEVEL else "",
        control="" if compared.follows_weight else "stable path",
        factor=factor,
        mean=factor != 1.0,
    )


def _counts(measure: Measure) -> Measure:
    """Return a measure whose control is the count of a window, and no mean over its requests."""

    def counted(start: int) -> WindowCounts | None:
        one = measure(start)
        if one is None:
            return None
        counts = replace(one.counts, control_samples=float(one.counts.control_samples > 0))
        return replace(one, counts=counts)

    return counted


def form_of(judge: Judge) -> TraceForm:
    """Return what the values of a criterion are."""
    measured = judge.criterion.window_value.measured
    if isinstance(measured, Ratio):
        is_small = not measured.counts and 0 < judge.bound <= _SMALL_SHARE
        return TraceForm.FAILURES if measured.judges_failures or is_small else TraceForm.SHARE
    return TraceForm.LEVEL if _limits(judge) is None else TraceForm.SHARE


def _limits(judge: Judge) -> LatencyLimits | None:
    """Return what slow means to a criterion that counts slow requests; None for any other."""
    return judge.limits if isinstance(judge, TailJudge) else None


def _window_factor(judge: Judge) -> float:
    """Return how many periods that are read the bound of a count is for."""
    if isinstance(judge, SequentialJudge) and judge.mean_count is not None:
        return float(judge.criterion.window.total_seconds()) / judge.period_s
    return 1.0


def limit_of(judge: Judge, stretch: Stretch) -> float | None:
    """Return the bound of a criterion at one step, in the form of its trace."""
    one, limits = judge.criterion.window_value, _limits(judge)
    if isinstance(one.measured, Ratio) and one.measured.judges_failures:
        return judge.allowed_failures
    if one.follows_weight:
        return stretch.weight / 100
    if isinstance(one.measured, Computed):
        return judge.bound
    if one.window is None:
        return None  # for all requests of a step, and the trace is by window
    if limits is not None and isinstance(judge, TailJudge):
        return None if limits.control_metric else float(judge.allowed_slow_share)
    return _stored_limit(judge, one)


def latency_limit(judge: Judge) -> float | None:
    """Return the latency that a stored or fixed baseline allows; None where there is none."""
    one = judge.criterion.window_value
    return _stored_limit(judge, one) if one.metric is not None and one.is_maximum else None


def _stored_limit(judge: Judge, one: Comparison) -> float | None:
    return one.limit(None if judge.baseline is None else judge.baseline.value)


def regression_of(finding: Finding) -> tuple[int, int] | None:
    """Return from when to when a failing finding saw the regression; None where it does not say."""
    odds, breach = Odds.find(finding), Breach.find(finding)
    if odds is not None and odds.regression_start and odds.regression_end:
        return odds.regression_start, odds.regression_end
    return None if breach is None else (breach.breach_start, breach.breach_end)
