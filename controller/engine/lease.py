"""Leases: one run at a time works on a rollout, and other runs report that it is busy.

A lease saves round trips and duplicate work. It does not protect the state: the version of a
rollout and the token of its target do, even if the clocks of two runs differ.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from controller.core.policy_snapshot import SnapshotChangedError, is_target_unchanged
from controller.core.rollout import VISIT_PRIORITY, Rollout
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

# A tick takes seconds; a write of the weight and its confirmation up to a minute and a half. A run
# that was killed blocks its rollouts for the whole lease, so it is no longer than needed.
LEASE_DURATION = timedelta(minutes=2)
# The time of a tick, shorter than a lease. After it, a tick takes no new lease and calls no new
# hook, and only executes decisions; the next tick begins with the rollouts that were not reached.
TICK_LIMIT = timedelta(seconds=75)
# A lease older than this is renewed before the weight is written.
RENEW_AFTER = timedelta(seconds=30)
# A command of an operator waits for a tick that has the lease, and retries at this interval.
LEASE_RETRY_INTERVAL = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class Skip:
    """A rollout that a tick did not visit, and why: it cannot be read, or the time was over."""

    rollout_id: str
    error: RolloutError


@dataclass(frozen=True, slots=True)
class LeasedRollouts:
    """The rollouts that one run may visit, and why it may not visit the others.

    started_at: when the run began.
    rollouts: those that this run can read and no other run has leased.
    without_lease: the error of those of them that the store gave no lease for; they may still be
        lowered, because less traffic is always allowed.
    busy: those that other runs have leased, as they are stored.
    skips: those that were not visited.
    absent: the errors of those that the store does not have.
    store_errors: why the store gives no lease at all; it is not asked for another one.
    changed_policies: those of `rollouts` whose stored policy was changed after the start; their
        rollback goes on.
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
        """Record that a rollout was not visited, and why. doing: what failed, as in "loading"."""
        problem = problem_of(error, rollout_id, doing)
        context = {**problem.context, "rollout": rollout_id, "problem": str(problem)}
        log.error("load_failed", **context)
        self.skips.append(Skip(rollout_id, problem))

    def skip_late(self, rollout_id: str) -> None:
        """Record that the time of the tick was over before this rollout was visited."""
        limit = int(TICK_LIMIT.total_seconds())
        error = TickDeadlineError(
            f"{rollout_id} was not visited: the {limit} s of this tick were used up; the next tick "
            "visits it before the rollouts that this one reached",
            limit_s=limit,
        )
        log.error("not_reached", rollout=rollout_id, problem=str(error))
        self.skips.append(Skip(rollout_id, error))


def urgency(rollout: Rollout) -> tuple[int, datetime]:
    """Return the sort key of a tick: the priority of the phase, then the oldest save first."""
    return VISIT_PRIORITY[rollout.phase], rollout.updated


@dataclass(frozen=True, slots=True)
class LeaseManager:
    """Acquires, renews and releases the leases of one run."""

    store: Store
    clock: Clock

    def expiry(self) -> datetime:
        """Return when a lease ends that is acquired or renewed now."""
        return self.clock.now() + LEASE_DURATION

    def acquire(self, rollout_id: str) -> Rollout:
        """Return the rollout with its lease, which no other run can acquire until it ends.

        Raises LeaseHeldError, UnknownRolloutError, StoreError.
        """
        now = self.clock.now()
        return self.store.acquire(rollout_id, now, now + LEASE_DURATION)

    def release(self, rollout_id: str) -> None:
        """Release the lease, if this run still has it; if that fails, the lease expires."""
        try:
            self.store.release(rollout_id)
        except Exception as error:  # noqa: BLE001 - one rollout's lease stops no tick
            problem = problem_of(error, rollout_id, "releasing")
            log.warning("lease_kept", rollout=rollout_id, problem=str(problem))

    def renew(self, rollout: Rollout) -> None:
        """Renew the lease of `rollout`.

        Raises StateConflictError when another run has saved the rollout since, LeaseHeldError when
        another run has the lease, and StoreError.
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
        """Lease the rollouts `ids` and yield the result; waits for none, and raises no error.

        A rollout that is not leased before the time of the tick is over is skipped.
        """
        leased = LeasedRollouts(self.clock.now())
        try:
            for rollout_id in dict.fromkeys(ids):
                signals.safe_point()
                if self.clock.now() < leased.started_at + TICK_LIMIT:
                    self._add(rollout_id, leased)
                else:
                    leased.skip_late(rollout_id)
            leased.rollouts.sort(key=urgency)
            yield leased
        finally:
            for rollout in leased.rollouts:
                if rollout.id not in leased.without_lease:
                    self.release(rollout.id)
            # The store may have given the first of these leases, and only its answer was lost.
            for rollout_id in list(leased.without_lease)[:1]:
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
        """Yield the rollout once no other run has its lease.

        Raises LeaseHeldError after waiting for the length of a lease, and what `acquire` raises.
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
    """Return the rollout for a caller that only lowers its weight, even if its policy was changed.

    Raises StoreError as `load` does, and SnapshotChangedError when the change of the policy also
    changed its target: the function to write 0 % to is unknown then.
    """
    try:
        return store.load(rollout_id)
    except SnapshotChangedError as error:
        return rollout_for_rollback(store, error)


def rollout_for_rollback(store: Store, error: SnapshotChangedError) -> Rollout:
    """Return the rollout of `error` if its policy names the target of the start; else raise it.

    The first entry of the history names that target, and the rollout must still own its locks.
    """
    rollout = error.rollout
    owns_locks = all(store.owner(lock) == rollout.id for lock in rollout.locks)
    if owns_locks and is_target_unchanged(rollout, store.history(rollout.id)):
        return rollout
    raise error
