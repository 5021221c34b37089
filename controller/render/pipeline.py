"""A rollout for a CI job: as a JUnit report, and as Markdown for a summary or a comment.

A passed criterion is a passed case, and a failed one is a failure. An inconclusive criterion is
skipped, or an error when the rollout paused for it: a paused rollout has not passed.
"""

import re
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Final, TypeAlias
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from controller.core.history import Entry, finding_of
from controller.core.judge.findings import Finding, Verdict
from controller.core.rollout import Phase, Reason, Rollout
from controller.core.units import clock_text
from controller.core.words.criteria_table import HEADER, RIGHT_ALIGNED, counted_text, rows
from controller.core.words.findings import sentence_of
from controller.core.words.notices import with_fix
from controller.render.history import timeline
from controller.render.page import plain_text
from controller.render.rollout_texts import rollout_texts
from controller.safe_text import printable, printable_block

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


# --- Markdown -------------------------------------------------------------------------------------

# A summary of GitHub takes 1 MiB, and a comment 65 536 characters: a page fits into either.
MAX_CHARACTERS: Final = 60_000
_SPECIAL: Final = re.compile(r"([\\`*_\[\]|~#])")
# GitHub turns these prefixes into links; group 2 is the character to escape.
_AUTOLINK: Final = re.compile(
    r"\b(https?(?=:)|ftp(?=:)|mailto(?=:)|xmpp(?=:)|www(?=\.))([:.])", re.I
)
# GitHub turns these into mentions, addresses or links to issues, also of other repositories
# (`owner/repo#1`). It does so in the rendered text, so that only a tag in between prevents it.
_MENTION: Final = re.compile(r"(@(?=\w)|\\#(?=\d)|gh-(?=\d))", re.I)
# The begin of a line that Markdown would take for a quote, a list or a rule.
_BLOCK_START: Final = re.compile(r"^(?:(\d+)(?=[.)](?:\s|$))|(?=[-+>=]))")


def rollout_markdown(rollout: Rollout, entries: Sequence[Entry], now: datetime) -> str:
    """Return the status of a rollout, its criteria and its timeline; at most MAX_CHARACTERS."""
    texts = rollout_texts(rollout, now)
    facts = [
        texts.ladder,
        *([f"next: {texts.next}"] if texts.next else []),
        *([texts.leak_check] if texts.leak_check else []),
        f"revision {rollout.revision}, updated {clock_text(rollout.updated)}{texts.age}",
    ]
    return markdown_page(
        f"{rollout.id}: {rollout.phase} at {rollout.weight}%", facts, rollout, entries
    )


def escape_markdown(text: str) -> str:
    """Return Markdown that shows `text` literally, on one line.

    Nothing in it becomes a link, an image, the end of a table, a mention, or a reference to an
    issue.
    """
    line = " ".join(printable(text).split())
    line = line.replace("&", "&amp;").replace("<", "&lt;")
    line = _BLOCK_START.sub(r"\1\\", _SPECIAL.sub(r"\\\1", line))
    return _MENTION.sub(r"\1<!-- -->", _AUTOLINK.sub(r"\1\\\2", line))


def markdown_page(
    title: str, facts: Iterable[str], rollout: Rollout, entries: Iterable[Entry]
) -> str:
    """Return a title, facts, the criteria and the timeline; at most MAX_CHARACTERS."""
    parts = [
        f"### {escape_markdown(title)}",
        escape_markdown(with_fix(rollout, rollout.sentence)),
        "\n".join(f"- {escape_markdown(fact)}" for fact in facts),
        *_criteria(rollout),
    ]
    head = "\n\n".join(part for part in parts if part)
    lines = plain_text(list(timeline(entries))).split("\n")
    return f"{head}\n\n{_fence(lines, MAX_CHARACTERS - len(head))}"


def _criteria(rollout: Rollout) -> list[str]:
    if not rollout.evidence.known_findings:
        return []
    sides = ("---:" if name in RIGHT_ALIGNED else "---" for name in HEADER)
    shown = rows(rollout)
    cells = (map(escape_markdown, row.cells) for row in shown)
    table = "\n".join(f"| {' | '.join(line)} |" for line in (HEADER, sides, *cells))
    return [table, escape_markdown(counted_text(shown))]


def _fence(lines: list[str], room: int) -> str:
    """Return `lines` as a code block; lines in the middle are left out when `room` is too small."""
    text = printable_block(_shorten(lines, room - 100))
    longest_run = max((len(run) for run in re.findall("`+", text)), default=0)
    fence = "`" * max(3, longest_run + 1)
    return f"{fence}text\n{text}\n{fence}"


def _shorten(lines: list[str], room: int) -> list[str]:
    if sum(len(line) + 1 for line in lines) <= room:
        return lines
    first = _head_within(lines, room // 2)
    last = _head_within(lines[::-1], room - room // 2)[::-1]
    left_out = len(lines) - len(first) - len(last)
    return [*first, f"... {left_out} lines are left out; `rolloutctl history` has them all", *last]


def _head_within(lines: list[str], room: int) -> list[str]:
    """Return the first lines that fit into `room` characters."""
    head: list[str] = []
    for line in lines:
        room -= len(line) + 1
        if room < 0:
            break
        head.append(line)
    return head
