"""Explores every schedule of the processes of a small world.

Breadth first, so a violation is found on a shortest schedule. Only one process runs at a time, from
one external call to the next. Two schedules are merged when they have led to the same state: equal
shared state, equal answers of each process, and equal state of the invariants.

A process crashes when it is not continued, so it can crash before each of its calls; a call whose
answer is lost in a crash is the one before that. Its end is an event when all others are done, as
none could observe it earlier.
"""

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from tests.exhaustive.replayable_process import ReplayableProcess
from tests.exhaustive.search_setup import SearchSetup
from tests.exhaustive.search_state import (
    PROCESS_OVER,
    SearchState,
    StateKey,
    Transition,
    replace_item,
)
from tests.exhaustive.small_world import SharedState
from tests.exhaustive.state_changes import stored_rollouts
from tests.exhaustive.step_events import end_events, start_events, unexpected_outcome
from tests.support.core import Phase, Rollout

MAX_STATES: Final = 100_000
MAX_SETTLING_TICKS: Final = 40


@dataclass(slots=True)
class SearchResult:
    """The result of a search.

    states: the number of different states. steps: the number of transitions. schedules: the number
    of paths to an end. end_states: the different ones. violations: each with its schedule.
    """

    states: int = 0
    steps: int = 0
    schedules: int = 0
    end_states: list[SearchState] = field(default_factory=list, repr=False)
    violations: list[str] = field(default_factory=list)


class Search:
    """All schedules of `programs` from the state of `setup`.

    crashes: how many of the processes may crash.
    """

    def __init__(
        self, setup: SearchSetup, programs: Sequence[ReplayableProcess], crashes: int = 0
    ) -> None:
        self._setup, self._steps, self._programs = setup, setup.steps, programs
        self._checked_ends: set[tuple[int, int]] = set()
        self._result = SearchResult()
        not_started, no_events = (None,) * len(programs), ((),) * len(programs)
        self._first = SearchState(
            setup.world.snapshot(), not_started, no_events, crashes, setup.monitor
        )

    def run(self) -> SearchResult:
        """Explore all schedules, or stop at the first violation."""
        after: dict[StateKey, Sequence[StateKey]] = {self._first.key(): ()}
        queue = deque([self._first])
        while queue and not self._result.violations:
            here = queue.popleft()
            following = {successor.key(): successor for successor in self._successors(here)}
            after[here.key()] = tuple(following)
            for key, one in following.items():
                if key not in after:
                    after[key] = ()
                    queue.append(one)
            self._result.steps += len(following)
            self._check(here.monitor.violations, here)
            if not following:
                self._settle(here)
            if len(after) > MAX_STATES:
                raise AssertionError(f"more than {MAX_STATES} situations: not all were seen")
        self._setup.world.restore(self._first.shared)
        self._result.states = len(after)
        self._result.schedules = _count_schedules(after, self._first.key(), {})
        return self._result

    # --- transitions ----------------------------------------------------------------------------

    def _successors(self, state: SearchState) -> Iterator[SearchState]:
        running = [
            number for number, place in enumerate(state.processes) if place is not PROCESS_OVER
        ]
        for number in running:
            started = state.processes[number] is not None
            if started and len(running) <= state.crashes:
                yield self._crash(state, number)
            if started or not self._is_redundant(state, number):
                yield self._advance(state, number)

    def _is_redundant(self, state: SearchState, number: int) -> bool:
        """Tell whether starting this process is symmetric to starting an equal one before it."""
        twin = number - 1
        same = twin >= 0 and self._programs[twin].kind == self._programs[number].kind
        return same and state.processes[twin] is None

    def _crash(self, state: SearchState, number: int) -> SearchState:
        program = self._programs[number]
        events = end_events(program, state.shared.now, state.local_events[number], None)
        return SearchState(
            self._steps.without(program, state.shared),
            replace_item(state.processes, number, PROCESS_OVER),
            replace_item(state.local_events, number, ()),
            state.crashes - 1,
            state.monitor.extend(events),
            state,
            Transition(program),
        )

    def _advance(self, state: SearchState, number: int) -> SearchState:
        program, place, monitor = self._programs[number], state.processes[number], state.monitor
        if place is None:
            place = self._steps.initial_state(program, state.shared)
            monitor = monitor.extend(start_events(program, state.shared.now))
        step, there = self._steps.next(program, place, state.shared)
        local_events = state.local_events[number]
        if step.visible:
            monitor, local_events = monitor.extend([*local_events, *step.visible]), ()
        local_events += step.local
        if there.is_over:
            monitor, local_events = (
                monitor.extend(end_events(program, step.after.now, local_events, there)),
                (),
            )
        after = SearchState(
            step.after,
            replace_item(state.processes, number, PROCESS_OVER if there.is_over else there),
            replace_item(state.local_events, number, local_events),
            state.crashes,
            monitor,
            state,
            Transition(program, place, step),
        )
        if there.is_over:
            self._check(unexpected_outcome(there), after)
        return after

    # --- end states -----------------------------------------------------------------------------

    def _settle(self, end: SearchState) -> None:
        """Run undisturbed ticks until nothing changes any more, and check the final state."""
        self._result.end_states.append(end)
        shared, monitor = end.shared, end.monitor
        for number in range(MAX_SETTLING_TICKS):
            if (id(shared), id(monitor)) in self._checked_ends:
                return
            self._checked_ends.add((id(shared), id(monitor)))
            tick = self._setup.tick_program(f"calm-{number}")
            after, events = self._steps.settle(tick, shared)
            monitor = monitor.extend(events)
            self._check(monitor.violations, end, f"{number + 1} calm ticks")
            if all(map(_at_rest, stored_rollouts(after))) and _is_idle(shared, after):
                self._check(
                    monitor.final_violations(), end, f"{number + 1} calm ticks, and nothing more"
                )
                return
            shared = after
        sentences = [
            f"{rollout.id} {rollout.phase}: {rollout.sentence}"
            for rollout in stored_rollouts(shared)
        ]
        self._check(
            [f"it never comes to rest: {sentences}"], end, f"{MAX_SETTLING_TICKS} calm ticks"
        )

    def _check(self, violations: Sequence[str], state: SearchState, *settling: str) -> None:
        if violations:
            schedule = (f"  {move}" for move in (*state.schedule(), *settling))
            self._result.violations.append("\n".join([*violations, *schedule]))


def _at_rest(rollout: Rollout) -> bool:
    return rollout.final or rollout.phase is Phase.PAUSED


def _is_idle(before: SharedState, after: SharedState) -> bool:
    """Tell whether nothing but time and leases has changed."""
    known = {rollout.id: rollout.entries for rollout in stored_rollouts(before)}
    same = all(known[rollout.id] == rollout.entries for rollout in stored_rollouts(after))
    return same and before.cloud.updates == after.cloud.updates


def _count_schedules(
    after: Mapping[StateKey, Sequence[StateKey]], state: StateKey, known: dict[StateKey, int]
) -> int:
    """Return the number of paths from `state` to an end; there are no cycles."""
    if state not in known:
        known[state] = sum(_count_schedules(after, there, known) for there in after[state]) or 1
    return known[state]
