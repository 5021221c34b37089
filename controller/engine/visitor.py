"""What a tick does with one rollout: reads its target, decides, and acts.

Whatever goes wrong is the problem of that rollout: nothing here raises an error.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import nullcontext, suppress
from datetime import datetime
from enum import StrEnum
from functools import partial
from typing import TypeAlias

from controller.core.decide import decide
from controller.core.decision import Alert, Decision, SetWeight, SetZero
from controller.core.events import Command, Commanded, LostSave, Observed, Seen, Verb
from controller.core.judge.queries import JUDGED_PHASES
from controller.core.observation import MetricQuery, QueryStatus, weight_of
from controller.core.rollout import Phase, Rollout
from controller.core.transitions.rollback import ROLLBACK_PHASES, lower_move
from controller.core.words.notices import future_save
from controller.engine import time_limits
from controller.engine.execute import Executor, TickOutcome
from controller.engine.hooks import ConsentHooks
from controller.engine.isolation import problem_of
from controller.engine.lease import LeasedRollout, LeaseManager, SkippedRollout, skip_late
from controller.engine.observe import Measurements, Observer, PartialObservation, log_context
from controller.errors import LeaseHeldError, StateConflictError, StoreError, WriteRefusedError
from controller.immutable import Immutable, field, replace
from controller.ports.clock import Clock
from controller.ports.metrics import QUERIES_PER_CALL
from controller.process import logging, signals

log = logging.logger()

_NO_FIX = (
    "{} says that it was started as a fix, and the store has no item that allows it: all its "
    "criteria gate"
)


class _Stage(StrEnum):
    """What a tick was doing when an error ended a visit; the word is part of the message."""

    OBSERVE = "looking at"
    DECIDE = "deciding about"
    ASK_HOOKS = "asking hooks of"
    EXECUTE = "carrying out a decision about"


class Looked(Immutable):
    """A leased rollout with its target read, and what was measured for it so far.

    measurements: None: the read was refused, and is to be made for each rollout alone.
    """

    leased: LeasedRollout
    partial: PartialObservation
    measurements: Measurements | None = field(default_factory=Measurements)


class Judged(Immutable):
    """A leased rollout with the decision about it, which is to be executed.

    It is postponed until the others of its slice were visited when its first write of 0% failed,
    or an operator may be about to record the 0% that was found; and until all rollouts were, when
    its hooks must be called.
    """

    leased: LeasedRollout
    partial: PartialObservation
    event: Seen
    decision: Decision

    @property
    def needs_hooks(self) -> bool:
        """True when hooks must be called, and False otherwise."""
        return bool(self.decision.hooks_to_call)

    @property
    def may_be_by_hand(self) -> bool:
        """True when 0% is new after a success: it may be a rollback that is not recorded yet."""
        is_new = self.decision.alert is Alert.DRIFT
        is_new = is_new and self.partial.rollout.phase is Phase.SUCCEEDED
        return is_new and weight_of(self.partial.target) == 0


Outcome: TypeAlias = TickOutcome | SkippedRollout | Judged
"""What a tick came to with one rollout; `Judged`: its execution is postponed."""


class Visitor(Immutable):
    """Does the stages of one rollout, or of a batch.

    started_at: when the tick began. others_wait: whether others wait for this one.
    """

    observer: Observer
    leases: LeaseManager
    executor: Executor
    consent: ConsentHooks
    started_at: datetime
    others_wait: bool = False

    @property
    def clock(self) -> Clock:
        """The source of time."""
        return self.observer.clock

    @property
    def end(self) -> datetime:
        """When the tick ends, but for what is in progress."""
        return self.started_at + time_limits.TICK_LIMIT

    def look(self, deadline: datetime, leased: LeasedRollout) -> Looked | Outcome:
        """Return `leased` with its target read, unless that fails or is too late."""
        if (now := self.clock.now()) >= deadline:
            return skip_late(leased.rollout.id, now - self.started_at)
        return self._observe_target(leased)

    def _observe_target(self, leased: LeasedRollout) -> Looked | Outcome:
        try:
            return Looked(leased, self.observer.observe_target(leased.rollout))
        except Exception as error:  # noqa: BLE001 - one rollout's trouble is its own
            return _failed_visit(leased.rollout, error, _Stage.OBSERVE)

    def carry_on(self, leased: LeasedRollout) -> Outcome:
        """Carry on with a rollback: it waits for no other rollout, and for no measurement."""
        looked = self._observe_target(leased)
        if not isinstance(looked, Looked):
            return looked
        judged = self.decide(looked)
        return self.act(judged) if isinstance(judged, Judged) else judged

    def carry_on_further(self, leased: LeasedRollout) -> Outcome:
        """Carry on with a rollback that is not the first one of its name, unless it is late."""
        passed = self.clock.now() - self.started_at
        if passed >= time_limits.TICK_LIMIT:
            return skip_late(leased.rollout.id, passed, further=True)
        return self.carry_on(leased)

    def measure(self, batch: Sequence[Looked]) -> Sequence[Looked]:
        """Return `batch` with its metrics and alarms, from one read."""
        measurements = self.observer.measure([one.partial for one in batch])
        return [replace(one, measurements=measurements) for one in batch]

    def count_log_events(self, batch: Sequence[Looked]) -> Sequence[Looked]:
        """Return `batch` with the counts of the log events that its rollouts need."""
        events = self.observer.count_log_events([one.partial for one in batch])
        return [
            replace(one, measurements=replace(one.measurements or Measurements(), events=events))
            for one in batch
        ]

    def decide(self, looked: Looked) -> Judged | TickOutcome:
        """Return the decision about one rollout."""
        rollout = looked.partial.rollout
        try:
            measurements = looked.measurements or Measurements()
            event: Seen = Observed(looked.partial.observation(measurements))
            if looked.leased.requested and rollout.phase not in ROLLBACK_PHASES:
                command = Command(Verb.ROLLBACK, looked.leased.requested)
                event = Commanded(event.observation, command)
            decision = decide(rollout, event, looked.partial.now)
            if isinstance(event, Commanded) and isinstance(decision.move, SetZero):
                decision = replace(decision, move=lower_move(decision.rollout))
        except Exception as error:  # noqa: BLE001 - one rollout's trouble is its own
            return _failed_visit(rollout, error, _Stage.DECIDE)
        return Judged(looked.leased, looked.partial, event, decision)

    def act(self, judged: Judged) -> Outcome:
        """Execute the decision about one rollout, unless it is postponed or too late."""
        rollout, move = judged.partial.rollout, judged.decision.move
        try:
            passed = self.clock.now() - self.started_at
            if not isinstance(move, SetZero) and passed >= time_limits.EXECUTE_LIMIT:
                return skip_late(rollout.id, passed)
            if judged.needs_hooks:  # no rollout waits for the hooks of another one
                return judged
            if judged.may_be_by_hand and not self.observer.dry_run:
                return judged
            others_wait = self.others_wait and not self.observer.dry_run
            others_wait = others_wait and not rollout.policy.target.observed
            if isinstance(move, SetZero) and others_wait and not self._try_lower(rollout, move):
                return judged
            return self._execute(judged)
        except Exception as error:  # noqa: BLE001 - one rollout's trouble is its own
            return _failed_visit(rollout, error, _Stage.EXECUTE)

    def _try_lower(self, rollout: Rollout, move: SetZero) -> bool:
        """Try for a moment to write 0%; tell whether to go on with this rollout at once."""
        within = min(move.within, time_limits.FIRST_ATTEMPT_LIMIT)
        try:
            target = self.observer.target_of(rollout)
            target.lower_to_zero(within, outdated_token=move.outdated_token, only=move.only)
        except WriteRefusedError:
            return True  # a refusal takes no time, and the visit reports it
        except Exception as error:  # noqa: BLE001 - the retry reports what is wrong
            log.warning("lower_delayed", rollout=rollout.id, problem=type(error).__name__)
            return False
        return True

    def finish(self, postponed: Judged) -> TickOutcome:
        """Execute a postponed decision."""
        rollout = postponed.partial.rollout
        try:
            if postponed.may_be_by_hand and self._is_recorded_by_hand(postponed.partial):
                log.warning("tick_lost", rollout=rollout.id, problem="an operator set 0%")
                return TickOutcome(self.observer.store.load(rollout.id), busy=True)
            return self._execute(postponed)
        except Exception as error:  # noqa: BLE001 - one rollout's trouble is its own
            return _failed_visit(rollout, error, _Stage.EXECUTE)

    def finish_with_hooks(self, postponed: Judged, deadline: datetime) -> TickOutcome:
        """Call the hooks that a decision needs, and execute what is decided then.

        A rollout whose first hook has no time left is not saved. So its last save is the oldest
        one, and the next tick calls its hooks first.
        """
        rollout, now = postponed.partial.rollout, postponed.partial.now
        if self.clock.now() >= deadline:
            log.warning("hooks_not_called", rollout=rollout.id)
            return TickOutcome(rollout)
        try:
            event, decision = self.consent.ask(
                rollout, postponed.event, postponed.decision, now, deadline
            )
        except Exception as error:  # noqa: BLE001 - one rollout's trouble is its own
            return _failed_visit(rollout, error, _Stage.ASK_HOOKS)
        return self.finish(replace(postponed, event=event, decision=decision))

    def _is_recorded_by_hand(self, observed: PartialObservation) -> bool:
        """Wait until an operator's command has saved the rollout; tell whether one has."""
        now, version = self.clock.now(), observed.rollout.version
        deadline = min(observed.now, now) + time_limits.BY_HAND_LIMIT
        with suppress(StoreError):  # the save that follows reports it
            while self.observer.store.load(observed.rollout.id).version == version:
                if self.clock.now() >= deadline or signals.stop_requested():
                    return False
                self.clock.sleep(time_limits.POLL_INTERVAL)
            return True
        return False

    def _execute(self, judged: Judged) -> TickOutcome:
        """Execute the decision of a tick under its lease; a lost save of 0% is decided again.

        Without a lease the weight is only lowered. A rollout whose stored policy was changed is
        only lowered and kept at 0%: its messages are not delivered and its hooks not called,
        because a changed policy may name other channels. The log and the exit status report both.
        A rollout that was saved in the future is not raised: by that time, its bake may be over.
        """
        leased, decision = judged.leased, judged.decision
        rollout, lowering = judged.partial.rollout, isinstance(decision.move, SetZero)
        problem = leased.problem
        if problem and not lowering and (leased.no_lease or rollout.final):
            return TickOutcome(rollout, problem=problem, saved=False)
        if ahead := future_save(rollout, self.clock.now()):
            log.error("saved_in_future", rollout=rollout.id, problem=ahead)
            if isinstance(decision.move, SetWeight):
                return TickOutcome(rollout, problem=ahead, saved=False)
        try:
            self._renew_if_late(leased, decision)
            visit = self.executor.execute(rollout, judged.event.observation, decision)
        except (StateConflictError, LeaseHeldError) as error:
            log.warning("tick_lost", **log_context(rollout, error))
            if not lowering:
                return TickOutcome(rollout, busy=True)
            lost_save = partial(LostSave.of, lowered=decision.rollout)
            visit = self.executor.roll_back(
                rollout.id, lost_save, time_limits.APPLY_WAIT, unsaved=decision
            )
        delivered = visit.observation if leased.changed_policy is None else None
        visit = replace(visit, problem=visit.problem or problem or ahead, observation=delivered)
        visit = _with_problems(visit, judged)
        return _without_measurements(visit) if self.others_wait else visit

    def _renew_if_late(self, leased: LeasedRollout, decision: Decision) -> None:
        """Renew a lease that may end before the move does; a rollback goes on without one."""
        if leased.no_lease or leased.leased_at is None or decision.move is None:
            return
        if self.clock.now() < leased.leased_at + time_limits.RENEW_AFTER:
            return
        lowering = isinstance(decision.move, SetZero)
        with suppress(StoreError) if lowering else nullcontext():
            self.leases.renew(leased.rollout)


def _failed_visit(rollout: Rollout, error: Exception, stage: _Stage) -> TickOutcome:
    """Return the visit of a rollout that `error` ended."""
    problem = problem_of(error, rollout.id, stage)
    event = "save_failed" if stage is _Stage.EXECUTE else "load_failed"
    log.error(event, **log_context(rollout, problem))
    return TickOutcome(rollout, problem=str(problem), saved=False)


def _with_problems(visit: TickOutcome, judged: Judged) -> TickOutcome:
    """Return `visit` with what is wrong with what was read, unless it has a problem already.

    This role may not read a metric, or nothing allows the rollout as a fix.
    """
    rollout, observation = judged.partial.rollout, judged.event.observation
    if rollout.evidence.fix and rollout.phase in JUDGED_PHASES and observation.fix is None:
        log.error("fix_not_allowed", rollout=rollout.id)
        if not (visit.problem or visit.busy):
            return replace(visit, problem=_NO_FIX.format(rollout.id))
    answers = (
        observation.series[key] for key in judged.partial.needs.queries if key in observation.series
    )
    denied = next((answer for answer in answers if answer.status is QueryStatus.FORBIDDEN), None)
    if denied is None or visit.problem or visit.busy:
        return visit
    return replace(visit, problem=denied.message)


def _without_measurements(visit: TickOutcome) -> TickOutcome:
    """Return `visit` without what was measured, of which a tick over many would keep too much."""
    observation = visit.observation
    if observation is not None:
        observation = replace(observation, series={})
    return replace(visit, observation=observation, judgement=None)


def batches(looked: Iterable[Looked]) -> Iterator[list[Looked]]:
    """Yield rollouts in groups, each with no more queries than one call takes, where possible.

    A call that fails affects only the rollouts of its group. A succeeded rollout reads days:
    it is in no group with those that are judged, whose minutes would be read over days as well.
    Nor is one with metrics from elsewhere than CloudWatch: a source limits what it reads at once,
    and a rollout that needs more loses only its own data.
    """
    alone = list[Looked]()
    batch, queries = list[Looked](), set[MetricQuery]()
    for one in looked:
        elsewhere = any(query.source is not None for query in one.partial.needs.queries.values())
        if elsewhere or one.partial.rollout.phase is Phase.SUCCEEDED:
            alone.append(one)
            continue
        together = queries.union(one.partial.needs.queries.values())
        if batch and len(together) > QUERIES_PER_CALL:
            yield batch
            batch, together = [], set(one.partial.needs.queries.values())
        batch.append(one)
        queries = together
    if batch:
        yield batch
    yield from ([one] for one in alone)
