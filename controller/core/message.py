"""A message to people and machines outside: what is said of one moment of a rollout, to whom."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Message:
    """One notice on its way. It is kept in the state until everybody has it.

    key: the same each time it is sent, so that who gets it twice can tell. severity, kind, phase
    and reason: as words. kind: what happened, mostly the kind of the history's entry.
    weight: what was asked for then; during a rollback, what was still live. to: the places that
    have not got it yet. tries: ticks that have tried. run: which run of the program decided it; its
    log and its history have that, too.
    """

    key: str
    at: datetime
    severity: str
    kind: str
    text: str
    phase: str
    weight: int
    step: int
    reason: str
    to: tuple[str, ...] = ()
    tries: int = 0
    run: str = ""


@dataclass(frozen=True, slots=True)
class Page:
    """What is critical, and told again until somebody acknowledges it.

    kind: of the message that told it first. told: when it was told last.
    """

    kind: str
    text: str
    since: datetime
    told: datetime
    acknowledged: bool = False
