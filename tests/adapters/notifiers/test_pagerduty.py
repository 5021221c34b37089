"""PagerDuty: one alert for a policy on a target, what opens and ends it, and the answers."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from controller.adapters.notifiers.pagerduty import (
    MOST_DETAILS,
    MOST_KEY,
    PagerDutyChannel,
    action_of,
    dedup_key,
    event_of,
)
from controller.core.policy import SecretReference
from controller.core.rollout import Rollout
from controller.errors import DeliveryError, MessageRefusedError
from controller.immutable import replace
from controller.ports.account import Egress
from tests.adapters.notifiers.channels import FINDING, a_message, rolled_back_rollout
from tests.adapters.notifiers.vendor_host import vendor_host
from tests.support.accounts import OneClientAccount
from tests.support.core import Condition, ConditionKind, Phase
from tests.support.https_stub import Host, Responder, in_turn, responds
from tests.support.rollouts import NOON, a_rollout, a_state

KEY = "e93facc04764012d7bfb002500d5d1a6"
PAGER: dict[str, Any] = {"kind": "pagerduty", "routing_key": {"environment": "KEY"}}
ACCEPTED = responds(202, b'{"status": "success", "message": "Event processed"}')
PAUSED = {ConditionKind.PAUSED: Condition(NOON, "it is paused", NOON)}


def deliver(
    egress: Egress,
    rollout: Rollout | None = None,
    secret: str = KEY,
    page: str = "",
    **message: Any,
) -> None:
    def read(_place: SecretReference) -> str:
        return secret

    channel = PagerDutyChannel.model_validate(PAGER)
    account = OneClientAccount(secret=read, egress=egress, status_page_url=page)
    channel.deliver(account, rollout or rolled_back_rollout(), a_message(**message))


@pytest.fixture
def pagerduty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Host, Egress]]:
    with vendor_host("events.pagerduty.com", tmp_path, monkeypatch) as running:
        running[0].answer = ACCEPTED
        yield running


def test_a_warning_triggers_an_alert_with_what_a_person_has_to_know(
    pagerduty: tuple[Host, Egress],
) -> None:
    host, egress = pagerduty
    deliver(egress, page="https://pages.example.com/rollouts.html")
    (request,) = host.requests
    assert request.path == "/v2/enqueue"
    event = json.loads(request.body)
    payload = event.pop("payload")
    details = payload.pop("custom_details")
    assert event == {
        "routing_key": KEY,
        "event_action": "trigger",
        "dedup_key": dedup_key(rolled_back_rollout()),
        "client": "rolloutctl",
        "client_url": "https://pages.example.com/rollouts.html",
    }
    assert payload == {
        "summary": "checkout#1 is rolled back, 0% is applied: works fails, 95% measured, "
        "target ≥ 99.9%",
        "source": rolled_back_rollout().target,
        "severity": "warning",
        "timestamp": NOON.isoformat(),
        "component": "checkout",
        "class": "rolled_back",
    }
    assert details["text"] == a_message().text


def test_an_account_in_europe_has_its_own_host(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with vendor_host("events.eu.pagerduty.com", tmp_path, monkeypatch) as (host, egress):
        host.answer = ACCEPTED
        channel = PagerDutyChannel.model_validate({**PAGER, "region": "eu"})
        account = OneClientAccount(secret=lambda _: KEY, egress=egress)
        channel.deliver(account, rolled_back_rollout(), a_message())
        assert len(host.requests) == 1


RUNNING = a_rollout(state=a_state(Phase.PROGRESSING))


@pytest.mark.parametrize(
    ("rollout", "message", "action"),
    [
        pytest.param(RUNNING, {"severity": "critical"}, "trigger", id="a page"),
        pytest.param(RUNNING, {"severity": "warning"}, "trigger", id="a warning"),
        pytest.param(
            replace(RUNNING, conditions=PAUSED), {"severity": "info", "kind": "acknowledged"},
            "acknowledge", id="ack",
        ),
        pytest.param(
            RUNNING, {"severity": "info", "kind": "started"}, "resolve",
            id="started again: what an earlier attempt left open is over",
        ),
        pytest.param(
            RUNNING, {"severity": "info", "kind": "resumed"}, "resolve", id="healed"
        ),
        pytest.param(
            rolled_back_rollout(), {"severity": "info", "kind": "leak_checked"}, "resolve",
            id="the rollback is confirmed",
        ),
        pytest.param(
            replace(RUNNING, conditions=PAUSED), {"severity": "info", "kind": "approved"}, None,
            id="still paused",
        ),
        pytest.param(
            replace(RUNNING, write_error="AccessDenied"), {"severity": "info"}, None,
            id="the weight cannot be written",
        ),
        pytest.param(
            a_rollout(state=a_state(Phase.ROLLING_BACK)), {"severity": "info"}, None,
            id="0% is not read back yet",
        ),
    ],
)  # fmt: skip
def test_what_a_message_does_to_the_alert(
    rollout: Rollout, message: dict[str, Any], action: str | None
) -> None:
    assert action_of(rollout, a_message(**message)) == action


def test_a_message_that_does_nothing_to_the_alert_is_not_sent(
    pagerduty: tuple[Host, Egress],
) -> None:
    host, egress = pagerduty
    deliver(egress, replace(RUNNING, conditions=PAUSED), severity="info", kind="approved")
    assert not host.requests


def test_each_attempt_of_a_policy_has_the_same_alert_and_another_target_another_one() -> None:
    first = a_rollout()
    assert dedup_key(replace(first, id="checkout#2")) == dedup_key(first)
    assert dedup_key(replace(first, target="other")) != dedup_key(first)
    long = dedup_key(replace(first, target="x" * 500))
    assert len(long) <= MOST_KEY
    assert long != dedup_key(replace(first, target="x" * 501))


def test_findings_beyond_what_pagerduty_takes_are_left_out() -> None:
    many = rolled_back_rollout(findings=(FINDING,) * 2_000)
    event = event_of("trigger", many, a_message())
    assert event["payload"]["custom_details"]["findings"] == []
    assert len(json.dumps(event)) <= MOST_DETAILS


def test_a_lowest_severity_holds_back_no_end_of_an_alert() -> None:
    channel = PagerDutyChannel.model_validate({**PAGER, "min_severity": "critical"})
    assert [channel.takes(one) for one in ("info", "warning", "critical")] == [True, False, True]


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        pytest.param(
            responds(429, b""), "the answer was 429: too many events at a time", id="too many"
        ),
        pytest.param(responds(500, KEY.encode()), "the answer was 500", id="an echo"),
        pytest.param(responds(200, b"ok"), "the answer was 200", id="another service"),
    ],
)
def test_what_is_not_202_did_not_arrive(
    pagerduty: tuple[Host, Egress], answer: Responder, expected: str
) -> None:
    host, egress = pagerduty
    host.answer = answer
    with pytest.raises(DeliveryError) as caught:
        deliver(egress)
    assert str(caught.value) == f"PagerDuty took no event: {expected}"
    assert not isinstance(caught.value, MessageRefusedError)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (
            {"status": "invalid event", "message": "m", "errors": ["'severity' is missing"]},
            ": 'severity' is missing",
        ),
        (
            {"status": "invalid event", "message": "Event object is invalid"},
            ": Event object is invalid",
        ),
        ({"errors": [f"there is no {KEY}"]}, ""),
        ([1], ""),
        ("x" * 1_000, ""),
    ],
    ids=["its errors", "its message", "an echo of the key", "no object", "a text"],
)
def test_an_invalid_event_is_refused_for_good(
    pagerduty: tuple[Host, Egress], body: object, words: str
) -> None:
    host, egress = pagerduty
    host.answer = responds(400, json.dumps(body).encode())
    with pytest.raises(MessageRefusedError) as caught:
        deliver(egress)
    assert str(caught.value) == f"PagerDuty refused the event as invalid{words}"


def test_a_secret_that_is_no_routing_key_is_not_sent(pagerduty: tuple[Host, Egress]) -> None:
    host, egress = pagerduty
    with pytest.raises(DeliveryError) as caught:
        deliver(egress, secret="hunter2")
    assert str(caught.value) == (
        "the environment variable KEY is no routing key: it has 32 letters and digits"
    )
    assert not host.requests


def test_a_test_opens_and_resolves_an_alert_that_is_not_the_one_of_the_policy(
    pagerduty: tuple[Host, Egress],
) -> None:
    host, egress = pagerduty
    deliver(egress, kind="test", severity="info", key="checkout:test:now")
    events = [json.loads(one.body) for one in host.requests]
    assert [one["event_action"] for one in events] == ["trigger", "resolve"]
    assert {one["dedup_key"] for one in events} == {"rolloutctl checkout:test:now"}
    assert dedup_key(rolled_back_rollout()) != "rolloutctl checkout:test:now"


def test_a_test_alert_that_stays_open_is_named(pagerduty: tuple[Host, Egress]) -> None:
    host, egress = pagerduty
    host.answer = in_turn(ACCEPTED, responds(500, b""))
    with pytest.raises(DeliveryError, match=r"^its test alert is open, resolve it there: .* 500$"):
        deliver(egress, kind="test")
