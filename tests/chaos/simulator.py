"""Runs a fault plan: scheduled ticks, and the actors that run in between.

Processes are nested: while one waits, the next one that is due runs to its end, as overlapping
ticks do. Nothing else decides the order, so the same plan always gives the same trace.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from itertools import chain
from random import Random
from typing import Final, cast

from controller.engine.side_by_side import one_by_one
from controller.errors import Exit, RolloutError
from controller.ports.metrics import MetricSource
from controller.ports.store import Store
from controller.tools.simulation.world import World
from tests.chaos import actors
from tests.chaos.event_log import START, TIME, ObservedEvent
from tests.chaos.fault_plan import (
    FAULTS_END,
    TICKS,
    ClockSkew,
    Degradation,
    DegradationWindow,
    FaultPlan,
    Interleaving,
)
from tests.chaos.ground_truth import open_ground_truth
from tests.chaos.injector import Injector, PendingFaults
from tests.chaos.invariants import Invariants
from tests.chaos.neighbours import Neighbours
from tests.chaos.oracle import Oracle
from tests.chaos.process import (
    CLOCK,
    CrashedError,
    ExternalCall,
    Proceed,
    Process,
    pass_through,
)
from tests.chaos.program import (
    FaultFreeStore,
    OpenProgram,
    ProcessEnvironment,
    Program,
    Stores,
)
from tests.chaos.trace import Trace, TraceRecorder, at_rest
from tests.support.core import Notice, Policy, Rollout
from tests.support.shuffled import Shuffled

MINUTE: Final = timedelta(minutes=1)
# How deep processes are nested; one that is due at this depth has to wait.
MAX_DEPTH: Final = 2
# How often CI starts a policy again whose start failed.
MAX_STARTS: Final = 4
# How many ticks the run goes on once every rollout is at rest: late calls still arrive.
TICKS_AT_REST: Final = 4
# The call that stands for passing time: it can change the target, and nothing stored.
TIME_ADVANCE: Final = ExternalCall(TIME, 0, TIME, "passes")


def simulate(plan: FaultPlan, stores: Stores, open_program: OpenProgram) -> Trace:
    """Return the trace of `plan`."""
    with stores.fault_free() as store:
        fault_free = cast("Store", FaultFreeStore(store))
        return Simulator(plan, stores, fault_free, open_program).simulate()


class Simulator:
    """Runs one plan, once; the context of injectors and actors, and the clock of all processes."""

    def __init__(
        self, plan: FaultPlan, stores: Stores, fault_free_store: Store, open_program: OpenProgram
    ) -> None:
        self.plan, self.stores, self.fault_free_store = plan, stores, fault_free_store
        self.world = World.for_policy(plan.policy, plan.world, seed=plan.seed)
        self.truth = open_ground_truth(plan.policy.target, self.world)
        self.invariants = Invariants(
            plan.scenario.function.weight, stable_fails=bool(plan.scenario.stable.server_errors)
        )
        self.oracle = Oracle(
            self.world, self.truth, fault_free_store, self._on_event, plan.policy.name
        )
        self.recorder = TraceRecorder(self.world, self.truth)
        self._neighbours = Neighbours(
            plan, self.world, fault_free_store, self.recorder.record_violation
        )
        self._open_program = open_program
        self._pending = PendingFaults(plan.faults)
        self._begin = self.now()
        self._turn, self._depth, self._starts = 0, 0, 0
        self._faults_end = plan.timed_faults_end
        self._name_counts: Counter[str] = Counter()

    def simulate(self) -> Trace:
        """Run the plan to its end, and return the trace."""
        self._start_neighbours()
        while self._turn <= TICKS and not self._is_finished():
            self._advance(self._due() - self.now())
            self._take_turn()
        for violation in chain(self.invariants.finish(), self._neighbours.finish()):
            self.recorder.record_violation(violation)
        return self.recorder.trace(self.plan, self._turn - 1)

    def _start_neighbours(self) -> None:
        """Start the neighbours without any fault, where their starts are not refused."""
        self._depth = MAX_DEPTH  # so that no tick runs meanwhile
        for policy in self._neighbours.policies:
            name = f"start {policy.name}"
            process = Process(name, self._neighbours.intercept(pass_through))
            self._status(process, timedelta(), lambda one: one.start(), policy)
            self._record_end(name, 0)
        self._depth, self._begin = 0, self.now()

    def run(
        self,
        name: str,
        command: Callable[[Program], int],
        *,
        tick: int = 0,
        pending: PendingFaults,
        verb: str = "",
    ) -> int | None:
        """Run one process of the minute `tick`, and return its exit status; None: it crashed.

        verb: the operator command that it runs; empty: the scheduler starts it.
        """
        self._name_counts[name] += 1
        if self._name_counts[name] > 1:
            name = f"{name} ({self._name_counts[name]})"
        interceptor = self.oracle.intercept(Injector(self, tick, pending))
        process = Process(name, self._neighbours.intercept(interceptor))
        skew = self._skew(name)
        if skew:
            seconds = skew.total_seconds()
            self.record_fault(ExternalCall(name, 0, CLOCK, "now"), f"is {seconds:+.0f} s off")
        if verb:
            self.oracle.record_command(name, verb)
        self._depth += 1
        try:
            status = self._status(process, skew, command, self.plan.policy)
        finally:
            self._depth -= 1
        self.recorder.steps += process.call_count
        self._record_end(name, status)
        return status

    def _record_end(self, name: str, status: int | None) -> None:
        for oracle in (self.oracle, *self._neighbours.oracles):
            oracle.record_end(name, status)

    def _status(
        self, process: Process, skew: timedelta, command: Callable[[Program], int], policy: Policy
    ) -> int | None:
        try:
            with self.stores.of(process) as store:
                return command(self._open_program(self._environment(process, skew), policy, store))
        except CrashedError:
            return None
        except RolloutError as error:
            return error.exit_status
        except Exception as error:  # noqa: BLE001 - a run is there to find unexpected errors
            self.recorder.record_error(process.name, error)
            return Exit.INTERNAL

    def _environment(self, process: Process, skew: timedelta) -> ProcessEnvironment:
        name = process.name

        def announce(rollout: Rollout, notice: Notice) -> None:
            self.oracle.announcer(name)(rollout, notice)
            self._neighbours.announce(name, rollout, notice)

        def wrap_metrics(source: MetricSource) -> MetricSource:
            return self._neighbours.metrics(name, self.oracle.metrics(name, source))

        seed = f"{self.plan.seed}:{name}"
        return ProcessEnvironment(
            name,
            process,
            lambda service: process.client(self.world.client(service), service),
            process.clock(self, skew),
            process.announcer(announce),
            wrap_metrics,
            Random(seed).uniform,
            self.truth.revision,
            Shuffled(seed) if self.plan.neighbours else one_by_one,
        )

    def _on_event(self, event: ObservedEvent) -> None:
        self.recorder.record_event(event)
        for violation in self.invariants.check(event):
            self.recorder.record_violation(violation)

    # --- the clock of all processes ---------------------------------------------------------------

    def now(self) -> datetime:
        """Return the current virtual moment."""
        return self.world.clock.now()

    def sleep(self, length: timedelta) -> None:
        """Let `length` pass; processes that are due meanwhile run in between."""
        wake = self.now() + length
        while self._depth < MAX_DEPTH and self._turn <= TICKS and self._due() < wake:
            self._advance(self._due() - self.now())
            self._take_turn()
        self._advance(wake - self.now())

    def _advance(self, length: timedelta) -> None:
        self.world.clock.advance(length)
        for oracle in (self.oracle, *self._neighbours.oracles):
            oracle.observe(TIME, TIME_ADVANCE)

    # --- turns ------------------------------------------------------------------------------------

    def _due(self) -> datetime:
        return self._begin + self._turn * MINUTE

    def _take_turn(self) -> None:
        """Run the tick of this minute, after a start by CI while there is no rollout yet."""
        turn, pending = self._turn, self._pending
        self._turn += 1
        if self._starts < MAX_STARTS and not self.fault_free_store.of_name(self.plan.policy.name):
            self._starts += 1
            self.run(
                f"start {turn}", lambda one: one.start(), tick=turn, pending=pending, verb=START
            )
        if turn:
            self.run(f"tick {turn}", lambda one: one.tick(), tick=turn, pending=pending)

    def _skew(self, name: str) -> timedelta:
        """Return how far the clock of a process is ahead; nested processes have the right time."""
        skews = (fault for fault in self.plan.faults if isinstance(fault, ClockSkew))
        seconds = sum(skew.seconds for skew in skews if name in (f"tick {skew.tick}", "start 0"))
        return timedelta(seconds=seconds)

    def _is_finished(self) -> bool:
        """Tell whether every rollout is at rest, and no fault is left."""
        calm = FAULTS_END if self._pending.any_left else self._faults_end
        if self._turn <= calm + TICKS_AT_REST:
            return False
        oracles = (self.oracle, *self._neighbours.oracles)
        stored = chain.from_iterable(oracle.stored.values() for oracle in oracles)
        return all(at_rest(one, self.now()) for one in stored)

    # --- context of injectors ---------------------------------------------------------------------

    def record_fault(self, call: ExternalCall, kind: str) -> None:
        """Record that a fault is injected at `call`."""
        self._faults_end = max(self._faults_end, self._turn)
        self.recorder.record_fault(call, kind)

    def schedule(self, seconds: int, delayed_call: Proceed) -> None:
        """Make `delayed_call` after so many seconds, even if its process is gone."""

        def make_call() -> None:
            with suppress(Exception):
                delayed_call()

        self.world.clock.at(self.now() + timedelta(seconds=seconds), make_call)

    def interleave(self, fault: Interleaving, by: str) -> None:
        """Let an actor act while the process `by` waits."""
        if fault.waits:
            self.sleep(timedelta(seconds=fault.waits))
        actors.perform(self, fault, by)

    def degradations(self) -> Sequence[Degradation]:
        """Return the degradations that last at this moment."""
        elapsed = self.now() - self._begin
        return [
            fault.degradation
            for fault in self.plan.faults
            if isinstance(fault, DegradationWindow)
            and fault.begin <= elapsed < fault.begin + fault.lasting
        ]
