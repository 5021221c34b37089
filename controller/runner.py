"""The tick: load, observe, decide, act, record. And what people ask for, on the same way."""

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final

from controller import events, exit_status, stopping
from controller.acting import Acting
from controller.asking import Asking
from controller.carrying import FOLLOW, Carrying, Visit
from controller.core.asked import MEASURED, Ask, Verb, asked
from controller.core.asking import UPWARD
from controller.core.effects import Decision
from controller.core.history import Author
from controller.core.hook_call import advance_calls
from controller.core.observation import Observation
from controller.core.outbox import posted
from controller.core.rollout import Rollout
from controller.core.snapshot import SnapshotChangedError, check
from controller.core.transitions import lower
from controller.errors import Exit
from controller.fence import problem_of
from controller.leasing import TICK, Leasing, Missed, Taken, lowered_by
from controller.looking import Looking
from controller.outside import Courier, HookCaller
from controller.ports import Clock, Notifier, Store
from controller.posting import WITHIN as MESSAGES_WITHIN
from controller.posting import Posting
from controller.telling import Telling, log_missed
from controller.visiting import Visiting, Waiting

log = events.logger()


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
        stopping.point()
        decision = posted(decision, events.run())
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
            stopping.point()
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
            stopping.point()
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
