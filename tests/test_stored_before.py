"""Rollouts that earlier versions stored are loaded, derived again, and go on.

The files in tests/stored were written by those versions, in a rehearsal, and are never made anew.
"""

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from controller.adapters.sqlite import SqliteStore
from controller.adapters.sqlite.layout import TABLES
from controller.core.asked import Ask, Verb, asked
from controller.core.decide import decide
from controller.core.observation import Observation, Reading, Update
from controller.core.replay import replay
from controller.core.rollout import SCHEMA, Phase, Reason, Rollout
from tests.adapters.store_contract import moved
from tests.adapters.test_sqlite import LAYOUT_1
from tests.rollouts import MINUTE

STORED = Path(__file__).parent / "stored"
# Which tables the rows of each version fit into.
LAYOUTS = {1: LAYOUT_1, 2: TABLES, 3: TABLES, 4: TABLES}
EXAMPLES = [(schema, phase) for schema in LAYOUTS for phase in ("progressing", "rolled_back")]


def example(schema: int, phase: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((STORED / f"schema_{schema}.json").read_text())[phase]
    return found


def stored(schema: int, phase: str, path: Path) -> Path:
    """Make a file as that version made it, with this rollout in it."""
    found = example(schema, phase)
    row = found["row"]
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.executescript(LAYOUTS[schema])
        names, marks = ", ".join(row), ", ".join("?" * len(row))
        connection.execute(
            f"INSERT INTO rollouts ({names}) VALUES ({marks})",  # noqa: S608 - our own columns
            list(row.values()),
        )
        connection.executemany(
            "INSERT INTO history VALUES (?, ?, ?)",
            [(row["id"], seq, entry) for seq, entry in enumerate(found["history"], 1)],
        )
        connection.commit()
    return path


def reads(rollout: Rollout, weight: int) -> Observation:
    """Return what a tick sees of a target that stands at `weight`, and of no metric."""
    shown = f"NEW_PATH_PERCENTAGE={weight}"
    return Observation(Reading(rollout.target, weight, shown, "token", Update.SUCCESSFUL))


def test_an_example_is_kept_of_every_schema_before_this_one() -> None:
    assert set(LAYOUTS) == set(range(1, SCHEMA))
    for schema, phase in EXAMPLES:
        assert json.loads(example(schema, phase)["row"]["state"])["schema"] == schema


@pytest.mark.parametrize(("schema", "phase"), EXAMPLES)
def test_an_older_rollout_is_loaded_whole_and_its_history_derives_again(
    tmp_path: Path, schema: int, phase: str
) -> None:
    with SqliteStore(stored(schema, phase, tmp_path / "state.db")) as store:
        (rollout_id,) = store.all()
        rollout, history = store.load(rollout_id), store.history(rollout_id)
    was = json.loads(example(schema, phase)["row"]["state"])
    assert (rollout.phase, rollout.schema) == (Phase(phase), SCHEMA)
    assert (rollout.version, rollout.entries, rollout.chain) == (
        was["version"], len(history), history[-1].hash,
    )  # fmt: skip
    assert rollout.policy.digest() == rollout.digest
    assert replay(rollout, history).same


@pytest.mark.parametrize("schema", LAYOUTS)
def test_an_older_rollout_goes_on_and_can_be_rolled_back(tmp_path: Path, schema: int) -> None:
    with SqliteStore(stored(schema, "progressing", tmp_path / "state.db")) as store:
        (rollout_id,) = store.all()
        rollout = store.load(rollout_id)
        now = rollout.updated + MINUTE
        decision = decide(rollout, reads(rollout, rollout.weight), now)
        assert decision.rollout.phase is Phase.PROGRESSING
        saved = moved(store, decision.rollout)
        assert saved.version == rollout.version + 1
        back = asked(saved, Ask(Verb.ROLLBACK, "now"), reads(saved, saved.weight), now)
        assert back.rollout.reason is Reason.ROLLBACK_REQUESTED
        assert store.load(rollout_id) == saved
        state = json.loads(store._one("SELECT state FROM rollouts WHERE id = ?", rollout_id)[0])
        assert state["schema"] == SCHEMA
