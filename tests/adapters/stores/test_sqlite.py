"""The SQLite store: the contract, killed processes, and errors in one line."""

import os
import resource
import sqlite3
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import timedelta
from math import inf
from pathlib import Path
from threading import Event
from typing import Any

import pytest

from controller.adapters.stores.sqlite import SqliteStore, one_call_at_a_time
from controller.adapters.stores.sqlite import file as sqlite_file
from controller.core.stored_formats import NEWEST, OLDEST
from controller.errors import Exit, StoreError, UsageError
from controller.ports.store import Store
from tests.adapters.contracts.store import (
    LATER,
    LOCK,
    OpenStore,
    StoreContract,
    save_changes,
    started,
)
from tests.support.core import Rollout, broken_link
from tests.support.rollouts import NOON, a_rollout, with_state

PROCESS_LIMIT_S = 60
NOBODY = 65_534


# Hangs between the state and the history of one save, with the write lock.
SAVE_HALF = """
import sys
from pathlib import Path
from controller.adapters.stores.sqlite import SqliteStore
from tests.support.rollouts import with_entry

class Hanging(list):
    def __iter__(self):
        yield self[0]
        print("saving", flush=True)
        sys.stdin.read()

with SqliteStore(Path(sys.argv[1])) as store:
    rollout, entry = with_entry(store.load("checkout#1"), sentence="Half.")
    store.save(rollout, Hanging([entry, entry]))
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return the path of the store, in a directory that does not exist yet."""
    return tmp_path / "not yet" / "state.db"


class TestSqliteStore(StoreContract):
    """The contract on one file."""

    @pytest.fixture
    def open_store(self, path: Path) -> OpenStore:
        return lambda: SqliteStore(path)

    @pytest.fixture
    def store(self, path: Path) -> Iterator[Store]:
        with SqliteStore(path) as store:
            yield store


def python(script: str, *arguments: object) -> subprocess.Popen[str]:
    """Start `script` in another process."""
    return subprocess.Popen(
        [sys.executable, "-c", script, *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[3],
    )


def killed_while(script: str, path: Path, after: Callable[[], object] = lambda: None) -> None:
    """Kill a process that runs `script`, after it printed that it saves, and after `after`."""
    with python(script, path) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "saving\n"
            after()
        finally:
            process.kill()
            process.wait(PROCESS_LIMIT_S)


def assert_consistent(store: SqliteStore) -> Rollout:
    """Assert that state and history agree, and return the state."""
    rollout, history = store.load("checkout#1"), store.history("checkout#1")
    assert rollout.entries == len(history)
    assert broken_link(history, rollout.chain) is None
    return rollout


# --- more than one process ------------------------------------------------------------------------


def test_a_save_cut_in_half_did_not_happen(path: Path) -> None:
    with SqliteStore(path) as store:
        before = started(store, a_rollout(), LOCK)
        killed_while(SAVE_HALF, path)
        assert assert_consistent(store) == before
        assert save_changes(store, before).version == 1


def test_while_another_run_saves_reading_goes_on_and_saving_waits_for_a_limited_time(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite_file, "BUSY_LIMIT", timedelta(milliseconds=50))
    waited_s = inf

    with SqliteStore(path) as store:
        before = started(store, a_rollout(), LOCK)

        def meanwhile() -> None:
            nonlocal waited_s
            assert store.load("checkout#1") == before
            start = time.monotonic()
            with pytest.raises(StoreError, match=r"cannot save checkout#1.*was locked") as raised:
                save_changes(store, before)
            waited_s = time.monotonic() - start
            assert str(path) in str(raised.value)

        killed_while(SAVE_HALF, path, meanwhile)
    assert 0.04 < waited_s < 5


def test_a_release_without_a_lease_does_not_wait(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A manual rollback releases first; lowering must not wait for the write lock."""
    monkeypatch.setattr(sqlite_file, "BUSY_LIMIT", timedelta(milliseconds=50))
    with SqliteStore(path, durable=False) as store, closing(sqlite3.connect(path)) as other:
        started(store, a_rollout())
        other.execute("BEGIN IMMEDIATE")
        store.release("checkout#1")
        with pytest.raises(StoreError, match="was locked by another process"):
            store.acquire("checkout#1", NOON, LATER)


# --- the file -------------------------------------------------------------------------------------


def test_a_store_is_closed_after_the_call_that_another_thread_is_in(path: Path) -> None:
    """SQLite crashes the process when its connection is closed in the middle of a statement."""
    store, at_work, free = SqliteStore(path, durable=False), Event(), Event()

    def wait_in_sqlite() -> None:
        at_work.set()
        free.wait(60)

    store.create(a_rollout("checkout#1"), [], [])
    store._connection.set_progress_handler(wait_in_sqlite, 1)
    with ThreadPoolExecutor(2) as threads:
        loaded = threads.submit(one_call_at_a_time(store).load, "checkout#1")
        assert at_work.wait(60)
        closed = threads.submit(store.close)
        with pytest.raises(TimeoutError):
            closed.result(0.1)
        free.set()
        assert loaded.result(60).id == "checkout#1"
        closed.result(60)


def test_a_new_store_makes_its_directory_and_is_for_its_owner_alone(path: Path) -> None:
    """Also the files of the WAL, which have the newest saves."""
    with SqliteStore(path) as store:
        started(store, a_rollout())
        modes = {one.name: stat.S_IMODE(one.stat().st_mode) for one in path.parent.iterdir()}
    stays = {"state.db": 0o600, "state.db.targets.json": 0o600}
    assert modes == {**stays, "state.db-wal": 0o600, "state.db-shm": 0o600}
    assert {one.name for one in path.parent.iterdir()} == set(stays)


@pytest.mark.parametrize("name", ["ä state#1?.db", "100%.db", ":memory:"])
def test_a_store_may_have_any_name(tmp_path: Path, name: str) -> None:
    with SqliteStore(tmp_path / name) as store:
        started(store, a_rollout())
    assert {one.name for one in tmp_path.iterdir()} == {name, f"{name}.targets.json"}


@pytest.mark.parametrize(
    ("durable", "waits_for_disk"), [(True, 2), (False, 0)], ids=["durable", "in tests"]
)
def test_only_a_durable_store_waits_for_the_disk(
    path: Path, durable: bool, waits_for_disk: int
) -> None:
    """2 is FULL: a commit survives a power cut."""
    with closing(sqlite_file.open_file(path, durable=durable)) as connection:
        pragmas = [
            connection.execute(f"PRAGMA {name}").fetchone()[0]
            for name in ("synchronous", "journal_mode")
        ]
    assert pragmas == [waits_for_disk, "wal"]


def test_a_store_without_a_path_is_in_memory_and_ends_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with SqliteStore(None) as store, SqliteStore(None) as another:
        started(store, a_rollout())
        assert (store.all(), another.all()) == (("checkout#1",), ())
    assert list(tmp_path.iterdir()) == []


# --- errors in one line ---------------------------------------------------------------------------


def no_database(path: Path) -> None:
    path.write_text("version: 1\n" * 100)


def empty_file(path: Path) -> None:
    path.touch()


def a_directory(path: Path) -> None:
    path.mkdir()


def a_file_as_its_directory(path: Path) -> None:
    path.parent.rmdir()
    path.parent.touch()


def a_dangling_link(path: Path) -> None:
    path.symlink_to(path.parent / "nowhere" / "state.db")


def database_of_another_program(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE rollouts (id)")


def older_format(path: Path) -> None:
    with SqliteStore(path) as store:
        store.set_format(OLDEST - 1)


def newer_format(path: Path) -> None:
    with SqliteStore(path) as store:
        store.set_format(NEWEST + 1)


@pytest.mark.parametrize(
    ("place", "expected"),
    [
        (no_database, "{} is not an SQLite database; check which store was meant"),
        (empty_file, "{} is not a rolloutctl store; check which store was meant"),
        (database_of_another_program, "{} is not a rolloutctl store; check which store was meant"),
        (a_directory, "{} cannot be opened; check the path"),
        (a_file_as_its_directory, "cannot open the store: {}: "),
        (a_dangling_link, "{} cannot be opened; check the path"),
        (older_format, "{} is stored by an older version of rolloutctl (format 0); this version"),
        (newer_format, "{} is stored by a newer version of rolloutctl (format 3); this version"),
    ],
    ids=lambda value: getattr(value, "__name__", "").replace("_", " "),
)
def test_a_file_that_is_no_store_is_refused_and_unchanged(
    path: Path, place: Callable[[Path], None], expected: str
) -> None:
    path.parent.mkdir()
    place(path)
    before = {one: one.is_file() and one.read_bytes() for one in path.parent.parent.rglob("*")}

    with pytest.raises(StoreError) as raised:
        SqliteStore(path)

    assert expected.format(path) in str(raised.value)
    assert "\n" not in str(raised.value)
    assert raised.value.exit_status == Exit.INTERNAL
    after = {one: one.is_file() and one.read_bytes() for one in path.parent.parent.rglob("*")}
    assert after == before


def test_a_damaged_page_is_called_damage(path: Path) -> None:
    with SqliteStore(path) as store:
        started(store, a_rollout())
    whole = path.read_bytes()
    path.write_bytes(whole[:4096] + os.urandom(len(whole) - 4096))
    with (
        SqliteStore(path) as store,
        pytest.raises(StoreError, match=r"cannot load checkout#1: .*state.db is damaged; restore"),
    ):
        store.load("checkout#1")


def test_a_full_disk_costs_the_save_and_nothing_else(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect: Callable[..., sqlite3.Connection] = sqlite3.connect

    def on_a_small_disk(*arguments: Any, **options: Any) -> sqlite3.Connection:
        connection = connect(*arguments, **options)
        connection.execute("PRAGMA max_page_count = 20")
        return connection

    monkeypatch.setattr(sqlite3, "connect", on_a_small_disk)
    with SqliteStore(path) as store:
        before = started(store, a_rollout())
        with pytest.raises(StoreError, match=r"cannot save checkout#1.*no room.*free disk space"):
            save_changes(store, with_state(before, sentence="x" * 100_000))
        assert assert_consistent(store) == before
        assert save_changes(store, with_state(before, sentence="Short.")).version == 1


def test_a_failing_disk_costs_the_save_and_nothing_else(path: Path) -> None:
    """A limit on the size of files fails a write with something else than a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    with SqliteStore(path) as store:
        before = started(store, a_rollout())
        try:
            resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, hard))
            with pytest.raises(StoreError, match=r"cannot save checkout#1.*check the disk"):
                save_changes(store, with_state(before, sentence="x" * 1_000_000))
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        assert assert_consistent(store) == before


def test_a_read_only_store_can_be_read_and_says_why_it_cannot_be_written(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with SqliteStore(path) as store:
        before = started(store, a_rollout())
    connect: Callable[..., sqlite3.Connection] = sqlite3.connect
    monkeypatch.setattr(  # file permissions do not stop root, who may run the tests
        sqlite3,
        "connect",
        lambda place, **options: connect(place.replace("mode=rw", "mode=ro"), **options),
    )
    with SqliteStore(path) as store:
        assert store.load("checkout#1") == before
        with pytest.raises(StoreError, match=r"cannot save checkout#1: .* is read-only; check"):
            save_changes(store, before)


@pytest.fixture
def locked_directory(tmp_path: Path) -> Iterator[Path]:
    """Return a directory that this process may not write to, even as root."""
    user = os.geteuid()
    tmp_path.chmod(0o500)
    if user == 0:
        os.seteuid(NOBODY)
    yield tmp_path
    os.seteuid(user)


def test_a_directory_that_may_not_be_written_is_named(locked_directory: Path) -> None:
    with pytest.raises(StoreError, match=r"state.db: Permission denied; check the path"):
        SqliteStore(locked_directory / "state.db")


def test_an_old_sqlite_asks_for_a_newer_python(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite3, "sqlite_version_info", (3, 34, 1))
    with pytest.raises(StoreError, match="use a newer Python"):
        SqliteStore(path)


def test_a_file_takes_no_requests_because_it_has_no_roles(path: Path) -> None:
    with SqliteStore(path) as store:
        with pytest.raises(UsageError, match="rollouts in a file take no requests"):
            store.request_rollback("checkout#1", "it looks bad")
        assert store.owners_and_requests([LOCK], ["checkout#1"]) == ({}, {})
