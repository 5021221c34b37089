"""What a tick does: move the weight, wait until it is in force, record, tell people."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from controller import events, stopping
from controller.core.decide import refused
from controller.core.effects import Decision, Lower, Notice, Shift
from controller.core.evidence import kept
from controller.core.history import Author, Entry, append, seen_data
from controller.core.observation import Observation, Reading, Unreadable, Update
from controller.core.rollout import Rollout
from controller.core.transitions import write_failed
from controller.errors import TargetError, WriteRefusedError
from controller.fence import problem_of
from controller.looking import Looking, facts
from controller.ports import Notifier

log = events.logger()

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
        while _moving(target) and clock.now() < deadline and not stopping.asked():
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
        who, run = self.author(), events.run()
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
