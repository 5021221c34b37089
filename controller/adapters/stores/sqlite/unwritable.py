"""A store on a read-only or full disk, read into memory.

In WAL mode SQLite has to create files next to the store even to read it. When it cannot, the store
is copied into memory, so that rollbacks and status still work.
"""

import os
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Final

# What SQLite needs for the index of a WAL, with a margin.
_ROOM: Final = 128 * 1_024  # bytes

_READ_ONLY: Final = (
    "is read-only: nothing can be written beside it; check the path and that its directory can be "
    "written to"
)
_FULL: Final = "has no room to grow; nothing was written; free disk space, run again"


class UnwritableCopy(sqlite3.Connection):
    """A copy in memory of a store that cannot be written. why: the reason, for error messages."""

    why: str = ""


def unwritable_copy(path: Path, error: sqlite3.Error) -> UnwritableCopy:
    """Return a copy of the store at `path`, which SQLite refused to open with `error`.

    Raises `error` when it has another cause than an unwritable disk, and when the file is not the
    complete store: its newest saves are in the WAL, or another run writes to it meanwhile.
    """
    why = _why(path, error)
    if not why or not path.is_file() or _has_wal(path):
        raise error
    before = path.stat().st_mtime_ns
    copy = sqlite3.connect("file::memory:", uri=True, isolation_level=None, factory=UnwritableCopy)
    _read_into(copy, path)
    if _has_wal(path) or path.stat().st_mtime_ns != before:
        copy.close()
        raise error
    copy.why = why
    return copy


def _read_into(copy: sqlite3.Connection, path: Path) -> None:
    """Read the whole store at `path` into `copy`."""
    source = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro&immutable=1", uri=True)
    with closing(source):
        source.backup(copy)


def _why(path: Path, error: sqlite3.Error) -> str:
    """Return why the disk of `path` cannot be written; empty when `error` has another cause."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code in (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY) and not os.access(
        path.parent, os.W_OK, effective_ids=os.access in os.supports_effective_ids
    ):
        return _READ_ONLY
    if code in (sqlite3.SQLITE_IOERR, sqlite3.SQLITE_FULL):
        disk = os.statvfs(path.parent)
        return _FULL if disk.f_bavail * disk.f_frsize < _ROOM else ""
    return ""


def _has_wal(path: Path) -> bool:
    """Tell whether a WAL may have the newest saves, of a run in progress or a killed one."""
    wal = path.with_name(f"{path.name}-wal")
    return wal.exists() and wal.stat().st_size > 0
