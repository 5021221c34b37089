"""The tick: load, observe, decide, act, record. And what people ask for, on the same way."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from controller import events
from controller.acting import Acting
from controller.carrying import FOLLOW, Carrying, Visit
from controller.core.asked import Ask, Verb, asked
from controller.core.decide import decide
from controller.core.effects import Decision, Lower
from controller.core.observation import Observation, Reading
from controller.core.overtaken import overtaken
from controller.core.rollout import Rollout
from controller.errors import (
    LeaseHeldError,
    StateConflictError,
    StoreError,
    UnknownRolloutError,
)
from controller.leasing import Leasing
from controller.looking import Look, Looking, facts
from controller.ports import Clock, Notifier, Store

log = events.logger()


@dataclass(frozen=True, slots=True)
class Runner:
    """Visits rollouts. Everything it touches comes in through the ports.

    looking: how it sees; notifier: whom it tells; by: who is written into the history.
    """

    looking: Looking
    notifier: Notifier
    by: str

    @property
    def store(self) -> Store:
        """Where rollouts are kept."""
        return self.looking.store

    @property
    def clock(self) -> Clock:
        """What it goes by."""
        return self.looking.clock

    # --- ticks ----------------------------------------------------------------------------------

    def tick(self, ids: Sequence[str]) -> list[Visit]:
        """Visit each rollout of `ids` once, with one read of the metrics for all of them.

        Those that need no metrics go first: a rollback does not wait for CloudWatch. Those that
        another run has are left to it.

        Raises UnknownRolloutError before anything is touched, and StoreError for a rollout that
        cannot be read, after the others were visited. A state that cannot be written is a problem
        of its visit.
        """
        with self._held(ids) as held:
            looks = [self.looking.look(rollout) for rollout in held.rollouts]
            urgent = [look for look in looks if not look.wants.queries]
            others = [look for look in looks if look.wants.queries]
            visits = [self._visit(look, look.seen({})) for look in urgent]
            answer = self.looking.measure(others)
            visits += [self._visit(look, look.seen(answer)) for look in others]
        if held.damaged:
            raise held.damaged[0]
        return [*visits, *held.busy]

    @contextmanager
    def _held(self, ids: Sequence[str]) -> Iterator["_Held"]:
        """Yield the rollouts of `ids` that no other run has, for this run alone."""
        held = _Held([], [], [])
        try:
            for rollout_id in dict.fromkeys(ids):
                try:
                    self._take(rollout_id, held)
                except UnknownRolloutError:
                    raise
                except StoreError as error:
                    log.error("load_failed", rollout=rollout_id, problem=str(error))
                    held.damaged.append(error)
            yield held
        finally:
            for rollout in held.rollouts:
                self._leasing.give_back(rollout.id)

    def _take(self, rollout_id: str, held: "_Held") -> None:
        try:
            held.rollouts.append(self._leasing.take(rollout_id))
        except LeaseHeldError as error:
            log.warning("tick_lost", rollout=rollout_id, problem=str(error))
            held.busy.append(Visit(self.store.load(rollout_id), busy=True))

    def _visit(self, look: Look, seen: Observation) -> Visit:
        rollout = look.rollout
        decision = decide(rollout, seen, look.now)
        try:
            return self._carrying.out(rollout, seen, decision)
        except StateConflictError as error:
            log.warning("tick_lost", **facts(rollout, error))
            if not isinstance(decision.move, Lower):
                return Visit(rollout, busy=True)
        except StoreError as error:
            log.error("save_failed", **facts(rollout, error))
            return Visit(rollout, problem=str(error), saved=False)

        def again(stored: Rollout, seen: Observation, now: datetime) -> Decision:
            return overtaken(stored, decision, seen, now)

        return self._carrying.insist(rollout.id, again, FOLLOW, decision)

    # --- people ---------------------------------------------------------------------------------

    def begin(self, decision: Decision, target: Reading) -> Visit:
        """Create the rollout of `decision`, take its locks, and carry out its first move.

        What comes after the creation may fail to be saved: that is a problem of the visit.

        Raises TargetTakenError, StateConflictError: nothing was touched.
        """
        rollout, entries = self._acting.recorded(decision.rollout, Observation(target), decision)
        self.store.create(rollout, entries, rollout.locks, hold=self._leasing.until())
        log.info("rollout_started", rollout=rollout.id, revision=rollout.revision)
        try:
            if decision.move is None:  # the weight is live already
                self._acting.tell(rollout, decision.notices)
                return self._carrying.follow(rollout, rollout.weight, FOLLOW)
            return self._carrying.after_save(rollout, decision, FOLLOW)
        finally:
            self._leasing.give_back(rollout.id)

    def ask(self, rollout_id: str, ask: Ask) -> Visit:
        """Do what a person asks of one rollout, once a tick that has it is done.

        Raises UsageError when it does not fit, LeaseHeldError, StateConflictError, StoreError and
        UnknownRolloutError: nothing was changed.
        """
        if ask.verb is Verb.ROLLBACK:
            return self.roll_back(rollout_id, ask.reason)
        with self._leasing.held(rollout_id) as rollout:
            look = self.looking.look(rollout)
            answer = self.looking.measure([look]) if ask.verb is Verb.PROMOTE else {}
            seen = look.seen(answer) if answer else Observation(look.target, {}, look.owns)
            return self._carrying.out(rollout, seen, asked(rollout, ask, seen, look.now))

    def roll_back(self, rollout_id: str, why: str) -> Visit:
        """Roll one rollout back because a person said so, whatever else is in the way.

        The person waits: for 0 % to be written, and again to see it in force, as long as the
        policy's rollback_timeout. Raises UnknownRolloutError, StoreError when the rollout cannot be
        read; that it cannot be written is a problem of the visit, and traffic is down by then.
        """

        def by_hand(rollout: Rollout, seen: Observation, now: datetime) -> Decision:
            decision = asked(rollout, Ask(Verb.ROLLBACK, why), seen, now)
            return replace(decision, move=Lower(rollout.policy.rollback_timeout))

        patience: timedelta = self.store.load(rollout_id).policy.rollback_timeout
        return self._carrying.insist(rollout_id, by_hand, patience)

    # --- parts ----------------------------------------------------------------------------------

    @property
    def _acting(self) -> Acting:
        return Acting(self.looking, self.notifier, self.by)

    @property
    def _leasing(self) -> Leasing:
        return Leasing(self.store, self.clock)

    @property
    def _carrying(self) -> Carrying:
        return Carrying(self.looking, self._acting, self._leasing)


@dataclass(frozen=True, slots=True)
class _Held:
    """What a tick has, what other runs have, and what could not be read."""

    rollouts: list[Rollout]
    busy: list[Visit]
    damaged: list[StoreError]
