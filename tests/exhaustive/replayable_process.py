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
from tests.chaos.process import CrashedError, ExternalCall, Proceed, Process

Body: TypeAlias = Callable[[Process, Clock], object]
"""What a process does, with its hands and by its clock; returns how it ended."""


@dataclass(frozen=True, slots=True)
class CallResult:
    """What became of a step outside, and what the clock said then."""

    value: Any
    failed: bool
    now: datetime

    def key(self) -> str:
        """Return all of it as text: equal texts are equal answers."""
        return f"{self.now.isoformat()} {'!' if self.failed else ''}{_value_key(self.value)}"

    def unwrap(self) -> Any:
        """Return the value, or raise it."""
        if self.failed:
            raise self.value
        return self.value


def run_call(proceed: Proceed, clock: Callable[[], datetime]) -> CallResult:
    """Take one step outside, and return what became of it."""
    try:
        value = proceed()
    except Exception as error:  # noqa: BLE001 - the process is to see it, and not the search
        return CallResult(error.with_traceback(None), failed=True, now=clock())
    return CallResult(value, failed=False, now=clock())


@dataclass(eq=False, slots=True)
class ProcessState:
    """Where a process stands after the answers that led here; there is one for each such list.

    call, proceed: its next step outside; None once it is over, with `outcome`.
    """

    parent: "ProcessState | None"
    answer: CallResult
    call: ExternalCall | None = None
    proceed: Proceed | None = None
    outcome: object = None
    children: dict[str, "ProcessState"] = field(default_factory=dict)

    @property
    def is_over(self) -> bool:
        """True when the process has ended by itself."""
        return self.call is None

    def successor(self, answer: CallResult) -> "tuple[ProcessState, bool]":
        """Return where the process stands after `answer`, and whether that is new."""
        words = answer.key()
        new = words not in self.children
        if new:
            self.children[words] = ProcessState(self, answer)
        return self.children[words], new

    def answers(self) -> list[CallResult]:
        """Return what it got, from its begin on."""
        found, here = list[CallResult](), self
        while here.parent is not None:
            found.append(here.answer)
            here = here.parent
        return [here.answer, *reversed(found)]


Continuation: TypeAlias = Callable[[ProcessState], CallResult | None]
"""Takes the next step of a process where nobody comes in between; None: leave it there."""


class ReplayableProcess:
    """One process of a world.

    name: who it is, in schedules; those of one kind, `tick 1` and `tick 2`, do the same.
    clock: by which time passes for all. verb: what a person asks by it, if anything.
    """

    def __init__(self, name: str, body: Body, clock: Clock, verb: str = "") -> None:
        self.name, self.verb, self.kind = name, verb, name.partition(" ")[0]
        self._body, self._clock = body, clock
        self._initial_states: dict[datetime, ProcessState] = {}

    def initial_state(self, now: datetime, continuation: Continuation) -> ProcessState:
        """Return where it stands before its first step when it is started at `now`."""
        if now not in self._initial_states:
            self._initial_states[now] = ProcessState(None, CallResult(None, failed=False, now=now))
            self._run(self._initial_states[now], continuation)
        return self._initial_states[now]

    def next_state(
        self, state: ProcessState, answer: CallResult, continuation: Continuation
    ) -> ProcessState:
        """Return where it stands after it got `answer` to its next step."""
        there, new = state.successor(answer)
        if new:
            self._run(there, continuation)
        return there

    def _run(self, state: ProcessState, continuation: Continuation) -> None:
        again = _Replay(state, self._clock, continuation)
        process = Process(self.name, again.interceptor)
        try:
            again.state.outcome = self._body(process, process.clock(again))
        except CrashedError:
            return
        except Exception as error:  # noqa: BLE001 - what a process ends with is for the invariants
            again.state.outcome = error


class _Replay:
    """Gives a process the answers that it had got, then those that come; and is its clock."""

    def __init__(self, state: ProcessState, clock: Clock, continuation: Continuation) -> None:
        first, *answers = state.answers()
        self._clock, self._now, self._continuation = clock, first.now, continuation
        self._remaining = iter(answers)
        self.state = state

    def interceptor(self, call: ExternalCall, proceed: Proceed) -> Any:
        answer = next(self._remaining, None)
        if answer is None:
            answer = self._new(call, proceed)
        self._now = answer.now
        return answer.unwrap()

    def _new(self, call: ExternalCall, proceed: Proceed) -> CallResult:
        self.state.call, self.state.proceed = call, proceed
        answer = self._continuation(self.state)
        if answer is None:
            raise CrashedError
        self.state, new = self.state.successor(answer)
        if not new:
            raise CrashedError
        return answer

    def now(self) -> datetime:
        return self._now

    def sleep(self, length: timedelta) -> None:
        self._clock.sleep(length)


def _value_key(value: Any) -> str:
    match value:
        case Rollout():
            return codec.dump(value)
        case Exception():
            return f"{type(value).__name__} {value}"
        case (Rollout(), notice):
            return repr(notice)
        case _:
            return repr(value)
