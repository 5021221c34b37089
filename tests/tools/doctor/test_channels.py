"""The test message of doctor: what each channel gets, and what is said about it."""

from collections.abc import Sequence

import pytest

from controller.adapters.notifiers import eventbridge, pagerduty, slack, sns
from controller.core.message import Message, Severity
from controller.core.policy import Channel
from controller.core.policy.notify import CHANNELS
from controller.core.rollout import Rollout
from controller.errors import DeliveryError
from controller.operations.checks import Check, CheckLevel, exit_status
from controller.ports.notify import event_data
from controller.tools.doctor import channel_tests
from tests.support.core import Phase
from tests.support.rollouts import NOON
from tests.support.stage import short_policy

SNS = {"kind": "sns", "topic": "arn:aws:sns:eu-central-1:123456789012:rollouts"}
BUS = {"kind": "eventbridge"}
PAGER = {"kind": "pagerduty", "routing_key": {"secret": "key"}}


class Inbox:
    """A `ChannelNotifier` that keeps what is delivered. broken: kinds that raise."""

    def __init__(self, *broken: str, error: Exception | None = None) -> None:
        self.got: list[tuple[str, Rollout, Message]] = []
        self.broken = broken
        self.error = error or DeliveryError("it took no message: AccessDenied")

    def deliver(self, channel: Channel, rollout: Rollout, message: Message) -> str | None:
        if channel.kind in self.broken:
            raise self.error
        self.got.append((channel.kind, rollout, message))
        return None

    @property
    def kinds(self) -> list[str]:
        return [kind for kind, _, _ in self.got]


def tried(
    inbox: Inbox, notify: Sequence[object], severity: Severity = Severity.CRITICAL
) -> list[Check]:
    policy = short_policy(notify=notify or None)
    return list(channel_tests(policy, severity, inbox, NOON, "oncall"))


def the_message(severity: Severity = Severity.CRITICAL) -> tuple[Rollout, Message]:
    inbox = Inbox()
    tried(inbox, [SNS], severity)
    ((_, rollout, message),) = inbox.got
    return rollout, message


def test_each_channel_gets_one_message() -> None:
    inbox = Inbox()
    checks = tried(inbox, [SNS, BUS, PAGER])
    assert inbox.kinds == ["sns", "eventbridge", "pagerduty"]
    assert [one.level for one in checks] == [CheckLevel.OK] * 3
    assert checks[0].text.startswith("sns rollouts: took the test message of 2026-11-24 12:00 UTC")


@pytest.mark.parametrize(
    "error", [DeliveryError("it took no message: AccessDenied"), ValueError("AccessDenied")]
)
def test_a_channel_that_refuses_fails_with_its_reason_and_stops_no_other(error: Exception) -> None:
    inbox = Inbox("sns", error=error)
    checks = tried(inbox, [SNS, BUS])
    assert inbox.kinds == ["eventbridge"]
    assert [one.level for one in checks] == [CheckLevel.FAIL, CheckLevel.OK]
    assert "AccessDenied" in checks[0].detail
    assert exit_status(checks) == 7


@pytest.mark.parametrize(
    ("kind", "severity", "gets"),
    [(kind, one, one is not Severity.INFO) for kind in (SNS, PAGER) for one in Severity],
)
def test_a_channel_gets_no_test_below_its_lowest_severity(
    kind: dict[str, object], severity: Severity, gets: bool
) -> None:
    inbox = Inbox()
    (check,) = tried(inbox, [{**kind, "min_severity": "warning"}], severity)
    assert bool(inbox.got) is gets
    assert check.level is (CheckLevel.OK if gets else CheckLevel.WARN)
    if not gets:
        assert check.remedy == "--test-message warning"


def test_a_policy_without_channels_fails() -> None:
    (check,) = tried(Inbox(), [])
    assert (check.level, check.what) == (CheckLevel.FAIL, "channels")


def test_the_message_says_test_and_names_who_sent_it_and_no_rollout() -> None:
    rollout, message = the_message(Severity.WARNING)
    assert message.text.startswith(f"TEST of the channels of {rollout.name}: nothing happened")
    assert "Sent by oncall" in message.text
    assert (message.kind, message.severity, rollout.attempt) == ("test", "warning", 0)
    assert message.phase not in list(Phase)


def test_no_channel_can_take_it_for_news_of_a_rollout() -> None:
    rollout, message = the_message()
    post = slack.blocks(rollout, message)["text"]
    headlines = {
        "sns": (sns.subject(message, rollout), "[TEST, critical] "),
        "slack": (post, "CRITICAL: TEST of the channels"),
        "slack-bot": (post, "CRITICAL: TEST of the channels"),
        "pagerduty": (
            pagerduty.event_of("trigger", rollout, message)["payload"]["summary"], "TEST",
        ),
        "eventbridge": (eventbridge.detail(rollout, message).partition('"kind": ')[2], '"test"'),
    }  # fmt: skip
    assert headlines.keys() == CHANNELS.built_in.keys()
    assert all(text.startswith(begin) for text, begin in headlines.values())
    data = event_data(rollout, message)
    assert (data["kind"], data["phase"], data["next"]) == ("test", "none", "nothing")
