"""The tick: load, observe, decide, act, record. It branches on moves, never on phases.

Less traffic: act, then save. More traffic: save, then act. A move is followed for a short while,
and when it is seen in force within that time, that is recorded too.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from controller import events
from controller.acting import Acting
from controller.core.decide import decide, roll_back
from controller.core.effects import Alert, Decision, Lower, Shift
from controller.core.observation import Observation, Reading, Unreadable
from controller.core.overtaken import overtaken
from controller.core.rollout import Rollout
from controller.errors import StateConflictError, StoreError, UnknownRolloutError
from controller.looking import Look, Looking, facts
from controller.ports import Clock, Notifier, Store

log = events.logger()

# How long a tick follows its own move before it leaves it to the next.
FOLLOW = timedelta(seconds=30)
# How often a rollback that was carried out is recorded anew when other runs save first.
ROLLBACK_SAVES = 5


@dataclass(frozen=True, slots=True)
class Visit:
    """One rollout visited: where it stands now, and whether that needs an exit status of its own.

    busy: another run saved first, and this one changed nothing.
    problem: why the target could not be read, or the decision not be saved; else empty.
    saved: False when the decision could not be saved; `rollout` is then what was carried out of it.
    """

    rollout: Rollout
    alerts: tuple[Alert, ...] = ()
    busy: bool = False
    problem: str = ""
    saved: bool = True


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

    @property
    def _acting(self) -> Acting:
        return Acting(self.looking, self.notifier, self.by)

    def tick(self, ids: Sequence[str]) -> list[Visit]:
        """Visit each rollout of `ids` once, with one read of the metrics for all of them.

        Those that need no metrics go first: a rollback does not wait for CloudWatch.

        Raises UnknownRolloutError before anything is touched, and StoreError for a rollout that
        cannot be read, after the others were visited. A state that cannot be written is a problem
        of its visit.
        """
        looks, damaged = self._look_at(ids)
        urgent = [look for look in looks if not look.wants.queries]
        others = [look for look in looks if look.wants.queries]
        visits = [self._visit(look.rollout, look.seen({}), look.now) for look in urgent]
        answer = self.looking.measure(others)
        visits += [self._visit(look.rollout, look.seen(answer), look.now) for look in others]
        if damaged:
            raise damaged[0]
        return visits

    def _look_at(self, ids: Sequence[str]) -> tuple[list[Look], list[StoreError]]:
        looks: list[Look] = []
        damaged: list[StoreError] = []
        for rollout_id in dict.fromkeys(ids):
            try:
                rollout = self.store.load(rollout_id)
            except UnknownRolloutError:
                raise
            except StoreError as error:
                log.error("load_failed", rollout=rollout_id, problem=str(error))
                damaged.append(error)
            else:
                looks.append(self.looking.look(rollout))
        return looks, damaged

    def begin(self, decision: Decision, target: Reading) -> Rollout:
        """Create the rollout of `decision`, take its locks, and carry out its first move.

        Raises TargetTakenError, StateConflictError: nothing was touched.
        """
        rollout, entries = self._acting.recorded(decision.rollout, Observation(target), decision)
        self.store.create(rollout, entries, rollout.locks)
        log.info("rollout_started", rollout=rollout.id, revision=rollout.revision)
        return self._act_saved(rollout, decision, FOLLOW).rollout

    def roll_back(self, rollout_id: str, why: str) -> Visit:
        """Roll one rollout back because a person said so, whatever else is in the way.

        The person waits: for 0 % to be written, and again to see it in force, as long as the
        policy's rollback_timeout. Raises UnknownRolloutError, StoreError when the rollout cannot be
        read; that it cannot be written is a problem of the visit, and traffic is down by then.
        """

        def by_hand(rollout: Rollout, seen: Observation, now: datetime) -> Decision:
            decision = roll_back(rollout, seen, now, why)
            return replace(decision, move=Lower(rollout.policy.rollback_timeout))

        patience: timedelta = self.store.load(rollout_id).policy.rollback_timeout
        return self._insist(rollout_id, by_hand, patience)

    # --- deciding and acting --------------------------------------------------------------------

    def _visit(self, rollout: Rollout, seen: Observation, now: datetime) -> Visit:
        decision = decide(rollout, seen, now)
        try:
            return self._carry_out(rollout, seen, decision, FOLLOW)
        except StateConflictError as error:
            log.warning("tick_lost", **facts(rollout, error))
            if not isinstance(decision.move, Lower):
                return Visit(rollout, busy=True)
        except StoreError as error:
            log.error("save_failed", **facts(rollout, error))
            return Visit(rollout, problem=str(error), saved=False)

        def again(stored: Rollout, seen: Observation, now: datetime) -> Decision:
            return overtaken(stored, decision, seen, now)

        return self._insist(rollout.id, again, FOLLOW, decision)

    def _insist(
        self,
        rollout_id: str,
        decided: Callable[[Rollout, Observation, datetime], Decision],
        patience: timedelta,
        lowered: Decision | None = None,
    ) -> Visit:
        """Carry a rollback out until it is recorded; other runs may save first, again and again.

        lowered: the decision of which only the record is missing. Raises StoreError when there is
        none and the rollout cannot be read.
        """
        problem = StoreError("it was not tried")
        for _ in range(ROLLBACK_SAVES):
            try:
                look = self.looking.look(self.store.load(rollout_id))
                seen = Observation(look.target, {}, look.owns)
                lowered = decided(look.rollout, seen, look.now)
                return self._carry_out(look.rollout, seen, lowered, patience)
            except StateConflictError as error:
                problem = error
            except StoreError as error:
                problem = error
                break
        if lowered is None:
            raise problem
        return self._unrecorded(lowered, problem, patience)

    def _carry_out(
        self, before: Rollout, seen: Observation, decision: Decision, patience: timedelta
    ) -> Visit:
        """Act and save in the order that is safe for the move, then follow it and tell people.

        Raises StateConflictError; and StoreError when nothing was lowered.
        """
        if isinstance(decision.move, Lower):
            decision = self._acting.lower(decision, decision.move)
        try:
            after = self._acting.save(before, seen, decision)
        except StateConflictError:
            raise
        except StoreError as error:
            if not isinstance(decision.move, Lower):
                raise
            return self._unrecorded(decision, error, patience)
        visit = self._act_saved(after, decision, patience)
        if not visit.problem and not before.final and isinstance(seen.target, Unreadable):
            visit = replace(visit, problem=seen.target.reason)
        _log_tick(visit, seen)
        return visit

    def _act_saved(self, rollout: Rollout, decision: Decision, patience: timedelta) -> Visit:
        """Do what comes after the save: tell people, raise, follow the move."""
        self._acting.tell(rollout, decision.notices)
        match decision.move:
            case Shift(weight=weight) as move if self._acting.shift_once(rollout, move):
                visit = self._follow(rollout, weight, patience)
            case Lower():
                visit = self._follow(rollout, 0, patience)
            case _:
                visit = Visit(rollout)
        return replace(visit, alerts=_alerts(decision))

    def _follow(self, rollout: Rollout, weight: int, patience: timedelta) -> Visit:
        """Wait a while for the move to be in force; record it when it was seen."""
        target = self._acting.settled(rollout, patience)
        if isinstance(target, Unreadable) or not target.stands_at(weight):
            return Visit(rollout)
        seen = Observation(target)
        decision = decide(rollout, seen, self.clock.now())
        if decision.record is None or decision.move is not None:
            return Visit(rollout)
        try:
            after = self._acting.save(rollout, seen, decision)
        except StateConflictError:  # a tick beside this one has recorded it already
            return self._as_stored(decision.rollout)
        except StoreError as error:  # the next tick sees the same and records it
            log.error("save_failed", **facts(rollout, error))
            return Visit(decision.rollout, problem=str(error), saved=False)
        self._acting.tell(after, decision.notices)
        return Visit(after)

    def _as_stored(self, rollout: Rollout) -> Visit:
        try:
            return Visit(self.store.load(rollout.id))
        except StoreError as error:
            log.error("load_failed", **facts(rollout, error))
            return Visit(rollout, problem=str(error), saved=False)

    def _unrecorded(self, decision: Decision, error: StoreError, patience: timedelta) -> Visit:
        """Return what a rollback has led to that was carried out and could not be saved."""
        rollout = decision.rollout
        log.error("save_failed", **facts(rollout, error))
        self._acting.tell(rollout, decision.notices)
        target = self._acting.settled(rollout, patience)
        after = decide(rollout, Observation(target), self.clock.now()).rollout
        return Visit(after, _alerts(decision), problem=str(error), saved=False)


def _alerts(decision: Decision) -> tuple[Alert, ...]:
    return () if decision.alert is None else (decision.alert,)


def _log_tick(visit: Visit, seen: Observation) -> None:
    rollout = visit.rollout
    log.info(
        "tick_completed",
        rollout=rollout.id,
        phase=str(rollout.phase),
        step=rollout.step,
        weight_percent=rollout.weight,
        seen_percent=seen.target.weight if isinstance(seen.target, Reading) else None,
        reason=str(rollout.reason),
        sentence=rollout.sentence,
        next=rollout.next,
        alerts=[str(alert) for alert in visit.alerts],
    )
