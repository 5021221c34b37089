"""What an invariant is: a sentence that holds after every step, and what checks it."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar

from tests.chaos.event_log import (
    Ended,
    Happening,
    Judged,
    Saved,
    Told,
    Wrote,
    is_hand,
)
from tests.chaos.invariants.scene import Scene


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

    def see(self, happening: Happening, scene: Scene) -> Iterator[str]:
        """Yield what is wrong with `happening`."""
        match happening:
            case Wrote(by=by) if not is_hand(by):
                yield from self.wrote(happening, scene)
            case Wrote():
                pass
            case Saved():
                yield from self.saved(happening, scene)
            case Judged():
                yield from self.judged(happening, scene)
            case Told():
                yield from self.told(happening, scene)
            case Ended():
                yield from self.ended(happening, scene)
            case _:
                pass

    def wrote(self, wrote: Wrote, scene: Scene) -> Iterator[str]:
        """Yield what is wrong with a write of ours."""
        yield from ()

    def saved(self, saved: Saved, scene: Scene) -> Iterator[str]:
        """Yield what is wrong with what is stored."""
        yield from ()

    def judged(self, judged: Judged, scene: Scene) -> Iterator[str]:
        """Yield what is wrong with what was measured."""
        yield from ()

    def told(self, told: Told, scene: Scene) -> Iterator[str]:
        """Yield what is wrong with what people were told."""
        yield from ()

    def ended(self, ended: Ended, scene: Scene) -> Iterator[str]:
        """Yield what is wrong with how a process left everything."""
        yield from ()

    def over(self, scene: Scene) -> Iterator[str]:
        """Yield what is wrong with the end of the story."""
        yield from ()
