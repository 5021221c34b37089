"""Asking hooks: whether they allow what would come next. Nothing that goes back ever asks."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from controller.core.hook_call import CallFactory
from controller.core.observation import Consent, HookAnswer
from controller.core.policy import Hook, Policy
from controller.ports.clock import Clock
from controller.ports.notify import HookCaller
from controller.process import logging, signals

log = logging.logger()

# All hooks that a tick asks, together; the next tick asks those that are left.
CONSENT_LIMIT: Final = timedelta(seconds=60)
# Whose hook this is said of goes first with the next tick.
NO_TIME_LEFT: Final = "it was not called, because the tick had no time left"


@dataclass(frozen=True, slots=True)
class ConsentHooks:
    """Asks hooks by `caller`; without one, none of them answers."""

    clock: Clock
    caller: HookCaller | None

    def deadline(self) -> datetime:
        """Return when hooks that are asked now have to be through."""
        return self.clock.now() + CONSENT_LIMIT

    def answers(
        self, policy: Policy, addresses: Iterable[str], calls: CallFactory, deadline: datetime
    ) -> dict[str, HookAnswer]:
        """Return what the hooks at `addresses` say, each in its own time, and all by `deadline`."""
        moments = {address.partition("[")[0] for address in addresses}
        hooks = {key: one for moment in moments for key, one in policy.hooks_at(moment).items()}
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
            return HookAnswer(Consent.FAILED, NO_TIME_LEFT)
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
