"""The targets file of a store: written with each start, and read without the database."""

import json
import os
import sqlite3
import stat
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from controller.adapters.stores.sqlite import SqliteStore, rollback_targets_file
from controller.adapters.stores.sqlite.rollback_targets_file import KnownTarget, read_targets
from tests.adapters.contracts.store import LOCK, save_changes, started, with_history
from tests.support.core import Phase
from tests.support.rollouts import ARN, MINUTE, NOON, POLICY, a_rollout, a_state

KNOWN = KnownTarget(POLICY.target, ARN)
ENTRY: Mapping[str, Any] = {"target": POLICY.target.model_dump(mode="json"), "identity": ARN}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "rollouts.db"


@pytest.fixture
def file(path: Path) -> Path:
    path.parent.mkdir()
    return path.with_name("rollouts.db.targets.json")


def test_a_start_leaves_the_names_of_its_target(path: Path) -> None:
    with SqliteStore(path) as store:
        started(store, a_rollout("checkout#1"), LOCK)
        rollout, entries = with_history(a_rollout("search#1"), 1)
        store.receive(rollout, entries, [])
    assert read_targets(path) == {"checkout#1": KNOWN, "search#1": KNOWN}
    stored = json.loads(path.with_name("rollouts.db.targets.json").read_text())
    assert stored == {"checkout#1": ENTRY, "search#1": ENTRY}


@pytest.mark.parametrize("content", [b"", b"version: 1\n", os.urandom(4_096)])
def test_the_names_are_read_despite_a_damaged_database(path: Path, content: bytes) -> None:
    with SqliteStore(path) as store:
        started(store, a_rollout())
    path.write_bytes(content)
    assert read_targets(path) == {"checkout#1": KNOWN}
    path.unlink()
    assert read_targets(path) == {"checkout#1": KNOWN}


def test_the_names_are_read_while_another_process_has_the_database(path: Path) -> None:
    with SqliteStore(path) as store, closing(sqlite3.connect(path)) as other:
        started(store, a_rollout())
        other.execute("BEGIN EXCLUSIVE")
        assert read_targets(path) == {"checkout#1": KNOWN}


def a_directory(file: Path) -> None:
    file.mkdir()


def a_pipe(file: Path) -> None:
    os.mkfifo(file)


def a_dangling_link(file: Path) -> None:
    file.symlink_to(file.parent / "nowhere")


def no_file(_: Path) -> None: ...


@pytest.mark.parametrize("place", [a_directory, a_pipe, a_dangling_link, no_file])
def test_what_is_no_file_is_none(path: Path, file: Path, place: Callable[[Path], None]) -> None:
    place(file)
    assert read_targets(path) == {}


@pytest.mark.parametrize(
    "content",
    [
        b"", b"{", b"[]", b"null", b"\xff\xfe", b"7", b"[" * 5_000 + b"]" * 5_000,
        json.dumps({"checkout#1": ENTRY}).encode() + b" " * rollback_targets_file.MOST_BYTES,
        json.dumps({"checkout#1": ENTRY}).encode("utf-16")[3:],
    ],
)  # fmt: skip
def test_garbage_knows_no_target_and_the_next_start_replaces_it(
    path: Path, file: Path, content: bytes
) -> None:
    file.write_bytes(content)
    assert read_targets(path) == {}
    with SqliteStore(path) as store:
        started(store, a_rollout())
    assert read_targets(path) == {"checkout#1": KNOWN}


@pytest.mark.parametrize(
    "entry",
    [
        None, [], {}, {"target": None, "identity": ARN}, {**ENTRY, "identity": 7},
        {**ENTRY, "target": {**ENTRY["target"], "function": "a b"}},
        {**ENTRY, "target": {**ENTRY["target"], "value": "secret"}},
        {"target": ENTRY["target"]},
    ],
)  # fmt: skip
def test_an_entry_that_is_none_hides_no_other_one(path: Path, file: Path, entry: Any) -> None:
    file.write_text(json.dumps({"odd#1": entry, "checkout#1": ENTRY}))
    assert read_targets(path) == {"checkout#1": KNOWN}


def test_no_value_of_a_variable_is_in_it(path: Path) -> None:
    with SqliteStore(path) as store:
        started(store, a_rollout())
    entry = json.loads(path.with_name("rollouts.db.targets.json").read_text())["checkout#1"]
    assert set(entry["target"]) == {"kind", "function", "percentage", "boolean"}


def test_the_newest_entries_are_kept_and_those_of_active_rollouts(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rollback_targets_file, "MOST_ENTRIES", 3)
    with SqliteStore(path) as store:
        started(store, a_rollout("checkout#1"), LOCK)
        for attempt in range(1, 7):
            over = started(store, a_rollout(f"search#{attempt}"))
            save_changes(store, over, a_state(Phase.SUCCEEDED, watch_until=NOON - MINUTE))
    assert [*read_targets(path)] == ["checkout#1", "search#4", "search#5", "search#6"]


def test_the_file_stays_small_enough_to_be_read(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rollback_targets_file, "MOST_BYTES", 1_000)
    with SqliteStore(path) as store:
        for attempt in range(1, 9):
            started(store, a_rollout(f"checkout#{attempt}"))
    assert [*read_targets(path)][-1] == "checkout#8"


def test_a_start_does_not_fail_for_it(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(rollback_targets_file, "_write", full)
    with SqliteStore(path) as store, capture_logs() as logs:
        rollout = started(store, a_rollout())
        assert store.load("checkout#1") == rollout
    assert [one["event"] for one in logs if one["log_level"] == "warning"] == [
        "targets_file_failed"
    ]


@pytest.fixture(params=[0o000, 0o022, 0o277])
def umask(request: pytest.FixtureRequest) -> Iterator[None]:
    before = os.umask(request.param)
    yield
    os.umask(before)


@pytest.mark.usefixtures("umask")
def test_folders_and_files_are_their_owners_alone_whatever_the_umask(tmp_path: Path) -> None:
    path = tmp_path / "new" / "state" / "rollouts.db"
    with SqliteStore(path) as store:
        started(store, a_rollout())
        modes = {one: stat.S_IMODE(one.stat().st_mode) for one in tmp_path.rglob("*")}
    folders = {one: mode for one, mode in modes.items() if one.is_dir()}
    files = {mode for one, mode in modes.items() if one not in folders}
    assert set(folders) == {tmp_path / "new", tmp_path / "new" / "state"}
    assert (set(folders.values()), files) == ({0o700}, {0o600})
