"""History entries as lines and as JSON data."""

from collections.abc import Iterable
from typing import Any

from controller.core.history import Entry


def entry_data(entry: Entry) -> dict[str, Any]:
    """Return `entry` as plain JSON data."""
    return {
        "seq": entry.seq,
        "at": entry.at.isoformat(),
        "kind": entry.kind,
        **entry.body,
        "previous": entry.previous,
        "hash": entry.hash,
    }


def entry_text(entry: Entry) -> str:
    """Return `entry` in one line, and the findings that decided below it."""
    body = entry.body
    line = (
        f"{entry.at:%Y-%m-%d %H:%M}  {body['weight_to']:>3} %  {entry.kind:<13} {body['sentence']}"
    )
    return line if body["by"] == "rolloutctl" else f"{line}  (by {body['by']})"


def timeline(entries: Iterable[Entry]) -> list[str]:
    """Return the transitions as lines, each with the findings that decided it."""
    lines: list[str] = []
    for entry in entries:
        if entry.kind in ("evidence", "write_again"):
            continue
        body = entry.body
        lines.append(
            f"{entry.at:%Y-%m-%d %H:%M}  {body['weight_to']:>3} %  {entry.kind:<13} "
            f"{body['sentence']}"
        )
        if entry.kind in ("advanced", "succeeded"):
            lines.extend(f"{'':25}{finding['sentence']}" for finding in body["findings"])
    return lines
