"""A store on a read-only or full disk can be read, and is never read stale."""

import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from controller.adapters.stores.sqlite import SqliteStore
from controller.adapters.stores.sqlite import file as store_file
from controller.errors import StoreError
from tests.adapters.contracts.store import LATER, save_changes, started
from tests.adapters.stores.test_sqlite import NOBODY
from tests.adapters.stores.unwritable import full_disk, read_only_disk
from tests.support.core import Rollout
from tests.support.rollouts import NOON, a_rollout

Disk = Callable[[Path], AbstractContextManager[None]]
READ_ONLY = "state.db is read-only: nothing can be written beside it; check the path"
FULL = "state.db has no room to grow; nothing was written; free disk space, run again"
DISKS = [pytest.param(read_only_disk, READ_ONLY, id="read-only"),
         pytest.param(full_disk, FULL, id="full")]  # fmt: skip


@pytest.fixture
def file() -> Iterator[Path]:
    """The path of a store, in a directory that any user may read."""
    with TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder) / "state.db"


@pytest.fixture
def before(file: Path) -> Rollout:
    """A rollout that was saved while all was well."""
    with SqliteStore(file) as store:
        return save_changes(store, started(store, a_rollout()))


@pytest.mark.parametrize(("disk", "expected"), DISKS)
def test_it_is_read_and_says_why_it_cannot_be_written(
    file: Path, before: Rollout, disk: Disk, expected: str
) -> None:
    content = file.read_bytes()
    with disk(file), SqliteStore(file) as store:
        assert (store.load("checkout#1"), len(store.history("checkout#1"))) == (before, 2)
        writes: list[Callable[[], object]] = [
            lambda: save_changes(store, before),
            lambda: store.acquire("checkout#1", NOON, LATER),
            lambda: started(store, a_rollout("search#1")),
        ]
        for write in writes:
            with pytest.raises(StoreError, match="cannot ") as raised:
                write()
            assert expected in str(raised.value)
        store.release("checkout#1")  # it has no lease
        assert store.load("checkout#1") == before
    assert file.read_bytes() == content
    with SqliteStore(file) as store:
        assert save_changes(store, before).version == 2


def test_a_directory_that_may_only_be_read_is_enough_to_read(file: Path, before: Rollout) -> None:
    """Without a simulation: SQLite itself refuses to open such a store."""
    user = os.geteuid()
    file.chmod(0o444)
    file.parent.chmod(0o555)
    if user == 0:
        os.seteuid(NOBODY)
    try:
        with pytest.raises(sqlite3.OperationalError), closing(sqlite3.connect(file)) as plain:
            plain.execute("SELECT * FROM rollouts")
        with SqliteStore(file) as store:
            assert store.load("checkout#1") == before
            with pytest.raises(StoreError, match="is read-only: nothing can be written beside it"):
                save_changes(store, before)
    finally:
        os.seteuid(user)
        file.parent.chmod(0o755)


@pytest.mark.parametrize(("disk", "expected"), DISKS)
def test_without_the_newest_saves_it_is_not_read(
    file: Path, before: Rollout, disk: Disk, expected: str
) -> None:
    """A run was killed, or is saving: the file alone would show an earlier state."""
    with SqliteStore(file) as store:
        save_changes(store, before)
        copy = file.with_name("killed.db")
        for end in ("", "-wal"):
            shutil.copy(f"{file}{end}", f"{copy}{end}")
    with disk(copy), pytest.raises(StoreError, match="cannot open the store"):
        SqliteStore(copy)
    with SqliteStore(copy) as store:
        assert store.load("checkout#1").version == 2


def test_a_run_that_saves_while_it_is_read_is_not_read_in_half(
    file: Path, before: Rollout, monkeypatch: pytest.MonkeyPatch
) -> None:
    read_into = store_file._read_into

    def meanwhile(copy: sqlite3.Connection, path: Path) -> None:
        read_into(copy, path)
        os.utime(file, ns=(1, 1))

    monkeypatch.setattr(store_file, "_read_into", meanwhile)
    with read_only_disk(file), pytest.raises(StoreError, match="cannot open the store"):
        SqliteStore(file)


def test_a_damaged_store_on_a_read_only_disk_is_refused(file: Path) -> None:
    """From Python 3.13 on, a connection that is left open fails this test too."""
    file.write_bytes(b"not a database" * 100)
    with read_only_disk(file), pytest.raises(StoreError, match="cannot open the store"):
        SqliteStore(file)
