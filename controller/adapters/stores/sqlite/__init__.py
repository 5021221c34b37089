"""Rollouts in an SQLite file: `file` opens it, `SqliteStore` keeps rollouts in it."""

from controller.adapters.stores.sqlite.store import SqliteStore

__all__ = ["SqliteStore"]
