"""Slack: the blocks, the allowed hosts, and that errors never quote a webhook."""

import json
from typing import Any

import pytest

from controller.adapters.notifiers.slack import SlackChannel, blocks
from controller.core.policy import SecretReference
from controller.core.units import clock_text
from controller.errors import DeliveryError
from controller.ports.account import Egress
from tests.adapters.notifiers.channels import a_message, rolled_back_rollout
from tests.support.accounts import OneClientAccount
from tests.support.https_stub import Host, Responder, responds
from tests.support.rollouts import NOON

SECRET = "T000-B000-hunter2"
CHANNEL: dict[str, Any] = {"kind": "slack", "webhook": {"environment": "HOOK"}}
LOCAL = SlackChannel.model_validate({**CHANNEL, "hosts": ["localhost"]})


ALLOWED = Egress(private_names=frozenset({"localhost"}))


def deliver(url: str, channel: SlackChannel = LOCAL, egress: Egress = ALLOWED) -> None:
    def read(place: SecretReference) -> str:
        assert place == channel.webhook
        return url

    channel.deliver(
        OneClientAccount(secret=read, egress=egress), rolled_back_rollout(), a_message()
    )


def problem(url: str, channel: SlackChannel = LOCAL, egress: Egress = ALLOWED) -> str:
    with pytest.raises(DeliveryError) as caught:
        deliver(url, channel, egress)
    assert SECRET not in str(caught.value)
    return str(caught.value)


def test_a_message_is_one_post_of_blocks(stub: Host) -> None:
    deliver(stub.url(f"/services/{SECRET}"))
    (got,) = stub.requests
    assert got.path == f"/services/{SECRET}"
    assert got.headers["Content-Type"] == "application/json; charset=utf-8"
    data = json.loads(got.body)
    assert [one["type"] for one in data["blocks"]] == ["section", "section", "context"]
    line, text, context = data["blocks"]
    assert line["text"]["text"] == (
        "WARNING: checkout#1 is rolled back, 0% is applied: works fails, 95% measured, "
        "target ≥ 99.9%"
    )
    assert data["text"] == line["text"]["text"]
    assert text["text"]["text"] == a_message().text
    assert [one["text"] for one in context["elements"]] == [
        f"rolled_back, 0%, gate_failed, {clock_text(NOON)}", a_message().key, "run 3f9c2a71d0e4",
    ]  # fmt: skip


def test_a_message_that_is_its_own_headline_stands_there_once() -> None:
    text = "checkout#1: the gate at 10% passed; going to 50%"
    for severity, mark in (("info", ""), ("warning", "WARNING: ")):
        message = a_message(severity=severity, kind="advanced", text=text)
        first, second = blocks(rolled_back_rollout(), message)["blocks"]
        assert first["text"]["text"] == f"{mark}{text}"
        assert second["type"] == "context"


def test_a_message_links_the_status_page_where_a_setting_says_where_it_is(stub: Host) -> None:
    account = OneClientAccount(
        secret=lambda _: stub.url(f"/services/{SECRET}"),
        egress=ALLOWED,
        status_page_url="https://pages.example.com/rollouts.html?a=1&b=2",
    )
    LOCAL.deliver(account, rolled_back_rollout(), a_message())
    (got,) = stub.requests
    *_, context = json.loads(got.body)["blocks"]
    assert context["elements"][-1] == {
        "type": "mrkdwn",
        "text": "<https://pages.example.com/rollouts.html?a=1&amp;b=2|Status page>",
        "verbatim": True,
    }


def test_a_message_mentions_no_user_and_fits_the_limits_of_slack() -> None:
    """Slack refuses the whole message for one block that is too long, and pages a whole channel
    for a few characters.
    """
    data = blocks(
        rolled_back_rollout(), a_message(text=f"<!channel> & {'x' * 5_000}", kind="k" * 200)
    )
    texts = [data["blocks"][0]["text"], data["blocks"][1]["text"]]
    assert {text["type"] for text in texts} == {"plain_text"}
    assert [len(text["text"]) for text in texts] == [159, 3_000]
    assert "<!channel>" not in data["text"]
    assert "&lt;!channel&gt; &amp;" in data["text"]


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        pytest.param(responds(404, b"no_service"), "404: no_service", id="Slack's own word"),
        pytest.param(responds(500, b"<html>x</html>"), "500", id="somebody else's page"),
        pytest.param(responds(500, SECRET.encode()), "500", id="an echo"),
        pytest.param(
            responds(302, b"", Location="/elsewhere"),
            "302; redirects are not followed",
            id="a redirect",
        ),
    ],
)
def test_what_is_not_200_did_not_arrive(stub: Host, answer: Responder, expected: str) -> None:
    stub.answer = answer
    text = problem(stub.url(f"/{SECRET}"))
    assert text == f"Slack took no message: the answer was {expected}"


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        pytest.param(
            f"https://evil.example/{SECRET}",
            "the environment variable HOOK names the host evil.example, and only hooks.slack.com "
            "is allowed; list any other in `hosts` of the channel",
            id="another host",
        ),
        pytest.param(
            f"https://hooks.slack.com.evil.example/{SECRET}",
            "the environment variable HOOK names the host hooks.slack.com.evil.example, and only "
            "hooks.slack.com is allowed; list any other in `hosts` of the channel",
            id="a host that begins like Slack's",
        ),
        pytest.param(
            f"http://hooks.slack.com/{SECRET}",
            "Slack took no message: only a URL that begins with https:// and names a host is "
            "called",
            id="in the clear",
        ),
        pytest.param(
            SECRET,
            "Slack took no message: only a URL that begins with https:// and names a host is "
            "called",
            id="no URL at all",
        ),
    ],
)
def test_a_webhook_on_another_host_is_not_called(url: str, expected: str) -> None:
    assert problem(url, SlackChannel.model_validate(CHANNEL)) == expected


def test_a_webhook_on_a_private_host_needs_the_operator_as_well(stub: Host) -> None:
    text = problem(stub.url(f"/{SECRET}"), LOCAL, Egress())
    assert text == (
        "Slack took no message: localhost has the address 127.0.0.1, which is not public; the "
        "policy names the host, and ROLLOUTCTL_PRIVATE_HOSTS has to allow it as well"
    )
    assert not stub.requests
