"""The append-only history of a rollout: a hash chain, in which a gap or a change is detected.

An entry's hash is SHA-256 over the previous hash and the entry's canonical JSON.

The policy snapshot of a rollout is checked here: whether it is still the policy of the start. A
store has its digest in three places: that of the snapshot itself, in the state, and in the first
entry of the history, with which the hash chain begins. A role that can write all three can make
them agree; the log outside the store then shows the change.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from msgspec import NODEFAULT, Struct
from msgspec.structs import FieldInfo, asdict, astuple, fields

from controller.core.decision import Record
from controller.core.judge.findings import Finding, Label, Verdict
from controller.core.judge.stored_series import series_data, short_number
from controller.core.notice_rules import Condition
from controller.core.observation import Observation, Series, TargetReading, UnreadableTarget
from controller.core.repeated_state import (
    MEMORY_FIELDS,
    PENDING_MEMORY_FIELDS,
    STATE_MEMORY_FIELDS,
    digest_of_state,
    repeated_state,
)
from controller.core.rollout import Progressing, Rollout
from controller.core.units import AwareTime, Count
from controller.errors import StateChangedError, StoreError
from controller.immutable import Immutable, field, plain_data, replace


class Entry(Immutable):
    """One entry of a history. `body` is plain JSON data; `hash` covers it and `previous`."""

    seq: Count
    at: AwareTime
    kind: str
    body: Mapping[str, Any] = field(default_factory=dict)
    previous: str = ""
    hash: str = ""


class Author(Immutable):
    """The author of a history entry.

    by: the name that was claimed. caller: the ARN of the credentials, as AWS reports it; empty
    where AWS did not report it, None where AWS was not called, as in a tick.
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
    state: Mapping[str, Any] | None = None,
) -> tuple[Rollout, Entry]:
    """Return the rollout with its hash chain extended, and the entry to store with it.

    by, caller: the author, as in `Author`. observation: as JSON data (`observation_data`).
    run: the id of the run, as in its log; empty where there is no log.
    state: what the entry repeats of the state; None: that of `rollout`.
    """
    author = {"by": by} if caller is None else {"by": by, "caller": caller}
    body = {
        **author,
        **({"run": run} if run else {}),
        **record_data(record),
        "state": repeated_state(rollout) if state is None else state,
        "observation": observation,
    }
    # The hash covers the body as a store returns it. No record contains itself.
    body = json.loads(json.dumps(body, check_circular=False))
    seq = rollout.entries + 1
    digest = hash_of(rollout.chain, seq, record.at, record.kind, body)
    entry = Entry(seq, record.at, record.kind, body, rollout.chain, digest)
    after = replace(rollout, entries=seq, chain=digest, state_digest=digest_of_state(body["state"]))
    return after, entry


def hash_of(previous: str, seq: int, at: datetime, kind: str, body: Mapping[str, Any]) -> str:
    """Return the hash of an entry: it covers the whole entry and the hash of the one before."""
    parts = [previous, seq, at.isoformat(), kind, body]
    text = json.dumps(parts, sort_keys=True, check_circular=False)
    return hashlib.sha256(text.encode()).hexdigest()


def broken_link(entries: Iterable[Entry], chain: str | None = None) -> int | None:
    """Return the number of the first entry that breaks the hash chain; None when none does.

    chain: the last hash that the rollout recorded; without it, a missing end is not detected.
    """
    links = Links()
    for _ in links.checked(entries):
        if links.broken is not None:
            break
    return links.first_broken(chain)


class Links:
    """The hash chain of entries that pass by, of which none is kept.

    broken: the number of the first entry so far that breaks it; None when none does.
    """

    def __init__(self) -> None:
        self.broken: int | None = None
        self._seq, self._previous = 0, ""

    def checked(self, entries: Iterable[Entry]) -> Iterator[Entry]:
        """Yield `entries`, and look at each before."""
        for entry in entries:
            self._seq += 1
            expected = self._seq, self._previous, _hash(entry)
            if self.broken is None and (entry.seq, entry.previous, entry.hash) != expected:
                self.broken = self._seq
            self._previous = entry.hash
            yield entry

    def first_broken(self, chain: str | None = None) -> int | None:
        """Return `broken` of a whole history; an end that is missing breaks it, too.

        chain: the last hash that the rollout recorded; None: it is not known.
        """
        if self.broken is not None or chain in (None, self._previous):
            return self.broken
        return self._seq + 1


def recorded_state(rollout: Rollout, newest: Entry | None) -> Mapping[str, Any]:
    """Return what `newest`, the newest entry of the history of `rollout`, repeats of its state.

    Raises StateChangedError when the rollout does not go with that entry.
    """
    if newest is None or newest.hash != rollout.chain or newest.hash != _hash(newest):
        raise StateChangedError.of(rollout.id, ["chain"])
    state: Mapping[str, Any] = newest.body.get("state", {})
    return state


def _hash(entry: Entry) -> str:
    return hash_of(entry.previous, entry.seq, entry.at, entry.kind, entry.body)


def record_data(record: Record) -> dict[str, Any]:
    """Return the part of an entry that describes its decision, as plain JSON data."""
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
        data["tallies"] = {name: _short(tally) for name, tally in record.tallies.items()}
    if record.fold.through:
        # The version also where it is that of today: another one makes a fold start anew.
        data["fold"] = {"version": record.fold.version, **_short(record.fold)}
    if record.cause:
        data["cause"] = record.cause
    return data


def _short(value: Any) -> Any:
    """Return `value` as plain JSON data, in which a field with its default is left out."""
    match value:
        case Struct():
            parts = zip(fields(value), astuple(value), strict=True)
            return {one.name: _short(part) for one, part in parts if part != _default(one)}
        case Mapping():
            return {str(name): _short(part) for name, part in value.items()}
        case tuple():
            return [_short(part) for part in value]
        case float():
            return short_number(value)
        case _:
            return value


def _default(one: FieldInfo) -> Any:
    made = one.default_factory is not NODEFAULT
    return one.default_factory() if made else one.default


def finding_data(finding: Finding) -> dict[str, Any]:
    """Return a finding as plain JSON data, as the history stores it: its facts."""
    data: dict[str, Any] = plain_data(finding)
    if finding.gates:
        del data["gates"]
    return data


def finding_of(data: Mapping[str, Any]) -> Finding:
    """Return the finding that `finding_data` wrote. Raises ValueError, TypeError and KeyError."""
    verdict, label = Verdict(data["verdict"]), Label(data["label"])
    return Finding(**{**data, "verdict": verdict, "label": label})


def observation_data(
    before: Rollout, observation: Observation, series: Mapping[str, Series]
) -> dict[str, Any]:
    """Return the inputs of a decision about `before`, as plain JSON data.

    series: the part of the observed series that the entry stores.
    """
    data: dict[str, Any] = {
        "target": target_data(before, observation.target),
        "series": series_data(series),
        "memory": memory_data(before),
    }
    if observation.alarms:
        data["alarms"] = {name: plain_data(alarm) for name, alarm in observation.alarms.items()}
    if observation.hooks:
        data["hooks"] = {
            address: {"consent": str(answer.consent), "message": answer.message}
            for address, answer in observation.hooks.items()
        }
    if observation.fix is not None:
        data["fix"] = dict(observation.fix)
    return data if observation.owns_target else {**data, "owns_target": False}


def memory_data(rollout: Rollout) -> dict[str, Any]:
    """Return the fields of `rollout` that ticks change without an entry, as plain JSON data.

    An entry stores them, so that its decision can be derived again without those ticks.
    """
    memory = {name: getattr(rollout, name) for name in MEMORY_FIELDS}
    if isinstance(rollout.state, Progressing):
        memory |= {name: getattr(rollout.state, name) for name in STATE_MEMORY_FIELDS}
    if rollout.pending is not None:
        memory |= {name: getattr(rollout.pending, name) for name in PENDING_MEMORY_FIELDS}
    return {
        name: _json_value(value) for name, value in memory.items() if value not in (None, "", {})
    }


def _json_value(value: object) -> object:
    if isinstance(value, Condition):
        value = asdict(value)
    if isinstance(value, Mapping):
        return {str(name): _json_value(part) for name, part in value.items()}
    return value.isoformat() if isinstance(value, datetime) else value


def target_data(before: Rollout, target: TargetReading | UnreadableTarget) -> dict[str, Any]:
    """Return the observed state of the target as plain JSON data.

    Its code is there where it is not the one of `before`.
    """
    if isinstance(target, UnreadableTarget):
        return {"unreadable": target.reason, "permanent": target.permanent}
    return {
        "identity": target.identity,
        "weight": target.weight,
        "variables": target.variables,
        "token": target.token,
        "update": str(target.update),
        "detail": target.detail,
        **({"may_be_full": True} if target.may_be_full else {}),
        **({"code": target.code} if before.is_other_code(target.code) else {}),
        **({"others": target.others} if target.others else {}),
    }


# --- The policy snapshot --------------------------------------------------------------------------

# Keys of the first entry of a history: what it records of the policy.
POLICY_DIGEST: Final = "policy_digest"
TARGET: Final = "target"


class SnapshotChangedError(StoreError):
    """The stored policy is not the one of the start: the rollout may only lower its weight.

    rollout: the rollout as it is stored; its policy is not to be trusted.
    digest: that of the policy as it is stored.
    """

    def __init__(self, rollout: Rollout, digest: str) -> None:
        super().__init__(
            f"the stored policy of {rollout.id} was changed after the start: ticks do not raise, "
            "judge or lower it, and the weight stays as it is; roll it back (rolloutctl rollback "
            f"{rollout.id}, or rollback POLICY.yaml with the file of the start), or restore its "
            "record from a backup, and check who wrote to the store",
            rollout=rollout.id,
            digest=rollout.digest,
            found=digest,
        )
        self.rollout = rollout
        self.digest = digest


class Digests(Immutable):
    """SHA-256 of the policy, from each place that has one; all three are equal."""

    snapshot: str
    """Of the policy as it is stored."""
    state: str
    """In the state of the rollout."""
    at_start: str = field(name="first_entry")
    """In the first entry of the history; empty where it has none."""

    @property
    def consistent(self) -> bool:
        """True where all three digests are equal."""
        return self.snapshot == self.state == self.at_start


def digests(rollout: Rollout, entries: Sequence[Entry], snapshot: str | None = None) -> Digests:
    """Return the digests of the policy of `rollout`, whose history is `entries`.

    snapshot: that of the stored policy, where it is not the one that the state names.
    """
    at_start = _start_fact(entries, POLICY_DIGEST)
    at_start = at_start if isinstance(at_start, str) else ""
    return Digests(snapshot or rollout.digest, rollout.digest, at_start)


def digest_problem(rollout_id: str, policy_digests: Digests) -> str:
    """Return why the policy of a rollout is not that of the start; empty when it is."""
    if policy_digests.consistent:
        return ""
    if policy_digests.snapshot != policy_digests.state:
        return f"the stored policy of {rollout_id} differs from the digest in its state"
    return f"the stored policy of {rollout_id} differs from the digest in its first history entry"


def check_digests(rollout: Rollout, entries: Sequence[Entry]) -> None:
    """Raise SnapshotChangedError when `rollout` was started with another policy than it has."""
    if not digests(rollout, entries).consistent:
        raise SnapshotChangedError(rollout, rollout.digest)


def is_target_unchanged(rollout: Rollout, entries: Sequence[Entry]) -> bool:
    """Tell whether the policy of `rollout` names the function and variables of the start."""
    return _start_fact(entries, TARGET) == rollout.policy.target.model_dump(mode="json")


def _start_fact(entries: Sequence[Entry], name: str) -> object:
    because = entries[0].body.get("cause") if entries else None
    return because.get(name) if isinstance(because, dict) else None
