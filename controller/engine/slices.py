"""One tick over many rollouts: by slices, the most urgent rollouts first.

The stages of a slice:

    lease     side by side: the lease of each rollout, with its state
    read      side by side: the target of each; a rollback in progress is carried on at once
    measure   side by side: batches of metric queries; then the counts of log events
    decide    one after the other, in the order of the visits
    act       side by side: writes and saves, less traffic first
    release   side by side: the leases of the rollouts that are done

No slice waits for long for one rollout: the work that is late goes on beside the next slices, and
the tick goes on with it after the slice in which it ends. Messages are sent, and hooks called, at
the end.
"""

from collections.abc import Callable, Iterable, Sequence
from datetime import timedelta
from functools import partial
from itertools import chain
from typing import Any, TypeVar

from controller.core.decision import SetZero
from controller.core.observation import TargetReading
from controller.core.rollout import Phase
from controller.core.visit_order import Turns, is_late
from controller.core.words.next_action import next_action
from controller.engine import exit_status, time_limits
from controller.engine.execute import Executor, TickOutcome
from controller.engine.isolation import problem_of
from controller.engine.lease import Busy, Grant, LeasedRollout, SkippedRollout, Slice
from controller.engine.outbox import Delivery, OutboxDelivery, delivery_priority
from controller.engine.recipients import RecipientCheck
from controller.engine.side_by_side import Late, Run, until_stop
from controller.engine.visitor import Judged, Looked, Outcome, Visitor, batches
from controller.errors import Exit, UnknownRolloutError
from controller.immutable import Immutable, replace
from controller.ports.clock import Clock
from controller.process import logging, signals

log = logging.logger()

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")
_Leased = TypeVar("_Leased", bound=LeasedRollout | Judged)


class Sender(Immutable):
    """Sends messages in one thread, those of the most urgent visit first."""

    clock: Clock
    outbox: OutboxDelivery
    executor: Executor
    recipients: RecipientCheck

    def send_all(
        self, visits: Sequence[TickOutcome], within: timedelta = time_limits.DELIVERY_LIMIT
    ) -> tuple[list[TickOutcome], timedelta]:
        """Send the messages of `visits` within one time limit, and log each visit.

        Returns the visits, and what is left of `within`.
        """
        started_at, sent = self.clock.now(), list(visits)
        by_priority = sorted(enumerate(visits), key=lambda one: delivery_priority(one[1].rollout))
        for index, visit in by_priority:
            if visit.observation is not None:
                sent[index], delivery = self._send(visit, within - (self.clock.now() - started_at))
                _log_visit(sent[index], delivery)
            elif not visit.busy:  # else the run that holds the lease logs it
                _log_visit(visit, Delivery(visit.rollout.outbox, visit.rollout.threads))
        return sent, within - (self.clock.now() - started_at)

    def send(self, visit: TickOutcome) -> TickOutcome:
        """Send the messages of one visit that is not logged."""
        return self._send(visit, time_limits.DELIVERY_LIMIT)[0]

    def _send(self, visit: TickOutcome, within: timedelta) -> tuple[TickOutcome, Delivery]:
        """Send the messages of `visit`, and save what is left.

        An exception is its problem, and so is a channel or hook that the list does not allow.
        """
        delivery = Delivery(visit.rollout.outbox, visit.rollout.threads)
        try:
            delivery = self.outbox.send(visit.rollout, self.clock.now() + within)
        except Exception as error:  # noqa: BLE001 - one rollout's messages stop no tick
            visit = _failed_delivery(visit, error)
        refusals = self.recipients.refusals(visit.rollout.id)
        visit = replace(visit, problem=visit.problem or refusals)
        try:
            return self.executor.cross_off(visit, delivery), delivery
        except Exception as error:  # noqa: BLE001 - as above
            return _failed_delivery(visit, error), delivery


def _failed_delivery(visit: TickOutcome, error: Exception) -> TickOutcome:
    problem = problem_of(error, visit.rollout.id, "delivering messages of")
    return replace(visit, problem=visit.problem or str(problem))


def _log_visit(visit: TickOutcome, delivery: Delivery) -> None:
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


class TickResult(Immutable):
    """The visits of a tick. skips: the rollouts that it did not visit, each with its error.

    later: the phases of the rollouts that are not due yet. late: how many visited ones had no tick
    for too long before this one.
    """

    visits: list[TickOutcome]
    skips: Sequence[SkippedRollout] = ()
    later: Sequence[Phase] = ()
    late: int = 0

    @property
    def status(self) -> Exit:
        """The most urgent exit status of its visits and skips: 5, 1, 6, 75, else 0."""
        skipped = [Exit.INTERNAL] if self.skips else []
        return exit_status.worst((*skipped, *map(exit_status.of_tick, self.visits)))


class Tick:
    """One tick, from its first lease to its last release; it visits rollouts once.

    run: runs the work of a stage for the rollouts of a slice.
    """

    def __init__(self, visitor: Visitor, sender: Sender, run: Run) -> None:
        self._visitor, self._sender, self._run = visitor, sender, run
        self._leased: dict[str, LeasedRollout] = {}
        self._visits: list[TickOutcome] = []
        self._skips: list[SkippedRollout] = []
        self._busy: list[TickOutcome] = []
        self._retries: list[Judged] = []
        self._for_hooks: list[Judged] = []
        # Work of stages that is late, and what to do with its results.
        self._late: list[tuple[Late[Any], Callable[[Sequence[Any]], None]]] = []
        self._acting_on = set[str]()
        self._late_ids = set[str]()
        self._must_exist = False  # whether an unknown rollout ends the tick

    def visit(self, ids: Sequence[str], *, must_exist: bool = False) -> TickResult:
        """Visit `ids`; deliver their messages before hooks are called, and after.

        No message waits for a hook. Nor does a lease that was kept to send messages: the next tick
        may have to roll back in the meantime. After a stop signal no further rollout is visited.

        must_exist: `ids` are one slice, and UnknownRolloutError is raised before anything is
            changed.
        """
        size = max(1, len(ids)) if must_exist else time_limits.SLICE
        self._must_exist = must_exist
        is_shared = len(ids) > 1 and not must_exist  # ticks that run at once share the rollouts
        since = self._visitor.started_at if is_shared else None
        try:
            for begin in until_stop(range(0, len(ids), size)):
                lease = partial(self._lease, Slice(self._visitor.end, since))
                # An unknown rollout is reported before anything is changed.
                some = ids[begin : begin + size]
                self._start(lease, some, self._check_owners, for_all=must_exist)
                self._finish_slice()
                self._go_on_with_late_work()
            self._finish_late_work()
            self._visits, left = self._sender.send_all(self._visits)
            if self._for_hooks:
                self._release(one.rollout.id for one in self._visits if one.has_messages)
                self._visits += self._sender.send_all(self._ask_hooks(), left)[0]
                self._finish_late_work()
            if len(self._visits) + len(self._skips) + len(self._busy) < len(ids):
                signals.safe_point()  # which ends this run
            for skip in self._skips:
                log.info("tick_completed", rollout=skip.rollout_id, problem=str(skip.error))
            late = len(self._late_ids)
            return TickResult([*self._visits, *self._busy], self._skips, late=late)
        finally:
            # What is in progress still, when a signal interrupted its wait, ends with the process:
            # its lease expires.
            left_over = [one for one in list(self._leased) if one not in self._acting_on]
            self._run(self._visitor.leases.release, self._take_leases(left_over), always=True)

    # --- the stages of a slice --------------------------------------------------------------------

    def _lease(self, together: Slice, rollout_id: str) -> Grant:
        grant = self._visitor.leases.lease(together, rollout_id)
        if isinstance(grant, LeasedRollout):
            self._leased[rollout_id] = grant
            if is_late(grant.rollout, self._visitor.started_at):
                self._late_ids.add(rollout_id)
        return grant

    def _check_owners(self, grants: Iterable[Grant]) -> None:
        """Go on with the rollouts that were leased."""
        leased = list[LeasedRollout]()
        for grant in grants:
            match grant:
                case LeasedRollout():
                    leased.append(grant)
                case Busy():
                    self._busy.append(TickOutcome(grant.rollout, busy=True))
                case SkippedRollout(error=UnknownRolloutError()) if self._must_exist:
                    raise grant.error
                case SkippedRollout():
                    self._skips.append(grant)
        self._start(self._visitor.leases.owners_only, [leased], self._read)

    def _read(self, batches: Iterable[Sequence[LeasedRollout | SkippedRollout]]) -> None:
        """Go on with the leased rollouts that own their targets."""
        owning = list[LeasedRollout]()
        for one in chain.from_iterable(batches):
            if isinstance(one, LeasedRollout):
                owning.append(one)
            else:
                self._skips.append(one)
        turns = Turns.of(owning, lambda one: one.rollout)
        visitor = replace(self._visitor, others_wait=len(owning) > 1)
        self._start(self._acting(visitor.carry_on), turns.rollbacks, self._add)
        deadline = min(visitor.clock.now() + time_limits.TARGET_READ_LIMIT, visitor.end)
        self._start(partial(visitor.look, deadline), turns.others, partial(self._measure, visitor))
        self._finish_postponed()
        self._start(self._acting(visitor.carry_on_further), turns.further, self._add)

    def _measure(self, visitor: Visitor, results: Iterable[Looked | Outcome]) -> None:
        """Go on with the rollouts that were read: those that need no measurement come first."""
        looked = list[Looked]()
        for result in results:
            if isinstance(result, Looked):
                looked.append(result)
            else:
                self._add([result])
        self._judge(visitor, [one for one in looked if not one.partial.needs])
        needing = batches(one for one in looked if one.partial.needs)
        self._start(visitor.measure, needing, partial(self._judge_measured, visitor))

    def _judge_measured(self, visitor: Visitor, results: Iterable[Sequence[Looked]]) -> None:
        """Go on with what was measured: rollouts that search a log, which may be slow, come last.

        The logs of all of them are searched within one time limit.
        """
        looked = [one for batch in results for one in batch]
        refused = [one for one in looked if one.measurements is None]
        measured = [one for one in looked if one.measurements is not None]
        self._judge(visitor, [one for one in measured if not one.partial.needs.logs])
        alone = ([one] for one in refused)
        self._start(visitor.measure, alone, partial(self._judge_measured, visitor))
        searching = [one for one in measured if one.partial.needs.logs]
        self._start(
            visitor.count_log_events,
            [searching] if searching else [],
            lambda batches: self._judge(visitor, [one for batch in batches for one in batch]),
        )

    def _judge(self, visitor: Visitor, looked: Iterable[Looked]) -> None:
        """Decide about rollouts in their order, and act on all of it."""
        outcomes = [visitor.decide(one) for one in until_stop(looked)]
        self._add(outcome for outcome in outcomes if isinstance(outcome, TickOutcome))
        judged = [outcome for outcome in outcomes if isinstance(outcome, Judged)]
        judged.sort(key=lambda one: not isinstance(one.decision.move, SetZero))
        self._start(self._acting(visitor.act), judged, self._add)

    def _finish_slice(self) -> None:
        """Carry out what was postponed, and release the leases that are not needed any more."""
        self._finish_postponed()
        self._release(visit.rollout.id for visit in self._visits if not visit.has_messages)
        self._release(skip.rollout_id for skip in self._skips)

    def _finish_postponed(self) -> None:
        postponed = sorted(self._retries, key=lambda retry: retry.may_be_by_hand)  # no write waits
        self._retries.clear()
        self._start(self._acting(self._visitor.finish), postponed, self._add)

    def _ask_hooks(self) -> list[TickOutcome]:
        """Call the hooks that decisions wait for, and execute what is decided then."""
        deadline = min(self._visitor.consent.deadline(), self._visitor.end)
        by_save = sorted(self._for_hooks, key=lambda hook: hook.partial.rollout.updated)
        return [self._visitor.finish_with_hooks(one, deadline) for one in until_stop(by_save)]

    # --- helpers ----------------------------------------------------------------------------------

    def _start(
        self,
        work: Callable[[_Item], _Result],
        items: Iterable[_Item],
        then: Callable[[Sequence[_Result]], None],
        *,
        for_all: bool = False,
        always: bool = False,
    ) -> None:
        """Do `work` for `items`, and go on with its results; with those that are late, later.

        for_all: wait for all of them. always: also after a stop signal.
        """
        items = list(items)
        if not items:
            return
        patience = None if for_all else time_limits.PATIENCE
        done = self._run(work, items, patience, always=always)
        if done.late is not None:
            self._late.append((done.late, then))
        then(done.in_time)

    def _go_on_with_late_work(self) -> None:
        """Go on with what has ended of the work that was late."""
        stages, self._late = self._late, []
        for work, then in stages:
            results = work.take()
            if not work.is_over:
                self._late.append((work, then))
            if results:
                then(results)
        self._finish_slice()

    def _finish_late_work(self) -> None:
        """Wait for all work that is late, and go on with it."""
        while self._late:
            self._late[0][0].wait()
            self._go_on_with_late_work()

    def _acting(self, work: Callable[[_Leased], _Result]) -> Callable[[_Leased], _Result]:
        """Return `work`, which may write, with a note of the rollout while it is in progress."""

        def act(item: _Leased) -> _Result:
            leased = item if isinstance(item, LeasedRollout) else item.leased
            self._acting_on.add(leased.rollout.id)
            try:
                return work(item)
            finally:
                self._acting_on.discard(leased.rollout.id)

        return act

    def _add(self, outcomes: Iterable[Outcome]) -> None:
        """Add what came of some rollouts."""
        for outcome in outcomes:
            match outcome:
                case TickOutcome():
                    self._visits.append(outcome)
                case SkippedRollout():
                    self._skips.append(outcome)
                case Judged() if outcome.needs_hooks:
                    self._for_hooks.append(outcome)
                case Judged():
                    self._retries.append(outcome)

    def _release(self, ids: Iterable[str]) -> None:
        """Release the leases of `ids`; one that is not released in time is not waited for here."""
        self._start(
            self._visitor.leases.release, self._take_leases(ids), lambda _: None, always=True
        )

    def _take_leases(self, ids: Iterable[str]) -> list[str]:
        """Return those of `ids` whose leases this run may still have, each of them once."""
        leased = [self._leased.pop(one) for one in ids if one in self._leased]
        saved = {visit.rollout.id for visit in self._visits if visit.saved}
        return [one.rollout.id for one in leased if one.may_be_held(one.rollout.id in saved)]
