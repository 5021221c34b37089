"""rollout_saved: after each save the log has the number and hash of the last history entry."""

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from controller.errors import Exit
from tests.cli.conftest import CliHarness
from tests.tools.simulation.worlds import MINUTE

# Commands, a minute before each: every verb that saves, and verbs that save nothing.
WALK = (
    "start {policy}",
    "tick",
    "pause orders --reason wait",
    "tick",
    "resume orders --reason on",
    "status orders",
    "tick",
    "promote orders --reason now --dry-run",
    "promote orders --reason now",
    "tick",
    "promote orders --reason again",
    "rollback orders --reason enough",
    "tick",
    "retry orders --reason again",
    "tick",
    "rollback orders",
)


def walked(desk: CliHarness, commands: Sequence[str] = WALK) -> list[dict[str, Any]]:
    """Run the commands; return their rollout_saved events."""
    saves = []
    for command in commands:
        desk.world.clock.advance(MINUTE)
        ended = desk.run(*command.format(policy=desk.policy).split())
        saves += [event for event in ended.events if event["event"] == "rollout_saved"]
    return saves


def test_every_save_is_logged_once_with_the_hash_of_its_last_entry(desk: CliHarness) -> None:
    saves = walked(desk)
    for rollout in ("orders#1", "orders#2"):
        rollout_saves = [save for save in saves if save["rollout"] == rollout]
        history = desk.entries(rollout)
        assert [save["version"] for save in rollout_saves] == list(range(len(rollout_saves)))
        assert [save["chain"] for save in rollout_saves] == [
            history[save["entries"] - 1]["hash"] for save in rollout_saves
        ]
        assert {save["entries"] for save in rollout_saves} >= {1, len(history)}
        assert all(save["run"] for save in rollout_saves)


def test_what_saves_nothing_logs_no_save(desk: CliHarness) -> None:
    walked(desk, WALK[:1])
    refused = ("resume orders", "start {policy}", "tick --dry-run", "rollback orders --dry-run")
    assert walked(desk, (*refused, "history orders", "replay orders")) == []


def test_a_rollout_that_is_copied_is_logged_as_saved_in_the_new_store(
    desk: CliHarness, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    *_, last = walked(desk, (*WALK[:2], "rollback orders", "tick"))
    desk.world.clock.advance(15 * MINUTE)
    other_url = f"sqlite:///{tmp_path / 'other.db'}"
    assert desk.run("store", "init", "--store", other_url).status == Exit.DONE
    here = os.environ["ROLLOUTCTL_STORE"]
    (received,) = walked(desk, (f"store copy {here} {other_url}",))
    assert received["chain"] == last["chain"]
    assert received["version"] == last["version"]
    monkeypatch.setenv("ROLLOUTCTL_STORE", other_url)
    history = desk.entries()
    assert history[-1]["hash"] == received["chain"]


def test_nothing_of_a_policy_stands_in_it(desk: CliHarness) -> None:
    (first, *_) = walked(desk, WALK[:1])
    assert set(first) == {
        "rollout", "version", "entries", "chain", "run", "dry_run", "event", "level", "timestamp",
    }  # fmt: skip
    assert "percentage" not in json.dumps(first).lower()
