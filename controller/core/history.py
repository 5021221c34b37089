"""The append-only history of a rollout, chained by hash so that a gap or a change shows.

An entry's hash is SHA-256 over the previous hash and the entry's canonical JSON.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from typing import Any, Final

from controller.core.decision import Record
from controller.core.judge.evidence import Tally
from controller.core.judge.findings import Finding
from controller.core.message import Page
from controller.core.observation import Observation, Series, TargetReading, UnreadableTarget
from controller.core.rollout import Rollout

# Fields of a rollout that change without an entry, and that a later decision depends on.
MEMORY_FIELDS: Final = (
    "blind_since",
    "hold_from",
    "page",
    "reason",
    "reminded",
    "seen_weight",
    "unfinished_since",
    "write_error",
)


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of history. `body` is plain JSON data; `hash` covers it and `previous`."""

    seq: int
    at: datetime
    kind: str
    body: Mapping[str, Any] = field(default_factory=dict)
    previous: str = ""
    hash: str = ""


@dataclass(frozen=True, slots=True)
class Author:
    """Who is written into a history.

    by: the name that was claimed. caller: the ARN that AWS says these credentials are of; empty
    where AWS did not say, None where it was not asked, as by a tick.
    """

    by: str
    caller: str | None = None


def append(
    rollout: Rollout,
    record: Record,
    *,
    by: str,
    observation: Mapping[str, Any],
    run: str = "",
    caller: str | None = None,
) -> tuple[Rollout, Entry]:
    """Return the rollout with its chain moved on, and the entry to store with it.

    by, caller: who did it, as an `Author` has it. observation: the observation as JSON data (`seen_data`).
    run: the name that the log of that run has too; empty where there is no log.
    """
    who = {"by": by} if caller is None else {"by": by, "caller": caller}
    body = {**who, **({"run": run} if run else {}), **record_data(record), "seen": observation}
    body = json.loads(json.dumps(body))  # as a store gives it back, or the hash would not fit
    seq = rollout.entries + 1
    digest = hash_of(rollout.chain, seq, record.at, record.kind, body)
    entry = Entry(seq, record.at, record.kind, body, rollout.chain, digest)
    return replace(rollout, entries=seq, chain=digest), entry


def hash_of(previous: str, seq: int, at: datetime, kind: str, body: Mapping[str, Any]) -> str:
    """Return the hash of an entry, which covers all of it and the hash of the one before."""
    text = json.dumps([previous, seq, at.isoformat(), kind, body], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def broken_link(entries: Iterable[Entry], chain: str | None = None) -> int | None:
    """Return the number of the first entry that does not follow from those before; None if all do.

    chain: the last hash that the rollout recorded; without it, a cut-off end cannot be seen.
    """
    previous, seq = "", 0
    for entry in entries:
        seq += 1
        expected = hash_of(previous, seq, entry.at, entry.kind, entry.body)
        if (entry.seq, entry.previous, entry.hash) != (seq, previous, expected):
            return seq
        previous = entry.hash
    return None if chain in (None, previous) else seq + 1


def record_data(record: Record) -> dict[str, Any]:
    """Return what an entry says of a decision, as plain JSON data."""
    data: dict[str, Any] = {
        "phase_from": record.phase_from,
        "phase_to": record.phase_to,
        "weight_from": record.weight_from,
        "weight_to": record.weight_to,
        "step": record.step,
        "reason": record.reason,
        "sentence": record.sentence,
        "findings": [finding_data(finding) for finding in record.findings],
    }
    if record.tallies:
        data["tallies"] = {name: _tally_data(tally) for name, tally in record.tallies.items()}
    if record.fold.through:
        data["fold"] = asdict(record.fold)
    if record.because:
        data["because"] = record.because
    return data


def _tally_data(tally: Tally) -> dict[str, Any]:
    data = asdict(tally)
    if not tally.recent:
        del data["recent"]
    return data


def finding_data(finding: Finding) -> dict[str, Any]:
    """Return a finding as plain JSON data, as `status --json` and the history show it."""
    data = {
        "criterion": finding.criterion,
        "verdict": str(finding.verdict),
        "label": str(finding.label),
        "measured": finding.measured,
        "bound": finding.bound,
        "samples": finding.samples,
        "start": finding.start,
        "end": finding.end,
        "sentence": finding.sentence,
    }
    return data if finding.gates else {**data, "gates": False}


def observation_data(
    before: Rollout, observation: Observation, series: Mapping[str, Series]
) -> dict[str, Any]:
    """Return what a decision about `before` was made from, as plain JSON data.

    series: what is kept of the series that were seen.
    """
    data: dict[str, Any] = {
        "target": target_data(observation.target),
        "series": series_data(series),
        "memory": memory_data(before),
    }
    if observation.alarms:
        data["alarms"] = {name: asdict(one) for name, one in observation.alarms.items()}
    if observation.hooks:
        data["hooks"] = {
            address: {"consent": str(one.consent), "said": one.said}
            for address, one in observation.hooks.items()
        }
    return data if observation.owns_target else {**data, "owns_target": False}


def series_data(series: Mapping[str, Series]) -> dict[str, Any]:
    """Return the series of an observation as plain JSON data."""
    return {
        key: {
            "points": [[second, value] for second, value in sorted(one.points.items())],
            "answer": str(one.answer),
            **({"message": one.message} if one.message else {}),
        }
        for key, one in series.items()
    }


def memory_data(rollout: Rollout) -> dict[str, Any]:
    """Return what ticks without an entry may have changed of `rollout`, as plain JSON data.

    An entry keeps it, so that its decision can be derived again without those ticks.
    """
    memory = {name: getattr(rollout, name) for name in MEMORY_FIELDS}
    return {name: _json_value(value) for name, value in memory.items() if value not in (None, "")}


def _json_value(value: object) -> object:
    if isinstance(value, Page):
        return {name: _json_value(part) for name, part in asdict(value).items()}
    return value.isoformat() if isinstance(value, datetime) else value


def target_data(target: TargetReading | UnreadableTarget) -> dict[str, Any]:
    """Return what was seen of the target as plain JSON data."""
    if isinstance(target, UnreadableTarget):
        return {"unreadable": target.reason, "hopeless": target.permanent}
    return {
        "identity": target.identity,
        "weight": target.weight,
        "shown": target.shown,
        "token": target.token,
        "update": str(target.update),
        "detail": target.detail,
        **({"may_be_full": True} if target.may_be_full else {}),
    }
