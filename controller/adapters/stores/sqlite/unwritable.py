"""A store beside whose file nothing can be written: a read-only disk, or a full one.

In WAL, SQLite needs files beside the store even to read it. Without them the store is read into
memory: what it says must still bring traffic down, and be shown to people.
"""

import os
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Final

# What SQLite needs for the index of a WAL, and some more.
_ROOM: Final = 128 * 1_024  # bytes

_READ_ONLY: Final = (
    "is read-only: nothing can be written beside it; check the path and that its directory can be "
    "written to"
)
_FULL: Final = "has no room to grow; nothing was written; free disk space, run again"


class UnwritableCopy(sqlite3.Connection):
    """A store in memory, as it stands in a file that cannot be written. why: what to say of it."""

    why: str = ""


def unwritable_copy(path: Path, error: sqlite3.Error) -> UnwritableCopy:
    """Return the store at `path`, which SQLite refused to open with `error`, as a copy.

    Raises `error` when something else is wrong than that nothing can be written, and when the file
    is not the whole store: the newest saves are in its WAL, or another run writes to it meanwhile.
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
    whole = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro&immutable=1", uri=True)
    with closing(whole):
        whole.backup(copy)


def _why(path: Path, error: sqlite3.Error) -> str:
    """Return why nothing can be written beside `path`; empty when that is not what is wrong."""
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
    """Tell whether the newest saves may lie beside the file: a run goes on, or was killed."""
    wal = path.with_name(f"{path.name}-wal")
    return wal.exists() and wal.stat().st_size > 0
