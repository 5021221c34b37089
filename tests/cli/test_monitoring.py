"""monitoring: its output, its errors, and its stack without a store."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from controller import cli
from controller.adapters.aws.clients import Clients
from controller.adapters.stores.sqlite import SqliteStore
from controller.errors import Exit
from controller.ports.monitoring import TAG
from tests.adapters.cloudformation.fake_cloudformation import FakeCloudFormation
from tests.cli.conftest import Ended
from tests.support.core import Phase, Reason, Record, append
from tests.support.rollouts import NOON, a_rollout
from tests.tools.monitoring.watched import FROZEN, a_watched

TO = ("--email", "oncall@example.com")
NAME = "rolloutctl-shop"


@dataclass(slots=True)
class Terminal:
    """An operator at a terminal, with the policy `shop` and CloudFormation."""

    policy: Path
    store: Path
    aws: FakeCloudFormation
    capsys: pytest.CaptureFixture[str]

    def run(self, verb: str, *words: str) -> Ended:
        self.capsys.readouterr()
        status = cli.main(["monitoring", verb, str(self.policy), *words])
        return Ended(status, *self.capsys.readouterr())

    @property
    def resources(self) -> dict[str, Any]:
        """The resources of the stack."""
        (stack,) = self.aws.stacks.values()
        return dict(YAML(typ="safe").load(stack.template)["Resources"])


@pytest.fixture
def terminal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Terminal:
    """An operator without a store and without a stack, where no operation takes time."""
    aws, policy, store = FakeCloudFormation(0, 0), tmp_path / "shop.yaml", tmp_path / "rollouts.db"
    policy.write_text(a_watched("SC-004", "frozen", "auth-failures").snapshot())
    monkeypatch.setattr(
        Clients, "get", lambda _self, service, **_: {"cloudformation": aws}[service]
    )
    monkeypatch.setenv("ROLLOUTCTL_STORE", f"sqlite:///{store}")
    return Terminal(policy, store, aws, capsys)


UNKNOWN = (
    "rolloutctl: note: criterion frozen gets an alarm and a line in the graph once a rollout has "
    "frozen its baseline: deploy again after the start\n"
)


def test_a_deployment_prints_what_it_did_and_the_next_one_that_nothing_changed(
    terminal: Terminal,
) -> None:
    first = terminal.run("deploy", *TO).out.splitlines()
    assert first[-2:] == ["5 changes", f"stack {NAME}: CREATE_COMPLETE"]
    for verb in ("plan", "deploy"):
        again = terminal.run(verb)
        assert (again.status, again.out, again.err) == (Exit.DONE, "no changes\n", UNKNOWN)
    assert terminal.aws.statuses == {NAME: "CREATE_COMPLETE"}


def test_another_address_replaces_the_one_that_was_there(terminal: Terminal) -> None:
    terminal.run("deploy", *TO)
    ended = terminal.run("deploy", "--email", "b@example.com")
    assert ended.out.splitlines() == [
        "replace  AWS::SNS::Subscription Subscription1",
        "1 change",
        f"stack {NAME}: UPDATE_COMPLETE",
    ]
    assert terminal.resources["Subscription1"]["Properties"]["Endpoint"] == "b@example.com"


def test_a_removal_takes_all_of_it_and_a_second_one_finds_nothing(terminal: Terminal) -> None:
    terminal.run("deploy", *TO)
    ended = terminal.run("remove", "--yes")
    assert (ended.status, ended.out) == (Exit.DONE, f"stack {NAME} is removed\n")
    assert terminal.aws.statuses == {}
    again = terminal.run("remove")
    assert (again.status, again.out) == (Exit.DONE, f"stack {NAME} was not there\n")


def test_a_removal_without_a_terminal_removes_nothing(terminal: Terminal) -> None:
    terminal.run("deploy")
    ended = terminal.run("remove")
    assert (ended.status, ended.out) == (Exit.USAGE, "")
    assert ended.err.endswith(
        "nothing was removed: there is no terminal to confirm on; use --yes\n"
    )
    assert terminal.aws.statuses == {NAME: "CREATE_COMPLETE"}


@pytest.mark.parametrize(("answer", "remaining"), [("y\n", 0), ("n\n", 1)])
def test_a_person_is_asked_before_anything_is_removed(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch, answer: str, remaining: int
) -> None:
    terminal.run("deploy")
    monkeypatch.setattr("click.termui.visible_prompt_func", lambda _text: answer.strip())
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    terminal.run("remove")
    assert len(terminal.aws.statuses) == remaining


@pytest.mark.parametrize("words", [("plan",), ("deploy",), ("remove", "--yes")])
def test_a_stack_without_the_tag_is_left_alone(terminal: Terminal, words: tuple[str, ...]) -> None:
    terminal.aws.a_stack(NAME, "CREATE_COMPLETE", {}, "")
    ended = terminal.run(*words)
    assert (ended.status, ended.out) == (Exit.USAGE, "")
    assert f"rolloutctl did not make the stack {NAME}: it has no tag {TAG}=shop" in ended.err
    assert terminal.aws.calls == ["DescribeStacks"]


def test_a_deployment_that_fails_says_which_resource_and_why(terminal: Terminal) -> None:
    terminal.aws.fails["AlarmSC004"] = "the expression cannot be parsed"
    ended = terminal.run("deploy")
    assert (ended.status, ended.out) == (Exit.INTERNAL, "")
    assert "AlarmSC004 (AWS::CloudWatch::Alarm): the expression cannot be parsed\n" in ended.err


def test_json_has_what_changes_and_what_was_done(terminal: Terminal) -> None:
    planned = terminal.run("plan", "--json").data
    assert planned == {
        "schema": "monitoring-plan/1",
        "policy": "shop",
        "stack": NAME,
        "status": "",
        "changes": [
            {"action": "add", "id": "AlarmAuthFailures", "type": "AWS::CloudWatch::Alarm"},
            {"action": "add", "id": "AlarmSC004", "type": "AWS::CloudWatch::Alarm"},
            {"action": "add", "id": "Dashboard", "type": "AWS::CloudWatch::Dashboard"},
        ],
        "notes": [UNKNOWN.removeprefix("rolloutctl: note: ").rstrip()],
    }
    data = terminal.run("deploy", "--json").data
    assert data == {**planned, "schema": "monitoring-deploy/1", "status": "CREATE_COMPLETE"}
    removal = {"schema": "monitoring-remove/1", "policy": "shop", "stack": NAME}
    assert terminal.run("remove", "--yes", "--json").data == {**removal, "removed": True}
    assert terminal.run("remove", "--json").data == {**removal, "removed": False}


@pytest.mark.parametrize("verb", ["plan", "deploy"])
def test_a_template_is_printed_without_a_call(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch, verb: str
) -> None:
    monkeypatch.setattr(Clients, "get", lambda *_, **__: pytest.fail("a call"))
    ended = terminal.run(verb, *TO, "--emit", "cloudformation")
    assert ended.status == Exit.DONE
    assert ended.out.startswith("AWSTemplateFormatVersion: '2010-09-09'\n")


def test_the_template_that_is_printed_is_the_one_that_is_deployed(terminal: Terminal) -> None:
    terminal.run("deploy", *TO)
    printed = terminal.run("plan", *TO, "--emit", "cloudformation").out
    assert YAML(typ="safe").load(printed)["Resources"] == terminal.resources


@pytest.mark.parametrize("address", ["oncall", "@example.com", "a b@example.com", "<a@b.c>", ""])
def test_what_is_no_address_is_refused(terminal: Terminal, address: str) -> None:
    ended = terminal.run("plan", "--email", address)
    assert ended.status == Exit.USAGE
    assert "is no address like oncall@example.com" in ended.err


# --- with a rollout -----------------------------------------------------------------------------


def store_rollout(terminal: Terminal, **facts: Any) -> None:
    """Store a rollout of `shop` whose first weight was applied at noon."""
    policy = a_watched("SC-004", "frozen", "auth-failures")
    rollout = a_rollout("shop#1", policy=policy, baselines={"frozen": FROZEN})
    record = Record(
        "applied", NOON, Phase.PROGRESSING, Phase.PROGRESSING, 10, 10, 0, Reason.APPLIED, "applied"
    )
    rollout, entry = append(rollout, record, by="tester", observation={})
    with SqliteStore(terminal.store) as store:
        store.create(rollout, [entry], rollout.locks)


def test_what_the_newest_rollout_did_and_froze_is_drawn(terminal: Terminal) -> None:
    store_rollout(terminal)
    ended = terminal.run("deploy")
    assert ended.err == ""
    assert "AlarmFrozen" in terminal.resources
    drawn = terminal.resources["Dashboard"]["Properties"]["DashboardBody"]["Fn::Sub"]
    assert '"vertical": [{"value": "2026-11-24T12:00:00Z", "label": "10%"}]' in drawn


def test_a_store_that_cannot_be_read_does_not_keep_alarms_from_being_deployed(
    terminal: Terminal,
) -> None:
    terminal.store.write_bytes(b"no database" * 100)
    ended = terminal.run("deploy")
    assert (ended.status, ended.out.splitlines()[-1]) == (
        Exit.DONE, f"stack {NAME}: CREATE_COMPLETE",
    )  # fmt: skip
    assert ended.err.startswith("rolloutctl: note: the dashboard shows no rollout: ")


def test_a_deployment_without_the_store_leaves_the_alarm_that_it_cannot_work_out(
    terminal: Terminal,
) -> None:
    store_rollout(terminal)
    assert "4 changes" in terminal.run("deploy").out
    terminal.store.rename(terminal.store.with_name("elsewhere.db"))
    ended = terminal.run("deploy")
    assert ended.out.splitlines()[:-1] == [
        "modify   AWS::CloudWatch::Dashboard Dashboard",
        "1 change",
    ]
    assert "AlarmFrozen" in terminal.resources
