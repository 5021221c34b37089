"""Rollouts in an SQLite file: `file` opens it, `SqliteStore` reads and writes it."""

from controller.adapters.stores.sqlite.store import SqliteStore

__all__ = ["SqliteStore"]
