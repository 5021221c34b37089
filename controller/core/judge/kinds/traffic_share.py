"""The share of requests on the canary against the weight.

A share off the weight means that the flag does not do what the controller believes. Taking the
weight back would not mend that, so it never fails: it holds, and a person decides.
"""

from controller.core.judge.evidence import Tally
from controller.core.judge.findings import Finding, Label, Verdict
from controller.core.judge.kinds.threshold import Context, unready
from controller.core.judge.wording import moment, percent
from controller.core.policy import Share
from controller.core.stats.binomial import band
from controller.core.units import count_text, format_percent, number_text


def conclude_share(name: str, criterion: Share, tally: Tally, context: Context) -> Finding:
    """Return what the counts of the step say, at the end of its bake: one look at one band.

    While it holds after that, it is looked at again with every tick, over more requests.
    """
    trials, canary = round(tally.samples), round(tally.amount)
    weight = context.weight / 100
    share = canary / trials if trials else None
    since = moment(context.start)

    def finding(verdict: Verdict, label: Label, sentence: str) -> Finding:
        end = max(context.start, min(tally.through, context.seen_until))
        return Finding(name, verdict, label, share, weight, trials, context.start, end, sentence)

    open_still = unready(name, criterion, tally, context)
    if open_still is not None:
        return finding(Verdict.INCONCLUSIVE, *open_still)
    if share is None:
        sentence = f"{name} has no data: neither path has had a request since {since}."
        return finding(Verdict.INCONCLUSIVE, Label.NO_DATA, sentence)
    if trials < criterion.min_samples:
        least = number_text(criterion.min_samples)
        sentence = f"{name} has too few samples: {number_text(trials)} of {least} since {since}."
        return finding(Verdict.INCONCLUSIVE, Label.TOO_FEW, sentence)
    seen = (
        f"{number_text(canary)} of {count_text(trials, 'request')} took the canary "
        f"({percent(share, weight, 2)}) since {since}"
    )
    if not context.bake_over:
        sentence = f"{name} so far: {seen}; judged at the end of the bake."
        return finding(Verdict.INCONCLUSIVE, Label.NOT_YET, sentence)
    low, high = bounds(trials, weight, criterion)
    asked = (
        f"at {context.weight} % it is {number_text(low)} to {number_text(high)}, with "
        f"{format_percent(criterion.tolerance)} of tolerance and "
        f"{format_percent(criterion.confidence)} of what chance does"
    )
    if not low <= canary <= high:
        sentence = (
            f"{name} is off: {seen}; {asked}. The flag does not do what the weight says: look for "
            "callers around it, for what falls back, and whether both metrics count every request."
        )
        return finding(Verdict.INCONCLUSIVE, Label.BAD_DATA, sentence)
    return finding(Verdict.PASS, Label.NOT_REFUTED, f"{name} holds: {seen}; {asked}.")


def bounds(trials: int, weight: float, criterion: Share) -> tuple[int, int]:
    """Return the fewest and the most of `trials` that are within tolerance of `weight`, or chance.

    weight: as a fraction.
    """
    least, most = max(0.0, weight - criterion.tolerance), min(1.0, weight + criterion.tolerance)
    return (
        band(trials, least, criterion.confidence)[0],
        band(trials, most, criterion.confidence)[1],
    )
