"""One state of a search, and the schedule by which it was reached first."""

from dataclasses import dataclass
from typing import Final, TypeAlias, TypeVar

from controller.immutable import Immutable
from tests.exhaustive.monitor_state import MonitorState
from tests.exhaustive.replayable_process import CallResult, ProcessState, ReplayableProcess
from tests.exhaustive.small_world import SharedState
from tests.exhaustive.step_events import LocalEvents, Step
from tests.tools.simulation.worlds import START

T = TypeVar("T")

# The state of a process that has ended or crashed, once that event was passed on.
PROCESS_OVER: Final = ProcessState(None, CallResult(None, failed=False, now=START))
ProcessSlot: TypeAlias = ProcessState | None
StateKey: TypeAlias = tuple[int, ...]


class Transition(Immutable):
    """One step of one process, from its state `origin`; without a step: the process crashed."""

    program: ReplayableProcess
    origin: ProcessSlot = None
    step: Step | None = None

    def __str__(self) -> str:
        if self.step is None or self.origin is None or self.origin.call is None:
            return f"{self.program.name} did nothing more: it is gone"
        answer, call = self.step.answer, self.origin.call
        failed = f" ({answer.value})" if answer.failed else ""
        return f"{self.program.name} {call.service} {call.operation}{failed}"


@dataclass(eq=False, slots=True)
class SearchState:
    """The state of the world, its processes and its invariants.

    processes: the state of each process; None before its start. local_events: the events of each
    that are not passed on yet. crashes: how many may still crash. parent, move: the state before,
    and the step that led here.
    """

    shared: SharedState
    processes: tuple[ProcessSlot, ...]
    local_events: tuple[LocalEvents, ...]
    crashes: int
    monitor: MonitorState
    parent: "SearchState | None" = None
    move: Transition | None = None

    def key(self) -> StateKey:
        """Return a key that is equal for states with the same future."""
        return (id(self.shared), self.crashes, id(self.monitor), *map(id, self.processes))

    def schedule(self) -> list[str]:
        """Return the steps that led here first."""
        moves, state = list[str](), self
        while state.parent is not None:
            moves.append(str(state.move))
            state = state.parent
        return moves[::-1]


def replace_item(items: tuple[T, ...], number: int, item: T) -> tuple[T, ...]:
    """Return the tuple with one of its items replaced."""
    return (*items[:number], item, *items[number + 1 :])
