"""Channels and hooks of a policy on the emulator, under exactly the role that `iam` prints."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.e2e import role as roles
from tests.e2e.account import Account
from tests.e2e.on_call import MINUTE, ROLLOUT, Answer, Desk
from tests.e2e.role import Grant, Role
from tests.e2e.role_walks import FIXED
from tests.e2e.test_role import _real_now
from tests.support import emulator
from tests.support.deep_rows import deep_after
from tests.support.emulator import Emulator

pytestmark = pytest.mark.ministack

OUTSIDE = """\
notify:
  - {{kind: sns, topic: "{topic}"}}
  - {{kind: slack, webhook: {{secret: webhook}}}}
hooks:
  before_advance: [{{kind: lambda, function: gate}}]
steps:
"""


@pytest.fixture
def ministack(enforcing_ministack: Emulator) -> Emulator:
    return enforcing_ministack


@pytest.fixture
def shop(ministack: Emulator, account: str) -> Account:
    """An account with the function at 0%, a gate, a topic with a queue, and a webhook."""
    created = Account.of(ministack, account)
    roles.make_role(created.client("iam"), "handler", {"Service": "lambda.amazonaws.com"})
    created.create()
    created.create("gate", {})
    yesterday = datetime.now(UTC) - timedelta(days=1, hours=3)
    created.call_directly(yesterday, yesterday + timedelta(minutes=1))
    created.client("secretsmanager").create_secret(
        Name="webhook", SecretString="https://elsewhere.example/hunter2"
    )
    return created


@pytest.fixture
def queue(shop: Account) -> tuple[Any, str, str]:
    """Return the client of a queue, its URL, and the topic that fills it."""
    sns, sqs = shop.client("sns"), shop.client("sqs")
    topic = sns.create_topic(Name="rollouts")["TopicArn"]
    url = sqs.create_queue(QueueName="rollouts")["QueueUrl"]
    attributes = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])
    arn = attributes["Attributes"]["QueueArn"]
    statement = {
        "Effect": "Allow", "Principal": "*", "Action": "sqs:SendMessage", "Resource": arn,
    }  # fmt: skip
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": policy})
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)
    return sqs, url, topic


def delivered_kinds(queue: tuple[Any, str, str]) -> list[str]:
    """Receive the delivered messages, and return their kinds."""
    sqs, url, _ = queue
    messages = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", [])
    for message in messages:
        sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
    bodies = [json.loads(message["Body"]) for message in messages]
    return [body["MessageAttributes"]["kind"]["Value"] for body in bodies]


def tick_as_role(desk: Desk, role: Role, queue: tuple[Any, str, str], without: str = "") -> Answer:
    """Start, and tick once the gate at 10% passes; the role lacks the action `without`."""
    policy = desk.another_policy(**{**FIXED, "steps:\n": OUTSIDE.format(topic=queue[2])})
    desk.start(policy)
    where = ("--account", role.account.number, "--region", emulator.REGION)
    document = json.loads(desk.run("iam", policy, *where).out)
    granted: list[Grant] = [grant for grant in roles.grants(document) if grant[0] != without]
    role.may(roles.of(granted))
    desk.serve(72 * MINUTE)
    return desk.tick()


@pytest.fixture
def role(shop: Account, monkeypatch: pytest.MonkeyPatch) -> Role:
    monkeypatch.setattr("botocore.auth.get_current_datetime", _real_now)
    return Role(shop, monkeypatch)


def test_a_step_asks_its_hook_and_tells_the_topic_and_no_webhook_elsewhere(
    desk: Desk, role: Role, queue: tuple[Any, str, str]
) -> None:
    answer = tick_as_role(desk, role, queue)
    assert desk.account.pair() == ("50", "false"), answer.err
    assert sorted(delivered_kinds(queue)) == ["advanced", "started"]
    (failed,) = {event["problem"] for event in answer.events if event["event"] == "message_failed"}
    assert "names the host elsewhere.example, and only hooks.slack.com is allowed" in failed
    assert "hunter2" not in answer.out + answer.err
    (advanced,) = [one for one in desk.history() if one["kind"] == "advanced"]
    hooks = advanced["body"]["observation"]["hooks"]
    assert hooks == {"before_advance[0]": {"consent": "given", "message": ""}}
    assert desk.run("replay", ROLLOUT).status == 0


@pytest.mark.parametrize(
    ("action", "weight"),
    deep_after(
        1,
        [
            pytest.param("lambda:InvokeFunction", "10"),
            pytest.param("sns:Publish", "50"),
            pytest.param("secretsmanager:GetSecretValue", "50"),
        ],
    ),
)
def test_what_a_role_lacks_is_named_and_costs_no_tick(
    desk: Desk, role: Role, queue: tuple[Any, str, str], action: str, weight: str
) -> None:
    answer = tick_as_role(desk, role, queue, without=action)
    assert answer.status == 0
    assert desk.account.pair() == (weight, "false")
    (line, *_) = [one for one in answer.err.splitlines() if f"({action}): " in one]
    assert "grant the action to this role" in line
