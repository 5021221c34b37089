"""`kill -9` at any moment: every acknowledged save is stored, and none is stored in part."""

import sqlite3
import threading
from contextlib import closing
from pathlib import Path
from random import Random

import pytest

from controller.adapters.stores.sqlite import SqliteStore
from tests.adapters.contracts.store import LOCK, started
from tests.adapters.stores.test_sqlite import PROCESS_LIMIT_S, python
from tests.support.core import broken_link
from tests.support.deep_rows import deep_after
from tests.support.rollouts import a_rollout

FEW_KILLS, KILLS = 5, 20
# A save takes a few milliseconds: some kills hit the opening, most of them a save.
LONGEST_S = 0.25

# Opens the store as a tick does, saves without end, and prints each version after its save.
SAVE_AND_SAY = """
import sys
from pathlib import Path
from controller.adapters.stores.sqlite import SqliteStore
from tests.support.rollouts import with_entry

sys.stdout.write("opening\\n")
sys.stdout.flush()
with SqliteStore(Path(sys.argv[1]), durable=True) as store:
    rollout = store.load("checkout#1")
    while True:
        after, entry = with_entry(rollout)
        rollout = store.save(after, [entry])
        sys.stdout.write(f"{rollout.version}\\n")
        sys.stdout.flush()
"""


def acknowledged(path: Path, wait_s: float) -> int | None:
    """Kill a process that saves after `wait_s`; return the last version it printed, if any.

    A line that the kill cut off does not count.
    """
    with python(SAVE_AND_SAY, path) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "opening\n"
        threading.Event().wait(wait_s)
        process.kill()
        output = process.stdout.read()
        process.wait(PROCESS_LIMIT_S)
    lines = output[: output.rfind("\n") + 1].split()
    return int(lines[-1]) if lines else None


def pragma(path: Path, name: str) -> str:
    with closing(sqlite3.connect(path)) as connection:
        return str(connection.execute(f"PRAGMA {name}").fetchone()[0])


@pytest.mark.parametrize("kills", deep_after(1, [FEW_KILLS, KILLS]))
def test_killed_again_and_again_a_store_has_every_save_that_was_acknowledged(
    tmp_path: Path, kills: int
) -> None:
    """No other process has the file open, so each opening recovers the WAL of the killed one."""
    path, draw = tmp_path / "state.db", Random(1)
    with SqliteStore(path, durable=True) as store:
        version = started(store, a_rollout(), LOCK).version
    printed = 0
    for _ in range(kills):
        last = acknowledged(path, draw.uniform(0, LONGEST_S))
        printed += last is not None
        assert pragma(path, "integrity_check") == "ok"
        with SqliteStore(path, durable=True) as store:
            rollout, history = store.load("checkout#1"), store.history("checkout#1")
            assert store.owner(LOCK) == "checkout#1"
        least = version if last is None else last
        assert (
            least <= rollout.version <= least + 1
        )  # one more may have been written and not printed
        assert rollout.entries == len(history) == rollout.version + 1
        assert broken_link(history, rollout.chain) is None
        version = rollout.version
    assert printed  # some kills came after a save
