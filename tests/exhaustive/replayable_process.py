"""A process as a function of the answers that it got: it is replayed from its start.

No process is suspended. To find its next call it is run from its start with the answers that it got
before, at the times of then, and continues from there for as long as no other process runs; the
search would need each of those calls anyway. Answers are compared by content, so schedules with
equal answers share one state.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, TypeAlias

from controller.immutable import Immutable
from controller.ports.clock import Clock
from tests.chaos.process import CrashedError, ExternalCall, Proceed, Process
from tests.support.core import Rollout, codec

Body: TypeAlias = Callable[[Process, Clock], object]
"""The program of a process; it gets its process and its clock, and returns its outcome."""


class CallResult(Immutable):
    """The result of an external call, and the time after it."""

    value: Any
    failed: bool
    now: datetime

    def key(self) -> str:
        """Return the answer as text: equal texts are equal answers."""
        return f"{self.now.isoformat()} {'!' if self.failed else ''}{_value_key(self.value)}"

    def unwrap(self) -> Any:
        """Return the value, or raise it."""
        if self.failed:
            raise self.value
        return self.value


def run_call(proceed: Proceed, clock: Callable[[], datetime]) -> CallResult:
    """Make one external call, and return its result."""
    try:
        value = proceed()
    except Exception as error:  # noqa: BLE001 - the error is for the process, not for the search
        return CallResult(error.with_traceback(None), failed=True, now=clock())
    return CallResult(value, failed=False, now=clock())


@dataclass(eq=False, slots=True)
class ProcessState:
    """The state of a process after a list of answers; each list has one state.

    parent, answer: the state before, and the answer that led here. call, proceed: its next external
    call; None once it is over, with `outcome`. children: the states that follow, by answer.
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
        """Return the state after `answer`, and whether it is new."""
        key = answer.key()
        new = key not in self.children
        if new:
            self.children[key] = ProcessState(self, answer)
        return self.children[key], new

    def answers(self) -> list[CallResult]:
        """Return all answers since its start."""
        collected, here = list[CallResult](), self
        while here.parent is not None:
            collected.append(here.answer)
            here = here.parent
        return [here.answer, *reversed(collected)]


Continuation: TypeAlias = Callable[[ProcessState], CallResult | None]
"""Makes the next call of a process while no other one runs; None: stop there."""


class ReplayableProcess:
    """One process of a world.

    name: its name in schedules; processes of one kind, `tick 1` and `tick 2`, do the same.
    clock: the clock of the world. verb: the operator command that it runs, if any.
    """

    def __init__(self, name: str, body: Body, clock: Clock, verb: str = "") -> None:
        self.name, self.verb, self.kind = name, verb, name.partition(" ")[0]
        self._body, self._clock = body, clock
        self._initial_states: dict[datetime, ProcessState] = {}

    def initial_state(self, now: datetime, continuation: Continuation) -> ProcessState:
        """Return its state before its first call when it is started at `now`."""
        if now not in self._initial_states:
            self._initial_states[now] = ProcessState(None, CallResult(None, failed=False, now=now))
            self._run(self._initial_states[now], continuation)
        return self._initial_states[now]

    def next_state(
        self, state: ProcessState, answer: CallResult, continuation: Continuation
    ) -> ProcessState:
        """Return its state after `answer` to its next call."""
        following, new = state.successor(answer)
        if new:
            self._run(following, continuation)
        return following

    def _run(self, state: ProcessState, continuation: Continuation) -> None:
        run = _Replay(state, self._clock, continuation)
        process = Process(self.name, run.interceptor)
        try:
            run.state.outcome = self._body(process, process.clock(run))
        except CrashedError:
            return
        except Exception as error:  # noqa: BLE001 - the invariants check how a process ends
            run.state.outcome = error


class _Replay:
    """Replays the answers of a state to a process, then passes new calls on; and is its clock."""

    def __init__(self, state: ProcessState, clock: Clock, continuation: Continuation) -> None:
        first, *answers = state.answers()
        self._clock, self._now, self._continuation = clock, first.now, continuation
        self._remaining = iter(answers)
        self.state = state

    def interceptor(self, call: ExternalCall, proceed: Proceed) -> Any:
        answer = next(self._remaining, None)
        if answer is None:
            answer = self._new_answer(call, proceed)
        self._now = answer.now
        return answer.unwrap()

    def _new_answer(self, call: ExternalCall, proceed: Proceed) -> CallResult:
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
