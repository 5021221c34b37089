"""Looks at the ground truth after every step of everybody, and says what has happened since.

A process is watched by its fate, its metrics and its notifier:

    witness = Witness(world, policy.target, pristine_store, heard=invariants.check)
    process = Process("tick-12", witness.watching(fate))
    metrics = witness.metrics(process.name, CloudWatchMetrics(process.client(..., "cloudwatch")))
    notifier = process.notifier(witness.notifier(process.name))
    witness.asked(process.name, Verb.PROMOTE)     # only where a person asks something by it
    ...
    witness.ended(process.name, status)           # None: it crashed

Other hands act, and then: `witness.look("person anna")`, `witness.look("deploy")`.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, Protocol

from controller.core.decision import Notice
from controller.core.history import Entry
from controller.core.observation import MetricQuery, Series, Span
from controller.core.policy import LambdaEnv
from controller.core.rollout import Rollout
from controller.ports.metrics import MetricSource
from controller.ports.notify import Notifier
from controller.ports.store import Store
from controller.simulation.world import World
from tests.chaos.event_log import (
    PERSON,
    TIME,
    EnvironmentWrite,
    GateVerdict,
    LambdaResponse,
    Notification,
    ObservedEvent,
    OperatorCommand,
    ProcessEnd,
    ProcessStart,
    RolloutSave,
    UpdateCompletion,
    may_mean_full_weight,
    parse_weight,
)
from tests.chaos.measurements import ObservedMetricSource, verdicts
from tests.chaos.process import CLOCK, CrashedError, ExternalCall, Interceptor, Proceed

LAMBDA: Final = "lambda"
# What changes a stored rollout; a lease is none of it.
_WRITES: Final = frozenset(
    {"create", "save", "receive", "PutItem", "UpdateItem", "TransactWriteItems"}
)
_CREATES: Final = frozenset({"create", "receive", "PutItem", "TransactWriteItems"})


class EventListener(Protocol):
    """Who is told of what happened, one happening at a time and in order."""

    def __call__(self, event: ObservedEvent, /) -> object: ...


@dataclass(slots=True)
class _FunctionState:
    """The function as it was at the last look; callers of an alias meet what nobody reads back."""

    shown: Mapping[str, str]
    served: Mapping[str, str]
    token: str
    status: str


@dataclass
class Oracle:
    """Sees the function in `world` and what is in `store`, which nobody else has in his hands.

    listener: is told of every happening, at the very step. stored, histories: everything, as it was at
    the last look.
    """

    world: World
    target: LambdaEnv
    store: Store
    listener: EventListener
    stored: dict[str, Rollout] = field(default_factory=dict)
    histories: dict[str, tuple[Entry, ...]] = field(default_factory=dict)
    _last_function: _FunctionState = field(init=False)

    def __post_init__(self) -> None:
        self._last_function = self._function_state()

    # --- looking --------------------------------------------------------------------------------

    def observe(self, by: str, call: ExternalCall | None = None) -> list[ObservedEvent]:
        """Return what has happened since the last look, put down to `by`, oldest first.

        call: the step that `by` has just taken; what it cannot have changed is not looked at.
        """
        found = list(self._changes_of_function(by, call))
        if call is None or call.operation in _WRITES:
            listed = call is None or call.operation in _CREATES
            found += self._changes_of_store(by, listed=listed)
        for happening in found:
            self.listener(happening)
        return found

    def intercept(self, interceptor: Interceptor) -> Interceptor:
        """Return `interceptor` with a look right after each call that is made, and before others act."""

        def watched(crossing: ExternalCall, proceed: Proceed) -> Any:
            if crossing.number == 0:
                self.listener(ProcessStart(self._now, crossing.process))

            def seen() -> Any:
                try:
                    return proceed()
                finally:
                    self.observe(crossing.process, crossing)

            if crossing.service != LAMBDA:
                return interceptor(crossing, seen)
            return self._record_response(crossing, lambda: interceptor(crossing, seen))

        return watched

    def metrics(self, by: str, source: MetricSource) -> MetricSource:
        """Return `source` in the hands of the process `by`; what it shows is judged beside it."""

        def told(answer: Mapping[MetricQuery, Series], span: Span) -> None:
            weight, token = (
                parse_weight(self.target, self._last_function.shown),
                self._last_function.token,
            )
            for rollout_id, verdict in verdicts(self.stored.values(), answer, span, weight, token):
                self.listener(GateVerdict(self._now, by, rollout_id, verdict))

        return ObservedMetricSource(source, told)

    def notifier(self, by: str) -> Notifier:
        """Return the notifier of the process `by`."""
        return _NotifierProbe(
            lambda rollout, notice: self.listener(Notification(self._now, by, rollout, notice))
        )

    # --- what only the story knows --------------------------------------------------------------

    def record_command(self, by: str, verb: str) -> None:
        """Note what a person asks by the process `by`."""
        self.listener(OperatorCommand(self._now, by, str(verb)))

    def record_end(self, by: str, status: int | None) -> None:
        """Note that the process `by` has ended; None: it crashed."""
        self.listener(ProcessEnd(self._now, by, status))

    # --- inside ---------------------------------------------------------------------------------

    @property
    def _now(self) -> datetime:
        return self.world.clock.now()

    def _function_state(self) -> _FunctionState:
        one = self.world.function(self.target.function)
        return _FunctionState(one.variables, one.served, one.revision, one.status)

    def _changes_of_function(self, by: str, call: ExternalCall | None) -> Iterator[ObservedEvent]:
        before, after = self._last_function, self._function_state()
        if after.token == before.token and after.served == before.served:
            return
        self._last_function = after
        moving = after.status == "InProgress"
        if after.shown != before.shown or moving:  # a finished update shows what it showed before
            slept = call is not None and call.service == CLOCK
            yield EnvironmentWrite(
                at=self._now,
                by=PERSON if slept else by,
                before=before.shown,
                after=after.shown,
                weight_before=parse_weight(self.target, before.shown),
                weight_after=parse_weight(self.target, after.shown),
                stored=tuple(self.stored.values()),
                token=before.token,
                full_before=may_mean_full_weight(self.target, before.shown),
            )
        if not moving:
            weight = parse_weight(self.target, after.served)
            yield UpdateCompletion(self._now, TIME, weight, after.status == "Failed")

    def _changes_of_store(self, by: str, *, listed: bool) -> Iterator[ObservedEvent]:
        for rollout_id in self.store.all() if listed else tuple(self.stored):
            before, after = self.stored.get(rollout_id), self.store.load(rollout_id)
            if before is not None and _change_key(before) == _change_key(after):
                continue
            self.stored[rollout_id] = after
            known, kept = self.histories.get(rollout_id, ()), True
            gained: tuple[Entry, ...] = ()
            if before is None or (before.entries, before.chain) != (after.entries, after.chain):
                history = tuple(self.store.history(rollout_id))
                self.histories[rollout_id] = history
                gained, kept = history[len(known) :], history[: len(known)] == known
            held = {lock: self.store.holder(lock) for lock in after.locks} if listed else {}
            owners = {lock: None if one is None else one.rollout_id for lock, one in held.items()}
            final = {
                lock: one.final for lock, one in held.items() if one and owners[lock] == after.id
            }
            yield RolloutSave(self._now, by, before, after, gained, kept, owners, final)

    def _record_response(self, call: ExternalCall, proceed: Proceed) -> Any:
        sound = False
        try:
            answer = proceed()
            at_rest = self._last_function.status == "Successful"
            sound = at_rest and "Error" not in (answer.get("Environment") or {})
            return answer
        except CrashedError:
            sound = True  # what became of the process is not Lambda's fault
            raise
        finally:
            self.listener(LambdaResponse(self._now, call.process, call.operation, sound))


def _change_key(rollout: Rollout) -> tuple[object, ...]:
    """Return what no save leaves as it was; policies never change, and are slow to compare."""
    return (
        rollout.version,
        rollout.updated,
        rollout.phase,
        rollout.step,
        rollout.intent,
        rollout.entries,
        rollout.chain,
        rollout.sentence,
    )


class _NotifierProbe:
    def __init__(self, listener: Callable[[Rollout, Notice], object]) -> None:
        self._told = listener

    def notify(self, rollout: Rollout, notice: Notice) -> None:
        """Take note of `notice`."""
        self._told(rollout, notice)
