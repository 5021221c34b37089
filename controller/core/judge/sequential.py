"""The sequential judge: evidence of the whole rollout to fail, what the step showed to pass.

`fail`: the evidence of all criteria together has reached 1 / `false_rollback`; the finding of the
criterion that carried most of it says so. `pass`, at the end of the bake: enough was seen, and it
keeps the bound. That is `proven` where the opposite was ruled out, and `not refuted` otherwise.
"""

from math import exp, log

from controller.core.judge.evidence import Tally
from controller.core.judge.findings import Finding, Label, Verdict
from controller.core.judge.kinds.threshold import UNLIKELY, Context, unready
from controller.core.judge.sequential_fold import Case
from controller.core.judge.sequential_wording import Told
from controller.core.policy import (
    BoundedCriterion,
    Criterion,
    LatencyIncrease,
    SuccessRate,
    Threshold,
)
from controller.core.stats.binomial import log_proof
from controller.core.units import MINUTE_S

# 95 % confidence, whenever one looks.
_PROOF = log(20)


def conclude_weighed(
    name: str, criterion: BoundedCriterion, tally: Tally, context: Context, case: Case
) -> Finding:
    """Return what the evidence says about `criterion`, in numbers and in words."""
    told = Told(name, criterion, tally, context, case)
    measured, bound = _measured(criterion, tally, case)

    def finding(verdict: Verdict, label: Label, sentence: str) -> Finding:
        end = max(context.start, min(tally.through, context.seen_until))
        samples = int(tally.samples)
        return Finding(name, verdict, label, measured, bound, samples, context.start, end, sentence)

    if case.against(name):
        return finding(Verdict.FAIL, Label.REFUTED, told.fails())
    not_yet = unready(name, criterion, tally, context)
    if not_yet is not None:
        return finding(Verdict.INCONCLUSIVE, *not_yet)
    lack = _lack(criterion, tally, case)
    if lack is not None:
        return finding(Verdict.INCONCLUSIVE, lack, told.lacks(lack))
    if measured is None or not _keeps(criterion, measured, bound):
        return finding(Verdict.INCONCLUSIVE, Label.NOT_YET, told.wavers())
    return finding(*_kept(criterion, tally, told))


def _kept(criterion: Criterion, tally: Tally, told: Told) -> tuple[Verdict, Label, str]:
    """Return what it is worth that the bound was kept."""
    if not isinstance(criterion, SuccessRate):
        return Verdict.PASS, Label.NOT_REFUTED, told.holds()
    if log_proof(tally.samples, tally.amount, 1 - criterion.min) >= _PROOF:
        return Verdict.PASS, Label.PROVEN, told.proven()
    if criterion.assurance == "proven":
        return Verdict.INCONCLUSIVE, Label.TOO_FEW, told.unproven()
    return Verdict.PASS, Label.NOT_REFUTED, told.not_refuted()


def _keeps(criterion: Criterion, measured: float, bound: float) -> bool:
    return measured >= bound if isinstance(criterion, SuccessRate) else measured <= bound


def _measured(criterion: Criterion, tally: Tally, case: Case) -> tuple[float | None, float]:
    """Return what is compared, and with what: a share, or a count in one window on average."""
    match criterion:
        case SuccessRate():
            return _share(tally.samples - tally.amount, tally.samples), criterion.min
        case LatencyIncrease() if case.limits is not None and case.limits.beside:
            control = _share(tally.control_amount, tally.control_samples)
            return _share(tally.amount, tally.samples), control or 0.0
        case Threshold() if case.limits is None and criterion.per is None:
            minutes = tally.windows + tally.empty
            windows = minutes * MINUTE_S / criterion.over.total_seconds()
            return _share(tally.amount, windows), criterion.bound
        case Threshold() if criterion.per is not None:
            return _share(tally.amount, tally.samples), criterion.bound
        case _:
            return _share(tally.amount, tally.samples), case.usual


def _share(part: float, whole: float) -> float | None:
    return part / whole if whole else None


def _lack(criterion: Criterion, tally: Tally, case: Case) -> Label | None:
    """Return what is missing for a verdict; None when nothing is."""
    least = getattr(criterion, "min_samples", 0)
    if tally.tail_unfit or tally.unknown > tally.windows:
        return Label.BAD_DATA
    if tally.windows == 0 or (isinstance(criterion, LatencyIncrease) and case.limits is None):
        return Label.NO_DATA
    if case.fewest(tally) < least:
        return Label.TOO_FEW
    return Label.NO_DATA if _silent(tally) else None


def _silent(tally: Tally) -> bool:
    """Tell whether the newest minutes are emptier than chance leaves them, at the step's own rate.

    A minute without requests says nothing where one request comes in five; an hour of them does.
    """
    gap = (tally.through - tally.last_end) / MINUTE_S
    minutes = tally.windows + tally.empty + tally.unknown
    return gap > 0 and exp(-tally.samples / minutes * gap) < UNLIKELY
