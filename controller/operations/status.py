"""What `status` shows of one rollout: its state, and what the store says beside it."""

from collections.abc import Sequence

from controller.core.history import Entry
from controller.core.policy_snapshot import SnapshotChangedError
from controller.core.rollout import Rollout
from controller.errors import StoreError
from controller.immutable import Immutable
from controller.operations.history import (
    known_entries,
    limited_exposure,
    load_unverified,
    verified_history,
)
from controller.operations.recorded.exposure import Exposure, exposure_of
from controller.operations.recorded.recent import RecentHistory, recent_history
from controller.ports.store import Store


class RolloutStatus(Immutable):
    """One rollout, and what the store says beside its state.

    exposure: None where its policy does not limit it, or where the history cannot be read.
    entries: its history, where it was asked for. problem: its policy is not the one of its start.
    recent: what its history adds to its state; None for one of several rollouts, or as `exposure`.
    """

    rollout: Rollout
    exposure: Exposure | None
    entries: Sequence[Entry] = ()
    problem: SnapshotChangedError | None = None
    recent: RecentHistory | None = None


def load_status(
    store: Store, rollout_id: str, *, with_history: bool = False, with_recent: bool = False
) -> RolloutStatus:
    """Return the status of a rollout, even if its stored policy was changed.

    Raises StoreError for any other damage, and for a history that is needed and not intact.
    """
    rollout, digest = load_unverified(store, rollout_id)
    problem = None if digest is None else SnapshotChangedError(rollout, digest)
    return status_of(
        store, rollout, with_history=with_history, with_recent=with_recent, problem=problem
    )


def status_of(
    store: Store,
    rollout: Rollout,
    *,
    with_history: bool = False,
    with_recent: bool = False,
    problem: SnapshotChangedError | None = None,
) -> RolloutStatus:
    """Return the status of `rollout`, as it was loaded. Raises StoreError as `load_status`."""
    entries = verified_history(store, rollout) if with_history else ()
    if not with_recent:
        return RolloutStatus(rollout, limited_exposure(store, rollout), entries, problem)
    recent, exposure = load_recent(store, rollout), None
    if recent is not None and rollout.policy.limits_exposure:
        exposure = exposure_of(rollout, recent.series, recent.spans)
    return RolloutStatus(rollout, exposure, entries, problem, recent)


def load_recent(store: Store, rollout: Rollout) -> RecentHistory | None:
    """Return what the history of `rollout` adds to its state; None where it cannot be read."""
    try:
        return recent_history(rollout, known_entries(store, rollout))
    except StoreError:
        return None
