"""Where tests keep their files: in memory, where the system has a folder for that.

A store in SQLite waits for the disk at each save, and most tests save.
"""

import os
import shutil
from pathlib import Path
from typing import Final

_IN_MEMORY: Final = Path("/dev/shm")  # noqa: S108 - Linux has it
_ON_DISK: Final = Path("/tmp")  # noqa: S108

_NEEDED_BYTES: Final = 2 << 30


def root() -> Path:
    """Return the folder in memory if it has room and programs may be run there, or `/tmp`."""
    if not _IN_MEMORY.is_dir() or shutil.disk_usage(_IN_MEMORY).free < _NEEDED_BYTES:
        return _ON_DISK
    return _ON_DISK if os.statvfs(_IN_MEMORY).f_flag & os.ST_NOEXEC else _IN_MEMORY
