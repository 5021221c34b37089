"""What a rollout still has to tell: posted with the decision, crossed off when it has arrived.

A decision's messages are saved with it, in the same write; so a run that dies before it has sent
them leaves them to the next tick. One that dies after sending and before crossing off sends them
twice: whoever must not act twice goes by the key. Pure.
"""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Final

from controller.core.decision import Decision, Notice, Record
from controller.core.history import finding_data
from controller.core.message import Message
from controller.core.policy import Channel, Hook, Policy
from controller.core.policy.hooks import AFTER_HOOKS
from controller.core.rollout import Phase, Rollout

# How long a message is tried again, tick by tick; after that it is given up.
DELIVERY_TIMEOUT: Final = timedelta(hours=1)
# So many messages wait at most; what is older, and not critical, goes first.
MAX_MESSAGES: Final = 20
# So much of a text is kept and sent.
MAX_TEXT_LENGTH: Final = 4_000
# Of the event that a message is to machines; see docs/events.md.
EVENT_SCHEMA: Final = 1

# Entries of hooks that were called after something: nothing was decided.
HOOK_CALLED: Final = "hooked"

_CHANNEL_PREFIX: Final = "notify"


def enqueue_notices(decision: Decision, run: str = "") -> Decision:
    """Return `decision` with its notices in the outbox, for those whom the policy names.

    run: which run of the program decided; empty where nobody keeps a log of it.
    """
    rollout = decision.rollout
    fresh = [_message(decision, notice, run) for notice in decision.notices]
    fresh = [one for one in fresh if one.to]
    if not fresh:
        return decision
    return replace(
        decision, rollout=replace(rollout, outbox=_limit_outbox((*rollout.outbox, *fresh)))
    )


def _message(decision: Decision, notice: Notice, run: str) -> Message:
    rollout, entry = decision.rollout, decision.record
    kind = notice.kind or (entry.kind if entry else "notice")
    at = rollout.updated
    return Message(
        key=f"{rollout.id}:{kind}:{at.isoformat()}",
        at=at,
        severity=str(notice.severity),
        kind=kind,
        text=notice.text[:MAX_TEXT_LENGTH],
        phase=str(rollout.phase),
        weight=_message_weight(rollout),
        step=rollout.step,
        reason=str(rollout.reason),
        to=_addresses(rollout.policy, notice, "" if entry is None else entry.kind),
        run=run,
    )


def _message_weight(rollout: Rollout) -> int:
    """Return the weight that a message names: of a rollback, the one that is still live."""
    if rollout.phase is Phase.ROLLING_BACK and rollout.seen_weight:
        return rollout.seen_weight
    return rollout.weight


def _addresses(policy: Policy, notice: Notice, kind: str) -> tuple[str, ...]:
    """Return whom a notice goes to: channels, and the hooks after what the history calls `kind`."""
    channels = enumerate(policy.notify or ())
    told = [
        f"{_CHANNEL_PREFIX}[{index}]" for index, one in channels if one.takes(str(notice.severity))
    ]
    return (*told, *policy.hooks_at("" if notice.kind else AFTER_HOOKS.get(kind, "")))


def _limit_outbox(waiting: tuple[Message, ...]) -> tuple[Message, ...]:
    over = len(waiting) - MAX_MESSAGES
    if over <= 0:
        return waiting
    by_worth = sorted(waiting, key=lambda one: (one.severity == "critical", one.at))
    gone = {one.key for one in by_worth[:over]}
    return tuple(one for one in waiting if one.key not in gone)


def recipient(policy: Policy, address: str) -> Channel | Hook | None:
    """Return the channel or the hook behind an address; None where the policy has none there."""
    if not address.startswith(f"{_CHANNEL_PREFIX}["):
        return policy.hooks_at(address.partition("[")[0]).get(address)
    index = address.removeprefix(f"{_CHANNEL_PREFIX}[").removesuffix("]")
    channels = policy.notify or ()
    return channels[int(index)] if index.isdigit() and int(index) < len(channels) else None


def delivery_order(message: Message) -> tuple[str, ...]:
    """Return whom to tell first: another one with each try, so that none keeps others out."""
    turn = message.tries % len(message.to) if message.to else 0
    return message.to[turn:] + message.to[:turn]


def delivery_priority(rollout: Rollout) -> tuple[bool, int]:
    """Return what rollouts are told in the order of: what is critical first, then what is new.

    So slow places of one rollout keep no other from being told for more than a tick.
    """
    calm = all(one.severity != "critical" for one in rollout.outbox)
    return calm, min((one.tries for one in rollout.outbox), default=0)


def remaining_message(
    message: Message, delivered_to: frozenset[str], now: datetime
) -> Message | None:
    """Return what is left to do of `message` after a try in which `delivered_to` had it; None: nothing.

    That is also when it is older than TRY_FOR: it is given up.
    """
    left = tuple(one for one in message.to if one not in delivered_to)
    if not left or now - message.at > DELIVERY_TIMEOUT:
        return None
    return replace(message, to=left, tries=message.tries + 1)


def visit_deadline(rollout: Rollout) -> datetime | None:
    """Return until when ticks visit a final rollout: for its watch, and for what it has to tell.

    That is longer than TRY_FOR, for what does not arrive is given up, and said, by a tick after it.
    """
    untold = [one.at + 2 * DELIVERY_TIMEOUT for one in rollout.outbox]
    watched = [] if rollout.watch_until is None else [rollout.watch_until]
    return max((*watched, *untold), default=None)


def hook_record(rollout: Rollout, sentence: str, now: datetime) -> Record:
    """Return what the history says of hooks that were called after something, or in vain."""
    return Record.without_transition(rollout, HOOK_CALLED, sentence, now)


def event_data(rollout: Rollout, message: Message) -> dict[str, Any]:
    """Return `message` as plain JSON data, as docs/events.md describes it.

    The findings are those of the rollout as it stands when the message is sent.
    """
    return {
        "schema": EVENT_SCHEMA,
        "key": message.key,
        "run": message.run,
        "at": message.at.isoformat(),
        "severity": message.severity,
        "kind": message.kind,
        "text": message.text,
        "rollout": rollout.id,
        "policy": rollout.name,
        "attempt": rollout.attempt,
        "revision": rollout.revision,
        "target": rollout.target,
        "phase": message.phase,
        "step": message.step,
        "steps": len(rollout.policy.steps),
        "weight_percent": message.weight,
        "reason": message.reason,
        "label": rollout.label,
        "next": rollout.next,
        "findings": [finding_data(one) for one in rollout.findings],
    }
