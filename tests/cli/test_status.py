"""status and history: the state of rollouts, and their audit log."""

from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO

import pytest

from controller import cli
from controller.adapters.stores.sqlite import SqliteStore
from controller.core.policy import Policy
from controller.errors import Exit
from tests.cli.conftest import CliHarness
from tests.support.core import Entry
from tests.tools.simulation.worlds import HOUR, MINUTE


@pytest.fixture
def walked(desk: CliHarness) -> CliHarness:
    """A desk whose rollout has just reached 100%."""
    desk.run("start", desk.policy)
    desk.ticks(5)
    assert desk.weight == 100
    return desk


def test_status_without_a_name_shows_every_active_rollout(walked: CliHarness) -> None:
    data = walked.run("status", "--json").data
    assert [one["id"] for one in data["rollouts"]] == ["orders#1"]
    assert walked.run("status").out.startswith("orders#1  progressing  100%")


def two_rollouts(desk: CliHarness) -> None:
    """Start a second rollout, which is at 10% while the first is further."""
    desk.start_payments()


def test_status_all_shows_what_is_over_too(walked: CliHarness) -> None:
    two_rollouts(walked)
    walked.run("rollback", "payments")
    walked.world.clock.advance(HOUR)
    first_line, last_line = walked.run("status", "--all").out.splitlines()
    assert first_line.startswith(
        "!  orders#1    progressing  100%  no tick for 1h 00m: is the schedule running? "
    )
    assert last_line.startswith("   payments#1  rolled_back    0%  ")
    data = walked.run("status", "--all", "--json").data
    assert [one["id"] for one in data["rollouts"]] == ["orders#1", "payments#1"]


def ids_of(desk: CliHarness, *options: str) -> list[str]:
    """Return the ids of the rollouts that `status` shows with these options."""
    data = desk.run("status", "--json", *options).data
    return [one["id"] for one in data["rollouts"]]


def test_rollouts_are_chosen_by_name_phase_and_condition(walked: CliHarness) -> None:
    two_rollouts(walked)
    walked.run("pause", "payments", "--reason", "looks odd")
    walked.run("tick", "--early")
    assert ids_of(walked, "--name", "pay*,nothing") == ["payments#1"]
    assert ids_of(walked, "--name", walked.policy) == ["orders#1"]
    assert ids_of(walked, "--name", "orders", "--name", "payments") == ids_of(walked)
    assert ids_of(walked, "--phase", "progressing,rolling_back") == ["orders#1"]
    assert ids_of(walked, "--condition", "paused,blind") == ["payments#1"]
    assert ids_of(walked, "--name", "orders", "--phase", "paused") == []
    nothing = walked.run("status", "--name", "o?ders", "--condition", "drifted").out
    assert nothing == "no active rollout fits --name, --phase and --condition\n"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["orders", "--phase", "paused"], "leave ROLLOUT out"),
        (["--phase", "stuck"], "no phase is called 'stuck'; known: progressing"),
        (["--condition", "sad"], "no condition is called 'sad'; known: blind"),
    ],
)
def test_a_filter_that_chooses_nothing_that_exists_is_refused(
    walked: CliHarness, options: list[str], words: str
) -> None:
    ended = walked.run("status", *options)
    assert (ended.status, words in ended.err) == (Exit.USAGE, True)


def test_a_terminal_gets_a_bounded_list_and_a_pipe_all_of_it(
    walked: CliHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    two_rollouts(walked)
    walked.run("pause", "payments", "--reason", "looks odd")
    monkeypatch.setattr("controller.cli.status.MOST_ON_TERMINAL", 1)
    assert len(walked.run("status").out.splitlines()) == 2
    monkeypatch.setattr("controller.cli.streams.PrintableStream.isatty", lambda _: True)
    text = " ".join(walked.run("status").out.split())
    assert ("payments#1" in text, "orders#1" in text) == (True, False)
    assert "1 less urgent rollout left out (1 progressing): choose by --name" in text


def test_several_rollouts_are_shown_without_a_read_of_their_histories(
    walked: CliHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads = []

    def entries(_store: SqliteStore, rollout_id: str) -> Iterator[Entry]:
        reads.append(rollout_id)
        return iter(())

    monkeypatch.setattr(SqliteStore, "entries", entries)
    monkeypatch.setattr(Policy, "limits_exposure", True)
    walked.run("status")
    assert reads == ["orders#1"]
    two_rollouts(walked)
    reads.clear()
    walked.run("status")
    assert reads == []
    walked.run("status", "--json")
    assert reads == []


def test_status_of_a_name_is_its_newest_attempt(desk: CliHarness) -> None:
    desk.run("start", desk.policy)
    desk.run("rollback", "orders")
    desk.run("retry", "orders", "--reason", "again")
    assert desk.run("status", desk.policy, "--json").data["id"] == "orders#2"
    assert desk.state("orders#1")["phase"] == "rolled_back"


def test_status_needs_no_account(desk: CliHarness) -> None:
    desk.run("start", desk.policy)
    before = desk.world.calls.copy()
    desk.run("status", "orders")
    assert desk.world.calls == before


def test_history_json_says_when_each_finding_was_made(walked: CliHarness) -> None:
    entries = walked.entries()
    advanced = next(entry for entry in entries if entry["kind"] == "advanced")
    (finding,) = advanced["findings"]
    assert (finding["start"], finding["end"]) == (
        "2026-01-05T09:01:00+00:00", "2026-01-05T09:03:00+00:00",
    )  # fmt: skip
    assert finding["sentence"].startswith("criterion works passes: success was 100%")


def forge(desk: CliHarness) -> None:
    """Change the author of the second history entry."""
    ((entry,),) = desk.sql("SELECT entry FROM history WHERE seq = 2")
    forged = entry.replace("tester", "somebody else")
    assert forged != entry
    desk.sql("UPDATE history SET entry = ? WHERE seq = 2", forged)


def test_a_history_that_was_changed_is_shown_and_refused(walked: CliHarness) -> None:
    forge(walked)
    ended = walked.run("history", "orders", "--json")
    assert (ended.status, ended.data["chain_valid"]) == (Exit.INTERNAL, False)
    assert "was changed or is incomplete from entry 2 on" in ended.err


def test_what_a_tick_adds_while_a_history_is_read_breaks_no_chain(
    walked: CliHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    entries, before = SqliteStore.entries, walked.run("history", "orders").out
    reads: list[str] = []

    def ticked_meanwhile(store: SqliteStore, rollout_id: str) -> Iterator[Entry]:
        reads.append(rollout_id)
        if len(reads) == 1:
            tick(walked, 5)
        return entries(store, rollout_id)

    with monkeypatch.context() as patched:
        patched.setattr(SqliteStore, "entries", ticked_meanwhile)
        ended = walked.run("history", "orders")
    assert (ended.status, ended.out) == (Exit.DONE, before)
    assert "  succeeded  " in walked.run("history", "orders").out


def tick(desk: CliHarness, number: int) -> None:
    """Tick once a minute, without output."""
    for _ in range(number):
        desk.world.clock.advance(MINUTE)
        with redirect_stdout(StringIO()), redirect_stderr(StringIO()):
            assert cli.main(["tick"]) == Exit.DONE


def test_a_watch_that_ended_since_the_last_tick_is_shown_as_over(walked: CliHarness) -> None:
    walked.run("rollback", "orders")
    assert "watched until 2026-01-05 09:" in walked.run("status", "orders").out
    walked.world.clock.advance(20 * MINUTE)
    assert "the watch of ticks ended at 2026-01-05 09:" in walked.run("status", "orders").out
    data = walked.state()
    assert (data["next_at"], data["next"][:8]) == (None, "nothing:")


@pytest.mark.parametrize("words", ["status", "status orders", "status orders --watch --timeout 1s",
                                   "status --all --exit-code", "tick"])  # fmt: skip
def test_a_record_that_was_saved_in_the_future_is_named(walked: CliHarness, words: str) -> None:
    walked.sql("UPDATE rollouts SET state = json_set(state, '$.updated', '2027-01-01T00:00:00Z')")
    ended = walked.run(*words.split())
    assert ended.status == Exit.INTERNAL
    assert (
        "orders#1 was last saved at 2027-01-01 00:00 UTC, which is in the future: its time stands "
        "still until then"
    ) in ended.out + ended.err


# --- what is measured is seen while it happens ----------------------------------------------------


def test_a_status_has_the_evidence_the_passed_steps_and_the_newest_events(
    walked: CliHarness,
) -> None:
    walked.ticks(3)
    lines = [line.strip() for line in walked.run("status", "orders").out.splitlines()]
    assert any(line.startswith("criterion  towards FAIL") for line in lines)
    begin = lines.index("newest events (UTC)")
    passed = next(line for line in lines if line.startswith("earlier steps"))
    assert lines[lines.index(passed) + 1].count("pass ") == passed.count("%")
    assert [line.split()[-1] for line in lines[begin + 1 :]]
    assert "advanced" in "".join(lines[begin + 1 :])


def test_a_status_for_people_reads_the_history_once_and_one_for_programs_does_not(
    desk: CliHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.run("start", desk.policy)
    desk.ticks(2)
    reads: list[str] = []
    entries = SqliteStore.entries

    def counted(store: SqliteStore, rollout_id: str) -> Iterator[Entry]:
        reads.append(rollout_id)
        return entries(store, rollout_id)

    monkeypatch.setattr(SqliteStore, "entries", counted)
    desk.run("status", "orders")
    desk.run("status")
    assert reads == ["orders#1"] * 2
    desk.run("status", "orders", "--json")
    desk.run("status", "--json")
    assert len(reads) == 2, "a program reads the history with its own verb"
