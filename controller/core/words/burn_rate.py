"""Sentences of an error budget and how fast it burns."""

from controller.core.judge.facts import (
    Budget,
    BudgetWindow,
    BurnFacts,
    BurnRates,
    Failures,
    UndecidedPair,
)
from controller.core.judge.findings import Finding, FindingReason
from controller.core.units import count_text, format_percent, number_text, time_range_text, utc_text
from controller.core.words.shared_phrases import Sentences, counts_text


def _budget_burnt(finding: Finding) -> str:
    burn = BurnFacts.of(finding)
    rate = number_text(round(finding.measured or 0.0, 1))
    return (
        f"fails: burn rate {rate}x of {_budget(finding)}, "
        f"{time_range_text(burn.burn_start, burn.burn_end)}, "
        f"at most {finding.bound:g}x allowed; {counts_text(finding)}."
    )


def _budget_kept(finding: Finding) -> str:
    rates = BurnRates.of(finding).rates
    return f"passes: burn rates of {_budget(finding)}: {rates}; {counts_text(finding)}."


def _budget_too_few(finding: Finding) -> str:
    failures = count_text(Failures.of(finding).failures, "failure")
    return (
        f"has too few samples: {number_text(finding.samples)} of "
        f"{number_text(BudgetWindow.of(finding).min_samples)} needed to pass; "
        f"{failures} in {count_text(finding.samples, 'request')}."
    )


def _budget_undecided(finding: Finding) -> str:
    pair = UndecidedPair.of(finding)
    return (
        f"has too few samples: the burn rate of {_budget(finding)} is above {pair.factor:g}x, and "
        f"the window of {pair.long} has {number_text(pair.long_requests)} of "
        f"{number_text(BudgetWindow.of(finding).min_samples)} requests needed to fail; "
        f"{counts_text(finding)}."
    )


def _budget_no_requests(finding: Finding) -> str:
    last_end = BudgetWindow.of(finding).last_end
    last = f"since {utc_text(last_end)}" if last_end else "in this step"
    return f"cannot be judged: no requests {last}; {counts_text(finding)}."


def _budget(finding: Finding) -> str:
    return f"the error budget of {format_percent(Budget.of(finding).budget)}"


SENTENCES: Sentences = {
    FindingReason.BUDGET_BURNT: _budget_burnt,
    FindingReason.BUDGET_KEPT: _budget_kept,
    FindingReason.BUDGET_TOO_FEW: _budget_too_few,
    FindingReason.BUDGET_UNDECIDED: _budget_undecided,
    FindingReason.BUDGET_BAD_COUNTS: lambda finding: (
        f"cannot be judged: the counts contradict each other; {counts_text(finding)}."
    ),
    FindingReason.BUDGET_NO_REQUESTS: _budget_no_requests,
}
