"""status and history: the state of rollouts, and their audit log."""

import hashlib
import json
import sqlite3
from collections.abc import Sequence
from contextlib import closing, redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path

import pytest

from controller import cli
from controller.adapters.stores.sqlite import SqliteStore
from controller.core.history import Entry
from controller.errors import Exit
from controller.process import settings
from tests.cli.conftest import VERIFIED, Desk, MakeDesk
from tests.simulation.worlds import FUNCTION, HOUR, MINUTE
from tests.support.stage import SHORT_POLICY

SICK = [{"kind": "errors", "at": {"step": 1}, "server_errors": "20%"}]


@pytest.fixture
def walked(desk: Desk) -> Desk:
    """A desk whose rollout has just reached 100 %."""
    desk.run("start", desk.policy)
    for _ in range(5):
        desk.world.clock.advance(MINUTE)
        desk.run("tick")
    assert desk.weight == 100
    return desk


def test_status_says_where_a_rollout_stands_why_and_what_is_next(desk: Desk) -> None:
    desk.run("start", desk.policy)
    desk.world.clock.advance(3 * MINUTE)
    desk.run("tick")
    output = desk.run("status", "orders").out
    assert output.splitlines() == [
        "orders#1  progressing  10 %",
        f"  revision  {desk.world.function(FUNCTION).code_sha256}",
        "  ladder    [10 % 2m] > 100 % 2m",
        "  because   baked at 10 % until 2026-01-05 09:03 UTC; its last data are final at "
        "2026-01-05 09:05 UTC",
        "  next      100 % if every criterion of this step passes, at the first tick from "
        "2026-01-05 09:05 UTC on",
        "  waiting   for the bake, then 2m until its data are final",
        "  updated   2026-01-05 09:03 UTC",
        "",
        "        criterion  target  measured  samples  evidence",
        "  open  works      ≥ 99%          –        –  not judged yet",
    ]


def test_status_json_carries_everything_a_program_asks_for(walked: Desk) -> None:
    walked.world.clock.advance(3 * MINUTE)
    walked.run("tick")
    data = walked.run("status", "orders", "--json").data
    assert data["schema"] == "status/1"
    assert {"name", "revision", "phase", "step", "weight", "reason", "next", "findings"} <= set(
        data
    )
    assert (data["name"], data["phase"], data["step"], data["weight"]) == (
        "orders", "progressing", 1, 100,
    )  # fmt: skip
    (finding,) = data["findings"]
    assert {
        "criterion", "verdict", "measured", "bound", "samples", "label", "sentence",
    } <= set(finding)  # fmt: skip
    assert (finding["criterion"], finding["bound"]) == ("works", 0.99)


def test_status_without_a_name_shows_every_active_rollout(walked: Desk) -> None:
    data = walked.run("status", "--json").data
    assert [one["id"] for one in data["rollouts"]] == ["orders#1"]
    assert walked.run("status").out.startswith("orders#1  progressing  100 %")


def two_rollouts(desk: Desk) -> None:
    """Start a second rollout, which is at 10 % while the first is further."""
    desk.world.add_function("payments", {})
    target = {**SHORT_POLICY["target"], "function": "payments"}
    desk.run("start", desk.another_policy("payments", target=target))


def test_of_several_rollouts_status_says_a_line_each_the_urgent_first(walked: Desk) -> None:
    two_rollouts(walked)
    walked.run("rollback", "payments")
    first, second = walked.run("status").out.splitlines()
    assert first.startswith(
        "   orders#1    progressing  100 %  next: success if every criterion of this step passes, "
    )
    assert second.startswith("   payments#1  rolled_back    0 %  ")
    walked.world.clock.advance(HOUR)
    (alone, *_) = walked.run("status").out.splitlines()  # long after the rollback
    assert alone == "orders#1  progressing  100 %"


def test_status_all_shows_what_is_over_too(walked: Desk) -> None:
    two_rollouts(walked)
    walked.run("rollback", "payments")
    walked.world.clock.advance(HOUR)
    first_line, last_line = walked.run("status", "--all").out.splitlines()
    assert first_line.startswith(
        "!  orders#1    progressing  100 %  no tick for 1h 00m: is the schedule running? "
    )
    assert last_line.startswith("   payments#1  rolled_back    0 %  ")
    data = walked.run("status", "--all", "--json").data
    assert [one["id"] for one in data["rollouts"]] == ["orders#1", "payments#1"]


def test_a_rollout_that_cannot_be_read_hides_no_other(walked: Desk) -> None:
    two_rollouts(walked)
    damage(walked, "payments#1")
    ended = walked.run("status")
    assert ended.status == Exit.INTERNAL
    assert ended.out.startswith("orders#1  progressing  100 %\n")
    assert "payments#1" in ended.err
    ended = walked.run("status", "--json")
    assert [one["id"] for one in ended.data["rollouts"]] == ["orders#1"]


def damage(desk: Desk, rollout_id: str) -> None:
    """Damage the stored state of a rollout."""
    store = Path(desk.policy).parent / "rollouts.db"
    with closing(sqlite3.connect(store)) as connection, connection:
        connection.execute("UPDATE rollouts SET state = '{' WHERE id = ?", (rollout_id,))


def test_status_of_a_name_is_its_newest_attempt(desk: Desk) -> None:
    desk.run("start", desk.policy)
    desk.run("rollback", "orders")
    desk.run("retry", "orders", "--reason", "again")
    assert desk.run("status", desk.policy, "--json").data["id"] == "orders#2"
    assert desk.run("status", "orders#1", "--json").data["phase"] == "rolled_back"


def test_status_needs_no_account(desk: Desk) -> None:
    desk.run("start", desk.policy)
    before = desk.world.calls.copy()
    desk.run("status", "orders")
    assert desk.world.calls == before


@pytest.mark.parametrize(
    ("events", "minutes", "status"),
    [
        pytest.param([], 1, Exit.UNDECIDED, id="still going: 3"),
        pytest.param([], 12, Exit.DONE, id="succeeded: 0"),
        pytest.param(SICK, 6, Exit.ROLLED_BACK, id="rolled back: 4"),
    ],
)
def test_status_has_an_exit_status_when_asked(
    desk_in: MakeDesk, events: list[object], minutes: int, status: Exit
) -> None:
    desk = desk_in(events=events)
    desk.run("start", desk.policy)
    for _ in range(minutes):
        desk.world.clock.advance(MINUTE)
        desk.run("tick")
    assert desk.run("status", "orders").status == Exit.DONE
    assert desk.run("status", "orders", "--exit-code").status == status


def test_history_says_when_which_weight_who_and_which_finding_decided(walked: Desk) -> None:
    lines = walked.run("history", "orders").out.splitlines()
    assert lines[0].startswith("2026-01-05 09:00    0 → 10 %  started       started with revision ")
    assert lines[0].endswith(f"; going to 10 %  (by tester {VERIFIED})")
    advanced = next(number for number, line in enumerate(lines) if "  advanced  " in line)
    assert lines[advanced] == (
        "2026-01-05 09:05  10 → 100 %  advanced      the gate at 10 % passed; going to 100 %  "
        "(tick, run by tester)"
    )
    assert lines[advanced + 1].strip().startswith("criterion works passes: success was 100%")


def test_history_json_carries_the_entries_and_that_their_chain_holds(walked: Desk) -> None:
    data = walked.run("history", "orders", "--json").data
    assert (data["schema"], data["rollout"], data["chain_valid"]) == (
        "history/1", "orders#1", True,
    )  # fmt: skip
    assert [entry["kind"] for entry in data["entries"]][:2] == ["started", "applied"]
    assert all(entry["by"] == "tester" for entry in data["entries"])


def test_history_json_has_what_each_hash_is_made_from(walked: Desk) -> None:
    previous = ""
    for entry in walked.run("history", "orders", "--json").data["entries"]:
        parts = [previous, entry["seq"], entry["at"], entry["kind"], entry["body"]]
        text = json.dumps(parts, sort_keys=True)
        assert entry["hash"] == hashlib.sha256(text.encode()).hexdigest()
        previous = entry["hash"]


def test_history_json_says_when_each_finding_was_made(walked: Desk) -> None:
    entries = walked.run("history", "orders", "--json").data["entries"]
    advanced = next(one for one in entries if one["kind"] == "advanced")
    (finding,) = advanced["findings"]
    assert (finding["start"], finding["end"]) == (
        "2026-01-05T09:01:00+00:00", "2026-01-05T09:03:00+00:00",
    )  # fmt: skip
    assert finding["sentence"].startswith("criterion works passes: success was 100%")


def forge(desk: Desk) -> None:
    """Change the author of the second history entry."""
    store = Path(desk.policy).parent / "rollouts.db"
    with closing(sqlite3.connect(store)) as connection, connection:
        (entry,) = connection.execute("SELECT entry FROM history WHERE seq = 2").fetchone()
        forged = entry.replace("tester", "nobody")
        assert forged != entry
        connection.execute("UPDATE history SET entry = ? WHERE seq = 2", (forged,))


def test_a_history_that_was_changed_is_shown_and_refused(walked: Desk) -> None:
    forge(walked)
    ended = walked.run("history", "orders", "--json")
    assert (ended.status, ended.data["chain_valid"]) == (Exit.INTERNAL, False)
    assert "was changed or is incomplete from entry 2 on" in ended.err


def test_what_a_tick_adds_while_a_history_is_read_breaks_no_chain(
    walked: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    history, before = SqliteStore.history, walked.run("history", "orders").out

    def ticked_meanwhile(store: SqliteStore, rollout_id: str) -> Sequence[Entry]:
        tick(walked, 5)
        return history(store, rollout_id)

    with monkeypatch.context() as patched:
        patched.setattr(SqliteStore, "history", ticked_meanwhile)
        ended = walked.run("history", "orders")
    assert (ended.status, ended.out) == (Exit.DONE, before)
    assert "  succeeded  " in walked.run("history", "orders").out


def tick(desk: Desk, number: int) -> None:
    """Tick once a minute, without output."""
    for _ in range(number):
        desk.world.clock.advance(MINUTE)
        with redirect_stdout(StringIO()), redirect_stderr(StringIO()):
            assert cli.main(["tick"]) == Exit.DONE


@pytest.mark.parametrize("verb", [["status"], ["history", "orders"]], ids=["status", "history"])
def test_a_mistyped_store_is_no_empty_one(desk: Desk, tmp_path: Path, verb: list[str]) -> None:
    desk.run("start", desk.policy)
    ended = desk.run(*verb, "--store", f"sqlite:///{tmp_path / 'rolouts.db'}")
    assert (ended.status, ended.out) == (Exit.USAGE, "")
    assert "rolouts.db (from --store); a rollout that runs is" in ended.err
    assert not (tmp_path / "rolouts.db").exists()


def test_in_a_container_status_says_that_a_store_must_be_named(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("ROLLOUTCTL_STORE")
    monkeypatch.setenv("ECS_CONTAINER_METADATA_URI_V4", "http://169.254.170.2/v4")
    ended = desk.run("status")
    assert ended.status == Exit.USAGE
    assert "say where rollouts are kept: --store or ROLLOUTCTL_STORE" in ended.err


def test_outside_a_container_the_store_is_a_file_of_the_user(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("ROLLOUTCTL_STORE")
    monkeypatch.delenv("ECS_CONTAINER_METADATA_URI_V4", raising=False)
    monkeypatch.setattr(settings, "_CONTAINER_FILES", ())
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    desk.run("start", desk.policy)
    assert (tmp_path / "state" / "rolloutctl" / "rollouts.db").is_file()
    assert desk.run("status", "orders").out.startswith("orders#1")


def test_a_watch_that_ended_since_the_last_tick_is_shown_as_over(walked: Desk) -> None:
    walked.run("rollback", "orders")
    assert "watched until 2026-01-05 09:" in walked.run("status", "orders").out
    walked.world.clock.advance(20 * MINUTE)
    assert "the watch of ticks ended at 2026-01-05 09:" in walked.run("status", "orders").out
    data = walked.run("status", "orders", "--json").data
    assert (data["next_at"], data["next"][:8]) == (None, "nothing:")
