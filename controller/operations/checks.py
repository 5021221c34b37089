"""A check: one question about the live system, answered in one line."""

from collections.abc import Iterable
from enum import StrEnum

from controller.errors import Exit
from controller.immutable import Immutable, field


class CheckLevel(StrEnum):
    """The result of a check.

    UNREAD: the check was not made, because its subject could not be read. WARN: the check was made,
    and its result is not clear.
    """

    OK = "ok"
    WARN = "warn"
    UNREAD = "unread"
    FAIL = "fail"


class Check(Immutable):
    """One check of the live account."""

    what: str
    """What was checked, in one or two words."""
    level: CheckLevel
    """The result; unread: the check was not made, because its subject was not read."""
    detail: str = field(name="seen")
    """What was found."""
    remedy: str = ""
    """What to do about it; empty: nothing."""

    @property
    def text(self) -> str:
        """The check in one line: its name, what was found, and what to do about it."""
        return f"{self.what}: {self.detail}" + (f"; {self.remedy}" if self.remedy else "")


def any_failed(checks: Iterable[Check]) -> bool:
    """Tell whether at least one of `checks` failed."""
    return any(check.level is CheckLevel.FAIL for check in checks)


def exit_status(checks: Iterable[Check]) -> Exit:
    """Return the status of `checks`: whether one failed, or could not be made."""
    levels = {check.level for check in checks}
    if CheckLevel.FAIL in levels:
        return Exit.CHECK_FAILED
    return Exit.INTERNAL if CheckLevel.UNREAD in levels else Exit.DONE


def ok(what: str, detail: str) -> Check:
    """Return a check that passed."""
    return Check(what, CheckLevel.OK, detail)


def warn(what: str, detail: str, remedy: str = "") -> Check:
    """Return a check that was made, and whose result is not clear."""
    return Check(what, CheckLevel.WARN, detail, remedy)


def unread(what: str, detail: str, remedy: str = "") -> Check:
    """Return a check that was not made, because a service did not answer."""
    return Check(what, CheckLevel.UNREAD, detail, remedy)


def fail(what: str, detail: str, remedy: str) -> Check:
    """Return a check that failed; a failure always has a remedy."""
    return Check(what, CheckLevel.FAIL, detail, remedy)
