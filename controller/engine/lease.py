"""Leases: one run at a time works on a rollout, and the others say so and go.

What they save is round trips and doubled work. They protect nothing: the version of a rollout does,
and the token of its target, whatever the clocks of two runs say.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from controller.core.rollout import RANKS, Rollout
from controller.core.snapshot import SnapshotChangedError, names_its_target
from controller.core.transitions import BACK
from controller.engine.isolation import problem_of
from controller.errors import (
    LeaseHeldError,
    NotReachedError,
    RolloutError,
    StateConflictError,
    StoreError,
    UnknownRolloutError,
)
from controller.ports.clock import Clock
from controller.ports.store import Store
from controller.process import logging, signals

log = logging.logger()

# A tick takes seconds; lowering and following a move up to a minute and a half. A run that was
# killed keeps the others from its rollouts for so long, so it must not be longer than needed.
LEASE = timedelta(minutes=2)
# The time of a tick, shorter than a lease. Later than this it takes and asks nothing new, and only
# carries out what is decided; the next tick begins with what this one has not reached.
TICK = timedelta(seconds=75)
# A lease older than this is renewed before the weight is moved.
RENEW_AFTER = timedelta(seconds=30)
# A person's verb that meets a tick waits for it, and asks this often.
ASK_EVERY = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class Missed:
    """A rollout that was not visited, and why: it cannot be read, or the time was over."""

    rollout_id: str
    error: RolloutError


@dataclass(frozen=True, slots=True)
class Taken:
    """What a run has got of the rollouts that it wanted.

    begun: when the run began. rollouts: those that it can read and no other run has. unwritable:
    why the store gave no lease of some of them; they may be lowered all the same, because less
    traffic is always allowed. busy: what other runs have, as it is stored. missed: what was not
    visited. gone: the others, which the store does not have. closed: why the store gives no lease
    at all; it is not asked for another one. changed: which of them have another policy than they
    were started with; they are on their way back, and go on it.
    """

    begun: datetime
    rollouts: list[Rollout] = field(default_factory=list)
    unwritable: dict[str, StoreError] = field(default_factory=dict)
    busy: list[Rollout] = field(default_factory=list)
    missed: list[Missed] = field(default_factory=list)
    gone: list[StoreError] = field(default_factory=list)
    closed: list[StoreError] = field(default_factory=list)
    changed: dict[str, SnapshotChangedError] = field(default_factory=dict)

    def miss(self, rollout_id: str, error: Exception, doing: str) -> None:
        """Note that a rollout was not visited, and why; doing: what failed."""
        problem = problem_of(error, rollout_id, doing)
        facts = {**problem.context, "rollout": rollout_id, "problem": str(problem)}
        log.error("load_failed", **facts)
        self.missed.append(Missed(rollout_id, problem))

    def miss_late(self, rollout_id: str) -> None:
        """Note that the time was over before this rollout's turn."""
        limit = int(TICK.total_seconds())
        error = NotReachedError(
            f"{rollout_id} was not visited: the {limit} s of this tick were used up; the next tick "
            "visits it before the rollouts that this one reached",
            limit_s=limit,
        )
        log.error("not_reached", rollout=rollout_id, problem=str(error))
        self.missed.append(Missed(rollout_id, error))


def urgency(rollout: Rollout) -> tuple[int, datetime]:
    """Return what a tick sorts by: the rank of the phase, then who was saved longest ago."""
    return RANKS[rollout.phase], rollout.updated


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

        Raises LeaseHeldError, UnknownRolloutError, StoreError.
        """
        now = self.clock.now()
        return self.store.acquire(rollout_id, now, now + LEASE)

    def give_back(self, rollout_id: str) -> None:
        """Let other runs in, if this one still has the rollout. What fails ends by itself."""
        try:
            self.store.release(rollout_id)
        except Exception as error:  # noqa: BLE001 - one rollout's lease stops no tick
            problem = problem_of(error, rollout_id, "releasing")
            log.warning("lease_kept", rollout=rollout_id, problem=str(problem))

    def renew(self, rollout: Rollout) -> None:
        """Prolong the lease of `rollout`.

        Raises StateConflictError when another run has saved it since, LeaseHeldError when one has
        taken it, and StoreError.
        """
        stored = self.take(rollout.id)
        if stored.version != rollout.version:
            raise StateConflictError(
                f"another run saved {rollout.id} while this one waited for others; nothing was "
                "changed, it is safe to run again",
                rollout=rollout.id,
            )

    @contextmanager
    def each(self, ids: Iterable[str]) -> Iterator[Taken]:
        """Yield what this run gets of the rollouts `ids`; waits for none, and raises nothing.

        What is not taken before the time of the tick is over is missed.
        """
        taken = Taken(self.clock.now())
        try:
            for rollout_id in dict.fromkeys(ids):
                signals.point()
                if self.clock.now() < taken.begun + TICK:
                    self._add(rollout_id, taken)
                else:
                    taken.miss_late(rollout_id)
            taken.rollouts.sort(key=urgency)
            yield taken
        finally:
            for rollout in taken.rollouts:
                if rollout.id not in taken.unwritable:
                    self.give_back(rollout.id)
            for rollout_id in list(taken.unwritable)[:1]:  # its answer may be all that was lost
                self.give_back(rollout_id)

    def _add(self, rollout_id: str, taken: Taken) -> None:
        try:
            self._take_or_load(rollout_id, taken)
        except UnknownRolloutError as error:
            taken.gone.append(error)
        except Exception as error:  # noqa: BLE001 - one damaged record stops no tick
            taken.miss(rollout_id, error, "loading")

    def _take_or_load(self, rollout_id: str, taken: Taken) -> None:
        if taken.closed:
            taken.rollouts.append(self.store.load(rollout_id))
            taken.unwritable[rollout_id] = taken.closed[0]
            return
        try:
            taken.rollouts.append(self.take(rollout_id))
        except UnknownRolloutError:
            raise
        except SnapshotChangedError as error:
            if error.rollout.phase not in BACK:
                raise
            taken.rollouts.append(lowered_by(self.store, error))
            taken.changed[rollout_id] = error
            log.error("snapshot_changed", rollout=rollout_id, problem=str(error))
        except (LeaseHeldError, StateConflictError) as error:
            taken.busy.append(self.store.load(rollout_id))
            log.warning("tick_lost", rollout=rollout_id, problem=str(error))
        except StoreError as error:
            taken.rollouts.append(self.store.load(rollout_id))
            taken.unwritable[rollout_id] = error
            taken.closed.append(error)
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
                signals.wait(self.clock, ASK_EVERY)


def load_to_lower(store: Store, rollout_id: str) -> Rollout:
    """Return the rollout for a caller that only lowers its weight, whatever policy it has by now.

    Raises StoreError as `load` does, and SnapshotChangedError when the names of its target were
    changed with its policy: the target to write 0 % to is unknown then.
    """
    try:
        return store.load(rollout_id)
    except SnapshotChangedError as error:
        return lowered_by(store, error)


def lowered_by(store: Store, error: SnapshotChangedError) -> Rollout:
    """Return the rollout of `error` if its policy names the target of the start; else raise it.

    The names are in the first entry of the history, and the rollout has their locks.
    """
    rollout = error.rollout
    held = all(store.owner(lock) == rollout.id for lock in rollout.locks)
    if held and names_its_target(rollout, store.history(rollout.id)):
        return rollout
    raise error
