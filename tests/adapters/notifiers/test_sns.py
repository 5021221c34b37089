"""SNS: the received message, on ministack; limits and refusals of SNS."""

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from controller.adapters.notifiers.sns import SnsChannel, subject
from controller.errors import DeliveryError
from tests.adapters.notifiers.channels import TOPIC, a_message, rolled_back_rollout
from tests.support.accounts import OneClientAccount
from tests.support.emulator import REGION, Emulator


@pytest.fixture
def clients(ministack: Emulator, account: str) -> tuple[Any, Any]:
    return ministack.client("sns", account), ministack.client("sqs", account)


def test_a_message_arrives_with_what_subscriptions_filter_by(clients: tuple[Any, Any]) -> None:
    sns, sqs = clients
    topic, queue = topic_with_queue(sns, sqs)
    channel = SnsChannel(kind="sns", topic=topic)
    channel.deliver(OneClientAccount(lambda: sns), rolled_back_rollout(), a_message())
    (got,) = sqs.receive_message(QueueUrl=queue, WaitTimeSeconds=1)["Messages"]
    body = json.loads(got["Body"])
    assert body["Subject"] == "[warning] checkout#1: rolled_back at 0%"
    assert body["Message"].startswith(f"{a_message().text}\n\nrollout:")
    values = {name: one["Value"] for name, one in body["MessageAttributes"].items()}
    assert values == {
        "policy": "checkout",
        "rollout": "checkout#1",
        "severity": "warning",
        "kind": "rolled_back",
        "phase": "rolled_back",
        "reason": "gate_failed",
        "key": a_message().key,
        "weight_percent": "0",
    }


def test_a_topic_that_does_not_exist_is_an_error(clients: tuple[Any, Any]) -> None:
    missing = SnsChannel(kind="sns", topic=f"arn:aws:sns:{REGION}:123456789012:missing")
    with pytest.raises(DeliveryError, match=r"took no message \(sns:Publish\): NotFound"):
        missing.deliver(OneClientAccount(lambda: clients[0]), rolled_back_rollout(), a_message())


def topic_with_queue(sns: Any, sqs: Any) -> tuple[str, str]:
    topic = sns.create_topic(Name="rollouts")["TopicArn"]
    queue = sqs.create_queue(QueueName="rollouts")["QueueUrl"]
    attributes = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=attributes["Attributes"]["QueueArn"])
    return topic, queue


@pytest.mark.parametrize(
    ("message", "line"),
    [
        pytest.param(
            a_message(kind="paused", weight=10),
            "[warning] checkout#1: paused at 10%",
            id="a plain one",
        ),
        pytest.param(
            a_message(kind="zurück\nnow"),
            "[warning] checkout#1: zur?ck?now at 0%",
            id="what is no printable ASCII",
        ),
        pytest.param(
            a_message(kind="k" * 200), f"[warning] checkout#1: {'k' * 75}...", id="a long one"
        ),
    ],
)
def test_a_subject_fits_the_limits_of_sns(message: Any, line: str) -> None:
    assert subject(message, rolled_back_rollout()) == line
    assert len(line) <= 100


class Denying:
    def publish(self, **request: Any) -> Any:
        refusal: Any = {
            "Error": {"Code": "AuthorizationError", "Message": "not authorized"},
            "ResponseMetadata": {"HTTPStatusCode": 403},
        }
        raise ClientError(refusal, "Publish")


def test_a_denied_publication_names_the_action() -> None:
    with pytest.raises(DeliveryError) as caught:
        SnsChannel(kind="sns", topic=TOPIC).deliver(
            OneClientAccount(Denying), rolled_back_rollout(), a_message()
        )
    assert str(caught.value) == (
        f"{TOPIC} took no message (sns:Publish): AuthorizationError: not authorized; grant the "
        "action to this role"
    )


def test_a_fifo_topic_gets_an_order_and_forgets_what_it_had_already() -> None:
    sent: list[dict[str, Any]] = []

    class Topics:
        def publish(self, **request: Any) -> Any:
            sent.append(request)

    channel = SnsChannel(kind="sns", topic=f"{TOPIC}.fifo")
    for _ in range(2):
        channel.deliver(OneClientAccount(Topics), rolled_back_rollout(), a_message())
    assert {one["MessageGroupId"] for one in sent} == {"checkout"}
    (once,) = {one["MessageDeduplicationId"] for one in sent}
    assert len(once) <= 128
