"""Visiting: rollouts looked at, decided about and carried out, those first that cannot wait."""

from collections.abc import Iterator, Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final, TypeAlias

from controller import events, stopping
from controller.asking import NO_TIME, Asking
from controller.carrying import FOLLOW, Carrying, Visit
from controller.core.decide import decide
from controller.core.effects import Decision, Lower
from controller.core.hook_call import advance_calls
from controller.core.observation import Observation
from controller.core.overtaken import overtaken
from controller.core.rollout import Phase, Rollout
from controller.errors import LeaseHeldError, StateConflictError, StoreError, WriteRefusedError
from controller.fence import problem_of
from controller.leasing import LEASE, RENEW_AFTER, TICK, Taken
from controller.looking import Answers, Look, Looking, facts

log = events.logger()

# So much of a tick is for reading targets: what hangs there leaves time for those that answered.
READING: Final = TICK / 2
# What is decided is carried out for so long after the begin of the tick, under a renewed lease.
CARRYING_UNTIL: Final = 2 * LEASE
# So long each 0 % is tried before other rollouts have their turn.
TRYING: Final = timedelta(seconds=3)
CARRYING: Final = "carrying out a decision about"

Waiting: TypeAlias = tuple[Look, Observation, Decision]
"""A rollout whose hooks have to be asked, with what was seen, and decided so far."""


@dataclass(frozen=True, slots=True)
class Visiting:
    """Visits what a run has taken."""

    looking: Looking
    carrying: Carrying
    asking: Asking

    def each(self, taken: Taken, waiting: list[Waiting]) -> Iterator[Visit]:
        """Yield a visit of each rollout of `taken`, with one read of the metrics for all of them.

        A rollback that is under way waits for no other rollout. Those that need no metrics go
        next. Those whose hooks have to be asked are left in `waiting`. A 0 % that is not taken at
        once is insisted on when every other rollout was visited. Whatever is raised on the way is
        the problem of one rollout; what the time of the tick has no room for is missed.
        """
        stuck = list[Waiting]()
        looks, until = list[Look](), min(self.looking.clock.now() + READING, taken.begun + TICK)
        for rollout in taken.rollouts:
            back = rollout.phase is Phase.ROLLING_BACK
            if back or self.looking.clock.now() < until:
                yield from self._looked(rollout, looks)
            else:
                taken.miss_late(rollout.id)
            if back and looks:
                yield from self._seen(looks.pop(), Answers(), taken, waiting, stuck)
        for look in [one for one in looks if not one.wants]:
            yield from self._seen(look, Answers(), taken, waiting, stuck)
        stopping.point()
        for look, answers in self._measured([look for look in looks if look.wants]):
            yield from self._seen(look, answers, taken, waiting, stuck)
        for look, seen, decision in stuck:
            yield self._visit(look.rollout, seen, decision, taken)

    def _looked(self, rollout: Rollout, looks: list[Look]) -> Iterator[Visit]:
        """Add what was seen of the target of `rollout` to `looks`; yield a visit if that fails."""
        stopping.point()
        try:
            looks.append(self.looking.look(rollout))
        except Exception as error:  # noqa: BLE001 - one rollout's trouble is its own
            yield _failed(rollout, error, "looking at")

    def _seen(
        self,
        look: Look,
        answers: Answers,
        taken: Taken,
        waiting: list[Waiting],
        stuck: list[Waiting],
    ) -> Iterator[Visit]:
        """Yield the visit of one rollout, unless it waits for its turn or was missed."""
        try:
            seen, decision = _decided(look, look.seen(answers))
        except Exception as error:  # noqa: BLE001 - one rollout's trouble is its own
            yield _failed(look.rollout, error, "deciding about")
            return
        lowering = isinstance(decision.move, Lower)
        if not lowering and self.looking.clock.now() >= taken.begun + CARRYING_UNTIL:
            taken.miss_late(look.rollout.id)
        elif decision.asks:  # a hook of one rollout keeps no other waiting
            waiting.append((look, seen, decision))
        elif isinstance(decision.move, Lower) and not self._is_taken(look, decision.move, taken):
            stuck.append((look, seen, decision))
        else:
            yield self._visit(look.rollout, seen, decision, taken)

    def _is_taken(self, look: Look, move: Lower, taken: Taken) -> bool:
        """Try to write 0 % for a moment; tell whether to go on with this rollout at once."""
        if len(taken.rollouts) == 1 or self.looking.dry:
            return True  # no other rollout waits
        try:
            target = self.looking.target_of(look.rollout)
            target.lower_to_zero(min(move.within, TRYING), void=move.void, only=move.only)
        except WriteRefusedError:
            return True  # it takes no time to be refused again, and to say so
        except Exception as error:  # noqa: BLE001 - what insists says what is wrong
            log.warning("lower_delayed", rollout=look.rollout.id, problem=type(error).__name__)
            return False
        return True

    def asked(self, waiting: Sequence[Waiting], taken: Taken) -> Iterator[Visit]:
        """Yield a visit of each rollout that was left in `waiting`, once its hooks were asked.

        They go last: nothing waits for a hook but the step that it is about. Those that got no time
        in the last tick go first among them.
        """
        until = min(self.asking.until(), taken.begun + TICK)
        for look, seen, decision in sorted(waiting, key=_had_time):
            stopping.point()
            try:
                consented = self._consented(look, seen, decision, until)
            except Exception as error:  # noqa: BLE001 - one rollout's trouble is its own
                yield _failed(look.rollout, error, "asking hooks of")
                continue
            yield self._visit(look.rollout, *consented, taken)

    def _measured(self, looks: Sequence[Look]) -> Iterator[tuple[Look, Answers]]:
        """Yield each of `looks` with what was measured.

        A log may take its time to be searched: whoever needs none does not wait for it.
        """
        pairs = self.looking.ask(looks)
        yield from (pair for pair in pairs if not pair[0].wants.logs)
        yield from self.looking.search([pair for pair in pairs if pair[0].wants.logs])

    def _consented(
        self, look: Look, seen: Observation, decision: Decision, until: datetime
    ) -> tuple[Observation, Decision]:
        """Return what was seen with what its hooks say, and what is decided of that."""
        rollout = decision.rollout
        calls = advance_calls(rollout, look.now)
        answers = self.asking.answers(rollout.policy, decision.asks, calls, until)
        return _decided(look, replace(seen, hooks=answers))

    def _visit(
        self, rollout: Rollout, seen: Observation, decision: Decision, taken: Taken
    ) -> Visit:
        stopping.point()
        if rollout.id in taken.changed:
            return self._on_its_way_back(rollout, seen, decision, taken)
        problem = taken.unwritable.get(rollout.id)
        if problem is None:
            return self._carried(rollout, seen, decision, taken)
        if not isinstance(decision.move, Lower):
            return Visit(rollout, problem=str(problem), saved=False)
        visit = self._carried(rollout, seen, decision, taken)
        if visit.saved:  # and with that, leased: it is given back as any other
            del taken.unwritable[rollout.id]
        return replace(visit, problem=visit.problem or str(problem))

    def _on_its_way_back(
        self, rollout: Rollout, seen: Observation, decision: Decision, taken: Taken
    ) -> Visit:
        """Lower what has another policy than it was started with, and record that it is down.

        After that it is only kept at 0 %. The channels and hooks of its policy get nothing,
        because a changed policy may name others; the log and the exit status speak.
        """
        problem = str(taken.changed[rollout.id])
        if rollout.final and not isinstance(decision.move, Lower):
            return Visit(rollout, problem=problem, saved=False)
        visit = self._carried(rollout, seen, decision, taken)
        return replace(visit, problem=visit.problem or problem, seen=None)

    def _carried(
        self, rollout: Rollout, seen: Observation, decision: Decision, taken: Taken
    ) -> Visit:
        """Carry `decision` out; what is raised meanwhile is a problem of the visit."""
        lowering = isinstance(decision.move, Lower)
        try:
            self._renew(rollout, decision, taken)
            return self.carrying.out(rollout, seen, decision)
        except (StateConflictError, LeaseHeldError) as error:
            log.warning("tick_lost", **facts(rollout, error))
            if not lowering:
                return Visit(rollout, busy=True)
        except Exception as error:  # noqa: BLE001 - one rollout's trouble is its own
            return _failed(rollout, error, CARRYING)

        def again(stored: Rollout, seen: Observation, now: datetime) -> Decision:
            return overtaken(stored, decision, seen, now)

        try:
            return self.carrying.insist(rollout.id, again, FOLLOW, decision)
        except Exception as error:  # noqa: BLE001 - as above
            return _failed(rollout, error, CARRYING)

    def _renew(self, rollout: Rollout, decision: Decision, taken: Taken) -> None:
        """Prolong a lease that may end before the move does; lowering goes on without one."""
        late = self.looking.clock.now() >= taken.begun + RENEW_AFTER
        if decision.move is None or not late or rollout.id in taken.unwritable:
            return
        lowering = isinstance(decision.move, Lower)
        with suppress(StoreError) if lowering else nullcontext():
            self.carrying.leasing.renew(rollout)


def _failed(rollout: Rollout, error: Exception, doing: str) -> Visit:
    """Return the visit of a rollout that `error` has ended; doing: what failed."""
    problem = problem_of(error, rollout.id, doing)
    log.error("save_failed" if doing == CARRYING else "load_failed", **facts(rollout, problem))
    return Visit(rollout, problem=str(problem), saved=False)


def _had_time(waiting: Waiting) -> bool:
    return NO_TIME not in waiting[0].rollout.blocked


def _decided(look: Look, seen: Observation) -> tuple[Observation, Decision]:
    return seen, decide(look.rollout, seen, look.now)
