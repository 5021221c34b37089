"""A channel of another package, in one file: validated, told what happens, and tried again."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from controller.core.policy import SecretReference
from controller.errors import DeliveryError, PolicyError
from controller.policy_file.loader import loads
from controller.policy_file.schema import policy_schema
from controller.ports.account import Egress
from controller.testing import installed, rehearse
from tests.adapters.notifiers.channels import a_message, rolled_back_rollout
from tests.examples.teams_channel import TeamsChannel
from tests.examples.test_dynamodb_flag import POLICY as FLAG_POLICY
from tests.support.accounts import OneClientAccount
from tests.support.https_stub import Host, certificate, host

POLICY = (
    FLAG_POLICY.replace(
        "{kind: dynamodb-flag, table: flags, flag: new-checkout}",
        "{kind: lambda-env, function: handler, percentage: PERCENT}",
    )
    + "notify:\n  - {kind: teams, webhook: {environment: TEAMS_URL}, host: localhost}\n"
)


@pytest.fixture(autouse=True)
def package() -> Iterator[None]:
    with installed("rolloutctl.notifiers", {"teams": "tests.examples.teams_channel:TeamsChannel"}):
        yield


@pytest.fixture
def webhook(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Host]:
    signed = certificate(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(signed))
    with host(signed) as running:
        yield running


def deliver(url: str) -> None:
    def secret(_reference: SecretReference) -> str:
        return url

    channel = TeamsChannel.model_validate(
        {"kind": "teams", "webhook": {"environment": "TEAMS_URL"}, "host": "localhost"}
    )
    egress = Egress(private_names=frozenset({"localhost"}))
    account = OneClientAccount(secret=secret, egress=egress)
    channel.deliver(account, rolled_back_rollout(), a_message())


def test_a_message_is_one_post(webhook: Host) -> None:
    deliver(webhook.url("/hook"))
    (got,) = webhook.requests
    data = json.loads(got.body)
    assert data["title"].startswith("checkout#1 is rolled back, 0% is applied: works fails, 95%")
    assert data["text"] == a_message().text


def test_another_host_gets_nothing(webhook: Host) -> None:
    with pytest.raises(DeliveryError, match="TEAMS_URL names another host"):
        deliver("https://example.com/hook")
    assert webhook.requests == []


def test_each_message_of_a_rollout_goes_there() -> None:
    rehearsed = rehearse(POLICY)
    assert {name for name, _ in rehearsed.messages} == {
        "teams by the environment variable TEAMS_URL"
    }
    kinds = [message.kind for _, message in rehearsed.messages]
    assert (kinds[0], kinds[-1]) == ("started", "succeeded")


def test_a_mistake_in_it_is_one_line_with_its_place() -> None:
    with pytest.raises(PolicyError) as caught:
        loads(POLICY.replace("{environment: TEAMS_URL}", "https://x/y"), "p.yaml")
    assert "notify[0].webhook: a webhook URL, or any other secret, never stands" in str(
        caught.value
    )


def test_the_schema_for_editors_has_it() -> None:
    teams = policy_schema()["definitions"]["TeamsChannel"]
    assert teams["required"] == ["kind", "webhook", "host"]
