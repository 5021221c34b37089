"""The sentence of a finding: what was measured, the limit, and what is behind the number.

Each reason has one, in the module of its kind of criterion; it is what follows the name of the
criterion. A sentence is made from the facts of the finding alone, whenever it is shown; nothing is
decided by it.
"""

from collections.abc import Mapping
from typing import Final

from msgspec import UNSET

from controller.core.judge.facts import (
    Dilution,
    FailedQuery,
    JudgeFault,
    LeakFacts,
    LostWindows,
    MissingKindFacts,
    OwnText,
    RedBefore,
    WindowLength,
)
from controller.core.judge.findings import Finding, FindingReason, Label
from controller.core.units import count_text
from controller.core.words import (
    alarms_logs_signoffs,
    evidence,
    latency_increase,
    success_rate,
    threshold,
    traffic,
)
from controller.core.words.shared_phrases import Sentences, window_text


def sentence_of(finding: Finding) -> str:
    """Return the finding in one sentence for people, and what qualifies it: loss, dilution."""
    try:
        own = OwnText.find(finding)  # a kind of another package brings its own sentence
        sentence = own.text if own else f"{_subject(finding)} {SENTENCES[finding.reason](finding)}"
        better = success_rate.better_text(finding)
        after = f"{_lost_windows(finding)}{_dilution(finding)}{_red_before(finding)}"
        return f"{sentence}{better}{after}"
    except (LookupError, TypeError, ValueError, ArithmeticError):
        # A finding that was stored by another version may have other facts: it is shown all the
        # same, and a rollback waits for no sentence.
        return f"criterion {finding.criterion}: {finding.verdict} ({finding.reason})."


def _subject(finding: Finding) -> str:
    """Return what a sentence is about: a criterion, which its name alone would not say."""
    return (
        "leak check"
        if finding.reason == FindingReason.LEAK_CHECK
        else f"criterion {finding.criterion}"
    )


# The result of a leak check, and what it says about requests.
_LEAK_CHECK_RESULTS: Final[Mapping[Label, str]] = {
    Label.CONFIRMED: "passed, no request reaches the canary",
    Label.LEAK_CHECK_FAILED: "failed, requests still reach the canary",
    Label.UNOBSERVABLE: "has no result, requests may still reach the canary",
}


def _no_window_yet(finding: Finding) -> str:
    window = window_text(WindowLength.of(finding).window_s)
    return f"is not judged yet: no window of {window} has closed in this step."


def _judge_failed(finding: Finding) -> str:
    return (
        f"cannot be judged: the code of its kind {finding.kind} failed "
        f"({JudgeFault.of(finding).error}); the other criteria are judged."
    )


def _lost_windows(finding: Finding) -> str:
    lost = LostWindows.find(finding)
    if lost is None:
        return ""
    windows, verb = count_text(lost.lost_windows, "window"), "were"
    if lost.lost_windows == 1:
        verb = "was"
    length = window_text(lost.window_s)
    return f" {windows} of {length} {verb} never answered by CloudWatch and left out."


def _dilution(finding: Finding) -> str:
    mixed = Dilution.find(finding)
    if mixed is None:
        return ""
    return (
        f" Diluted: {mixed.diluted} counted both paths, and the canary had "
        f"{mixed.diluted_weight}% of the requests."
    )


def _red_before(finding: Finding) -> str:
    """Return what a start as a fix means for the finding; empty for any other."""
    red = RedBefore.find(finding)
    if red is None:
        return ""
    if red.worse_than is UNSET:
        return " It failed before the start, and does not gate until it has been green once."
    return " It failed before the start, and is worse now: the limit is its worst value then."


SENTENCES: Sentences = {
    FindingReason.LEAK_CHECK: lambda finding: (
        f"{_LEAK_CHECK_RESULTS[finding.label]}: {LeakFacts.of(finding).seen}"
    ),
    FindingReason.QUERY_FAILED: lambda finding: (
        f"cannot be judged: {FailedQuery.of(finding).text}."
    ),
    FindingReason.NO_WINDOW_YET: _no_window_yet,
    FindingReason.KIND_MISSING: lambda finding: (
        f"is not judged: {MissingKindFacts.of(finding).problem}."
    ),
    FindingReason.JUDGE_FAILED: _judge_failed,
    **alarms_logs_signoffs.SENTENCES,
    **evidence.SENTENCES,
    **latency_increase.SENTENCES,
    **success_rate.SENTENCES,
    **threshold.SENTENCES,
    **traffic.SENTENCES,
}
