"""The checks of `doctor` and `verify` as a page and as JSON data."""

from collections import Counter
from collections.abc import Sequence
from typing import Final

from controller.operations.checks import Check, Level, any_failed
from controller.render.page import Page, Span, Table, Tone, paragraph

_MARKS: Final = {Level.OK: "ok", Level.WARN: "warn", Level.UNREAD: "skip", Level.FAIL: "FAIL"}
_SUMMARY: Final = {Level.UNREAD: "not checked"}
_TONES: Final = {
    Level.OK: Tone.GOOD,
    Level.WARN: Tone.WAITING,
    Level.UNREAD: Tone.WAITING,
    Level.FAIL: Tone.BAD,
}


def checks_page(checks: Sequence[Check]) -> Page:
    """Return a row for each check, in their order, and a line with the number of each level.

    A row is the level, what was checked, the detail, and the remedy.
    """
    counts = Counter(one.level for one in checks)
    levels = [level for level in Level if counts[level] or level is not Level.UNREAD]
    summary = ", ".join(f"{counts[level]} {_SUMMARY.get(level, level)}" for level in levels)
    tone = Tone.BAD if any_failed(checks) else Tone.TITLE
    return [Table([_row(one) for one in checks], least=(len("FAIL"),)), paragraph(summary, tone)]


def _row(check: Check) -> tuple[Span, ...]:
    remedy = f"; {check.remedy}" if check.remedy else ""
    cause = "not checked: " if check.level is Level.UNREAD else ""
    mark = Span(_MARKS[check.level], _TONES[check.level])
    return mark, Span(check.what), Span(f"{cause}{check.detail}{remedy}")
