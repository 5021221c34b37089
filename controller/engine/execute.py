"""Executes a decision: writes the weight and saves in the safe order, reads back, notifies.

Less traffic: write, then save. More traffic: save, then write. The target is read for a short while
after a write; a weight that is applied within that time is recorded too.
"""

from collections.abc import Callable, Mapping
from datetime import timedelta
from functools import partial
from typing import Any

from controller.core.decide import decide
from controller.core.decision import Alert, Decision, Record, SetWeight, SetZero
from controller.core.due import next_due
from controller.core.events import Event, LateRaise, Observed, RecordChanged, WriteFailed
from controller.core.history import (
    Author,
    Entry,
    SnapshotChangedError,
    append,
    observation_data,
    recorded_state,
)
from controller.core.judge.judgement import Judgement
from controller.core.judge.stored_series import trim_series
from controller.core.observation import Observation, TargetReading, UnreadableTarget, UpdateStatus
from controller.core.repeated_state import as_recorded, check_state, is_as_recorded, next_state
from controller.core.rollout import Phase, Rollout
from controller.core.transitions.pending_raise import is_raise_frozen, with_write_accepted
from controller.core.transitions.rollback import ROLLBACK_PHASES
from controller.engine import time_limits
from controller.engine.isolation import problem_of
from controller.engine.lease import LeaseManager, load_for_rollback
from controller.engine.observe import Observer, log_context
from controller.engine.outbox import Announce, Delivery, enqueue_notices, hook_record
from controller.errors import (
    StateChangedError,
    StateConflictError,
    StoreError,
    TargetError,
    WriteConflictError,
    WriteRefusedError,
)
from controller.immutable import Immutable, field, replace
from controller.process import logging, signals

log = logging.logger()


class TickOutcome(Immutable):
    """The result of visiting one rollout: its state, and what the exit status depends on.

    alerts: the alerts that this visit raised.
    busy: another run has the lease or saved first, and this run changed nothing.
    problem: why the target or a metric could not be read, or the decision not be saved; else empty.
    saved: False when the decision could not be saved; `rollout` is then the state as executed.
    observation: that of the executed decision, whose messages are still to be delivered; else None.
    entries: what was read back after the write, recorded in `rollout` and not saved yet. It is
        saved once the messages were sent, in the same write as what is left of them.
    repeated: an operator asked for what was done already.
    judgement: that of the executed decision; None where that has none.
    """

    rollout: Rollout
    alerts: tuple[Alert, ...] = ()
    busy: bool = False
    problem: str = ""
    saved: bool = True
    observation: Observation | None = None
    entries: tuple[Entry, ...] = ()
    repeated: bool = False
    judgement: Judgement | None = None

    @property
    def has_messages(self) -> bool:
        """Whether messages of this visit are still to be delivered, for which the lease is kept."""
        return self.observation is not None and bool(self.rollout.outbox)


class Recorded(Immutable):
    """The state that the newest entry of a history repeats.

    state: by field; None: it was not needed. problem: how the stored state differs.
    rollout: the one with the recorded state; None where nothing differs, or it is not known.
    """

    state: Mapping[str, Any] | None = None
    problem: StateChangedError | None = None
    rollout: Rollout | None = None


class Executor(Immutable):
    """Executes decisions. It branches on moves, never on phases.

    announce: shows every notice. author: returns the author for the history; called after a move.
    delivers: whether this run sends the messages of the outbox.
    """

    observer: Observer
    leases: LeaseManager
    announce: Announce
    author: Callable[[], Author]
    delivers: bool
    _newest: dict[str, tuple[str, Mapping[str, Any]]] = field(default_factory=dict)

    def execute(
        self,
        before: Rollout | None,
        observation: Observation,
        decision: Decision,
        timeout: timedelta = time_limits.APPLY_WAIT,
    ) -> TickOutcome:
        """Write and save in the order that is safe for the move, then wait for it to be applied.

        before: the state that was decided on; None: the decision creates the rollout.
        Messages stay in the outbox of the returned rollout, and this run keeps its lease for them.

        Raises StateConflictError, TargetTakenError; and StoreError, unless the weight was lowered.
        """
        move = decision.move
        if isinstance(move, SetZero):
            decision = self._lower(decision, move)
        try:
            before, decision, recorded = self._checked(before, observation, decision)
            saved = self._save(before, observation, decision, recorded)
        except StateConflictError:
            raise
        except StoreError as error:
            if not isinstance(move, SetZero):
                raise
            return self._unsaved_rollback(decision, error, timeout)
        self._announce_all(saved, decision)
        if isinstance(decision.move, SetWeight):
            visit = self._shift(saved, decision.move, timeout)
        elif isinstance(move, SetZero):
            visit = self._confirm_rollback(saved, timeout)
        else:
            visit = TickOutcome(saved)
        confirmed = saved.phase is Phase.ROLLING_BACK and visit.rollout.phase is Phase.ROLLED_BACK
        alerts = () if confirmed else _alerts(decision)  # 0% is applied after all
        unreadable = before is not None and not before.final
        if unreadable and isinstance(observation.target, UnreadableTarget):
            visit = replace(visit, problem=visit.problem or observation.target.reason)
        visit = replace(visit, problem=visit.problem or str(recorded.problem or ""))
        return replace(
            visit,
            alerts=visit.alerts or alerts,
            observation=observation,
            judgement=decision.judgement,
        )

    def _checked(
        self, before: Rollout | None, observation: Observation, decision: Decision
    ) -> tuple[Rollout | None, Decision, Recorded]:
        """Return what to save: `before`, `decision`, and what the history of `before` ends with.

        Where the record was changed, it is the state that was recorded, and the decision that puts
        it back, whose entry repeats all of it; less traffic is carried out as it was decided.
        """
        recorded = self._recorded(before, decision)
        if (
            recorded.rollout is None
            or recorded.problem is None
            or isinstance(decision.move, SetZero)
        ):
            return before, decision, recorded
        event = RecordChanged(observation, recorded.problem.changed)
        restored = decide(recorded.rollout, event, self.observer.clock.now())
        problem = StateChangedError(restored.notices[0].text)
        return recorded.rollout, restored, Recorded(problem=problem)

    def roll_back(
        self,
        rollout_id: str,
        event_of: Callable[[Observation], Event],
        timeout: timedelta,
        unsaved: Decision | None = None,
    ) -> TickOutcome:
        """Execute a rollback until it is recorded, even if other runs save first several times.

        It waits for no lease and takes over that of another run; it does not check who owns the
        target. The caller releases the lease.

        event_of: returns the event to decide on, from the observation of each attempt.
        unsaved: a rollback that was executed and not recorded. Raises StoreError when there is none
        and the rollout cannot be read.
        """
        problem = StoreError("it was not tried")
        for _ in range(time_limits.ROLLBACK_SAVE_ATTEMPTS):
            self.leases.release(rollout_id)
            try:
                rollout = load_for_rollback(self.observer.store, rollout_id).rollout
                observation = Observation(self.observer.read_target(rollout))
                unsaved = decide(rollout, event_of(observation), self.observer.clock.now())
                return self.execute(rollout, observation, unsaved, timeout)
            except StateConflictError as error:
                problem = error
            except StoreError as error:
                problem = error
                break
        if unsaved is None:
            raise problem
        return self._unsaved_rollback(unsaved, problem, timeout)

    # --- less traffic ---------------------------------------------------------------------------

    def _lower(self, decision: Decision, move: SetZero) -> Decision:
        """Write 0%, and return `decision` with the error of a write that failed in its state.

        An error that does not pass by itself is critical at once. Any other is left to the next
        tick, and is critical after the policy's rollback_timeout; this tick ends with the alert.
        Nothing is written to a target that is only observed.
        """
        rollout = decision.rollout
        if rollout.policy.target.observed:
            return decision
        try:
            target = self.observer.target_of(rollout)
            if not target.lower_to_zero(
                move.within, outdated_token=move.outdated_token, only=move.only
            ):
                return decision  # the next tick reports the drift
        except TargetError as error:
            log.critical("lower_failed", **log_context(rollout, error))
            permanent = move.must_succeed or isinstance(error, WriteRefusedError)
            failed = WriteFailed(decision, str(error), permanent=permanent)
            return decide(rollout, failed, self.observer.clock.now())
        except Exception as error:  # noqa: BLE001 - a rollback is recorded, whatever stops its write
            problem = problem_of(error, rollout.id, "lowering the weight of")
            failed = WriteFailed(decision, str(problem))
            return decide(rollout, failed, self.observer.clock.now())
        log.warning("weight_lowered", rollout=rollout.id, weight_percent=0)
        return decision

    def _confirm_rollback(self, rollout: Rollout, timeout: timedelta) -> TickOutcome:
        """Wait up to `timeout` for 0% to be applied; another weight after that is a failure."""
        target = self._wait_for_update(rollout, timeout)
        if isinstance(target, UnreadableTarget):
            return TickOutcome(rollout)
        if target.has_applied(0):
            return self._record_observation(rollout, Observation(target))
        written = rollout.phase is Phase.ROLLING_BACK and not rollout.write_error
        written = written and not self.observer.dry_run and not rollout.policy.target.observed
        if not written or target.update is UpdateStatus.IN_PROGRESS:
            return TickOutcome(rollout)
        problem = f"0% was written, and the target shows {target.variables}"
        if target.update is UpdateStatus.FAILED:
            problem += f", for its update failed: {target.detail or 'no reason given'}"
        return self._record_write_failure(rollout, problem)

    def _unsaved_rollback(
        self, decision: Decision, error: StoreError, timeout: timedelta
    ) -> TickOutcome:
        """Return the visit of a rollback that was executed and could not be saved."""
        rollout = enqueue_notices(decision, logging.run_id()).rollout
        log.error("save_failed", **log_context(rollout, error))
        self._announce_all(rollout, decision)
        observation = Observation(self._wait_for_update(rollout, timeout))
        after = decide(rollout, Observed(observation), self.observer.clock.now()).rollout
        return TickOutcome(
            after, _alerts(decision), problem=str(error), saved=False, observation=observation
        )

    # --- more traffic ---------------------------------------------------------------------------

    def _shift(self, rollout: Rollout, move: SetWeight, timeout: timedelta) -> TickOutcome:
        """Write a weight once and wait for it; undo it if another run rolled back meanwhile.

        A target that changed under the write is read again by the next tick; any other failure, as
        a conflict on a target that is as it was, becomes part of the state.
        No bake starts at a weight that an operator set instead of the weight of the step. A raise
        is not written when a freeze began after its decision: that is recorded, and it waits.
        Nothing is written to a target that is only observed.
        """
        if is_raise_frozen(rollout, move, self.observer.clock.now()):
            log.warning("raise_held_back", rollout=rollout.id, weight_percent=move.weight)
            return self._record_observation(
                rollout, Observation(self.observer.read_target(rollout))
            )
        visit = TickOutcome(rollout)
        if rollout.policy.target.observed:
            return visit
        try:
            self.observer.target_of(rollout).port.shift_to(move.weight, move.token)
        except TargetError as error:
            log.error("shift_refused", **log_context(rollout, error))
            if not isinstance(error, WriteConflictError) or self._is_as_decided(rollout, move):
                visit = self._record_write_failure(rollout, str(error))
        else:
            log.info("weight_shifted", rollout=rollout.id, weight_percent=move.weight)
            if move.weight == rollout.weight:
                visit = self.confirm_weight(rollout, move.weight, timeout)
        if visit.rollout.version > rollout.version and visit.rollout.phase not in ROLLBACK_PHASES:
            return visit  # no other run has saved in between
        # Else it is looked up now: no message delays the write that undoes a late raise.
        return self._undo_late_raise(rollout, timeout) or visit

    def _is_as_decided(self, rollout: Rollout, move: SetWeight) -> bool:
        """Tell whether the target still has the token under which `move` was decided."""
        target = self.observer.read_target(rollout)
        return isinstance(target, TargetReading) and target.token == move.token

    def confirm_weight(self, rollout: Rollout, weight: int, timeout: timedelta) -> TickOutcome:
        """Wait up to `timeout` for `weight` to be applied, and record it if it is.

        If it is not, the next tick must know that the target accepted it.
        """
        target = self._wait_for_update(rollout, timeout)
        if isinstance(target, UnreadableTarget) or not target.has_applied(weight):
            now = max(self.observer.clock.now(), rollout.updated)
            accepted = replace(with_write_accepted(rollout, now), updated=now)
            return self._save_without_move(rollout, Observation(target), Decision(accepted))
        return self._record_observation(rollout, Observation(target))

    def _undo_late_raise(self, raised: Rollout, timeout: timedelta) -> TickOutcome | None:
        """Lower what `raised` wrote if another run had rolled back before; else return None."""
        reloaded = self._reload(raised)
        if reloaded.rollout.phase not in ROLLBACK_PHASES:
            return None
        try:
            return self.roll_back(raised.id, partial(LateRaise, raised=raised), timeout)
        except StoreError as error:  # the next tick reads the raised weight, and lowers it
            log.error("load_failed", **log_context(raised, error))
            return TickOutcome(reloaded.rollout, problem=str(error), saved=False)

    # --- read-back ------------------------------------------------------------------------------

    def _wait_for_update(
        self, rollout: Rollout, timeout: timedelta
    ) -> TargetReading | UnreadableTarget:
        """Return the reading of the target once its update is over, or `timeout` is.

        After a stop signal it does not wait: the next tick reads the target.
        """
        clock = self.observer.clock
        deadline = clock.now() + timeout
        target = self.observer.read_target(rollout)
        while (
            isinstance(target, TargetReading)
            and target.update is UpdateStatus.IN_PROGRESS
            and clock.now() < deadline
            and not signals.stop_requested()
        ):
            clock.sleep(time_limits.POLL_INTERVAL)
            target = self.observer.read_target(rollout)
        return target

    def _record_write_failure(self, rollout: Rollout, problem: str) -> TickOutcome:
        """Record that the write of a saved decision failed, unless that is recorded already."""
        observation = Observation(self.observer.read_target(rollout))
        failed = WriteFailed(Decision(rollout), problem, saved=True)
        failure = decide(rollout, failed, self.observer.clock.now())
        if failure.record is None:
            return TickOutcome(rollout, _alerts(failure))
        return self._save_without_move(rollout, observation, failure)

    def _record_observation(self, rollout: Rollout, observation: Observation) -> TickOutcome:
        """Record the decision on `observation`; the next tick decides again where it has a move.

        Where messages are about to be sent, and the decision adds none, one save records both: see
        `cross_off`.
        """
        decision = decide(rollout, Observed(observation), self.observer.clock.now())
        if decision.record is None or decision.move is not None:
            return TickOutcome(rollout)
        if self.delivers and rollout.outbox and not decision.notices and decision.alert is None:
            recorded = self._recorded(rollout, decision)
            after, entries = self.append_record(rollout, observation, decision, recorded)
            return TickOutcome(after, entries=tuple(entries))
        return self._save_without_move(rollout, observation, decision)

    def _save_without_move(
        self, rollout: Rollout, observation: Observation, decision: Decision
    ) -> TickOutcome:
        """Save `decision`, which has no move left to execute, and notify."""
        try:
            recorded = self._recorded(rollout, decision)
            after = self._save(rollout, observation, decision, recorded)
        except StateConflictError:  # a concurrent tick has recorded it already
            return self._reload(decision.rollout)
        except StoreError as error:  # the next tick observes the same and records it
            log.error("save_failed", **log_context(rollout, error))
            return TickOutcome(decision.rollout, problem=str(error), saved=False)
        self._announce_all(after, decision)
        return TickOutcome(after, _alerts(decision))

    # --- the store ------------------------------------------------------------------------------

    def _recorded(self, before: Rollout | None, decision: Decision) -> Recorded:
        """Return what the history of `before` ends with, where `decision` needs it.

        That is where it adds an entry or raises weight, for a final rollout, and for one whose
        state does not go with its digest. Raises what `_compare` raises; StateChangedError only
        where weight is raised and the state that was recorded is not known.
        """
        move = decision.move
        if before is None:
            return Recorded()
        is_due = decision.record or isinstance(move, SetWeight) or before.final
        if not is_due and is_as_recorded(before):
            return Recorded()
        try:
            recorded = self._compare(before)
        except StoreError as error:
            if isinstance(error, StateConflictError) or not isinstance(move, SetZero):
                raise
            return Recorded({})  # 0% is written; the save that follows probably fails as well
        if (
            recorded.problem is not None
            and recorded.rollout is None
            and isinstance(move, SetWeight)
        ):
            raise recorded.problem
        return recorded

    def _compare(self, rollout: Rollout) -> Recorded:
        """Return the state that the history of `rollout` ends with, and how that differs.

        Raises StateConflictError when it differs because another run has saved the rollout, and
        StoreError when it cannot be read.
        """
        store, (chain, state) = self.observer.store, self._newest.get(rollout.id, ("", {}))
        try:
            if chain != rollout.chain:
                state = {}
                state = recorded_state(rollout, store.newest_entry(rollout.id))
                self._newest[rollout.id] = rollout.chain, state
            check_state(rollout, state)
        except StateChangedError as error:
            if self._is_saved_since(rollout):
                raise StateConflictError(f"{rollout.id} was saved by another run") from error
            log.error("state_changed", **log_context(rollout, error))
            return Recorded(state, error, as_recorded(rollout, state, error.changed))
        return Recorded(state)

    def _is_saved_since(self, rollout: Rollout) -> bool:
        """Tell whether another run has saved `rollout`, whose policy may have been changed."""
        try:
            return self.observer.store.load(rollout.id).version != rollout.version
        except SnapshotChangedError as error:
            return error.rollout.version != rollout.version

    def _save(
        self,
        before: Rollout | None,
        observation: Observation,
        decision: Decision,
        recorded: Recorded,
    ) -> Rollout:
        """Save the next state, its history entry and its messages in one write.

        The lease ends with the save, unless it is kept for a move or for messages.
        Raises StateConflictError, StoreError: nothing was written.
        """
        decision = enqueue_notices(decision, logging.run_id())
        due = next_due(decision.rollout, observation, decision.judgement)
        due = None if recorded.problem else due  # each tick reports it
        decision = replace(decision, rollout=replace(decision.rollout, due=due))
        was = before or decision.rollout
        after, entries = self.append_record(was, observation, decision, recorded)
        store = self.observer.store
        if before is None:
            store.create(after, entries, after.locks, hold=self.leases.expiry())
            log.info("rollout_started", rollout=after.id, revision=after.revision)
            return after
        if before.final and not entries and replace(after, updated=before.updated) == before:
            return before  # a final rollout for which only time has passed is not written again
        unfinished = decision.move is not None or decision.rollout.outbox
        hold = self.leases.expiry() if unfinished else None
        locks = after.locks if isinstance(decision.move, SetWeight) else ()
        return store.save(after, entries, hold=hold, locks=locks)

    def append_record(
        self,
        before: Rollout,
        observation: Observation,
        decision: Decision,
        recorded: Recorded,
    ) -> tuple[Rollout, list[Entry]]:
        """Return the next state with its new chain hash, and the entries to store with it."""
        if decision.record is None:
            return decision.rollout, []
        series = (
            trim_series(before, decision.rollout, observation.series)
            if decision.record.keeps_series
            else {}
        )
        state = recorded.state
        if state is not None:
            state = next_state(state, before, decision.rollout)
        data = observation_data(before, observation, series)
        after, entry = self._append(decision.rollout, decision.record, data, state)
        return after, [entry]

    def cross_off(self, visit: TickOutcome, delivery: Delivery) -> TickOutcome:
        """Save what a delivery left in the outbox, with the entries that `visit` has not saved.

        If that fails, all messages are sent again under the same keys, and the next tick reads the
        weight back again.
        """
        before, entries = visit.rollout, list(visit.entries)
        after = replace(before, outbox=delivery.outbox, threads=delivery.threads)
        if not visit.saved or (not entries and after.outbox == before.outbox):
            return replace(visit, rollout=after)
        try:
            if delivery.hooks:
                now = max(self.observer.clock.now(), after.updated)
                state = self._compare(after).state
                after = replace(after, updated=now)
                record = hook_record(after, delivery.hooks, now)
                after, entry = self._append(after, record, {}, state)
                entries.append(entry)
            saved = self.observer.store.save(after, entries)
            return replace(visit, rollout=saved, entries=())
        except StateConflictError as error:
            log.warning("outbox_kept", rollout=after.id, problem=str(error))
            if not visit.entries:
                return visit
            # Another run recorded the raise, or rolled it back, in the meantime.
            undone = self._undo_late_raise(visit.rollout, time_limits.APPLY_WAIT)
            current = undone or self._reload(visit.rollout)
            alerts = current.alerts or visit.alerts
            return replace(current, alerts=alerts, observation=visit.observation)
        except StoreError as error:
            log.warning("outbox_kept", rollout=after.id, problem=str(error))
            if not visit.entries:
                return visit
            return replace(visit, entries=(), saved=False, problem=visit.problem or str(error))

    def _append(
        self,
        rollout: Rollout,
        record: Record,
        observation: Mapping[str, Any],
        state: Mapping[str, Any] | None,
    ) -> tuple[Rollout, Entry]:
        """Append `record` to the history, and remember the entry as the newest one."""
        who = self.author()
        after, entry = append(
            rollout,
            record,
            by=who.by,
            caller=who.caller,
            observation=observation,
            run=logging.run_id(),
            state=state,
        )
        self._newest[after.id] = after.chain, entry.body["state"]
        return after, entry

    def _reload(self, rollout: Rollout) -> TickOutcome:
        try:
            return TickOutcome(self.observer.store.load(rollout.id))
        except StoreError as error:
            log.error("load_failed", **log_context(rollout, error))
            return TickOutcome(rollout, problem=str(error), saved=False)

    # --- notices --------------------------------------------------------------------------------

    def _announce_all(self, rollout: Rollout, decision: Decision) -> None:
        """Show the notices of `decision`; one that fails stops no tick."""
        for notice in decision.notices:
            try:
                self.announce(rollout, notice)
            except Exception as error:  # noqa: BLE001 - a notice that is not shown stops no tick
                text = notice.text
                log.error("notify_failed", rollout=rollout.id, notice=text, problem=str(error))


def _alerts(decision: Decision) -> tuple[Alert, ...]:
    return () if decision.alert is None else (decision.alert,)
