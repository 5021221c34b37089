"""How far the evidence for a criterion is towards failing, and towards passing."""

from enum import StrEnum
from math import log

from controller.core.judge.facts import Breaching, LackOfData, Odds, PossibleRate, odds_limit
from controller.core.judge.findings import Finding, Verdict
from controller.immutable import Immutable


class ProgressUnit(StrEnum):
    """What is counted on the way to a verdict."""

    LIKELIHOOD_RATIO = "likelihood ratio"
    BREACHES = "breaches in a row"
    BURN_RATE = "burn rate"
    SAMPLES = "samples"


class Distance(Immutable):
    """How much of what a verdict takes is there: `amount` of `needed`; `share` is from 0 to 1.

    The share of a likelihood ratio is that of its logarithm, to which each minute adds.
    """

    share: float
    amount: float
    needed: float
    unit: ProgressUnit


class Progress(Immutable):
    """How far a criterion is towards each verdict; None where that is not known.

    keeps_limit: False while the measured value is on the wrong side of its bound, so that more
    samples alone make no pass.
    """

    fail: Distance | None = None
    passing: Distance | None = None
    keeps_limit: bool = True


def share_of(amount: float, needed: float) -> float:
    """Return the share of `needed` that `amount` is, from 0 to 1."""
    return min(1.0, max(0.0, amount / needed)) if needed > 0 else 1.0


def towards_odds(odds: float, limit: float) -> Distance:
    """Return how far a likelihood ratio is towards its limit; below 1, it speaks for no change."""
    share = 0.0 if odds <= 1 else share_of(log(odds), log(limit))
    return Distance(share, odds, odds_limit(limit), ProgressUnit.LIKELIHOOD_RATIO)


def failed_odds(finding: Finding) -> Distance | None:
    """Return the likelihood ratio that a finding fails for; None where it fails for none."""
    odds = Odds.find(finding)
    return None if odds is None else towards_odds(odds.odds, odds.odds_limit)


def towards_breaches(finding: Finding, failure_limit: int) -> Distance | None:
    """Return how many breaches in a row a finding counted; None where it does not say."""
    breaching, length = Breaching.find(finding), 0
    if finding.verdict is Verdict.FAIL:
        length = failure_limit
    elif breaching is not None:
        length = breaching.breaches
    elif finding.verdict is Verdict.INCONCLUSIVE:
        return None
    return Distance(share_of(length, failure_limit), length, failure_limit, ProgressUnit.BREACHES)


def towards_samples(finding: Finding, min_samples: int | None) -> Distance | None:
    """Return the samples of a finding beside those that a pass needs; None where none are counted.

    Where two paths are compared, they are those of the path that has fewer; a proof needs its own.
    """
    if not min_samples or finding.verdict is Verdict.FAIL:
        return None
    lack, rate = LackOfData.find(finding), PossibleRate.find(finding)
    amount, needed = float(finding.samples), float(min_samples)
    if lack is not None:
        amount = min(amount, lack.fewest_samples)
    if rate is not None and finding.verdict is Verdict.INCONCLUSIVE:
        needed = max(needed, rate.proof_requests or 0.0)
    return Distance(share_of(amount, needed), amount, needed, ProgressUnit.SAMPLES)
