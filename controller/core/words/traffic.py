"""Sentences of requests: how many arrived, on which path, and how fast they burn a budget."""

from controller.core.judge import facts
from controller.core.judge.findings import Finding, FindingReason
from controller.core.units import (
    count_text,
    format_percent,
    number_text,
    percent_beside,
    time_range_text,
    utc_text,
)
from controller.core.words.shared_phrases import Sentences, counts_text, few_text, since_text

# --- Traffic --------------------------------------------------------------------------------------


def _requests(finding: Finding) -> str:
    return count_text(finding.measured or 0.0, "request")


# --- Share of traffic -----------------------------------------------------------------------------


def _split(finding: Finding) -> str:
    share = percent_beside(finding.measured or 0.0, finding.bound)
    return (
        f"{number_text(facts.SplitFacts.of(finding).canary_requests)} of "
        f"{count_text(finding.samples, 'request')} took the canary ({share}) {since_text(finding)}"
    )


def _split_range(finding: Finding) -> str:
    fits = facts.SplitRange.of(finding)
    return (
        f"{number_text(fits.low)} to {number_text(fits.high)} expected at "
        f"{round(finding.bound * 100)}% (tolerance {format_percent(fits.tolerance)}, "
        f"confidence {format_percent(fits.confidence)})"
    )


# --- Error budget ---------------------------------------------------------------------------------


def _budget_burnt(finding: Finding) -> str:
    burn = facts.BurnFacts.of(finding)
    rate = number_text(round(finding.measured or 0.0, 1))
    return (
        f"fails: burn rate {rate}x of {_budget(finding)}, "
        f"{time_range_text(burn.burn_start, burn.burn_end)}, "
        f"at most {finding.bound:g}x allowed; {counts_text(finding)}."
    )


def _budget_undecided(finding: Finding) -> str:
    pair = facts.UndecidedPair.of(finding)
    return (
        f"has too few samples: the burn rate of {_budget(finding)} is above {pair.factor:g}x, and "
        f"the window of {pair.long} has {number_text(pair.long_requests)} of "
        f"{number_text(facts.BudgetWindow.of(finding).min_samples)} requests needed to fail; "
        f"{counts_text(finding)}."
    )


def _budget_no_requests(finding: Finding) -> str:
    last_end = facts.BudgetWindow.of(finding).last_end
    last = f"since {utc_text(last_end)}" if last_end else "in this step"
    return f"cannot be judged: no requests {last}; {counts_text(finding)}."


def _budget(finding: Finding) -> str:
    return f"the error budget of {format_percent(facts.Budget.of(finding).budget)}"


SENTENCES: Sentences = {
    FindingReason.REQUESTS_ARRIVED: lambda finding: (
        f"passes: {_requests(finding)} arrived {since_text(finding)}, at least "
        f"{number_text(finding.bound)} required."
    ),
    FindingReason.TOO_FEW_ARRIVED: lambda finding: (
        f"has {finding.label}: {_requests(finding)} {since_text(finding)}, at "
        f"least {number_text(finding.bound)} required; check that requests reach the canary."
    ),
    FindingReason.CANARY_UNREACHED: lambda finding: (
        "fails: no request reached the canary while the stable path had "
        f"{count_text(facts.UnreachedCanary.of(finding).control_requests, 'request')}; about "
        f"{number_text(round(facts.UnreachedCanary.of(finding).expected))} were expected on the "
        "canary."
    ),
    FindingReason.NO_REQUESTS: lambda finding: (
        f"has no data: neither canary nor stable path had a request {since_text(finding)}."
    ),
    FindingReason.TOO_FEW_TO_SPLIT: lambda finding: (
        f"{few_text(finding, finding.samples)} {since_text(finding)}."
    ),
    FindingReason.SPLIT_SO_FAR: lambda finding: (
        f"so far: {_split(finding)}; judged at the end of the bake."
    ),
    FindingReason.SPLIT_FITS: lambda finding: (
        f"passes: {_split(finding)}; {_split_range(finding)}."
    ),
    FindingReason.SPLIT_OFF: lambda finding: (
        f"is out of range: {_split(finding)}; {_split_range(finding)}. "
        "The share of traffic does not match the weight: check for callers that bypass the "
        "weight, for fallbacks to the other path, and whether both metrics count every request."
    ),
    FindingReason.BUDGET_BURNT: _budget_burnt,
    FindingReason.BUDGET_KEPT: lambda finding: (
        f"passes: burn rates of {_budget(finding)}: {facts.BurnRates.of(finding).rates}; "
        f"{counts_text(finding)}."
    ),
    FindingReason.BUDGET_TOO_FEW: lambda finding: (
        f"{few_text(finding, finding.samples)} needed to pass; "
        f"{count_text(facts.Failures.of(finding).failures, 'failure')} in "
        f"{count_text(finding.samples, 'request')}."
    ),
    FindingReason.BUDGET_UNDECIDED: _budget_undecided,
    FindingReason.BUDGET_BAD_COUNTS: lambda finding: (
        f"cannot be judged: the counts contradict each other; {counts_text(finding)}."
    ),
    FindingReason.BUDGET_NO_REQUESTS: _budget_no_requests,
}
