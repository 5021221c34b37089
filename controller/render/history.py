"""History entries as lines and as JSON data."""

from collections.abc import Iterable, Iterator
from typing import Any

from controller.core.history import Entry
from controller.core.rollout import Reason
from controller.core.snapshot import Digests

# Decisions of a gate: the sentence is short, and the findings below it say the rest.
_GATE_REASONS = frozenset(
    {Reason.GATE_PASSED, Reason.ADVANCED_UNPROVEN, Reason.COMPLETED, Reason.INCONCLUSIVE}
)
_DECISIONS = frozenset({"advanced", "succeeded", "paused", "rolling_back"})
_INDENT = " " * 41  # findings stand below the sentence


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


def digests_data(digests: Digests) -> dict[str, Any]:
    """Return as plain JSON data whether a policy is that of the start, and each of its digests.

    The digest of the first entry is empty where that names none.
    """
    return {
        "policy_valid": digests.consistent,
        "policy_digests": {
            "snapshot": digests.snapshot,
            "state": digests.state,
            "first_entry": digests.at_start,
        },
    }


def history_lines(entries: Iterable[Entry]) -> Iterator[str]:
    """Yield every entry as a line that says who did it, and the findings that decided below."""
    for entry, sentence in _without_repeats(entries):
        yield f"{_line(entry, sentence)}  (by {_author(entry)})"
        yield from _findings(entry)


def timeline(entries: Iterable[Entry]) -> Iterator[str]:
    """Yield the transitions as lines, each with the findings that decided it below."""
    for entry, sentence in _without_repeats(entries):
        if entry.kind not in ("evidence", "write_again"):
            yield _line(entry, sentence)
            yield from _findings(entry)


def _without_repeats(entries: Iterable[Entry]) -> Iterator[tuple[Entry, str]]:
    """Yield entries with their sentences; the end of a rollback does not repeat why it began."""
    why = ""
    for entry in entries:
        sentence = entry.body["sentence"]
        if entry.kind == "rolling_back":
            why = sentence
        elif entry.kind == "rolled_back" and sentence == why:
            sentence = "0 % is in force"
        yield entry, sentence


def _line(entry: Entry, sentence: str) -> str:
    return f"{entry.at:%Y-%m-%d %H:%M}  {entry.body['weight_to']:>3} %  {entry.kind:<13} {sentence}"


def _author(entry: Entry) -> str:
    """Return who did it, as it was claimed, and as AWS said where that is something else."""
    by, caller = entry.body["by"], entry.body.get("caller")
    if caller in (None, by):
        return str(by)
    return f"{by} (verified: {caller})" if caller else f"{by} (unverified)"


def _findings(entry: Entry) -> Iterator[str]:
    if entry.kind in _DECISIONS and entry.body["reason"] in _GATE_REASONS:
        for finding in entry.body["findings"]:
            yield f"{_INDENT}{finding['sentence']}"
