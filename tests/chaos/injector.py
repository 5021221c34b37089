"""What becomes of the crossings of one process, by the faults of a plot."""

from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Any, Protocol

from tests.chaos.fault_plan import (
    Broken,
    Crash,
    Fault,
    Meanwhile,
    Trouble,
    When,
)
from tests.chaos.faults import LATE, answered, fits, operation, way_of
from tests.chaos.process import CrashedError, Crossing, Proceed


class Hands(Protocol):
    """What a fate needs of the story that it is part of."""

    def struck(self, crossing: Crossing, kind: str) -> None:
        """Take note that something goes wrong at `crossing`."""
        ...

    def later(self, seconds: int, call: Proceed) -> None:
        """Let a call arrive after so many seconds."""
        ...

    def meanwhile(self, fault: Meanwhile, by: str) -> None:
        """Let others act while the process `by` waits."""
        ...

    def troubles(self) -> Sequence[Trouble]:
        """Return what is wrong just now, for a while."""
        ...


class Ahead:
    """The faults that have not struck yet."""

    def __init__(self, faults: Iterable[Fault]) -> None:
        self._faults = [one for one in faults if isinstance(one, Crash | Broken | Meanwhile)]

    @property
    def left(self) -> bool:
        """Whether any fault is left."""
        return bool(self._faults)

    def take(self, tick: int, crossing: Crossing, before: int) -> list[Crash | Broken | Meanwhile]:
        """Return the faults that strike at `crossing`, each once.

        before: how many crossings of the same operation the process has had.
        """
        due = [one for one in self._faults if _strikes(one, tick, crossing, before)]
        for fault in due:
            self._faults.remove(fault)
        return due


def _strikes(fault: Crash | Broken | Meanwhile, tick: int, crossing: Crossing, before: int) -> bool:
    spot = fault.spot
    if isinstance(fault, Broken) and not fits(fault.how, crossing):
        return False
    if spot.operation:
        fitting = spot.operation == operation(crossing) and spot.tick <= tick
        return fitting and spot.number == before
    return (spot.tick, spot.number) == (tick, crossing.number)


class Doom:
    """The fate of one process, of the minute `tick`."""

    def __init__(self, hands: Hands, tick: int, ahead: Ahead) -> None:
        self._hands, self._tick, self._ahead = hands, tick, ahead
        self._crossed: Counter[str] = Counter()

    def __call__(self, crossing: Crossing, proceed: Proceed) -> Any:
        """Return or raise what the process gets."""
        name = operation(crossing)
        faults = self._ahead.take(self._tick, crossing, self._crossed[name])
        self._crossed[name] += 1
        self._meanwhile(faults, When.BEFORE, crossing)
        try:
            answer = self._made(faults, crossing, proceed)
        except Exception:  # a crash is none: then nobody waits
            self._meanwhile(faults, When.AFTER, crossing)
            raise
        self._meanwhile(faults, When.AFTER, crossing)
        return answer

    def _meanwhile(self, faults: Iterable[Fault], when: When, crossing: Crossing) -> None:
        for fault in faults:
            if isinstance(fault, Meanwhile) and fault.when is when:
                self._hands.struck(crossing, f"{when} it: {fault.act}")
                self._hands.meanwhile(fault, crossing.process)

    def _made(self, faults: Sequence[Fault], crossing: Crossing, proceed: Proceed) -> Any:
        for fault in faults:
            if isinstance(fault, Crash):
                self._hands.struck(crossing, f"crash {fault.when}")
                self._crash(fault, crossing, proceed)
            if isinstance(fault, Broken):
                self._hands.struck(crossing, fault.how)
                if fault.how == LATE:
                    self._hands.later(fault.late, proceed)
                return answered(fault.how, crossing, proceed)
        for trouble in self._hands.troubles():
            how = way_of(trouble, crossing)
            if how is not None:
                self._hands.struck(crossing, str(trouble))
                if how:
                    return answered(how, crossing, proceed)
        return proceed()

    def _crash(self, fault: Crash, crossing: Crossing, proceed: Proceed) -> None:
        if fault.when is When.DURING and fault.late:
            self._hands.later(fault.late, proceed)
        elif fault.when is not When.BEFORE:
            with suppress(Exception):
                proceed()
        raise CrashedError
