"""The tick: load, observe, decide, act, record. And what people ask for, on the same way."""

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final, TypeAlias

from controller.core.commands import GATED_VERBS, RAISING_VERBS, Command, Verb, apply_command
from controller.core.conflict import rebase_rollback
from controller.core.decide import decide
from controller.core.decision import Decision, Lower
from controller.core.history import Author
from controller.core.hook_call import advance_calls
from controller.core.observation import Observation
from controller.core.outbox import enqueue_notices
from controller.core.rollout import Phase, Rollout
from controller.core.snapshot import SnapshotChangedError, check_digests
from controller.core.transitions import lower_move
from controller.engine import exit_status
from controller.engine.deliver import DELIVERY_LIMIT as MESSAGES_WITHIN
from controller.engine.deliver import OutboxDelivery, TickDelivery, log_skip
from controller.engine.execute import APPLY_WAIT, Actuator, Executor, Visit
from controller.engine.hooks import NO_TIME_LEFT, ConsentHooks
from controller.engine.isolation import problem_of
from controller.engine.lease import (
    LEASE_DURATION,
    RENEW_AFTER,
    TICK_LIMIT,
    LeasedRollouts,
    LeaseManager,
    Skip,
    rollout_for_rollback,
)
from controller.engine.observe import Measurements, Observer, PartialObservation, log_context
from controller.errors import (
    Exit,
    LeaseHeldError,
    StateConflictError,
    StoreError,
    WriteRefusedError,
)
from controller.ports.clock import Clock
from controller.ports.notify import ChannelNotifier, HookCaller, Notifier
from controller.ports.store import Store
from controller.process import logging, signals

log = logging.logger()

# So much of a tick is for reading targets: what hangs there leaves time for those that answered.
TARGET_READ_LIMIT: Final = TICK_LIMIT / 2
# What is decided is carried out for so long after the begin of the tick, under a renewed lease.
EXECUTE_LIMIT: Final = 2 * LEASE_DURATION
# So long each 0 % is tried before other rollouts have their turn.
FIRST_ATTEMPT_LIMIT: Final = timedelta(seconds=3)
EXECUTION_LABEL: Final = "carrying out a decision about"

DeferredVisit: TypeAlias = tuple[PartialObservation, Observation, Decision]
"""A rollout whose hooks have to be asked, with what was seen, and decided so far."""


@dataclass(frozen=True, slots=True)
class Reconciler:
    """Visits what a run has taken."""

    observer: Observer
    executor: Executor
    consent_hooks: ConsentHooks

    def reconcile(self, leased: LeasedRollouts, deferred: list[DeferredVisit]) -> Iterator[Visit]:
        """Yield a visit of each rollout of `leased`, with one read of the metrics for all of them.

        A rollback that is under way waits for no other rollout. Those that need no metrics go
        next. Those whose hooks have to be asked are left in `deferred`. A 0 % that is not taken at
        once is insisted on when every other rollout was visited. Whatever is raised on the way is
        the problem of one rollout; what the time of the tick has no room for is missed.
        """
        stuck = list[DeferredVisit]()
        looks, until = (
            list[PartialObservation](),
            min(self.observer.clock.now() + TARGET_READ_LIMIT, leased.started_at + TICK_LIMIT),
        )
        for rollout in leased.rollouts:
            back = rollout.phase is Phase.ROLLING_BACK
            if back or self.observer.clock.now() < until:
                yield from self._observe_target(rollout, looks)
            else:
                leased.skip_late(rollout.id)
            if back and looks:
                yield from self._reconcile_rollout(
                    looks.pop(), Measurements(), leased, deferred, stuck
                )
        for look in [one for one in looks if not one.needs]:
            yield from self._reconcile_rollout(look, Measurements(), leased, deferred, stuck)
        signals.safe_point()
        for look, answers in self._measure([look for look in looks if look.needs]):
            yield from self._reconcile_rollout(look, answers, leased, deferred, stuck)
        for look, seen, decision in stuck:
            yield self._visit(look.rollout, seen, decision, leased)

    def _observe_target(self, rollout: Rollout, looks: list[PartialObservation]) -> Iterator[Visit]:
        """Add what was seen of the target of `rollout` to `looks`; yield a visit if that fails."""
        signals.safe_point()
        try:
            looks.append(self.observer.observe_target(rollout))
        except Exception as error:  # noqa: BLE001 - one rollout's trouble is its own
            yield _failed_visit(rollout, error, "looking at")

    def _reconcile_rollout(
        self,
        partial: PartialObservation,
        measurements: Measurements,
        leased: LeasedRollouts,
        deferred: list[DeferredVisit],
        stuck: list[DeferredVisit],
    ) -> Iterator[Visit]:
        """Yield the visit of one rollout, unless it waits for its turn or was missed."""
        try:
            seen, decision = _decide(partial, partial.observation(measurements))
        except Exception as error:  # noqa: BLE001 - one rollout's trouble is its own
            yield _failed_visit(partial.rollout, error, "deciding about")
            return
        lowering = isinstance(decision.move, Lower)
        if not lowering and self.observer.clock.now() >= leased.started_at + EXECUTE_LIMIT:
            leased.skip_late(partial.rollout.id)
        elif decision.hooks_to_call:  # a hook of one rollout keeps no other waiting
            deferred.append((partial, seen, decision))
        elif isinstance(decision.move, Lower) and not self._try_lower(
            partial, decision.move, leased
        ):
            stuck.append((partial, seen, decision))
        else:
            yield self._visit(partial.rollout, seen, decision, leased)

    def _try_lower(self, partial: PartialObservation, move: Lower, leased: LeasedRollouts) -> bool:
        """Try to write 0 % for a moment; tell whether to go on with this rollout at once."""
        if len(leased.rollouts) == 1 or self.observer.dry_run:
            return True  # no other rollout waits
        try:
            target = self.observer.target_of(partial.rollout)
            target.lower_to_zero(
                min(move.within, FIRST_ATTEMPT_LIMIT), void=move.void, only=move.only
            )
        except WriteRefusedError:
            return True  # it takes no time to be refused again, and to say so
        except Exception as error:  # noqa: BLE001 - what insists says what is wrong
            log.warning("lower_delayed", rollout=partial.rollout.id, problem=type(error).__name__)
            return False
        return True

    def reconcile_deferred(
        self, deferred: Sequence[DeferredVisit], leased: LeasedRollouts
    ) -> Iterator[Visit]:
        """Yield a visit of each rollout that was left in `deferred`, once its hooks were asked.

        They go last: nothing waits for a hook but the step that it is about. Those that got no time
        in the last tick go first among them.
        """
        until = min(self.consent_hooks.deadline(), leased.started_at + TICK_LIMIT)
        for look, seen, decision in sorted(deferred, key=_hooks_had_time):
            signals.safe_point()
            try:
                consented = self._decide_with_hooks(look, seen, decision, until)
            except Exception as error:  # noqa: BLE001 - one rollout's trouble is its own
                yield _failed_visit(look.rollout, error, "asking hooks of")
                continue
            yield self._visit(look.rollout, *consented, leased)

    def _measure(
        self, looks: Sequence[PartialObservation]
    ) -> Iterator[tuple[PartialObservation, Measurements]]:
        """Yield each of `looks` with what was measured.

        A log may take its time to be searched: whoever needs none does not wait for it.
        """
        pairs = self.observer.measure(looks)
        yield from (pair for pair in pairs if not pair[0].needs.logs)
        yield from self.observer.count_log_events([pair for pair in pairs if pair[0].needs.logs])

    def _decide_with_hooks(
        self,
        partial: PartialObservation,
        observation: Observation,
        decision: Decision,
        deadline: datetime,
    ) -> tuple[Observation, Decision]:
        """Return what was seen with what its hooks say, and what is decided of that."""
        rollout = decision.rollout
        calls = advance_calls(rollout, partial.now)
        answers = self.consent_hooks.answers(
            rollout.policy, decision.hooks_to_call, calls, deadline
        )
        return _decide(partial, replace(observation, hooks=answers))

    def _visit(
        self, rollout: Rollout, observation: Observation, decision: Decision, leased: LeasedRollouts
    ) -> Visit:
        signals.safe_point()
        if rollout.id in leased.changed_policies:
            return self._visit_changed_policy(rollout, observation, decision, leased)
        problem = leased.without_lease.get(rollout.id)
        if problem is None:
            return self._execute(rollout, observation, decision, leased)
        if not isinstance(decision.move, Lower):
            return Visit(rollout, problem=str(problem), saved=False)
        visit = self._execute(rollout, observation, decision, leased)
        if visit.saved:  # and with that, leased: it is given back as any other
            del leased.without_lease[rollout.id]
        return replace(visit, problem=visit.problem or str(problem))

    def _visit_changed_policy(
        self, rollout: Rollout, observation: Observation, decision: Decision, leased: LeasedRollouts
    ) -> Visit:
        """Lower what has another policy than it was started with, and record that it is down.

        After that it is only kept at 0 %. The channels and hooks of its policy get nothing,
        because a changed policy may name others; the log and the exit status speak.
        """
        problem = str(leased.changed_policies[rollout.id])
        if rollout.final and not isinstance(decision.move, Lower):
            return Visit(rollout, problem=problem, saved=False)
        visit = self._execute(rollout, observation, decision, leased)
        return replace(visit, problem=visit.problem or problem, observation=None)

    def _execute(
        self, rollout: Rollout, observation: Observation, decision: Decision, leased: LeasedRollouts
    ) -> Visit:
        """Carry `decision` out; what is raised meanwhile is a problem of the visit."""
        lowering = isinstance(decision.move, Lower)
        try:
            self._renew(rollout, decision, leased)
            return self.executor.execute(rollout, observation, decision)
        except (StateConflictError, LeaseHeldError) as error:
            log.warning("tick_lost", **log_context(rollout, error))
            if not lowering:
                return Visit(rollout, busy=True)
        except Exception as error:  # noqa: BLE001 - one rollout's trouble is its own
            return _failed_visit(rollout, error, EXECUTION_LABEL)

        def again(stored: Rollout, seen: Observation, now: datetime) -> Decision:
            return rebase_rollback(stored, decision, seen, now)

        try:
            return self.executor.execute_rollback(rollout.id, again, APPLY_WAIT, decision)
        except Exception as error:  # noqa: BLE001 - as above
            return _failed_visit(rollout, error, EXECUTION_LABEL)

    def _renew(self, rollout: Rollout, decision: Decision, leased: LeasedRollouts) -> None:
        """Prolong a lease that may end before the move does; lowering goes on without one."""
        late = self.observer.clock.now() >= leased.started_at + RENEW_AFTER
        if decision.move is None or not late or rollout.id in leased.without_lease:
            return
        lowering = isinstance(decision.move, Lower)
        with suppress(StoreError) if lowering else nullcontext():
            self.executor.leases.renew(rollout)


def _failed_visit(rollout: Rollout, error: Exception, doing: str) -> Visit:
    """Return the visit of a rollout that `error` has ended; doing: what failed."""
    problem = problem_of(error, rollout.id, doing)
    log.error(
        "save_failed" if doing == EXECUTION_LABEL else "load_failed",
        **log_context(rollout, problem),
    )
    return Visit(rollout, problem=str(problem), saved=False)


def _hooks_had_time(deferred: DeferredVisit) -> bool:
    return NO_TIME_LEFT not in deferred[0].rollout.blocked


def _decide(partial: PartialObservation, observation: Observation) -> tuple[Observation, Decision]:
    return observation, decide(partial.rollout, observation, partial.now)


# --- All rollouts of a tick -----------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class TickResult:
    """What became of the rollouts of a tick. missed: what it did not visit, and why."""

    visits: list[Visit]
    skips: list[Skip] = field(default_factory=list)

    @property
    def status(self) -> Exit:
        """The most urgent of what its visits have led to: 5, 1, 6, 75, else 0."""
        missed = [Exit.INTERNAL] if self.skips else []
        return exit_status.worst((*missed, *map(exit_status.of_tick, self.visits)))


def _no_limit(_length: timedelta) -> None:
    """Stand for clients that are simulated, or have limits of their own."""


# A person waits for a rollback: the store has so long to say whose names the rollout has ...
LOAD_LIMIT: Final = timedelta(seconds=6)
# ... and so long to record it, beside the time in which 0 % is written and seen applied.
RECORD_LIMIT: Final = timedelta(seconds=30)


@dataclass(frozen=True, slots=True)
class Runner:
    """Visits rollouts. Everything it touches comes in through the ports.

    observer: how it sees; notifier: what it says everything to; by: who acts, as somebody claims.
    channel_notifier: brings messages to those whom a policy names; None: another run does.
    hooks: asks what a policy wants to be asked; None: none of that is allowed.
    limit_calls: told how long calls may last from now on, all together, but for those that lower.
    author: says of `by` who is written into the history; asked after a move, which waits for it
    nowhere.
    """

    observer: Observer
    notifier: Notifier
    by: str
    channel_notifier: ChannelNotifier | None = None
    hooks: HookCaller | None = None
    limit_calls: Callable[[timedelta], None] = _no_limit
    author: Callable[[str], Author] = Author

    @property
    def store(self) -> Store:
        """Where rollouts are kept."""
        return self.observer.store

    @property
    def clock(self) -> Clock:
        """What it goes by."""
        return self.observer.clock

    # --- ticks ----------------------------------------------------------------------------------

    def tick(self, ids: Sequence[str]) -> TickResult:
        """Visit each rollout of `ids` once, with one read of the metrics for all of them.

        Those that need no metrics go first: a rollback does not wait for CloudWatch. Those that
        another run has are left to it. What goes wrong with one rollout is told of that one.

        Raises UnknownRolloutError before anything is touched.
        """
        self.limit_calls(TICK_LIMIT)
        with self._leases.lease_all(ids) as taken:
            if taken.absent:
                raise taken.absent[0]
            return self._run_tick(taken)

    def tick_active(self, names: Collection[str] = ()) -> TickResult:
        """Visit every rollout that has something to do, as `tick` does.

        names: only rollouts called so; none: all.
        Raises StoreError when the store cannot list them.
        """
        self.limit_calls(TICK_LIMIT)
        with self._leases.lease_all(self._active(names)) as taken:
            for error in taken.absent:  # nothing ever removes a rollout
                taken.skip(str(error.context.get("rollout", "")), error, "loading")
            return self._run_tick(taken)

    def _active(self, names: Collection[str]) -> Sequence[str]:
        try:
            return self.store.active(self.clock.now(), names)
        except Exception as error:
            problem = problem_of(error, "active rollouts", "listing")
            raise problem from error

    def visit(self, rollout_id: str) -> Visit:
        """Visit one rollout, as `tick` does. Raises RolloutError when it was not visited."""
        ticked = self.tick([rollout_id])
        if ticked.skips:
            raise ticked.skips[0].error
        return ticked.visits[0]

    def _run_tick(self, leased: LeasedRollouts) -> TickResult:
        """Visit what was taken and tell of it, before hooks are asked and after that.

        No message waits for a hook, and no lease that was kept to send one: the next tick may roll
        back meanwhile.
        """
        waiting = list[DeferredVisit]()
        visits, left = self._deliver(self._reconciler.reconcile(leased, waiting), MESSAGES_WITHIN)
        if waiting:
            for visit in visits:
                if visit.observation is not None and visit.rollout.outbox:
                    self._leases.release(visit.rollout.id)
            visits += self._deliver(self._reconciler.reconcile_deferred(waiting, leased), left)[0]
        visits += [Visit(rollout, busy=True) for rollout in leased.busy]
        for missed in leased.skips:
            log_skip(missed)
        return TickResult(visits, leased.skips)

    def _deliver(
        self, visits_due: Iterable[Visit], within: timedelta
    ) -> tuple[list[Visit], timedelta]:
        """Return the visits, told within `within`, and what is left of that."""
        visits = list[Visit]()
        try:
            for visit in visits_due:
                visits.append(visit)
        finally:
            begun = self.clock.now()
            visits = self._delivery.deliver(visits, within)
        return visits, within - (self.clock.now() - begun)

    # --- people ---------------------------------------------------------------------------------

    def create_rollout(self, decision: Decision, observation: Observation) -> Visit:
        """Create the rollout of `decision`, take its locks, and carry out its first move.

        What comes after the creation may fail to be saved: that is a problem of the visit.

        Raises TargetTakenError, StateConflictError: nothing was touched.
        """
        signals.safe_point()
        decision = enqueue_notices(decision, logging.run_id())
        rollout, entries = self._actuator.append_record(decision.rollout, observation, decision)
        self.store.create(rollout, entries, rollout.locks, hold=self._leases.expiry())
        log.info("rollout_started", rollout=rollout.id, revision=rollout.revision)
        try:
            visit = self._executor.after_save(rollout, decision, APPLY_WAIT)
            return self._delivery.deliver_start(visit)
        finally:
            self._leases.release(rollout.id)

    def run_command(self, rollout_id: str, command: Command) -> Visit:
        """Do what a person asks of one rollout, once a tick that has it is done.

        Raises UsageError when it does not fit, LeaseHeldError, StateConflictError, StoreError and
        UnknownRolloutError: nothing was changed.
        """
        if command.verb is Verb.ROLLBACK:
            return self.roll_back(rollout_id, command.reason)
        with self._leases.lease(rollout_id) as rollout:
            if command.verb in RAISING_VERBS:
                check_digests(rollout, self.store.history(rollout_id))
            look = self.observer.observe_target(rollout)
            seen = Observation(look.target, {}, look.owns_target)
            if command.verb in GATED_VERBS:
                ((_, answers),) = self.observer.count_log_events(self.observer.measure([look]))
                seen = look.observation(answers)
            if command.verb is Verb.ATTEST:
                command = replace(command, by=self.author(self.by).by)
            signals.safe_point()
            decision = apply_command(rollout, command, seen, look.now)
            if decision.hooks_to_call:
                calls = advance_calls(rollout, look.now)
                until = self._consent_hooks.deadline()
                said = self._consent_hooks.answers(
                    rollout.policy, decision.hooks_to_call, calls, until
                )
                seen = replace(seen, hooks=said)
                decision = apply_command(rollout, command, seen, look.now)
            visit = self._executor.execute(rollout, seen, decision)
            return self._delivery.deliver([visit])[0]

    def roll_back(self, rollout_id: str, reason: str, weight: int | None = None) -> Visit:
        """Roll one rollout back because a person said so, whatever else is in the way.

        weight: what was live before 0 % was written for that person; None: 0 % is not written yet.

        The person waits: for 0 % to be written, and again to see it in force, as long as the
        policy's rollback_timeout. Raises UnknownRolloutError, StoreError when the rollout cannot be
        read; that it cannot be written is a problem of the visit, and traffic is down by then. So
        is a policy that was changed since the start.
        """

        def by_hand(rollout: Rollout, seen: Observation, now: datetime) -> Decision:
            ask = Command(Verb.ROLLBACK, reason, weight=weight)
            decision = apply_command(rollout, ask, seen, now)
            patient = replace(lower_move(rollout), within=rollout.policy.rollback_timeout)
            return replace(decision, move=patient)

        self.limit_calls(LOAD_LIMIT)
        changed = ""
        try:
            known = self.store.load(rollout_id)
        except SnapshotChangedError as error:
            known, changed = rollout_for_rollback(self.store, error), str(error)
        patience: timedelta = known.policy.rollback_timeout
        self.limit_calls(RECORD_LIMIT + 2 * patience)
        if weight is None:  # else it is written already, and only the record is missing
            signals.safe_point()
        try:
            visit = self._executor.execute_rollback(rollout_id, by_hand, patience)
            if changed:  # its policy is not trusted to name its channels
                log.error("snapshot_changed", rollout=rollout_id, problem=changed)
                visit = replace(visit, problem=visit.problem or changed, observation=None)
            return self._delivery.deliver([visit])[0]
        finally:
            self._leases.release(rollout_id)

    # --- parts ----------------------------------------------------------------------------------

    def _author(self) -> Author:
        return self.author(self.by)

    @property
    def _actuator(self) -> Actuator:
        return Actuator(self.observer, self.notifier, self._author)

    @property
    def _leases(self) -> LeaseManager:
        return LeaseManager(self.store, self.clock)

    @property
    def _consent_hooks(self) -> ConsentHooks:
        return ConsentHooks(self.clock, self.hooks)

    @property
    def _reconciler(self) -> Reconciler:
        return Reconciler(self.observer, self._executor, self._consent_hooks)

    @property
    def _delivery(self) -> TickDelivery:
        posting = OutboxDelivery(
            self.store, self.clock, self.channel_notifier, self.hooks, self._author
        )
        return TickDelivery(self.clock, posting)

    @property
    def _executor(self) -> Executor:
        return Executor(self.observer, self._actuator, self._leases)
