"""The targets of the rollouts in a store, in a file beside it: `<store file>.targets.json`.

A rollback by the id of a rollout takes its names from here when the database cannot be read. The
file holds names only, and none of the values of variables. An entry too many does no harm.
"""

import json
import os
import tempfile
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError

from controller.core.policy import LambdaEnv
from controller.core.rollout import Rollout
from controller.process import logging

MOST_BYTES: Final = 1_024 * 1_024  # of the file
MOST_ENTRIES: Final = 200  # of the newest entries, beside those of rollouts that are active

log = logging.logger()


@dataclass(frozen=True, slots=True)
class KnownTarget:
    """What a rollout moves. identity: the ARN of the function, as it was read at the start."""

    target: LambdaEnv
    identity: str


def read_targets(path: Path) -> Mapping[str, KnownTarget]:
    """Return the targets that are known beside the store at `path`, by the id of their rollout.

    No database is opened. What is wrong with the file or with an entry leaves that out: nothing is
    raised.
    """
    return dict(_parse_entries(_entries(path)))


def record_target(path: Path, rollout: Rollout, active: Collection[str], *, durable: bool) -> None:
    """Write the target of `rollout` into the file beside the store at `path`.

    active: ids whose entries are kept however old they are. durable: wait for the disk.
    A failure is logged, and nothing else: no start fails for it.
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
                    yield rollout_id, KnownTarget(LambdaEnv.model_validate(target), identity)
                except ValidationError:
                    continue
            case _:
                continue


def _entries(path: Path) -> dict[str, Any]:
    """Return what the file holds, the oldest entry first; nothing when it is no file of ours."""
    try:
        file = _file(path)
        if not file.is_file():  # a pipe would be waited for
            return {}
        with file.open("rb") as stream:
            content = stream.read(MOST_BYTES + 1)
        data = json.loads(content) if len(content) <= MOST_BYTES else {}
    except (OSError, ValueError, RecursionError):
        return {}
    return data if isinstance(data, dict) else {}


def _bounded(entries: dict[str, Any], active: Collection[str]) -> bytes:
    """Return `entries` as JSON that can be read back, without those of long ago."""
    newest = [*entries][-MOST_ENTRIES:]
    wanted = {one: entry for one, entry in entries.items() if one in newest or one in active}
    while len(content := json.dumps(wanted, indent=1).encode()) > MOST_BYTES:
        del wanted[next(iter(wanted))]
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
