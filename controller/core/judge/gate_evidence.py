"""The evidence of a gate at one tick, and its fold into a tally for each criterion."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from controller.core.judge.evidence import (
    BaselineMeasurement,
    BreachRun,
    NonMetricEvidence,
    StepInterval,
    Tally,
)
from controller.core.judge.kinds.burn_rate import fold_burn_rate
from controller.core.judge.kinds.log_events import measure_events
from controller.core.judge.kinds.threshold import incomplete_series
from controller.core.judge.log_queries import BACKLOG_THRESHOLD, event_search_span, log_keys_to_read
from controller.core.judge.queries import period_of, series_keys_of
from controller.core.judge.sequential_evidence import SequentialEvidence
from controller.core.judge.series import NO_SERIES, Measure, measure_for
from controller.core.judge.tally import fold, window_starts
from controller.core.observation import Series, Span
from controller.core.policy import BurnRate, Criterion, LogEvents, Metric, Policy, Threshold
from controller.core.stats.combined_tests import Fold
from controller.core.units import ceil_to


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


def fold_tally(
    name: str, criterion: Criterion, evidence: Evidence, tally: Tally, end: int
) -> Tally:
    starts = window_starts(criterion, tally, evidence.start, end)
    if not starts:
        return tally
    measure = _measure(name, criterion, evidence)
    if isinstance(criterion, BurnRate):
        return fold_burn_rate(criterion, tally, measure, starts)
    return fold(tally, measure, starts, period_of(criterion))


def _measure(name: str, criterion: Criterion, evidence: Evidence) -> Measure:
    if isinstance(criterion, LogEvents):
        return measure_events(name, evidence.series)
    metrics, baseline = evidence.policy.metrics, evidence.baselines.get(name)
    reached = evidence.weight > 0
    return measure_for(criterion, metrics, evidence.series, has_traffic=reached, baseline=baseline)


def fold_open_breaches(name: str, criterion: Criterion, evidence: Evidence, tally: Tally) -> Tally:
    """Return `tally` with open windows folded in whose count is already over its limit.

    A count only grows: once over the limit it stays over it, so a breach needs neither settled nor
    complete data. A window in between that is not over yet, or was not answered, may still end a
    run of breaches, so it does.
    """
    if not isinstance(criterion, Threshold) or criterion.max is None or criterion.per is not None:
        return tally
    if criterion.sequential:
        return tally
    if evidence.policy.metrics[criterion.metric].statistic not in ("Sum", "SampleCount"):
        return tally
    period_s = period_of(criterion)
    measure = _measure(name, criterion, evidence)
    first = max(ceil_to(evidence.start, period_s), tally.through)
    certain = tally
    for start in range(first, evidence.open_end, period_s):
        window = measure(start)
        if window is None or not window.breach:
            continue
        if start != certain.through:
            certain = replace(certain, run=BreachRun())
        certain = fold(certain, measure, (start,), period_s)
    return replace(certain, tail_empty=tally.tail_empty, tail_unfit=tally.tail_unfit)


def series_of(name: str, criterion: Criterion, evidence: Evidence) -> dict[str, Series]:
    if isinstance(criterion, LogEvents):
        log_keys = log_keys_to_read(name, log_search_span(name, evidence))
        return {key: evidence.series.get(key, NO_SERIES) for key in log_keys}
    keys = series_keys_of(criterion, evidence.policy.metrics, evidence.baselines.get(name))
    return {
        f"{metric} ({statistic})": evidence.series.get(key, NO_SERIES)
        for metric, statistic, key in keys
    }


def log_search_span(name: str, evidence: Evidence) -> Span:
    """Return where the event of criterion `name` was searched for."""
    sealed = evidence.tallies.get(name, Tally()).through
    return event_search_span(max(evidence.start, sealed), evidence.closed_end)


def reads_log_backlog(evidence: Evidence) -> bool:
    """Tell whether a log with a backlog answers again, so that the next ticks can catch up."""
    return any(
        span.end - span.start > BACKLOG_THRESHOLD.total_seconds()
        for _, span in _answered_logs(evidence)
    )


def awaits_log_backlog(evidence: Evidence) -> bool:
    """Tell whether the gate has no verdict yet because a log still has a backlog."""
    return any(
        criterion.gating and span.end < evidence.closed_end
        for criterion, span in _answered_logs(evidence)
    )


def _answered_logs(evidence: Evidence) -> Iterator[tuple[LogEvents, Span]]:
    """Yield each criterion whose log queries were answered, and where its event was searched."""
    for name, criterion in evidence.gate.items():
        if isinstance(criterion, LogEvents):
            answers = series_of(name, criterion, evidence)
            if incomplete_series(answers) is None:
                yield criterion, log_search_span(name, evidence)


def unit_of(criterion: Criterion, metrics: Mapping[str, Metric]) -> str:
    name = getattr(criterion, "metric", None)
    return metrics[name].unit if isinstance(name, str) else ""
