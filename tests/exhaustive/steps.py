"""Steps of processes from any situation, each taken once and remembered."""

from collections.abc import Sequence
from datetime import timedelta
from functools import partial
from typing import Final

from tests.chaos.event_log import TIME
from tests.exhaustive.events_of_steps import Step, began, ended, stepped
from tests.exhaustive.path_so_far import Told
from tests.exhaustive.programs import Answer, Onward, Program, Standing, answer_of
from tests.exhaustive.shared_changes import changes
from tests.exhaustive.small_world import Shared, SmallWorld

CALM: Final = timedelta(minutes=2)


class Steps:
    """The steps that processes take in `world`."""

    def __init__(self, world: SmallWorld) -> None:
        self._world = world
        self._taken: dict[tuple[Standing, Shared], Step] = {}
        self._led_to: dict[tuple[Standing, Shared], tuple[Step, Standing]] = {}
        self._without: dict[tuple[str, Shared], Shared] = {}
        self._calmed: dict[tuple[str, Shared], tuple[Shared, Sequence[Told]]] = {}

    def begun(self, program: Program, shared: Shared) -> Standing:
        """Return where a process stands that begins now."""
        return program.begun(shared.now, self._from(program, shared))

    def next(self, program: Program, here: Standing, shared: Shared) -> tuple[Step, Standing]:
        """Return the next step of a process, and where it stands then."""
        key = here, shared
        if key not in self._led_to:
            step = self._step(program, here, shared)
            there = program.went_on(here, step.answer, self._from(program, step.after))
            self._led_to[key] = step, there
        return self._led_to[key]

    def without(self, program: Program, shared: Shared) -> Shared:
        """Return what is shared once a process is gone."""
        key = program.name, shared
        if key not in self._without:
            self._without[key] = self._world.without(shared, program.name)
        return self._without[key]

    def calmed(self, tick: Program, shared: Shared) -> tuple[Shared, Sequence[Told]]:
        """Return what `tick` makes of `shared` a while later, undisturbed, and what it tells."""
        key = tick.name, shared
        if key not in self._calmed:
            self._world.put_back(shared)
            self._world.clock.advance(CALM)
            later = self._world.keep()
            told = [*changes(shared, later, TIME, "passes", self._world.policy.target)]
            after, more = self._alone(tick, later)
            self._calmed[key] = after, [*told, *more]
        return self._calmed[key]

    def _alone(self, program: Program, shared: Shared) -> tuple[Shared, Sequence[Told]]:
        told = began(program, shared.now)
        here = self.begun(program, shared)
        while not here.over:
            step, here = self.next(program, here, shared)
            shared = step.after
            told += [*step.seen, *step.quiet]
        return shared, [*told, *ended(program, shared.now, (), here)]

    def _step(self, program: Program, here: Standing, shared: Shared) -> Step:
        """Return what becomes of the next step of a process where `shared` is what is shared."""
        key = here, shared
        if key not in self._taken:
            assert here.proceed is not None
            assert here.crossing is not None
            take = partial(answer_of, here.proceed, self._world.clock.now)
            answer, after = self._world.changed(shared, here.crossing.service, take)
            self._taken[key] = stepped(self._world, program, here.crossing, shared, after, answer)
        return self._taken[key]

    def _from(self, program: Program, shared: Shared) -> Onward:
        """Return what goes on with a process alone, from where `shared` is what is shared."""

        def onward(here: Standing) -> Answer:
            nonlocal shared
            step = self._step(program, here, shared)
            shared = step.after
            return step.answer

        return onward
