"""Who takes messages and is asked in a rehearsal: nobody outside hears of it."""

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from datetime import timedelta

from controller.core.hook_call import HookCall
from controller.core.message import Message
from controller.core.observation import Consent, HookAnswer
from controller.core.policy import Channel, Hook
from controller.core.rollout import Rollout


@dataclass(slots=True)
class FakeInbox:
    """`Courier` that keeps what would be sent, with the channel, in order."""

    sent: list[tuple[str, Message]] = field(default_factory=list)

    def deliver(self, channel: Channel, rollout: Rollout, message: Message) -> None:
        """Keep `message`."""
        self.sent.append((channel.display_name, message))


@dataclass(slots=True)
class ScriptedHooks:
    """`HookCaller` that keeps every call, and allows what the scenario does not refuse.

    refusal: how hooks refuse now; None: they do not.
    """

    refusal: Callable[[], str | None]
    calls: list[HookCall] = field(default_factory=list)

    def ask(
        self, hook: Hook, call: HookCall, *, within: timedelta, private: Collection[str]
    ) -> HookAnswer:
        """Answer as the scenario says."""
        self.calls.append(call)
        how = self.refusal()
        if how is None:
            return HookAnswer(Consent.GIVEN)
        said = "the scenario says no" if how == "refused" else "no answer in the scenario"
        return HookAnswer(Consent(how), said)

    def tell(
        self, hook: Hook, call: HookCall, *, within: timedelta, private: Collection[str]
    ) -> None:
        """Keep the call."""
        self.calls.append(call)
