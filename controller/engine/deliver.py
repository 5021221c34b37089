"""Telling: once rollouts of a run are visited, others hear of it, and the log does too."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final

from controller.core.history import Author, Entry, append
from controller.core.hook_call import after_call
from controller.core.message import Message
from controller.core.observation import Observation, TargetReading
from controller.core.outbox import (
    delivery_order,
    delivery_priority,
    hook_record,
    recipient,
    remaining_message,
)
from controller.core.policy import Hook, HttpsHook, LambdaHook
from controller.core.rollout import Rollout
from controller.engine.execute import Visit
from controller.engine.isolation import problem_of
from controller.engine.lease import Skip
from controller.errors import DeliveryError, StoreError
from controller.ports.clock import Clock
from controller.ports.notify import ChannelNotifier, HookCaller
from controller.ports.store import StateStore
from controller.process import logging, signals

log = logging.logger()

# All messages of a tick together; what does not fit in is left to the next tick.
DELIVERY_LIMIT: Final = timedelta(seconds=20)


@dataclass(frozen=True, slots=True)
class DeliveryResult:
    """A rollout whose outbox was seen to: what arrived, and how many places failed."""

    rollout: Rollout
    sent: int = 0
    failed: int = 0


@dataclass(frozen=True, slots=True)
class OutboxDelivery:
    """Brings messages by `channel_notifier` and calls `hooks`, and crosses that off in `store`.

    author: says who is written into the history.
    """

    store: StateStore
    clock: Clock
    channel_notifier: ChannelNotifier | None
    hooks: HookCaller | None
    author: Callable[[], Author]

    def deliver(
        self, rollout: Rollout, deadline: datetime, *, saved: bool = True
    ) -> DeliveryResult:
        """Send what waits in the outbox of `rollout`, to each place what it has not got yet.

        A place that fails is left alone for the rest of the tick, and keeps no other from its
        messages. saved: `rollout` is what is stored; else nothing is crossed off.
        """
        if not rollout.outbox or (self.channel_notifier is None and self.hooks is None):
            return DeliveryResult(rollout)
        round_ = _DeliveryRound(rollout)
        for message in rollout.outbox:
            for address in delivery_order(message):
                left = deadline - self.clock.now()
                if not signals.stop_requested() and left > timedelta():
                    self._try(round_, message, address, left)
        after = replace(rollout, outbox=tuple(self._remaining(round_)))
        if saved and after.outbox != rollout.outbox:
            after = self._save_remaining(round_, after)
        return DeliveryResult(after, round_.sent, len(round_.unreachable))

    def _try(
        self, round_: "_DeliveryRound", message: Message, address: str, left: timedelta
    ) -> None:
        if address in round_.unreachable:
            return
        if self._deliver_to(round_.rollout, message, address, left):
            round_.receipts[message.key].add(address)
        else:
            round_.unreachable.add(address)

    def _deliver_to(
        self, rollout: Rollout, message: Message, address: str, left: timedelta
    ) -> bool:
        channel = recipient(rollout.policy, address)
        if channel is None:
            return True
        try:
            if isinstance(channel, LambdaHook | HttpsHook):
                self._call_hook(channel, rollout, message, address, left)
            elif self.channel_notifier is None:
                return False
            else:
                self.channel_notifier.deliver(channel, rollout, message)
        except Exception as error:  # noqa: BLE001 - whatever a channel raises stops no tick
            log.error(
                "message_failed",
                rollout=rollout.id,
                message=message.key,
                channel=channel.display_name,
                problem=str(error),
            )
            return False
        log.info(
            "message_sent", rollout=rollout.id, message=message.key, channel=channel.display_name
        )
        return True

    def _call_hook(
        self, hook: Hook, rollout: Rollout, message: Message, address: str, left: timedelta
    ) -> None:
        if self.hooks is None:
            raise DeliveryError("no hook can be called from here")
        private = () if rollout.policy.hooks is None else rollout.policy.hooks.private_hosts or ()
        call = after_call(rollout, message, address)
        self.hooks.tell(hook, call, within=min(hook.timeout, left), private=private)

    def _remaining(self, round_: "_DeliveryRound") -> Iterator[Message]:
        """Yield each message with whom it still has to reach, but for those that are given up."""
        for message in round_.rollout.outbox:
            got = frozenset(round_.receipts[message.key])
            if not got and not round_.unreachable & {*message.to}:
                yield message  # it was not its turn
            elif rest := remaining_message(message, got, self.clock.now()):
                yield rest
            elif missed := [one for one in message.to if one not in got]:
                round_.undeliverable += [(message, one) for one in missed]
                log.error(
                    "message_given_up",
                    rollout=round_.rollout.id,
                    message=message.key,
                    missed=missed,
                )

    def _save_remaining(self, round_: "_DeliveryRound", after: Rollout) -> Rollout:
        """Save what is left to send. What cannot be crossed off is sent again, under its key."""
        entries = list[Entry]()
        if sentence := round_.hook_summary():
            after = replace(after, updated=max(self.clock.now(), after.updated))
            record = hook_record(after, sentence, after.updated)
            who, run = self.author(), logging.run_id()
            after, entry = append(
                after, record, by=who.by, caller=who.caller, observation={}, run=run
            )
            entries.append(entry)
        try:
            return self.store.save(after, entries)
        except StoreError as error:
            log.warning("outbox_kept", rollout=after.id, problem=str(error))
            return round_.rollout


@dataclass(slots=True)
class _DeliveryRound:
    """One round through an outbox: who got what, by the key of the message, and who failed.

    missed: who is not tried any more.
    """

    rollout: Rollout
    undeliverable: list[tuple[Message, str]] = field(default_factory=list)
    receipts: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    unreachable: set[str] = field(default_factory=set)

    @property
    def sent(self) -> int:
        """How many messages arrived somewhere, each place counted."""
        return sum(map(len, self.receipts.values()))

    def hook_summary(self) -> str:
        """Return what became of hooks, for the history; empty when there is nothing to say."""
        called = [
            (address, "was called")
            for message in self.rollout.outbox
            for address in message.to
            if address in self.receipts[message.key]
        ]
        called += [
            (address, "was not reached and is given up") for _, address in self.undeliverable
        ]
        hooks = {key: one for key, one in called if not key.startswith("notify[")}
        return "; ".join(f"{address} {what}" for address, what in hooks.items())


# --- Delivery after a visit -----------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class TickDelivery:
    """Sends what visits left in the outbox of their rollouts.

    outbox: how; a run that cannot tell anybody leaves it to another.
    """

    clock: Clock
    outbox: OutboxDelivery

    def deliver(self, visits: Iterable[Visit], within: timedelta = DELIVERY_LIMIT) -> list[Visit]:
        """Send the messages of `visits` within one limit, and log what each visit came to."""
        deadline = self.clock.now() + within
        told = list(visits)
        for index, visit in sorted(
            enumerate(told), key=lambda one: delivery_priority(one[1].rollout)
        ):
            if visit.observation is not None:
                told[index], post = self._deliver_visit(visit, deadline)
                _log_visit(told[index], visit.observation, post)
            elif not visit.busy:  # else the run that has it tells
                _log_visit(visit, None, DeliveryResult(visit.rollout))
        return told

    def _deliver_visit(self, visit: Visit, deadline: datetime) -> tuple[Visit, DeliveryResult]:
        """Return `visit` and what was sent of it; what is raised meanwhile is its problem."""
        try:
            post = self._deliver_outbox(visit, deadline)
        except Exception as error:  # noqa: BLE001 - one rollout's messages stop no tick
            problem = problem_of(error, visit.rollout.id, "delivering messages of")
            return replace(visit, problem=visit.problem or str(problem)), DeliveryResult(
                visit.rollout
            )
        return replace(visit, rollout=post.rollout), post

    def deliver_start(self, visit: Visit) -> Visit:
        """Send the messages of a start."""
        post = self._deliver_outbox(visit, self.clock.now() + DELIVERY_LIMIT)
        return replace(visit, rollout=post.rollout)

    def _deliver_outbox(self, visit: Visit, deadline: datetime) -> DeliveryResult:
        return self.outbox.deliver(visit.rollout, deadline, saved=visit.saved)


def log_skip(skip: Skip) -> None:
    """Log that a rollout was not visited, as the one event that it has in this tick."""
    log.info("tick_completed", rollout=skip.rollout_id, problem=str(skip.error))


def _log_visit(visit: Visit, observation: Observation | None, result: DeliveryResult) -> None:
    rollout = visit.rollout
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
        next=rollout.next,
        alerts=[str(alert) for alert in visit.alerts],
        busy=visit.busy,
        problem=visit.problem,
        messages_sent=result.sent,
        messages_failed=result.failed,
    )
