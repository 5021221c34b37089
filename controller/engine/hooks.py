"""Calls hooks: the delivery id and the JSON body of each call, and the consent before a step.

A rollback needs no consent. docs/hooks.md has every field of a body.
"""

import json
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from typing import Any, Final, TypeAlias

from controller.core.decide import decide
from controller.core.decision import Decision
from controller.core.events import Seen
from controller.core.message import Message
from controller.core.observation import Consent, HookAnswer, TargetReading
from controller.core.policy import Hook, Policy
from controller.core.policy.hooks import BEFORE_ADVANCE, BEFORE_START
from controller.core.rollout import Rollout
from controller.engine import time_limits
from controller.engine.recipients import RecipientCheck
from controller.errors import RecipientNotListedError, StoreError
from controller.immutable import Immutable, plain_data, replace
from controller.ports.clock import Clock
from controller.ports.json_view import finding_view
from controller.ports.notify import HookCall, HookCaller, event_data
from controller.process import logging, signals

log = logging.logger()

# The version of the body of a call.
CALL_SCHEMA: Final = 1
_NO_TIME_LEFT: Final = "it was not called, because the tick had no time left"

CallFactory: TypeAlias = Callable[[str], HookCall]
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
        "findings": plain_data([finding_view(finding) for finding in rollout.evidence.findings]),
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


# --- Consent --------------------------------------------------------------------------------------


class ConsentHooks(Immutable):
    """Calls the hooks that `recipients` allows for their consent. caller: None: none gives it."""

    clock: Clock
    caller: HookCaller | None
    recipients: RecipientCheck

    def deadline(self) -> datetime:
        """Return the deadline of all hooks that are called from now on."""
        return self.clock.now() + time_limits.CONSENT_LIMIT

    def ask(
        self, rollout: Rollout, event: Seen, decision: Decision, now: datetime, deadline: datetime
    ) -> tuple[Seen, Decision]:
        """Return `event` with the answers of the hooks of `decision`, and the decision on it."""
        calls = advance_calls(decision.rollout, now)
        answers = self.answers(rollout.id, rollout.policy, decision.hooks_to_call, calls, deadline)
        event = replace(event, observation=replace(event.observation, hooks=answers))
        return event, decide(rollout, event, now)

    def answers(
        self,
        rollout_id: str,
        policy: Policy,
        addresses: Iterable[str],
        calls: CallFactory,
        deadline: datetime,
    ) -> dict[str, HookAnswer]:
        """Return the answers of the hooks at `addresses`, within their timeouts and `deadline`.

        A hook that may not be called has not answered.
        """
        triggers = {address.partition("[")[0] for address in addresses}
        hooks = {
            key: hook for trigger in triggers for key, hook in policy.hooks_at(trigger).items()
        }
        return {
            address: self._answer(rollout_id, policy, address, hooks[address], calls, deadline)
            for address in addresses
        }

    def _answer(
        self,
        rollout_id: str,
        policy: Policy,
        address: str,
        hook: Hook,
        calls: CallFactory,
        deadline: datetime,
    ) -> HookAnswer:
        within = min(hook.timeout, deadline - self.clock.now())
        if self.caller is None:
            return HookAnswer(Consent.FAILED, "no hook can be called from here")
        if signals.stop_requested():
            return HookAnswer(Consent.FAILED, "this run is about to end")
        if within <= timedelta():
            return HookAnswer(Consent.FAILED, _NO_TIME_LEFT)
        private = () if policy.hooks is None else policy.hooks.private_hosts or ()
        try:
            self.recipients.check(rollout_id, hook)
            answer = self.caller.ask(hook, calls(address), within=within, private=private)
        except (RecipientNotListedError, StoreError) as error:
            answer = HookAnswer(Consent.FAILED, str(error))
        except Exception as error:  # noqa: BLE001 - whatever a hook raises is no consent
            answer = HookAnswer(Consent.FAILED, type(error).__name__)
        log.info(
            "hook_answered",
            policy=policy.name,
            hook=address,
            consent=str(answer.consent),
            message=answer.message,
        )
        return answer
