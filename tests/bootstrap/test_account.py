"""The account delivers to each kind of channel and hook, and says which kinds are not installed."""

from typing import ClassVar

import pytest

from controller.bootstrap.account import real_account
from controller.core.policy.hooks import Hook
from controller.core.policy.notify import MissingChannel
from controller.core.policy.targets import MissingTarget
from controller.errors import DeliveryError, TargetError
from controller.ports.account import Account
from controller.ports.notify import HookCall
from tests.adapters.notifiers.channels import a_message, rolled_back_rollout
from tests.support.core import Consent, HookAnswer

PROBLEM = "no installed package has the kind 'pager'; install its package where rolloutctl runs"

A_CALL = HookCall("after_start", "checkout#1:1:after_start[0]:now", "{}")


class PagerHook(Hook):
    """A hook of a kind that nothing but this module knows."""

    called_by: ClassVar[str] = f"{__name__}:Pager"


class Pager:
    """A `HookCaller` that consents, and remembers of what it was told."""

    told: ClassVar[list[str]] = []

    def __init__(self, account: Account) -> None:
        self.account = account

    def ask(self, hook: PagerHook, call: HookCall, **_: object) -> HookAnswer:
        """Consent."""
        return HookAnswer(Consent.GIVEN, hook.kind)

    def tell(self, hook: PagerHook, call: HookCall, **_: object) -> None:
        """Remember the call."""
        self.told.append(call.trigger)


def test_a_hook_is_called_by_what_its_kind_names() -> None:
    hook, account = PagerHook(kind="pager"), real_account()
    answer = account.ask(hook, A_CALL, within=hook.timeout, private=())
    account.tell(hook, A_CALL, within=hook.timeout, private=())
    assert answer == HookAnswer(Consent.GIVEN, "pager")
    assert Pager.told == [A_CALL.trigger]


def test_a_message_to_a_missing_kind_did_not_arrive() -> None:
    channel = MissingChannel.of({"kind": "pager"}, PROBLEM.partition(";")[0])
    with pytest.raises(DeliveryError) as caught:
        real_account().deliver(channel, rolled_back_rollout(), a_message())
    assert str(caught.value) == PROBLEM


def test_a_target_of_a_missing_kind_cannot_be_opened() -> None:
    target = MissingTarget.of({"kind": "pager"}, PROBLEM.partition(";")[0])
    with pytest.raises(TargetError) as caught:
        real_account().open(target)
    assert str(caught.value) == PROBLEM
