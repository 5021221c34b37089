"""The outbox of a rollout: messages are saved with a decision and removed once they are delivered.

A decision and its messages are saved in the same write, so a run that dies before it has sent them
leaves them to the next tick. A run that dies between sending a message and removing it sends it
twice: a receiver that must not act twice compares the key.
"""

from datetime import datetime
from typing import Final

from controller.core.decision import Decision, Notice, Record
from controller.core.message import DELIVERY_TIMEOUT, Message
from controller.core.policy import Channel, Hook, Policy
from controller.core.policy.hooks import AFTER_HOOKS
from controller.core.rollout import Phase, Rollout
from controller.immutable import replace

# The most messages that wait; above it, the oldest that are not critical are dropped first.
MAX_MESSAGES: Final = 20
# The most characters of a text that are stored and sent.
MAX_TEXT_LENGTH: Final = 4_000

# The kind of an entry about hooks that were called after an event: it records no decision.
HOOK_CALLED: Final = "hooked"

_CHANNEL_PREFIX: Final = "notify"


def enqueue_notices(decision: Decision, run: str = "") -> Decision:
    """Return `decision` with its notices in the outbox, for the recipients that the policy names.

    run: the id of the run that decided; empty where it keeps no log.
    """
    rollout = decision.rollout
    messages = [_message(decision, notice, run) for notice in decision.notices]
    messages = [message for message in messages if message.recipients]
    if not messages:
        return decision
    return replace(
        decision, rollout=replace(rollout, outbox=_limit_outbox((*rollout.outbox, *messages)))
    )


def _message(decision: Decision, notice: Notice, run: str) -> Message:
    rollout, entry = decision.rollout, decision.record
    kind = notice.kind or (entry.kind if entry else "notice")
    at = rollout.updated
    return Message(
        key=f"{rollout.id}:{kind}:{at.isoformat()}",
        at=at,
        severity=notice.severity,
        kind=kind,
        text=notice.text[:MAX_TEXT_LENGTH],
        phase=str(rollout.phase),
        weight=_message_weight(rollout),
        step=rollout.step,
        reason=str(rollout.reason),
        recipients=_addresses(rollout.policy, notice, "" if entry is None else entry.kind),
        run=run,
    )


def _message_weight(rollout: Rollout) -> int:
    """Return the weight that a message names: of a rollback, the one that is still live."""
    if rollout.phase is Phase.ROLLING_BACK and rollout.seen_weight:
        return rollout.seen_weight
    return rollout.weight


def _addresses(policy: Policy, notice: Notice, kind: str) -> tuple[str, ...]:
    """Return the recipients of a notice: channels, and the hooks after an entry of `kind`."""
    channels = [
        f"{_CHANNEL_PREFIX}[{index}]"
        for index, channel in enumerate(policy.notify or ())
        if channel.takes(str(notice.severity))
    ]
    return (*channels, *policy.hooks_at("" if notice.kind else AFTER_HOOKS.get(kind, "")))


def _limit_outbox(waiting: tuple[Message, ...]) -> tuple[Message, ...]:
    excess = len(waiting) - MAX_MESSAGES
    if excess <= 0:
        return waiting
    by_priority = sorted(waiting, key=lambda one: (one.severity == "critical", one.at))
    dropped = {message.key for message in by_priority[:excess]}
    return tuple(message for message in waiting if message.key not in dropped)


def recipient(policy: Policy, address: str) -> Channel | Hook | None:
    """Return the channel or the hook at `address`; None where the policy has none there."""
    if not address.startswith(f"{_CHANNEL_PREFIX}["):
        return policy.hooks_at(address.partition("[")[0]).get(address)
    index = address.removeprefix(f"{_CHANNEL_PREFIX}[").removesuffix("]")
    channels = policy.notify or ()
    return channels[int(index)] if index.isdigit() and int(index) < len(channels) else None


def delivery_order(message: Message) -> tuple[str, ...]:
    """Return the recipients in order of delivery: rotated with each try, so that none blocks it."""
    first = message.attempts % len(message.recipients) if message.recipients else 0
    return message.recipients[first:] + message.recipients[:first]


def delivery_priority(rollout: Rollout) -> tuple[bool, int]:
    """Return the sort key of rollouts for delivery: critical messages first, then new ones.

    So slow recipients of one rollout delay the messages of another by one tick at most.
    """
    none_critical = all(message.severity != "critical" for message in rollout.outbox)
    return none_critical, min((message.attempts for message in rollout.outbox), default=0)


def remaining_message(
    message: Message, delivered_to: frozenset[str], now: datetime
) -> Message | None:
    """Return `message` for the recipients that still lack it; None when no try is left.

    That is when `delivered_to` has all of them, and when the message is older than
    DELIVERY_TIMEOUT: then it is given up.
    """
    undelivered = tuple(address for address in message.recipients if address not in delivered_to)
    if not undelivered or now - message.at > DELIVERY_TIMEOUT:
        return None
    return replace(message, recipients=undelivered, attempts=message.attempts + 1)


def hook_record(rollout: Rollout, sentence: str, now: datetime) -> Record:
    """Return the record of hooks that were called after an event, or that could not be called."""
    return Record.of(
        HOOK_CALLED, rollout, rollout, rollout.weight, now, sentence=sentence, findings=()
    )
