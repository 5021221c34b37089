"""One situation of a small world, and on which way it was reached."""

from dataclasses import dataclass
from typing import Final, TypeAlias, TypeVar

from tests.exhaustive.events_of_steps import Quiet, Step
from tests.exhaustive.path_so_far import Tale
from tests.exhaustive.programs import Answer, Program, Standing
from tests.exhaustive.small_world import Shared
from tests.simulation.worlds import START

T = TypeVar("T")

# Where a process stands that will do nothing more; how it came to that is told.
OVER: Final = Standing(None, Answer(None, failed=False, now=START))
Place: TypeAlias = Standing | None
Key: TypeAlias = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Move:
    """Who went on, from where, and what came of it; a process without a step is gone for good."""

    program: Program
    here: Place = None
    step: Step | None = None

    def __str__(self) -> str:
        if self.step is None or self.here is None or self.here.crossing is None:
            return f"{self.program.name} did nothing more: it is gone"
        answer, crossing = self.step.answer, self.here.crossing
        failed = f" ({answer.value})" if answer.failed else ""
        return f"{self.program.name} {crossing.service} {crossing.operation}{failed}"


@dataclass(eq=False, slots=True)
class Situation:
    """Where everything stands.

    places: where each process stands; None before its begin. quiet: of each, what is not told yet.
    crashes: how many may still be gone. before, move: on which way it was reached first.
    """

    shared: Shared
    places: tuple[Place, ...]
    quiet: tuple[Quiet, ...]
    crashes: int
    tale: Tale
    before: "Situation | None" = None
    move: Move | None = None

    def key(self) -> Key:
        """Return what is equal for situations from which the same can come."""
        return (id(self.shared), self.crashes, id(self.tale), *map(id, self.places))

    def schedule(self) -> list[str]:
        """Return who did what, on the way on which it was reached first."""
        moves, here = list[str](), self
        while here.before is not None:
            moves.append(str(here.move))
            here = here.before
        return moves[::-1]


def replaced(all_of_them: tuple[T, ...], number: int, one: T) -> tuple[T, ...]:
    """Return the tuple with one of its items replaced."""
    return (*all_of_them[:number], one, *all_of_them[number + 1 :])
