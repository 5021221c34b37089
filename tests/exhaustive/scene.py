"""A small world on its way to where a search begins, and what all searches from there share."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from controller.carrying import FOLLOW
from controller.simulation.chaos.truth import TIME
from controller.simulation.refusals import refusal
from tests.exhaustive import cast
from tests.exhaustive.looking_on import changes
from tests.exhaustive.programs import Answer, Program, Standing, answer_of
from tests.exhaustive.small_world import SLOW, SmallWorld
from tests.exhaustive.steps import Steps
from tests.exhaustive.tale import Tale
from tests.exhaustive.telling import began, ended, stepped
from tests.simulation.worlds import MINUTE


@dataclass(slots=True)
class Scene:
    """A world, what has happened in it so far, and everything that was found out about it.

    processes: those that searches have asked for, by name; so what one search has learnt of them
    the next one knows.
    """

    world: SmallWorld
    tale: Tale
    steps: Steps = field(init=False)
    processes: dict[str, Program] = field(default_factory=dict)
    ticked: int = 0

    def __post_init__(self) -> None:
        self.steps = Steps(self.world)

    def tick_called(self, name: str) -> Program:
        """Return the tick of this name."""
        if name not in self.processes:
            self.processes[name] = cast.tick(self.world, name)
        return self.processes[name]

    def play(
        self, program: Program, *, refused: str = "", gone: tuple[str, str] = ("", "")
    ) -> None:
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
            step = stepped(self.world, program, crossing, before, self.world.keep(), answer)
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
        self.ticked += 1
        self.play(cast.tick(self.world, f"tick-{self.ticked}"), **how)

    def slowly(self, act: Callable[[], None]) -> None:
        """Do what begins an update that nobody sees the end of; two seconds of it are left."""
        usual, self.world.cloud.takes = self.world.cloud.takes, FOLLOW + SLOW
        act()
        self.world.cloud.takes = usual

    def passes(self, minutes: float) -> None:
        """Let time pass."""
        before = self.world.keep()
        self.world.clock.advance(minutes * MINUTE)
        after, target = self.world.keep(), self.world.policy.target
        self.tale = self.tale.and_then([*changes(before, after, TIME, "passes", target)])


def _leave(here: Standing) -> None:
    """Go on with no process by itself."""
