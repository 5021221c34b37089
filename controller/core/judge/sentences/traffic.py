"""Sentences of requests: traffic, its share on the canary, and the error budget."""

from collections.abc import Mapping
from typing import Final

from controller.core.judge.findings import Finding, FindingReason
from controller.core.judge.number_and_time_text import percent, time_range_text, utc_text
from controller.core.judge.sentences.shared_phrases import Facts, Sentence, counts_text, since_text
from controller.core.units import count_text, format_percent, number_text

# --- Traffic --------------------------------------------------------------------------------------


def _requests_arrived(finding: Finding, facts: Facts) -> str:
    return (
        f"passes: {_requests(finding)} arrived {since_text(finding)}, at least "
        f"{number_text(finding.bound)} required."
    )


def _too_few_arrived(finding: Finding, facts: Facts) -> str:
    return (
        f"has {finding.label}: {_requests(finding)} {since_text(finding)}, at "
        f"least {number_text(finding.bound)} required; check that requests reach the canary."
    )


def _canary_unreached(finding: Finding, facts: Facts) -> str:
    return (
        "fails: no request reached the canary while the stable path had "
        f"{count_text(facts['control_requests'], 'request')}; about "
        f"{number_text(round(facts['expected']))} were expected on the canary."
    )


def _requests(finding: Finding) -> str:
    return count_text(finding.measured or 0.0, "request")


# --- Share of traffic -----------------------------------------------------------------------------


def _no_requests(finding: Finding, facts: Facts) -> str:
    return f"has no data: neither canary nor stable path had a request {since_text(finding)}."


def _too_few_to_split(finding: Finding, facts: Facts) -> str:
    return (
        f"has too few samples: {number_text(finding.samples)} of "
        f"{number_text(facts['min_samples'])} {since_text(finding)}."
    )


def _split_so_far(finding: Finding, facts: Facts) -> str:
    split = _split(finding, facts)
    return f"so far: {split}; judged at the end of the bake."


def _split_fits(finding: Finding, facts: Facts) -> str:
    return f"passes: {_split(finding, facts)}; {_split_range(finding, facts)}."


def _split_off(finding: Finding, facts: Facts) -> str:
    return (
        f"is out of range: {_split(finding, facts)}; "
        f"{_split_range(finding, facts)}. "
        "The share of traffic does not match the weight: check for callers that bypass the weight, "
        "for fallbacks to the other path, and whether both metrics count every request."
    )


def _split(finding: Finding, facts: Facts) -> str:
    share = percent(finding.measured or 0.0, finding.bound)
    return (
        f"{number_text(facts['canary_requests'])} of {count_text(finding.samples, 'request')} took "
        f"the canary ({share}) {since_text(finding)}"
    )


def _split_range(finding: Finding, facts: Facts) -> str:
    return (
        f"{number_text(facts['low'])} to {number_text(facts['high'])} expected at "
        f"{round(finding.bound * 100)} % (tolerance {format_percent(facts['tolerance'])}, "
        f"confidence {format_percent(facts['confidence'])})"
    )


# --- Error budget ---------------------------------------------------------------------------------


def _budget_burnt(finding: Finding, facts: Facts) -> str:
    span = time_range_text(facts["burn_start"], facts["burn_end"])
    return (
        "fails: burn rate "
        f"{number_text(round(finding.measured or 0.0, 1))}x of {_budget(facts)}, {span}, "
        f"at most {finding.bound:g}x allowed; {counts_text(finding, facts)}."
    )


def _budget_kept(finding: Finding, facts: Facts) -> str:
    return (
        f"passes: burn rates of {_budget(facts)}: {facts['rates']}; {counts_text(finding, facts)}."
    )


def _budget_too_few(finding: Finding, facts: Facts) -> str:
    requests = count_text(finding.samples, "request")
    failures = f"{count_text(facts['failures'], 'failure')} in {requests}"
    return (
        f"has too few samples: {number_text(finding.samples)} of "
        f"{number_text(facts['min_samples'])} needed to pass; {failures}."
    )


def _budget_undecided(finding: Finding, facts: Facts) -> str:
    return (
        f"has too few samples: the burn rate of {_budget(facts)} is above "
        f"{facts['factor']:g}x, and the window of {facts['long']} has "
        f"{number_text(facts['long_requests'])} of {number_text(facts['min_samples'])} requests "
        f"needed to fail; {counts_text(finding, facts)}."
    )


def _budget_bad_counts(finding: Finding, facts: Facts) -> str:
    counts = counts_text(finding, facts)
    return f"cannot be judged: the counts contradict each other; {counts}."


def _budget_no_requests(finding: Finding, facts: Facts) -> str:
    last = f"since {utc_text(facts['last_end'])}" if facts["last_end"] else "in this step"
    return f"cannot be judged: no requests {last}; {counts_text(finding, facts)}."


def _budget(facts: Facts) -> str:
    return f"the error budget of {format_percent(facts['budget'])}"


SENTENCES: Final[Mapping[str, Sentence]] = {
    FindingReason.REQUESTS_ARRIVED: _requests_arrived,
    FindingReason.TOO_FEW_ARRIVED: _too_few_arrived,
    FindingReason.CANARY_UNREACHED: _canary_unreached,
    FindingReason.NO_REQUESTS: _no_requests,
    FindingReason.TOO_FEW_TO_SPLIT: _too_few_to_split,
    FindingReason.SPLIT_SO_FAR: _split_so_far,
    FindingReason.SPLIT_FITS: _split_fits,
    FindingReason.SPLIT_OFF: _split_off,
    FindingReason.BUDGET_BURNT: _budget_burnt,
    FindingReason.BUDGET_KEPT: _budget_kept,
    FindingReason.BUDGET_TOO_FEW: _budget_too_few,
    FindingReason.BUDGET_UNDECIDED: _budget_undecided,
    FindingReason.BUDGET_BAD_COUNTS: _budget_bad_counts,
    FindingReason.BUDGET_NO_REQUESTS: _budget_no_requests,
}
