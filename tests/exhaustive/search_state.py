"""One situation of a small world, and on which way it was reached."""

from dataclasses import dataclass
from typing import Final, TypeAlias, TypeVar

from tests.exhaustive.monitor_state import MonitorState
from tests.exhaustive.replayable_process import CallResult, ProcessState, ReplayableProcess
from tests.exhaustive.small_world import SharedState
from tests.exhaustive.step_events import LocalEvents, Step
from tests.simulation.worlds import START

T = TypeVar("T")

# Where a process stands that will do nothing more; how it came to that is told.
PROCESS_OVER: Final = ProcessState(None, CallResult(None, failed=False, now=START))
ProcessSlot: TypeAlias = ProcessState | None
StateKey: TypeAlias = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Transition:
    """Who went on, from where, and what came of it; a process without a step is gone for good."""

    program: ReplayableProcess
    origin: ProcessSlot = None
    step: Step | None = None

    def __str__(self) -> str:
        if self.step is None or self.origin is None or self.origin.call is None:
            return f"{self.program.name} did nothing more: it is gone"
        answer, crossing = self.step.answer, self.origin.call
        failed = f" ({answer.value})" if answer.failed else ""
        return f"{self.program.name} {crossing.service} {crossing.operation}{failed}"


@dataclass(eq=False, slots=True)
class SearchState:
    """Where everything stands.

    processes: where each process stands; None before its begin. quiet: of each, what is not told yet.
    crashes: how many may still be gone. before, move: on which way it was reached first.
    """

    shared: SharedState
    processes: tuple[ProcessSlot, ...]
    local_events: tuple[LocalEvents, ...]
    crashes: int
    monitor: MonitorState
    parent: "SearchState | None" = None
    move: Transition | None = None

    def key(self) -> StateKey:
        """Return what is equal for situations from which the same can come."""
        return (id(self.shared), self.crashes, id(self.monitor), *map(id, self.processes))

    def schedule(self) -> list[str]:
        """Return who did what, on the way on which it was reached first."""
        moves, here = list[str](), self
        while here.parent is not None:
            moves.append(str(here.move))
            here = here.parent
        return moves[::-1]


def replace_item(items: tuple[T, ...], number: int, item: T) -> tuple[T, ...]:
    """Return the tuple with one of its items replaced."""
    return (*items[:number], item, *items[number + 1 :])
