"""The account delivers to every kind of channel, and says which kinds are not installed."""

import pytest

from controller.bootstrap.account import real_account
from controller.core.policy.notify import CHANNELS, MissingChannel
from controller.core.policy.targets import MissingTarget
from controller.errors import DeliveryError, TargetError
from tests.adapters.notifiers.channels import a_message, rolled_back_rollout

PROBLEM = "no installed package has the kind 'pager'; install its package where rolloutctl runs"


@pytest.mark.parametrize("kind", CHANNELS.names())
def test_each_kind_of_channel_delivers(kind: str) -> None:
    assert callable(getattr(CHANNELS.model(kind), "deliver", None))


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
