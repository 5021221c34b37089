"""Criteria of kind `share`: the share of requests on the canary against the weight.

A share off the weight means that the flag does not do what the controller expects. A rollback would
not mend that, so the criterion never fails: the rollout is on hold, and an operator decides.
"""

from controller.core.judge.evidence import Tally
from controller.core.judge.findings import Finding, Label, Verdict
from controller.core.judge.kinds.threshold import Context, not_ready_reason
from controller.core.judge.wording import percent, utc_text
from controller.core.policy import Share
from controller.core.stats.binomial import acceptance_region
from controller.core.units import count_text, format_percent, number_text


def conclude_traffic_share(name: str, criterion: Share, tally: Tally, context: Context) -> Finding:
    """Return the finding on the counts of the step, at the end of its bake: one look at one range.

    While the rollout is on hold after that, every tick judges again, over more requests.
    """
    trials, canary = round(tally.samples), round(tally.amount)
    weight = context.weight / 100
    share = canary / trials if trials else None
    since = utc_text(context.start)

    def finding(verdict: Verdict, label: Label, sentence: str) -> Finding:
        end = max(context.start, min(tally.through, context.open_end))
        return Finding(name, verdict, label, share, weight, trials, context.start, end, sentence)

    not_ready = not_ready_reason(name, criterion, tally, context)
    if not_ready is not None:
        return finding(Verdict.INCONCLUSIVE, *not_ready)
    if share is None:
        sentence = f"{name} has no data: neither path has had a request since {since}."
        return finding(Verdict.INCONCLUSIVE, Label.NO_DATA, sentence)
    if trials < criterion.min_samples:
        minimum = number_text(criterion.min_samples)
        sentence = f"{name} has too few samples: {number_text(trials)} of {minimum} since {since}."
        return finding(Verdict.INCONCLUSIVE, Label.TOO_FEW, sentence)
    split_text = (
        f"{number_text(canary)} of {count_text(trials, 'request')} took the canary "
        f"({percent(share, weight, 2)}) since {since}"
    )
    if not context.bake_over:
        sentence = f"{name} so far: {split_text}; judged at the end of the bake."
        return finding(Verdict.INCONCLUSIVE, Label.NOT_JUDGED, sentence)
    low, high = allowed_range(trials, weight, criterion)
    range_text = (
        f"at {context.weight} % it is {number_text(low)} to {number_text(high)}, with "
        f"{format_percent(criterion.tolerance)} of tolerance and "
        f"{format_percent(criterion.confidence)} of what chance does"
    )
    if not low <= canary <= high:
        sentence = (
            f"{name} is off: {split_text}; {range_text}. The flag does not do what the weight "
            "says: look for callers around it, for what falls back, and whether both metrics count "
            "every request."
        )
        return finding(Verdict.INCONCLUSIVE, Label.BAD_DATA, sentence)
    return finding(Verdict.PASS, Label.NOT_REFUTED, f"{name} holds: {split_text}; {range_text}.")


def allowed_range(trials: int, weight: float, criterion: Share) -> tuple[int, int]:
    """Return the fewest and the most of `trials` that are within tolerance of `weight`, or chance.

    weight: as a fraction.
    """
    lowest, highest = max(0.0, weight - criterion.tolerance), min(1.0, weight + criterion.tolerance)
    return (
        acceptance_region(trials, lowest, criterion.confidence)[0],
        acceptance_region(trials, highest, criterion.confidence)[1],
    )
