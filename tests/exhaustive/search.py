"""Every way in which the processes of a small world can come one after another.

Breadth first, so what is found wrong is found on a shortest way. Only one process runs at a time,
from one step outside to the next. Two ways are one from where they have led to the same: what is
shared, what each process has got for answers, and everything that happened, all alike.
"""

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeAlias, TypeVar

from controller.core.rollout import Phase, Rollout
from tests.exhaustive.looking_on import stored
from tests.exhaustive.programs import Answer, Program, Standing
from tests.exhaustive.scene import Scene
from tests.exhaustive.small_world import Shared
from tests.exhaustive.tale import Tale
from tests.exhaustive.telling import Quiet, Step, began, ended, unexpected

MOST_STATES: Final = 200_000
T = TypeVar("T")
MOST_CALM_TICKS: Final = 40

# Where a process stands that will do nothing more; how it came to that is told.
GONE: Final = Standing(None, Answer(None, failed=False, now=None))  # type: ignore[arg-type]
Place: TypeAlias = Standing | None
Key: TypeAlias = tuple[int, ...]


@dataclass(eq=False, slots=True)
class State:
    """One situation of a world.

    places: where each process stands; None before its begin. quiet: of each, what is not told yet.
    crashes: how many may still come. before, move: on which way it was reached first.
    """

    shared: Shared
    places: tuple[Place, ...]
    quiet: tuple[Quiet, ...]
    crashes: int
    tale: Tale
    before: "State | None" = None
    move: str = ""

    def schedule(self) -> list[str]:
        """Return who did what, on the way on which it was reached first."""
        moves, here = list[str](), self
        while here.before is not None:
            moves.append(here.move)
            here = here.before
        return moves[::-1]


@dataclass(slots=True)
class Found:
    """What a search has seen.

    schedules: how many ways lead through the states to their ends, each counted.
    """

    states: int = 0
    steps: int = 0
    ends: int = 0
    schedules: int = 0
    wrong: list[str] = field(default_factory=list)


class Search:
    """All ways of `programs` from where `scene` stands.

    crashes: how many of the processes may be gone at some point.
    """

    def __init__(self, scene: Scene, programs: Sequence[Program], crashes: int = 0) -> None:
        self._scene, self._steps, self._programs = scene, scene.steps, programs
        self._settled: set[tuple[int, int]] = set()
        self.found = Found()
        none = (None,) * len(programs)
        quiet = ((),) * len(programs)
        self._first = State(scene.steps.now(), none, quiet, crashes, scene.tale)

    def run(self) -> Found:
        """Go all ways; stop at what is wrong, with the way that led there."""
        after: dict[Key, list[Key]] = {self._key(self._first): []}
        queue = deque([self._first])
        while queue and not self.found.wrong:
            state = queue.popleft()
            following = {self._key(one): one for one in self._following(state)}
            for key, one in following.items():
                if key not in after:
                    after[key] = []
                    self._check(one.tale.wrong, one)
                    queue.append(one)
            after[self._key(state)] = list(following)
            self.found.steps += len(following)
            if not following:
                self.found.ends += 1
                self._settle(state)
            if len(after) > MOST_STATES:
                raise AssertionError(f"more than {MOST_STATES} states, so not all were seen")
        self._scene.world.put_back(self._first.shared)
        self.found.states = len(after)
        self.found.schedules = _ways(after, self._key(self._first), {})
        return self.found

    # --- one step -------------------------------------------------------------------------------

    def _following(self, state: State) -> Iterator[State]:
        for number in range(len(self._programs)):
            place = state.places[number]
            if place is GONE or (place is None and self._waits(state, number)):
                continue
            if place is not None and state.crashes:
                yield self._gone(state, number)
            yield self._stepped(state, number)

    def _waits(self, state: State, number: int) -> bool:
        """Of processes that do the same the first one begins first: the other ways only swap them."""
        twin = number - 1
        return (
            number > 0
            and self._programs[twin].kind == self._programs[number].kind
            and state.places[twin] is None
        )

    def _gone(self, state: State, number: int) -> State:
        program = self._programs[number]
        shared = self._steps.without(program, state.shared)
        told = ended(program, shared.now, state.quiet[number], None)
        return State(
            shared,
            _with(state.places, number, GONE),
            _with(state.quiet, number, ()),
            state.crashes - 1,
            state.tale.and_then(told),
            state,
            f"{program.name} is gone",
        )

    def _stepped(self, state: State, number: int) -> State:
        program, here = self._programs[number], state.places[number]
        tale = state.tale
        if here is None:
            here = self._steps.begun(program, state.shared)
            tale = tale.and_then(began(program, state.shared.now))
        step, there = self._steps.next(program, here, state.shared)
        quiet = state.quiet[number]
        if step.seen:
            tale, quiet = tale.and_then([*quiet, *step.seen]), ()
        quiet += step.quiet
        if there.over:
            tale, quiet = tale.and_then(ended(program, step.after.now, quiet, there)), ()
        after = State(
            step.after,
            _with(state.places, number, GONE if there.over else there),
            _with(state.quiet, number, quiet),
            state.crashes,
            tale,
            state,
            f"{program.name} {_said(here, step)}",
        )
        if there.over:
            self._check(unexpected(there), after)
        return after

    # --- the end --------------------------------------------------------------------------------

    def _settle(self, end: State) -> None:
        """Let calm ticks follow until nothing changes any more, and see how it has ended."""
        shared, tale = end.shared, end.tale
        for number in range(MOST_CALM_TICKS):
            if (id(shared), id(tale)) in self._settled:
                return
            self._settled.add((id(shared), id(tale)))
            after, told = self._steps.calmed(self._scene.tick_called(f"calm-{number}"), shared)
            tale = tale.and_then(told)
            self._check(tale.wrong, end, f"{number + 1} calm ticks")
            if all(map(_at_rest, stored(after))) and _nothing_happened(shared, after):
                self._check(tale.over(), end, f"{number + 1} calm ticks")
                return
            shared = after
        sentences = [f"{one.id} {one.phase}: {one.sentence}" for one in stored(shared)]
        self._check([f"it never comes to rest: {sentences}"], end, "calm ticks")

    # --- parts ----------------------------------------------------------------------------------

    def _key(self, state: State) -> Key:
        places = (id(one) for one in state.places)
        return (id(state.shared), *places, state.crashes, id(state.tale))

    def _check(self, wrong: Sequence[str], state: State, *then: str) -> None:
        if wrong:
            way = "\n".join(f"  {move}" for move in (*state.schedule(), *then))
            self.found.wrong.append("\n".join([*wrong, way]))


def _ways(after: Mapping[Key, Sequence[Key]], here: Key, known: dict[Key, int]) -> int:
    """Return how many ways lead from `here` to an end; every step leads nearer to one."""
    if here not in known:
        known[here] = sum(_ways(after, there, known) for there in after[here]) or 1
    return known[here]


def _with(places: tuple[T, ...], number: int, place: T) -> tuple[T, ...]:
    return (*places[:number], place, *places[number + 1 :])


def _said(here: Standing, step: Step) -> str:
    assert here.crossing is not None
    answer = step.answer
    failed = f" ({answer.value})" if answer.failed else ""
    return f"{here.crossing.service} {here.crossing.operation}{failed}"


def _at_rest(rollout: Rollout) -> bool:
    return rollout.final or rollout.phase is Phase.PAUSED


def _nothing_happened(before: Shared, after: Shared) -> bool:
    """Tell whether a tick has changed nothing: only time has passed, and leases came and went."""
    known = {one.id: one for one in stored(before)}
    return all(known[one.id].entries == one.entries for one in stored(after)) and (
        before.updates == after.updates
    )
