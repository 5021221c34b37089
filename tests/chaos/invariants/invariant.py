"""The base class of invariants: one rule, and the checks of it."""

from collections.abc import Iterator
from datetime import datetime
from typing import ClassVar

from controller.immutable import Immutable
from tests.chaos.event_log import (
    GateVerdict,
    Notification,
    ObservedEvent,
    ProcessEnd,
    RolloutSave,
    TargetWrite,
    is_external,
)
from tests.chaos.invariants.system_state import SystemState


class Violation(Immutable):
    """A violated invariant. at: when. by: the process that did it. sentence: what it did."""

    invariant: str
    at: datetime
    by: str
    sentence: str

    def __str__(self) -> str:
        return f"{self.invariant}: {self.at:%H:%M:%S} {self.by} {self.sentence}"


class Invariant:
    """One rule. It gets every event, in order, with the state before the event.

    name: its id. text: the rule, in one sentence. allows: what looks like a violation and is none;
    empty: nothing does. Each method yields violations, as sentences that follow the name of the
    process: `wrote 100% over 10%, and no rollout has recorded that`.
    """

    name: ClassVar[str]
    text: ClassVar[str]
    allows: ClassVar[str] = ""

    def check(self, event: ObservedEvent, state: SystemState) -> Iterator[str]:
        """Yield the violations of `event`."""
        match event:
            case TargetWrite(by=by) if not is_external(by):
                yield from self.on_write(event, state)
            case TargetWrite():
                pass
            case RolloutSave():
                yield from self.on_save(event, state)
            case GateVerdict():
                yield from self.on_verdict(event, state)
            case Notification():
                yield from self.on_notification(event, state)
            case ProcessEnd():
                yield from self.on_process_end(event, state)
            case _:
                pass

    def on_write(self, write: TargetWrite, state: SystemState) -> Iterator[str]:
        """Yield the violations of a write by rolloutctl."""
        yield from ()

    def on_save(self, save: RolloutSave, state: SystemState) -> Iterator[str]:
        """Yield the violations of a save."""
        yield from ()

    def on_verdict(self, judgement: GateVerdict, state: SystemState) -> Iterator[str]:
        """Yield the violations of a verdict."""
        yield from ()

    def on_notification(self, notification: Notification, state: SystemState) -> Iterator[str]:
        """Yield the violations of a notice."""
        yield from ()

    def on_process_end(self, end: ProcessEnd, state: SystemState) -> Iterator[str]:
        """Yield the violations of the state at the end of a process."""
        yield from ()

    def at_end(self, state: SystemState) -> Iterator[str]:
        """Yield the violations of the state at the end of the run."""
        yield from ()
