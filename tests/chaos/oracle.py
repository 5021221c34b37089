"""The oracle: reads the ground truth after every external call, and emits what has changed.

A process is observed by its interceptor, its metrics and its notices:

    truth = open_ground_truth(policy.target, world)
    oracle = Oracle(world, truth, fault_free_store, listener=invariants.check)
    process = Process("tick-12", oracle.intercept(injector))
    metrics = oracle.metrics(process.name, CloudWatchMetrics(...))
    announce = process.announcer(oracle.announcer(process.name))
    oracle.record_command(process.name, Verb.PROMOTE)     # only of an operator command
    ...
    oracle.record_end(process.name, status)               # None: it crashed

After an external actor has acted: `oracle.observe("person anna")`, `oracle.observe("deploy")`.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from controller.core.observation import MetricQuery, Span
from controller.engine.outbox import Announce
from controller.immutable import Immutable, replace
from controller.ports.metrics import MetricSource
from controller.ports.store import Store
from controller.tools.simulation.world import World
from tests.chaos.event_log import (
    PERSON,
    TIME,
    GateVerdict,
    Notification,
    ObservedEvent,
    OperatorCommand,
    ProcessEnd,
    ProcessStart,
    RolloutSave,
    TargetResponse,
    TargetWrite,
    UpdateCompletion,
)
from tests.chaos.ground_truth import GroundTruth, TargetState, changed_names
from tests.chaos.measurements import ObservedMetricSource, reading_of, verdicts
from tests.chaos.process import CLOCK, CrashedError, ExternalCall, Interceptor, Proceed
from tests.support.core import Entry, Notice, Rollout, Series

# Operations that may change a stored rollout; those of leases are not among them.
_WRITES: Final = frozenset(
    {"create", "save", "receive", "PutItem", "UpdateItem", "TransactWriteItems"}
)
_CREATES: Final = frozenset({"create", "receive", "PutItem", "TransactWriteItems"})


class _Reading(Immutable):
    """What a process read of the target. stored: the rollouts then. writes: how many were made."""

    state: TargetState
    stored: tuple[Rollout, ...]
    writes: int


@dataclass
class Oracle:
    """Observes the target in `world` and its rollouts in `store`, which no process shares.

    listener: receives every event at the call that caused it. name: of the policy whose rollouts
    are observed; empty: all. stored, histories: all rollouts and
    their histories, as last observed.
    """

    world: World
    truth: GroundTruth
    store: Store
    listener: Callable[[ObservedEvent], object]
    name: str = ""
    stored: dict[str, Rollout] = field(default_factory=dict)
    histories: dict[str, tuple[Entry, ...]] = field(default_factory=dict)
    _last: TargetState = field(init=False)
    _changes: object = field(init=False)
    _writers: list[str] = field(default_factory=list)
    _readings: dict[str, list[_Reading]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._last, self._changes = self.truth.state(), self.truth.changes

    # --- observation ----------------------------------------------------------------------------

    def observe(
        self, by: str, call: ExternalCall | None = None, reading: _Reading | None = None
    ) -> list[ObservedEvent]:
        """Return the events since the last observation, attributed to `by`, oldest first.

        call: the external call that `by` has just made; what it cannot have changed is not read.
        reading: the last one of `by` before that call was sent.
        """
        events = list(self._changes_of_target(by, call, reading))
        if call is None or call.operation in _WRITES:
            listed = call is None or call.operation in _CREATES
            events += self._changes_of_store(by, listed=listed)
        for event in events:
            self.listener(event)
        return events

    def intercept(self, interceptor: Interceptor) -> Interceptor:
        """Return `interceptor` with an observation after each call, before any actor acts."""

        def intercept_call(call: ExternalCall, proceed: Proceed) -> Any:
            if call.number == 0:
                self.listener(ProcessStart(self._now, call.process))

            reading = self._last_reading(call)

            def proceed_and_observe() -> Any:
                try:
                    answer = proceed()
                    self._record_reading(call)
                    return answer
                finally:
                    self.observe(call.process, call, reading)

            if not self._is_of_target(call) or call.operation in self.truth.optional:
                return interceptor(call, proceed_and_observe)
            return self._record_response(call, lambda: interceptor(call, proceed_and_observe))

        return intercept_call

    def metrics(self, by: str, source: MetricSource) -> MetricSource:
        """Return `source` for the process `by`; the oracle judges each of its answers as well."""

        def on_answer(answer: Mapping[MetricQuery, Series], span: Span) -> None:
            last = self._last
            reading = reading_of(last.weight, at_rest=not (last.updating or last.failed))
            for rollout_id, verdict in verdicts(self.stored.values(), answer, span, reading):
                self.listener(GateVerdict(self._now, by, rollout_id, verdict))

        return ObservedMetricSource(source, on_answer)

    def announcer(self, by: str) -> Announce:
        """Return what shows the notices of the process `by`."""

        def announce(rollout: Rollout, notice: Notice) -> None:
            if self.name in ("", rollout.name):
                self.listener(Notification(self._now, by, rollout, notice))

        return announce

    # --- records of the simulation --------------------------------------------------------------

    def record_command(self, by: str, verb: str) -> None:
        """Record that the process `by` runs an operator command."""
        self.listener(OperatorCommand(self._now, by, str(verb)))

    def record_end(self, by: str, status: int | None) -> None:
        """Record that the process `by` has ended; None: it crashed."""
        self.listener(ProcessEnd(self._now, by, status))

    # --- changes --------------------------------------------------------------------------------

    @property
    def _now(self) -> datetime:
        return self.world.clock.now()

    def _is_of_target(self, call: ExternalCall) -> bool:
        return call.service == self.truth.service and self.truth.function in ("", call.function)

    def _last_reading(self, call: ExternalCall) -> _Reading | None:
        """Return the last reading of the process, before `call` of its target; None: it has none"""
        if not self._is_of_target(call):
            return None
        return next(reversed(self._readings.get(call.process, ())), None)

    def _record_reading(self, call: ExternalCall) -> None:
        if self._is_of_target(call) and call.operation in self.truth.reads:
            stored = tuple(self.stored.values())
            reading = _Reading(self._last, stored, len(self._writers))
            self._readings.setdefault(call.process, []).append(reading)

    def _changes_of_target(
        self, by: str, call: ExternalCall | None, reading: _Reading | None
    ) -> Iterator[ObservedEvent]:
        if self.truth.changes == self._changes:
            return
        before, after = self._last, self.truth.state()
        self._last, self._changes = after, self.truth.changes
        beside = changed_names(before.beside, after.beside)
        effective = bool(beside) or before.own != after.own
        # The end of an update changes the version, too, and none of the settings.
        if effective or after.updating or self.truth.at_once:
            slept = call is not None and call.service == CLOCK
            write = TargetWrite(
                at=self._now,
                by=PERSON if slept else by,
                weight_before=before.weight,
                weight_after=after.weight,
                stored=tuple(self.stored.values()),
                token=before.version,
                full_before=before.may_be_full,
                beside=beside,
                effective=effective,
            )
            yield write if reading is None else self._as_read(write, reading, after)
            self._writers.append(write.by)
        if not after.updating:
            yield UpdateCompletion(self._now, TIME, after.served_weight, after.failed)

    def _as_read(self, write: TargetWrite, reading: _Reading, after: TargetState) -> TargetWrite:
        """Return `write` as its process decided it, if others wrote the target since `reading`."""
        unseen = tuple(writer for writer in self._writers[reading.writes :] if writer != write.by)
        if not unseen:
            return write
        differing = {*changed_names(reading.state.beside, after.beside)}
        return replace(
            write,
            stored=reading.stored,
            token=reading.state.version,
            beside=tuple(one for one in write.beside if one in differing),
            unseen=unseen,
        )

    def _changes_of_store(self, by: str, *, listed: bool) -> Iterator[ObservedEvent]:
        for rollout_id in self._ids() if listed else tuple(self.stored):
            before, after = self.stored.get(rollout_id), self.store.load(rollout_id)
            if before is not None and _change_key(before) == _change_key(after):
                continue
            self.stored[rollout_id] = after
            known_entries, intact = self.histories.get(rollout_id, ()), True
            new_entries: tuple[Entry, ...] = ()
            if before is None or (before.entries, before.chain) != (after.entries, after.chain):
                history = tuple(self.store.history(rollout_id))
                self.histories[rollout_id] = history
                new_entries, intact = (
                    history[len(known_entries) :],
                    history[: len(known_entries)] == known_entries,
                )
            holders = {lock: self.store.holder(lock) for lock in after.locks} if listed else {}
            owners = {
                lock: None if holder is None else holder.rollout_id
                for lock, holder in holders.items()
            }
            final = {
                lock: holder.final
                for lock, holder in holders.items()
                if holder and owners[lock] == after.id
            }
            read = frozenset(one.state.version for one in self._readings.get(by, ()))
            yield RolloutSave(
                self._now, by, before, after, new_entries, intact, owners, final, read
            )

    def _ids(self) -> Sequence[str]:
        return self.store.of_name(self.name) if self.name else self.store.all()

    def _record_response(self, call: ExternalCall, proceed: Proceed) -> Any:
        sound = False
        try:
            answer = proceed()
            sound = self.truth.is_sound(answer)
            return answer
        except CrashedError:
            sound = True  # the crash of the process is not a failure of the service
            raise
        finally:
            self.listener(TargetResponse(self._now, call.process, call.operation, sound))


def _change_key(rollout: Rollout) -> tuple[object, ...]:
    """Return fields of which every save changes one; policies never change, and compare slowly."""
    return (rollout.version, rollout.updated, rollout.state, rollout.entries, rollout.chain)
