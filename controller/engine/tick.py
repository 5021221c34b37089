"""One tick: lease, observe, decide, execute, deliver; and the commands of operators.

Both go the same road. A tick leases many rollouts and reads the metrics of all of them at once; a
command waits for the lease of one. From then on they differ in the event that is decided on.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from functools import partial
from itertools import takewhile
from typing import TypeVar

from controller.core.clock_skew import future_save
from controller.core.commands import GATED_VERBS, RAISING_VERBS
from controller.core.decide import decide
from controller.core.decision import Decision, Lower, Shift
from controller.core.events import Command, Commanded, LostSave, Observed, Seen, Verb
from controller.core.history import Author, recorded_state
from controller.core.judge.queries import JUDGED_PHASES
from controller.core.observation import Observation, QueryStatus, TargetReading
from controller.core.policy_snapshot import check_digests
from controller.core.repeated_state import check_state
from controller.core.rollout import Phase, Rollout
from controller.core.transitions import has_own_rollback
from controller.core.words.next_action import next_action
from controller.engine import time_limits
from controller.engine.deliver import Announce, Delivery, OutboxDelivery, log_notice
from controller.engine.execute import Executor, Visit
from controller.engine.hooks import ConsentHooks, advance_calls
from controller.engine.isolation import problem_of
from controller.engine.lease import (
    LeasedRollouts,
    LeaseManager,
    load_for_rollback,
    skip_late,
)
from controller.engine.observe import Measurements, Observer, PartialObservation, log_context
from controller.engine.outbox import delivery_priority
from controller.engine.outcomes import Outcome, Outcomes, Postponed, TickResult
from controller.engine.recipients import RecipientCheck
from controller.errors import (
    LeaseHeldError,
    StateConflictError,
    StoreError,
    UnknownRolloutError,
    WriteRefusedError,
)
from controller.immutable import replace
from controller.ports.clock import Clock
from controller.ports.notify import ChannelNotifier, HookCaller
from controller.ports.store import Store
from controller.process import logging, signals

log = logging.logger()

_NO_FIX = (
    "{} says that it was started as a fix, and the store has no item that allows it: all its "
    "criteria gate"
)

_Item = TypeVar("_Item")


class _Stage(StrEnum):
    """What a run was doing when an error ended a visit; the word is part of the message."""

    OBSERVE = "looking at"
    DECIDE = "deciding about"
    ASK_HOOKS = "asking hooks of"
    EXECUTE = "carrying out a decision about"
    DELIVER = "delivering messages of"


def _no_limit(_length: timedelta) -> None:
    """Set no limit: the clients are simulated, or have limits of their own."""


@dataclass(slots=True, eq=False)
class Runner:
    """Runs ticks and the commands of operators. Everything outside comes in through the ports.

    observer: reads targets, metrics, logs and alarms.
    by: who acts, a name that the caller claims.
    channel_notifier: delivers messages to the channels of a policy; None: another run does.
    hooks: calls the hooks of a policy; None: no hook gives its consent.
    limit_calls: sets how long calls may last from now on, all together; those that lower the
        weight are exempt.
    author: returns the author for `by` as the history records it; called after a move, so that no
        move waits for it.
    announce: shows every notice at once; a real run logs it.
    recipients: which channels and hooks the list in the store allows.
    """

    observer: Observer
    by: str
    channel_notifier: ChannelNotifier | None = None
    hooks: HookCaller | None = None
    limit_calls: Callable[[timedelta], None] = _no_limit
    author: Callable[[str], Author] = Author
    announce: Announce = log_notice
    recipients: RecipientCheck = field(init=False)
    _leases: LeaseManager = field(init=False)
    _consent: ConsentHooks = field(init=False)
    _executor: Executor = field(init=False)
    _outbox: OutboxDelivery = field(init=False)

    def __post_init__(self) -> None:
        self._leases = LeaseManager(self.store, self.clock)
        self.recipients = RecipientCheck(self.store.recipients)
        self._consent = ConsentHooks(self.clock, self.hooks, self.recipients)
        delivers = self.channel_notifier is not None or self.hooks is not None
        self._executor = Executor(
            self.observer, self._leases, self.announce, partial(self.author, self.by), delivers
        )
        self._outbox = OutboxDelivery(
            self.clock, self.channel_notifier, self.hooks, self.recipients
        )

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
        self.limit_calls(time_limits.TICK_LIMIT)
        leased = self._leases.lease_all(ids)
        for one in leased.skips:
            if isinstance(one.error, UnknownRolloutError):
                self._leases.release_all(leased)
                raise one.error
        return self._tick(leased)

    def tick_active(self, names: Collection[str] = ()) -> TickResult:
        """Visit every rollout that has something to do, as `tick` does.

        names: only rollouts of these names; empty: all.
        Raises StoreError when the store cannot list them.
        """
        self.limit_calls(time_limits.TICK_LIMIT)
        return self._tick(self._leases.lease_all(self._active(names)))

    def visit(self, rollout_id: str) -> Visit:
        """Visit one rollout, as `tick` does. Raises RolloutError when it was not visited."""
        result = self.tick([rollout_id])
        if result.skips:
            raise result.skips[0].error
        return result.visits[0]

    def _active(self, names: Collection[str]) -> Sequence[str]:
        try:
            return self.store.active(self.clock.now(), names)
        except Exception as error:
            problem = problem_of(error, "active rollouts", "listing")
            raise problem from error

    def _tick(self, leased: LeasedRollouts) -> TickResult:
        """Visit the leased rollouts; deliver their messages before hooks are called, and after.

        No message waits for a hook. Nor does a lease that was kept to send messages: the next tick
        may have to roll back in the meantime. After a stop signal no further rollout is visited.
        """
        self.recipients.begin()
        visits = list[Visit]()
        try:
            found = self._visit_all(leased)
            visits, left = self._deliver(found.visits, time_limits.DELIVERY_LIMIT)
            if found.for_hooks:
                for visit in visits:
                    if visit.observation is not None and visit.rollout.outbox:
                        self._leases.release(visit.rollout.id)
                deadline = min(self._consent.deadline(), leased.started_at + time_limits.TICK_LIMIT)
                by_save = sorted(found.for_hooks, key=lambda one: one.partial.rollout.updated)
                late = [self._finish(leased, one, deadline) for one in _until_stop(by_save)]
                visits += self._deliver(late, left)[0]
            skips = [*leased.skips, *found.skips]
            if len(visits) + len(skips) < len(leased.rollouts) + len(leased.skips):
                signals.safe_point()  # which ends this run
            visits += [Visit(rollout, busy=True) for rollout in leased.busy]
            for one in skips:
                log.info("tick_completed", rollout=one.rollout_id, problem=str(one.error))
            return TickResult(visits, skips)
        finally:
            self._leases.release_all(leased, {one.rollout.id for one in visits if one.saved})

    def _visit_all(self, leased: LeasedRollouts) -> Outcomes:
        """Return what came of each leased rollout, with one read of the metrics for all of them.

        Rollbacks in progress go first and wait for no other rollout. A write of 0 % that fails at
        first is repeated once every other rollout was visited. A second rollback of the same policy
        name comes after all of these.
        """
        deadline = min(
            self.clock.now() + time_limits.TARGET_READ_LIMIT,
            leased.started_at + time_limits.TICK_LIMIT,
        )
        first, others, further = _by_turn(leased)
        found, partials = Outcomes(), list[PartialObservation]()
        for rollout in _until_stop(first):
            found.add(self._observe_and_visit(leased, rollout))
        for rollout in _until_stop(others):
            observed = self._observe(leased, rollout, deadline)
            if isinstance(observed, PartialObservation):
                partials.append(observed)
            else:
                found.add(observed)
        for partial_observation, measurements in _until_stop(self._measured(partials)):
            found.add(self._visit(leased, partial_observation, measurements))
        retries = sorted(found.retries, key=lambda one: one.may_be_by_hand)  # no write waits
        for postponed in _until_stop(retries):
            found.add(self._finish(leased, postponed))
        for rollout in _until_stop(further):
            found.add(self._visit_further(leased, rollout))
        return found

    def _measured(
        self, partials: Sequence[PartialObservation]
    ) -> Iterator[tuple[PartialObservation, Measurements]]:
        """Yield each of `partials` with its measurements, made when those before were visited.

        Rollouts that need none come first, and those that search a log, which may be slow, last.
        """
        yield from ((one, Measurements()) for one in partials if not one.needs)
        if signals.stop_requested():
            return
        measured = self.observer.measure([one for one in partials if one.needs])
        yield from (pair for pair in measured if not pair[0].needs.logs)
        if signals.stop_requested():
            return
        yield from self.observer.count_log_events([one for one in measured if one[0].needs.logs])

    def _visit_further(self, leased: LeasedRollouts, rollout: Rollout) -> Outcome:
        """Go on with a rollback that is not the first one of its policy name, unless it is late."""
        passed = self.clock.now() - leased.started_at
        if passed >= time_limits.TICK_LIMIT:
            return skip_late(rollout.id, passed, further=True)
        outcome = self._observe_and_visit(leased, rollout)
        if isinstance(outcome, Postponed) and not outcome.needs_hooks:
            return self._finish(leased, outcome)
        return outcome

    def _observe(
        self, leased: LeasedRollouts, rollout: Rollout, deadline: datetime
    ) -> PartialObservation | Outcome:
        """Return `rollout` with its target read, unless that fails or is too late."""
        if (now := self.clock.now()) >= deadline:
            return skip_late(rollout.id, now - leased.started_at)
        return self._observe_target(rollout)

    def _observe_target(self, rollout: Rollout) -> PartialObservation | Outcome:
        try:
            return self.observer.observe_target(rollout)
        except Exception as error:  # noqa: BLE001 - one rollout's trouble is its own
            return _failed_visit(rollout, error, _Stage.OBSERVE)

    def _observe_and_visit(self, leased: LeasedRollouts, rollout: Rollout) -> Outcome:
        observed = self._observe_target(rollout)
        if isinstance(observed, PartialObservation):
            return self._visit(leased, observed, Measurements())
        return observed

    # --- one rollout of a tick ------------------------------------------------------------------

    def _visit(
        self, leased: LeasedRollouts, observed: PartialObservation, measurements: Measurements
    ) -> Outcome:
        """Decide on one rollout, and execute the decision unless it is postponed or too late."""
        rollout, stage = observed.rollout, _Stage.DECIDE
        try:
            event = Observed(observed.observation(measurements))
            decision = decide(rollout, event, observed.now)
            move = decision.move
            passed = self.clock.now() - leased.started_at
            if not isinstance(move, Lower) and passed >= time_limits.EXECUTE_LIMIT:
                return skip_late(rollout.id, passed)
            postponed = Postponed(observed, event, decision)
            if postponed.needs_hooks:  # no rollout waits for the hooks of another one
                return postponed
            if postponed.may_be_by_hand and not self.observer.dry_run:
                return postponed
            others_wait = len(leased.rollouts) > 1 and not self.observer.dry_run
            others_wait = others_wait and not rollout.policy.target.observed
            if isinstance(move, Lower) and others_wait and not self._try_lower(rollout, move):
                return postponed
            stage = _Stage.EXECUTE
            visit = self._execute(leased, rollout, event, decision)
            return _with_problems(visit, observed, event)
        except Exception as error:  # noqa: BLE001 - one rollout's trouble is its own
            return _failed_visit(rollout, error, stage)

    def _try_lower(self, rollout: Rollout, move: Lower) -> bool:
        """Try for a moment to write 0 %; tell whether to go on with this rollout at once."""
        within = min(move.within, time_limits.FIRST_ATTEMPT_LIMIT)
        try:
            target = self.observer.target_of(rollout)
            target.lower_to_zero(within, void=move.void, only=move.only)
        except WriteRefusedError:
            return True  # a refusal takes no time, and the visit reports it
        except Exception as error:  # noqa: BLE001 - the retry reports what is wrong
            log.warning("lower_delayed", rollout=rollout.id, problem=type(error).__name__)
            return False
        return True

    def _finish(
        self, leased: LeasedRollouts, postponed: Postponed, deadline: datetime | None = None
    ) -> Visit:
        """Execute a postponed decision; first call the hooks that it needs, until `deadline`.

        A rollout whose first hook has no time left is not saved. So its last save is the oldest
        one, and the next tick calls its hooks first.
        """
        event, decision, stage = postponed.event, postponed.decision, _Stage.ASK_HOOKS
        rollout = postponed.partial.rollout
        try:
            if deadline is not None:
                if self.clock.now() >= deadline:
                    log.warning("hooks_not_called", rollout=rollout.id)
                    return Visit(rollout)
                now = postponed.partial.now
                event, decision = self._ask_hooks(rollout, event, decision, now, deadline)
            if postponed.may_be_by_hand and self._is_recorded_by_hand(postponed.partial):
                log.warning("tick_lost", rollout=rollout.id, problem="an operator set 0 %")
                return Visit(self.store.load(rollout.id), busy=True)
            stage = _Stage.EXECUTE
            visit = self._execute(leased, rollout, event, decision)
            return _with_problems(visit, postponed.partial, event)
        except Exception as error:  # noqa: BLE001 - one rollout's trouble is its own
            return _failed_visit(rollout, error, stage)

    def _is_recorded_by_hand(self, observed: PartialObservation) -> bool:
        """Wait until an operator's command has saved the rollout; tell whether one has."""
        now, version = self.clock.now(), observed.rollout.version
        deadline = min(observed.now, now) + time_limits.BY_HAND_LIMIT
        with suppress(StoreError):  # the save that follows reports it
            while self.store.load(observed.rollout.id).version == version:
                if self.clock.now() >= deadline or signals.stop_requested():
                    return False
                self.clock.sleep(time_limits.POLL_INTERVAL)
            return True
        return False

    def _execute(
        self, leased: LeasedRollouts, rollout: Rollout, event: Seen, decision: Decision
    ) -> Visit:
        """Execute the decision of a tick under its lease; a lost save of 0 % is decided again.

        Without a lease the weight is only lowered. A rollout whose stored policy was changed is
        only lowered and kept at 0 %: its messages are not delivered and its hooks not called,
        because a changed policy may name other channels. The log and the exit status report both.
        A rollout that was saved in the future is not raised: by that time, its bake may be over.
        """
        grant = leased.rollouts[rollout.id]
        problem, lowering = grant.problem, isinstance(decision.move, Lower)
        if problem and not lowering and (grant.no_lease or rollout.final):
            return Visit(rollout, problem=problem, saved=False)
        if ahead := future_save(rollout, self.clock.now()):
            log.error("saved_in_future", rollout=rollout.id, problem=ahead)
            if isinstance(decision.move, Shift):
                return Visit(rollout, problem=ahead, saved=False)
        try:
            if grant.no_lease is None:
                self._renew_if_late(leased, rollout, decision)
            visit = self._executor.execute(rollout, event.observation, decision)
        except (StateConflictError, LeaseHeldError) as error:
            log.warning("tick_lost", **log_context(rollout, error))
            if not lowering:
                return Visit(rollout, busy=True)
            lost_save = partial(LostSave.of, lowered=decision.rollout)
            visit = self._executor.roll_back(
                rollout.id, lost_save, time_limits.APPLY_WAIT, unsaved=decision
            )
        delivered = visit.observation if grant.changed_policy is None else None
        problem = visit.problem or problem or ahead
        return replace(visit, problem=problem, observation=delivered)

    def _renew_if_late(self, leased: LeasedRollouts, rollout: Rollout, decision: Decision) -> None:
        """Renew a lease that may end before the move does; a rollback goes on without one."""
        if decision.move is None or self.clock.now() < leased.started_at + time_limits.RENEW_AFTER:
            return
        lowering = isinstance(decision.move, Lower)
        with suppress(StoreError) if lowering else nullcontext():
            self._leases.renew(rollout)

    # --- operators ------------------------------------------------------------------------------

    def create_rollout(self, decision: Decision, observation: Observation) -> Visit:
        """Create the rollout of `decision`, take its locks, and execute its first move.

        A save that fails after the creation is the problem of the visit.

        Raises TargetTakenError, StateConflictError: nothing was changed.
        """
        signals.safe_point()
        try:
            visit = self._executor.execute(None, observation, decision)
            return self._send(visit, self.clock.now() + time_limits.DELIVERY_LIMIT)[0]
        finally:
            self._leases.release(decision.rollout.id)

    def run_command(self, rollout_id: str, command: Command) -> Visit:
        """Apply the command of an operator to one rollout, once a tick that has leased it ends.

        Raises UsageError when it does not fit the state of the rollout, LeaseHeldError,
        StateConflictError, StoreError and UnknownRolloutError: nothing was changed.
        """
        if command.verb is Verb.ROLLBACK:
            return self.roll_back(rollout_id, command.reason)
        self.recipients.begin()
        rollout = self._leases.acquire_or_wait(rollout_id)
        try:
            if command.verb in RAISING_VERBS:
                entries = self.store.history(rollout_id)
                check_digests(rollout, entries)
                check_state(rollout, recorded_state(rollout, entries[-1] if entries else None))
            observed = self.observer.observe_target(rollout)
            observation = Observation(observed.target, {}, observed.owns_target)
            if command.verb in GATED_VERBS:
                measured = self.observer.count_log_events(self.observer.measure([observed]))
                observation = observed.observation(measured[0][1])
            if command.verb is Verb.ATTEST:
                command = replace(command, by=self.author(self.by).by)
            signals.safe_point()
            event: Seen = Commanded(observation, command)
            decision = decide(rollout, event, observed.now)
            if decision.hooks_to_call:
                deadline = self._consent.deadline()
                event, decision = self._ask_hooks(rollout, event, decision, observed.now, deadline)
            visit = self._executor.execute(rollout, event.observation, decision)
            visit = replace(visit, repeated=decision.record is None)
            return self._deliver([visit], time_limits.DELIVERY_LIMIT)[0][0]
        finally:
            self._leases.release(rollout_id)

    def roll_back(self, rollout_id: str, reason: str, weight: int | None = None) -> Visit:
        """Roll one rollout back at the request of an operator; no lease and no check delays it.

        weight: the weight before the caller wrote 0 %; None: 0 % is not written yet.

        The operator waits up to the policy's rollback_timeout for 0 % to be written, and as long
        again for it to be applied. Raises UnknownRolloutError, and StoreError when the rollout
        cannot be read. A failed save is the problem of the visit, as traffic is at 0 % by then; so
        is a policy that was changed since the start.
        """
        self.recipients.begin()
        self.limit_calls(time_limits.LOAD_LIMIT)
        stored = load_for_rollback(self.store, rollout_id)
        timeout: timedelta = stored.rollout.policy.rollback_timeout
        self.limit_calls(time_limits.RECORD_LIMIT + 2 * timeout)
        if weight is None:  # else 0 % is written already, and only the record is missing
            signals.safe_point()
        commanded = partial(Commanded, command=Command(Verb.ROLLBACK, reason, weight=weight))
        try:
            visit = self._executor.roll_back(rollout_id, commanded, timeout)
            visit = replace(visit, repeated=has_own_rollback(stored.rollout))
            if stored.changed_policy:  # a changed policy is not trusted to name its channels
                log.error("snapshot_changed", rollout=rollout_id, problem=stored.problem)
                visit = replace(visit, problem=visit.problem or stored.problem, observation=None)
            return self._deliver([visit], time_limits.DELIVERY_LIMIT)[0][0]
        finally:
            self._leases.release(rollout_id)

    # --- hooks and messages ---------------------------------------------------------------------

    def _ask_hooks(
        self, rollout: Rollout, event: Seen, decision: Decision, now: datetime, deadline: datetime
    ) -> tuple[Seen, Decision]:
        """Return `event` with the answers of the hooks of `decision`, and the decision on it."""
        calls = advance_calls(decision.rollout, now)
        answers = self._consent.answers(
            rollout.id, rollout.policy, decision.hooks_to_call, calls, deadline
        )
        event = replace(event, observation=replace(event.observation, hooks=answers))
        return event, decide(rollout, event, now)

    def _deliver(self, visits: Sequence[Visit], within: timedelta) -> tuple[list[Visit], timedelta]:
        """Deliver the messages of `visits` within one time limit, and log each visit.

        Returns the visits, and what is left of `within`.
        """
        started_at, delivered = self.clock.now(), list(visits)
        by_priority = sorted(enumerate(visits), key=lambda one: delivery_priority(one[1].rollout))
        for index, visit in by_priority:
            if visit.observation is not None:
                delivered[index], delivery = self._send(visit, started_at + within)
                _log_visit(delivered[index], delivery)
            elif not visit.busy:  # else the run that holds the lease logs it
                _log_visit(visit, Delivery(visit.rollout.outbox))
        return delivered, within - (self.clock.now() - started_at)

    def _send(self, visit: Visit, deadline: datetime) -> tuple[Visit, Delivery]:
        """Send the messages of `visit`, and save what is left.

        An exception is its problem, and so is a channel or hook that the list does not allow.
        """
        delivery = Delivery(visit.rollout.outbox)
        try:
            delivery = self._outbox.send(visit.rollout, deadline)
        except Exception as error:  # noqa: BLE001 - one rollout's messages stop no tick
            visit = _failed_delivery(visit, error)
        refusals = self.recipients.refusals(visit.rollout.id)
        visit = replace(visit, problem=visit.problem or refusals)
        try:
            return self._executor.cross_off(visit, delivery), delivery
        except Exception as error:  # noqa: BLE001 - as above
            return _failed_delivery(visit, error), delivery


def _until_stop(items: Iterable[_Item]) -> Iterator[_Item]:
    """Yield `items`, one at a time; after a stop signal no more."""
    return takewhile(lambda _item: not signals.stop_requested(), items)


def _by_turn(leased: LeasedRollouts) -> tuple[list[Rollout], list[Rollout], list[Rollout]]:
    """Return the rollbacks that are the first of their policy name, the others, and the rest."""
    rollouts = [one.rollout for one in leased.rollouts.values()]
    first_of = {one.name: one for one in reversed(rollouts)}
    rollbacks = [one for one in rollouts if one.phase is Phase.ROLLING_BACK]
    others = [one for one in rollouts if one.phase is not Phase.ROLLING_BACK]
    first = [one for one in rollbacks if first_of[one.name] is one]
    further = [one for one in rollbacks if first_of[one.name] is not one]
    return first, others, further


def _failed_visit(rollout: Rollout, error: Exception, stage: _Stage) -> Visit:
    """Return the visit of a rollout that `error` ended."""
    problem = problem_of(error, rollout.id, stage)
    event = "save_failed" if stage is _Stage.EXECUTE else "load_failed"
    log.error(event, **log_context(rollout, problem))
    return Visit(rollout, problem=str(problem), saved=False)


def _with_problems(visit: Visit, observed: PartialObservation, event: Seen) -> Visit:
    """Return `visit` with what is wrong with what was read, unless it has a problem already.

    This role may not read a metric, or nothing allows the rollout as a fix.
    """
    rollout = observed.rollout
    if rollout.evidence.fix and rollout.phase in JUDGED_PHASES and event.observation.fix is None:
        log.error("fix_not_allowed", rollout=rollout.id)
        if not (visit.problem or visit.busy):
            return replace(visit, problem=_NO_FIX.format(rollout.id))
    series = event.observation.series
    answers = (series[key] for key in observed.needs.queries if key in series)
    denied = next((one for one in answers if one.status is QueryStatus.FORBIDDEN), None)
    if denied is None or visit.problem or visit.busy:
        return visit
    return replace(visit, problem=denied.message)


def _failed_delivery(visit: Visit, error: Exception) -> Visit:
    problem = problem_of(error, visit.rollout.id, _Stage.DELIVER)
    return replace(visit, problem=visit.problem or str(problem))


def _log_visit(visit: Visit, delivery: Delivery) -> None:
    """Log `tick_completed`: one event per rollout and tick."""
    rollout, observation = visit.rollout, visit.observation
    target = None if observation is None else observation.target
    log.info(
        "tick_completed",
        rollout=rollout.id,
        phase=str(rollout.phase),
        step=rollout.step,
        weight_percent=rollout.weight,
        seen_percent=target.weight if isinstance(target, TargetReading) else None,
        reason=str(rollout.reason),
        sentence=rollout.sentence,
        next=next_action(rollout).text,
        alerts=[str(alert) for alert in visit.alerts],
        busy=visit.busy,
        problem=visit.problem,
        messages_sent=delivery.sent,
        messages_failed=delivery.failed,
    )
