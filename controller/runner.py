"""The tick: load, observe, decide, act, record. And what people ask for, on the same way."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from controller import events, stopping
from controller.acting import Acting
from controller.carrying import FOLLOW, Carrying, Visit
from controller.core.asked import MEASURED, Ask, Verb, asked
from controller.core.decide import decide
from controller.core.effects import Alert, Decision, Lower
from controller.core.observation import Observation, Reading
from controller.core.overtaken import overtaken
from controller.core.rollout import Rollout
from controller.core.transitions import lower
from controller.errors import Exit, StateConflictError, StoreError
from controller.leasing import Leasing, Missed, Taken
from controller.looking import Answers, Look, Looking, facts
from controller.ports import Clock, Notifier, Store

log = events.logger()


@dataclass(frozen=True, slots=True)
class Ticked:
    """What became of the rollouts of a tick; how those stand that it missed, nobody knows."""

    visits: list[Visit]
    missed: list[Missed] = field(default_factory=list)

    @property
    def status(self) -> Exit:
        """The worst of what a tick has led to: 5, 1, 6, 75, else 0."""
        alerts = {alert for visit in self.visits for alert in visit.alerts}
        if Alert.ROLLBACK_UNCONFIRMED in alerts:
            return Exit.UNCONFIRMED
        if self.missed or any(visit.problem for visit in self.visits):
            return Exit.INTERNAL
        if Alert.DRIFT in alerts:
            return Exit.DRIFT
        return Exit.BUSY if any(visit.busy for visit in self.visits) else Exit.DONE


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

    def tick(self, ids: Sequence[str]) -> Ticked:
        """Visit each rollout of `ids` once, with one read of the metrics for all of them.

        Those that need no metrics go first: a rollback does not wait for CloudWatch. Those that
        another run has are left to it. What goes wrong with one rollout is told of that one.

        Raises UnknownRolloutError and MovedError before anything is touched.
        """
        with self._leasing.each(ids) as taken:
            if taken.gone:
                raise taken.gone[0]
            return self._ticked(taken)

    def tick_active(self) -> Ticked:
        """Visit every rollout that has something to do, as `tick` does.

        Those that moved away since the store listed them are not ours any more. Raises StoreError
        when the store cannot list them.
        """
        with self._leasing.each(self.store.active(self.clock.now())) as taken:
            return self._ticked(taken)

    def visit(self, rollout_id: str) -> Visit:
        """Visit one rollout, as `tick` does. Raises StoreError too when it cannot be read."""
        ticked = self.tick([rollout_id])
        if ticked.missed:
            raise ticked.missed[0].error
        return ticked.visits[0]

    def _ticked(self, taken: Taken) -> Ticked:
        visits, looks = list[Visit](), list[Look]()
        for rollout in taken.rollouts:
            stopping.point()
            try:
                looks.append(self.looking.look(rollout))
            except StoreError as error:
                log.error("load_failed", **facts(rollout, error))
                visits.append(Visit(rollout, problem=str(error), saved=False))
        urgent = [look for look in looks if not look.wants]
        others = [look for look in looks if look.wants]
        visits += [self._visit(look, look.seen(Answers()), taken) for look in urgent]
        stopping.point()
        answers = self.looking.ask(others)
        # A log may take its time to be searched: whoever needs none does not wait for it.
        quick = [look for look in others if not look.wants.logs]
        visits += [self._visit(look, look.seen(answers), taken) for look in quick]
        slow = [look for look in others if look.wants.logs]
        answers = self.looking.search(slow, answers)
        visits += [self._visit(look, look.seen(answers), taken) for look in slow]
        visits += [Visit(rollout, busy=True) for rollout in taken.busy]
        return Ticked(visits, taken.missed)

    def _visit(self, look: Look, seen: Observation, taken: Taken) -> Visit:
        stopping.point()
        rollout = look.rollout
        decision = decide(rollout, seen, look.now)
        problem = taken.unwritable.get(rollout.id)
        if problem is None:
            return self._carried(rollout, seen, decision)
        if not isinstance(decision.move, Lower):
            return Visit(rollout, problem=str(problem), saved=False)
        visit = self._carried(rollout, seen, decision)
        return replace(visit, problem=visit.problem or str(problem))

    def _carried(self, rollout: Rollout, seen: Observation, decision: Decision) -> Visit:
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
        stopping.point()
        rollout, entries = self._acting.recorded(decision.rollout, Observation(target), decision)
        self.store.create(rollout, entries, rollout.locks, hold=self._leasing.until())
        log.info("rollout_started", rollout=rollout.id, revision=rollout.revision)
        try:
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
            seen = Observation(look.target, {}, look.owns)
            if ask.verb in MEASURED:
                seen = look.seen(self.looking.search([look], self.looking.ask([look])))
            if ask.verb is Verb.ATTEST:
                ask = replace(ask, by=self.by)
            stopping.point()
            return self._carrying.out(rollout, seen, asked(rollout, ask, seen, look.now))

    def roll_back(self, rollout_id: str, why: str) -> Visit:
        """Roll one rollout back because a person said so, whatever else is in the way.

        The person waits: for 0 % to be written, and again to see it in force, as long as the
        policy's rollback_timeout. Raises UnknownRolloutError, StoreError when the rollout cannot be
        read; that it cannot be written is a problem of the visit, and traffic is down by then.
        """

        def by_hand(rollout: Rollout, seen: Observation, now: datetime) -> Decision:
            decision = asked(rollout, Ask(Verb.ROLLBACK, why), seen, now)
            patient = replace(lower(rollout), within=rollout.policy.rollback_timeout)
            return replace(decision, move=patient)

        patience: timedelta = self.store.load(rollout_id).policy.rollback_timeout
        stopping.point()
        try:
            return self._carrying.insist(rollout_id, by_hand, patience)
        finally:
            self._leasing.give_back(rollout_id)

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
