"""What a channel or hook uses, as a list of recipients spells it, and what a list withholds."""

from collections.abc import Mapping, Sequence
from typing import Literal

import pytest

from controller.adapters.notifiers.eventbridge import EventBridgeChannel
from controller.adapters.notifiers.pagerduty import PagerDutyChannel
from controller.adapters.notifiers.slack import SlackBotChannel, SlackChannel
from controller.adapters.notifiers.sns import SnsChannel
from controller.core.message import RecipientList, resources_of
from controller.core.policy import Channel, HttpsHook, LambdaHook
from controller.core.policy.field_types import AwsLocation
from controller.core.policy.notify import CHANNELS, MissingChannel, Recipient, SecretReference
from tests.examples.teams_channel import TeamsChannel

ARN = "arn:aws:{}:eu-central-1:123456789012:{}"
TOPIC = ARN.format("sns", "rollouts")
FUNCTION = ARN.format("lambda", "function:gate:live")
SECRET = ARN.format("secretsmanager", "secret:hook-x1y2z3")
NAMED = SecretReference(secret="slack/webhook")
PARAMETER = SecretReference(parameter="/a/b")
VARIABLE = SecretReference(environment="WEBHOOK")


class QueueChannel(Channel):
    """A channel of another package, with a resource whose ARN has no account."""

    kind: Literal["queue"] = "queue"

    def arns(self, where: AwsLocation) -> Mapping[str, Sequence[str]]:
        return {
            "queue": [where.arn("sqs", "orders")],
            "bucket": [f"arn:{where.partition}:s3:::archive/*"],
        }


class SilentChannel(Channel):
    """A channel of another package that declares nothing."""

    kind: Literal["pager"] = "pager"


USED: Sequence[tuple[Recipient, tuple[str, ...]]] = [
        (SnsChannel(kind="sns", topic=TOPIC), (TOPIC,)),
        (EventBridgeChannel(kind="eventbridge"), ("events:event-bus/default",)),
        (
            EventBridgeChannel(kind="eventbridge", bus=ARN.format("events", "event-bus/b")),
            (ARN.format("events", "event-bus/b"),),
        ),
        (SlackChannel(kind="slack", webhook=NAMED), ("secretsmanager:secret:slack/webhook",)),
        (SlackChannel(kind="slack", webhook=VARIABLE), ("environment:WEBHOOK",)),
        (
            SlackBotChannel(kind="slack-bot", channel="C0123456789", token=NAMED),
            ("secretsmanager:secret:slack/webhook", "slack:C0123456789"),
        ),
        (PagerDutyChannel(kind="pagerduty", routing_key=VARIABLE), ("environment:WEBHOOK",)),
        (SlackChannel(kind="slack", webhook=PARAMETER), ("ssm:parameter/a/b",)),
        (LambdaHook(kind="lambda", function="gate:live"), ("lambda:function:gate:live",)),
        (LambdaHook(kind="lambda", function=FUNCTION), (FUNCTION,)),
        (
            HttpsHook(kind="https", url="https://a", secret=SecretReference(secret=SECRET)),
            (SECRET,),
        ),
        (TeamsChannel(kind="teams", webhook=VARIABLE, host="a.example"), ("environment:WEBHOOK",)),
        (QueueChannel(), ("sqs:orders", "s3:archive/*")),
        (SilentChannel(), ("kind:pager",)),
        (MissingChannel(kind="gone"), ()),
]  # fmt: skip


def test_each_kind_is_among_the_rows() -> None:
    kinds = {recipient.kind for recipient, _ in USED}
    assert kinds >= {*CHANNELS.built_in, "lambda", "https"}


@pytest.mark.parametrize(("recipient", "resources"), USED, ids=lambda one: getattr(one, "kind", ""))
def test_a_recipient_uses(recipient: Recipient, resources: tuple[str, ...]) -> None:
    assert resources_of(recipient) == resources


def test_a_list_gives_a_policy_its_own_resources_and_those_of_all() -> None:
    listed = RecipientList({"shop": (TOPIC,), "shop-2": (FUNCTION,), "*": (SECRET,)})
    assert listed.withheld("shop", [TOPIC, FUNCTION, SECRET]) == [FUNCTION]
    assert listed.withheld("sho", [TOPIC, FUNCTION, SECRET]) == [TOPIC, FUNCTION]
    assert RecipientList({}).withheld("shop", [TOPIC]) == [TOPIC]
