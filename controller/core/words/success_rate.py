"""Sentences of a success rate: its failures, and what they leave possible."""

from math import ceil, floor, inf, log10

from msgspec import UNSET

from controller.core.judge.facts import (
    CERTAINLY_BETTER,
    BetterThanStable,
    FailureTotals,
    PossibleRate,
)
from controller.core.judge.findings import Finding, FindingReason
from controller.core.stats.binomial import CONFIDENCE
from controller.core.units import (
    MAX_DIGITS,
    count_text,
    format_percent,
    number_text,
    percent_beside,
)
from controller.core.words.shared_phrases import Sentences, ratio, requests_text, window_text


def totals_text(totals: FailureTotals) -> str:
    """Return how many requests failed beside how many may, and the same of the stable path."""
    allowed = totals.allowed_share
    failures, requests = number_text(totals.failures), count_text(totals.requests, "request")
    share = percent_beside(ratio(totals.failures, totals.requests), allowed)
    text = f"{failures} of {requests} failed ({share}), at most {format_percent(allowed)} allowed"
    if not totals.control_requests:
        return text
    stable = ratio(totals.control_failures, totals.control_requests)
    return f"{text}; stable path: {percent_beside(stable, allowed)}"


def possible_rate_text(finding: Finding) -> str:
    """Return the failure rate that windows leave possible; empty where it meets the bound."""
    possible = PossibleRate.find(finding)
    if possible is None:
        return ""
    confidence = CONFIDENCE if possible.confidence is UNSET else possible.confidence
    objective, needed = format_percent(finding.bound), possible.proof_requests
    conclusion = f"no number of requests can confirm {objective}"
    if needed is not UNSET:
        conclusion = f"{objective} is not confirmed"
        if finding.samples < needed:
            requests = f"{number_text(needed)} requests without a failure"
            conclusion = f"not enough data to confirm {objective} (needs {requests})"
    return (
        f"; at {confidence * 100:g}% confidence the failure rate is at most "
        f"{_rounded_up(possible.possible_share)}: {conclusion}"
    )


def _rounded_up(share: float) -> str:
    """Return a share above 0 as a percent of three figures, rounded up so that it holds."""
    scale = 10 ** (2 - floor(log10(share)))
    return format_percent(ceil(share * scale) / scale, MAX_DIGITS)


def _proven(finding: Finding) -> str:
    totals = FailureTotals.of(finding)
    return (
        f"passes, objective met: {_failures(totals)}; at 95% confidence "
        f"the failure rate is below {format_percent(totals.allowed_share)}."
    )


def _not_proven_yet(finding: Finding) -> str:
    needed = PossibleRate.of(finding).proof_requests
    requests = count_text(inf if needed is UNSET else needed, "request")
    return f"has too few samples: {_unproven(finding)} (needs {requests} with no further failure)."


def _unproven(finding: Finding) -> str:
    totals, possible = FailureTotals.of(finding), PossibleRate.of(finding).possible_share
    below = percent_beside(possible, totals.allowed_share)
    objective = format_percent(1 - totals.allowed_share)
    return (
        f"{_failures(totals)}; at 95% confidence the failure rate is below {below}, so "
        f"{objective} is not confirmed"
    )


def _failures(totals: FailureTotals) -> str:
    failures = count_text(round(totals.failures), "failure")
    return f"{failures} in {requests_text(totals.requests)}"


def better_text(finding: Finding) -> str:
    """Return how a canary does beside a stable path that failed before the start; or nothing."""
    better = BetterThanStable.find(finding)
    if better is None:
        return ""
    failed = f"{number_text(better.kept_failures)} of {requests_text(better.kept_requests)} failed"
    window = window_text(better.kept_s)
    limit, stable = number_text(better.better_limit), format_percent(better.outage_share)
    odds = number_text(floor(better.better_odds))
    odds = f"above {odds}" if better.better_odds >= CERTAINLY_BETTER else odds
    before = f" The stable path failed before the start too ({stable})"
    if finding.reason == FindingReason.SHARED_OUTAGE:
        return (
            f"{before}: the canary passes when it keeps the limit over the last {window} "
            f"({failed}), and is better at a likelihood ratio of {limit} (now {odds})."
        )
    return (
        f"{before}: the canary keeps the limit over the last {window} ({failed}), and is better at "
        f"a likelihood ratio of {odds}, limit {limit}."
    )


SENTENCES: Sentences = {
    FindingReason.PROVEN: _proven,
    FindingReason.RATE_NO_REGRESSION: lambda finding: (
        f"passes, no regression detected: {_unproven(finding)}."
    ),
    FindingReason.NOT_PROVEN_YET: _not_proven_yet,
}
