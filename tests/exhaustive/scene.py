"""A small world on its way to where a search begins, and what all searches from there share."""

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeAlias

from controller.engine.execute import FOLLOW
from controller.errors import StoreError
from controller.simulation.fakes.errors import lost, refusal
from tests.chaos.event_log import TIME
from tests.chaos.process import PEOPLE, STORE, Crossing, Proceed
from tests.exhaustive import actors
from tests.exhaustive.events_of_steps import began, ended, stepped, unexpected
from tests.exhaustive.path_so_far import Tale
from tests.exhaustive.programs import Answer, Program, Standing, answer_of
from tests.exhaustive.shared_changes import changes
from tests.exhaustive.small_world import SLOW, SmallWorld
from tests.exhaustive.steps import Steps
from tests.simulation.worlds import MINUTE


class What(StrEnum):
    """What a process may meet at one of its steps outside."""

    GONE_BEFORE = "gone before the call"
    GONE_AFTER = "gone after the call"
    LOST = "made, and the answer is lost"
    REFUSED = "throttled"


Trouble: TypeAlias = Callable[[int, Crossing], What | None]
"""What a process meets at its step of this number."""


def untroubled(_number: int, _crossing: Crossing) -> None:
    """Meet nothing."""


def at(operation: str, what: What) -> Trouble:
    """Return what meets a process at each `operation`."""
    return lambda _, crossing: what if crossing.operation == operation else None


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
            self.processes[name] = actors.tick(self.world, name)
        return self.processes[name]

    def play(self, program: Program, trouble: Trouble = untroubled) -> None:
        """Run `program` to its end, in `trouble`."""
        here = program.begun(self.world.clock.now(), _leave)
        told, number = began(program, self.world.clock.now()), 0
        while here.crossing is not None and here.proceed is not None:
            what = trouble(number, here.crossing)
            if what is What.GONE_BEFORE:
                break
            before = self.world.keep()
            answer = self._answer(here.crossing, here.proceed, what)
            after = self.world.keep()
            step = stepped(self.world, program, here.crossing, before, after, answer)
            told += [*step.seen, *step.quiet]
            here, number = program.went_on(here, answer, _leave), number + 1
            if what is What.GONE_AFTER:
                break
        assert not unexpected(here), here.outcome
        told += ended(program, self.world.clock.now(), (), here if here.over else None)
        self.tale = self.tale.and_then(told)
        assert not self.tale.wrong, self.tale.wrong

    def _answer(self, crossing: Crossing, proceed: Proceed, what: What | None) -> Answer:
        if what is What.REFUSED:
            error = refusal(crossing.operation, "TooManyRequestsException", "Rate exceeded")
            return Answer(error, failed=True, now=self.world.clock.now())
        answer = answer_of(proceed, self.world.clock.now)
        if what is What.LOST:
            return Answer(_lost(crossing), failed=True, now=answer.now)
        return answer

    def start(self, *, adopt: bool = False) -> None:
        """Start the policy."""
        self.play(actors.starting(self.world, adopt=adopt))

    def tick(self, after: float = 2, trouble: Trouble = untroubled) -> None:
        """Tick once, so many minutes later."""
        self.passes(after)
        self.ticked += 1
        self.play(actors.tick(self.world, f"tick-{self.ticked}"), trouble)

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


def _lost(crossing: Crossing) -> Exception:
    """Return what a process meets when the answer to its step does not come."""
    if crossing.service == STORE:
        return StoreError("the store does not answer")
    return OSError("nobody answers") if crossing.service == PEOPLE else lost(crossing.service)


def _leave(here: Standing) -> None:
    """Go on with no process by itself."""
