"""Every way in which the processes of a small world can come one after another.

Breadth first, so what is found wrong is found on a shortest way. Only one process runs at a time,
from one step outside to the next. Two ways are one from where they have led to the same: what is
shared, what each process has got for answers, and what the invariants remember, all alike.

A process that is gone is one that nobody lets go on: so it can be gone before each of its steps,
and a step whose answer nobody was there to get is the one before that. Its end is told when all
others are done, for nobody could see it earlier.
"""

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from controller.core.rollout import Phase, Rollout
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

MAX_STATES: Final = 100_000
MAX_SETTLING_TICKS: Final = 40


@dataclass(slots=True)
class SearchResult:
    """What a search has seen.

    states: different ones. steps: from one to another. schedules: how many ways lead through
    them to an end, each counted. ends: different ones. violations: what does not hold, with its way.
    """

    states: int = 0
    steps: int = 0
    schedules: int = 0
    end_states: list[SearchState] = field(default_factory=list, repr=False)
    violations: list[str] = field(default_factory=list)


class Search:
    """All ways of `programs` from where `scene` stands.

    crashes: how many of the processes may be gone at some point.
    """

    def __init__(
        self, setup: SearchSetup, programs: Sequence[ReplayableProcess], crashes: int = 0
    ) -> None:
        self._setup, self._steps, self._programs = setup, setup.steps, programs
        self._checked_ends: set[tuple[int, int]] = set()
        self._result = SearchResult()
        nobody, nothing = (None,) * len(programs), ((),) * len(programs)
        self._first = SearchState(setup.world.snapshot(), nobody, nothing, crashes, setup.monitor)

    def run(self) -> SearchResult:
        """Go all ways, or to the first place where something is wrong."""
        after: dict[StateKey, Sequence[StateKey]] = {self._first.key(): ()}
        queue = deque([self._first])
        while queue and not self._result.violations:
            here = queue.popleft()
            following = {one.key(): one for one in self._successors(here)}
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

    # --- one step -------------------------------------------------------------------------------

    def _successors(self, state: SearchState) -> Iterator[SearchState]:
        left = [number for number, place in enumerate(state.processes) if place is not PROCESS_OVER]
        for number in left:
            begun = state.processes[number] is not None
            if begun and len(left) <= state.crashes:
                yield self._crash(state, number)
            if begun or not self._is_redundant(state, number):
                yield self._advance(state, number)

    def _is_redundant(self, state: SearchState, number: int) -> bool:
        """Tell whether a process leaves the begin to one that does the same: it is no other way."""
        twin = number - 1
        same = twin >= 0 and self._programs[twin].kind == self._programs[number].kind
        return same and state.processes[twin] is None

    def _crash(self, state: SearchState, number: int) -> SearchState:
        program = self._programs[number]
        told = end_events(program, state.shared.now, state.local_events[number], None)
        return SearchState(
            self._steps.without(program, state.shared),
            replace_item(state.processes, number, PROCESS_OVER),
            replace_item(state.local_events, number, ()),
            state.crashes - 1,
            state.monitor.extend(told),
            state,
            Transition(program),
        )

    def _advance(self, state: SearchState, number: int) -> SearchState:
        program, place, tale = self._programs[number], state.processes[number], state.monitor
        if place is None:
            place = self._steps.initial_state(program, state.shared)
            tale = tale.extend(start_events(program, state.shared.now))
        step, there = self._steps.next(program, place, state.shared)
        quiet = state.local_events[number]
        if step.visible:
            tale, quiet = tale.extend([*quiet, *step.visible]), ()
        quiet += step.local
        if there.is_over:
            tale, quiet = tale.extend(end_events(program, step.after.now, quiet, there)), ()
        after = SearchState(
            step.after,
            replace_item(state.processes, number, PROCESS_OVER if there.is_over else there),
            replace_item(state.local_events, number, quiet),
            state.crashes,
            tale,
            state,
            Transition(program, place, step),
        )
        if there.is_over:
            self._check(unexpected_outcome(there), after)
        return after

    # --- the end --------------------------------------------------------------------------------

    def _settle(self, end: SearchState) -> None:
        """Let calm ticks follow until nothing happens any more, and see how it has ended."""
        self._result.end_states.append(end)
        shared, tale = end.shared, end.monitor
        for number in range(MAX_SETTLING_TICKS):
            if (id(shared), id(tale)) in self._checked_ends:
                return
            self._checked_ends.add((id(shared), id(tale)))
            tick = self._setup.tick_program(f"calm-{number}")
            after, told = self._steps.settle(tick, shared)
            tale = tale.extend(told)
            self._check(tale.violations, end, f"{number + 1} calm ticks")
            if all(map(_at_rest, stored_rollouts(after))) and _is_idle(shared, after):
                self._check(
                    tale.final_violations(), end, f"{number + 1} calm ticks, and nothing more"
                )
                return
            shared = after
        sentences = [f"{one.id} {one.phase}: {one.sentence}" for one in stored_rollouts(shared)]
        self._check(
            [f"it never comes to rest: {sentences}"], end, f"{MAX_SETTLING_TICKS} calm ticks"
        )

    def _check(self, wrong: Sequence[str], state: SearchState, *then: str) -> None:
        if wrong:
            way = (f"  {move}" for move in (*state.schedule(), *then))
            self._result.violations.append("\n".join([*wrong, *way]))


def _at_rest(rollout: Rollout) -> bool:
    return rollout.final or rollout.phase is Phase.PAUSED


def _is_idle(before: SharedState, after: SharedState) -> bool:
    """Tell whether only time has passed, and leases came and went."""
    known = {one.id: one.entries for one in stored_rollouts(before)}
    same = all(known[one.id] == one.entries for one in stored_rollouts(after))
    return same and before.cloud.updates == after.cloud.updates


def _count_schedules(
    after: Mapping[StateKey, Sequence[StateKey]], state: StateKey, known: dict[StateKey, int]
) -> int:
    """Return how many ways lead from `state` to an end; every step leads nearer to one."""
    if state not in known:
        known[state] = sum(_count_schedules(after, there, known) for there in after[state]) or 1
    return known[state]
