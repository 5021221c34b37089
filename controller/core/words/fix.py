"""A rollout that was started as a fix, in words: what does not gate yet, and what gates again."""

from collections.abc import Iterable

from controller.core.judge.evidence import FixStart
from controller.core.rollout import Rollout


def fix_text(fix: FixStart) -> str:
    """Return that the rollout is a fix, and what does not gate until it has been green once."""
    waiting = list(fix.not_green)
    if not fix.red:
        return "started as a fix: nothing is red, so every criterion gates"
    if not waiting:
        return "started as a fix: everything that was red has been green, and gates"
    one = len(waiting) == 1
    verbs = "does not gate until it has" if one else "do not gate until they have"
    return f"started as a fix: {names_text(waiting)} {verbs} been green once"


def with_fix(rollout: Rollout, text: str) -> str:
    """Return `text` about a rollout; the first line of one that is a fix ends with `fix_text`."""
    fix = rollout.evidence.fix
    if fix is None or (note := fix_text(fix)) in text:
        return text
    first, newline, rest = text.partition("\n")
    return f"{first.rstrip('.')}; {note}{newline}{rest}"


def green_text(names: Iterable[str]) -> str:
    """Return that criteria that failed before the start are green now."""
    green = list(names)
    is_or_are, gates = ("is", "gates") if len(green) == 1 else ("are", "gate")
    names_now = names_text(green)
    return f"{names_now} {is_or_are} green for the first time since the start, and {gates} now"


def names_text(names: Iterable[str]) -> str:
    """Return names as a list in a sentence: `A, B and C`."""
    *others, last = names
    return f"{', '.join(others)} and {last}" if others else last
