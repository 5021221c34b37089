"""ack: what somebody has seen is told no more; and what is told, dry and wet, from the verbs."""

from typing import Any

import pytest

from controller.bootstrap.couriers import Couriers
from controller.core.message import Message
from controller.core.policy import Channel
from controller.core.rollout import Rollout
from controller.errors import DeliveryError, Exit
from tests.cli.conftest import Desk
from tests.simulation.worlds import FUNCTION, MINUTE

TOPIC = "arn:aws:sns:eu-central-1:123456789012:rollouts"
CHANNELS = [{"kind": "sns", "topic": TOPIC}]


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What arrives, by kind."""
    arrived: list[str] = []

    def deliver(self: Couriers, channel: Channel, rollout: Rollout, message: Message) -> None:
        arrived.append(message.kind)

    monkeypatch.setattr(Couriers, "deliver", deliver)
    return arrived


@pytest.fixture
def drifted(desk: Desk, told: list[str]) -> Desk:
    """A desk whose rollout another hand has raised."""
    policy = desk.another_policy("told", notify=CHANNELS)
    assert desk.run("start", policy).status == Exit.DONE
    ticked(desk)
    desk.world.set_variables(FUNCTION, {"PERCENTAGE": "70", "ENABLED": "false"})
    assert ticked(desk).status == Exit.DRIFT
    return desk


def ticked(desk: Desk, minutes: int = 1, *options: str) -> Any:
    desk.world.clock.advance(minutes * MINUTE)
    return desk.run("tick", "--json", *options)


def test_what_is_critical_comes_again_until_it_is_acknowledged(
    drifted: Desk, told: list[str]
) -> None:
    ticked(drifted, 15)
    assert told == ["started", "paused", "repeated"]
    ended = drifted.run("ack", "told", "--by", "anna", "--note", "I look at it", "--json")
    assert ended.status == Exit.DONE
    assert ended.data["page"]["acknowledged"] is True
    ticked(drifted, 60)
    assert told == ["started", "paused", "repeated", "acknowledged"]
    entries = drifted.run("history", "told", "--json").data["entries"]
    (entry,) = (one for one in entries if one["kind"] == "acknowledged")
    assert entry["by"] == "anna"
    assert entry["sentence"].endswith("(paused): I look at it")
    assert drifted.run("replay", "told").status == Exit.DONE


def test_status_says_what_is_critical_and_how_to_answer(drifted: Desk) -> None:
    page = drifted.run("status", "told").out
    assert "told again until: rolloutctl ack told#1" in page
    drifted.run("ack", "told")
    assert "rolloutctl ack" not in drifted.run("status", "told").out


def test_an_acknowledgement_of_nothing_is_refused(desk: Desk) -> None:
    desk.run("start", desk.policy)
    ended = desk.run("ack", "orders")
    assert ended.status == Exit.USAGE
    assert "nothing that is critical waits for an answer" in ended.err


def test_a_dry_run_shows_what_would_be_sent_and_sends_nothing(
    drifted: Desk, told: list[str]
) -> None:
    before = list(told)
    ended = ticked(drifted, 15, "--dry-run")
    assert "send repeated (critical) to sns rollouts" in ended.data["would"]
    assert told == before


def test_what_did_not_arrive_is_in_the_status_until_it_has(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise DeliveryError("the network is down")

    monkeypatch.setattr(Couriers, "deliver", fail)
    policy = desk.another_policy("told", notify=CHANNELS)
    assert desk.run("start", policy).status == Exit.DONE
    (key,) = desk.run("status", "told", "--json").data["undelivered"]
    assert key.startswith("told#1:started:")
    monkeypatch.setattr(Couriers, "deliver", lambda *_: None)
    ticked(desk)
    assert desk.run("status", "told", "--json").data["undelivered"] == []
