"""What an invariant is: a sentence that holds after every step, and what checks it."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar

from tests.chaos.event_log import (
    EnvironmentWrite,
    GateVerdict,
    Notification,
    ObservedEvent,
    ProcessEnd,
    RolloutSave,
    is_external,
)
from tests.chaos.invariants.system_state import SystemState


@dataclass(frozen=True, slots=True)
class Violation:
    """An invariant that did not hold: since when, who did it, and what that was."""

    invariant: str
    at: datetime
    by: str
    sentence: str

    def __str__(self) -> str:
        return f"{self.invariant}: {self.at:%H:%M:%S} {self.by} {self.sentence}"


class Invariant:
    """One rule. It is shown every happening, in order, with the scene as it was before.

    name: what it is called. text: the rule, in one sentence. allows: what looks like a violation
    and is none; empty: nothing does. Each method yields what is wrong, after the name of who did
    it: `wrote 100 % over 10 %, and no rollout has recorded that`.
    """

    name: ClassVar[str]
    text: ClassVar[str]
    allows: ClassVar[str] = ""

    def check(self, event: ObservedEvent, state: SystemState) -> Iterator[str]:
        """Yield what is wrong with `event`."""
        match event:
            case EnvironmentWrite(by=by) if not is_external(by):
                yield from self.on_write(event, state)
            case EnvironmentWrite():
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

    def on_write(self, write: EnvironmentWrite, state: SystemState) -> Iterator[str]:
        """Yield what is wrong with a write of ours."""
        yield from ()

    def on_save(self, save: RolloutSave, state: SystemState) -> Iterator[str]:
        """Yield what is wrong with what is stored."""
        yield from ()

    def on_verdict(self, judgement: GateVerdict, state: SystemState) -> Iterator[str]:
        """Yield what is wrong with what was measured."""
        yield from ()

    def on_notification(self, notification: Notification, state: SystemState) -> Iterator[str]:
        """Yield what is wrong with what people were told."""
        yield from ()

    def on_process_end(self, end: ProcessEnd, state: SystemState) -> Iterator[str]:
        """Yield what is wrong with how a process left everything."""
        yield from ()

    def at_end(self, state: SystemState) -> Iterator[str]:
        """Yield what is wrong with the end of the story."""
        yield from ()
