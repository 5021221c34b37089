"""A check: one question about the live system, answered in one line."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    """How a check ended.

    UNREAD: what it is about could not be read, so it was not made. WARN: it was made, and cannot
    say whether all is well.
    """

    OK = "ok"
    WARN = "warn"
    UNREAD = "unread"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at.

    what: its name, in one or two words. seen: what there was to see, as part of a sentence.
    remedy: what to do about it; empty where there is nothing to do.
    """

    what: str
    level: Level
    detail: str
    remedy: str = ""


def any_failed(checks: Iterable[Check]) -> bool:
    """Tell whether one of `checks` says that something is wrong."""
    return any(one.level is Level.FAIL for one in checks)


def ok(what: str, detail: str) -> Check:
    """Return a check that found things as they should be."""
    return Check(what, Level.OK, detail)


def warn(what: str, detail: str, remedy: str = "") -> Check:
    """Return a check that cannot say that all is well."""
    return Check(what, Level.WARN, detail, remedy)


def unread(what: str, detail: str, remedy: str = "") -> Check:
    """Return a check that was not made, because something did not answer."""
    return Check(what, Level.UNREAD, detail, remedy)


def fail(what: str, detail: str, remedy: str) -> Check:
    """Return a check that found something wrong; there is something to do then."""
    return Check(what, Level.FAIL, detail, remedy)


@dataclass(frozen=True, slots=True)
class Obstacle:
    """Why a change of a target may not reach traffic; `fatal` when it certainly does not.

    unread: unknown, because the service that knows did not answer.
    """

    fatal: bool
    text: str
    unread: bool = False
