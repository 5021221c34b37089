"""Delivers the outbox of visited rollouts to channels and hooks, and logs each visit."""

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

# The time for all messages of a tick; the next tick delivers the rest.
DELIVERY_LIMIT: Final = timedelta(seconds=20)


@dataclass(frozen=True, slots=True)
class DeliveryResult:
    """A rollout after a delivery: how many messages arrived, and how many recipients failed."""

    rollout: Rollout
    sent: int = 0
    failed: int = 0


@dataclass(frozen=True, slots=True)
class OutboxDelivery:
    """Delivers messages to channels and hooks, and removes what arrived from the stored outbox.

    channel_notifier, hooks: None: this run delivers nothing to channels, or to hooks.
    author: returns the author for the history.
    """

    store: StateStore
    clock: Clock
    channel_notifier: ChannelNotifier | None
    hooks: HookCaller | None
    author: Callable[[], Author]

    def deliver(
        self, rollout: Rollout, deadline: datetime, *, saved: bool = True
    ) -> DeliveryResult:
        """Deliver the outbox of `rollout`, each message to the recipients that still lack it.

        A recipient that fails is not tried again in this tick, and delays no other one.
        saved: whether `rollout` is the stored state; else the stored outbox stays as it is.
        """
        if not rollout.outbox or (self.channel_notifier is None and self.hooks is None):
            return DeliveryResult(rollout)
        round_ = _DeliveryRound(rollout)
        for message in rollout.outbox:
            for address in delivery_order(message):
                remaining = deadline - self.clock.now()
                if not signals.stop_requested() and remaining > timedelta():
                    self._try(round_, message, address, remaining)
        after = replace(rollout, outbox=tuple(self._remaining(round_)))
        if saved and after.outbox != rollout.outbox:
            after = self._save_remaining(round_, after)
        return DeliveryResult(after, round_.sent, len(round_.unreachable))

    def _try(
        self, round_: "_DeliveryRound", message: Message, address: str, within: timedelta
    ) -> None:
        if address in round_.unreachable:
            return
        if self._deliver_to(round_.rollout, message, address, within):
            round_.receipts[message.key].add(address)
        else:
            round_.unreachable.add(address)

    def _deliver_to(
        self, rollout: Rollout, message: Message, address: str, within: timedelta
    ) -> bool:
        channel = recipient(rollout.policy, address)
        if channel is None:
            return True
        try:
            if isinstance(channel, LambdaHook | HttpsHook):
                self._call_hook(channel, rollout, message, address, within)
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
        self, hook: Hook, rollout: Rollout, message: Message, address: str, within: timedelta
    ) -> None:
        if self.hooks is None:
            raise DeliveryError("no hook can be called from here")
        private = () if rollout.policy.hooks is None else rollout.policy.hooks.private_hosts or ()
        call = after_call(rollout, message, address)
        self.hooks.tell(hook, call, within=min(hook.timeout, within), private=private)

    def _remaining(self, round_: "_DeliveryRound") -> Iterator[Message]:
        """Yield each message with its remaining recipients, except those that are given up."""
        for message in round_.rollout.outbox:
            reached = frozenset(round_.receipts[message.key])
            if not reached and not round_.unreachable & {*message.to}:
                yield message  # no recipient was tried
            elif remaining := remaining_message(message, reached, self.clock.now()):
                yield remaining
            elif missed := [one for one in message.to if one not in reached]:
                round_.undeliverable += [(message, one) for one in missed]
                log.error(
                    "message_given_up",
                    rollout=round_.rollout.id,
                    message=message.key,
                    missed=missed,
                )

    def _save_remaining(self, round_: "_DeliveryRound", after: Rollout) -> Rollout:
        """Save the remaining outbox; if that fails, messages are sent again under the same key."""
        entries = list[Entry]()
        if sentence := round_.hook_summary():
            after = replace(after, updated=max(self.clock.now(), after.updated))
            record = hook_record(after, sentence, after.updated)
            author, run = self.author(), logging.run_id()
            after, entry = append(
                after, record, by=author.by, caller=author.caller, observation={}, run=run
            )
            entries.append(entry)
        try:
            return self.store.save(after, entries)
        except StoreError as error:
            log.warning("outbox_kept", rollout=after.id, problem=str(error))
            return round_.rollout


@dataclass(slots=True)
class _DeliveryRound:
    """One pass over the outbox of a rollout.

    receipts: the addresses that each message reached, by its key. unreachable: the addresses that
    failed. undeliverable: messages that are given up, each with an address that it did not reach.
    """

    rollout: Rollout
    undeliverable: list[tuple[Message, str]] = field(default_factory=list)
    receipts: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    unreachable: set[str] = field(default_factory=set)

    @property
    def sent(self) -> int:
        """How many messages arrived, counted once for each recipient."""
        return sum(map(len, self.receipts.values()))

    def hook_summary(self) -> str:
        """Return which hooks were called or given up, for the history; empty when there is none."""
        outcomes = [
            (address, "was called")
            for message in self.rollout.outbox
            for address in message.to
            if address in self.receipts[message.key]
        ]
        outcomes += [
            (address, "was not reached and is given up") for _, address in self.undeliverable
        ]
        hooks = {key: outcome for key, outcome in outcomes if not key.startswith("notify[")}
        return "; ".join(f"{address} {outcome}" for address, outcome in hooks.items())


# --- Visits ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class TickDelivery:
    """Delivers the messages that visits left in the outbox of their rollouts.

    outbox: delivers one rollout; a run without channels and hooks leaves the messages to another.
    """

    clock: Clock
    outbox: OutboxDelivery

    def deliver(self, visits: Iterable[Visit], within: timedelta = DELIVERY_LIMIT) -> list[Visit]:
        """Deliver the messages of `visits` within one time limit, and log each visit."""
        deadline = self.clock.now() + within
        delivered = list(visits)
        for index, visit in sorted(
            enumerate(delivered), key=lambda one: delivery_priority(one[1].rollout)
        ):
            if visit.observation is not None:
                delivered[index], result = self._deliver_visit(visit, deadline)
                _log_visit(delivered[index], visit.observation, result)
            elif not visit.busy:  # else the run that holds the lease logs it
                _log_visit(visit, None, DeliveryResult(visit.rollout))
        return delivered

    def _deliver_visit(self, visit: Visit, deadline: datetime) -> tuple[Visit, DeliveryResult]:
        """Return `visit` and the result of its delivery; an exception is its problem."""
        try:
            result = self._deliver_outbox(visit, deadline)
        except Exception as error:  # noqa: BLE001 - one rollout's messages stop no tick
            problem = problem_of(error, visit.rollout.id, "delivering messages of")
            return replace(visit, problem=visit.problem or str(problem)), DeliveryResult(
                visit.rollout
            )
        return replace(visit, rollout=result.rollout), result

    def deliver_start(self, visit: Visit) -> Visit:
        """Deliver the messages of a start."""
        result = self._deliver_outbox(visit, self.clock.now() + DELIVERY_LIMIT)
        return replace(visit, rollout=result.rollout)

    def _deliver_outbox(self, visit: Visit, deadline: datetime) -> DeliveryResult:
        return self.outbox.deliver(visit.rollout, deadline, saved=visit.saved)


def log_skip(skip: Skip) -> None:
    """Log `tick_completed` for a rollout that was not visited: one event per rollout and tick."""
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
