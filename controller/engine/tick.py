"""One tick, which leases, observes, decides, executes and delivers; and the operators' commands."""

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final, TypeAlias

from controller.core.commands import GATED_VERBS, RAISING_VERBS, Command, Verb
from controller.core.decide import Commanded, Event, LostSave, Observed, decide
from controller.core.decision import Decision, Lower
from controller.core.history import Author
from controller.core.hook_call import advance_calls
from controller.core.observation import Observation
from controller.core.outbox import enqueue_notices
from controller.core.policy_snapshot import SnapshotChangedError, check_digests
from controller.core.rollout import Phase, Rollout
from controller.engine import exit_status
from controller.engine.deliver import DELIVERY_LIMIT, OutboxDelivery, TickDelivery, log_skip
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

# The part of a tick in which targets are read: one that hangs leaves time for the others.
TARGET_READ_LIMIT: Final = TICK_LIMIT / 2
# Decisions are executed until this long after the start of the tick, under a renewed lease.
EXECUTE_LIMIT: Final = 2 * LEASE_DURATION
# How long each write of 0 % is tried before the other rollouts have their turn.
FIRST_ATTEMPT_LIMIT: Final = timedelta(seconds=3)
# An operator waits for a rollback: the store has this long to name the target of the rollout ...
LOAD_LIMIT: Final = timedelta(seconds=6)
# ... and this long to record the rollback, in addition to writing 0 % and reading it back.
RECORD_LIMIT: Final = timedelta(seconds=30)
# What failed, in the message of a problem.
EXECUTION_LABEL: Final = "carrying out a decision about"

DeferredVisit: TypeAlias = tuple[PartialObservation, Observation, Decision]
"""A rollout to visit later, with its observation and the decision on it so far."""


@dataclass(frozen=True, slots=True)
class Reconciler:
    """Visits leased rollouts: observes their targets and metrics, decides, and executes."""

    observer: Observer
    executor: Executor
    consent_hooks: ConsentHooks

    def reconcile(self, leased: LeasedRollouts, deferred: list[DeferredVisit]) -> Iterator[Visit]:
        """Yield a visit of each rollout of `leased`, with one read of the metrics for all of them.

        Rollbacks in progress go first and wait for no other rollout; rollouts that need no metrics
        go next. A rollout whose hooks must be called is added to `deferred`. A write of 0 % that
        fails at first is repeated once every other rollout was visited. An exception is the problem
        of one rollout; a rollout that the tick has no time for is skipped.
        """
        retries = list[DeferredVisit]()
        partials = list[PartialObservation]()
        deadline = min(
            self.observer.clock.now() + TARGET_READ_LIMIT, leased.started_at + TICK_LIMIT
        )
        for rollout in leased.rollouts:
            rolling_back = rollout.phase is Phase.ROLLING_BACK
            if rolling_back or self.observer.clock.now() < deadline:
                yield from self._observe_target(rollout, partials)
            else:
                leased.skip_late(rollout.id)
            if rolling_back and partials:
                yield from self._reconcile_rollout(
                    partials.pop(), Measurements(), leased, deferred, retries
                )
        for partial in [one for one in partials if not one.needs]:
            yield from self._reconcile_rollout(partial, Measurements(), leased, deferred, retries)
        signals.safe_point()
        for partial, measurements in self._measure([one for one in partials if one.needs]):
            yield from self._reconcile_rollout(partial, measurements, leased, deferred, retries)
        for partial, observation, decision in retries:
            yield self._visit(partial.rollout, observation, decision, leased)

    def _observe_target(
        self, rollout: Rollout, partials: list[PartialObservation]
    ) -> Iterator[Visit]:
        """Add `rollout` to `partials` with its target read; yield a visit if that fails."""
        signals.safe_point()
        try:
            partials.append(self.observer.observe_target(rollout))
        except Exception as error:  # noqa: BLE001 - one rollout's trouble is its own
            yield _failed_visit(rollout, error, "looking at")

    def _reconcile_rollout(
        self,
        partial: PartialObservation,
        measurements: Measurements,
        leased: LeasedRollouts,
        deferred: list[DeferredVisit],
        retries: list[DeferredVisit],
    ) -> Iterator[Visit]:
        """Yield the visit of one rollout, unless it was deferred, is to be retried, or skipped."""
        try:
            observation, decision = _decide(partial, partial.observation(measurements))
        except Exception as error:  # noqa: BLE001 - one rollout's trouble is its own
            yield _failed_visit(partial.rollout, error, "deciding about")
            return
        lowering = isinstance(decision.move, Lower)
        if not lowering and self.observer.clock.now() >= leased.started_at + EXECUTE_LIMIT:
            leased.skip_late(partial.rollout.id)
        elif decision.hooks_to_call:  # no rollout waits for the hooks of another one
            deferred.append((partial, observation, decision))
        elif isinstance(decision.move, Lower) and not self._try_lower(
            partial, decision.move, leased
        ):
            retries.append((partial, observation, decision))
        else:
            yield self._visit(partial.rollout, observation, decision, leased)

    def _try_lower(self, partial: PartialObservation, move: Lower, leased: LeasedRollouts) -> bool:
        """Try for a moment to write 0 %; tell whether to go on with this rollout at once."""
        if len(leased.rollouts) == 1 or self.observer.dry_run:
            return True  # no other rollout waits
        try:
            target = self.observer.target_of(partial.rollout)
            target.lower_to_zero(
                min(move.within, FIRST_ATTEMPT_LIMIT), void=move.void, only=move.only
            )
        except WriteRefusedError:
            return True  # a refusal takes no time, and the visit reports it
        except Exception as error:  # noqa: BLE001 - the retry reports what is wrong
            log.warning("lower_delayed", rollout=partial.rollout.id, problem=type(error).__name__)
            return False
        return True

    def reconcile_deferred(
        self, deferred: Sequence[DeferredVisit], leased: LeasedRollouts
    ) -> Iterator[Visit]:
        """Yield a visit of each rollout in `deferred`, once its hooks were called.

        They go last, so that only the step that needs a consent waits for it. Rollouts whose hooks
        got no time in the last tick go first among them.
        """
        deadline = min(self.consent_hooks.deadline(), leased.started_at + TICK_LIMIT)
        for partial, observation, decision in sorted(deferred, key=_hooks_had_time):
            signals.safe_point()
            try:
                consented = self._decide_with_hooks(partial, observation, decision, deadline)
            except Exception as error:  # noqa: BLE001 - one rollout's trouble is its own
                yield _failed_visit(partial.rollout, error, "asking hooks of")
                continue
            yield self._visit(partial.rollout, *consented, leased)

    def _measure(
        self, partials: Sequence[PartialObservation]
    ) -> Iterator[tuple[PartialObservation, Measurements]]:
        """Yield each of `partials` with its measurements.

        A search of a log may be slow: rollouts that need none come first.
        """
        pairs = self.observer.measure(partials)
        yield from (pair for pair in pairs if not pair[0].needs.logs)
        yield from self.observer.count_log_events([pair for pair in pairs if pair[0].needs.logs])

    def _decide_with_hooks(
        self,
        partial: PartialObservation,
        observation: Observation,
        decision: Decision,
        deadline: datetime,
    ) -> tuple[Observation, Decision]:
        """Return the observation with the answers of its hooks, and the decision on both."""
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
        if visit.saved:  # the save took the lease, which is released as any other
            del leased.without_lease[rollout.id]
        return replace(visit, problem=visit.problem or str(problem))

    def _visit_changed_policy(
        self, rollout: Rollout, observation: Observation, decision: Decision, leased: LeasedRollouts
    ) -> Visit:
        """Finish the rollback of a rollout whose stored policy was changed after the start.

        After that it is only kept at 0 %. Its messages are not delivered and its hooks not called,
        because a changed policy may name other channels; the log and the exit status report it.
        """
        problem = str(leased.changed_policies[rollout.id])
        if rollout.final and not isinstance(decision.move, Lower):
            return Visit(rollout, problem=problem, saved=False)
        visit = self._execute(rollout, observation, decision, leased)
        return replace(visit, problem=visit.problem or problem, observation=None)

    def _execute(
        self, rollout: Rollout, observation: Observation, decision: Decision, leased: LeasedRollouts
    ) -> Visit:
        """Execute `decision`; an exception is the problem of the visit."""
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

        def lost_save(current: Observation) -> Event:
            return LostSave(current, decision)

        try:
            return self.executor.execute_rollback(rollout.id, lost_save, APPLY_WAIT, decision)
        except Exception as error:  # noqa: BLE001 - as above
            return _failed_visit(rollout, error, EXECUTION_LABEL)

    def _renew(self, rollout: Rollout, decision: Decision, leased: LeasedRollouts) -> None:
        """Renew a lease that may end before the move does; a rollback goes on without one."""
        late = self.observer.clock.now() >= leased.started_at + RENEW_AFTER
        if decision.move is None or not late or rollout.id in leased.without_lease:
            return
        lowering = isinstance(decision.move, Lower)
        with suppress(StoreError) if lowering else nullcontext():
            self.executor.leases.renew(rollout)


def _failed_visit(rollout: Rollout, error: Exception, doing: str) -> Visit:
    """Return the visit of a rollout that `error` ended. doing: what failed, as in "deciding"."""
    problem = problem_of(error, rollout.id, doing)
    log.error(
        "save_failed" if doing == EXECUTION_LABEL else "load_failed",
        **log_context(rollout, problem),
    )
    return Visit(rollout, problem=str(problem), saved=False)


def _hooks_had_time(deferred: DeferredVisit) -> bool:
    return NO_TIME_LEFT not in deferred[0].rollout.blocked


def _decide(partial: PartialObservation, observation: Observation) -> tuple[Observation, Decision]:
    return observation, decide(partial.rollout, Observed(observation), partial.now)


# --- The tick -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class TickResult:
    """The visits of a tick. skips: the rollouts that it did not visit, each with its error."""

    visits: list[Visit]
    skips: list[Skip] = field(default_factory=list)

    @property
    def status(self) -> Exit:
        """The most urgent exit status of its visits and skips: 5, 1, 6, 75, else 0."""
        skipped = [Exit.INTERNAL] if self.skips else []
        return exit_status.worst((*skipped, *map(exit_status.of_tick, self.visits)))


def _no_limit(_length: timedelta) -> None:
    """Set no limit: the clients are simulated, or have limits of their own."""


@dataclass(frozen=True, slots=True)
class Runner:
    """Runs ticks and the commands of operators. Everything outside comes in through the ports.

    observer: reads targets, metrics, logs and alarms. notifier: gets every notice.
    by: who acts, a name that the caller claims.
    channel_notifier: delivers messages to the channels of a policy; None: another run does.
    hooks: calls the hooks of a policy; None: no hook gives its consent.
    limit_calls: sets how long calls may last from now on, all together; those that lower the
        weight are exempt.
    author: returns the author for `by` as the history records it; called after a move, so that no
        move waits for it.
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
        """The source of time."""
        return self.observer.clock

    # --- ticks ----------------------------------------------------------------------------------

    def tick(self, ids: Sequence[str]) -> TickResult:
        """Visit each rollout of `ids` once, with one read of the metrics for all of them.

        Rollouts that need no metrics go first: a rollback does not wait for CloudWatch. A rollout
        that another run has leased is left to that run. An error is the problem of one rollout.

        Raises UnknownRolloutError before anything is changed.
        """
        self.limit_calls(TICK_LIMIT)
        with self._leases.lease_all(ids) as leased:
            if leased.absent:
                raise leased.absent[0]
            return self._run_tick(leased)

    def tick_active(self, names: Collection[str] = ()) -> TickResult:
        """Visit every rollout that has something to do, as `tick` does.

        names: only rollouts of these names; empty: all.
        Raises StoreError when the store cannot list them.
        """
        self.limit_calls(TICK_LIMIT)
        with self._leases.lease_all(self._active(names)) as leased:
            for error in leased.absent:  # no rollout is ever removed, so this is an error
                leased.skip(str(error.context.get("rollout", "")), error, "loading")
            return self._run_tick(leased)

    def _active(self, names: Collection[str]) -> Sequence[str]:
        try:
            return self.store.active(self.clock.now(), names)
        except Exception as error:
            problem = problem_of(error, "active rollouts", "listing")
            raise problem from error

    def visit(self, rollout_id: str) -> Visit:
        """Visit one rollout, as `tick` does. Raises RolloutError when it was not visited."""
        result = self.tick([rollout_id])
        if result.skips:
            raise result.skips[0].error
        return result.visits[0]

    def _run_tick(self, leased: LeasedRollouts) -> TickResult:
        """Visit the leased rollouts; deliver their messages before hooks are called, and after.

        No message waits for a hook. Nor does a lease that was kept to send messages: the next tick
        may have to roll back in the meantime.
        """
        deferred = list[DeferredVisit]()
        visits, remaining = self._deliver(
            self._reconciler.reconcile(leased, deferred), DELIVERY_LIMIT
        )
        if deferred:
            for visit in visits:
                if visit.observation is not None and visit.rollout.outbox:
                    self._leases.release(visit.rollout.id)
            late_visits = self._reconciler.reconcile_deferred(deferred, leased)
            visits += self._deliver(late_visits, remaining)[0]
        visits += [Visit(rollout, busy=True) for rollout in leased.busy]
        for skip in leased.skips:
            log_skip(skip)
        return TickResult(visits, leased.skips)

    def _deliver(
        self, visits_due: Iterable[Visit], within: timedelta
    ) -> tuple[list[Visit], timedelta]:
        """Return the visits with their messages delivered, and what is left of `within`."""
        visits = list[Visit]()
        try:
            for visit in visits_due:
                visits.append(visit)
        finally:
            started_at = self.clock.now()
            visits = self._delivery.deliver(visits, within)
        return visits, within - (self.clock.now() - started_at)

    # --- operators ------------------------------------------------------------------------------

    def create_rollout(self, decision: Decision, observation: Observation) -> Visit:
        """Create the rollout of `decision`, take its locks, and execute its first move.

        A save that fails after the creation is the problem of the visit.

        Raises TargetTakenError, StateConflictError: nothing was changed.
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
        """Apply the command of an operator to one rollout, once a tick that has leased it ends.

        Raises UsageError when it does not fit the state of the rollout, LeaseHeldError,
        StateConflictError, StoreError and UnknownRolloutError: nothing was changed.
        """
        if command.verb is Verb.ROLLBACK:
            return self.roll_back(rollout_id, command.reason)
        with self._leases.lease(rollout_id) as rollout:
            if command.verb in RAISING_VERBS:
                check_digests(rollout, self.store.history(rollout_id))
            partial = self.observer.observe_target(rollout)
            observation = Observation(partial.target, {}, partial.owns_target)
            if command.verb in GATED_VERBS:
                pairs = self.observer.count_log_events(self.observer.measure([partial]))
                ((_, measurements),) = pairs
                observation = partial.observation(measurements)
            if command.verb is Verb.ATTEST:
                command = replace(command, by=self.author(self.by).by)
            signals.safe_point()
            decision = decide(rollout, Commanded(observation, command), partial.now)
            if decision.hooks_to_call:
                calls = advance_calls(rollout, partial.now)
                deadline = self._consent_hooks.deadline()
                answers = self._consent_hooks.answers(
                    rollout.policy, decision.hooks_to_call, calls, deadline
                )
                observation = replace(observation, hooks=answers)
                decision = decide(rollout, Commanded(observation, command), partial.now)
            visit = self._executor.execute(rollout, observation, decision)
            return self._delivery.deliver([visit])[0]

    def roll_back(self, rollout_id: str, reason: str, weight: int | None = None) -> Visit:
        """Roll one rollout back at the request of an operator; no lease and no check delays it.

        weight: the weight before the caller wrote 0 %; None: 0 % is not written yet.

        The operator waits up to the policy's rollback_timeout for 0 % to be written, and as long
        again for it to be applied. Raises UnknownRolloutError, and StoreError when the rollout
        cannot be read. A failed save is the problem of the visit, as traffic is at 0 % by then; so
        is a policy that was changed since the start.
        """

        command = Command(Verb.ROLLBACK, reason, weight=weight)

        def commanded(observation: Observation) -> Event:
            return Commanded(observation, command)

        self.limit_calls(LOAD_LIMIT)
        policy_problem = ""
        try:
            stored = self.store.load(rollout_id)
        except SnapshotChangedError as error:
            stored, policy_problem = rollout_for_rollback(self.store, error), str(error)
        timeout: timedelta = stored.policy.rollback_timeout
        self.limit_calls(RECORD_LIMIT + 2 * timeout)
        if weight is None:  # else 0 % is written already, and only the record is missing
            signals.safe_point()
        try:
            visit = self._executor.execute_rollback(rollout_id, commanded, timeout)
            if policy_problem:  # a changed policy is not trusted to name its channels
                log.error("snapshot_changed", rollout=rollout_id, problem=policy_problem)
                visit = replace(visit, problem=visit.problem or policy_problem, observation=None)
            return self._delivery.deliver([visit])[0]
        finally:
            self._leases.release(rollout_id)

    # --- components -----------------------------------------------------------------------------

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
        outbox = OutboxDelivery(
            self.store, self.clock, self.channel_notifier, self.hooks, self._author
        )
        return TickDelivery(self.clock, outbox)

    @property
    def _executor(self) -> Executor:
        return Executor(self.observer, self._actuator, self._leases)
