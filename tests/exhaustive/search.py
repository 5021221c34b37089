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
from tests.exhaustive.events_of_steps import began, ended, unexpected
from tests.exhaustive.programs import Program
from tests.exhaustive.scene import Scene
from tests.exhaustive.shared_changes import stored
from tests.exhaustive.situation import OVER, Key, Move, Situation, replaced
from tests.exhaustive.small_world import Shared

MOST_SITUATIONS: Final = 100_000
MOST_CALM_TICKS: Final = 40


@dataclass(slots=True)
class Found:
    """What a search has seen.

    situations: different ones. steps: from one to another. schedules: how many ways lead through
    them to an end, each counted. ends: different ones. wrong: what does not hold, with its way.
    """

    situations: int = 0
    steps: int = 0
    schedules: int = 0
    ends: list[Situation] = field(default_factory=list, repr=False)
    wrong: list[str] = field(default_factory=list)


class Search:
    """All ways of `programs` from where `scene` stands.

    crashes: how many of the processes may be gone at some point.
    """

    def __init__(self, scene: Scene, programs: Sequence[Program], crashes: int = 0) -> None:
        self._scene, self._steps, self._programs = scene, scene.steps, programs
        self._settled: set[tuple[int, int]] = set()
        self._found = Found()
        nobody, nothing = (None,) * len(programs), ((),) * len(programs)
        self._first = Situation(scene.world.keep(), nobody, nothing, crashes, scene.tale)

    def run(self) -> Found:
        """Go all ways, or to the first place where something is wrong."""
        after: dict[Key, Sequence[Key]] = {self._first.key(): ()}
        queue = deque([self._first])
        while queue and not self._found.wrong:
            here = queue.popleft()
            following = {one.key(): one for one in self._following(here)}
            after[here.key()] = tuple(following)
            for key, one in following.items():
                if key not in after:
                    after[key] = ()
                    queue.append(one)
            self._found.steps += len(following)
            self._check(here.tale.wrong, here)
            if not following:
                self._settle(here)
            if len(after) > MOST_SITUATIONS:
                raise AssertionError(f"more than {MOST_SITUATIONS} situations: not all were seen")
        self._scene.world.put_back(self._first.shared)
        self._found.situations = len(after)
        self._found.schedules = _ways(after, self._first.key(), {})
        return self._found

    # --- one step -------------------------------------------------------------------------------

    def _following(self, here: Situation) -> Iterator[Situation]:
        left = [number for number, place in enumerate(here.places) if place is not OVER]
        for number in left:
            begun = here.places[number] is not None
            if begun and len(left) <= here.crashes:
                yield self._gone(here, number)
            if begun or not self._waits(here, number):
                yield self._gone_on(here, number)

    def _waits(self, here: Situation, number: int) -> bool:
        """Tell whether a process leaves the begin to one that does the same: it is no other way."""
        twin = number - 1
        same = twin >= 0 and self._programs[twin].kind == self._programs[number].kind
        return same and here.places[twin] is None

    def _gone(self, here: Situation, number: int) -> Situation:
        program = self._programs[number]
        told = ended(program, here.shared.now, here.quiet[number], None)
        return Situation(
            self._steps.without(program, here.shared),
            replaced(here.places, number, OVER),
            replaced(here.quiet, number, ()),
            here.crashes - 1,
            here.tale.and_then(told),
            here,
            Move(program),
        )

    def _gone_on(self, here: Situation, number: int) -> Situation:
        program, place, tale = self._programs[number], here.places[number], here.tale
        if place is None:
            place = self._steps.begun(program, here.shared)
            tale = tale.and_then(began(program, here.shared.now))
        step, there = self._steps.next(program, place, here.shared)
        quiet = here.quiet[number]
        if step.seen:
            tale, quiet = tale.and_then([*quiet, *step.seen]), ()
        quiet += step.quiet
        if there.over:
            tale, quiet = tale.and_then(ended(program, step.after.now, quiet, there)), ()
        after = Situation(
            step.after,
            replaced(here.places, number, OVER if there.over else there),
            replaced(here.quiet, number, quiet),
            here.crashes,
            tale,
            here,
            Move(program, place, step),
        )
        if there.over:
            self._check(unexpected(there), after)
        return after

    # --- the end --------------------------------------------------------------------------------

    def _settle(self, end: Situation) -> None:
        """Let calm ticks follow until nothing happens any more, and see how it has ended."""
        self._found.ends.append(end)
        shared, tale = end.shared, end.tale
        for number in range(MOST_CALM_TICKS):
            if (id(shared), id(tale)) in self._settled:
                return
            self._settled.add((id(shared), id(tale)))
            tick = self._scene.tick_called(f"calm-{number}")
            after, told = self._steps.calmed(tick, shared)
            tale = tale.and_then(told)
            self._check(tale.wrong, end, f"{number + 1} calm ticks")
            if all(map(_at_rest, stored(after))) and _nothing_happened(shared, after):
                self._check(tale.over(), end, f"{number + 1} calm ticks, and nothing more")
                return
            shared = after
        sentences = [f"{one.id} {one.phase}: {one.sentence}" for one in stored(shared)]
        self._check([f"it never comes to rest: {sentences}"], end, f"{MOST_CALM_TICKS} calm ticks")

    def _check(self, wrong: Sequence[str], here: Situation, *then: str) -> None:
        if wrong:
            way = (f"  {move}" for move in (*here.schedule(), *then))
            self._found.wrong.append("\n".join([*wrong, *way]))


def _at_rest(rollout: Rollout) -> bool:
    return rollout.final or rollout.phase is Phase.PAUSED


def _nothing_happened(before: Shared, after: Shared) -> bool:
    """Tell whether only time has passed, and leases came and went."""
    known = {one.id: one.entries for one in stored(before)}
    same = all(known[one.id] == one.entries for one in stored(after))
    return same and before.sky.updates == after.sky.updates


def _ways(after: Mapping[Key, Sequence[Key]], here: Key, known: dict[Key, int]) -> int:
    """Return how many ways lead from `here` to an end; every step leads nearer to one."""
    if here not in known:
        known[here] = sum(_ways(after, there, known) for there in after[here]) or 1
    return known[here]
