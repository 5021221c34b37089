"""The list of recipients in a SQLite store: one row.

Its table is made with the first list, so that a file without one keeps the layout that it has.
"""

import sqlite3
from typing import Final

from controller.adapters.stores import recipients as codec
from controller.core.recipients import RecipientList

_EXISTS: Final = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'recipients'"
_CREATE: Final = """
CREATE TABLE IF NOT EXISTS recipients (id INTEGER PRIMARY KEY CHECK (id = 1), list TEXT NOT NULL)
STRICT
"""


def read(connection: sqlite3.Connection) -> RecipientList | None:
    """Return the list; None when there is none. Raises StoreError when it is damaged."""
    if connection.execute(_EXISTS).fetchone() is None:
        return None
    row = connection.execute("SELECT list FROM recipients").fetchone()
    return None if row is None else codec.load(row[0])


def write(connection: sqlite3.Connection, recipients: RecipientList | None) -> None:
    """Replace the list in a transaction; None: remove it. Raises StoreError for one too large."""
    connection.execute(_CREATE)
    connection.execute("DELETE FROM recipients")
    if recipients is not None:
        connection.execute("INSERT INTO recipients VALUES (1, ?)", (codec.dump(recipients),))
