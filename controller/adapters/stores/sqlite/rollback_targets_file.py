"""The targets file `<store file>.targets.json`: the targets of the rollouts in a store.

A rollback by the id of a rollout takes the names of its function and variables from here when the
database cannot be read. The file has no values of variables. A superfluous entry does no harm.
"""

import json
import os
import tempfile
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError

from controller.core.policy import TargetSpec
from controller.core.policy.kind_registry import KindError
from controller.core.policy.targets import TARGETS
from controller.core.rollout import Rollout
from controller.immutable import Immutable
from controller.process import logging

MOST_BYTES: Final = 1_024 * 1_024  # of the file
MOST_ENTRIES: Final = 200  # the newest entries; those of active rollouts stay in addition

log = logging.logger()


class KnownTarget(Immutable):
    """The target of a rollout. identity: the ARN of the function, as read at the start."""

    target: TargetSpec
    identity: str


def read_targets(path: Path) -> Mapping[str, KnownTarget]:
    """Return the targets in the file of the store at `path`, by the id of their rollout.

    Opens no database. A damaged file or entry is ignored; nothing is raised.
    """
    return dict(_parse_entries(_entries(path)))


def record_target(path: Path, rollout: Rollout, active: Collection[str], *, durable: bool) -> None:
    """Add the target of `rollout` to the file of the store at `path`.

    active: ids whose entries stay however old they are. durable: wait for the disk.
    A failure is only logged: a start must not fail because of it.
    """
    entry = {"target": rollout.policy.target.model_dump(mode="json"), "identity": rollout.target}
    try:
        entries = {one: value for one, value in _entries(path).items() if one != rollout.id}
        _write(_file(path), _bounded({**entries, rollout.id: entry}, active), durable=durable)
    except (OSError, ValueError) as error:
        log.warning("targets_file_failed", rollout=rollout.id, problem=str(error))


def _file(path: Path) -> Path:
    return path.with_name(f"{path.name}.targets.json")


def _parse_entries(entries: Mapping[str, Any]) -> Iterator[tuple[str, KnownTarget]]:
    for rollout_id, entry in entries.items():
        match entry:
            case {"target": target, "identity": str(identity)}:
                try:
                    yield rollout_id, KnownTarget(TARGETS.read(target), identity)
                except (ValidationError, KindError):
                    continue
            case _:
                continue


def _entries(path: Path) -> dict[str, Any]:
    """Return the entries of the file, the oldest first; none when the file is damaged."""
    try:
        file = _file(path)
        if not file.is_file():  # a pipe would block
            return {}
        with file.open("rb") as stream:
            content = stream.read(MOST_BYTES + 1)
        data = json.loads(content) if len(content) <= MOST_BYTES else {}
    except (OSError, ValueError, RecursionError):
        return {}
    return data if isinstance(data, dict) else {}


def _bounded(entries: dict[str, Any], active: Collection[str]) -> bytes:
    """Return `entries` as JSON of at most MOST_BYTES, without the oldest ones."""
    newest = [*entries][-MOST_ENTRIES:]
    bounded = {one: entry for one, entry in entries.items() if one in newest or one in active}
    while len(content := json.dumps(bounded, indent=1).encode()) > MOST_BYTES:
        del bounded[next(iter(bounded))]
    return content


def _write(file: Path, content: bytes, *, durable: bool) -> None:
    handle, draft = tempfile.mkstemp(prefix=f".{file.name}.", dir=file.parent)
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(content)
            stream.flush()
            if durable:
                os.fsync(stream.fileno())
        Path(draft).chmod(0o600)
        Path(draft).replace(file)
    except BaseException:
        Path(draft).unlink(missing_ok=True)
        raise
