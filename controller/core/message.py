"""Messages: what a rollout sends to people and to other systems."""

from datetime import timedelta
from enum import StrEnum
from typing import Final

from controller.core.units import AwareTime, Count, Weight
from controller.immutable import Immutable

# How long the delivery of a message is retried, tick by tick; after that it is given up.
DELIVERY_TIMEOUT: Final = timedelta(hours=1)
# The kind of a message that tries a channel: it is about no rollout.
TEST: Final = "test"


class Severity(StrEnum):
    """The urgency of a notice: critical pages the on-call engineer."""

    INFO = "info"
    WARNING = "warning"
    CRITICAL = "critical"


class Message(Immutable):
    """One notice in delivery. The state keeps it until every recipient has it.

    key: the same each time the message is sent, so that a receiver can detect a duplicate.
    kind, phase and reason: as words. kind: the event, mostly the kind of the history
    entry. weight: the weight asked for at that moment; during a rollback, the weight still live.
    recipients: addresses that have not received it yet. attempts: the ticks that tried.
    run: the run of the program that decided it; its log and its history entry have that id, too.
    """

    key: str
    at: AwareTime
    severity: Severity
    kind: str
    text: str
    phase: str
    weight: Weight
    step: Count
    reason: str
    recipients: tuple[str, ...] = ()
    attempts: Count = 0
    run: str = ""
