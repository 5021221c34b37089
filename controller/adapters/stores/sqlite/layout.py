"""The schema of a `SqliteStore`."""

import sqlite3

LAYOUT = 2  # PRAGMA user_version
# PRAGMA application_id, "rllt": protects the databases of other programs.
APPLICATION_ID = 0x726C6C74

# The columns that a save writes in addition to `state` repeat the parts of it that queries use.
TABLES = f"""
CREATE TABLE rollouts (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    attempt INTEGER NOT NULL,
    target TEXT NOT NULL,
    created TEXT NOT NULL,
    version INTEGER NOT NULL,
    closed INTEGER NOT NULL,
    watch_until TEXT,
    exposed_from TEXT,
    exposed_to TEXT,
    policy TEXT NOT NULL,
    state TEXT NOT NULL,
    fence INTEGER NOT NULL DEFAULT 0,
    holder TEXT,
    lease_until TEXT
) STRICT;
CREATE TABLE history (
    rollout TEXT NOT NULL REFERENCES rollouts (id),
    seq INTEGER NOT NULL,
    entry TEXT NOT NULL,
    PRIMARY KEY (rollout, seq)
) STRICT;
CREATE TABLE locks (
    lock TEXT PRIMARY KEY,
    rollout TEXT NOT NULL REFERENCES rollouts (id)
) STRICT;
PRAGMA application_id = {APPLICATION_ID};
PRAGMA user_version = {LAYOUT};
"""


def application_of(connection: sqlite3.Connection) -> int:
    """Return the application id of the database."""
    return int(connection.execute("PRAGMA application_id").fetchone()[0])


def layout_of(connection: sqlite3.Connection) -> int:
    """Return the version of the schema of the database."""
    return int(connection.execute("PRAGMA user_version").fetchone()[0])
