"""The outbox: which messages a decision adds, for whom, and how many it holds."""

from typing import Any

from controller.engine.outbox import (
    MAX_MESSAGES,
    MAX_TEXT_LENGTH,
    enqueue_notices,
)
from controller.immutable import replace
from controller.ports.notify import event_data
from tests.support.cases import cases
from tests.support.core import Decision, Message, Notice, Phase, Policy, Rollout, Severity
from tests.support.rollouts import MINUTE, NOON, a_policy, a_record, a_rollout, a_state

TOPIC = "arn:aws:sns:eu-central-1:123456789012:rollouts"
SNS: dict[str, Any] = {"kind": "sns", "topic": TOPIC}
BUS: dict[str, Any] = {"kind": "eventbridge"}
INFO, WARNING, CRITICAL = Severity


def policy_with(*channels: dict[str, Any]) -> Policy:
    return a_policy(**({"notify": channels} if channels else {}))


def a_rollout_with(*channels: dict[str, Any], **facts: Any) -> Rollout:
    return a_rollout(policy=policy_with(*channels), **facts)


def a_decision(rollout: Rollout, *notices: Notice, kind: str | None = "paused") -> Decision:
    record = None if kind is None else a_record(rollout, kind=kind)
    return Decision(rollout, notices=notices, record=record)


def outbox(decision: Decision) -> tuple[Message, ...]:
    return enqueue_notices(decision).rollout.outbox


def test_a_notice_is_sent_with_the_state_of_the_rollout() -> None:
    rollout = a_rollout_with(SNS, state=a_state(Phase.PAUSED), updated=NOON + MINUTE)
    (message,) = outbox(a_decision(rollout, Notice(WARNING, "it is paused")))
    assert message == Message(
        key="checkout#1:paused:2026-11-24T12:01:00+00:00",
        at=NOON + MINUTE,
        severity=Severity.WARNING,
        kind="paused",
        text="it is paused",
        phase="paused",
        weight=10,
        step=0,
        reason="started",
        recipients=("notify[0]",),
    )


@cases("notice, kind, expected", {
    "the kind of its record": (Notice(INFO, "x"), "advanced", "advanced"),
    "its own kind": (Notice(INFO, "x", "blind"), "advanced", "blind"),
    "with neither, it is a notice": (Notice(INFO, "x"), None, "notice"),
})  # fmt: skip
def test_a_message_names_its_event(notice: Notice, kind: str | None, expected: str) -> None:
    (message,) = outbox(a_decision(a_rollout_with(SNS), notice, kind=kind))
    assert message.kind == expected


def test_each_channel_gets_what_is_severe_enough_for_it() -> None:
    rollout = a_rollout_with(
        SNS, {**BUS, "min_severity": "warning"}, {**SNS, "min_severity": "critical"}
    )
    recipients = {
        str(severity): outbox(a_decision(rollout, Notice(severity, "x")))[0].recipients
        for severity in Severity
    }
    assert recipients == {
        "info": ("notify[0]",),
        "warning": ("notify[0]", "notify[1]"),
        "critical": ("notify[0]", "notify[1]", "notify[2]"),
    }


def test_a_text_has_a_maximum_length() -> None:
    (message,) = outbox(a_decision(a_rollout_with(SNS), Notice(INFO, "x" * 10 * MAX_TEXT_LENGTH)))
    assert len(message.text) == MAX_TEXT_LENGTH


def test_an_outbox_has_a_maximum_length_and_critical_messages_stay_in_it() -> None:
    rollout = a_rollout_with(SNS)
    rollout = enqueue_notices(a_decision(rollout, Notice(CRITICAL, "first"))).rollout
    for minute in range(1, MAX_MESSAGES + 5):
        rollout = replace(rollout, updated=NOON + minute * MINUTE)
        rollout = enqueue_notices(a_decision(rollout, Notice(INFO, str(minute)))).rollout
    texts = [one.text for one in rollout.outbox]
    assert texts == ["first", *map(str, range(6, MAX_MESSAGES + 5))]


def a_message(**changes: Any) -> Message:
    (message,) = outbox(a_decision(a_rollout_with(SNS, BUS), Notice(INFO, "x")))
    return replace(message, **changes)


def test_an_event_contains_the_message_and_the_rollout() -> None:
    rollout = a_rollout_with(SNS, state=a_state(Phase.SUCCEEDED))
    data = event_data(rollout, a_message())
    assert (data["phase"], data["rollout"], data["steps"]) == ("progressing", "checkout#1", 3)
