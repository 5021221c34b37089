"""ack: an acknowledged alert is not repeated; messages of the verbs, with and without --dry-run."""

from pathlib import Path
from typing import Any

import pytest

from controller.bootstrap.account import AwsAccount
from controller.errors import DeliveryError, Exit
from tests.cli.conftest import CliHarness
from tests.tools.simulation.worlds import FUNCTION, MINUTE

TOPIC = "arn:aws:sns:eu-central-1:123456789012:rollouts"
CHANNELS = [{"kind": "sns", "topic": TOPIC}]


@pytest.fixture
def drifted(desk: CliHarness, message_kinds: list[str]) -> CliHarness:
    """A desk whose rollout has drifted up."""
    policy = desk.another_policy("told", notify=CHANNELS)
    assert desk.run("start", policy).status == Exit.DONE
    ticked(desk)
    desk.world.set_variables(FUNCTION, {"PERCENTAGE": "70", "ENABLED": "false"})
    assert ticked(desk).status == Exit.DRIFT
    return desk


def ticked(desk: CliHarness, minutes: int = 1, *options: str) -> Any:
    desk.world.clock.advance(minutes * MINUTE)
    return desk.run("tick", "--early", "--json", *options)


def test_what_is_critical_comes_again_until_it_is_acknowledged(
    drifted: CliHarness, message_kinds: list[str]
) -> None:
    ticked(drifted, 15)
    assert message_kinds == ["started", "paused", "repeated"]
    ended = drifted.run("ack", "told", "--by", "anna", "--note", "I look at it", "--json")
    assert ended.status == Exit.DONE
    pages = [one for one in ended.data["conditions"] if one["critical"]]
    assert [(page["kind"], page["acknowledged"]) for page in pages] == [("paused", True)]
    ticked(drifted, 60)
    assert message_kinds == ["started", "paused", "repeated", "acknowledged"]
    entries = drifted.entries("told")
    (entry,) = (one for one in entries if one["kind"] == "acknowledged")
    assert entry["by"] == "anna"
    assert entry["sentence"].endswith("(paused): I look at it")
    assert drifted.run("replay", "told").status == Exit.DONE


def test_status_says_what_is_critical_and_how_to_answer(drifted: CliHarness) -> None:
    page = drifted.run("status", "told").out
    assert "repeated until acknowledged: rolloutctl ack told#1" in page
    drifted.run("ack", "told")
    assert "rolloutctl ack" not in drifted.run("status", "told").out


def test_what_did_not_arrive_is_in_the_status_until_it_has(
    desk: CliHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise DeliveryError("the network is down")

    monkeypatch.setattr(AwsAccount, "deliver", fail)
    policy = desk.another_policy("told", notify=CHANNELS)
    assert desk.run("start", policy).status == Exit.DONE
    (key,) = desk.state("told")["undelivered"]
    assert key.startswith("told#1:started:")
    monkeypatch.setattr(AwsAccount, "deliver", lambda *_: None)
    ticked(desk)
    assert desk.state("told")["undelivered"] == []


# --- secrets ------------------------------------------------------------------------------------

HIDDEN = "T000-B000-hunter2"


def test_a_webhook_url_is_neither_printed_nor_stored_whatever_goes_wrong(
    desk: CliHarness, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HOOK", f"https://elsewhere.example/{HIDDEN}")
    slack = {"kind": "slack", "webhook": {"environment": "HOOK"}}
    https = {"kind": "https", "url": "https://nowhere.invalid/", "secret": {"environment": "KEY"}}
    monkeypatch.setenv("KEY", HIDDEN)
    policy = desk.another_policy("told", notify=[slack], hooks={"after_start": [https]})
    ended = [desk.run("start", policy), ticked(desk), desk.run("status", "told", "--json")]
    ended += [desk.run("tick", "--dry-run"), desk.run("history", "told", "--json")]
    output = "".join(one.out + one.err for one in ended)
    assert "names the host elsewhere.example, and only hooks.slack.com is allowed" in output
    assert "nowhere.invalid could not be resolved" in output
    assert HIDDEN not in output
    for file in tmp_path.glob("rollouts.db*"):
        assert HIDDEN.encode() not in file.read_bytes()


def test_a_start_that_a_hook_does_not_allow_ends_with_2_and_a_dry_one_only_says_whom_it_asks(
    desk: CliHarness,
) -> None:
    gate = {"kind": "https", "url": "https://nowhere.invalid/", "secret": {"environment": "KEY"}}
    policy = desk.another_policy("gated", hooks={"before_start": [gate]})
    ended = desk.run("start", policy)
    assert ended.status == Exit.USAGE
    assert "before_start: https nowhere.invalid did not answer: " in ended.err
    assert desk.weight == 0
    dry = desk.run("start", policy, "--dry-run")
    assert dry.status == Exit.DONE
    assert "call https nowhere.invalid (before_start), and continue if it allows that" in dry.out
