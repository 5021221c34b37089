"""Fakes of the notification and hook ports for rehearsals: no message leaves the process."""

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from datetime import timedelta

from controller.core.message import Message
from controller.core.observation import Consent, HookAnswer
from controller.core.policy import Channel, Hook
from controller.core.rollout import Rollout
from controller.ports.notify import HookCall


@dataclass(slots=True)
class FakeInbox:
    """A `ChannelNotifier` that stores each message with its channel, and sends nothing."""

    sent: list[tuple[str, Message]] = field(default_factory=list)

    def deliver(self, channel: Channel, rollout: Rollout, message: Message) -> None:
        self.sent.append((channel.display_name, message))


@dataclass(slots=True)
class ScriptedHooks:
    """A `HookCaller` that stores every call, and consents unless the scenario refuses.

    refusal: how hooks refuse now; None: they do not.
    """

    refusal: Callable[[], str | None]
    calls: list[HookCall] = field(default_factory=list)

    def ask(
        self, hook: Hook, call: HookCall, *, within: timedelta, private: Collection[str]
    ) -> HookAnswer:
        """Answer as the scenario says."""
        self.calls.append(call)
        refusal = self.refusal()
        if refusal is None:
            return HookAnswer(Consent.GIVEN)
        detail = "the scenario says no" if refusal == "refused" else "no answer in the scenario"
        return HookAnswer(Consent(refusal), detail)

    def tell(
        self, hook: Hook, call: HookCall, *, within: timedelta, private: Collection[str]
    ) -> None:
        self.calls.append(call)
