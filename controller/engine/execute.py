"""Carrying a decision out: move the weight and save in the order that is safe, follow, tell.

Less traffic: act, then save. More traffic: save, then act. A move is followed for a short while,
and when it is seen in force within that time, that is recorded too.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from controller.core.conflict import too_late
from controller.core.decide import decide, refused
from controller.core.decision import Alert, Decision, Lower, Notice, Shift
from controller.core.history import Author, Entry, append, seen_data
from controller.core.judge.sealing import kept
from controller.core.observation import Observation, Reading, Unreadable, Update
from controller.core.outbox import posted
from controller.core.rollout import Phase, Rollout
from controller.core.transitions import BACK, held_back, write_failed
from controller.engine.isolation import problem_of
from controller.engine.lease import Leasing, load_to_lower
from controller.engine.observe import Looking, facts
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

LOOK_EVERY = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class Acting:
    """Writes through the ports.

    notifier: whom it tells. author: says who is written into the history, once a move is made.
    """

    looking: Looking
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
            target = self.looking.target_of(rollout)
            if not target.lower_to_zero(move.within, void=move.void, only=move.only):
                return decision  # the next tick tells whose weight that is
        except TargetError as error:
            log.critical("lower_failed", **facts(rollout, error))
            hopeless = move.must_succeed or isinstance(error, WriteRefusedError)
            after = refused if hopeless else write_failed
            return after(decision, str(error), self.looking.clock.now())
        except Exception as error:  # noqa: BLE001 - a rollback is recorded, whatever stops its write
            problem = problem_of(error, rollout.id, "lowering the weight of")
            return write_failed(decision, str(problem), self.looking.clock.now())
        log.warning("weight_lowered", rollout=rollout.id, weight_percent=0)
        return decision

    def shift_once(self, rollout: Rollout, move: Shift) -> TargetError | None:
        """Write the weight once; return what failed, or None. The next tick looks again."""
        try:
            self.looking.target_of(rollout).shift_to(move.weight, move.token)
        except TargetError as error:
            log.error("shift_refused", **facts(rollout, error))
            return error
        log.info("weight_shifted", rollout=rollout.id, weight_percent=move.weight)
        return None

    def settled(self, rollout: Rollout, patience: timedelta) -> Reading | Unreadable:
        """Return what the target shows once its update is over, or `patience` is.

        Nobody waits in a process that is asked to end: the next tick sees it.
        """
        clock = self.looking.clock
        deadline = clock.now() + patience
        target = self.looking.read_target(rollout)
        while _moving(target) and clock.now() < deadline and not signals.asked():
            clock.sleep(LOOK_EVERY)
            target = self.looking.read_target(rollout)
        return target

    # --- recording, telling ---------------------------------------------------------------------

    def save(
        self,
        before: Rollout,
        seen: Observation,
        decision: Decision,
        hold: datetime | None = None,
    ) -> Rollout:
        """Write the next state, and its record in the same breath.

        hold: until when this run still has the rollout; None: it is free with the save.
        Raises StateConflictError, StoreError: nothing was written.
        """
        after, entries = self.recorded(before, seen, decision)
        if before.final and not entries and _same(before, after):
            return before  # a finished rollout that nothing happened to is not written again
        return self.looking.store.save(after, entries, hold=hold)

    def recorded(
        self, before: Rollout, seen: Observation, decision: Decision
    ) -> tuple[Rollout, list[Entry]]:
        """Return the next state with its chain moved on, and the entries to store with it."""
        if decision.record is None:
            return decision.rollout, []
        series = kept(before, decision.rollout, seen.series) if decision.record.keeps_series else {}
        data = seen_data(before, seen, series)
        who, run = self.author(), logging.run()
        after, entry = append(
            decision.rollout, decision.record, by=who.by, caller=who.caller, seen=data, run=run
        )
        return after, [entry]

    def tell(self, rollout: Rollout, notices: Sequence[Notice]) -> None:
        """Tell people; a channel that fails stops no tick."""
        for notice in notices:
            try:
                self.notifier.notify(rollout, notice)
            except Exception as error:  # noqa: BLE001 - whatever a channel raises stops no tick
                text = notice.text
                log.error("notify_failed", rollout=rollout.id, notice=text, problem=str(error))


def _moving(target: Reading | Unreadable) -> bool:
    return isinstance(target, Reading) and target.update is Update.IN_PROGRESS


def _same(before: Rollout, after: Rollout) -> bool:
    """Tell whether nothing but time has passed."""
    return replace(after, updated=before.updated) == before


# --- One visit ------------------------------------------------------------------------------------


# How long a tick follows its own move before it leaves it to the next.
FOLLOW = timedelta(seconds=30)
# How often a rollback that was carried out is recorded anew when other runs save first.
ROLLBACK_SAVES = 5


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
    seen: Observation | None = None


@dataclass(frozen=True, slots=True)
class Carrying:
    """Carries decisions out. It branches on moves, never on phases."""

    looking: Looking
    acting: Acting
    leasing: Leasing

    def out(
        self, before: Rollout, seen: Observation, decision: Decision, patience: timedelta = FOLLOW
    ) -> Visit:
        """Act and save in the order that is safe for the move, then follow it and tell the log.

        Messages are left in the outbox of what is returned; this run still has its lease then.

        Raises StateConflictError; and StoreError when nothing was lowered.
        """
        if isinstance(decision.move, Lower):
            decision = self.acting.lower(decision, decision.move)
        kept = posted(decision, logging.run())
        try:
            after = self.acting.save(before, seen, kept, self._hold(kept))
        except StateConflictError:
            raise
        except StoreError as error:
            if not isinstance(decision.move, Lower):
                raise
            return self._unrecorded(decision, error, patience)
        visit = self.after_save(after, decision, patience)
        if not visit.problem and not before.final and isinstance(seen.target, Unreadable):
            visit = replace(visit, problem=seen.target.reason)
        return replace(visit, seen=seen)

    def _hold(self, decision: Decision) -> datetime | None:
        """Return until when a run keeps what it saves: for a move, or to tell somebody."""
        busy = decision.move is not None or decision.rollout.outbox
        return self.leasing.until() if busy else None

    def after_save(self, rollout: Rollout, decision: Decision, patience: timedelta) -> Visit:
        """Do what comes after the save: tell people, shift, follow the move."""
        self.acting.tell(rollout, decision.notices)
        visit = Visit(rollout)
        if isinstance(decision.move, Shift):
            visit = self._shift(rollout, decision.move, patience)
        elif isinstance(decision.move, Lower):
            visit = self._follow_back(rollout, patience)
        back = rollout.phase is Phase.ROLLING_BACK and visit.rollout.phase is Phase.ROLLED_BACK
        alerts = () if back else _alerts(decision)  # 0 % is in force after all
        return replace(visit, alerts=visit.alerts or alerts)

    def _shift(self, rollout: Rollout, move: Shift, patience: timedelta) -> Visit:
        """Write a weight once and follow it; take it back if others went back to 0 % meanwhile.

        A target that changed under the write is looked at again by the next tick; any other failure
        is part of the state.
        A weight that a person set beside the one that is asked for is nothing to bake at. A raise
        that a freeze has come before is not written: what is decided then says so, and waits.
        """
        visit = Visit(rollout)
        if held_back(rollout, move, self.looking.clock.now()):
            log.warning("raise_held_back", rollout=rollout.id, weight_percent=move.weight)
            return self._recorded(rollout, Observation(self.looking.read_target(rollout)))
        error = self.acting.shift_once(rollout, move)
        if error is not None and not isinstance(error, WriteConflictError):
            visit = self._unwritten(rollout, str(error))
        elif error is None and move.weight == rollout.weight:
            visit = self.follow(rollout, move.weight, patience)
        if visit.rollout.version > rollout.version and visit.rollout.phase not in BACK:
            return visit  # nobody has saved in between
        stored = self._as_stored(rollout)
        if stored.rollout.phase not in BACK:
            return visit

        def back(stored: Rollout, seen: Observation, now: datetime) -> Decision:
            return too_late(stored, rollout, seen, now)

        try:
            return self.insist(rollout.id, back, patience)
        except StoreError as error:  # the next tick finds what was written, and lowers it
            log.error("load_failed", **facts(rollout, error))
            return Visit(stored.rollout, problem=str(error), saved=False)

    def follow(self, rollout: Rollout, weight: int, patience: timedelta) -> Visit:
        """Wait a while for `weight` to be in force; record it when it was seen."""
        target = self.acting.settled(rollout, patience)
        if isinstance(target, Unreadable) or not target.stands_at(weight):
            return Visit(rollout)
        return self._recorded(rollout, Observation(target))

    def _follow_back(self, rollout: Rollout, patience: timedelta) -> Visit:
        """Wait a while for 0 % to be in force; what shows no 0 % then is a write that failed."""
        target = self.acting.settled(rollout, patience)
        if isinstance(target, Unreadable):
            return Visit(rollout)
        if target.stands_at(0):
            return self._recorded(rollout, Observation(target))
        tried = rollout.phase is Phase.ROLLING_BACK and not rollout.write_error
        tried = tried and not self.looking.dry
        if not tried or target.update is Update.IN_PROGRESS:
            return Visit(rollout)
        problem = f"0 % was written, and the target shows {target.shown}"
        if target.update is Update.FAILED:
            problem += f", for its update failed: {target.detail or 'no reason given'}"
        return self._unwritten(rollout, problem)

    def _unwritten(self, rollout: Rollout, problem: str) -> Visit:
        """Record that the move of a decision failed that is saved, when that is new."""
        seen = Observation(self.looking.read_target(rollout))
        failed = write_failed(Decision(rollout), problem, self.looking.clock.now(), saved=True)
        if failed.record is None:
            return Visit(rollout, _alerts(failed))
        return self._saved(rollout, seen, failed)

    def _recorded(self, rollout: Rollout, seen: Observation) -> Visit:
        """Record what follows from what was `seen`, where that is no move."""
        decision = decide(rollout, seen, self.looking.clock.now())
        if decision.record is None or decision.move is not None:
            return Visit(rollout)
        return self._saved(rollout, seen, decision)

    def _saved(self, rollout: Rollout, seen: Observation, decision: Decision) -> Visit:
        """Save `decision`, of which nothing is left to be done, and tell people."""
        kept = posted(decision, logging.run())
        hold = self._hold(kept)
        try:
            after = self.acting.save(rollout, seen, kept, hold)
        except StateConflictError:  # a tick beside this one has recorded it already
            return self._as_stored(decision.rollout)
        except StoreError as error:  # the next tick sees the same and records it
            log.error("save_failed", **facts(rollout, error))
            return Visit(decision.rollout, problem=str(error), saved=False)
        self.acting.tell(after, decision.notices)
        return Visit(after, _alerts(decision))

    def insist(
        self,
        rollout_id: str,
        decided: Callable[[Rollout, Observation, datetime], Decision],
        patience: timedelta,
        lowered: Decision | None = None,
    ) -> Visit:
        """Carry a rollback out until it is recorded; other runs may save first, again and again.

        It waits for no lease, and takes the one that another run has; nor does it ask who owns the
        target. The lease is left to whoever called.

        lowered: the decision of which only the record is missing. Raises StoreError when there is
        none and the rollout cannot be read.
        """
        problem = StoreError("it was not tried")
        for _ in range(ROLLBACK_SAVES):
            self.leasing.give_back(rollout_id)
            try:
                rollout = load_to_lower(self.looking.store, rollout_id)
                seen = Observation(self.looking.read_target(rollout))
                lowered = decided(rollout, seen, self.looking.clock.now())
                return self.out(rollout, seen, lowered, patience)
            except StateConflictError as error:
                problem = error
            except StoreError as error:
                problem = error
                break
        if lowered is None:
            raise problem
        return self._unrecorded(lowered, problem, patience)

    def _as_stored(self, rollout: Rollout) -> Visit:
        try:
            return Visit(self.looking.store.load(rollout.id))
        except StoreError as error:
            log.error("load_failed", **facts(rollout, error))
            return Visit(rollout, problem=str(error), saved=False)

    def _unrecorded(self, decision: Decision, error: StoreError, patience: timedelta) -> Visit:
        """Return what a rollback has led to that was carried out and could not be saved."""
        rollout = posted(decision, logging.run()).rollout
        log.error("save_failed", **facts(rollout, error))
        self.acting.tell(rollout, decision.notices)
        seen = Observation(self.acting.settled(rollout, patience))
        after = decide(rollout, seen, self.looking.clock.now()).rollout
        return Visit(after, _alerts(decision), problem=str(error), saved=False, seen=seen)


def _alerts(decision: Decision) -> tuple[Alert, ...]:
    return () if decision.alert is None else (decision.alert,)
