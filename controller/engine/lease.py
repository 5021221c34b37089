"""Leases: one run at a time works on a rollout, and the others say so and go.

What they save is round trips and doubled work. They protect nothing: the version of a rollout does,
and the token of its target, whatever the clocks of two runs say.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from controller.core.rollout import VISIT_PRIORITY, Rollout
from controller.core.snapshot import SnapshotChangedError, is_target_unchanged
from controller.core.transitions import ROLLBACK_PHASES
from controller.engine.isolation import problem_of
from controller.errors import (
    LeaseHeldError,
    RolloutError,
    StateConflictError,
    StoreError,
    TickDeadlineError,
    UnknownRolloutError,
)
from controller.ports.clock import Clock
from controller.ports.store import Store
from controller.process import logging, signals

log = logging.logger()

# A tick takes seconds; lowering and following a move up to a minute and a half. A run that was
# killed keeps the others from its rollouts for so long, so it must not be longer than needed.
LEASE_DURATION = timedelta(minutes=2)
# The time of a tick, shorter than a lease. Later than this it takes and asks nothing new, and only
# carries out what is decided; the next tick begins with what this one has not reached.
TICK_LIMIT = timedelta(seconds=75)
# A lease older than this is renewed before the weight is moved.
RENEW_AFTER = timedelta(seconds=30)
# A person's verb that meets a tick waits for it, and asks this often.
LEASE_RETRY_INTERVAL = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class Skip:
    """A rollout that was not visited, and why: it cannot be read, or the time was over."""

    rollout_id: str
    error: RolloutError


@dataclass(frozen=True, slots=True)
class LeasedRollouts:
    """What a run has got of the rollouts that it wanted.

    begun: when the run began. rollouts: those that it can read and no other run has. without_lease:
    why the store gave no lease of some of them; they may be lowered all the same, because less
    traffic is always allowed. busy: what other runs have, as it is stored. missed: what was not
    visited. gone: the others, which the store does not have. closed: why the store gives no lease
    at all; it is not asked for another one. changed: which of them have another policy than they
    were started with; they are on their way back, and go on it.
    """

    started_at: datetime
    rollouts: list[Rollout] = field(default_factory=list)
    without_lease: dict[str, StoreError] = field(default_factory=dict)
    busy: list[Rollout] = field(default_factory=list)
    skips: list[Skip] = field(default_factory=list)
    absent: list[StoreError] = field(default_factory=list)
    store_errors: list[StoreError] = field(default_factory=list)
    changed_policies: dict[str, SnapshotChangedError] = field(default_factory=dict)

    def skip(self, rollout_id: str, error: Exception, doing: str) -> None:
        """Note that a rollout was not visited, and why; doing: what failed."""
        problem = problem_of(error, rollout_id, doing)
        facts = {**problem.context, "rollout": rollout_id, "problem": str(problem)}
        log.error("load_failed", **facts)
        self.skips.append(Skip(rollout_id, problem))

    def skip_late(self, rollout_id: str) -> None:
        """Note that the time was over before this rollout's turn."""
        limit = int(TICK_LIMIT.total_seconds())
        error = TickDeadlineError(
            f"{rollout_id} was not visited: the {limit} s of this tick were used up; the next tick "
            "visits it before the rollouts that this one reached",
            limit_s=limit,
        )
        log.error("not_reached", rollout=rollout_id, problem=str(error))
        self.skips.append(Skip(rollout_id, error))


def urgency(rollout: Rollout) -> tuple[int, datetime]:
    """Return what a tick sorts by: the rank of the phase, then who was saved longest ago."""
    return VISIT_PRIORITY[rollout.phase], rollout.updated


@dataclass(frozen=True, slots=True)
class LeaseManager:
    """Takes and gives back the leases of one run."""

    store: Store
    clock: Clock

    def expiry(self) -> datetime:
        """Return when a lease that is taken or prolonged now is over."""
        return self.clock.now() + LEASE_DURATION

    def acquire(self, rollout_id: str) -> Rollout:
        """Return the rollout, which this run alone has from now on.

        Raises LeaseHeldError, UnknownRolloutError, StoreError.
        """
        now = self.clock.now()
        return self.store.acquire(rollout_id, now, now + LEASE_DURATION)

    def release(self, rollout_id: str) -> None:
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
        stored = self.acquire(rollout.id)
        if stored.version != rollout.version:
            raise StateConflictError(
                f"another run saved {rollout.id} while this one waited for others; nothing was "
                "changed, it is safe to run again",
                rollout=rollout.id,
            )

    @contextmanager
    def lease_all(self, ids: Iterable[str]) -> Iterator[LeasedRollouts]:
        """Yield what this run gets of the rollouts `ids`; waits for none, and raises nothing.

        What is not taken before the time of the tick is over is missed.
        """
        taken = LeasedRollouts(self.clock.now())
        try:
            for rollout_id in dict.fromkeys(ids):
                signals.safe_point()
                if self.clock.now() < taken.started_at + TICK_LIMIT:
                    self._add(rollout_id, taken)
                else:
                    taken.skip_late(rollout_id)
            taken.rollouts.sort(key=urgency)
            yield taken
        finally:
            for rollout in taken.rollouts:
                if rollout.id not in taken.without_lease:
                    self.release(rollout.id)
            for rollout_id in list(taken.without_lease)[:1]:  # its answer may be all that was lost
                self.release(rollout_id)

    def _add(self, rollout_id: str, leased: LeasedRollouts) -> None:
        try:
            self._acquire_or_load(rollout_id, leased)
        except UnknownRolloutError as error:
            leased.absent.append(error)
        except Exception as error:  # noqa: BLE001 - one damaged record stops no tick
            leased.skip(rollout_id, error, "loading")

    def _acquire_or_load(self, rollout_id: str, leased: LeasedRollouts) -> None:
        if leased.store_errors:
            leased.rollouts.append(self.store.load(rollout_id))
            leased.without_lease[rollout_id] = leased.store_errors[0]
            return
        try:
            leased.rollouts.append(self.acquire(rollout_id))
        except UnknownRolloutError:
            raise
        except SnapshotChangedError as error:
            if error.rollout.phase not in ROLLBACK_PHASES:
                raise
            leased.rollouts.append(rollout_for_rollback(self.store, error))
            leased.changed_policies[rollout_id] = error
            log.error("snapshot_changed", rollout=rollout_id, problem=str(error))
        except (LeaseHeldError, StateConflictError) as error:
            leased.busy.append(self.store.load(rollout_id))
            log.warning("tick_lost", rollout=rollout_id, problem=str(error))
        except StoreError as error:
            leased.rollouts.append(self.store.load(rollout_id))
            leased.without_lease[rollout_id] = error
            leased.store_errors.append(error)
            log.error("lease_failed", rollout=rollout_id, problem=str(error))

    @contextmanager
    def lease(self, rollout_id: str) -> Iterator[Rollout]:
        """Yield the rollout once no other run has it, for at most the length of a lease.

        Raises LeaseHeldError after that, and what `take` raises.
        """
        rollout = self._acquire_or_wait(rollout_id, self.expiry())
        try:
            yield rollout
        finally:
            self.release(rollout_id)

    def _acquire_or_wait(self, rollout_id: str, deadline: datetime) -> Rollout:
        while True:
            try:
                return self.acquire(rollout_id)
            except LeaseHeldError:
                if self.clock.now() >= deadline:
                    raise
                signals.wait(self.clock, LEASE_RETRY_INTERVAL)


def load_for_rollback(store: Store, rollout_id: str) -> Rollout:
    """Return the rollout for a caller that only lowers its weight, whatever policy it has by now.

    Raises StoreError as `load` does, and SnapshotChangedError when the names of its target were
    changed with its policy: the target to write 0 % to is unknown then.
    """
    try:
        return store.load(rollout_id)
    except SnapshotChangedError as error:
        return rollout_for_rollback(store, error)


def rollout_for_rollback(store: Store, error: SnapshotChangedError) -> Rollout:
    """Return the rollout of `error` if its policy names the target of the start; else raise it.

    The names are in the first entry of the history, and the rollout has their locks.
    """
    rollout = error.rollout
    held = all(store.owner(lock) == rollout.id for lock in rollout.locks)
    if held and is_target_unchanged(rollout, store.history(rollout.id)):
        return rollout
    raise error
