"""Hooks and channels of a policy: what is called, what gets messages, and their JSON."""

import json
from collections.abc import Collection
from datetime import timedelta
from typing import Any, Final, Protocol

from controller.core.message import TEST, Message
from controller.core.observation import HookAnswer
from controller.core.policy import Channel, Hook
from controller.core.rollout import Rollout
from controller.core.words.next_action import next_action
from controller.immutable import Immutable, plain_data
from controller.ports.account import Account
from controller.ports.json_view import finding_view

# The version of the JSON form of a message; see docs/events.md.
EVENT_SCHEMA: Final = 1


class HookCall(Immutable):
    """One call of one hook.

    trigger: like `before_start`. delivery: an id that is the same for every try, so that a receiver
    can detect a duplicate. body: JSON.
    """

    trigger: str
    delivery: str
    body: str


class HookCaller(Protocol):
    """Calls the hooks of a policy: those of one kind, or all by what `Hook.called_by` names."""

    def ask(
        self, hook: Hook, call: HookCall, *, within: timedelta, private: Collection[str]
    ) -> HookAnswer:
        """Return the consent of `hook` to `call`, after as many attempts as fit into `within`.

        private: the hosts whose address need not be public. Never raises: an error is an answer.
        """

    def tell(
        self, hook: Hook, call: HookCall, *, within: timedelta, private: Collection[str]
    ) -> None:
        """Send `call` to `hook` once, after the event. Raises DeliveryError."""


class DeliveringChannel(Protocol):
    """A channel of a policy that delivers: what each kind in `rolloutctl.notifiers` has to do."""

    def deliver(self, account: Account, rollout: Rollout, message: Message) -> str | None:
        """Deliver `message` within a few seconds.

        Returns the id of the thread that it has started for the rollout, which later messages find
        in `rollout.threads` under the display name of the channel; None where it started none.
        Raises DeliveryError when it did not arrive, or when that is unknown, and UsageError without
        a region or credentials; the next tick may try again. MessageRefusedError: none does.
        """


class ChannelNotifier(Protocol):
    """Delivers messages to the channels that a policy names."""

    def deliver(self, channel: Channel, rollout: Rollout, message: Message) -> str | None:
        """Deliver `message` to `channel` within a few seconds.

        Returns the id of the thread that it has started there; None where it started none. Raises
        DeliveryError when it did not arrive, or when that is unknown; the next tick may try again,
        but for a MessageRefusedError.
        """


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
        "label": rollout.evidence.label,
        "next": "nothing" if message.kind == TEST else next_action(rollout).text,
        "findings": plain_data([finding_view(finding) for finding in rollout.evidence.findings]),
    }


def fitting_event_data(rollout: Rollout, message: Message, most_bytes: int) -> dict[str, Any]:
    """Return `event_data`, without its findings where the JSON would have over `most_bytes`."""
    data = event_data(rollout, message)
    return data if len(json.dumps(data)) <= most_bytes else {**data, "findings": []}
