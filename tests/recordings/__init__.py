"""Stores as each version has left them in the middle of a chaos story, one for each phase.

A recording is what a later version finds: a file of SQLite as SQL, the items of a table as JSON.
Recorded with the version whose format they have, they are never written again.
"""

import json
import sqlite3
from base64 import b64decode, b64encode
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, Final

from controller.immutable import Immutable
from tests.chaos.fault_plan import StoreKind

FOLDER: Final = Path(__file__).parent
# The seed of a story and the turn before which its store is in a phase.
MOMENTS: Final[Mapping[StoreKind, Mapping[str, tuple[int, int]]]] = {
    "sqlite": {
        "pending": (20, 1),
        "progressing": (16, 2),
        "paused": (33, 8),
        "rolling_back": (16, 7),
        "rolled_back": (39, 7),
        "succeeded": (30, 6),
    },
    "dynamodb": {
        "pending": (8, 2),
        "progressing": (2, 2),
        "paused": (10, 19),
        "rolling_back": (9, 4),
        "rolled_back": (9, 31),
        "succeeded": (5, 7),
    },
}
_TABLES: Final = ("rollouts", "history", "locks")


class Recording(Immutable):
    """What one version stored. moment: the phase, `pending` for a raise that is not read back."""

    stored_format: int
    store: StoreKind
    moment: str

    @property
    def seed(self) -> int:
        """The seed of its story."""
        return MOMENTS[self.store][self.moment][0]

    @property
    def turn(self) -> int:
        """The turn before which it was recorded."""
        return MOMENTS[self.store][self.moment][1]

    @property
    def file(self) -> Path:
        """Where it is."""
        ending = {"sqlite": "sql", "dynamodb": "json"}[self.store]
        return FOLDER / f"format-{self.stored_format}" / f"{self.moment}.{ending}"

    def open_file(self, path: Path) -> None:
        """Make the file at `path` the recorded one."""
        with closing(sqlite3.connect(path)) as connection:
            connection.executescript(self.file.read_text("utf-8"))

    def restore_rows(self, path: Path) -> None:
        """Replace what is in the store at `path`, which others have open."""
        script = self.file.read_text("utf-8").splitlines()
        with closing(sqlite3.connect(path)) as connection, connection:
            for table in reversed(_TABLES):
                connection.execute(f"DELETE FROM {table}")  # noqa: S608 - a constant
            for line in script:
                if line.startswith("INSERT INTO"):
                    connection.execute(line)

    def put_items(self, client: Any, table: str) -> None:
        """Write the recorded items to a table."""
        for item in json.loads(self.file.read_text("utf-8")):
            client.put_item(TableName=table, Item=_each_value(item, b64decode))


def recordings() -> list[Recording]:
    """Return every recording, those of the oldest format first."""
    formats = sorted(int(one.name.removeprefix("format-")) for one in FOLDER.glob("format-*"))
    return [
        Recording(stored_format, store, moment)
        for stored_format in formats
        for store, moments in MOMENTS.items()
        for moment in moments
    ]


def dump_file(path: Path) -> str:
    """Return the store at `path` as SQL."""
    with closing(sqlite3.connect(path)) as connection:
        pragmas = [
            f"PRAGMA {name} = {connection.execute(f'PRAGMA {name}').fetchone()[0]};"
            for name in ("application_id", "user_version")
        ]
        return "\n".join([*connection.iterdump(), *pragmas, ""])


def dump_items(items: Sequence[Mapping[str, Any]]) -> str:
    """Return the items of a table as JSON, an item a line."""
    lines = [
        json.dumps(_each_value(item, lambda content: b64encode(content).decode()), sort_keys=True)
        for item in items
    ]
    return "[\n" + ",\n".join(sorted(lines)) + "\n]\n"


def _each_value(item: Mapping[str, Any], change: Any) -> dict[str, Any]:
    """Return `item` with each binary value changed."""
    return {
        name: {"B": change(attribute["B"])} if "B" in attribute else attribute
        for name, attribute in item.items()
    }
