"""A store that is damaged, missing, full or locked: one line says what, where and what to do.

Whatever the damage, nothing in the store is lost, and a policy file rolls back.
"""

import os
import shutil
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from _pytest.mark.structures import ParameterSet

from controller.adapters.stores.sqlite import file as sqlite_file
from controller.errors import Exit
from tests.adapters.stores.unwritable import full_disk, read_only_disk
from tests.cli.conftest import CliHarness, Ended, MakeDesk
from tests.support.damage import SQLITE_DAMAGES
from tests.support.stage import SHORT_POLICY
from tests.tools.simulation.worlds import MINUTE

SICK = [{"kind": "errors", "at": {"step": 1}, "server_errors": "20%"}]
WITHOUT_A_STORE = "without a store: rolloutctl rollback POLICY.yaml, or rolloutctl rollback "
PAGE = 4_096


@dataclass
class DamagedStore:
    """An SQLite store to damage; `restore` undoes the damage where that is possible."""

    file: Path
    patch: pytest.MonkeyPatch
    restore: ExitStack = field(default_factory=ExitStack)

    def execute(self, *statements: str) -> None:
        with closing(sqlite3.connect(self.file)) as connection, connection:
            for statement in statements:
                connection.execute(statement)


def no_database(at: DamagedStore) -> None:
    at.file.write_text("version: 1\n" * 1_000)


def empty(at: DamagedStore) -> None:
    at.file.write_bytes(b"")


def of_another_program(at: DamagedStore) -> None:
    at.execute("PRAGMA application_id = 1")


def cut_off_in_its_header(at: DamagedStore) -> None:
    at.file.write_bytes(at.file.read_bytes()[:100])


def pages_overwritten(at: DamagedStore) -> None:
    content = at.file.read_bytes()
    at.file.write_bytes(content[:PAGE] + os.urandom(len(content) - PAGE))


def newer_store(at: DamagedStore) -> None:
    at.execute("PRAGMA user_version = 99")


def newer_record(at: DamagedStore) -> None:
    at.execute("UPDATE rollouts SET state = json_set(state, '$.schema', 99)")


def no_json(at: DamagedStore) -> None:
    at.execute("UPDATE rollouts SET state = substr(state, 1, 200)")


def removed(at: DamagedStore) -> None:
    at.file.unlink()


def directory_removed(at: DamagedStore) -> None:
    shutil.rmtree(at.file.parent)


def locked(at: DamagedStore) -> None:
    """Let another program hold a write lock."""
    at.patch.setattr(sqlite_file, "BUSY_LIMIT", timedelta(milliseconds=20))
    connection = at.restore.enter_context(closing(sqlite3.connect(at.file)))
    connection.execute("BEGIN IMMEDIATE")


def locked_for_readers(at: DamagedStore) -> None:
    at.patch.setattr(sqlite_file, "BUSY_LIMIT", timedelta(milliseconds=20))
    connection = at.restore.enter_context(closing(sqlite3.connect(at.file)))
    connection.execute("PRAGMA locking_mode = EXCLUSIVE")
    connection.execute("UPDATE rollouts SET fence = fence")


def on_a_read_only_disk(at: DamagedStore) -> None:
    at.restore.enter_context(read_only_disk(at.file))


def on_a_full_disk(at: DamagedStore) -> None:
    at.restore.enter_context(full_disk(at.file))


WHERE = "check which store was meant, or name a file that does not exist yet"
BACKUP = "restore it from a backup; a rollback by function and variable names needs no store"
RUN_AGAIN = "nothing was written; run again, and when it stays find who has the file open"

# The message (damage, store, what to do); the exit statuses of tick, status, start and rollback by
# name. A rollback finds the target in the file next to the store, as long as that exists.
UNREADABLE = (Exit.INTERNAL, Exit.INTERNAL, Exit.INTERNAL, Exit.DONE)
UNWRITABLE = (Exit.INTERNAL, Exit.DONE, Exit.INTERNAL, Exit.DONE)
MISSING = (Exit.USAGE, Exit.USAGE, Exit.DONE, Exit.DONE)
WITH_ITS_FOLDER = (Exit.USAGE, Exit.USAGE, Exit.DONE, Exit.USAGE)
ONE_ROLLOUT = (Exit.INTERNAL, Exit.INTERNAL, Exit.DONE, Exit.DONE)
TABLE = [
    (no_database, "{} is not an SQLite database; " + WHERE, UNREADABLE),
    (empty, "{} is not a rolloutctl store; " + WHERE, UNREADABLE),
    (of_another_program, "{} is not a rolloutctl store; " + WHERE, UNREADABLE),
    (cut_off_in_its_header, "{} is damaged; " + BACKUP, UNREADABLE),
    (pages_overwritten, "{} is damaged; " + BACKUP, UNREADABLE),
    (newer_store, "{} is stored by a newer version of rolloutctl (format 98)", UNREADABLE),
    (newer_record, "orders#1 is stored by a newer version of rolloutctl (format 99)", ONE_ROLLOUT),
    (no_json, "the state of orders#1 is damaged (", ONE_ROLLOUT),
    (removed, "there is no store at {} (from ROLLOUTCTL_STORE); a rollout that runs is", MISSING),
    (
        directory_removed,
        "there is no store at {} (from ROLLOUTCTL_STORE); a rollout that runs is",
        WITH_ITS_FOLDER,
    ),
    (locked, "{} was locked by another process for 10 s; " + RUN_AGAIN, UNWRITABLE),
    (locked_for_readers, "{} was locked by another process for 10 s; " + RUN_AGAIN, UNREADABLE),
    (on_a_read_only_disk, "{} is read-only: nothing can be written beside it; check", UNWRITABLE),
    (on_a_full_disk, "{} has no room to grow; nothing was written; free disk space", UNWRITABLE),
]
# Damages that pass: afterwards the same file can be read again.
PASSING = [locked, locked_for_readers, on_a_read_only_disk, on_a_full_disk]
VERBS = ["tick", "status", "start {other}", "rollback orders"]


def each_with_two_verbs(table: Iterable[tuple[Any, str, Iterable[Exit]]]) -> list[ParameterSet]:
    """Return a row for each damage of `table` and each verb; two verbs of four run by default."""
    return [
        pytest.param(
            damage,
            verb,
            status,
            message,
            marks=() if (row + column) % 2 else pytest.mark.deep,
            id=f"{damage.__name__.replace('_', ' ')}: {verb.partition(' ')[0]}",
        )
        for row, (damage, message, statuses) in enumerate(table)
        for column, (verb, status) in enumerate(zip(VERBS, statuses, strict=True))
    ]


CASES = each_with_two_verbs(TABLE)
DAMAGES = [pytest.param(damage, id=damage.__name__.replace("_", " ")) for damage, _, _ in TABLE]


@pytest.fixture
def at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, desk: CliHarness) -> Iterator[DamagedStore]:
    """A store in a directory of its own, in which `orders` stands at 10%."""
    yield from open_damaged_store(tmp_path, monkeypatch, desk)


def open_damaged_store(
    tmp_path: Path, patch: pytest.MonkeyPatch, desk: CliHarness
) -> Iterator[DamagedStore]:
    damaged_store = DamagedStore(tmp_path / "stores" / "rollouts.db", patch)
    patch.setenv("ROLLOUTCTL_STORE", f"sqlite:///{damaged_store.file}")
    assert desk.run("start", desk.policy).status == Exit.DONE
    desk.world.clock.advance(MINUTE)
    with damaged_store.restore:
        yield damaged_store


def lines(ended: Ended, message: str) -> list[str]:
    """Return the lines for people, of both streams, that have this message."""
    everything = [*ended.out.splitlines(), *ended.err.splitlines()]
    return [line for line in everything if message in line and not line.startswith("{")]


def check_message(desk: CliHarness, verb: str, status: Exit, message: str) -> None:
    """Run `verb` on a broken store: one line reports it, and the weight is not raised."""
    desk.world.add_function("payments", {})
    other_policy = desk.another_policy(
        "payments", target={**SHORT_POLICY["target"], "function": "payments"}
    )
    ended = desk.run(*verb.format(other=other_policy).split())
    assert ended.status == status
    works = status is Exit.DONE and verb != "rollback orders"
    assert len(lines(ended, message)) == (0 if works else 1)
    lowered = verb == "rollback orders" and status is Exit.DONE
    assert desk.weight == (0 if lowered else 10)
    if verb == "rollback orders":
        ending = "recorded: " if lowered else WITHOUT_A_STORE
        assert len(lines(ended, ending)) == 1


@pytest.mark.parametrize(("damage", "verb", "status", "message"), CASES)
def test_one_line_says_what_happened_to_what_and_what_now(
    desk: CliHarness,
    at: DamagedStore,
    damage: Callable[[DamagedStore], None],
    verb: str,
    status: Exit,
    message: str,
) -> None:
    damage(at)
    check_message(desk, verb, status, message.format(at.file))


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_policy_file_rolls_back_whatever_happened_to_the_store(
    desk: CliHarness, at: DamagedStore, damage: Callable[[DamagedStore], None]
) -> None:
    damage(at)
    ended = desk.run("rollback", desk.policy)
    assert (ended.status, desk.weight) == (Exit.DONE, 0)


@pytest.mark.parametrize(
    "damage",
    [one for one in DAMAGES if one.values[0] not in (*PASSING, removed, directory_removed)],
)
def test_what_is_left_of_a_damaged_store_is_left_alone(
    desk: CliHarness, at: DamagedStore, damage: Callable[[DamagedStore], None]
) -> None:
    """An expert may still recover data from it, and other rollouts are still readable."""
    damage(at)
    before = at.file.read_bytes()
    for verb in ("tick", "status", "status orders", "history orders", "rollback orders"):
        desk.run(*verb.split())
    with closing(sqlite3.connect(at.file)) as connection:  # the WAL of a save
        if damage in (newer_record, no_json):
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    assert at.file.read_bytes() == before


@pytest.mark.parametrize("damage", PASSING, ids=lambda one: one.__name__.replace("_", " "))
def test_what_was_readable_before_is_readable_after(
    desk: CliHarness, at: DamagedStore, damage: Callable[[DamagedStore], None]
) -> None:
    before = desk.run("history", "orders", "--json").data
    with at.restore:
        damage(at)
        for verb in ("tick", "status", "promote orders --reason seen", "rollback orders"):
            desk.run(*verb.split())
    at.restore = ExitStack()
    assert desk.run("history", "orders", "--json").data == before
    assert desk.run("tick").status in (Exit.DONE, Exit.ROLLED_BACK)
    after = desk.run("history", "orders", "--json").data
    assert after["entries"][: len(before["entries"])] == before["entries"]
    assert after["chain_valid"]


@pytest.mark.parametrize(
    "damage", [locked, on_a_read_only_disk, on_a_full_disk],
    ids=lambda one: one.__name__.replace("_", " "),
)  # fmt: skip
def test_a_failing_canary_goes_back_to_0_although_nothing_can_be_written(
    desk_in: MakeDesk,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    damage: Callable[[DamagedStore], None],
) -> None:
    desk = desk_in(events=SICK)
    for at in open_damaged_store(tmp_path, monkeypatch, desk):
        damage(at)
        ends = []
        for _ in range(6):
            desk.world.clock.advance(MINUTE)
            ends.append(desk.run("tick").status)
        assert (desk.weight, set(ends)) == (0, {Exit.INTERNAL})


def test_a_rollout_of_a_newer_version_is_neither_replaced_nor_started_again(
    desk: CliHarness, at: DamagedStore
) -> None:
    newer_record(at)
    ended = desk.run("start", desk.policy)
    assert ended.status == Exit.INTERNAL
    assert len(lines(ended, "orders#1 is stored by a newer version of")) == 1
    rival = desk.another_policy("rival")
    assert desk.run("start", rival).status != Exit.DONE
    assert desk.weight == 10


# --- one damaged rollout among healthy ones -----------------------------------------------------

# One damage of each kind: the state, its columns, raw bytes, and the history.
OF_ONE = [
    "nested too deeply", "step beyond the last one", "updated in local time", "not UTF-8",
    "policy: cut off", "created: no time", "closed: neither 0 nor 1", "version: below 0",
    "watch_until: not UTF-8",
]  # fmt: skip


def check_one_damaged(desk: CliHarness, damage: Callable[[], None]) -> None:
    """Damage `orders#1` but not `payments#1`: every verb names the former and shows the latter."""
    other_policy = desk.start_payments()
    desk.world.clock.advance(MINUTE)
    damage()

    ended = {
        verb: desk.run(*verb.format(other=other_policy).split())
        for verb in ("tick", "status", "status --all", "status --json", "history payments",
                     "status payments", "verify payments", "verify {other}")
    }  # fmt: skip
    for verb in ("tick", "status", "status --all", "status --json"):
        assert ended[verb].status == Exit.INTERNAL, verb
        assert "payments#1" in ended[verb].out, verb
    for verb in ("tick", "status", "status --all", "status --json"):
        assert len(lines(ended[verb], "orders#1 is damaged")) == 1, verb
    assert ended["history payments"].status == ended["status payments"].status == Exit.DONE
    for verb in ("verify payments", "verify {other}"):
        assert ended[verb].status in (Exit.DONE, Exit.CHECK_FAILED), verb
        assert not lines(ended[verb], "orders#1"), verb
    for verb in ("status orders#1", "history orders#1"):
        result = desk.run(*verb.split())
        assert result.status == Exit.INTERNAL, verb
        assert len(lines(result, "orders#1 is damaged")) == 1, verb


def check_copied(
    desk: CliHarness, source: str, destination: str, damage: Callable[[], None]
) -> None:
    """Damage `orders#1` but not `payments#1`: the former is named, the latter copied."""
    desk.start_payments()
    assert desk.run("rollback", "payments").status == Exit.DONE
    desk.world.clock.advance(15 * MINUTE)
    damage()
    assert desk.run("store", "init", "--store", destination).status == Exit.DONE
    copied = desk.run("store", "copy", source, destination)
    assert copied.status == Exit.INTERNAL
    assert len(lines(copied, "payments#1: copied to")) == 1
    assert len(lines(copied, "orders#1 is damaged")) == 1
    listed = desk.run("status", "--all", "--json", "--store", destination)
    assert [one["id"] for one in listed.data["rollouts"]] == ["payments#1"]


@pytest.mark.parametrize("name", OF_ONE)
def test_one_damaged_rollout_is_named_and_the_others_are_shown(
    desk: CliHarness, at: DamagedStore, name: str
) -> None:
    def damage() -> None:
        with closing(sqlite3.connect(at.file)) as connection, connection:
            SQLITE_DAMAGES[name](connection, "orders#1")

    check_one_damaged(desk, damage)


@pytest.mark.parametrize("name", ["step beyond the last one", "history: not UTF-8"])
def test_a_damaged_rollout_keeps_no_other_one_from_being_copied(
    desk: CliHarness, at: DamagedStore, tmp_path: Path, name: str
) -> None:
    def damage() -> None:
        with closing(sqlite3.connect(at.file)) as connection, connection:
            SQLITE_DAMAGES[name](connection, "orders#1")

    check_copied(desk, f"sqlite:///{at.file}", f"sqlite:///{tmp_path / 'new.db'}", damage)
