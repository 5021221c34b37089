"""A check: one question about the live system, answered in one line."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    """The result of a check.

    UNREAD: the check was not made, because its subject could not be read. WARN: the check was made,
    and its result is not clear.
    """

    OK = "ok"
    WARN = "warn"
    UNREAD = "unread"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Check:
    """One check of the live system, with its result.

    what: its name, in one or two words. detail: what was found, as part of a sentence.
    remedy: what to do about it; empty where there is nothing to do.
    """

    what: str
    level: Level
    detail: str
    remedy: str = ""


def any_failed(checks: Iterable[Check]) -> bool:
    """Tell whether at least one of `checks` failed."""
    return any(check.level is Level.FAIL for check in checks)


def ok(what: str, detail: str) -> Check:
    """Return a check that passed."""
    return Check(what, Level.OK, detail)


def warn(what: str, detail: str, remedy: str = "") -> Check:
    """Return a check that was made, and whose result is not clear."""
    return Check(what, Level.WARN, detail, remedy)


def unread(what: str, detail: str, remedy: str = "") -> Check:
    """Return a check that was not made, because a service did not answer."""
    return Check(what, Level.UNREAD, detail, remedy)


def fail(what: str, detail: str, remedy: str) -> Check:
    """Return a check that failed; a failure always has a remedy."""
    return Check(what, Level.FAIL, detail, remedy)


@dataclass(frozen=True, slots=True)
class Obstacle:
    """A reason why a change of a target may not reach traffic.

    fatal: the change certainly does not reach it. unread: unknown, because the service that knows
    did not answer.
    """

    fatal: bool
    text: str
    unread: bool = False


@dataclass(frozen=True, slots=True)
class NameWarning:
    """Why 0 % in the settings of a target may not be 0 % of traffic.

    mistaken: the name is probably wrong: there is no such setting (and no other one of the target
    sets a weight), or its value has the wrong type and would be overwritten.
    foreign: the same, and certain: no rollout can have left the setting like this.
    left_on: the setting that may still send all traffic to the canary; empty: none.
    command: the rollback that lowers it as well; empty: none.
    """

    text: str
    mistaken: bool = False
    foreign: bool = False
    left_on: str = ""
    command: str = ""
