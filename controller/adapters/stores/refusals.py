"""What a store says when it refuses: the same words, whichever store it is."""

from collections.abc import Sequence
from datetime import datetime

from controller.core.history import Entry
from controller.core.rollout import Rollout
from controller.core.units import clock_text
from controller.errors import (
    LeaseHeldError,
    StateConflictError,
    StoreError,
    TargetTakenError,
    UnknownRolloutError,
)
from controller.ports.store import Holder

# An honest lease is never longer than the one asked for; twice that leaves room for clocks.
_DOUBTFUL = 2

_AGAIN = "nothing was written, it is safe to run again"


def unknown(rollout_id: str, place: str) -> UnknownRolloutError:
    """Return the refusal of an id that nothing has in the store at `place`."""
    return UnknownRolloutError(
        f"no rollout has the id {rollout_id} in {place}; check the id and which store was asked",
        rollout=rollout_id,
        store=place,
    )


def damaged(rollout_id: str, why: str) -> StoreError:
    """Return the refusal of what is stored of a rollout beside its state, and cannot be true."""
    return StoreError(
        f"what is stored of {rollout_id} is damaged ({why}); traffic was not touched; restore the "
        "store from a backup, or roll back by function and variable names",
        rollout=rollout_id,
        damaged=f"what is stored of {rollout_id}",
    )


def exists(rollout_id: str) -> StateConflictError:
    """Return the refusal of an id that is used already."""
    return StateConflictError(
        f"{rollout_id} exists already: another run started it first; {_AGAIN}", rollout=rollout_id
    )


def check_gives_way(rollout_id: str, holder: Holder, lock: str) -> None:
    """Raise TargetTakenError unless the `holder` of `lock` is final."""
    if holder.final:
        return
    owner = holder.rollout_id
    raise TargetTakenError(
        f"{rollout_id} was not started: {owner} owns {lock}; "
        f"let {owner} finish or roll it back first",
        rollout=rollout_id,
        owner=owner,
        lock=lock,
    )


def doubtful_from(now: datetime, until: datetime) -> datetime:
    """Return which end of a lease is too late to be true, for who asks for one `until` then."""
    return now + _DOUBTFUL * (until - now)


def held(rollout_id: str, until: datetime) -> LeaseHeldError:
    """Return the refusal of a rollout that another run has `until` then."""
    return LeaseHeldError(
        f"another run has {rollout_id}, until {clock_text(until)} at the latest; {_AGAIN}",
        rollout=rollout_id,
        until=until.isoformat(),
    )


def overtaken(ours: Rollout, stored: Rollout) -> StateConflictError:
    """Return the refusal of a save: another run saved first, or took the rollout over."""
    facts = f"({stored.reason}, {clock_text(stored.updated)})"
    if stored.version == ours.version:
        text = f"another run took {ours.id} over {facts}: the lease of this run was over; {_AGAIN}"
    else:
        text = (
            f"another run saved {ours.id} first {facts}: version {stored.version} is stored, "
            f"this run read {ours.version}; {_AGAIN}"
        )
    return StateConflictError(
        text, rollout=ours.id, stored_version=stored.version, read_version=ours.version
    )


def already_there(stored: Rollout, rollout: Rollout, entries: Sequence[Entry]) -> None:
    """Raise StateConflictError unless `stored` is what a receive of `rollout` would bring."""
    if (stored.entries, stored.chain) == (len(entries), rollout.chain):
        return
    raise StateConflictError(
        f"{rollout.id} is in this store already, with another history; nothing was written",
        rollout=rollout.id,
    )
