"""The threshold judge: each closed window against a bound; `failure_limit` breaches in a row fail.

A pass means: at the end of the bake the newest window is within the bound, no run of breaches was
that long, and there were enough samples. It proves nothing, so its label is `not refuted`.
"""

from dataclasses import dataclass
from math import exp, inf

from controller.core.judge import wording
from controller.core.judge.evidence import BaselineMeasurement, Tally
from controller.core.judge.findings import Finding, Label, Verdict
from controller.core.observation import QueryStatus, Series
from controller.core.policy import (
    BoundedCriterion,
    Criterion,
    FixedBaseline,
    LatencyIncrease,
    MeasuredCriterion,
    SuccessRate,
    Threshold,
    Traffic,
)

# A canary without requests fails when that is this unlikely, given the control's requests.
SILENCE_SIGNIFICANCE = 0.001
# 420 ms over 400 ms is 5 % and a few parts in 1e16: rounding is no increase.
ROUNDING = 1e-9


@dataclass(frozen=True, slots=True)
class Context:
    """What a criterion is judged with in addition to its tally.

    start, open_end: begin of the first window, and end of what was read, unix seconds.
    bake_over: the bake is over and its data are settled to the end.
    weight: percent on the canary; unit: of the metric, for sentences.
    baseline: the stored value of a frozen baseline.
    incomplete_series: a series that was not answered in full, with its name; None when all were.
    """

    start: int
    open_end: int
    bake_over: bool
    weight: int
    unit: str = ""
    baseline: BaselineMeasurement | None = None
    incomplete_series: tuple[str, Series] | None = None


def conclude_threshold(
    name: str, criterion: BoundedCriterion | MeasuredCriterion, tally: Tally, context: Context
) -> Finding:
    """Return the finding of `tally` on `criterion`, window by window."""
    match criterion:
        case SuccessRate() | Threshold() | MeasuredCriterion():
            return _windows(name, criterion, tally, context)
        case LatencyIncrease():
            return _latency(name, criterion, tally, context)
        case Traffic():
            return _traffic(name, criterion, tally, context)


def _windows(
    name: str,
    criterion: SuccessRate | Threshold | MeasuredCriterion,
    tally: Tally,
    context: Context,
) -> Finding:
    bound = criterion.min if isinstance(criterion, SuccessRate) else criterion.bound
    sentences = wording.WindowSentences(name, criterion, tally, context.unit, context.start)

    def finding(verdict: Verdict, label: Label, sentence: str) -> Finding:
        value = tally.worst.value if verdict is Verdict.FAIL else tally.last
        start, end = _judged_span(tally, context)
        samples = int(tally.samples)
        return Finding(name, verdict, label, value, bound, samples, start, end, sentence)

    if tally.worst.length >= criterion.failure_limit:
        return finding(Verdict.FAIL, Label.REFUTED, sentences.fails(context.open_end))
    not_ready = not_ready_reason(name, criterion, tally, context)
    if not_ready is not None:
        return finding(Verdict.INCONCLUSIVE, *not_ready)
    lack = _data_problem(criterion, tally)
    if lack is not None:
        return finding(Verdict.INCONCLUSIVE, lack, sentences.inconclusive(lack))
    if tally.last_breach:
        return finding(Verdict.INCONCLUSIVE, Label.NOT_JUDGED, sentences.breaching())
    return finding(Verdict.PASS, Label.NOT_REFUTED, sentences.passes())


def _data_problem(
    criterion: SuccessRate | Threshold | MeasuredCriterion, tally: Tally
) -> Label | None:
    """Return what is missing for a verdict; None when nothing is."""
    if tally.tail_unfit or (tally.unknown and tally.windows == 0):
        return Label.BAD_DATA
    if tally.windows == 0:
        return Label.NO_DATA
    if tally.samples < criterion.min_samples:
        return Label.TOO_FEW
    return Label.NO_DATA if tally.tail_empty else None


def _latency(name: str, criterion: LatencyIncrease, tally: Tally, context: Context) -> Finding:
    sentences = wording.LatencySentences(name, criterion, tally, context.unit)
    baseline, control_samples = _baseline(criterion, tally, context)
    increase: float | None = None
    if tally.samples and baseline:
        increase = tally.amount / tally.samples / baseline - 1

    def finding(verdict: Verdict, label: Label, sentence: str) -> Finding:
        bound, samples = criterion.max_increase, int(tally.samples)
        start, end = _judged_span(tally, context)
        return Finding(name, verdict, label, increase, bound, samples, start, end, sentence)

    not_ready = not_ready_reason(name, criterion, tally, context)
    if not_ready is not None:
        return finding(Verdict.INCONCLUSIVE, *not_ready)
    if increase is None or baseline is None:
        return finding(Verdict.INCONCLUSIVE, Label.NO_DATA, sentences.no_data(context.start))
    if min(tally.samples, control_samples) < criterion.min_samples:
        return finding(Verdict.INCONCLUSIVE, Label.TOO_FEW, sentences.too_few(control_samples))
    if not context.bake_over:
        sentence = sentences.so_far(increase, baseline)
        return finding(Verdict.INCONCLUSIVE, Label.NOT_JUDGED, sentence)
    if increase > criterion.max_increase + ROUNDING:
        return finding(Verdict.FAIL, Label.REFUTED, sentences.fails(increase, baseline))
    return finding(Verdict.PASS, Label.NOT_REFUTED, sentences.passes(increase, baseline))


def _baseline(
    criterion: LatencyIncrease, tally: Tally, context: Context
) -> tuple[float | None, float]:
    """Return the value to compare with and its samples; inf samples for a fixed value."""
    if isinstance(criterion.baseline, FixedBaseline):
        return criterion.baseline.fixed, inf
    if context.baseline is not None:
        return context.baseline.value, context.baseline.samples
    if tally.control_samples:
        return tally.control_amount / tally.control_samples, tally.control_samples
    return None, 0.0


def _traffic(name: str, criterion: Traffic, tally: Tally, context: Context) -> Finding:
    def finding(verdict: Verdict, label: Label, sentence: str) -> Finding:
        count, bound = tally.amount, float(criterion.min)
        start, end = _judged_span(tally, context)
        return Finding(name, verdict, label, count, bound, max(0, int(count)), start, end, sentence)

    not_ready = not_ready_reason(name, criterion, tally, context)
    if not_ready is not None:
        return finding(Verdict.INCONCLUSIVE, *not_ready)
    if tally.amount >= criterion.min:
        sentence = wording.enough_traffic(name, tally.amount, criterion.min, context.start)
        return finding(Verdict.PASS, Label.NOT_REFUTED, sentence)
    control = tally.control_amount
    if not tally.amount and control and context.weight < 100:
        expected = control * context.weight / (100 - context.weight)
        if exp(-expected) < SILENCE_SIGNIFICANCE:  # Poisson: P(0 requests | expected)
            sentence = wording.canary_unreached(name, expected, control)
            return finding(Verdict.FAIL, Label.REFUTED, sentence)
    sentence = wording.no_traffic(name, tally.amount, criterion.min, context.start)
    return finding(Verdict.INCONCLUSIVE, Label.NO_DATA, sentence)


def not_ready_reason(
    name: str, criterion: Criterion, tally: Tally, context: Context
) -> tuple[Label, str] | None:
    """Return why `criterion` cannot be judged yet, whatever the tally; None when it can."""
    if context.incomplete_series is not None:
        return Label.QUERY_FAILED, wording.query_failed(name, *context.incomplete_series)
    if tally.windows + tally.empty + tally.unknown + tally.lost == 0:
        return Label.NOT_JUDGED, wording.not_judged_yet(name, criterion)
    return None


def _judged_span(tally: Tally, context: Context) -> tuple[int, int]:
    """Return begin and end of the judged windows; an open one ends where its data were read."""
    return context.start, max(context.start, min(tally.through, context.open_end))


def incomplete_series(answers: dict[str, Series]) -> tuple[str, Series] | None:
    """Return the first series that was not answered in full, by name; None when all were."""
    return next(
        ((name, one) for name, one in answers.items() if one.answer is not QueryStatus.COMPLETE),
        None,
    )
