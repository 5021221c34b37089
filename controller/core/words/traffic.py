"""Sentences of requests on the canary: how many arrived, and which share of all."""

from controller.core.judge.facts import MinSamples, SplitFacts, SplitRange, UnreachedCanary
from controller.core.judge.findings import Finding, FindingReason
from controller.core.units import count_text, format_percent, number_text, percent_beside
from controller.core.words.shared_phrases import Sentences, since_text

# --- Traffic --------------------------------------------------------------------------------------


def _requests_arrived(finding: Finding) -> str:
    return (
        f"passes: {_requests(finding)} arrived {since_text(finding)}, at least "
        f"{number_text(finding.bound)} required."
    )


def _too_few_arrived(finding: Finding) -> str:
    return (
        f"has {finding.label}: {_requests(finding)} {since_text(finding)}, at "
        f"least {number_text(finding.bound)} required; check that requests reach the canary."
    )


def _canary_unreached(finding: Finding) -> str:
    due = UnreachedCanary.of(finding)
    return (
        "fails: no request reached the canary while the stable path had "
        f"{count_text(due.control_requests, 'request')}; about "
        f"{number_text(round(due.expected))} were expected on the canary."
    )


def _requests(finding: Finding) -> str:
    return count_text(finding.measured or 0.0, "request")


# --- Share of traffic -----------------------------------------------------------------------------


def _too_few_to_split(finding: Finding) -> str:
    needed = number_text(MinSamples.of(finding).min_samples)
    samples = number_text(finding.samples)
    return f"has too few samples: {samples} of {needed} {since_text(finding)}."


def _split_off(finding: Finding) -> str:
    return (
        f"is out of range: {_split(finding)}; {_split_range(finding)}. "
        "The share of traffic does not match the weight: check for callers that bypass the weight, "
        "for fallbacks to the other path, and whether both metrics count every request."
    )


def _split(finding: Finding) -> str:
    share = percent_beside(finding.measured or 0.0, finding.bound)
    return (
        f"{number_text(SplitFacts.of(finding).canary_requests)} of "
        f"{count_text(finding.samples, 'request')} took the canary ({share}) {since_text(finding)}"
    )


def _split_range(finding: Finding) -> str:
    fits = SplitRange.of(finding)
    return (
        f"{number_text(fits.low)} to {number_text(fits.high)} expected at "
        f"{round(finding.bound * 100)} % (tolerance {format_percent(fits.tolerance)}, "
        f"confidence {format_percent(fits.confidence)})"
    )


SENTENCES: Sentences = {
    FindingReason.REQUESTS_ARRIVED: _requests_arrived,
    FindingReason.TOO_FEW_ARRIVED: _too_few_arrived,
    FindingReason.CANARY_UNREACHED: _canary_unreached,
    FindingReason.NO_REQUESTS: lambda finding: (
        f"has no data: neither canary nor stable path had a request {since_text(finding)}."
    ),
    FindingReason.TOO_FEW_TO_SPLIT: _too_few_to_split,
    FindingReason.SPLIT_SO_FAR: lambda finding: (
        f"so far: {_split(finding)}; judged at the end of the bake."
    ),
    FindingReason.SPLIT_FITS: lambda finding: (
        f"passes: {_split(finding)}; {_split_range(finding)}."
    ),
    FindingReason.SPLIT_OFF: _split_off,
}
