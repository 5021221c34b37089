"""The stored states from which small worlds begin, each led to by the program itself."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

from controller.carrying import FOLLOW
from controller.core.asked import Ask, Verb
from controller.simulation.chaos.invariants import Invariants
from controller.simulation.refusals import refusal
from tests.exhaustive import cast
from controller.simulation.chaos.truth import TIME
from tests.exhaustive.looking_on import changes
from tests.exhaustive.programs import Answer, Program, Standing, answer_of
from tests.exhaustive.small_world import Canary, SmallWorld
from tests.exhaustive.tale import Tale
from tests.exhaustive.telling import began, ended, stepped
from tests.simulation.worlds import MINUTE
from tests.stage import short

UPDATE: Final = "UpdateFunctionConfiguration"
SLOW: Final = timedelta(seconds=2)


@dataclass(slots=True)
class Scene:
    """A world and what has happened in it so far."""

    world: SmallWorld
    tale: Tale
    number: int = 0

    def play(self, program: Program, *, refused: str = "", gone: tuple[str, str] = ("", "")) -> None:
        """Run `program` to its end.

        refused: the operation that is throttled. gone: `before` or `after`, and the operation where
        the process is gone.
        """
        here = program.begun(self.world.clock.now(), _leave)
        told = began(program, self.world.clock.now())
        while here.crossing is not None and here.proceed is not None:
            crossing = here.crossing
            if gone == ("before", crossing.operation):
                break
            before = self.world.keep()
            if crossing.operation == refused:
                answer = self._throttled(crossing.operation)
            else:
                answer = answer_of(here.proceed, self.world.clock.now)
            step = stepped(self.world, program, crossing, before, answer)
            told += [*step.seen, *step.quiet]
            here = program.went_on(here, answer, _leave)
            if gone == ("after", crossing.operation):
                break
        assert not isinstance(here.outcome, Exception), here.outcome
        told += ended(program, self.world.clock.now(), (), here if here.over else None)
        self.tale = self.tale.and_then(told)
        assert not self.tale.wrong, self.tale.wrong

    def _throttled(self, operation: str) -> Answer:
        error = refusal(operation, "TooManyRequestsException", "Rate exceeded")
        return Answer(error, failed=True, now=self.world.clock.now())

    def start(self, *, adopt: bool = False) -> None:
        """Start the policy."""
        self.play(cast.starting(self.world, adopt=adopt))

    def tick(self, after: float = 2, **how: Any) -> None:
        """Tick once, so many minutes later."""
        self.passes(after)
        self.number += 1
        self.play(cast.tick(self.world, f"tick-{self.number}"), **how)

    def slowly(self, act: Callable[[], None]) -> None:
        """Do what begins an update that nobody sees the end of; two seconds of it are left."""
        usual, self.world.takes = self.world.takes, FOLLOW + SLOW
        act()
        self.world.takes = usual

    def passes(self, minutes: float) -> None:
        """Let time pass."""
        before = self.world.keep()
        self.world.clock.advance(minutes * MINUTE)
        after, target = self.world.keep(), self.world.policy.target
        self.tale = self.tale.and_then([*changes(before, after, TIME, "passes", target)])


def _leave(here: Standing) -> None:
    """Go on with no process by itself."""


def _started(scene: Scene) -> None:
    scene.start()
    scene.passes(1)


def _start_unwritten(scene: Scene) -> None:
    scene.play(cast.starting(scene.world), gone=("before", UPDATE))
    scene.passes(3)


def _start_in_flight(scene: Scene) -> None:
    scene.slowly(scene.start)


def _pass_due(scene: Scene) -> None:
    scene.start()
    scene.passes(5)


def _raise_unwritten(scene: Scene) -> None:
    _pass_due(scene)
    scene.tick(0, gone=("before", UPDATE))
    scene.passes(3)


def _raise_in_flight(scene: Scene) -> None:
    _pass_due(scene)
    scene.slowly(lambda: scene.tick(0))


def _last_pass_due(scene: Scene) -> None:
    _pass_due(scene)
    scene.tick(0)
    scene.passes(5)


def _hold_over(scene: Scene) -> None:
    scene.start()
    scene.tick(4)
    scene.passes(6)


def _paused(scene: Scene) -> None:
    _pass_due(scene)
    scene.play(cast.asking(scene.world, Ask(Verb.PAUSE, "wait")))


def _lowered_unrecorded(scene: Scene) -> None:
    _pass_due(scene)
    scene.tick(0, gone=("after", UPDATE))
    scene.passes(3)


def _rolling_back(scene: Scene) -> None:
    _pass_due(scene)
    scene.tick(0, refused=UPDATE)


def _rolled_back(scene: Scene) -> None:
    _pass_due(scene)
    scene.tick(0)
    scene.passes(1)


def _adopted(scene: Scene) -> None:
    scene.play(cast.sets(scene.world, 100))
    scene.passes(1)
    scene.start(adopt=True)
    scene.passes(1)


@dataclass(frozen=True, slots=True)
class Start:
    """A stored state, how the canary does in its world, and what leads to it."""

    canary: Canary
    lead: Callable[[Scene], None]


STARTS: Final[Mapping[str, Start]] = {
    "just started": Start("healthy", _started),
    "the first raise saved, not written": Start("healthy", _start_unwritten),
    "the first raise in flight": Start("healthy", _start_in_flight),
    "a pass due": Start("healthy", _pass_due),
    "a raise saved, not written": Start("healthy", _raise_unwritten),
    "a raise in flight": Start("healthy", _raise_in_flight),
    "the last pass due": Start("healthy", _last_pass_due),
    "adopted": Start("healthy", _adopted),
    "paused": Start("healthy", _paused),
    "the hold over": Start("silent", _hold_over),
    "a fail due": Start("sick", _pass_due),
    "a fail due in a pause": Start("sick", _paused),
    "lowered, not recorded": Start("sick", _lowered_unrecorded),
    "rolling back": Start("sick", _rolling_back),
    "rolled back": Start("sick", _rolled_back),
}


@contextmanager
def scene(folder: Path, name: str, *, slow: bool = False) -> Iterator[Scene]:
    """Yield a world that stands where `name` says. slow: its updates take two seconds."""
    begin = STARTS[name]
    world = SmallWorld(folder, short(), begin.canary, SLOW if slow else None)
    try:
        made = Scene(world, Tale(Invariants(world.policy)))
        begin.lead(made)
        yield made
    finally:
        world.close()
