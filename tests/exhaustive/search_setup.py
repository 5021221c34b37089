"""A small world on its way to where a search begins, and what all searches from there share."""

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeAlias

from controller.engine.execute import APPLY_WAIT
from controller.errors import StoreError
from controller.simulation.fakes.errors import client_error, read_timeout
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
from tests.simulation.worlds import MINUTE


class StepFault(StrEnum):
    """What a process may meet at one of its steps outside."""

    CRASH_BEFORE = "gone before the call"
    CRASH_AFTER = "gone after the call"
    RESPONSE_LOST = "made, and the answer is lost"
    THROTTLED = "throttled"


FaultSchedule: TypeAlias = Callable[[int, ExternalCall], StepFault | None]
"""What a process meets at its step of this number."""


def no_faults(_number: int, _crossing: ExternalCall) -> None:
    """Meet nothing."""


def fault_at(operation: str, fault: StepFault) -> FaultSchedule:
    """Return what meets a process at each `operation`."""
    return lambda _, crossing: fault if crossing.operation == operation else None


@dataclass(slots=True)
class SearchSetup:
    """A world, what has happened in it so far, and everything that was found out about it.

    processes: those that searches have asked for, by name; so what one search has learnt of them
    the next one knows.
    """

    world: SmallWorld
    monitor: MonitorState
    steps: StepCache = field(init=False)
    processes: dict[str, ReplayableProcess] = field(default_factory=dict)
    tick_count: int = 0

    def __post_init__(self) -> None:
        self.steps = StepCache(self.world)

    def tick_program(self, name: str) -> ReplayableProcess:
        """Return the tick of this name."""
        if name not in self.processes:
            self.processes[name] = actors.tick(self.world, name)
        return self.processes[name]

    def run_process(self, program: ReplayableProcess, faults: FaultSchedule = no_faults) -> None:
        """Run `program` to its end, in `faults`."""
        here = program.initial_state(self.world.clock.now(), _stop)
        told, number = start_events(program, self.world.clock.now()), 0
        while here.call is not None and here.proceed is not None:
            what = faults(number, here.call)
            if what is StepFault.CRASH_BEFORE:
                break
            before = self.world.snapshot()
            answer = self._answer(here.call, here.proceed, what)
            after = self.world.snapshot()
            step = observe_step(self.world, program, here.call, before, after, answer)
            told += [*step.visible, *step.local]
            here, number = program.next_state(here, answer, _stop), number + 1
            if what is StepFault.CRASH_AFTER:
                break
        assert not unexpected_outcome(here), here.outcome
        told += end_events(program, self.world.clock.now(), (), here if here.is_over else None)
        self.monitor = self.monitor.extend(told)
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
        """Tick once, so many minutes later."""
        self.advance_time(after)
        self.tick_count += 1
        self.run_process(actors.tick(self.world, f"tick-{self.tick_count}"), faults)

    def with_slow_update(self, act: Callable[[], None]) -> None:
        """Do what begins an update that nobody sees the end of; two seconds of it are left."""
        usual, self.world.cloud.takes = self.world.cloud.takes, APPLY_WAIT + SLOW_UPDATE
        act()
        self.world.cloud.takes = usual

    def advance_time(self, minutes: float) -> None:
        """Let time pass."""
        before = self.world.snapshot()
        self.world.clock.advance(minutes * MINUTE)
        after, target = self.world.snapshot(), self.world.policy.target
        self.monitor = self.monitor.extend([*change_events(before, after, TIME, "passes", target)])


def _lost_answer_error(call: ExternalCall) -> Exception:
    """Return what a process meets when the answer to its step does not come."""
    if call.service == STORE:
        return StoreError("the store does not answer")
    return OSError("nobody answers") if call.service == NOTIFIER else read_timeout(call.service)


def _stop(state: ProcessState) -> None:
    """Go on with no process by itself."""
