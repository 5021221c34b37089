"""Every kind of channel is on every surface: those of rolloutctl and those of other packages."""

import socket
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import pytest
from pydantic import TypeAdapter, ValidationError

from controller.adapters.iam import TRAFFIC_JOBS, Permission
from controller.core.message import Message, RecipientList
from controller.core.policy import Channel, Policy
from controller.core.policy.field_types import AwsLocation
from controller.core.policy.kind_registry import STORED
from controller.core.policy.notify import CHANNELS
from controller.core.rollout import Rollout
from controller.core.stored_formats import POLICY_FIELDS
from controller.errors import DeliveryError, PolicyError
from controller.policy_file.loader import loads
from controller.policy_file.schema import explain_field, policy_schema
from controller.ports.account import Account, Egress
from controller.render.page import plain_text
from controller.testing import installed, rehearse
from controller.tools.doctor import recipients_check
from controller.tools.iam import Job, iam_policy, packages_of
from controller.tools.plan.page import Plan, PlanAnswer, plan_data, plan_page
from tests.adapters.notifiers.channels import a_message, rolled_back_rollout
from tests.examples.test_dynamodb_flag import POLICY as FLAG_POLICY
from tests.support.accounts import OneClientAccount
from tests.support.rollouts import NOON

IAM: Final = (Permission("sqs:SendMessage", "{queue}", TRAFFIC_JOBS),)
WHERE = AwsLocation("123456789012", "eu-central-1", "aws")
TOPIC = "arn:aws:sns:eu-central-1:123456789012:rollouts"
POLICY = FLAG_POLICY.replace(
    "{kind: dynamodb-flag, table: flags, flag: new-checkout}",
    "{kind: lambda-env, function: handler, percentage: PERCENT}",
)

# What a policy writes, and the ARN that a tick may use because of it.
CASES: Mapping[str, tuple[str, str]] = {
    "sns": (f"topic: '{TOPIC}'", TOPIC),
    "slack": (
        "webhook: {secret: chat}",
        "arn:aws:secretsmanager:eu-central-1:123456789012:secret:chat-??????",
    ),
    "slack-bot": (
        "channel: C0123456789, token: {secret: chat}",
        "arn:aws:secretsmanager:eu-central-1:123456789012:secret:chat-??????",
    ),
    "eventbridge": ("bus: default", "arn:aws:events:eu-central-1:123456789012:event-bus/default"),
    "pagerduty": (
        "routing_key: {secret: chat}",
        "arn:aws:secretsmanager:eu-central-1:123456789012:secret:chat-??????",
    ),
    "teams": (
        "webhook: {secret: chat}, host: chat.example",
        "arn:aws:secretsmanager:eu-central-1:123456789012:secret:chat-??????",
    ),
    "queue": ("queue: news", "arn:aws:sqs:eu-central-1:123456789012:news"),
}

WITH_SECRET = [kind for kind, (written, _) in CASES.items() if "secret" in written]
SECRET = "T000-B000-hunter2"


class QueueChannel(Channel):
    """A channel of another package with a resource and a permission."""

    kind: Literal["queue"]
    queue: str

    @property
    def display_name(self) -> str:
        return f"queue {self.queue}"

    def arns(self, where: AwsLocation) -> Mapping[str, Sequence[str]]:
        return {"queue": [where.arn("sqs", self.queue)]}

    def deliver(self, account: Account, rollout: Rollout, message: Message) -> None:
        raise DeliveryError("it is full")


@pytest.fixture(autouse=True)
def packages() -> Iterator[None]:
    kinds = {
        "teams": "tests.examples.teams_channel:TeamsChannel",
        "queue": f"{__name__}:QueueChannel",
    }
    with installed("rolloutctl.notifiers", kinds):
        yield


every_channel = pytest.mark.parametrize("kind", CASES)


def policy_with(kind: str, more: str = "") -> Policy:
    return loads(f"{POLICY}notify:\n  - {{kind: {kind}, {CASES[kind][0]}{more}}}\n", "p.yaml")


def test_each_kind_is_among_the_cases() -> None:
    assert set(CHANNELS.names()) == set(CASES)


@every_channel
def test_validate_takes_it_and_names_the_place_of_a_mistake(kind: str) -> None:
    (channel,) = policy_with(kind, ", min_severity: warning").notify or ()
    assert (channel.kind, channel.min_severity) == (kind, "warning")
    with pytest.raises(PolicyError, match=r"p\.yaml:\d+:\d+: notify\[0\]\.colour"):
        policy_with(kind, ", colour: red")


@every_channel
def test_editors_and_explain_know_its_fields(kind: str) -> None:
    properties = [one.get("properties", {}) for one in policy_schema()["definitions"].values()]
    (fields,) = [one for one in properties if one.get("kind", {}).get("const") == kind]
    for name in fields.keys() - {"kind"}:
        assert explain_field(f"notify.{kind}.{name}")


@every_channel
def test_the_plan_names_it(kind: str) -> None:
    policy = policy_with(kind)
    (channel,) = policy.notify or ()
    assert plan_data(policy, NOON).notify == [channel.display_name]
    text = plain_text(plan_page(Plan(policy, NOON, PlanAnswer("starts"))))
    assert f"  alerts    {channel.display_name}\n" in text


@every_channel
def test_doctor_says_whether_the_list_of_recipients_gives_it(kind: str) -> None:
    policy = policy_with(kind)
    check = recipients_check(policy, RecipientList({}))
    assert check is not None
    assert f"does not give {policy.name} " in check.text
    resources = check.text.partition(f"{policy.name} ")[2].partition(": nothing is sent there")[0]
    given = recipients_check(policy, RecipientList({policy.name: tuple(resources.split(", "))}))
    assert given is not None
    assert "gives checkout all that it uses" in given.text


@every_channel
def test_a_role_of_ticks_may_send_there_and_only_there(kind: str) -> None:
    allowed = iam_policy([policy_with(kind)], None, [Job.TICK], WHERE)["Statement"]
    without = iam_policy([loads(POLICY, "p.yaml")], None, [Job.TICK], WHERE)["Statement"]
    more = [one for one in allowed if one not in without]
    assert [one["Resource"] for one in more] == [[CASES[kind][1]]]


def test_a_package_that_declares_permissions_is_named_for_a_role_by_template() -> None:
    assert packages_of([policy_with("queue")]) == ["tests"]
    assert packages_of([policy_with("sns")]) == []


@every_channel
def test_a_rehearsal_shows_what_it_would_get(kind: str) -> None:
    policy = policy_with(kind)
    (channel,) = policy.notify or ()
    assert {name for name, _ in rehearse(policy).messages} == {channel.display_name}


@pytest.mark.parametrize("kind", WITH_SECRET)
def test_no_error_has_its_secret_and_no_other_host_is_called(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    called = []

    def refuse(host: object, *_: object, **__: object) -> None:
        called.append(host)
        raise OSError("no such host")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    account = OneClientAccount(secret=lambda _: f"https://evil.example/{SECRET}", egress=Egress())
    (channel,) = policy_with(kind).notify or ()
    with pytest.raises(DeliveryError) as refused:
        channel.deliver(account, rolled_back_rollout(), a_message())  # type: ignore[attr-defined]
    assert SECRET not in str(refused.value)
    assert "evil.example" not in called


def test_each_kind_of_rolloutctl_is_a_hint_where_it_is_written_as_a_key() -> None:
    for kind in CHANNELS.built_in:
        with pytest.raises(PolicyError, match="messages go to the channels in `notify`"):
            loads(f"{POLICY}{kind}: news\n", "p.yaml")


def test_a_stored_channel_of_a_package_whose_name_is_built_in_now_can_be_read() -> None:
    """It is read and sends nothing: the rollout that names it goes on."""
    of_package = {"kind": "sns", "webhook": {"secret": "chat"}, "host": "chat.example"}
    reader = TypeAdapter(Annotated[Any, CHANNELS])
    with pytest.raises(ValidationError):
        reader.validate_python(of_package, context=STORED)  # damaged
    kinds = {"sns": "tests.examples.teams_channel:TeamsChannel"}
    with installed("rolloutctl.notifiers", kinds):
        channel = reader.validate_python(of_package, context=STORED)
    assert channel.model_dump(mode="json") == {**of_package, "min_severity": None}


@pytest.mark.parametrize("kind", CHANNELS.built_in)
def test_the_pages_describe_it(kind: str) -> None:
    policy_page = Path("docs/policy.md").read_text()
    assert f"\n### {kind}\n" in policy_page
    assert f"[{kind}](#{kind})" in policy_page
    security = Path("docs/contributors/security-model.md").read_text()
    printed = security.partition("| where | what is done there |")[2]
    assert f"| {kind}" in printed.lower()
    assert f"- {{kind: {kind}, " in policy_page.partition("\n## Notifications\n")[2]
    if (since := POLICY_FIELDS.get(f"notify.*.kind.{kind}")) is not None:
        stores = Path("docs/stores.md").read_text().partition(f" Format {since} adds ")[2]
        assert f"`{kind}`" in stores.splitlines()[0]
        assert f"`{kind}`" in policy_page.partition("\n### Places of secrets\n")[2]
        assert f"`{kind}`" in Path("deploy/README.md").read_text()
