"""A process as a function of the answers that it got: run anew from its start, as often as wanted.

No process is kept half-way. To learn what it does next it is run from its start, gets the answers
that it had got, at the times that it was then, and goes on from there for as long as nobody comes
in between; each step of that is one that the search would ask for anyway. Answers are compared by
what they say, so ways on which it got the same ones are one.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, TypeAlias

from controller.core import codec
from controller.core.rollout import Rollout
from controller.ports.clock import Clock
from tests.chaos.process import CrashedError, Crossing, Proceed, Process

Body: TypeAlias = Callable[[Process, Clock], object]
"""What a process does, with its hands and by its clock; returns how it ended."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of a step outside, and what the clock said then."""

    value: Any
    failed: bool
    now: datetime

    def words(self) -> str:
        """Return all of it as text: equal texts are equal answers."""
        return f"{self.now.isoformat()} {'!' if self.failed else ''}{_words(self.value)}"

    def give(self) -> Any:
        """Return the value, or raise it."""
        if self.failed:
            raise self.value
        return self.value


def answer_of(proceed: Proceed, clock: Callable[[], datetime]) -> Answer:
    """Take one step outside, and return what became of it."""
    try:
        value = proceed()
    except Exception as error:  # noqa: BLE001 - the process is to see it, and not the search
        return Answer(error.with_traceback(None), failed=True, now=clock())
    return Answer(value, failed=False, now=clock())


@dataclass(eq=False, slots=True)
class Standing:
    """Where a process stands after the answers that led here; there is one for each such list.

    crossing, proceed: its next step outside; None once it is over, with `outcome`.
    """

    before: "Standing | None"
    answer: Answer
    crossing: Crossing | None = None
    proceed: Proceed | None = None
    outcome: object = None
    after: dict[str, "Standing"] = field(default_factory=dict)

    @property
    def over(self) -> bool:
        """True when the process has ended by itself."""
        return self.crossing is None

    def following(self, answer: Answer) -> "tuple[Standing, bool]":
        """Return where the process stands after `answer`, and whether that is new."""
        words = answer.words()
        new = words not in self.after
        if new:
            self.after[words] = Standing(self, answer)
        return self.after[words], new

    def answers(self) -> list[Answer]:
        """Return what it got, from its begin on."""
        found, here = list[Answer](), self
        while here.before is not None:
            found.append(here.answer)
            here = here.before
        return [here.answer, *reversed(found)]


Onward: TypeAlias = Callable[[Standing], Answer | None]
"""Takes the next step of a process where nobody comes in between; None: leave it there."""


class Program:
    """One process of a world.

    name: who it is, in schedules; those of one kind, `tick 1` and `tick 2`, do the same.
    clock: by which time passes for all. verb: what a person asks by it, if anything.
    """

    def __init__(self, name: str, body: Body, clock: Clock, verb: str = "") -> None:
        self.name, self.verb, self.kind = name, verb, name.partition(" ")[0]
        self._body, self._clock = body, clock
        self._begins: dict[datetime, Standing] = {}

    def begun(self, now: datetime, onward: Onward) -> Standing:
        """Return where it stands before its first step when it is started at `now`."""
        if now not in self._begins:
            self._begins[now] = Standing(None, Answer(None, failed=False, now=now))
            self._run(self._begins[now], onward)
        return self._begins[now]

    def went_on(self, here: Standing, answer: Answer, onward: Onward) -> Standing:
        """Return where it stands after it got `answer` to its next step."""
        there, new = here.following(answer)
        if new:
            self._run(there, onward)
        return there

    def _run(self, standing: Standing, onward: Onward) -> None:
        again = _Again(standing, self._clock, onward)
        process = Process(self.name, again.fate)
        try:
            again.here.outcome = self._body(process, process.clock(again))
        except CrashedError:
            return
        except Exception as error:  # noqa: BLE001 - what a process ends with is for the invariants
            again.here.outcome = error


class _Again:
    """Gives a process the answers that it had got, then those that come; and is its clock."""

    def __init__(self, standing: Standing, clock: Clock, onward: Onward) -> None:
        first, *answers = standing.answers()
        self._clock, self._now, self._onward = clock, first.now, onward
        self._left = iter(answers)
        self.here = standing

    def fate(self, crossing: Crossing, proceed: Proceed) -> Any:
        answer = next(self._left, None)
        if answer is None:
            answer = self._new(crossing, proceed)
        self._now = answer.now
        return answer.give()

    def _new(self, crossing: Crossing, proceed: Proceed) -> Answer:
        self.here.crossing, self.here.proceed = crossing, proceed
        answer = self._onward(self.here)
        if answer is None:
            raise CrashedError
        self.here, new = self.here.following(answer)
        if not new:
            raise CrashedError
        return answer

    def now(self) -> datetime:
        return self._now

    def sleep(self, length: timedelta) -> None:
        self._clock.sleep(length)


def _words(value: Any) -> str:
    match value:
        case Rollout():
            return codec.dump(value)
        case Exception():
            return f"{type(value).__name__} {value}"
        case (Rollout(), notice):
            return repr(notice)
        case _:
            return repr(value)
