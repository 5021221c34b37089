"""Rollouts in an SQLite file: `file` opens it, `SqliteStore` reads and writes it.

How a record is written as text is in `adapters/stores/codec.py`, as for a table.
"""

from controller.adapters.stores.sqlite.store import SqliteStore, one_call_at_a_time

__all__ = ["SqliteStore", "one_call_at_a_time"]
