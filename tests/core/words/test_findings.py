"""The sentence of a finding: one for each reason, whatever its facts are."""

from controller.core.judge.findings import FindingReason
from controller.core.words.findings import SENTENCES
from controller.immutable import replace
from tests.support.core import Verdict, sentence_of
from tests.support.findings import a_finding


def test_every_reason_has_a_sentence() -> None:
    assert SENTENCES.keys() == set(FindingReason)


def test_a_finding_of_another_version_is_told_by_verdict_and_reason() -> None:
    finding = replace(a_finding("SC-004", verdict=Verdict.FAIL), facts={})
    for reason in ("a_reason_of_tomorrow", FindingReason.BREACHED):
        told = sentence_of(replace(finding, reason=reason))
        assert all(word in told for word in ("SC-004", "fail", reason))


def test_windows_that_were_given_up_are_told_with_any_sentence() -> None:
    finding = a_finding("SC-004", "SC-004 holds.")
    lost = replace(finding, facts={**finding.facts, "lost_windows": 2, "window_s": 60})
    assert sentence_of(lost).startswith("SC-004 holds. 2 windows of 1m ")
