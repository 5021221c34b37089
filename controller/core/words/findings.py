"""The sentence of a finding: what was measured, the limit, and what is behind the number.

Each reason has one: here what any kind of criterion may say, the others in the module of its kind.
It is what follows the name of the criterion. A sentence is made from the facts of the finding
alone, whenever it is shown; nothing is decided by it.
"""

from collections.abc import Mapping
from math import floor
from typing import Final

from msgspec import UNSET

from controller.core.judge import facts
from controller.core.judge.findings import Finding, FindingReason, Label
from controller.core.units import count_text, format_percent, number_text, time_range_text
from controller.core.words import alarms_logs_signoffs, measured, traffic
from controller.core.words.measured import better_text, totals_text
from controller.core.words.shared_phrases import (
    Sentences,
    few_text,
    last_text,
    since_text,
    window_text,
)

# A larger likelihood ratio is written as more than this.
_MAX_ODDS: Final = 1_000_000


def sentence_of(finding: Finding) -> str:
    """Return the finding in one sentence for people, and what qualifies it: loss, dilution."""
    is_leak_check = finding.reason == FindingReason.LEAK_CHECK  # the name alone would not say it
    subject = "leak check" if is_leak_check else f"criterion {finding.criterion}"
    try:
        own = facts.OwnText.find(finding)  # a kind of another package brings its own sentence
        sentence = own.text if own else f"{subject} {SENTENCES[finding.reason](finding)}"
        return f"{sentence}{_qualifications(finding)}"
    except (LookupError, TypeError, ValueError, ArithmeticError):
        # A finding that was stored by another version may have other facts: it is shown all the
        # same, and a rollback waits for no sentence.
        return f"criterion {finding.criterion}: {finding.verdict} ({finding.reason})."


# --- What qualifies any finding -------------------------------------------------------------------


def _qualifications(finding: Finding) -> str:
    text = better_text(finding)
    if lost := facts.LostWindows.find(finding):
        windows = f"{count_text(lost.lost_windows, 'window')} of {window_text(lost.window_s)}"
        verb = "was" if lost.lost_windows == 1 else "were"
        text += f" {windows} {verb} never answered by CloudWatch and left out."
    if mixed := facts.Dilution.find(finding):
        text += (
            f" Diluted: {mixed.diluted} counted both paths, and the canary had "
            f"{mixed.diluted_weight}% of the requests."
        )
    if red := facts.RedBefore.find(finding):
        now = "is worse now: the limit is its worst value then"
        if red.worse_than is UNSET:
            now = "does not gate until it has been green once"
        text += f" It failed before the start, and {now}."
    return text


# --- Evidence that adds up over the minutes of a rollout ------------------------------------------


def _rejected(finding: Finding) -> str:
    """Return why the rollout is rolled back: the counts, when they were, and the evidence."""
    evidence = facts.Odds.of(finding)
    why = "the counts are in an earlier history entry; "
    start, end = evidence.regression_start, evidence.regression_end
    if start is not UNSET and end is not UNSET:
        why = f"{totals_text(finding)}, from {time_range_text(start, end)}; "
    elif facts.totals_of(finding) is not None:
        why = f"in this step, {since_text(finding)} {totals_text(finding)}; "
    # A whole number that is no less than the limit reads.
    odds, certain = evidence.odds, max(_MAX_ODDS, evidence.odds_limit)
    limit = facts.odds_limit(evidence.odds_limit)
    ratio = number_text(max(floor(odds), limit))
    if odds > certain:
        ratio = f"above {number_text(round(certain))}"
    counted, how = facts.CountedSuccesses.find(finding), ""
    if counted is not None:
        how = f" Counted as failed: requests that are in none of {counted.successes}."
    return f"fails: {why}likelihood ratio {ratio}, limit {number_text(limit)}.{how}"


def _newest(finding: Finding) -> str:
    """Return the counts of the newest bake-length beside what is allowed."""
    newest = window_text(facts.NewestBake.of(finding).newest_s)
    return f"in the last {newest}, {totals_text(finding)}"


def _ruled_out_large(finding: Finding) -> str:
    ruled_out = facts.RuledOut.of(finding)
    chance = ", which chance explains" if ruled_out.by_chance else ""
    return (
        f"passes, no regression detected: {_newest(finding)}{chance}; "
        f"{format_percent(ruled_out.large_share)} or more is ruled out at 95% confidence, and a "
        "later step has to keep the limit."
    )


def _requests_missing(finding: Finding) -> str:
    missing = facts.MissingRequests.of(finding)
    return (
        f"has too few requests: {number_text(missing.newest_requests)} in the last "
        f"{window_text(missing.missing_s)}, in which the week before the start had at least "
        f"{number_text(missing.week_requests)}; {totals_text(finding)}."
    )


# The result of a leak check, and what it says about requests.
_LEAK_CHECK_RESULTS: Final[Mapping[Label, str]] = {
    Label.CONFIRMED: "passed, no request reaches the canary",
    Label.LEAK_CHECK_FAILED: "failed, requests still reach the canary",
    Label.UNOBSERVABLE: "has no result, requests may still reach the canary",
}

SENTENCES: Sentences = {
    FindingReason.LEAK_CHECK: lambda finding: (
        f"{_LEAK_CHECK_RESULTS[finding.label]}: {facts.LeakFacts.of(finding).seen}"
    ),
    FindingReason.QUERY_FAILED: lambda finding: (
        f"cannot be judged: {facts.FailedQuery.of(finding).text}."
    ),
    FindingReason.NO_WINDOW_YET: lambda finding: (
        f"is not judged yet: no window of {window_text(facts.WindowLength.of(finding).window_s)} "
        "has closed in this step."
    ),
    FindingReason.KIND_MISSING: lambda finding: (
        f"is not judged: {facts.MissingKindFacts.of(finding).problem}."
    ),
    FindingReason.JUDGE_FAILED: lambda finding: (
        f"cannot be judged: the code of its kind {finding.kind} failed "
        f"({facts.JudgeFault.of(finding).error}); the other criteria are judged."
    ),
    FindingReason.REJECTED: _rejected,
    FindingReason.NO_REGRESSION: lambda finding: (
        f"passes, no regression detected: {totals_text(finding)}."
    ),
    FindingReason.SHARED_OUTAGE: lambda finding: (
        "is undecided: the stable path fails too, and no higher weight is "
        f"applied in an outage; {totals_text(finding)}."
    ),
    FindingReason.NEWEST_ABOVE: lambda finding: (
        f"is undecided: {_newest(finding)}, more than chance explains; no higher weight is applied "
        "until it is back within the limit."
    ),
    FindingReason.RULED_OUT_LARGE: _ruled_out_large,
    FindingReason.UNDECIDED: lambda finding: (
        f"is undecided: {totals_text(finding)}; above the limit, but not enough evidence to roll "
        "back."
    ),
    FindingReason.TOO_FEW_REQUESTS: lambda finding: (
        f"{few_text(finding, facts.LackOfData.of(finding).fewest_samples)} {since_text(finding)}."
    ),
    FindingReason.BASELINE_UNREAD: lambda _: (
        "cannot be judged: its baseline was not read before the start."
    ),
    FindingReason.NO_REQUESTS_YET: lambda finding: f"has no data {since_text(finding)}.",
    FindingReason.NO_REQUESTS_ANY_MORE: lambda finding: (
        "has no recent data: no request since "
        f"{last_text(facts.LackOfData.of(finding).last_end, finding)}."
    ),
    FindingReason.REQUESTS_MISSING: _requests_missing,
    **alarms_logs_signoffs.SENTENCES,
    **measured.SENTENCES,
    **traffic.SENTENCES,
}
