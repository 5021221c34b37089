"""Simulated read-only and full disks for SQLite, because tests cannot mount real ones."""

import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock


@contextmanager
def read_only_disk(file: Path) -> Iterator[None]:
    """Make the disk of `file` read-only: SQLite cannot create the files of the WAL."""
    access = os.access

    def writable(path: Any, mode: int, **options: Any) -> bool:
        return Path(path) != file.parent and access(path, mode, **options)

    with (
        _refusing(file, sqlite3.SQLITE_CANTOPEN, "unable to open database file"),
        mock.patch.object(os, "access", writable),
    ):
        yield


@contextmanager
def full_disk(file: Path) -> Iterator[None]:
    """Make the disk of `file` full, even for the files of the WAL."""
    full = SimpleNamespace(f_bavail=0, f_frsize=4_096)
    with (
        _refusing(file, sqlite3.SQLITE_IOERR | (19 << 8), "disk I/O error"),
        mock.patch.object(os, "statvfs", return_value=full),
    ):
        yield


@contextmanager
def _refusing(file: Path, code: int, words: str) -> Iterator[None]:
    """Make SQLite answer `code` when a writable database at `file` is opened."""
    connect: Callable[..., sqlite3.Connection] = sqlite3.connect

    class Refusing(sqlite3.Connection):
        def execute(self, *_: Any) -> sqlite3.Cursor:
            error = sqlite3.OperationalError(words)
            error.sqlite_errorcode, error.sqlite_errorname = code, words
            raise error

    def on_this_disk(place: Any, **options: Any) -> sqlite3.Connection:
        if file.absolute().as_uri() in str(place) and "immutable" not in str(place):
            options["factory"] = Refusing
        return connect(place, **options)

    with mock.patch.object(sqlite3, "connect", on_this_disk):
        yield
