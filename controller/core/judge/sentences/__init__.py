"""The sentence of a finding: what was measured, the limit, and what is behind the number.

One function a reason, which returns what follows the name of the criterion. A sentence is made from
the facts of the finding alone, whenever it is shown; nothing is decided by it.
"""

from collections.abc import Mapping
from typing import Final

from controller.core.judge.findings import DILUTED, Finding, FindingReason, Label
from controller.core.judge.sentences import sequential, signals, threshold, traffic
from controller.core.judge.sentences.shared_phrases import (
    Facts,
    Sentence,
    query_failed_text,
    window_text,
)
from controller.core.units import count_text


def sentence_of(finding: Finding) -> str:
    """Return the finding in one sentence for people, and what qualifies it: loss, dilution."""
    facts = finding.facts
    try:
        if "text" in facts:  # a kind of another package brings its own sentence
            sentence = str(facts["text"])
        else:
            sentence = f"{_subject(finding)} {SENTENCES[finding.reason](finding, facts)}"
        sentence += f" {_lost_windows(facts)}" if "lost_windows" in facts else ""
        return f"{sentence} {_dilution(facts)}" if DILUTED in facts else sentence
    except (LookupError, TypeError, ValueError, ArithmeticError):
        # A finding that was stored by another version may have other facts: it is shown all the
        # same, and a rollback waits for no sentence.
        return f"criterion {finding.criterion}: {finding.verdict} ({finding.reason})."


def _subject(finding: Finding) -> str:
    """Return what a sentence is about: a criterion, which its name alone would not say."""
    return "drain" if finding.reason == FindingReason.DRAIN else f"criterion {finding.criterion}"


# The result of a drain, with what that says of the requests.
_DRAINS: Final[Mapping[Label, str]] = {
    Label.CONFIRMED: "confirmed, requests have left the canary",
    Label.DRAIN_FAILED: "failed, requests still reach the canary",
    Label.UNOBSERVABLE: "unobservable, whether requests have left the canary is unknown",
}


def _drain(finding: Finding, facts: Facts) -> str:
    return f"{_DRAINS[finding.label]}: {facts['seen']}"


def _query_failed(finding: Finding, facts: Facts) -> str:
    return f"cannot be judged: {query_failed_text(facts)}."


def _no_window_yet(finding: Finding, facts: Facts) -> str:
    window = window_text(facts)
    return f"is not judged yet: no window of {window} has closed in this step."


def _kind_missing(finding: Finding, facts: Facts) -> str:
    return f"is not judged: {facts['problem']}."


def _judge_failed(finding: Finding, facts: Facts) -> str:
    return (
        f"cannot be judged: the code of its kind {finding.kind} failed "
        f"({facts['error']}); the other criteria are judged."
    )


def _lost_windows(facts: Facts) -> str:
    lost = count_text(facts["lost_windows"], "window")
    verb = "was" if facts["lost_windows"] == 1 else "were"
    return f"{lost} of {window_text(facts)} {verb} never answered by CloudWatch and left out."


def _dilution(facts: Facts) -> str:
    return (
        f"Diluted: {facts[DILUTED]} counted both paths, and the canary had "
        f"{facts['diluted_weight']} % of the requests."
    )


SENTENCES: Final[Mapping[str, Sentence]] = {
    FindingReason.DRAIN: _drain,
    FindingReason.QUERY_FAILED: _query_failed,
    FindingReason.NO_WINDOW_YET: _no_window_yet,
    FindingReason.KIND_MISSING: _kind_missing,
    FindingReason.JUDGE_FAILED: _judge_failed,
    **threshold.SENTENCES,
    **traffic.SENTENCES,
    **signals.SENTENCES,
    **sequential.SENTENCES,
}
