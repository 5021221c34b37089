"""The tick: load, observe, decide, act, record. And what people ask for, on the same way."""

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final, TypeAlias

from controller.core.commands import MEASURED, UPWARD, Ask, Verb, asked
from controller.core.conflict import overtaken
from controller.core.decide import decide
from controller.core.decision import Decision, Lower
from controller.core.history import Author
from controller.core.hook_call import advance_calls
from controller.core.observation import Observation
from controller.core.outbox import posted
from controller.core.rollout import Phase, Rollout
from controller.core.snapshot import SnapshotChangedError, check
from controller.core.transitions import lower
from controller.engine import exit_status
from controller.engine.deliver import WITHIN as MESSAGES_WITHIN
from controller.engine.deliver import Posting, Telling, log_missed
from controller.engine.execute import FOLLOW, Acting, Carrying, Visit
from controller.engine.hooks import NO_TIME, Asking
from controller.engine.isolation import problem_of
from controller.engine.lease import LEASE, RENEW_AFTER, TICK, Leasing, Missed, Taken, lowered_by
from controller.engine.observe import Answers, Look, Looking, facts
from controller.errors import (
    Exit,
    LeaseHeldError,
    StateConflictError,
    StoreError,
    WriteRefusedError,
)
from controller.ports.clock import Clock
from controller.ports.notify import Courier, HookCaller, Notifier
from controller.ports.store import Store
from controller.process import logging, signals

log = logging.logger()

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
        signals.point()
        for look, answers in self._measured([look for look in looks if look.wants]):
            yield from self._seen(look, answers, taken, waiting, stuck)
        for look, seen, decision in stuck:
            yield self._visit(look.rollout, seen, decision, taken)

    def _looked(self, rollout: Rollout, looks: list[Look]) -> Iterator[Visit]:
        """Add what was seen of the target of `rollout` to `looks`; yield a visit if that fails."""
        signals.point()
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
            signals.point()
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
        signals.point()
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


# --- All rollouts of a tick -----------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Ticked:
    """What became of the rollouts of a tick. missed: what it did not visit, and why."""

    visits: list[Visit]
    missed: list[Missed] = field(default_factory=list)

    @property
    def status(self) -> Exit:
        """The most urgent of what its visits have led to: 5, 1, 6, 75, else 0."""
        missed = [Exit.INTERNAL] if self.missed else []
        return exit_status.worst((*missed, *map(exit_status.of_tick, self.visits)))


def _without_limit(_length: timedelta) -> None:
    """Stand for clients that are simulated, or have limits of their own."""


# A person waits for a rollback: the store has so long to say whose names the rollout has ...
LOADING: Final = timedelta(seconds=6)
# ... and so long to record it, beside the time in which 0 % is written and seen applied.
RECORDING: Final = timedelta(seconds=30)


@dataclass(frozen=True, slots=True)
class Runner:
    """Visits rollouts. Everything it touches comes in through the ports.

    looking: how it sees; notifier: what it says everything to; by: who acts, as somebody claims.
    courier: brings messages to those whom a policy names; None: another run does.
    hooks: asks what a policy wants to be asked; None: none of that is allowed.
    limit_calls: told how long calls may last from now on, all together, but for those that lower.
    author: says of `by` who is written into the history; asked after a move, which waits for it
    nowhere.
    """

    looking: Looking
    notifier: Notifier
    by: str
    courier: Courier | None = None
    hooks: HookCaller | None = None
    limit_calls: Callable[[timedelta], None] = _without_limit
    author: Callable[[str], Author] = Author

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

        Raises UnknownRolloutError before anything is touched.
        """
        self.limit_calls(TICK)
        with self._leasing.each(ids) as taken:
            if taken.gone:
                raise taken.gone[0]
            return self._ticked(taken)

    def tick_active(self, names: Collection[str] = ()) -> Ticked:
        """Visit every rollout that has something to do, as `tick` does.

        names: only rollouts called so; none: all.
        Raises StoreError when the store cannot list them.
        """
        self.limit_calls(TICK)
        with self._leasing.each(self._active(names)) as taken:
            for error in taken.gone:  # nothing ever removes a rollout
                taken.miss(str(error.context.get("rollout", "")), error, "loading")
            return self._ticked(taken)

    def _active(self, names: Collection[str]) -> Sequence[str]:
        try:
            return self.store.active(self.clock.now(), names)
        except Exception as error:
            problem = problem_of(error, "active rollouts", "listing")
            raise problem from error

    def visit(self, rollout_id: str) -> Visit:
        """Visit one rollout, as `tick` does. Raises RolloutError when it was not visited."""
        ticked = self.tick([rollout_id])
        if ticked.missed:
            raise ticked.missed[0].error
        return ticked.visits[0]

    def _ticked(self, taken: Taken) -> Ticked:
        """Visit what was taken and tell of it, before hooks are asked and after that.

        No message waits for a hook, and no lease that was kept to send one: the next tick may roll
        back meanwhile.
        """
        waiting = list[Waiting]()
        visits, left = self._told(self._visiting.each(taken, waiting), MESSAGES_WITHIN)
        if waiting:
            for visit in visits:
                if visit.seen is not None and visit.rollout.outbox:
                    self._leasing.give_back(visit.rollout.id)
            visits += self._told(self._visiting.asked(waiting, taken), left)[0]
        visits += [Visit(rollout, busy=True) for rollout in taken.busy]
        for missed in taken.missed:
            log_missed(missed)
        return Ticked(visits, taken.missed)

    def _told(self, visiting: Iterable[Visit], within: timedelta) -> tuple[list[Visit], timedelta]:
        """Return the visits, told within `within`, and what is left of that."""
        visits = list[Visit]()
        try:
            for visit in visiting:
                visits.append(visit)
        finally:
            begun = self.clock.now()
            visits = self._telling.all(visits, within)
        return visits, within - (self.clock.now() - begun)

    # --- people ---------------------------------------------------------------------------------

    def begin(self, decision: Decision, seen: Observation) -> Visit:
        """Create the rollout of `decision`, take its locks, and carry out its first move.

        What comes after the creation may fail to be saved: that is a problem of the visit.

        Raises TargetTakenError, StateConflictError: nothing was touched.
        """
        signals.point()
        decision = posted(decision, logging.run())
        rollout, entries = self._acting.recorded(decision.rollout, seen, decision)
        self.store.create(rollout, entries, rollout.locks, hold=self._leasing.until())
        log.info("rollout_started", rollout=rollout.id, revision=rollout.revision)
        try:
            visit = self._carrying.after_save(rollout, decision, FOLLOW)
            return self._telling.begun(visit)
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
            if ask.verb in UPWARD:
                check(rollout, self.store.history(rollout_id))
            look = self.looking.look(rollout)
            seen = Observation(look.target, {}, look.owns)
            if ask.verb in MEASURED:
                ((_, answers),) = self.looking.search(self.looking.ask([look]))
                seen = look.seen(answers)
            if ask.verb is Verb.ATTEST:
                ask = replace(ask, by=self.author(self.by).by)
            signals.point()
            decision = asked(rollout, ask, seen, look.now)
            if decision.asks:
                calls = advance_calls(rollout, look.now)
                until = self._asking.until()
                said = self._asking.answers(rollout.policy, decision.asks, calls, until)
                seen = replace(seen, hooks=said)
                decision = asked(rollout, ask, seen, look.now)
            visit = self._carrying.out(rollout, seen, decision)
            return self._telling.all([visit])[0]

    def roll_back(self, rollout_id: str, why: str, weight: int | None = None) -> Visit:
        """Roll one rollout back because a person said so, whatever else is in the way.

        weight: what was live before 0 % was written for that person; None: 0 % is not written yet.

        The person waits: for 0 % to be written, and again to see it in force, as long as the
        policy's rollback_timeout. Raises UnknownRolloutError, StoreError when the rollout cannot be
        read; that it cannot be written is a problem of the visit, and traffic is down by then. So
        is a policy that was changed since the start.
        """

        def by_hand(rollout: Rollout, seen: Observation, now: datetime) -> Decision:
            ask = Ask(Verb.ROLLBACK, why, weight=weight)
            decision = asked(rollout, ask, seen, now)
            patient = replace(lower(rollout), within=rollout.policy.rollback_timeout)
            return replace(decision, move=patient)

        self.limit_calls(LOADING)
        changed = ""
        try:
            known = self.store.load(rollout_id)
        except SnapshotChangedError as error:
            known, changed = lowered_by(self.store, error), str(error)
        patience: timedelta = known.policy.rollback_timeout
        self.limit_calls(RECORDING + 2 * patience)
        if weight is None:  # else it is written already, and only the record is missing
            signals.point()
        try:
            visit = self._carrying.insist(rollout_id, by_hand, patience)
            if changed:  # its policy is not trusted to name its channels
                log.error("snapshot_changed", rollout=rollout_id, problem=changed)
                visit = replace(visit, problem=visit.problem or changed, seen=None)
            return self._telling.all([visit])[0]
        finally:
            self._leasing.give_back(rollout_id)

    # --- parts ----------------------------------------------------------------------------------

    def _author(self) -> Author:
        return self.author(self.by)

    @property
    def _acting(self) -> Acting:
        return Acting(self.looking, self.notifier, self._author)

    @property
    def _leasing(self) -> Leasing:
        return Leasing(self.store, self.clock)

    @property
    def _asking(self) -> Asking:
        return Asking(self.clock, self.hooks)

    @property
    def _visiting(self) -> Visiting:
        return Visiting(self.looking, self._carrying, self._asking)

    @property
    def _telling(self) -> Telling:
        posting = Posting(self.store, self.clock, self.courier, self.hooks, self._author)
        return Telling(self.clock, posting)

    @property
    def _carrying(self) -> Carrying:
        return Carrying(self.looking, self._acting, self._leasing)
