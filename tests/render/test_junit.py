"""JUnit reports: which case failed, is an error, was skipped, or passed."""

from typing import Any
from xml.etree.ElementTree import Element

import pytest

from controller.core.history import finding_data
from controller.render.pipeline import junit, junit_text
from tests.support.core import Entry, Finding, Label, Phase, Reason, Rollout, Verdict
from tests.support.findings import a_finding
from tests.support.rollouts import NOON, a_policy, a_rollout, a_state

TWO_STEPS = a_policy(steps=[{"weight": 10, "bake": "10m"}, {"weight": 100, "bake": "10m"}])

CaseResult = tuple[str, str]  # name and result of the case


def finding(
    verdict: Verdict, sentence: str = "works is judged.", criterion: str = "works"
) -> Finding:
    return a_finding(criterion, sentence, verdict=verdict, label=Label.NOT_JUDGED)


def entry(step: int, *findings: Finding) -> Entry:
    """Return an entry that led to `step`, after these findings."""
    texts = [finding_data(one) for one in findings]
    return Entry(1, NOON, "advanced", {"step": step, "findings": texts})


def rollout(phase: Phase, *findings: Finding, **facts: Any) -> Rollout:
    return a_rollout(state=a_state(phase, **facts), policy=TWO_STEPS, findings=findings)


def cases(report: Element) -> list[CaseResult]:
    """Return the name and result of each case."""
    results = report.iter("testcase")
    return [(result.attrib["name"], result[0].tag) for result in results]


PASSED, FAILED, OPEN = map(finding, (Verdict.PASS, Verdict.FAIL, Verdict.INCONCLUSIVE))


@pytest.mark.parametrize(
    ("phase", "reason", "last", "result", "end"),
    [
        (Phase.SUCCEEDED, Reason.COMPLETED, PASSED, "system-out", "system-out"),
        (Phase.PROGRESSING, Reason.BAKING, OPEN, "skipped", "skipped"),
        (Phase.PAUSED, Reason.INCONCLUSIVE, OPEN, "error", "error"),
        (Phase.PAUSED, Reason.DRIFTED, OPEN, "skipped", "error"),
        (Phase.PAUSED, Reason.DRIFTED, PASSED, "system-out", "error"),
        (Phase.ROLLING_BACK, Reason.GATE_FAILED, FAILED, "failure", "failure"),
        (Phase.ROLLED_BACK, Reason.GATE_FAILED, FAILED, "failure", "failure"),
        (Phase.ROLLED_BACK, Reason.FOUND_AT_ZERO, OPEN, "skipped", "failure"),
    ],
)
def test_paused_is_not_passed(
    phase: Phase, reason: Reason, last: Finding, result: str, end: str
) -> None:
    """The case of the criterion in the last step, and that of the end."""
    entries = [entry(0), entry(1, PASSED), entry(1, last)]
    report = junit(rollout(phase, last, step=1, reason=reason), entries)
    assert cases(report) == [("works", "system-out"), ("works", result), ("succeeded", end)]


def test_a_step_that_was_never_reached_is_skipped() -> None:
    report = junit(rollout(Phase.ROLLED_BACK, FAILED), [entry(0), entry(0, FAILED)])
    assert cases(report)[:2] == [("works", "failure"), ("works", "skipped")]
    (skipped,) = report[1].iter("skipped")
    assert skipped.attrib["message"] == "was not judged in this step"


def test_an_expected_end_has_no_failure() -> None:
    entries = [entry(0), entry(0, FAILED)]
    ended = rollout(Phase.ROLLED_BACK, FAILED)
    expected = cases(junit(ended, entries, "rolled_back"))
    assert expected == [
        ("works", "system-out"),
        ("works", "skipped"),
        ("rolled_back", "system-out"),
    ]
    assert cases(junit(ended, entries, "paused"))[-1] == ("paused", "failure")


def test_what_xml_cannot_hold_is_replaced_and_the_rest_escaped() -> None:
    odd = finding(Verdict.FAIL, 'a\x1b[31m <b> & "c"\ud800')
    text = junit_text(rollout(Phase.ROLLED_BACK, odd), [entry(0), entry(0, odd)])
    assert r'message="a\u001b[31m &lt;b&gt; &amp; &quot;c&quot;' in text
    assert text.encode("utf-8").startswith(b"<?xml version=")
