"""Sentences of evidence that adds up over the minutes of a rollout, of any kind of criterion."""

from math import floor
from typing import Final

from msgspec import UNSET

from controller.core.judge.facts import (
    CountedSuccesses,
    FailureTotals,
    LackOfData,
    MeanTotals,
    MissingRequests,
    NewestBake,
    Odds,
    RatioTotals,
    RuledOut,
    odds_limit,
    totals_of,
)
from controller.core.judge.findings import Finding, FindingReason
from controller.core.units import format_percent, number_text, time_range_text
from controller.core.words import latency_increase, success_rate, threshold
from controller.core.words.shared_phrases import Sentences, last_text, since_text, window_text

# A larger likelihood ratio is written as more than this.
_MAX_ODDS: Final = 1_000_000


def _totals(finding: Finding) -> str:
    """Return the counts of some minutes beside what is allowed."""
    match totals_of(finding):
        case None:
            raise ValueError("the finding has no counts")
        case FailureTotals() as failures:
            return success_rate.totals_text(failures)
        case RatioTotals() | MeanTotals() as value:
            return threshold.totals_text(value)
        case slow:
            return latency_increase.totals_text(slow, finding)


def _rejected(finding: Finding) -> str:
    """Return why the rollout is rolled back: the counts, when they were, and the evidence."""
    evidence = Odds.of(finding)
    why = "the counts are in an earlier history entry; "
    start, end = evidence.regression_start, evidence.regression_end
    if start is not UNSET and end is not UNSET:
        span = time_range_text(start, end)
        why = f"{_totals(finding)}, from {span}; "
    elif totals_of(finding) is not None:
        why = f"in this step, {since_text(finding)} {_totals(finding)}; "
    limit = number_text(odds_limit(evidence.odds_limit))
    counted = CountedSuccesses.find(finding)
    how = ""
    if counted is not None:
        how = f" Counted as failed: requests that are in none of {counted.successes}."
    return f"fails: {why}likelihood ratio {_odds_text(evidence)}, limit {limit}.{how}"


def _odds_text(evidence: Odds) -> str:
    """Return the evidence as a whole number that is no less than the limit reads."""
    odds, limit = evidence.odds, evidence.odds_limit
    certain = max(_MAX_ODDS, limit)
    if odds > certain:
        return f"above {number_text(round(certain))}"
    return number_text(max(floor(odds), odds_limit(limit)))


def _shared_outage(finding: Finding) -> str:
    return (
        "is undecided: the stable path fails too, and no higher weight is "
        f"applied in an outage; {_totals(finding)}."
    )


def _newest_above(finding: Finding) -> str:
    return (
        f"is undecided: {_newest(finding)}, more than chance explains; no higher weight is applied "
        "until it is back within the limit."
    )


def _ruled_out_large(finding: Finding) -> str:
    ruled_out = RuledOut.of(finding)
    chance = ", which chance explains" if ruled_out.by_chance else ""
    return (
        f"passes, no regression detected: {_newest(finding)}{chance}; "
        f"{format_percent(ruled_out.large_share)} or more is ruled out at 95% confidence, and a "
        "later step has to keep the limit."
    )


def _newest(finding: Finding) -> str:
    """Return the counts of the newest bake-length beside what is allowed."""
    return f"in the last {window_text(NewestBake.of(finding).newest_s)}, {_totals(finding)}"


def _undecided(finding: Finding) -> str:
    counts = _totals(finding)
    return f"is undecided: {counts}; above the limit, but not enough evidence to roll back."


def _too_few_requests(finding: Finding) -> str:
    lack = LackOfData.of(finding)
    return (
        f"has too few samples: {number_text(lack.fewest_samples)} of "
        f"{number_text(lack.min_samples)} {since_text(finding)}."
    )


def _no_requests_any_more(finding: Finding) -> str:
    last = last_text(LackOfData.of(finding).last_end, finding)
    return f"has no recent data: no request since {last}."


def _requests_missing(finding: Finding) -> str:
    missing = MissingRequests.of(finding)
    return (
        f"has too few requests: {number_text(missing.newest_requests)} in the last "
        f"{window_text(missing.missing_s)}, in which the week before the start had at least "
        f"{number_text(missing.week_requests)}; {_totals(finding)}."
    )


SENTENCES: Sentences = {
    FindingReason.REJECTED: _rejected,
    FindingReason.NO_REGRESSION: lambda finding: (
        f"passes, no regression detected: {_totals(finding)}."
    ),
    FindingReason.SHARED_OUTAGE: _shared_outage,
    FindingReason.NEWEST_ABOVE: _newest_above,
    FindingReason.RULED_OUT_LARGE: _ruled_out_large,
    FindingReason.UNDECIDED: _undecided,
    FindingReason.TOO_FEW_REQUESTS: _too_few_requests,
    FindingReason.BASELINE_UNREAD: lambda _: (
        "cannot be judged: its baseline was not read before the start."
    ),
    FindingReason.NO_REQUESTS_YET: lambda finding: f"has no data {since_text(finding)}.",
    FindingReason.NO_REQUESTS_ANY_MORE: _no_requests_any_more,
    FindingReason.REQUESTS_MISSING: _requests_missing,
}
