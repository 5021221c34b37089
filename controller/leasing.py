"""Leases: one run at a time works on a rollout, and the others say so and go.

What they save is round trips and doubled work. They protect nothing: the version of a rollout does,
and the token of its target, whatever the clocks of two runs say.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from controller import events, stopping
from controller.core.rollout import Rollout
from controller.errors import (
    LeaseHeldError,
    MovedError,
    StateConflictError,
    StoreError,
    UnknownRolloutError,
)
from controller.ports import Clock, Store

log = events.logger()

# A tick takes seconds; lowering and following a move up to a minute and a half. A run that was
# killed keeps the others from its rollouts for so long, so it must not be longer than needed.
LEASE = timedelta(minutes=2)
# A person's verb that meets a tick waits for it, and asks this often.
ASK_EVERY = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class Missed:
    """A rollout of which the store does not tell how it stands, and why."""

    rollout_id: str
    error: StoreError


@dataclass(frozen=True, slots=True)
class Taken:
    """What a run has got of the rollouts that it wanted.

    rollouts: those that it can read and no other run has. unwritable: why the store gave no lease
    of some of them; they may be lowered all the same, because less traffic is always allowed.
    busy: what other runs have, as it is stored. missed: what cannot be read. gone: why the others
    are not here, UnknownRolloutError or MovedError.
    """

    rollouts: list[Rollout] = field(default_factory=list)
    unwritable: dict[str, StoreError] = field(default_factory=dict)
    busy: list[Rollout] = field(default_factory=list)
    missed: list[Missed] = field(default_factory=list)
    gone: list[StoreError] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Leasing:
    """Takes and gives back the leases of one run."""

    store: Store
    clock: Clock

    def until(self) -> datetime:
        """Return when a lease that is taken or prolonged now is over."""
        return self.clock.now() + LEASE

    def take(self, rollout_id: str) -> Rollout:
        """Return the rollout, which this run alone has from now on.

        Raises LeaseHeldError, MovedError, UnknownRolloutError, StoreError.
        """
        now = self.clock.now()
        rollout = self.store.acquire(rollout_id, now, now + LEASE)
        if rollout.moved_to:
            self.give_back(rollout_id)
        return _here(rollout)

    def give_back(self, rollout_id: str) -> None:
        """Let other runs in, if this one still has the rollout. What fails ends by itself."""
        try:
            self.store.release(rollout_id)
        except StoreError as error:
            log.warning("lease_kept", rollout=rollout_id, problem=str(error))

    @contextmanager
    def each(self, ids: Iterable[str]) -> Iterator[Taken]:
        """Yield what this run gets of the rollouts `ids`; waits for none, and raises nothing."""
        taken = Taken()
        try:
            for rollout_id in dict.fromkeys(ids):
                stopping.point()
                self._add(rollout_id, taken)
            yield taken
        finally:
            for rollout in taken.rollouts:
                if rollout.id not in taken.unwritable:
                    self.give_back(rollout.id)

    def _add(self, rollout_id: str, taken: Taken) -> None:
        try:
            self._take_or_load(rollout_id, taken)
        except (UnknownRolloutError, MovedError) as error:
            taken.gone.append(error)
        except StoreError as error:
            log.error("load_failed", rollout=rollout_id, problem=str(error))
            taken.missed.append(Missed(rollout_id, error))

    def _take_or_load(self, rollout_id: str, taken: Taken) -> None:
        try:
            taken.rollouts.append(self.take(rollout_id))
        except (UnknownRolloutError, MovedError):
            raise
        except (LeaseHeldError, StateConflictError) as error:
            taken.busy.append(self.store.load(rollout_id))
            log.warning("tick_lost", rollout=rollout_id, problem=str(error))
        except StoreError as error:
            taken.rollouts.append(_here(self.store.load(rollout_id)))
            taken.unwritable[rollout_id] = error
            log.error("lease_failed", rollout=rollout_id, problem=str(error))

    @contextmanager
    def held(self, rollout_id: str) -> Iterator[Rollout]:
        """Yield the rollout once no other run has it, for at most the length of a lease.

        Raises LeaseHeldError after that, and what `take` raises.
        """
        rollout = self._taken(rollout_id, self.until())
        try:
            yield rollout
        finally:
            self.give_back(rollout_id)

    def _taken(self, rollout_id: str, deadline: datetime) -> Rollout:
        while True:
            try:
                return self.take(rollout_id)
            except LeaseHeldError:
                if self.clock.now() >= deadline:
                    raise
                stopping.wait(self.clock, ASK_EVERY)


def _here(rollout: Rollout) -> Rollout:
    """Return `rollout`. Raises MovedError when it lives in another store."""
    if rollout.moved_to:
        raise MovedError(
            f"{rollout.id} was moved to {rollout.moved_to}; nothing was changed: "
            f"--store {rollout.moved_to}",
            rollout=rollout.id,
        )
    return rollout
