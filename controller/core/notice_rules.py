"""Conditions: what operators must know about a rollout until it ends, and when they are notified.

A tick derives each condition from the state and from what it observed. `RULES` says after how long
operators are notified, and how often again.
"""

from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from controller.core.units import AwareTime
from controller.immutable import Immutable


class ConditionKind(StrEnum):
    """What people must know.

    BLIND: the target cannot be read, or no metric. BLOCKED: something else than time keeps the next
    transition back. PAUSED: an operator has to act. UNCONFIRMED: a rollback is not confirmed: 0%
    was not read back, or requests still arrive at the canary. SILENT: no request was counted
    since 100% was applied, or far fewer than were due, and the time before makes that unlikely.
    DRIFTED: the weight was changed outside rolloutctl after the rollout had ended. CHANGED: other
    code was deployed to the function during the rollout, or it was changed after the success.
    """

    BLIND = "blind"
    BLOCKED = "blocked"
    PAUSED = "paused"
    UNCONFIRMED = "unconfirmed"
    SILENT = "silent"
    DRIFTED = "drifted"
    CHANGED = "changed"


class Condition(Immutable):
    """One condition of a rollout.

    since: when it began. text: what it is, for people.
    announced: when operators were notified last; None while they were not.
    critical: it pages. acknowledged: an operator knows, so it pages no more.
    entry: of UNCONFIRMED and SILENT, the kind of the history entry that records it; empty: none
    does yet.
    """

    since: AwareTime
    text: str
    announced: AwareTime | None = None
    critical: bool = False
    acknowledged: bool = False
    entry: str = ""


class Rule(Immutable):
    """When operators are notified: after so long, then once in each period; None: once.

    A critical condition that is not acknowledged is repeated every PAGE_EVERY instead.
    """

    after: timedelta = timedelta(0)
    every: timedelta | None = None


DAY: Final = timedelta(days=1)
PAUSE_REMINDER: Final = DAY
# How often a critical condition is repeated, whatever its kind.
PAGE_EVERY: Final = timedelta(minutes=15)

RULES: Final = {
    # Shorter gaps are normal. After this long, people must know that nothing guards the traffic.
    ConditionKind.BLIND: Rule(after=timedelta(minutes=15), every=DAY),
    ConditionKind.BLOCKED: Rule(every=DAY),
    ConditionKind.PAUSED: Rule(every=PAUSE_REMINDER),
    ConditionKind.UNCONFIRMED: Rule(),
    ConditionKind.SILENT: Rule(),
    ConditionKind.DRIFTED: Rule(),
    ConditionKind.CHANGED: Rule(),
}


def due_at(kind: ConditionKind, condition: Condition) -> datetime | None:
    """Return when the next notice of `condition` is due; None where none is."""
    rule = RULES[kind]
    if condition.announced is None:
        return condition.since + rule.after
    pages = condition.critical and not condition.acknowledged
    every = PAGE_EVERY if pages else rule.every
    return None if every is None else condition.announced + every


def is_due(kind: ConditionKind, condition: Condition, now: datetime) -> bool:
    """Tell whether a notice of `condition` is due at `now`."""
    due = due_at(kind, condition)
    return due is not None and now >= due
