"""A rollout as a JUnit report: a suite for each step, a case for each criterion, one for the end.

A passed criterion is a passed case, and a failed one is a failure. An inconclusive criterion is
skipped, or an error when the rollout paused for it: a paused rollout has not passed.
"""

from collections.abc import Iterable
from typing import TypeAlias
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from controller.core.history import Entry, finding_of
from controller.core.judge.findings import Finding, Verdict
from controller.core.rollout import Phase, Reason, Rollout
from controller.core.words.findings import sentence_of
from controller.core.words.notices import with_fix
from controller.safe_text import printable

# Finding by step and criterion.
_Findings: TypeAlias = dict[tuple[int, str], Finding]


def junit_text(rollout: Rollout, entries: Iterable[Entry], expected: str | None = None) -> str:
    """Return the report of `rollout` as the text of an XML file; see `junit`."""
    suites = junit(rollout, entries, expected)
    indent(suites)
    return tostring(suites, encoding="unicode", xml_declaration=True) + "\n"


def junit(rollout: Rollout, entries: Iterable[Entry], expected: str | None = None) -> Element:
    """Return the report of `rollout`, whose history is `entries`.

    expected: the phase in which it should end; when it does, no criterion is a failure.
    """
    as_expected = expected is not None and rollout.phase == expected
    suites = Element("testsuites", name=printable(rollout.name))
    findings = _last_findings(rollout, entries)
    for index, step in enumerate(rollout.policy.steps):
        suite = _add_suite(suites, f"{rollout.name}, step {index + 1}: {step.weight}%", rollout)
        for name in rollout.policy.gate(index):
            finding = findings.get((index, name))
            _add_case(suite, name, *_result(finding, rollout, index, as_expected))
    end = _add_suite(suites, f"{rollout.name}, the end", rollout)
    kind = _kind_of_end(rollout, expected, as_expected)
    summary = f"{rollout.phase} at {rollout.weight}%: {with_fix(rollout, rollout.sentence)}"
    _add_case(end, expected or Phase.SUCCEEDED, kind, summary)
    for suite in suites:
        _set_counts(suite)
    _set_counts(suites)
    return suites


def _last_findings(rollout: Rollout, entries: Iterable[Entry]) -> _Findings:
    """Return the last findings of each step; an entry has the findings made before it."""
    findings: _Findings = {}
    step = 0
    for entry in entries:
        previous_step, step = step, int(entry.body["step"])
        for finding in map(finding_of, entry.body["findings"]):
            findings[previous_step, finding.criterion] = finding
    if not rollout.final:
        for one in rollout.evidence.findings:
            findings[rollout.step, one.criterion] = one
    return findings


def _add_suite(suites: Element, name: str, rollout: Rollout) -> Element:
    at = rollout.updated.replace(tzinfo=None).isoformat(timespec="seconds")
    return SubElement(suites, "testsuite", name=printable(name), timestamp=at)


def _add_case(suite: Element, name: str, kind: str, text: str) -> None:
    case = SubElement(suite, "testcase", classname=suite.attrib["name"], name=printable(name))
    content = printable(text)  # also replaces characters that XML 1.0 forbids
    if kind == "system-out":
        SubElement(case, kind).text = content
    else:
        SubElement(case, kind, message=content)


def _result(
    finding: Finding | None, rollout: Rollout, step: int, as_expected: bool
) -> tuple[str, str]:
    """Return the kind of the result of a criterion, and its text."""
    if finding is None:
        return "skipped", "was not judged in this step"
    sentence, verdict = sentence_of(finding), finding.verdict
    if verdict is Verdict.PASS or (as_expected and verdict is Verdict.FAIL):
        return "system-out", sentence
    if not finding.gates:
        return "skipped", f"report only: {sentence}"
    if verdict is Verdict.FAIL:
        return "failure", sentence
    waits = step == rollout.step and rollout.reason is Reason.INCONCLUSIVE
    return "error" if waits and not as_expected else "skipped", sentence


def _kind_of_end(rollout: Rollout, expected: str | None, as_expected: bool) -> str:
    if as_expected or (expected is None and rollout.phase is Phase.SUCCEEDED):
        return "system-out"
    if expected is not None or rollout.phase in (Phase.ROLLING_BACK, Phase.ROLLED_BACK):
        return "failure"
    return "error" if rollout.phase is Phase.PAUSED else "skipped"


def _set_counts(element: Element) -> None:
    for attribute, kind in (
        ("tests", "testcase"),
        ("failures", "failure"),
        ("errors", "error"),
        ("skipped", "skipped"),
    ):
        element.set(attribute, str(len(element.findall(f".//{kind}"))))
