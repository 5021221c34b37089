"""Carrying a decision out: move the weight and save in the order that is safe, follow, tell.

Less traffic: act, then save. More traffic: save, then act. A move is followed for a short while,
and when it is seen in force within that time, that is recorded too.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from controller.core.conflict import undo_late_raise
from controller.core.decide import decide, with_refused_rollback
from controller.core.decision import Alert, Decision, Lower, Notice, Shift
from controller.core.history import Author, Entry, append, observation_data
from controller.core.judge.sealing import kept
from controller.core.observation import Observation, TargetReading, UnreadableTarget, UpdateStatus
from controller.core.outbox import enqueue_notices
from controller.core.rollout import Phase, Rollout
from controller.core.transitions import ROLLBACK_PHASES, is_raise_frozen, with_write_failure
from controller.engine.isolation import problem_of
from controller.engine.lease import LeaseManager, load_for_rollback
from controller.engine.observe import Observer, log_context
from controller.errors import (
    StateConflictError,
    StoreError,
    TargetError,
    WriteConflictError,
    WriteRefusedError,
)
from controller.ports.notify import Notifier
from controller.process import logging, signals

log = logging.logger()

POLL_INTERVAL = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class Actuator:
    """Writes through the ports.

    notifier: whom it tells. author: says who is written into the history, once a move is made.
    """

    observer: Observer
    notifier: Notifier
    author: Callable[[], Author]

    # --- moving the weight ----------------------------------------------------------------------

    def lower(self, decision: Decision, move: Lower) -> Decision:
        """Write 0 %, and return what `decision` is then: why that failed is part of the state.

        What is hopeless pages somebody. What may still pass is left to the next tick, until the
        policy's rollback_timeout pages; this tick ends with the alert.
        """
        rollout = decision.rollout
        try:
            target = self.observer.target_of(rollout)
            if not target.lower_to_zero(move.within, void=move.void, only=move.only):
                return decision  # the next tick tells whose weight that is
        except TargetError as error:
            log.critical("lower_failed", **log_context(rollout, error))
            hopeless = move.must_succeed or isinstance(error, WriteRefusedError)
            after = with_refused_rollback if hopeless else with_write_failure
            return after(decision, str(error), self.observer.clock.now())
        except Exception as error:  # noqa: BLE001 - a rollback is recorded, whatever stops its write
            problem = problem_of(error, rollout.id, "lowering the weight of")
            return with_write_failure(decision, str(problem), self.observer.clock.now())
        log.warning("weight_lowered", rollout=rollout.id, weight_percent=0)
        return decision

    def shift_once(self, rollout: Rollout, move: Shift) -> TargetError | None:
        """Write the weight once; return what failed, or None. The next tick looks again."""
        try:
            self.observer.target_of(rollout).shift_to(move.weight, move.token)
        except TargetError as error:
            log.error("shift_refused", **log_context(rollout, error))
            return error
        log.info("weight_shifted", rollout=rollout.id, weight_percent=move.weight)
        return None

    def wait_for_update(
        self, rollout: Rollout, timeout: timedelta
    ) -> TargetReading | UnreadableTarget:
        """Return what the target shows once its update is over, or `timeout` is.

        Nobody waits in a process that is asked to end: the next tick sees it.
        """
        clock = self.observer.clock
        deadline = clock.now() + timeout
        target = self.observer.read_target(rollout)
        while (
            _update_in_progress(target) and clock.now() < deadline and not signals.stop_requested()
        ):
            clock.sleep(POLL_INTERVAL)
            target = self.observer.read_target(rollout)
        return target

    # --- recording, telling ---------------------------------------------------------------------

    def save(
        self,
        before: Rollout,
        observation: Observation,
        decision: Decision,
        hold: datetime | None = None,
    ) -> Rollout:
        """Write the next state, and its record in the same breath.

        hold: until when this run still has the rollout; None: it is free with the save.
        Raises StateConflictError, StoreError: nothing was written.
        """
        after, entries = self.append_record(before, observation, decision)
        if before.final and not entries and _is_unchanged(before, after):
            return before  # a finished rollout that nothing happened to is not written again
        return self.observer.store.save(after, entries, hold=hold)

    def append_record(
        self, before: Rollout, observation: Observation, decision: Decision
    ) -> tuple[Rollout, list[Entry]]:
        """Return the next state with its chain moved on, and the entries to store with it."""
        if decision.record is None:
            return decision.rollout, []
        series = (
            kept(before, decision.rollout, observation.series)
            if decision.record.keeps_series
            else {}
        )
        data = observation_data(before, observation, series)
        who, run = self.author(), logging.run_id()
        after, entry = append(
            decision.rollout,
            decision.record,
            by=who.by,
            caller=who.caller,
            observation=data,
            run=run,
        )
        return after, [entry]

    def notify(self, rollout: Rollout, notices: Sequence[Notice]) -> None:
        """Tell people; a channel that fails stops no tick."""
        for notice in notices:
            try:
                self.notifier.notify(rollout, notice)
            except Exception as error:  # noqa: BLE001 - whatever a channel raises stops no tick
                text = notice.text
                log.error("notify_failed", rollout=rollout.id, notice=text, problem=str(error))


def _update_in_progress(target: TargetReading | UnreadableTarget) -> bool:
    return isinstance(target, TargetReading) and target.update is UpdateStatus.IN_PROGRESS


def _is_unchanged(before: Rollout, after: Rollout) -> bool:
    """Tell whether nothing but time has passed."""
    return replace(after, updated=before.updated) == before


# --- One visit ------------------------------------------------------------------------------------


# How long a tick follows its own move before it leaves it to the next.
APPLY_WAIT = timedelta(seconds=30)
# How often a rollback that was carried out is recorded anew when other runs save first.
ROLLBACK_SAVE_ATTEMPTS = 5


@dataclass(frozen=True, slots=True)
class Visit:
    """One rollout visited: where it stands now, and whether that needs an exit status of its own.

    busy: another run has it or saved first, and this one changed nothing.
    problem: why the target could not be read, or the decision not be saved; else empty.
    saved: False when the decision could not be saved; `rollout` is then what was carried out of it.
    seen: what a decision was carried out for, whose messages are still to be sent; else None.
    """

    rollout: Rollout
    alerts: tuple[Alert, ...] = ()
    busy: bool = False
    problem: str = ""
    saved: bool = True
    observation: Observation | None = None


@dataclass(frozen=True, slots=True)
class Executor:
    """Carries decisions out. It branches on moves, never on phases."""

    observer: Observer
    actuator: Actuator
    leases: LeaseManager

    def execute(
        self,
        before: Rollout,
        observation: Observation,
        decision: Decision,
        timeout: timedelta = APPLY_WAIT,
    ) -> Visit:
        """Act and save in the order that is safe for the move, then follow it and tell the log.

        Messages are left in the outbox of what is returned; this run still has its lease then.

        Raises StateConflictError; and StoreError when nothing was lowered.
        """
        if isinstance(decision.move, Lower):
            decision = self.actuator.lower(decision, decision.move)
        kept = enqueue_notices(decision, logging.run_id())
        try:
            after = self.actuator.save(before, observation, kept, self._hold_until(kept))
        except StateConflictError:
            raise
        except StoreError as error:
            if not isinstance(decision.move, Lower):
                raise
            return self._unsaved_rollback(decision, error, timeout)
        visit = self.after_save(after, decision, timeout)
        if (
            not visit.problem
            and not before.final
            and isinstance(observation.target, UnreadableTarget)
        ):
            visit = replace(visit, problem=observation.target.reason)
        return replace(visit, observation=observation)

    def _hold_until(self, decision: Decision) -> datetime | None:
        """Return until when a run keeps what it saves: for a move, or to tell somebody."""
        busy = decision.move is not None or decision.rollout.outbox
        return self.leases.expiry() if busy else None

    def after_save(self, rollout: Rollout, decision: Decision, timeout: timedelta) -> Visit:
        """Do what comes after the save: tell people, shift, follow the move."""
        self.actuator.notify(rollout, decision.notices)
        visit = Visit(rollout)
        if isinstance(decision.move, Shift):
            visit = self._shift(rollout, decision.move, timeout)
        elif isinstance(decision.move, Lower):
            visit = self._confirm_rollback(rollout, timeout)
        back = rollout.phase is Phase.ROLLING_BACK and visit.rollout.phase is Phase.ROLLED_BACK
        alerts = () if back else _alerts(decision)  # 0 % is in force after all
        return replace(visit, alerts=visit.alerts or alerts)

    def _shift(self, rollout: Rollout, move: Shift, timeout: timedelta) -> Visit:
        """Write a weight once and follow it; take it back if others went back to 0 % meanwhile.

        A target that changed under the write is looked at again by the next tick; any other failure
        is part of the state.
        A weight that a person set beside the one that is asked for is nothing to bake at. A raise
        that a freeze has come before is not written: what is decided then says so, and waits.
        """
        visit = Visit(rollout)
        if is_raise_frozen(rollout, move, self.observer.clock.now()):
            log.warning("raise_held_back", rollout=rollout.id, weight_percent=move.weight)
            return self._record_observation(
                rollout, Observation(self.observer.read_target(rollout))
            )
        error = self.actuator.shift_once(rollout, move)
        if error is not None and not isinstance(error, WriteConflictError):
            visit = self._record_write_failure(rollout, str(error))
        elif error is None and move.weight == rollout.weight:
            visit = self.confirm_weight(rollout, move.weight, timeout)
        if visit.rollout.version > rollout.version and visit.rollout.phase not in ROLLBACK_PHASES:
            return visit  # nobody has saved in between
        stored = self._reload(rollout)
        if stored.rollout.phase not in ROLLBACK_PHASES:
            return visit

        def back(stored: Rollout, seen: Observation, now: datetime) -> Decision:
            return undo_late_raise(stored, rollout, seen, now)

        try:
            return self.execute_rollback(rollout.id, back, timeout)
        except StoreError as error:  # the next tick finds what was written, and lowers it
            log.error("load_failed", **log_context(rollout, error))
            return Visit(stored.rollout, problem=str(error), saved=False)

    def confirm_weight(self, rollout: Rollout, weight: int, timeout: timedelta) -> Visit:
        """Wait a while for `weight` to be in force; record it when it was seen."""
        target = self.actuator.wait_for_update(rollout, timeout)
        if isinstance(target, UnreadableTarget) or not target.has_applied(weight):
            return Visit(rollout)
        return self._record_observation(rollout, Observation(target))

    def _confirm_rollback(self, rollout: Rollout, timeout: timedelta) -> Visit:
        """Wait a while for 0 % to be in force; what shows no 0 % then is a write that failed."""
        target = self.actuator.wait_for_update(rollout, timeout)
        if isinstance(target, UnreadableTarget):
            return Visit(rollout)
        if target.has_applied(0):
            return self._record_observation(rollout, Observation(target))
        tried = rollout.phase is Phase.ROLLING_BACK and not rollout.write_error
        tried = tried and not self.observer.dry_run
        if not tried or target.update is UpdateStatus.IN_PROGRESS:
            return Visit(rollout)
        problem = f"0 % was written, and the target shows {target.shown}"
        if target.update is UpdateStatus.FAILED:
            problem += f", for its update failed: {target.detail or 'no reason given'}"
        return self._record_write_failure(rollout, problem)

    def _record_write_failure(self, rollout: Rollout, problem: str) -> Visit:
        """Record that the move of a decision failed that is saved, when that is new."""
        seen = Observation(self.observer.read_target(rollout))
        failed = with_write_failure(
            Decision(rollout), problem, self.observer.clock.now(), saved=True
        )
        if failed.record is None:
            return Visit(rollout, _alerts(failed))
        return self._save_decision(rollout, seen, failed)

    def _record_observation(self, rollout: Rollout, observation: Observation) -> Visit:
        """Record what follows from what was `observation`, where that is no move."""
        decision = decide(rollout, observation, self.observer.clock.now())
        if decision.record is None or decision.move is not None:
            return Visit(rollout)
        return self._save_decision(rollout, observation, decision)

    def _save_decision(
        self, rollout: Rollout, observation: Observation, decision: Decision
    ) -> Visit:
        """Save `decision`, of which nothing is left to be done, and tell people."""
        kept = enqueue_notices(decision, logging.run_id())
        hold = self._hold_until(kept)
        try:
            after = self.actuator.save(rollout, observation, kept, hold)
        except StateConflictError:  # a tick beside this one has recorded it already
            return self._reload(decision.rollout)
        except StoreError as error:  # the next tick sees the same and records it
            log.error("save_failed", **log_context(rollout, error))
            return Visit(decision.rollout, problem=str(error), saved=False)
        self.actuator.notify(after, decision.notices)
        return Visit(after, _alerts(decision))

    def execute_rollback(
        self,
        rollout_id: str,
        decision_of: Callable[[Rollout, Observation, datetime], Decision],
        timeout: timedelta,
        unsaved: Decision | None = None,
    ) -> Visit:
        """Carry a rollback out until it is recorded; other runs may save first, again and again.

        It waits for no lease, and takes the one that another run has; nor does it ask who owns the
        target. The lease is left to whoever called.

        unsaved: the decision of which only the record is missing. Raises StoreError when there is
        none and the rollout cannot be read.
        """
        problem = StoreError("it was not tried")
        for _ in range(ROLLBACK_SAVE_ATTEMPTS):
            self.leases.release(rollout_id)
            try:
                rollout = load_for_rollback(self.observer.store, rollout_id)
                seen = Observation(self.observer.read_target(rollout))
                unsaved = decision_of(rollout, seen, self.observer.clock.now())
                return self.execute(rollout, seen, unsaved, timeout)
            except StateConflictError as error:
                problem = error
            except StoreError as error:
                problem = error
                break
        if unsaved is None:
            raise problem
        return self._unsaved_rollback(unsaved, problem, timeout)

    def _reload(self, rollout: Rollout) -> Visit:
        try:
            return Visit(self.observer.store.load(rollout.id))
        except StoreError as error:
            log.error("load_failed", **log_context(rollout, error))
            return Visit(rollout, problem=str(error), saved=False)

    def _unsaved_rollback(self, decision: Decision, error: StoreError, timeout: timedelta) -> Visit:
        """Return what a rollback has led to that was carried out and could not be saved."""
        rollout = enqueue_notices(decision, logging.run_id()).rollout
        log.error("save_failed", **log_context(rollout, error))
        self.actuator.notify(rollout, decision.notices)
        seen = Observation(self.actuator.wait_for_update(rollout, timeout))
        after = decide(rollout, seen, self.observer.clock.now()).rollout
        return Visit(after, _alerts(decision), problem=str(error), saved=False, observation=seen)


def _alerts(decision: Decision) -> tuple[Alert, ...]:
    return () if decision.alert is None else (decision.alert,)
