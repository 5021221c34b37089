"""Errors of stores: the same wording for SQLite and DynamoDB."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from controller.core.history import Entry
from controller.core.rollout import Rollout
from controller.core.stored_formats import unreadable_text
from controller.core.units import clock_text
from controller.errors import (
    LeaseHeldError,
    NotOwnerError,
    StateConflictError,
    StoreError,
    TargetTakenError,
    UnknownRolloutError,
)
from controller.ports.store import LockHolder

# A valid lease is never longer than the requested one; twice that allows for clock skew.
_PLAUSIBLE_FACTOR = 2

_RETRY_ADVICE = "nothing was written, safe to retry"


def unknown_rollout(rollout_id: str, place: str) -> UnknownRolloutError:
    """Return the error for an id that the store at `place` does not have."""
    return UnknownRolloutError(
        f"no rollout has the id {rollout_id} in {place}; check the id and the store",
        rollout=rollout_id,
        store=place,
    )


def damaged_record(rollout_id: str, why: str) -> StoreError:
    """Return the error for a damaged record of a rollout, in a field outside its state."""
    return StoreError(
        f"what is stored of {rollout_id} is damaged ({why}); traffic was not touched; restore the "
        "store from a backup, or roll back by function and variable names",
        rollout=rollout_id,
        damaged=f"what is stored of {rollout_id}",
    )


def check_format(place: str, stored_format: int) -> None:
    """Raise StoreError unless this version reads the format of the store at `place`."""
    if problem := unreadable_text(stored_format):
        raise StoreError(
            f"{place} is {problem}; nothing was changed; use a version that reads it; a rollback "
            "by function and variable names needs no store",
            store=place,
        )


def check_owner(rollout_id: str, locks: Sequence[str], owners: Mapping[str, str | None]) -> None:
    """Raise NotOwnerError unless the rollout owns each of `locks`."""
    for lock in locks:
        if (owner := owners.get(lock)) != rollout_id:
            raise NotOwnerError.of(rollout_id, lock, owner)


def already_exists(rollout_id: str) -> StateConflictError:
    """Return the error for an id that exists already."""
    return StateConflictError(
        f"{rollout_id} exists already: another run started it first; {_RETRY_ADVICE}",
        rollout=rollout_id,
    )


def check_takeover(rollout_id: str, holder: LockHolder, lock: str) -> None:
    """Raise TargetTakenError unless the `holder` of `lock` is final."""
    if holder.final:
        return
    owner = holder.rollout_id
    raise TargetTakenError(
        f"{rollout_id} was not started: {owner} owns {lock}; let it finish or roll it back first",
        rollout=rollout_id,
        owner=owner,
        lock=lock,
    )


def implausible_from(now: datetime, until: datetime) -> datetime:
    """Return the moment after which the end of a stored lease is implausible.

    until: the end of the lease that this run asks for.
    """
    return now + _PLAUSIBLE_FACTOR * (until - now)


def lease_held(rollout_id: str, until: datetime, stored: Rollout | None = None) -> LeaseHeldError:
    """Return the error for a rollout that another run has leased `until` then."""
    error = LeaseHeldError(
        f"lock held: another run has {rollout_id} until {clock_text(until)} at the latest; "
        f"{_RETRY_ADVICE}",
        rollout=rollout_id,
        until=until.isoformat(),
    )
    error.stored = stored
    return error


def save_conflict(read: Rollout, stored: Rollout) -> StateConflictError:
    """Return the error for a save when another run saved first, or took the rollout over."""
    facts = f"({stored.reason}, {clock_text(stored.updated)})"
    if stored.version == read.version:
        text = (
            f"write conflict: another run took {read.id} over {facts}: the lease of this run had "
            f"expired; {_RETRY_ADVICE}"
        )
    else:
        text = (
            f"write conflict: another run saved {read.id} first {facts}: version "
            f"{stored.version} is stored, this run read {read.version}; {_RETRY_ADVICE}"
        )
    return StateConflictError(
        text, rollout=read.id, stored_version=stored.version, read_version=read.version
    )


def check_same_history(stored: Rollout, rollout: Rollout, entries: Sequence[Entry]) -> None:
    """Raise StateConflictError unless `stored` has the history that is received."""
    if (stored.entries, stored.chain) == (len(entries), rollout.chain):
        return
    raise StateConflictError(
        f"{rollout.id} is in this store already, with another history; nothing was written",
        rollout=rollout.id,
    )
