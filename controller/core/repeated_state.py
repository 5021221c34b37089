"""The part of a rollout's state that each history entry repeats, and what it is compared for.

It is what a later decision depends on. A role that can write a record can change a field of it; the
newest entry then still has what the last decision left there.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any, Final

from msgspec import ValidationError
from msgspec.structs import fields

from controller.core.judge.evidence import FixStart, RolloutEvidence
from controller.core.rollout import (
    Paused,
    Phase,
    Progressing,
    Reason,
    RolledBack,
    RollingBack,
    Rollout,
    State,
    Succeeded,
)
from controller.core.units import AwareTime, Count
from controller.errors import StateChangedError
from controller.immutable import convert, plain_data, replace

# Fields that change without an entry, and that a later decision depends on: of a rollout, of its
# state while it progresses, and of a pending write. Such a change can only delay a raise.
MEMORY_FIELDS: Final = ("conditions", "seen_weight", "write_error")
STATE_MEMORY_FIELDS: Final = ("block", "hold_from")
PENDING_MEMORY_FIELDS: Final = ("first_look", "tried", "accepted")

# The start of a hold changes without an entry, and is repeated all the same: a hold that begins
# later only delays, and one that begins earlier may end in a raise.
_HOLD: Final = "hold_from"

# The fields of a rollout that an entry does not repeat: these; what every tick judges again; those
# that a save counts; and the policy, of which the rollout has the digest.
_UNREPEATED: Final = frozenset(
    {
        *MEMORY_FIELDS,
        *("evidence", "findings", "policy", "state"),
        *("chain", "code", "due", "entries", "format", "outbox", "state_digest", "threads"),
        *("updated", "version"),
    }
)
_UNREPEATED_OF_STATE: Final = frozenset({*STATE_MEMORY_FIELDS, "reason", "sentence"})
# What an entry repeats as a digest; an earlier entry may have it.
_LONG: Final = frozenset(
    {"baselines", "earlier_findings", "fold", "intervals", "leak_check", "sign_offs", "tallies"}
)
_SHA256: Final = "sha256:"
_DIGEST_LENGTH: Final = 8  # hexadecimal digits
_EMPTY: Final[tuple[object, ...]] = (None, "", 0, {}, (), [])


def repeated_state(rollout: Rollout) -> dict[str, Any]:
    """Return what an entry repeats of the state that it leads to, as plain JSON data by field.

    That is what a later decision depends on. A long value is its SHA-256, an empty one is left out.
    """
    parts = state_parts(rollout.state)
    if isinstance(rollout.state, Progressing):
        parts[_HOLD] = rollout.state.hold_from
    for one, kind in ((rollout, Rollout), (rollout.evidence, RolloutEvidence)):
        names = (each for each in kind.__struct_fields__ if each not in _UNREPEATED)
        parts |= {name: getattr(one, name) for name in names}
    plain: dict[str, Any] = plain_data(parts)
    return {
        name: _sha256(value) if name in _LONG else value
        for name, value in plain.items()
        if value not in _EMPTY
    }


def state_parts(state: State) -> dict[str, Any]:
    """Return the fields of `state` that do not change without an entry, as plain data."""
    parts: dict[str, Any] = plain_data(state)
    if isinstance(state, Progressing):
        parts = {name: part for name, part in parts.items() if name not in _UNREPEATED_OF_STATE}
    for name in PENDING_MEMORY_FIELDS:
        parts.get("position", {}).pop(name, None)
    return parts


def digest_of_state(repeated: Mapping[str, Any]) -> str:
    """Return a digest of what an entry repeats, without what ticks change in between.

    It is short, because every save writes it.
    """
    lasting = {name: value for name, value in repeated.items() if name != _HOLD}
    return _sha256(lasting).removeprefix(_SHA256)[:_DIGEST_LENGTH]


def is_as_recorded(rollout: Rollout) -> bool:
    """Tell whether `rollout` has the state of which it has the digest.

    It needs no history, and finds what was changed by hand. A change that comes with a new digest
    is found by `check_state`.
    """
    return digest_of_state(repeated_state(rollout)) == rollout.state_digest


def _sha256(value: object) -> str:
    """Return the digest of `value`, in which a whole number is what a store reads back: a float."""
    return _sha256_of(json.dumps(value))


@lru_cache(maxsize=64)  # most of a state is the same before a decision, after it, and in the next
def _sha256_of(text: str) -> str:
    floats = json.loads(text, parse_int=float)
    return _SHA256 + hashlib.sha256(json.dumps(floats, sort_keys=True).encode()).hexdigest()


def next_state(recorded: Mapping[str, Any], before: Rollout, after: Rollout) -> dict[str, Any]:
    """Return what the next entry repeats: `recorded`, and what the decision on `before` changed.

    So a field that was changed outside a decision stays as it was recorded, and is found.
    """
    old, new = repeated_state(before), repeated_state(after)
    changed = _different(old, new)
    sources = ((name, new if name in changed else recorded) for name in {**new, **recorded})
    return {name: source[name] for name, source in sources if name in source}


def check_state(rollout: Rollout, recorded: Mapping[str, Any]) -> None:
    """Raise StateChangedError when `rollout` has not the state that was recorded."""
    state = repeated_state(rollout)
    changed = _different(recorded, state)
    if _HOLD in changed and not _is_earlier(state.get(_HOLD), recorded.get(_HOLD)):
        changed.remove(_HOLD)
    if changed:
        raise StateChangedError.of(rollout.id, sorted(changed))


def _different(old: Mapping[str, Any], new: Mapping[str, Any]) -> set[str]:
    return {name for name in {*old, *new} if old.get(name) != new.get(name)}


def _is_earlier(moment: str | None, recorded: str | None) -> bool:
    """Tell whether a hold begins before it was recorded to; None: at the end of the bake."""
    if recorded is None:
        return False
    return moment is None or datetime.fromisoformat(moment) < datetime.fromisoformat(recorded)


# --- Back to what was recorded --------------------------------------------------------------------

# What no entry can give back: another rollout, revision, policy or target.
_IDENTITY: Final = frozenset({"created", "digest", "id", "revision", "target"})
_EVIDENCE: Final = frozenset(one.name for one in fields(RolloutEvidence))
# Evidence that is read from its source again where one of these was changed.
_CHECKPOINT: Final = frozenset({"fold", "intervals", "checkpoint_at", "tallies"})
_STATES: Final[Mapping[str, type[State]]] = {
    Phase.PROGRESSING: Progressing,
    Phase.PAUSED: Paused,
    Phase.ROLLING_BACK: RollingBack,
    Phase.ROLLED_BACK: RolledBack,
    Phase.SUCCEEDED: Succeeded,
}


def as_recorded(
    rollout: Rollout, recorded: Mapping[str, Any], changed: Sequence[str]
) -> Rollout | None:
    """Return `rollout` with the state that was recorded; None where that is not known.

    changed: the fields that differ. Evidence is left as it is: see `without_evidence`.
    None also for a rollback under way: nothing ends it before 0% is read back.
    """
    if not _IDENTITY.isdisjoint(changed) or isinstance(rollout.state, RollingBack):
        return None
    # A repeated state leaves out what is empty, and what a state says to people.
    parts = {"reason": Reason.RECORD_CHANGED, "sentence": "", "step": 0, "from_weight": 0}
    parts |= {name: value for name, value in recorded.items() if name not in _LONG}
    try:
        kind = _STATES[recorded["phase"]]
        own = {"phase", *(one.name for one in fields(kind))}
        state = convert({name: part for name, part in parts.items() if name in own}, kind)
        approved = convert(recorded.get("approved", 0), Count)
        exposed_to = convert(recorded.get("exposed_to"), AwareTime | None)
        evidence = replace(
            rollout.evidence,
            label=convert(recorded.get("label", ""), str),
            fix=convert(recorded.get("fix"), FixStart | None),
        )
    except (ValidationError, KeyError):
        return None
    return replace(
        rollout, state=state, approved=approved, exposed_to=exposed_to, evidence=evidence
    )


def without_evidence(evidence: RolloutEvidence, changed: Sequence[str]) -> RolloutEvidence:
    """Return `evidence` without the fields of it that were changed.

    Of a checkpoint, all is left out: it is read again from the start of the step.
    """
    names = set(changed) & _EVIDENCE - {"fix", "label"}
    if names & _CHECKPOINT:
        names |= _CHECKPOINT
    empty = RolloutEvidence()
    return replace(evidence, **{name: getattr(empty, name) for name in names})
