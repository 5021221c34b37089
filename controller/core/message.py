"""Messages: what a rollout sends to people and to other systems."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

# How long the delivery of a message is retried, tick by tick; after that it is given up.
DELIVERY_TIMEOUT: Final = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Message:
    """One notice in delivery. The state keeps it until every recipient has it.

    key: the same each time the message is sent, so that a receiver can detect a duplicate.
    severity, kind, phase and reason: as words. kind: the event, mostly the kind of the history
    entry. weight: the weight asked for at that moment; during a rollback, the weight still live.
    recipients: addresses that have not received it yet. attempts: the ticks that tried.
    run: the run of the program that decided it; its log and its history entry have that id, too.
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
    recipients: tuple[str, ...] = ()
    attempts: int = 0
    run: str = ""
