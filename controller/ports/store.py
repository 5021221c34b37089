"""What keeps rollouts, their history, and who owns which target."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol, TypeAlias

from controller.core.history import Entry
from controller.core.rollout import Rollout

Exposure: TypeAlias = tuple[str, datetime, datetime | None]
"""Id of a rollout, begin and end (None: still) of its weight above 0."""


@dataclass(frozen=True, slots=True)
class LockHolder:
    """The rollout that holds a lock, and what another one that wants the lock has to know of it.

    final: it gives way.
    """

    rollout_id: str
    final: bool


class StateStore(Protocol):
    """Keeps rollouts and their history; state and history are written together or not at all.

    A lease keeps runs from doing the same work at once. It is no protection: that is the version,
    which lets one of two saves through, whoever holds the lease and whatever the clocks say.
    """

    def create(
        self,
        rollout: Rollout,
        entries: Sequence[Entry],
        locks: Sequence[str],
        *,
        hold: datetime | None = None,
    ) -> None:
        """Add a rollout and take the locks of its target; locks of final rollouts are taken over.

        Nothing is written that belongs to the rollout they are taken from.
        hold: until when this run alone has it; None: nobody does.
        Raises TargetTakenError with the owner's id, StateConflictError when the id exists.
        """
        ...

    def acquire(self, rollout_id: str, now: datetime, until: datetime) -> Rollout:
        """Return the rollout, which this run alone has until it saves, releases, or `until` passes.

        A lease that is over at `now` is taken from its holder, whose saves fail from then on. So is
        one that ends later than twice the length asked for: a clock that was wrong has given it.
        Raises LeaseHeldError while another run has it, UnknownRolloutError, StoreError.
        """
        ...

    def release(self, rollout_id: str) -> None:
        """Let other runs in, if this one still has the rollout. Raises StoreError."""
        ...

    def load(self, rollout_id: str) -> Rollout:
        """Return the rollout, whoever has it. Raises UnknownRolloutError, StoreError."""
        ...

    def save(
        self, rollout: Rollout, entries: Sequence[Entry], *, hold: datetime | None = None
    ) -> Rollout:
        """Write `rollout` and append `entries` if its version is still the stored one.

        The lease ends with it, or goes on until `hold`. A run that never acquired the rollout may
        save it all the same, and takes the lease from whoever has it.

        Returns the rollout with its new version. Raises StateConflictError when another run saved
        it, or took the lease over, and UnknownRolloutError when it was never created.
        """
        ...


class Catalogue(Protocol):
    """Finds rollouts in a store."""

    def active(self, now: datetime, names: Collection[str] = ()) -> Sequence[str]:
        """Return the ids that a tick must visit, in the order in which it takes them.

        names: only rollouts called so, rollbacks first and the others in any order; none: all.
        Those are not final, or still watched. The rank of their phase (`rollout.RANKS`) goes
        first, and then who was saved longest ago, so that what one tick does not reach is first in
        the next; those whose record is damaged come last, and are found although they are.
        """
        ...

    def all(self) -> Sequence[str]:
        """Return the ids of all rollouts, oldest first."""
        ...

    def of_name(self, name: str) -> Sequence[str]:
        """Return the ids of all rollouts called `name`, first attempt first."""
        ...

    def history(self, rollout_id: str) -> Sequence[Entry]:
        """Return all entries of a rollout, first one first. Raises UnknownRolloutError."""
        ...


class Ownership(Protocol):
    """Who holds a target."""

    def owner(self, lock: str) -> str | None:
        """Return the id of the rollout that holds `lock`."""
        ...

    def holder(self, lock: str) -> LockHolder | None:
        """Return who holds `lock`, and whether it gives way. Raises StoreError when it is damaged.

        Reads what belongs to the lock alone, and nothing of the rollout that holds it.
        """
        ...

    def owns(self, rollout_id: str) -> bool:
        """Tell whether a rollout holds all the locks that it took.

        A final one that lost any of them owns nothing: it watches no target in part. From its next
        save through this object on, it is visited only to deliver its messages.
        """
        ...

    def exposures(self, target: str, locks: Sequence[str]) -> Sequence[Exposure]:
        """Return when rollouts had weight above 0, the earliest first.

        Of those that held any of `locks`, which are locks of `target`; a store may add others of
        that target, and may count the oldest ones as one.
        """
        ...


class Archive(Protocol):
    """Takes in what another store kept."""

    def receive(
        self,
        rollout: Rollout,
        entries: Sequence[Entry],
        locks: Sequence[str],
        past: Sequence[Exposure] = (),
    ) -> None:
        """Add a rollout that ran in another store, with its whole history and the locks it holds.

        past: the exposures that the other store knows of these locks.
        Nobody sees it before all of it is there; what an interrupted call left is made use of.
        Raises what `create` raises.
        """
        ...


class Store(StateStore, Catalogue, Ownership, Archive, Protocol):
    """All faces of a store."""
