"""A cache of the steps of processes in each shared state."""

from collections.abc import Sequence
from datetime import timedelta
from functools import partial
from typing import Final

from tests.chaos.event_log import TIME
from tests.exhaustive.monitor_state import KeyedEvent
from tests.exhaustive.replayable_process import (
    CallResult,
    Continuation,
    ProcessState,
    ReplayableProcess,
    run_call,
)
from tests.exhaustive.small_world import SharedState, SmallWorld
from tests.exhaustive.state_changes import change_events
from tests.exhaustive.step_events import Step, end_events, observe_step, start_events
from tests.support.rollouts import lambda_env

SETTLING_INTERVAL: Final = timedelta(minutes=2)


class StepCache:
    """The steps that processes take in `world`."""

    def __init__(self, world: SmallWorld) -> None:
        self._world = world
        self._steps: dict[tuple[ProcessState, SharedState], Step] = {}
        self._transitions: dict[tuple[ProcessState, SharedState], tuple[Step, ProcessState]] = {}
        self._without: dict[tuple[str, SharedState], SharedState] = {}
        self._settled_states: dict[
            tuple[str, SharedState], tuple[SharedState, Sequence[KeyedEvent]]
        ] = {}

    def initial_state(self, program: ReplayableProcess, shared: SharedState) -> ProcessState:
        """Return the state of a process that starts in `shared`."""
        return program.initial_state(shared.now, self._continuation(program, shared))

    def next(
        self, program: ReplayableProcess, state: ProcessState, shared: SharedState
    ) -> tuple[Step, ProcessState]:
        """Return the next step of a process, and its state after it."""
        key = state, shared
        if key not in self._transitions:
            step = self._step(program, state, shared)
            following = program.next_state(
                state, step.answer, self._continuation(program, step.after)
            )
            self._transitions[key] = step, following
        return self._transitions[key]

    def without(self, program: ReplayableProcess, shared: SharedState) -> SharedState:
        """Return the shared state once a process has ended."""
        key = program.name, shared
        if key not in self._without:
            self._without[key] = self._world.without(shared, program.name)
        return self._without[key]

    def settle(
        self, tick: ReplayableProcess, shared: SharedState
    ) -> tuple[SharedState, Sequence[KeyedEvent]]:
        """Return the shared state after an undisturbed `tick` some time later, and its events."""
        key = tick.name, shared
        if key not in self._settled_states:
            self._world.restore(shared)
            self._world.clock.advance(SETTLING_INTERVAL)
            later = self._world.snapshot()
            events = [*change_events(shared, later, TIME, "passes", lambda_env(self._world.policy))]
            after, tick_events = self._run_alone(tick, later)
            self._settled_states[key] = after, [*events, *tick_events]
        return self._settled_states[key]

    def _run_alone(
        self, program: ReplayableProcess, shared: SharedState
    ) -> tuple[SharedState, Sequence[KeyedEvent]]:
        events = start_events(program, shared.now)
        current = self.initial_state(program, shared)
        while not current.is_over:
            step, current = self.next(program, current, shared)
            shared = step.after
            events += [*step.visible, *step.local]
        return shared, [*events, *end_events(program, shared.now, (), current)]

    def _step(self, program: ReplayableProcess, state: ProcessState, shared: SharedState) -> Step:
        """Return the next step of a process in the shared state `shared`."""
        key = state, shared
        if key not in self._steps:
            assert state.proceed is not None
            assert state.call is not None
            take = partial(run_call, state.proceed, self._world.clock.now)
            answer, after = self._world.run_from(shared, state.call.service, take)
            self._steps[key] = observe_step(self._world, program, state.call, shared, after, answer)
        return self._steps[key]

    def _continuation(self, program: ReplayableProcess, shared: SharedState) -> Continuation:
        """Return what continues a process undisturbed from the shared state `shared`."""

        def make_next_call(current: ProcessState) -> CallResult:
            nonlocal shared
            step = self._step(program, current, shared)
            shared = step.after
            return step.answer

        return make_next_call
