"""Calls of hooks: a delivery id and a body as JSON. Pure; docs/hooks.md has every field."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from controller.core.history import finding_data
from controller.core.message import Message
from controller.core.observation import TargetReading
from controller.core.outbox import event_data
from controller.core.policy import Policy
from controller.core.policy.hooks import BEFORE_ADVANCE, BEFORE_START
from controller.core.rollout import Rollout

# The version of the body of a call.
CALL_SCHEMA: Final = 1


@dataclass(frozen=True, slots=True)
class HookCall:
    """One call of one hook.

    trigger: like `before_start`. delivery: an id that is the same for every try, so that a receiver
    can detect a duplicate. body: JSON.
    """

    trigger: str
    delivery: str
    body: str


CallFactory = Callable[[str], HookCall]
"""Returns the call of the hook at an address."""


def start_calls(
    policy: Policy, revision: str, target: TargetReading, weight: int, at: datetime
) -> CallFactory:
    """Return the factory of the calls before a start with `weight`."""
    facts: dict[str, Any] = {
        "policy": policy.name,
        "rollout": None,
        "revision": revision,
        "target": target.identity,
        "phase": None,
        "step": 0,
        "weight_percent": target.weight,
        "to_weight_percent": weight,
        "findings": [],
    }
    return _call_factory(BEFORE_START, f"{policy.name}:{revision}", at, facts)


def advance_calls(rollout: Rollout, at: datetime) -> CallFactory:
    """Return the factory of the calls before the next step of `rollout`, whose gate has passed."""
    facts = {
        "policy": rollout.name,
        "rollout": rollout.id,
        "revision": rollout.revision,
        "target": rollout.target,
        "phase": str(rollout.phase),
        "step": rollout.step + 1,
        "weight_percent": rollout.weight,
        "to_weight_percent": rollout.policy.steps[rollout.step + 1].weight,
        "findings": [finding_data(finding) for finding in rollout.findings],
    }
    return _call_factory(BEFORE_ADVANCE, f"{rollout.id}:{rollout.step + 1}", at, facts)


def _call_factory(trigger: str, subject: str, at: datetime, facts: dict[str, Any]) -> CallFactory:
    def call(address: str) -> HookCall:
        delivery = f"{subject}:{address}:{at.isoformat()}"
        head = {"schema": CALL_SCHEMA, "hook": trigger, "delivery": delivery, "at": at.isoformat()}
        return HookCall(trigger, delivery, json.dumps({**head, **facts}))

    return call


def after_call(rollout: Rollout, message: Message, address: str) -> HookCall:
    """Return the call of the hook at `address` after the event of `message`."""
    event = event_data(rollout, message)
    delivery = f"{message.key}:{address}"
    trigger = address.partition("[")[0]
    head = {"schema": CALL_SCHEMA, "hook": trigger, "delivery": delivery}
    facts = {name: value for name, value in event.items() if name not in ("schema", "key")}
    return HookCall(trigger, delivery, json.dumps({**head, **facts}))
