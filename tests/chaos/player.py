"""Plays a plot: ticks in a row, and whoever comes in between.

Processes run one inside the other: while one waits, whoever is due comes in, as it is when ticks
overlap. Nothing else decides about the order, so the same plot tells the same story.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from random import Random
from typing import Final, cast

from controller.errors import Exit, RolloutError
from controller.ports.store import Store
from controller.simulation.world import World
from tests.chaos import actors
from tests.chaos.event_log import START, TIME, Happening
from tests.chaos.fault_plan import (
    CALM_FROM,
    TICKS,
    Meanwhile,
    Plot,
    Skew,
    Spell,
    Trouble,
)
from tests.chaos.injector import Ahead, Doom
from tests.chaos.invariants import Invariants
from tests.chaos.oracle import Witness
from tests.chaos.process import CLOCK, CrashedError, Crossing, Proceed, Process
from tests.chaos.program import (
    OpenProgram,
    Outside,
    Pristine,
    Program,
    Stores,
)
from tests.chaos.trace import Story, Telling, at_rest

MINUTE: Final = timedelta(minutes=1)
# How deep processes come in between each other; whoever is due then has to wait.
DEPTH: Final = 2
# How often CI starts a policy whose start came to nothing.
STARTS: Final = 4
# For so many ticks of the calm a story goes on although all is at rest: late calls still arrive.
AFTERWARDS: Final = 4
# What the mere passing of time can change: the function, and nothing that is stored.
PASSING: Final = Crossing(TIME, 0, TIME, "passes")


def play(plot: Plot, stores: Stores, open_program: OpenProgram) -> Story:
    """Return the story of `plot`."""
    with stores.pristine() as store:
        pristine = cast("Store", Pristine(store))
        return Player(plot, stores, pristine, open_program).play()


class Player:
    """Plays one plot, once. It is the hands of fates (`Hands`), and the clock of all processes."""

    def __init__(
        self, plot: Plot, stores: Stores, pristine: Store, open_program: OpenProgram
    ) -> None:
        self.plot, self.stores, self.pristine = plot, stores, pristine
        self.world = World.for_policy(plot.policy, plot.world, seed=plot.seed)
        target = plot.policy.target
        self.invariants = Invariants(plot.policy, plot.scenario.function.weight)
        self.witness = Witness(self.world, target, pristine, self._heard)
        self.telling = Telling(self.world, target)
        self._open_program = open_program
        self._ahead = Ahead(plot.faults)
        self._begin = self.now()
        self._turn, self._depth, self._starts = 0, 0, 0
        self._calm = plot.calm_from
        self._named: Counter[str] = Counter()

    def play(self) -> Story:
        """Play it to its end."""
        while self._turn <= TICKS and not self._over():
            self._advance(self._due() - self.now())
            self._take_turn()
        for violation in self.invariants.finish():
            self.telling.violated(violation)
        return self.telling.story(self.plot, self._turn - 1)

    def run(
        self,
        name: str,
        do: Callable[[Program], int],
        *,
        tick: int = 0,
        ahead: Ahead,
        asks: str = "",
    ) -> int | None:
        """Run one process of the minute `tick`, and return its exit status; None: it crashed.

        asks: what a person asks by it; empty: it is the scheduler's.
        """
        self._named[name] += 1
        if self._named[name] > 1:
            name = f"{name} ({self._named[name]})"
        process = Process(name, self.witness.watching(Doom(self, tick, ahead)))
        skew = self._skew(name)
        if skew:
            seconds = skew.total_seconds()
            self.struck(Crossing(name, 0, CLOCK, "now"), f"is {seconds:+.0f} s off")
        if asks:
            self.witness.asked(name, asks)
        self._depth += 1
        try:
            status = self._status(process, skew, do)
        finally:
            self._depth -= 1
        self.telling.steps += process.crossings
        self.witness.ended(name, status)
        return status

    def _status(
        self, process: Process, skew: timedelta, do: Callable[[Program], int]
    ) -> int | None:
        try:
            with self.stores.of(process) as store:
                return do(self._open_program(self._outside(process, skew), self.plot.policy, store))
        except CrashedError:
            return None
        except RolloutError as error:
            return error.exit_status
        except Exception as error:  # noqa: BLE001 - a story is there to find what nobody planned
            self.telling.failed(process.name, error)
            return Exit.INTERNAL

    def _outside(self, process: Process, skew: timedelta) -> Outside:
        name = process.name
        return Outside(
            name,
            lambda service: process.client(self.world.client(service), service),
            process.clock(self, skew),
            process.notifier(self.witness.notifier(name)),
            lambda source: self.witness.metrics(name, source),
            Random(f"{self.plot.seed}:{name}").uniform,
        )

    def _heard(self, happening: Happening) -> None:
        self.telling.happened(happening)
        for violation in self.invariants.check(happening):
            self.telling.violated(violation)

    # --- the clock of all processes ---------------------------------------------------------------

    def now(self) -> datetime:
        """Return the current virtual moment."""
        return self.world.clock.now()

    def sleep(self, length: timedelta) -> None:
        """Let `length` pass; whoever is due meanwhile comes in between."""
        wake = self.now() + length
        while self._depth < DEPTH and self._turn <= TICKS and self._due() < wake:
            self._advance(self._due() - self.now())
            self._take_turn()
        self._advance(wake - self.now())

    def _advance(self, length: timedelta) -> None:
        self.world.clock.advance(length)
        self.witness.look(TIME, PASSING)

    # --- turns ------------------------------------------------------------------------------------

    def _due(self) -> datetime:
        return self._begin + self._turn * MINUTE

    def _take_turn(self) -> None:
        """Let the scheduler start a tick; and before it CI the policy, until there is a rollout."""
        turn, ahead = self._turn, self._ahead
        self._turn += 1
        if self._starts < STARTS and not self.pristine.of_name(self.plot.policy.name):
            self._starts += 1
            self.run(f"start {turn}", lambda one: one.start(), tick=turn, ahead=ahead, asks=START)
        if turn:
            self.run(f"tick {turn}", lambda one: one.tick(), tick=turn, ahead=ahead)

    def _skew(self, name: str) -> timedelta:
        """Return how far the clock of a process is ahead; that of who comes in between is right."""
        skews = (one for one in self.plot.faults if isinstance(one, Skew))
        seconds = sum(one.seconds for one in skews if name in (f"tick {one.tick}", "start 0"))
        return timedelta(seconds=seconds)

    def _over(self) -> bool:
        """Tell whether all is at rest, and nothing can go wrong any more."""
        calm = CALM_FROM if self._ahead.left else self._calm
        if self._turn <= calm + AFTERWARDS:
            return False
        return all(at_rest(one, self.now()) for one in self.witness.stored.values())

    # --- hands of fates ---------------------------------------------------------------------------

    def struck(self, crossing: Crossing, kind: str) -> None:
        """Take note that something goes wrong at `crossing`."""
        self._calm = max(self._calm, self._turn)
        self.telling.struck(crossing, kind)

    def later(self, seconds: int, call: Proceed) -> None:
        """Let a call arrive after so many seconds, whether its process lives or not."""

        def arrive() -> None:
            with suppress(Exception):
                call()

        self.world.clock.at(self.now() + timedelta(seconds=seconds), arrive)

    def meanwhile(self, fault: Meanwhile, by: str) -> None:
        """Let others act while the process `by` waits."""
        if fault.waits:
            self.sleep(timedelta(seconds=fault.waits))
        actors.act(self, fault, by)

    def troubles(self) -> Sequence[Trouble]:
        """Return what is wrong just now, for a while."""
        passed = self.now() - self._begin
        return [
            one.trouble
            for one in self.plot.faults
            if isinstance(one, Spell) and one.begin <= passed < one.begin + one.lasting
        ]
