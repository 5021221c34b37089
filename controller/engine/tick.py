"""Runs ticks, and the commands of operators.

Both go the same road. A tick leases many rollouts and reads the metrics of many at once; a command
waits for the lease of one. From then on they differ in the event that is decided on.

`loop` ticks one rollout at an interval: `run` on the system clock, a rehearsal on a virtual one.
"""

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial

from controller.core.commands import GATED_VERBS, RAISING_VERBS
from controller.core.decide import decide
from controller.core.decision import Decision
from controller.core.events import Command, Commanded, Seen, Verb
from controller.core.history import Author, check_digests, recorded_state
from controller.core.observation import Observation
from controller.core.repeated_state import check_state
from controller.core.rollout import Phase, Rollout
from controller.core.transitions.rollback import has_own_rollback
from controller.core.visit_order import Shard, Visits, in_turns
from controller.engine import time_limits
from controller.engine.execute import Executor, TickOutcome
from controller.engine.hooks import ConsentHooks
from controller.engine.isolation import problem_of
from controller.engine.lease import LeaseManager, load_for_rollback, require_version
from controller.engine.observe import Measurements, Observer
from controller.engine.outbox import Announce, OutboxDelivery, log_notice
from controller.engine.recipients import RecipientCheck
from controller.engine.side_by_side import Run, one_by_one
from controller.engine.slices import Sender, Tick, TickResult
from controller.engine.visitor import Visitor
from controller.errors import Exit, RolloutError
from controller.immutable import replace
from controller.ports.clock import Clock
from controller.ports.notify import ChannelNotifier, HookCaller
from controller.ports.store import Store
from controller.process import logging, signals

log = logging.logger()


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
    run: runs the work of a tick for several rollouts. recipients: which channels and hooks the list
        in the store allows.
    """

    observer: Observer
    by: str
    channel_notifier: ChannelNotifier | None = None
    hooks: HookCaller | None = None
    limit_calls: Callable[[timedelta], None] = _no_limit
    author: Callable[[str], Author] = Author
    announce: Announce = log_notice
    run: Run = one_by_one
    recipients: RecipientCheck = field(init=False)
    _leases: LeaseManager = field(init=False)
    _consent: ConsentHooks = field(init=False)
    _executor: Executor = field(init=False)
    _sender: Sender = field(init=False)

    def __post_init__(self) -> None:
        self._leases = LeaseManager(self.store, self.clock)
        self.recipients = RecipientCheck(self.store.recipients)
        self._consent = ConsentHooks(self.clock, self.hooks, self.recipients)
        delivers = self.channel_notifier is not None or self.hooks is not None
        self._executor = Executor(
            self.observer, self._leases, self.announce, partial(self.author, self.by), delivers
        )
        outbox = OutboxDelivery(self.clock, self.channel_notifier, self.hooks, self.recipients)
        self._sender = Sender(self.clock, outbox, self._executor, self.recipients)

    @property
    def store(self) -> Store:
        """Where rollouts are kept."""
        return self.observer.store

    @property
    def clock(self) -> Clock:
        """The source of time."""
        return self.observer.clock

    # --- ticks ----------------------------------------------------------------------------------

    def tick(self, ids: Sequence[str], *, must_exist: bool = True) -> TickResult:
        """Visit each rollout of `ids` once.

        Rollouts that need no metrics go first: a rollback does not wait for CloudWatch. A rollout
        that another run has leased is left to that run. An error is the problem of one rollout.

        must_exist: raise UnknownRolloutError, before anything is changed, for an id that no rollout
            has; else that id is a skip of the result.
        """
        self.limit_calls(time_limits.TICK_LIMIT)
        return self._tick(ids, must_exist=must_exist)

    def tick_active(
        self, names: Collection[str] = (), shard: Shard | None = None, *, early: bool = False
    ) -> TickResult:
        """Visit every rollout that is due, as `tick` does.

        names: only rollouts of these names; empty: all. shard: only those of this part; None: all.
        early: also those that are not due yet. Raises StoreError when the store cannot list them.
        """
        self.limit_calls(time_limits.TICK_LIMIT)
        visits = self.visits(names, shard, early=early)
        return replace(self._tick(visits.due), later=visits.later)

    def visit(self, rollout_id: str) -> TickOutcome:
        """Visit one rollout, as `tick` does. Raises RolloutError when it was not visited."""
        result = self.tick([rollout_id])
        if result.skips:
            raise result.skips[0].error
        return result.visits[0]

    def visits(
        self, names: Collection[str] = (), shard: Shard | None = None, *, early: bool = False
    ) -> Visits:
        """Return what `tick_active` visits; of a shard without those that are not due.

        Raises StoreError when the store cannot list them.
        """
        now = self.clock.now()
        try:
            if early:
                visits = Visits(tuple(self.store.active(now, names)))
            else:
                visits = self.store.visits(now, names)
            if shard is not None:  # what is later has no names
                visits = Visits(tuple(one for one in visits.due if shard.has(one)))
            return visits
        except Exception as error:
            problem = problem_of(error, "active rollouts", "listing")
            raise problem from error

    def _tick(self, ids: Sequence[str], *, must_exist: bool = False) -> TickResult:
        self.recipients.begin()
        started_at = self.clock.now()
        visitor = Visitor(self.observer, self._leases, self._executor, self._consent, started_at)
        ids = in_turns(dict.fromkeys(ids), str)
        run = self.run if len(ids) > 1 else one_by_one
        return Tick(visitor, self._sender, run).visit(ids, must_exist=must_exist)

    # --- operators ------------------------------------------------------------------------------

    def create_rollout(self, decision: Decision, observation: Observation) -> TickOutcome:
        """Create the rollout of `decision`, take its locks, and execute its first move.

        A save that fails after the creation is the problem of the visit.

        Raises TargetTakenError, StateConflictError: nothing was changed.
        """
        signals.safe_point()
        try:
            visit = self._executor.execute(None, observation, decision)
            return self._sender.send(visit)
        finally:
            self._leases.release(decision.rollout.id)

    def run_command(
        self, rollout_id: str, command: Command, version: int | None = None
    ) -> TickOutcome:
        """Apply the command of an operator to one rollout, once a tick that has leased it ends.

        version: of the record that the operator saw; another one is a StateConflictError. None: any
        version. Raises UsageError when it does not fit the state of the rollout, LeaseHeldError,
        StateConflictError, StoreError and UnknownRolloutError: nothing was changed.
        """
        if command.verb is Verb.ROLLBACK:
            return self.roll_back(rollout_id, command.reason, version=version)
        self.recipients.begin()
        rollout = self._leases.acquire_or_wait(rollout_id)
        try:
            require_version(rollout, version)
            if command.verb in RAISING_VERBS:
                entries = self.store.history(rollout_id)
                check_digests(rollout, entries)
                check_state(rollout, recorded_state(rollout, entries[-1] if entries else None))
            observed = self.observer.observe_target(rollout)
            observation = Observation(observed.target, {}, observed.owns_target)
            if command.verb in GATED_VERBS:
                measured = self.observer.measure([observed]) or Measurements()
                events = self.observer.count_log_events([observed])
                observation = observed.observation(replace(measured, events=events))
            if command.verb is Verb.ATTEST:
                command = replace(command, by=self.author(self.by).by)
            signals.safe_point()
            event: Seen = Commanded(observation, command)
            decision = decide(rollout, event, observed.now)
            if decision.hooks_to_call:
                deadline = self._consent.deadline()
                event, decision = self._consent.ask(
                    rollout, event, decision, observed.now, deadline
                )
            visit = self._executor.execute(rollout, event.observation, decision)
            visit = replace(visit, repeated=decision.record is None)
            return self._sender.send_all([visit])[0][0]
        finally:
            self._leases.release(rollout_id)

    def roll_back(
        self,
        rollout_id: str,
        reason: str,
        weight: int | None = None,
        *,
        version: int | None = None,
    ) -> TickOutcome:
        """Roll one rollout back at the request of an operator; no lease and no check delays it.

        weight: the weight before the caller wrote 0%; None: 0% is not written yet.
        version: as in `run_command`.

        The operator waits up to the policy's rollback_timeout for 0% to be written, and as long
        again for it to be applied. Raises UnknownRolloutError, and StoreError when the rollout
        cannot be read. A failed save is the problem of the visit, as traffic is at 0% by then; so
        is a policy that was changed since the start.
        """
        self.recipients.begin()
        self.limit_calls(time_limits.LOAD_LIMIT)
        stored = load_for_rollback(self.store, rollout_id)
        require_version(stored.rollout, version)
        timeout: timedelta = stored.rollout.policy.rollback_timeout
        self.limit_calls(time_limits.RECORD_LIMIT + 2 * timeout)
        if weight is None:  # else 0% is written already, and only the record is missing
            signals.safe_point()
        commanded = partial(Commanded, command=Command(Verb.ROLLBACK, reason, weight=weight))
        try:
            visit = self._executor.roll_back(rollout_id, commanded, timeout)
            visit = replace(visit, repeated=has_own_rollback(stored.rollout))
            if stored.changed_policy:  # a changed policy is not trusted to name its channels
                log.error("snapshot_changed", rollout=rollout_id, problem=stored.problem)
                visit = replace(visit, problem=visit.problem or stored.problem, observation=None)
            return self._sender.send_all([visit])[0][0]
        finally:
            self._leases.release(rollout_id)


# Phases that ticks alone do not change: they wait for an operator, or are final.
IDLE_PHASES = frozenset({Phase.PAUSED, Phase.ROLLED_BACK, Phase.SUCCEEDED})


def run_ticks(
    runner: Runner,
    rollout: Rollout,
    *,
    every: timedelta,
    until: datetime,
    done: Callable[[Rollout], bool],
    skip: Callable[[TickOutcome, datetime], int] | None = None,
) -> Iterator[TickOutcome]:
    """Tick `rollout` at the interval `every` and yield each visit, until it is `done`.

    The last tick is at `until` at the latest. A tick that takes longer than `every` is followed at
    once by the next. skip: returns how many intervals to wait after a visit; 1 when left out. A
    store that does not answer is the problem of the visit; StoreError is raised only for an error
    that the next tick would meet again.
    """
    due = runner.clock.now() + every
    while not done(rollout) and runner.clock.now() < until:
        wait = min(due, until) - runner.clock.now()
        if wait > timedelta():
            signals.wait(runner.clock, wait)
        signals.safe_point()
        try:
            visit = runner.visit(rollout.id)
        except RolloutError as error:  # logged by the runner
            if error.exit_status is Exit.USAGE:
                raise
            visit = TickOutcome(rollout, problem=str(error), saved=False)
        yield visit
        if visit.saved:  # else the next tick starts from the same state
            rollout = visit.rollout
        now = runner.clock.now()
        due = max(due + (skip(visit, now) if skip else 1) * every, now)


def is_idle(rollout: Rollout) -> bool:
    """Tell whether ticks alone do not advance `rollout`."""
    return rollout.phase in IDLE_PHASES
