"""The rollouts of a store at a glance: all active ones, and the newest of those that are over."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from controller.core.policy_snapshot import SnapshotChangedError
from controller.core.rollout import Rollout
from controller.errors import StoreError
from controller.ports.store import Store

# So many of the rollouts that are over are shown: each is a read, at every tick.
MAX_FINISHED: Final = 20


@dataclass(frozen=True, slots=True)
class Overview:
    """The rollouts of a store.

    damaged: the errors of records that cannot be read, or whose policy was changed; the latter are
    in `rollouts`, too. left_out: older rollouts, which are over.
    """

    rollouts: tuple[Rollout, ...]
    damaged: tuple[StoreError, ...]
    left_out: int = 0


def load_rollouts(store: Store, ids: Iterable[str]) -> Overview:
    """Return the rollouts called `ids`; an unreadable one hides no other."""
    readable: list[Rollout] = []
    damaged: list[StoreError] = []
    for rollout_id in ids:
        try:
            readable.append(store.load(rollout_id))
        except SnapshotChangedError as error:
            readable.append(error.rollout)
            damaged.append(error)
        except StoreError as error:
            damaged.append(error)
    return Overview(tuple(readable), tuple(damaged))


def load_overview(store: Store, now: datetime) -> Overview:
    """Return the active rollouts of `store`, and the newest others. Raises StoreError."""
    active = list(store.active(now))
    visited = set(active)
    finished = [one for one in reversed(store.all()) if one not in visited]
    found = load_rollouts(store, [*active, *finished[:MAX_FINISHED]])
    return Overview(found.rollouts, found.damaged, max(0, len(finished) - MAX_FINISHED))
