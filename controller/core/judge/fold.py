"""The evidence of a gate, and the fold of its closed windows into a tally for each criterion."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from controller.core.judge.evidence import FrozenValue, Run, Stretch, Tally
from controller.core.judge.kinds.alarm import Said
from controller.core.judge.kinds.burn_rate import fold_burn
from controller.core.judge.kinds.log_events import measure_events
from controller.core.judge.kinds.threshold import broken
from controller.core.judge.log_queries import LATE, event_span, log_keys_read
from controller.core.judge.queries import keys_of, period_of
from controller.core.judge.sequential_fold import Minutes
from controller.core.judge.series import NO_SERIES, Measure, measure_for
from controller.core.judge.tally import fold, windows
from controller.core.observation import Series, Span
from controller.core.policy import BurnRate, Criterion, LogEvents, Metric, Policy, Threshold
from controller.core.stats.mixture import Fold
from controller.core.units import ceil_to


@dataclass(frozen=True, slots=True)
class Evidence:
    """What a gate is judged from.

    tallies: sealed evidence by criterion; series: everything since, by series key.
    start, closed, open_end: first judged second, end of the settled periods, end of what was read.
    bake_over: the bake is over and its data are settled to the end.
    fold, stretches: sealed evidence of the whole rollout, and from where the rest comes; without
    stretches none adds up.
    said: what no metric tells.
    """

    policy: Policy
    gate: Mapping[str, Criterion]
    series: Mapping[str, Series]
    tallies: Mapping[str, Tally]
    start: int
    closed: int
    open_end: int
    bake_over: bool
    weight: int
    baselines: Mapping[str, FrozenValue]
    fold: Fold = field(default_factory=Fold)
    stretches: tuple[Stretch, ...] = ()
    said: Said = field(default_factory=Said)

    @property
    def minutes(self) -> Minutes:
        """What the evidence of the whole rollout is folded from."""
        return Minutes(self.policy, self.fold, self.stretches, self.series, self.baselines)


def folded_tally(
    name: str, criterion: Criterion, evidence: Evidence, tally: Tally, end: int
) -> Tally:
    starts = windows(criterion, tally, evidence.start, end)
    if not starts:
        return tally
    measure = _measure(name, criterion, evidence)
    if isinstance(criterion, BurnRate):
        return fold_burn(criterion, tally, measure, starts)
    return fold(tally, measure, starts, period_of(criterion))


def _measure(name: str, criterion: Criterion, evidence: Evidence) -> Measure:
    if isinstance(criterion, LogEvents):
        return measure_events(name, evidence.series)
    metrics, baseline = evidence.policy.metrics, evidence.baselines.get(name)
    reached = evidence.weight > 0
    return measure_for(criterion, metrics, evidence.series, reached=reached, baseline=baseline)


def with_open_counts(name: str, criterion: Criterion, evidence: Evidence, tally: Tally) -> Tally:
    """Fold in windows that are not closed yet but whose count is over its limit already.

    A count only grows: over the limit now is over it for good, so bad news need neither settle nor
    come in a whole answer. A window in between that is not over yet, or was not answered, may still
    end a run of breaches, so it does.
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
        seen = measure(start)
        if seen is None or not seen.breach:
            continue
        if start != certain.through:
            certain = replace(certain, run=Run())
        certain = fold(certain, measure, (start,), period_s)
    return replace(certain, tail_empty=tally.tail_empty, tail_unfit=tally.tail_unfit)


def answers_of(name: str, criterion: Criterion, evidence: Evidence) -> dict[str, Series]:
    if isinstance(criterion, LogEvents):
        read = log_keys_read(name, read_of(name, evidence))
        return {key: evidence.series.get(key, NO_SERIES) for key in read}
    keys = keys_of(criterion, evidence.policy.metrics, evidence.baselines.get(name))
    return {
        f"{metric} ({statistic})": evidence.series.get(key, NO_SERIES)
        for metric, statistic, key in keys
    }


def read_of(name: str, evidence: Evidence) -> Span:
    """Return where the event of criterion `name` was looked for."""
    sealed = evidence.tallies.get(name, Tally()).through
    return event_span(max(evidence.start, sealed), evidence.closed)


def catching_up(evidence: Evidence) -> bool:
    """Tell whether a log that was not read for long is read well again, so its rest may come."""
    return any(read.end - read.start > LATE.total_seconds() for _, read in _read_well(evidence))


def behind(evidence: Evidence) -> bool:
    """Tell whether the gate has no verdict yet for a log that is being caught up with."""
    return any(one.gating and read.end < evidence.closed for one, read in _read_well(evidence))


def _read_well(evidence: Evidence) -> Iterator[tuple[LogEvents, Span]]:
    """Yield each criterion whose log has answered, and where its event was looked for."""
    for name, one in evidence.gate.items():
        if isinstance(one, LogEvents) and broken(answers_of(name, one, evidence)) is None:
            yield one, read_of(name, evidence)


def unit_of(criterion: Criterion, metrics: Mapping[str, Metric]) -> str:
    name = getattr(criterion, "metric", None)
    return metrics[name].unit if isinstance(name, str) else ""
