"""The tick: load, observe, decide, act, record. It branches on moves, never on phases.

Less traffic: act, then save. More traffic: save, then act. A move is followed for a short while,
and when it is seen in force within that time, that is recorded too.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from controller import events
from controller.core.decide import decide, roll_back
from controller.core.effects import Alert, Decision, Lower, Notice, Raise, Severity
from controller.core.history import Entry, append, series_data, target_data
from controller.core.observation import Observation, Reading, Unreadable, Update
from controller.core.rollout import Rollout
from controller.errors import (
    StateConflictError,
    StoreError,
    TargetError,
    UnknownRolloutError,
    WriteRefusedError,
)
from controller.looking import Look, Looking, facts
from controller.ports import Clock, Notifier, Store

log = events.logger()

# How long a tick follows its own move before it leaves it to the next.
FOLLOW = timedelta(seconds=30)
LOOK_EVERY = timedelta(seconds=1)
ROLLBACK_SAVES = 5


@dataclass(frozen=True, slots=True)
class Visit:
    """One rollout visited: where it stands now, and whether that needs an exit status of its own.

    busy: another run saved first, and this one changed nothing durable.
    problem: why the target could not be read, or the decision not be saved; else empty.
    """

    rollout: Rollout
    alerts: tuple[Alert, ...] = ()
    busy: bool = False
    problem: str = ""


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
        rollout, entries = self._recorded(Observation(target), decision)
        self.store.create(rollout, entries, rollout.locks)
        log.info("rollout_started", rollout=rollout.id, revision=rollout.revision)
        return self._act_saved(rollout, decision)

    def roll_back(self, rollout_id: str, why: str) -> Visit:
        """Roll one rollout back because a person said so, whatever else is in the way.

        Raises UnknownRolloutError, StoreError, and StateConflictError when ticks were faster again
        and again; traffic is down by then, only the record is not written.
        """
        for _ in range(ROLLBACK_SAVES - 1):
            try:
                return self._roll_back(rollout_id, why)
            except StateConflictError:
                continue
        return self._roll_back(rollout_id, why)

    def _roll_back(self, rollout_id: str, why: str) -> Visit:
        look = self.looking.look(self.store.load(rollout_id))
        seen = Observation(look.target, {}, look.owns)
        return self._carry_out(look.rollout, seen, roll_back(look.rollout, seen, look.now, why))

    # --- deciding and acting --------------------------------------------------------------------

    def _visit(self, rollout: Rollout, seen: Observation, now: datetime) -> Visit:
        decision = decide(rollout, seen, now)
        try:
            return self._carry_out(rollout, seen, decision)
        except StateConflictError as error:
            log.warning("tick_lost", **facts(rollout, error))
            return Visit(rollout, busy=True)
        except StoreError as error:
            log.error("save_failed", **facts(rollout, error))
            if isinstance(decision.move, Lower):  # it was carried out, and people must hear of it
                self._tell_all(rollout, decision.notices)
            return Visit(rollout, problem=str(error))

    def _carry_out(self, before: Rollout, seen: Observation, decision: Decision) -> Visit:
        """Act and save in the order that is safe for the move, then follow it and tell people."""
        alerts = [decision.alert] if decision.alert else []
        move = decision.move
        if isinstance(move, Lower) and not self._lower(decision.rollout, move):
            alerts.append(Alert.ROLLBACK_UNCONFIRMED)
        after = self._act_saved(self._save(before, seen, decision), decision)
        _log_tick(after, seen, alerts)
        problem = seen.target.reason if isinstance(seen.target, Unreadable) else ""
        return Visit(after, tuple(dict.fromkeys(alerts)), problem="" if before.final else problem)

    def _act_saved(self, rollout: Rollout, decision: Decision) -> Rollout:
        """Do what comes after the save: raise, follow the move, tell people."""
        self._tell_all(rollout, decision.notices)
        match decision.move:
            case Raise(weight=weight) as move:
                return self._follow(rollout, weight) if self._raise(rollout, move) else rollout
            case Lower():
                return self._follow(rollout, 0)
            case None:
                return rollout

    def _lower(self, rollout: Rollout, move: Lower) -> bool:
        """Write 0 %; False when that is hopeless, so that somebody is paged at once."""
        try:
            self.looking.target_of(rollout).lower_to_zero(move.within)
        except TargetError as error:
            log.critical("lower_failed", **facts(rollout, error))
            if move.must_succeed or isinstance(error, WriteRefusedError):
                text = f"{rollout.id} is NOT rolled back: {error}"
                self._tell_all(rollout, [Notice(Severity.CRITICAL, text)])
                return False
            return True  # the next tick goes on, until the policy's rollback_timeout pages
        log.warning("weight_lowered", rollout=rollout.id, weight_percent=0)
        return True

    def _raise(self, rollout: Rollout, move: Raise) -> bool:
        """Write the weight once; False when it was not written. The next tick looks again."""
        try:
            self.looking.target_of(rollout).raise_to(move.weight, move.token)
        except TargetError as error:
            log.error("raise_refused", **facts(rollout, error))
            return False
        log.info("weight_raised", rollout=rollout.id, weight_percent=move.weight)
        return True

    def _follow(self, rollout: Rollout, weight: int) -> Rollout:
        """Wait a short while for the move to be in force; record it when it was seen."""
        deadline = self.clock.now() + FOLLOW
        target = self.looking.read_target(rollout)
        while _moving(target) and self.clock.now() < deadline:
            self.clock.sleep(LOOK_EVERY)
            target = self.looking.read_target(rollout)
        if isinstance(target, Unreadable) or not target.stands_at(weight):
            return rollout
        seen = Observation(target)
        now = max(self.clock.now(), rollout.updated)
        decision = decide(rollout, seen, now)
        if decision.record is None or decision.move is not None:
            return rollout
        try:
            after = self._save(rollout, seen, decision)
        except StateConflictError:  # a tick beside this one has recorded it already
            return self.store.load(rollout.id)
        self._tell_all(after, decision.notices)
        return after

    # --- recording ------------------------------------------------------------------------------

    def _save(self, before: Rollout, seen: Observation, decision: Decision) -> Rollout:
        """Write the next state, and its record in the same breath."""
        after, entries = self._recorded(seen, decision)
        if before.final and not entries:
            return before  # a finished rollout that nothing happened to is not written again
        return self.store.save(after, entries)

    def _recorded(self, seen: Observation, decision: Decision) -> tuple[Rollout, list[Entry]]:
        """Return the next state with its chain moved on, and the entries to store with it."""
        if decision.record is None:
            return decision.rollout, []
        kept = series_data(seen.series) if decision.record.keeps_series else {}
        data = {"target": target_data(seen.target), "series": kept}
        after, entry = append(decision.rollout, decision.record, by=self.by, seen=data)
        return after, [entry]

    def _tell_all(self, rollout: Rollout, notices: Sequence[Notice]) -> None:
        for notice in notices:
            try:
                self.notifier.notify(rollout, notice)
            except Exception as error:  # noqa: BLE001 - whatever a channel raises stops no tick
                text = notice.text
                log.error("notify_failed", rollout=rollout.id, notice=text, problem=str(error))


def _moving(target: Reading | Unreadable) -> bool:
    return isinstance(target, Reading) and target.update is Update.IN_PROGRESS


def _log_tick(rollout: Rollout, seen: Observation, alerts: Sequence[Alert]) -> None:
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
        alerts=[str(alert) for alert in alerts],
    )
