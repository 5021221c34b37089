"""Slack by a bot token: a thread per rollout, errors by their names, and the token in none."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from controller.adapters.notifiers.slack import SlackBotChannel
from controller.core.policy import SecretReference
from controller.core.rollout import Rollout
from controller.errors import DeliveryError, MessageRefusedError
from controller.ports.account import Egress
from tests.adapters.notifiers.channels import a_message, rolled_back_rollout
from tests.adapters.notifiers.vendor_host import vendor_host
from tests.support.accounts import OneClientAccount
from tests.support.https_stub import Host, Responder, in_turn, responds

TOKEN = "xoxb-1-hunter2"
THREAD = "1764000000.000100"
BOT = SlackBotChannel.model_validate(
    {"kind": "slack-bot", "channel": "C0123456789", "token": {"environment": "BOT"}}
)
FIRST = rolled_back_rollout()
LATER = rolled_back_rollout(threads={BOT.display_name: THREAD})


@pytest.fixture
def slack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Host, Egress]]:
    with vendor_host("slack.com", tmp_path, monkeypatch) as running:
        running[0].answer = posted(THREAD)
        yield running


def posted(ts: str) -> Responder:
    """Return the answer of Slack to a message that it has posted as `ts`."""
    return responds(200, json.dumps({"ok": True, "channel": "C0123456789", "ts": ts}).encode())


def refuses(error: str, status: int = 200, **headers: str) -> Responder:
    return responds(status, json.dumps({"ok": False, "error": error}).encode(), **headers)


def deliver(egress: Egress, rollout: Rollout = FIRST, **message: Any) -> str | None:
    def read(place: SecretReference) -> str:
        assert place == BOT.token
        return TOKEN

    account = OneClientAccount(secret=read, egress=egress)
    return BOT.deliver(account, rollout, a_message(**message))


def sent(host: Host) -> list[Mapping[str, Any]]:
    return [json.loads(request.body) for request in host.requests]


def test_the_first_message_starts_a_thread(slack: tuple[Host, Egress]) -> None:
    host, egress = slack
    assert deliver(egress) == THREAD
    (request,) = host.requests
    assert request.path == "/api/chat.postMessage"
    assert request.headers["Authorization"] == f"Bearer {TOKEN}"
    (body,) = sent(host)
    assert body["channel"] == "C0123456789"
    assert "thread_ts" not in body
    assert body["text"].startswith("WARNING: checkout#1 is rolled back, 0% is applied: works fails")


@pytest.mark.parametrize(
    ("severity", "broadcast"), [("info", False), ("warning", True), ("critical", True)]
)
def test_a_later_message_goes_into_the_thread_and_to_all_where_a_person_has_to_see_it(
    slack: tuple[Host, Egress], severity: str, broadcast: bool
) -> None:
    host, egress = slack
    assert deliver(egress, LATER, severity=severity) is None
    (body,) = sent(host)
    assert (body["thread_ts"], body["reply_broadcast"]) == (THREAD, broadcast)


def test_a_thread_that_takes_no_reply_is_followed_by_a_new_one(slack: tuple[Host, Egress]) -> None:
    host, egress = slack
    host.answer = in_turn(refuses("restricted_action_thread_locked"), posted("1764009999.000200"))
    assert deliver(egress, LATER) == "1764009999.000200"
    assert ["thread_ts" in body for body in sent(host)] == [True, False]


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        pytest.param(
            refuses("channel_not_found"),
            "channel_not_found: is the id right, and was the app invited to the channel?",
            id="200 with the name of an error",
        ),
        pytest.param(
            refuses("invalid_auth"),
            "invalid_auth: store the bot token (xoxb-...) of the installed app anew",
            id="another token",
        ),
        pytest.param(
            responds(429, b"", **{"Retry-After": "30"}),
            "ratelimited: it takes the next one in 30 seconds",
            id="too many",
        ),
        pytest.param(refuses("internal_error"), "internal_error", id="no remedy is known"),
        pytest.param(responds(200, b"<html>"), "http_200", id="no JSON"),
        pytest.param(responds(502, b"<html>"), "http_502", id="a gateway"),
        pytest.param(responds(200, b"[1]"), "http_200", id="another JSON"),
        pytest.param(
            responds(500, b'{"ok": true, "ts": "1.2"}'),
            "http_500",
            id="ok, and a status that is not",
        ),
        pytest.param(
            refuses(f"<!channel> {TOKEN}"), "an error without a name", id="an echo of the token"
        ),
    ],
)
def test_what_slack_refuses_did_not_arrive_and_is_named(
    slack: tuple[Host, Egress], answer: Responder, expected: str
) -> None:
    host, egress = slack
    host.answer = answer
    with pytest.raises(DeliveryError) as caught:
        deliver(egress)
    assert str(caught.value) == f"Slack took no message: {expected}"
    assert not isinstance(caught.value, MessageRefusedError)


def test_a_message_that_slack_will_never_take_is_refused_for_good(
    slack: tuple[Host, Egress],
) -> None:
    host, egress = slack
    host.answer = refuses("msg_blocks_too_long")
    with pytest.raises(MessageRefusedError, match="Slack took no message: msg_blocks_too_long"):
        deliver(egress)


@pytest.mark.parametrize("ts", ["", "yesterday", "1764000000.000100\n"])
def test_an_answer_without_the_id_of_the_message_starts_no_thread(
    slack: tuple[Host, Egress], ts: str
) -> None:
    host, egress = slack
    host.answer = posted(ts)
    assert deliver(egress) is None
