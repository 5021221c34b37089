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
from controller.core.observation import Query, Series, Span
from controller.core.policy import LambdaEnv
from controller.core.rollout import Rollout
from controller.ports.metrics import MetricSource
from controller.ports.notify import Notifier
from controller.ports.store import Store
from controller.simulation.world import World
from tests.chaos.event_log import (
    PERSON,
    TIME,
    Answered,
    Asked,
    Began,
    Ended,
    Happening,
    InForce,
    Judged,
    Saved,
    Told,
    Wrote,
    may_be_full,
    meant_by,
)
from tests.chaos.measurements import Measuring, verdicts
from tests.chaos.process import CLOCK, CrashedError, Crossing, Fate, Proceed

LAMBDA: Final = "lambda"
# What changes a stored rollout; a lease is none of it.
_WRITES: Final = frozenset(
    {"create", "save", "receive", "PutItem", "UpdateItem", "TransactWriteItems"}
)
_CREATES: Final = frozenset({"create", "receive", "PutItem", "TransactWriteItems"})


class Heard(Protocol):
    """Who is told of what happened, one happening at a time and in order."""

    def __call__(self, happening: Happening, /) -> object: ...


@dataclass(slots=True)
class _Environment:
    """The function as it was at the last look; callers of an alias meet what nobody reads back."""

    shown: Mapping[str, str]
    served: Mapping[str, str]
    token: str
    status: str


@dataclass
class Witness:
    """Sees the function in `world` and what is in `store`, which nobody else has in his hands.

    heard: is told of every happening, at the very step. stored, histories: everything, as it was at
    the last look.
    """

    world: World
    target: LambdaEnv
    store: Store
    heard: Heard
    stored: dict[str, Rollout] = field(default_factory=dict)
    histories: dict[str, tuple[Entry, ...]] = field(default_factory=dict)
    _known: _Environment = field(init=False)

    def __post_init__(self) -> None:
        self._known = self._environment()

    # --- looking --------------------------------------------------------------------------------

    def look(self, by: str, crossing: Crossing | None = None) -> list[Happening]:
        """Return what has happened since the last look, put down to `by`, oldest first.

        crossing: the step that `by` has just taken; what it cannot have changed is not looked at.
        """
        found = list(self._changes_of_function(by, crossing))
        if crossing is None or crossing.operation in _WRITES:
            listed = crossing is None or crossing.operation in _CREATES
            found += self._changes_of_store(by, listed=listed)
        for happening in found:
            self.heard(happening)
        return found

    def watching(self, fate: Fate) -> Fate:
        """Return `fate` with a look right after each call that is made, and before others act."""

        def watched(crossing: Crossing, proceed: Proceed) -> Any:
            if crossing.number == 0:
                self.heard(Began(self._now, crossing.process))

            def seen() -> Any:
                try:
                    return proceed()
                finally:
                    self.look(crossing.process, crossing)

            if crossing.service != LAMBDA:
                return fate(crossing, seen)
            return self._answered(crossing, lambda: fate(crossing, seen))

        return watched

    def metrics(self, by: str, source: MetricSource) -> MetricSource:
        """Return `source` in the hands of the process `by`; what it shows is judged beside it."""

        def told(answer: Mapping[Query, Series], span: Span) -> None:
            weight, token = meant_by(self.target, self._known.shown), self._known.token
            for rollout_id, verdict in verdicts(self.stored.values(), answer, span, weight, token):
                self.heard(Judged(self._now, by, rollout_id, verdict))

        return Measuring(source, told)

    def notifier(self, by: str) -> Notifier:
        """Return the notifier of the process `by`."""
        return _Telling(lambda rollout, notice: self.heard(Told(self._now, by, rollout, notice)))

    # --- what only the story knows --------------------------------------------------------------

    def asked(self, by: str, verb: str) -> None:
        """Note what a person asks by the process `by`."""
        self.heard(Asked(self._now, by, str(verb)))

    def ended(self, by: str, status: int | None) -> None:
        """Note that the process `by` has ended; None: it crashed."""
        self.heard(Ended(self._now, by, status))

    # --- inside ---------------------------------------------------------------------------------

    @property
    def _now(self) -> datetime:
        return self.world.clock.now()

    def _environment(self) -> _Environment:
        one = self.world.function(self.target.function)
        return _Environment(one.variables, one.served, one.revision, one.status)

    def _changes_of_function(self, by: str, crossing: Crossing | None) -> Iterator[Happening]:
        before, after = self._known, self._environment()
        if after.token == before.token and after.served == before.served:
            return
        self._known = after
        moving = after.status == "InProgress"
        if after.shown != before.shown or moving:  # a finished update shows what it showed before
            slept = crossing is not None and crossing.service == CLOCK
            yield Wrote(
                at=self._now,
                by=PERSON if slept else by,
                before=before.shown,
                after=after.shown,
                weight_before=meant_by(self.target, before.shown),
                weight_after=meant_by(self.target, after.shown),
                stored=tuple(self.stored.values()),
                token=before.token,
                full_before=may_be_full(self.target, before.shown),
            )
        if not moving:
            weight = meant_by(self.target, after.served)
            yield InForce(self._now, TIME, weight, after.status == "Failed")

    def _changes_of_store(self, by: str, *, listed: bool) -> Iterator[Happening]:
        for rollout_id in self.store.all() if listed else tuple(self.stored):
            before, after = self.stored.get(rollout_id), self.store.load(rollout_id)
            if before is not None and _stamp(before) == _stamp(after):
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
            yield Saved(self._now, by, before, after, gained, kept, owners, final)

    def _answered(self, crossing: Crossing, proceed: Proceed) -> Any:
        sound = False
        try:
            answer = proceed()
            at_rest = self._known.status == "Successful"
            sound = at_rest and "Error" not in (answer.get("Environment") or {})
            return answer
        except CrashedError:
            sound = True  # what became of the process is not Lambda's fault
            raise
        finally:
            self.heard(Answered(self._now, crossing.process, crossing.operation, sound))


def _stamp(rollout: Rollout) -> tuple[object, ...]:
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


class _Telling:
    def __init__(self, told: Callable[[Rollout, Notice], object]) -> None:
        self._told = told

    def notify(self, rollout: Rollout, notice: Notice) -> None:
        """Take note of `notice`."""
        self._told(rollout, notice)
