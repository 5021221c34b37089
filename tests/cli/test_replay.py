"""replay: whether each decision of a history follows from its recorded observation."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from controller.adapters.stores.codec import dump_entry, load_entry
from controller.core.units import clock_text
from controller.errors import Exit
from tests.cli.conftest import CliHarness, MakeDesk
from tests.support.core import Entry
from tests.tools.replay.test_replay import rehash
from tests.tools.simulation.worlds import MINUTE, START


@pytest.fixture
def walked(desk: CliHarness) -> CliHarness:
    """A desk whose rollout has succeeded."""
    desk.run("start", desk.policy)
    desk.ticks(12)
    assert desk.state()["phase"] == "succeeded"
    return desk


Forge = Callable[[dict[str, Any]], None]


def forged(desk: CliHarness, number: int, forge: Forge, *, hashes: bool) -> None:
    """Change the body of one entry in the store, and compute the hashes again if `hashes`."""
    rows = desk.sql("SELECT entry FROM history ORDER BY seq")
    entries = [load_entry("orders#1", text) for (text,) in rows]
    body = json.loads(json.dumps(entries[number - 1].body))
    forge(body)
    old = entries[number - 1]
    entries[number - 1] = Entry(old.seq, old.at, old.kind, body, old.previous, old.hash)
    last = entries[-1].hash
    if hashes:
        entries = rehash(entries)
    for entry in entries:
        desk.sql(
            "UPDATE history SET entry = ? WHERE seq = ?", dump_entry("orders#1", entry), entry.seq
        )
    desk.sql("UPDATE rollouts SET state = replace(state, ?, ?)", last, entries[-1].hash)


def reworded(body: dict[str, Any]) -> None:
    body["sentence"] = "somebody said so"


def test_what_differs_is_named_with_what_was_recorded_and_what_follows(walked: CliHarness) -> None:
    forged(walked, 3, reworded, hashes=True)
    ended = walked.run("replay", "orders")
    assert ended.status == Exit.CHECK_FAILED
    third = clock_text(START + 5 * MINUTE)
    assert ended.out.splitlines() == [
        f"entry 3, {third}, advanced: sentence was recorded as "
        '"somebody said so", but the observation leads to "the gate at 10% passed; going '
        'to 100%"',
        "orders#1: 5 decisions and 0 hours of evidence re-evaluated, 1 of them differs; "
        "audit log hash chain of 5 entries valid",
    ]


def test_a_broken_chain_comes_first(walked: CliHarness) -> None:
    forged(walked, 3, reworded, hashes=False)
    ended = walked.run("replay", "orders")
    assert ended.status == Exit.CHECK_FAILED
    first, *_, last = ended.out.splitlines()
    assert first.startswith(
        "the hash chain of the audit log breaks at entry 3: the history was changed"
    )
    assert last.endswith("1 of them differs; audit log hash chain broken at entry 3")


def test_a_state_that_its_history_does_not_lead_to_is_reported(walked: CliHarness) -> None:
    walked.sql("""UPDATE rollouts SET state = replace(state,
        '"label":"no regression detected"', '"label":"confirmed"')""")
    ended = walked.run("replay", "orders")
    assert ended.status == Exit.CHECK_FAILED
    first_line = ended.out.splitlines()[0]
    assert first_line.startswith("the stored state: ")
    assert (
        'label was recorded as confirmed, but the history leads to "no regression detected"'
        in first_line
    )
    assert "re-evaluated, the stored state differs; audit log" in ended.out


def test_json_carries_all_of_it(walked: CliHarness) -> None:
    same = walked.run("replay", "orders", "--json").data
    digest = walked.state()["policy_digest"]
    assert same == {
        "schema": "replay/1",
        "rollout": "orders#1",
        "same": True,
        "entries": 5,
        "decisions": 5,
        "hours_of_evidence": 0,
        "chain_valid": True,
        "chain_broken_at": None,
        "policy_valid": True,
        "policy_digests": dict.fromkeys(("snapshot", "state", "first_entry"), digest),
        "differences": [],
        "state": [],
    }
    forged(walked, 3, reworded, hashes=True)
    (difference,) = walked.run("replay", "orders", "--json").data["differences"]
    assert (difference["seq"], difference["kind"]) == (3, "advanced")
    assert [each["what"] for each in difference["differs"]] == ["sentence"]


def test_replay_needs_no_account(walked: CliHarness) -> None:
    before = walked.world.calls.copy()
    walked.run("replay", "orders")
    assert walked.world.calls == before


@pytest.mark.parametrize("which", ["unknown", "orders#9"])
def test_an_unknown_rollout_is_a_usage_error(desk_in: MakeDesk, which: str) -> None:
    desk = desk_in()
    desk.run("start", desk.policy)
    ended = desk.run("replay", which)
    assert (ended.status, ended.out) == (Exit.USAGE, "")
