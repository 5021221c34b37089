"""The criteria of a rollout for its report: the newest finding, the queries, and the trace."""

from collections.abc import Iterator, Mapping, Sequence

from controller.core.judge.facts import Breach, Odds
from controller.core.judge.findings import Finding
from controller.core.judge.queries import queries_for
from controller.core.observation import LogQuery, MetricQuery, Series, Span
from controller.core.policy.comparison import NotCompared
from controller.core.rollout import Rollout
from controller.core.units import MINUTE_S
from controller.core.words.criteria_table import CriterionTexts, rows
from controller.immutable import Immutable
from controller.operations.recorded.series import WeightSpan, judge_for
from controller.operations.recorded.trace import Trace, trace_of


class CriterionReport(Immutable):
    """One criterion of a rollout.

    finding: the newest with its facts, which the state keeps for the live step alone.
    demand: what it asks for. baseline: what was read before the start; empty without one.
    queries, logs: what a tick reads for it.
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
    baseline: str = ""


def criteria_reports(
    rollout: Rollout,
    recorded: Mapping[str, Finding],
    series: Mapping[str, Series],
    times: Sequence[WeightSpan],
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
            baseline=judge.baseline_text(),
            why=compared.why if isinstance(compared, NotCompared) and not found.bins else "",
        )


def _with_facts(finding: Finding | None, recorded: Finding | None) -> Finding | None:
    same = finding is not None and recorded is not None and finding.end == recorded.end
    return recorded if same and finding is not None and not finding.facts else finding


def regression_of(finding: Finding) -> tuple[int, int] | None:
    """Return from when to when a failing finding saw the regression; None where it does not say."""
    odds, breach = Odds.find(finding), Breach.find(finding)
    if odds is not None and odds.regression_start and odds.regression_end:
        return odds.regression_start, odds.regression_end
    return None if breach is None else (breach.breach_start, breach.breach_end)
