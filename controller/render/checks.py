"""The checks of `doctor` and `verify` as a page and as JSON data."""

from collections import Counter
from collections.abc import Sequence
from typing import Final

from controller.operations.checks import Check, CheckLevel, any_failed
from controller.render.page import Page, PageTable, TextSpan, Tone, paragraph

_MARKS: Final = {
    CheckLevel.OK: TextSpan("ok", Tone.GOOD),
    CheckLevel.WARN: TextSpan("warn", Tone.WAITING),
    CheckLevel.UNREAD: TextSpan("skip", Tone.WAITING),
    CheckLevel.FAIL: TextSpan("FAIL", Tone.BAD),
}
_SUMMARY: Final = {CheckLevel.UNREAD: "not checked"}


def checks_page(checks: Sequence[Check]) -> Page:
    """Return a row for each check, in their order, and a line with the number of each level.

    A row is the level, what was checked, the detail, and the remedy.
    """
    counts = Counter(check.level for check in checks)
    levels = [level for level in CheckLevel if counts[level] or level is not CheckLevel.UNREAD]
    summary = ", ".join(f"{counts[level]} {_SUMMARY.get(level, level)}" for level in levels)
    tone = Tone.BAD if any_failed(checks) else Tone.TITLE
    rows = []
    for check in checks:
        remedy = f"; {check.remedy}" if check.remedy else ""
        cause = "not checked: " if check.level is CheckLevel.UNREAD else ""
        rows.append((_MARKS[check.level], check.what, f"{cause}{check.detail}{remedy}"))
    return [PageTable(rows, least=(len("FAIL"),)), paragraph(summary, tone)]
