"""A small world that is brought to the start state of a search, and the caches of its searches."""

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeAlias

from controller.engine.time_limits import APPLY_WAIT
from controller.tools.simulation.fakes.errors import client_error, read_timeout
from tests.chaos.event_log import TIME
from tests.chaos.process import NOTIFIER, STORE, ExternalCall, Proceed
from tests.exhaustive import actors
from tests.exhaustive.monitor_state import MonitorState
from tests.exhaustive.replayable_process import (
    CallResult,
    ProcessState,
    ReplayableProcess,
    run_call,
)
from tests.exhaustive.small_world import SLOW_UPDATE, SmallWorld
from tests.exhaustive.state_changes import change_events
from tests.exhaustive.step_cache import StepCache
from tests.exhaustive.step_events import end_events, observe_step, start_events, unexpected_outcome
from tests.support.core import StoreError
from tests.support.rollouts import lambda_env
from tests.tools.simulation.worlds import MINUTE


class StepFault(StrEnum):
    """A fault of a process at one of its external calls."""

    CRASH_BEFORE = "gone before the call"
    CRASH_AFTER = "gone after the call"
    RESPONSE_LOST = "made, and the answer is lost"
    THROTTLED = "throttled"


FaultSchedule: TypeAlias = Callable[[int, ExternalCall], StepFault | None]
"""Returns the fault of a process at its call of this number; None: no fault."""


def no_faults(_number: int, _call: ExternalCall) -> None:
    """Inject no fault."""


def fault_at(operation: str, fault: StepFault) -> FaultSchedule:
    """Return a schedule that injects `fault` at each `operation`."""
    return lambda _, call: fault if call.operation == operation else None


@dataclass(slots=True)
class SearchSetup:
    """A world, the state of its invariants, and caches that its searches share.

    processes: the ticks that searches use, by name, with the states that are known of them.
    tick_count: the number of ticks so far.
    """

    world: SmallWorld
    monitor: MonitorState
    steps: StepCache = field(init=False)
    processes: dict[str, ReplayableProcess] = field(default_factory=dict)
    tick_count: int = 0

    def __post_init__(self) -> None:
        self.steps = StepCache(self.world)

    def tick_program(self, name: str) -> ReplayableProcess:
        """Return the tick of this name; there is one for each name."""
        if name not in self.processes:
            self.processes[name] = actors.tick(self.world, name)
        return self.processes[name]

    def run_process(self, program: ReplayableProcess, faults: FaultSchedule = no_faults) -> None:
        """Run `program` to its end, with `faults` injected."""
        state = program.initial_state(self.world.clock.now(), _stop)
        events, number = start_events(program, self.world.clock.now()), 0
        while state.call is not None and state.proceed is not None:
            fault = faults(number, state.call)
            if fault is StepFault.CRASH_BEFORE:
                break
            before = self.world.snapshot()
            answer = self._answer(state.call, state.proceed, fault)
            after = self.world.snapshot()
            step = observe_step(self.world, program, state.call, before, after, answer)
            events += [*step.visible, *step.local]
            state, number = program.next_state(state, answer, _stop), number + 1
            if fault is StepFault.CRASH_AFTER:
                break
        assert not unexpected_outcome(state), state.outcome
        events += end_events(program, self.world.clock.now(), (), state if state.is_over else None)
        self.monitor = self.monitor.extend(events)
        assert not self.monitor.violations, self.monitor.violations

    def _answer(self, call: ExternalCall, proceed: Proceed, fault: StepFault | None) -> CallResult:
        if fault is StepFault.THROTTLED:
            error = client_error(call.operation, "TooManyRequestsException", "Rate exceeded")
            return CallResult(error, failed=True, now=self.world.clock.now())
        answer = run_call(proceed, self.world.clock.now)
        if fault is StepFault.RESPONSE_LOST:
            return CallResult(_lost_answer_error(call), failed=True, now=answer.now)
        return answer

    def start(self, *, adopt: bool = False) -> None:
        """Start the policy."""
        self.run_process(actors.policy_start(self.world, adopt=adopt))

    def tick(self, after: float = 2, faults: FaultSchedule = no_faults) -> None:
        """Tick once, `after` minutes later."""
        self.advance_time(after)
        self.tick_count += 1
        self.run_process(actors.tick(self.world, f"tick-{self.tick_count}"), faults)

    def with_slow_update(self, act: Callable[[], None]) -> None:
        """Run `act`, whose update outlasts the wait of rolloutctl by two seconds."""
        normal_duration, self.world.cloud.takes = self.world.cloud.takes, APPLY_WAIT + SLOW_UPDATE
        act()
        self.world.cloud.takes = normal_duration

    def advance_time(self, minutes: float) -> None:
        """Let time pass."""
        before = self.world.snapshot()
        self.world.clock.advance(minutes * MINUTE)
        after, target = self.world.snapshot(), lambda_env(self.world.policy)
        self.monitor = self.monitor.extend([*change_events(before, after, TIME, "passes", target)])


def _lost_answer_error(call: ExternalCall) -> Exception:
    """Return the error of a call whose answer is lost."""
    if call.service == STORE:
        return StoreError("the store does not answer")
    return OSError("nobody answers") if call.service == NOTIFIER else read_timeout(call.service)


def _stop(state: ProcessState) -> None:
    """Stop every process at its next call."""
