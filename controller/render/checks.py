"""The checks of `doctor` and `verify` as lines and as JSON data."""

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from controller.operations.checks import Check, Level, any_failed

if TYPE_CHECKING:
    from controller.render.outputs.account import CheckData, ChecksData

_MARKS: Final = {Level.OK: "ok", Level.WARN: "warn", Level.UNREAD: "n/a", Level.FAIL: "FAIL"}


def check_lines(checks: Sequence[Check]) -> list[str]:
    """Return a line for each check, in their order, and a line with the number of each level.

    A line is the level, what was checked, the detail, and the remedy.
    """
    width = max((len(one.what) for one in checks), default=0)
    return [*(_line(one, width) for one in checks), _summary(checks)]


def _line(check: Check, width: int) -> str:
    remedy = f"; {check.remedy}" if check.remedy else ""
    return f"{_MARKS[check.level]:<4}  {check.what:<{width}}  {check.detail}{remedy}"


def _summary(checks: Sequence[Check]) -> str:
    counts = Counter(one.level for one in checks)
    levels = [level for level in Level if counts[level] or level is not Level.UNREAD]
    return ", ".join(f"{counts[level]} {level}" for level in levels)


def checks_data(checks: Sequence[Check]) -> "ChecksData":
    """Return `checks` as plain JSON data."""
    return {"failed": any_failed(checks), "checks": [_data(one) for one in checks]}


def _data(check: Check) -> "CheckData":
    return {
        "what": check.what,
        "level": str(check.level),
        "seen": check.detail,
        "remedy": check.remedy,
    }
