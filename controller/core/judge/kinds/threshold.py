"""The literal judge: each closed window against the bound, `failure_limit` breaches in a row fail.

`pass` says: at the end of the bake the newest window is within the bound, no run of breaches was
that long, and enough was seen. It proves nothing, so its label is `not refuted`.
"""

from dataclasses import dataclass
from math import exp, inf

from controller.core.judge import wording
from controller.core.judge.evidence import FrozenValue, Tally
from controller.core.judge.findings import Finding, Label, Verdict
from controller.core.observation import QueryStatus, Series
from controller.core.policy import (
    BoundedCriterion,
    Criterion,
    FixedBaseline,
    LatencyIncrease,
    SuccessRate,
    Threshold,
    Traffic,
)

# Silence of the canary is held against it when it is this unlikely, given the control's traffic.
UNLIKELY = 0.001
# 420 ms over 400 ms is 5 % and a few parts in 1e16: rounding is no increase.
ROUNDING = 1e-9


@dataclass(frozen=True, slots=True)
class Context:
    """What one criterion is judged in.

    start, seen_until: begin of the first window, and end of what was read, unix seconds.
    bake_over: the bake is over and its data are settled to the end.
    weight: percent on the canary; unit: of the metric, for sentences.
    baseline: the stored value of a frozen baseline.
    broken: a series that was not answered in full, with its name; None when all were.
    """

    start: int
    seen_until: int
    bake_over: bool
    weight: int
    unit: str = ""
    baseline: FrozenValue | None = None
    broken: tuple[str, Series] | None = None


def conclude(name: str, criterion: BoundedCriterion, tally: Tally, context: Context) -> Finding:
    """Return what `tally` says about `criterion`, in numbers and in words."""
    match criterion:
        case SuccessRate() | Threshold():
            return _windows(name, criterion, tally, context)
        case LatencyIncrease():
            return _latency(name, criterion, tally, context)
        case Traffic():
            return _traffic(name, criterion, tally, context)


def _windows(
    name: str, criterion: SuccessRate | Threshold, tally: Tally, context: Context
) -> Finding:
    bound = criterion.min if isinstance(criterion, SuccessRate) else criterion.bound
    told = wording.Windows(name, criterion, tally, context.unit, context.start)

    def finding(verdict: Verdict, label: Label, sentence: str) -> Finding:
        value = tally.worst.value if verdict is Verdict.FAIL else tally.last
        start, end = _judged(tally, context)
        samples = int(tally.samples)
        return Finding(name, verdict, label, value, bound, samples, start, end, sentence)

    if tally.worst.length >= criterion.failure_limit:
        return finding(Verdict.FAIL, Label.REFUTED, told.fails(context.seen_until))
    open_still = unready(name, criterion, tally, context)
    if open_still is not None:
        return finding(Verdict.INCONCLUSIVE, *open_still)
    lack = _lack(criterion, tally)
    if lack is not None:
        return finding(Verdict.INCONCLUSIVE, lack, told.lacks(lack))
    if tally.last_breach:
        return finding(Verdict.INCONCLUSIVE, Label.NOT_YET, told.wavering())
    return finding(Verdict.PASS, Label.NOT_REFUTED, told.holds())


def _lack(criterion: SuccessRate | Threshold, tally: Tally) -> Label | None:
    """Return what is missing for a verdict; None when nothing is."""
    if tally.tail_unfit or (tally.unknown and tally.windows == 0):
        return Label.BAD_DATA
    if tally.windows == 0:
        return Label.NO_DATA
    if tally.samples < criterion.min_samples:
        return Label.TOO_FEW
    return Label.NO_DATA if tally.tail_empty else None


def _latency(name: str, criterion: LatencyIncrease, tally: Tally, context: Context) -> Finding:
    told = wording.Latency(name, criterion, tally, context.unit)
    baseline, control_samples = _baseline(criterion, tally, context)
    increase: float | None = None
    if tally.samples and baseline:
        increase = tally.amount / tally.samples / baseline - 1

    def finding(verdict: Verdict, label: Label, sentence: str) -> Finding:
        bound, samples = criterion.max_increase, int(tally.samples)
        start, end = _judged(tally, context)
        return Finding(name, verdict, label, increase, bound, samples, start, end, sentence)

    open_still = unready(name, criterion, tally, context)
    if open_still is not None:
        return finding(Verdict.INCONCLUSIVE, *open_still)
    if increase is None or baseline is None:
        return finding(Verdict.INCONCLUSIVE, Label.NO_DATA, told.silent(context.start))
    if min(tally.samples, control_samples) < criterion.min_samples:
        return finding(Verdict.INCONCLUSIVE, Label.TOO_FEW, told.too_few(control_samples))
    if not context.bake_over:
        sentence = told.so_far(increase, baseline)
        return finding(Verdict.INCONCLUSIVE, Label.NOT_YET, sentence)
    if increase > criterion.max_increase + ROUNDING:
        return finding(Verdict.FAIL, Label.REFUTED, told.fails(increase, baseline))
    return finding(Verdict.PASS, Label.NOT_REFUTED, told.holds(increase, baseline))


def _baseline(
    criterion: LatencyIncrease, tally: Tally, context: Context
) -> tuple[float | None, float]:
    """Return the value to compare with and its samples; a fixed value has as many as one likes."""
    if isinstance(criterion.baseline, FixedBaseline):
        return criterion.baseline.fixed, inf
    if context.baseline is not None:
        return context.baseline.value, context.baseline.samples
    if tally.control_samples:
        return tally.control_amount / tally.control_samples, tally.control_samples
    return None, 0.0


def _traffic(name: str, criterion: Traffic, tally: Tally, context: Context) -> Finding:
    def finding(verdict: Verdict, label: Label, sentence: str) -> Finding:
        seen, bound = tally.amount, float(criterion.min)
        start, end = _judged(tally, context)
        return Finding(name, verdict, label, seen, bound, max(0, int(seen)), start, end, sentence)

    open_still = unready(name, criterion, tally, context)
    if open_still is not None:
        return finding(Verdict.INCONCLUSIVE, *open_still)
    if tally.amount >= criterion.min:
        sentence = wording.arrived(name, tally.amount, criterion.min, context.start)
        return finding(Verdict.PASS, Label.NOT_REFUTED, sentence)
    control = tally.control_amount
    if not tally.amount and control and context.weight < 100:
        expected = control * context.weight / (100 - context.weight)
        if exp(-expected) < UNLIKELY:  # Poisson: P(0 requests | expected)
            sentence = wording.unreached(name, expected, control)
            return finding(Verdict.FAIL, Label.REFUTED, sentence)
    sentence = wording.no_traffic(name, tally.amount, criterion.min, context.start)
    return finding(Verdict.INCONCLUSIVE, Label.NO_DATA, sentence)


def unready(
    name: str, criterion: Criterion, tally: Tally, context: Context
) -> tuple[Label, str] | None:
    """Return why nothing can be said yet, whatever the numbers; None when something can."""
    if context.broken is not None:
        return Label.QUERY_FAILED, wording.query_failed(name, *context.broken)
    if tally.windows + tally.empty + tally.unknown + tally.lost == 0:
        return Label.NOT_YET, wording.not_yet(name, criterion)
    return None


def _judged(tally: Tally, context: Context) -> tuple[int, int]:
    """Return begin and end of the windows that were judged; of one still open, what was read."""
    return context.start, max(context.start, min(tally.through, context.seen_until))


def broken(answers: dict[str, Series]) -> tuple[str, Series] | None:
    """Return the first series that was not answered in full, by name; None when all were."""
    return next(
        ((name, one) for name, one in answers.items() if one.answer is not QueryStatus.COMPLETE),
        None,
    )
