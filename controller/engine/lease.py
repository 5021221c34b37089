"""Leases: one run at a time works on a rollout, and other runs report that it is busy.

A lease saves round trips and duplicate work. It does not protect the state: the version of a
rollout and the token of its target do, even if the clocks of two runs differ.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import TypeAlias

from controller.core.history import SnapshotChangedError, is_target_unchanged
from controller.core.rollout import Phase, Rollout
from controller.core.transitions.rollback import ROLLBACK_PHASES
from controller.engine import time_limits
from controller.engine.isolation import problem_of, without_traces
from controller.errors import (
    LeaseHeldError,
    NotOwnerError,
    RolloutError,
    StateConflictError,
    StoreError,
    TickDeadlineError,
    UnknownRolloutError,
)
from controller.immutable import Immutable, replace
from controller.ports.clock import Clock
from controller.ports.store import Store
from controller.process import logging, signals

log = logging.logger()


class LeasedRollout(Immutable):
    """A rollout that this run may visit.

    leased_at: when its lease was requested; None: it was not. no_lease: why the store gave none;
        the rollout may still be lowered, because less traffic is always allowed. answer_lost: the
        store may have given the lease all the same.
    changed_policy: how its stored policy was changed after the start; its rollback goes on.
    requested: why a role that may only lower requests its rollback; empty: none does.
    """

    rollout: Rollout
    leased_at: datetime | None = None
    no_lease: StoreError | None = None
    answer_lost: bool = False
    changed_policy: SnapshotChangedError | None = None
    requested: str = ""

    @property
    def problem(self) -> str:
        """Why this run may only lower the weight; empty when it may do more."""
        return str(self.changed_policy or self.no_lease or "")

    def may_be_held(self, saved: bool) -> bool:
        """Tell whether this run may still have the lease. saved: it saved the rollout since."""
        return saved or self.no_lease is None or self.answer_lost


class Busy(Immutable):
    """A rollout that another run has leased, as it is stored."""

    rollout: Rollout


class SkippedRollout(Immutable):
    """A rollout that a tick did not visit, and why: it cannot be read, or the time was over."""

    rollout_id: str
    error: RolloutError


Grant: TypeAlias = LeasedRollout | Busy | SkippedRollout
"""What leasing one rollout led to."""


def skip(rollout_id: str, error: Exception, doing: str) -> SkippedRollout:
    """Return that a rollout is not visited, and log why. doing: what failed, as in "loading"."""
    problem = problem_of(error, rollout_id, doing)
    context = {**problem.context, "rollout": rollout_id, "problem": str(problem)}
    log.error("load_failed", **context)
    return SkippedRollout(rollout_id, without_traces(problem))


def skip_late(rollout_id: str, passed: timedelta, *, further: bool = False) -> SkippedRollout:
    """Return that the time of the tick was over before a rollout was visited, and log it.

    passed: since the tick began. further: it is not the first one of its policy name in the tick.
    """
    seconds = round(passed.total_seconds())
    why = (
        "this tick had no time left for it; the first rollout of each policy name goes first"
        if further
        else f"others took the first {seconds} s of this tick; the next tick visits it before the "
        "rollouts that this one reached"
    )
    error = TickDeadlineError(f"{rollout_id} was not visited: {why}", passed_s=seconds)
    log.error("not_reached", rollout=rollout_id, problem=str(error))
    return SkippedRollout(rollout_id, error)


class Slice:
    """The rollouts of a tick that are leased together.

    tick_end: one that is not leased by then is skipped.
    shared_since: one that another run has just saved, and since then, is left to that run, unless
        it is rolling back; None: no run shares this work.
    store_error: why the store gives no lease at all; None: it does, as far as is known.
    """

    def __init__(self, tick_end: datetime, shared_since: datetime | None) -> None:
        self.tick_end, self.shared_since = tick_end, shared_since
        self.store_error: StoreError | None = None


class LeaseManager(Immutable):
    """Acquires, renews and releases the leases of one run."""

    store: Store
    clock: Clock

    def expiry(self) -> datetime:
        """Return when a lease ends that is acquired or renewed now."""
        return self.clock.now() + time_limits.LEASE_DURATION

    def acquire(self, rollout_id: str) -> Rollout:
        """Return the rollout with its lease, which no other run can acquire until it ends.

        Raises LeaseHeldError, UnknownRolloutError, StoreError.
        """
        now = self.clock.now()
        return self.store.acquire(rollout_id, now, now + time_limits.LEASE_DURATION)

    def acquire_or_wait(self, rollout_id: str) -> Rollout:
        """Return the rollout with its lease, once no other run has it.

        Raises LeaseHeldError after waiting for the length of a lease, and what `acquire` raises.
        """
        deadline = self.expiry()
        while True:
            try:
                return self.acquire(rollout_id)
            except LeaseHeldError:
                if self.clock.now() >= deadline:
                    raise
                signals.wait(self.clock, time_limits.LEASE_RETRY_INTERVAL)

    def renew(self, rollout: Rollout) -> None:
        """Renew the lease of `rollout`.

        Raises StateConflictError when another run has saved the rollout since, LeaseHeldError when
        another run has the lease, and StoreError.
        """
        stored = self.acquire(rollout.id)
        if stored.version != rollout.version:
            raise StateConflictError(
                f"another run saved {rollout.id} while this one waited for others; nothing was "
                "changed, safe to retry",
                rollout=rollout.id,
            )

    def release(self, rollout_id: str) -> None:
        """Release the lease, if this run still has it; if that fails, the lease expires."""
        try:
            self.store.release(rollout_id)
        except Exception as error:  # noqa: BLE001 - one rollout's lease stops no tick
            problem = problem_of(error, rollout_id, "releasing")
            log.warning("lease_kept", rollout=rollout_id, problem=str(problem))

    # --- the rollouts of a slice ----------------------------------------------------------------

    def lease(self, together: Slice, rollout_id: str) -> Grant:
        """Return what leasing one rollout leads to; waits for no other run, and raises no error."""
        now = self.clock.now()
        if now >= together.tick_end:
            return skip_late(rollout_id, now - together.tick_end + time_limits.TICK_LIMIT)
        try:
            if together.store_error is not None:
                stored = self.store.load(rollout_id)
                return LeasedRollout(stored, no_lease=together.store_error)
            return self._acquire_or_load(together, rollout_id)
        except UnknownRolloutError as error:
            return SkippedRollout(rollout_id, error)
        except Exception as error:  # noqa: BLE001 - one damaged record stops no tick
            return skip(rollout_id, error, "loading")

    def owners_only(
        self, leased: Sequence[LeasedRollout]
    ) -> Sequence[LeasedRollout | SkippedRollout]:
        """Return `leased` with a skip for each open rollout that does not own its target.

        Its record may be forged, so it is not even lowered. The others have the requests for their
        rollbacks. Where owners cannot be read, rollouts are leased as without a lease: they can
        only be lowered, as a rollback waits for no store.
        """
        opened = [one.rollout for one in leased if not one.rollout.final]
        try:
            owners, requests = self.store.owners_and_requests(
                [lock for rollout in opened for lock in rollout.locks],
                [rollout.id for rollout in opened],
            )
        except Exception as error:  # noqa: BLE001 - a rollback waits for no store
            problem = problem_of(error, "the targets", "looking up the owners of")
            log.error("owners_unread", problem=str(problem))
            why = StoreError(str(problem), **problem.context)
            return [
                one
                if one.rollout.final or one.no_lease is not None
                else replace(one, no_lease=why, answer_lost=True)  # so that its lease is released
                for one in leased
            ]
        return [one if one.rollout.final else _if_owner(owners, requests, one) for one in leased]

    def _acquire_or_load(self, together: Slice, rollout_id: str) -> LeasedRollout | Busy:
        now = self.clock.now()
        try:
            rollout = self.acquire(rollout_id)
            if not _is_visited_since(rollout, together.shared_since, self.clock.now()):
                return LeasedRollout(rollout, now)
            self.release(rollout_id)
            return Busy(rollout)
        except UnknownRolloutError:
            raise
        except SnapshotChangedError as error:
            if error.rollout.phase not in ROLLBACK_PHASES:
                raise
            rollout = rollout_for_rollback(self.store, error)
            log.error("snapshot_changed", rollout=rollout_id, problem=str(error))
            return LeasedRollout(rollout, now, changed_policy=without_traces(error))
        except (LeaseHeldError, StateConflictError) as error:
            stored = error.stored if isinstance(error, LeaseHeldError) else None
            busy = Busy(stored or self.store.load(rollout_id))
            log.warning("tick_lost", rollout=rollout_id, problem=str(error))
            return busy
        except StoreError as error:
            stored = self.store.load(rollout_id)
            log.error("lease_failed", rollout=rollout_id, problem=str(error))
            together.store_error = without_traces(error)
            return LeasedRollout(stored, now, no_lease=error, answer_lost=True)


def require_version(rollout: Rollout, version: int | None) -> None:
    """Raise StateConflictError unless `rollout` is the record that was shown; None: any is."""
    if version not in (None, rollout.version):
        raise StateConflictError(
            f"{rollout.id} was saved since it was shown (version {version}, now "
            f"{rollout.version}); nothing was changed: look at it again",
            rollout=rollout.id,
        )


def _is_visited_since(rollout: Rollout, since: datetime | None, now: datetime) -> bool:
    """Tell whether another run has just saved `rollout`, and after `since`.

    A rollback is never left to it. A save in the future is no sign: it was made by a wrong clock.
    """
    if since is None or rollout.phase is Phase.ROLLING_BACK:
        return False
    return max(since, now - time_limits.SHARED_WITHIN) < rollout.updated <= now


def _if_owner(
    owners: Mapping[str, str | None], requests: Mapping[str, str], leased: LeasedRollout
) -> LeasedRollout | SkippedRollout:
    """Return `leased` with its request, unless another rollout or none owns one of its locks."""
    rollout = leased.rollout
    for lock in rollout.locks:
        owner = owners.get(lock, "")
        if owner is not None and owner != rollout.id:  # None: the lock is damaged
            return skip(rollout.id, NotOwnerError.of(rollout.id, lock, owner), "leasing")
    return replace(leased, requested=requests.get(rollout.id, ""))


# --- Rollbacks without a lease --------------------------------------------------------------------


def load_for_rollback(store: Store, rollout_id: str) -> LeasedRollout:
    """Return the rollout for a run that only lowers its weight, even if its policy was changed.

    Raises StoreError as `load` does, and SnapshotChangedError when the change of the policy also
    changed its target: the resource to write 0% to is unknown then.
    """
    try:
        return LeasedRollout(store.load(rollout_id))
    except SnapshotChangedError as error:
        return LeasedRollout(rollout_for_rollback(store, error), changed_policy=error)


def rollout_for_rollback(store: Store, error: SnapshotChangedError) -> Rollout:
    """Return the rollout of `error` if its policy names the target of the start; else raise it.

    The first entry of the history names that target, and the rollout must still own its locks.
    """
    rollout = error.rollout
    owns_locks = all(store.owner(lock) == rollout.id for lock in rollout.locks)
    if owns_locks and is_target_unchanged(rollout, store.history(rollout.id, most=1)):
        return rollout
    raise error
