"""EventBridge: the events are those that docs/events.md documents."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from controller.adapters.notifiers.eventbridge import (
    DETAIL_TYPE,
    SOURCE,
    EventBridgeChannel,
    detail,
)
from controller.errors import DeliveryError
from tests.adapters.notifiers.channels import FINDING, a_message, rolled_back_rollout
from tests.support.accounts import OneClientAccount
from tests.support.emulator import Emulator

TEXT = (Path(__file__).parents[3] / "docs" / "events.md").read_text(encoding="utf-8")
CHANNEL = EventBridgeChannel(kind="eventbridge")


@pytest.fixture
def clients(ministack: Emulator, account: str) -> tuple[Any, Any]:
    return ministack.client("events", account), ministack.client("sqs", account)


def test_a_rule_finds_the_event_by_what_is_in_it(clients: tuple[Any, Any]) -> None:
    events, sqs = clients
    queue = queue_behind_rule(events, sqs)
    account = OneClientAccount(lambda: events)
    CHANNEL.deliver(account, rolled_back_rollout(), a_message(severity="info", kind="advanced"))
    CHANNEL.deliver(account, rolled_back_rollout(), a_message())
    (got,) = sqs.receive_message(QueueUrl=queue, WaitTimeSeconds=1, MaxNumberOfMessages=10)[
        "Messages"
    ]
    event = json.loads(got["Body"])
    assert (event["source"], event["detail-type"]) == (SOURCE, DETAIL_TYPE)
    assert event["resources"] == [rolled_back_rollout().target]
    assert event["detail"] == json.loads(detail(rolled_back_rollout(), a_message()))


def queue_behind_rule(events: Any, sqs: Any) -> str:
    queue: str = sqs.create_queue(QueueName="rollouts")["QueueUrl"]
    attributes = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])
    pattern = {"source": [SOURCE], "detail": {"severity": ["warning", "critical"]}}
    events.put_rule(Name="rollouts", EventPattern=json.dumps(pattern))
    target = {"Id": "queue", "Arn": attributes["Attributes"]["QueueArn"]}
    events.put_targets(Rule="rollouts", Targets=[target])
    return queue


def test_the_example_in_the_text_is_what_is_sent() -> None:
    (example,) = re.findall(r"^```json\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)
    event = json.loads(example)
    assert event["source"] == SOURCE
    assert event["detail-type"] == DETAIL_TYPE
    rollout = rolled_back_rollout(revision=event["detail"]["revision"], label="regression detected")
    assert event["resources"] == [rollout.target]
    assert event["detail"] == json.loads(detail(rollout, a_message()))


def test_every_field_of_the_detail_is_explained_and_no_other() -> None:
    cells = re.findall(r"^\| (`.*?) \|", TEXT, re.MULTILINE)
    names = [name for cell in cells for name in re.findall(r"`(\w+)`", cell)]
    assert names == list(json.loads(detail(rolled_back_rollout(), a_message())))


class Bus:
    """A client of EventBridge with a fixed answer."""

    def __init__(self, answer: Any) -> None:
        self._answer = answer

    def put_events(self, Entries: list[Any]) -> Any:
        if isinstance(self._answer, Exception):
            raise self._answer
        return self._answer


def problem(answer: Any) -> str:
    with pytest.raises(DeliveryError) as caught:
        CHANNEL.deliver(OneClientAccount(lambda: Bus(answer)), rolled_back_rollout(), a_message())
    return str(caught.value)


def test_an_event_that_is_refused_in_a_good_answer_did_not_arrive() -> None:
    """The call of PutEvents succeeds, and its answer counts refused events."""
    refused = {"ErrorCode": "InternalFailure", "ErrorMessage": "try again"}
    assert problem({"FailedEntryCount": 1, "Entries": [refused]}) == (
        "the event bus default took no event (events:PutEvents): InternalFailure: try again"
    )


def test_a_denied_event_names_the_action() -> None:
    refusal: Any = {
        "Error": {"Code": "AccessDeniedException", "Message": "no"},
        "ResponseMetadata": {"HTTPStatusCode": 400},
    }
    assert problem(ClientError(refusal, "PutEvents")) == (
        "the event bus default took no event (events:PutEvents): AccessDeniedException: no; grant "
        "the action to this role"
    )


def test_an_event_that_would_be_too_long_leaves_its_findings_out() -> None:
    many = rolled_back_rollout(findings=(FINDING,) * 2_000)
    assert json.loads(detail(many, a_message()))["findings"] == []
