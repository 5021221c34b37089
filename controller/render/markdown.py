"""A rollout as Markdown, for the summary of a CI job or a comment."""

import re
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Final

from controller.core.history import Entry
from controller.core.rollout import Rollout
from controller.core.units import clock_text
from controller.core.words.criteria_table import HEADER, RIGHT_ALIGNED, counted_text, rows
from controller.core.words.notices import with_fix
from controller.render.history import timeline
from controller.render.page import plain_text
from controller.render.rollout_texts import rollout_texts
from controller.safe_text import printable, printable_block

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
    if not (rollout.evidence.findings or rollout.evidence.earlier_findings):
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
