"""Sends the messages of visits, saves what is left of them, and logs each visit."""

from collections.abc import Sequence
from datetime import timedelta

from controller.core.observation import TargetReading
from controller.core.words.next_action import next_action
from controller.engine import time_limits
from controller.engine.execute import Executor, TickOutcome
from controller.engine.isolation import problem_of
from controller.engine.outbox import Delivery, OutboxDelivery, delivery_priority
from controller.engine.recipients import RecipientCheck
from controller.immutable import Immutable, replace
from controller.ports.clock import Clock
from controller.process import logging

log = logging.logger()


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
