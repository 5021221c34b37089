"""The sequential judge: fails on the evidence of the whole rollout, passes on that of the step.

Fail: the evidence of all criteria together has reached 1 / `false_rollback`; the finding of the
criterion with the largest part of it says so. Pass, at the end of the bake: there were enough
samples, and they keep the bound. That is `proven` where the opposite was ruled out, and `not
refuted` otherwise.
"""

from math import exp, log

from controller.core.judge.evidence import Tally
from controller.core.judge.findings import Finding, Label, Verdict
from controller.core.judge.kinds.threshold import SILENCE_SIGNIFICANCE, Context, not_ready_reason
from controller.core.judge.sequential_evidence import SequentialResult
from controller.core.judge.sequential_wording import SequentialSentences
from controller.core.policy import (
    BoundedCriterion,
    Criterion,
    LatencyIncrease,
    SuccessRate,
    Threshold,
)
from controller.core.stats.binomial import log_e_value_below
from controller.core.units import MINUTE_S

# An e-value of 20: 95 % confidence, however often one looks.
_PROOF_THRESHOLD = log(20)


def conclude_sequential(
    name: str, criterion: BoundedCriterion, tally: Tally, context: Context, result: SequentialResult
) -> Finding:
    """Return the finding on `criterion`; tally: of its step; result: of the whole rollout."""
    sentences = SequentialSentences(name, criterion, tally, context, result)
    measured, bound = _measurement(criterion, tally, result)

    def finding(verdict: Verdict, label: Label, sentence: str) -> Finding:
        end = max(context.start, min(tally.through, context.open_end))
        samples = int(tally.samples)
        return Finding(name, verdict, label, measured, bound, samples, context.start, end, sentence)

    if result.rejects(name):
        return finding(Verdict.FAIL, Label.REFUTED, sentences.fails())
    not_ready = not_ready_reason(name, criterion, tally, context)
    if not_ready is not None:
        return finding(Verdict.INCONCLUSIVE, *not_ready)
    lack = _data_problem(criterion, tally, result)
    if lack is not None:
        return finding(Verdict.INCONCLUSIVE, lack, sentences.inconclusive(lack))
    if measured is None or not _within_bound(criterion, measured, bound):
        return finding(Verdict.INCONCLUSIVE, Label.NOT_JUDGED, sentences.undecided())
    return finding(*_conclude_within_bound(criterion, tally, sentences))


def _conclude_within_bound(
    criterion: Criterion, tally: Tally, sentences: SequentialSentences
) -> tuple[Verdict, Label, str]:
    """Return verdict, label and sentence of a criterion whose step kept the bound."""
    if not isinstance(criterion, SuccessRate):
        return Verdict.PASS, Label.NOT_REFUTED, sentences.passes()
    if log_e_value_below(tally.samples, tally.amount, 1 - criterion.min) >= _PROOF_THRESHOLD:
        return Verdict.PASS, Label.PROVEN, sentences.proven()
    if criterion.assurance == "proven":
        return Verdict.INCONCLUSIVE, Label.TOO_FEW, sentences.unproven()
    return Verdict.PASS, Label.NOT_REFUTED, sentences.not_refuted()


def _within_bound(criterion: Criterion, measured: float, bound: float) -> bool:
    return measured >= bound if isinstance(criterion, SuccessRate) else measured <= bound


def _measurement(
    criterion: Criterion, tally: Tally, result: SequentialResult
) -> tuple[float | None, float]:
    """Return the measured value and its bound: a share, or a count in one window on average."""
    match criterion:
        case SuccessRate():
            return _ratio(tally.samples - tally.amount, tally.samples), criterion.min
        case LatencyIncrease() if result.limits is not None and result.limits.control_metric:
            control = _ratio(tally.control_amount, tally.control_samples)
            return _ratio(tally.amount, tally.samples), control or 0.0
        case Threshold() if result.limits is None and criterion.per is None:
            minutes = tally.windows + tally.empty
            windows = minutes * MINUTE_S / criterion.over.total_seconds()
            return _ratio(tally.amount, windows), criterion.bound
        case Threshold() if criterion.per is not None:
            return _ratio(tally.amount, tally.samples), criterion.bound
        case _:
            return _ratio(tally.amount, tally.samples), result.allowed_slow_share


def _ratio(part: float, whole: float) -> float | None:
    return part / whole if whole else None


def _data_problem(criterion: Criterion, tally: Tally, result: SequentialResult) -> Label | None:
    """Return what is missing for a verdict; None when nothing is."""
    minimum = getattr(criterion, "min_samples", 0)
    if tally.tail_unfit or tally.unknown > tally.windows:
        return Label.BAD_DATA
    if tally.windows == 0 or (isinstance(criterion, LatencyIncrease) and result.limits is None):
        return Label.NO_DATA
    if result.fewest_samples(tally) < minimum:
        return Label.TOO_FEW
    return Label.NO_DATA if _is_silent(tally) else None


def _is_silent(tally: Tally) -> bool:
    """Tell whether the newest minutes without data are unlikely at the request rate of the step.

    One minute without requests says nothing where a request comes every five minutes; an hour does.
    """
    gap = (tally.through - tally.last_end) / MINUTE_S
    minutes = tally.windows + tally.empty + tally.unknown
    return gap > 0 and exp(-tally.samples / minutes * gap) < SILENCE_SIGNIFICANCE
