"""The file of a `SqliteStore`: atomic creation, checks on opening, errors as StoreError."""

import os
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import Final

from controller.adapters.stores import error_texts as refusals
from controller.adapters.stores.sqlite.rows import text_of
from controller.core import stored_formats
from controller.errors import StoreError

IN_MEMORY: Final = Path(":memory:")  # the name of a store without a file, in messages

# PRAGMA user_version is the format of the rollouts that are started in the file, plus this: the
# tables were changed once before there were formats.
_LAYOUTS_BEFORE = 1
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
"""


def format_of(connection: sqlite3.Connection) -> int:
    """Return the format of the rollouts that are started in the database."""
    return int(connection.execute("PRAGMA user_version").fetchone()[0]) - _LAYOUTS_BEFORE


def set_format(connection: sqlite3.Connection, stored_format: int) -> None:
    """Set the format of the rollouts that are started in the database."""
    connection.execute(f"PRAGMA user_version = {stored_format + _LAYOUTS_BEFORE}")


# A save takes milliseconds; a process with a longer lock hangs, and a tick must end.
BUSY_LIMIT = timedelta(seconds=10)

_OLDEST_SQLITE = (3, 38)  # STRICT tables, and JSON functions by default


def open_file(path: Path | None, *, durable: bool, create: bool = True) -> sqlite3.Connection:
    """Return a connection to the store at `path`, created with its directory if there is none.

    None is a store in memory. Without `create` nothing is changed on disk: a missing store is an
    empty one in memory. On a disk that is full or read-only it is a copy in memory that refuses
    writes.
    Raises StoreError when it cannot be opened, is no store of rolloutctl, or has another format.
    """
    place = path or IN_MEMORY
    if sqlite3.sqlite_version_info < _OLDEST_SQLITE:
        raise StoreError(
            f"cannot open {place}: Python was built with SQLite {sqlite3.sqlite_version}, "
            "and the store needs 3.38; use a newer Python"
        )
    with store_errors(place, "open the store"):
        if path is None or not (create or path.exists()):
            connection = _connect("file::memory:")
            _make_tables(connection)
        else:
            if not path.exists():
                _create(path)
            connection = _open_connection(path)
        try:
            _check(place, connection)
            connection.text_factory = text_of  # a copy in memory is another connection
            connection.execute("PRAGMA foreign_keys = ON")
            connection.execute(f"PRAGMA synchronous = {'FULL' if durable else 'OFF'}")
        except BaseException:
            connection.close()
            raise
    return connection


@contextmanager
def store_errors(path: Path, doing: str) -> Iterator[None]:
    """Translate errors of SQLite and the system at `path` into StoreError with advice."""
    try:
        yield
    except sqlite3.Error as error:
        code: int | None = getattr(error, "sqlite_errorcode", None)
        if code is None:
            raise  # a bug in this program, such as a closed store, and no error of the file
        problem, advice = _ADVICE.get(code & 0xFF, (f"answered: {error}", _REPORT_ADVICE))
        raise StoreError(
            f"cannot {doing}: {path} {problem}; {advice}",
            file=str(path),
            sqlite=error.sqlite_errorname,
        ) from error
    except UnicodeDecodeError as error:  # SQLite's own message quotes bytes of the file
        raise StoreError(
            f"cannot {doing}: {path} is damaged; {_BACKUP_ADVICE}", file=str(path)
        ) from error
    except UnicodeEncodeError as error:
        raise StoreError(
            f"cannot {doing}: {path} holds no text like that: it is not UTF-8", file=str(path)
        ) from error
    except OSError as error:
        raise StoreError(
            f"cannot {doing}: {path}: {error.strerror}; {_ACCESS_ADVICE}", file=str(path)
        ) from error


@contextmanager
def transaction(connection: sqlite3.Connection, path: Path, doing: str) -> Iterator[None]:
    """Run one transaction that has the write lock from its beginning."""
    if isinstance(connection, UnwritableCopy):
        raise StoreError(f"cannot {doing}: {path} {connection.why}", file=str(path))
    with store_errors(path, doing), connection:
        connection.execute("BEGIN IMMEDIATE")
        yield


def _create(path: Path) -> None:
    """Create the file under a temporary name with mode 0600, and link it when it is complete.

    So no run opens a store without tables, and no two runs race to switch it to WAL: there SQLite
    does not wait, but returns SQLITE_BUSY at once. Missing folders get mode 0700.
    """
    missing = [parent for parent in path.parents if not parent.exists()]
    for one in reversed(missing):
        one.mkdir(mode=0o700, exist_ok=True)
        one.chmod(0o700)  # whatever the umask
    handle, draft = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    os.close(handle)
    try:
        Path(draft).chmod(0o600)  # whatever the umask; SQLite's own files inherit the mode
        with closing(_connect(Path(draft).absolute().as_uri())) as connection:
            connection.execute("PRAGMA journal_mode = WAL")
            _make_tables(connection)
        with suppress(FileExistsError):  # another run created an equal store first
            path.hardlink_to(draft)
    finally:
        Path(draft).unlink()


def _make_tables(connection: sqlite3.Connection) -> None:
    connection.executescript(TABLES)
    set_format(connection, stored_formats.NEWEST)


def _open_connection(path: Path) -> sqlite3.Connection:
    """Return a connection that can read the file, or a copy when the disk cannot be written."""
    connection = _connect(f"{path.absolute().as_uri()}?mode=rw")  # rw: never creates
    try:
        format_of(connection)
    except sqlite3.Error as error:
        connection.close()
        return unwritable_copy(path, error)
    except UnicodeDecodeError:
        connection.close()
        raise
    return connection


def _connect(uri: str) -> sqlite3.Connection:
    """Return a connection in autocommit mode that also reads text which is not UTF-8."""
    connection = sqlite3.connect(
        uri,
        uri=True,
        isolation_level=None,
        timeout=BUSY_LIMIT.total_seconds(),
        check_same_thread=False,  # one call at a time: see `one_call_at_a_time`
    )
    connection.text_factory = text_of
    return connection


def _check(path: Path, connection: sqlite3.Connection) -> None:
    if connection.execute("PRAGMA application_id").fetchone() != (APPLICATION_ID,):
        raise StoreError(f"{path} is not a rolloutctl store; {_PATH_ADVICE}", file=str(path))
    refusals.check_format(str(path), format_of(connection))


_PATH_ADVICE = "check which store was meant, or name a file that does not exist yet"
_ACCESS_ADVICE = "check the path and that its directory can be written to"
_BACKUP_ADVICE = (
    "restore it from a backup; a rollback by function and variable names needs no store"
)
_REPORT_ADVICE = "nothing was written; run again, and report it when it stays"
_ADVICE = {
    sqlite3.SQLITE_BUSY: (
        f"was locked by another process for {BUSY_LIMIT.total_seconds():.0f} s",
        "nothing was written; run again, and when it stays find who has the file open",
    ),
    sqlite3.SQLITE_NOTADB: ("is not an SQLite database", _PATH_ADVICE),
    sqlite3.SQLITE_CORRUPT: ("is damaged", _BACKUP_ADVICE),
    sqlite3.SQLITE_FULL: ("has no room to grow", "nothing was written; free disk space, run again"),
    sqlite3.SQLITE_IOERR: ("cannot be read or written", "check the disk, run again"),
    sqlite3.SQLITE_READONLY: ("is read-only", _ACCESS_ADVICE),
    sqlite3.SQLITE_CANTOPEN: ("cannot be opened", _ACCESS_ADVICE),
    sqlite3.SQLITE_PERM: ("may not be opened", _ACCESS_ADVICE),
    sqlite3.SQLITE_AUTH: ("may not be opened", _ACCESS_ADVICE),
}


# --- A file that cannot be written: a copy to read ------------------------------------------------

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
    copy = sqlite3.connect(
        "file::memory:",
        uri=True,
        isolation_level=None,
        factory=UnwritableCopy,
        check_same_thread=False,
    )
    with ExitStack() as on_error:
        on_error.callback(copy.close)
        _read_into(copy, path)
        if _has_wal(path) or path.stat().st_mtime_ns != before:
            raise error
        on_error.pop_all()
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
