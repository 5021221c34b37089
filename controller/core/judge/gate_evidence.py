"""The evidence of a gate at one tick, and its fold into a tally for each criterion."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

from controller.core.judge.evidence import (
    BaselineMeasurement,
    BreachRun,
    NonMetricEvidence,
    StepInterval,
    Tally,
)
from controller.core.judge.kind import Kind, incomplete_series, kind_of, kinds_of
from controller.core.judge.sequential_evidence import SequentialEvidence
from controller.core.judge.tally import window_starts
from controller.core.observation import Series, Span
from controller.core.policy import Criterion, Policy
from controller.core.stats.combined_tests import Fold
from controller.core.units import ceil_to

# An hourly seal and a tick every quarter of an hour leave no more than this unsealed.
BACKLOG_THRESHOLD = timedelta(minutes=90)


@dataclass(frozen=True, slots=True)
class Evidence:
    """What a gate is judged from.

    gate: its criteria. tallies: sealed evidence by criterion; series: the data since, by key.
    start, closed_end, open_end: first judged second, end of the settled periods, end of what was
    read; unix seconds.
    bake_over: the bake is over and its data are settled to the end.
    weight: percent that the canary is judged at. baselines: by criterion.
    fold, intervals: sealed evidence of the whole rollout, and the steps whose minutes are not
    sealed; without intervals the sequential judge has no new evidence.
    non_metric: alarms and sign-offs.
    """

    policy: Policy
    gate: Mapping[str, Criterion]
    series: Mapping[str, Series]
    tallies: Mapping[str, Tally]
    start: int
    closed_end: int
    open_end: int
    bake_over: bool
    weight: int
    baselines: Mapping[str, BaselineMeasurement]
    fold: Fold = field(default_factory=Fold)
    intervals: tuple[StepInterval, ...] = ()
    non_metric: NonMetricEvidence = field(default_factory=NonMetricEvidence)

    @property
    def sequential_evidence(self) -> SequentialEvidence:
        """The evidence of the whole rollout, for the sequential judge."""
        return SequentialEvidence(
            self.policy, self.fold, self.intervals, self.series, self.baselines
        )

    def kinds(self) -> Iterator[Kind[Any]]:
        """Yield the kind of each criterion of the gate."""
        return kinds_of(self.policy, self.gate, self.baselines)

    def kind_of(self, name: str, criterion: Criterion) -> Kind[Any]:
        """Return the kind of one criterion."""
        return kind_of(name, criterion, self.policy, self.baselines.get(name))

    def tally_of(self, kind: Kind[Any]) -> Tally:
        """Return the sealed tally of a criterion."""
        return self.tallies.get(kind.name, Tally())

    def search_span_of(self, kind: Kind[Any]) -> Span | None:
        """Return where a log was searched for the events of a criterion; None without a log."""
        return kind.search_span(self.tally_of(kind).through, Span(self.start, self.closed_end))

    def incomplete_series_of(self, kind: Kind[Any]) -> tuple[str, Series] | None:
        """Return the first series that was not answered in full, by name; None when all were."""
        return incomplete_series(kind.answers(self.series, self.search_span_of(kind)))


def fold_closed_windows(kind: Kind[Any], evidence: Evidence, end: int) -> Tally:
    """Return the sealed tally of `kind` with its closed windows up to `end` folded in."""
    tally, span = evidence.tally_of(kind), evidence.search_span_of(kind)
    if span is not None:
        end = min(end, span.end)
    starts = window_starts(kind.period_s, tally, evidence.start, end)
    if not starts:
        return tally
    measure = kind.measure(evidence.series, has_traffic=evidence.weight > 0)
    return kind.fold(tally, measure, starts)


def fold_open_breaches(kind: Kind[Any], evidence: Evidence, tally: Tally) -> Tally:
    """Return `tally` with open windows folded in whose count is already over its limit.

    A count only grows: once over the limit it stays over it, so a breach needs neither settled nor
    complete data. A window in between that is not over yet, or was not answered, may still end a
    run of breaches, so it does.
    """
    if not kind.counts_open_windows:
        return tally
    period_s = kind.period_s
    measure = kind.measure(evidence.series, has_traffic=evidence.weight > 0)
    first = max(ceil_to(evidence.start, period_s), tally.through)
    certain = tally
    for start in range(first, evidence.open_end, period_s):
        window = measure(start)
        if window is None or not window.breach:
            continue
        if start != certain.through:
            certain = replace(certain, run=BreachRun())
        certain = kind.fold(certain, measure, (start,))
    return replace(certain, tail_empty=tally.tail_empty, tail_unfit=tally.tail_unfit)


def reads_log_backlog(evidence: Evidence) -> bool:
    """Tell whether a log with a backlog answers again, so that the next ticks can catch up."""
    longest = BACKLOG_THRESHOLD.total_seconds()
    return any(span.end - span.start > longest for _, span in _answered_logs(evidence))


def awaits_log_backlog(evidence: Evidence) -> bool:
    """Tell whether the gate has no verdict yet because a log still has a backlog."""
    return any(
        kind.criterion.gating and span.end < evidence.closed_end
        for kind, span in _answered_logs(evidence)
    )


def _answered_logs(evidence: Evidence) -> Iterator[tuple[Kind[Any], Span]]:
    """Yield each criterion whose log queries were answered, and where its event was searched."""
    for kind in evidence.kinds():
        span = evidence.search_span_of(kind)
        if span is not None and evidence.incomplete_series_of(kind) is None:
            yield kind, span
