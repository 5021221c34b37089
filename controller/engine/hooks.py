"""Calls the hooks that must consent before a start or a step. A rollback needs no consent."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from controller.core.hook_call import CallFactory
from controller.core.observation import Consent, HookAnswer
from controller.core.policy import Hook, Policy
from controller.engine import limits
from controller.ports.clock import Clock
from controller.ports.notify import HookCaller
from controller.process import logging, signals

log = logging.logger()

_NO_TIME_LEFT: Final = "it was not called, because the tick had no time left"


@dataclass(frozen=True, slots=True)
class ConsentHooks:
    """Calls hooks for their consent. caller: None: no hook gives it."""

    clock: Clock
    caller: HookCaller | None

    def deadline(self) -> datetime:
        """Return the deadline of all hooks that are called from now on."""
        return self.clock.now() + limits.CONSENT_LIMIT

    def answers(
        self, policy: Policy, addresses: Iterable[str], calls: CallFactory, deadline: datetime
    ) -> dict[str, HookAnswer]:
        """Return the answers of the hooks at `addresses`, within their timeouts and `deadline`."""
        triggers = {address.partition("[")[0] for address in addresses}
        hooks = {key: hook for one in triggers for key, hook in policy.hooks_at(one).items()}
        return {
            address: self._answer(policy, address, hooks[address], calls, deadline)
            for address in addresses
        }

    def _answer(
        self, policy: Policy, address: str, hook: Hook, calls: CallFactory, deadline: datetime
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
            answer = self.caller.ask(hook, calls(address), within=within, private=private)
        except Exception as error:  # noqa: BLE001 - whatever a hook raises is no consent
            answer = HookAnswer(Consent.FAILED, type(error).__name__)
        log.info(
            "hook_answered",
            policy=policy.name,
            hook=address,
            consent=str(answer.consent),
            said=answer.said,
        )
        return answer
