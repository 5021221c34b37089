"""The rollouts of a store at a glance, each as it is stored."""

from collections.abc import Collection, Iterable
from datetime import datetime
from typing import Final

from controller.core.policy_snapshot import SnapshotChangedError
from controller.core.rollout import Rollout
from controller.errors import StoreError
from controller.immutable import Immutable
from controller.ports.store import Store

# So many of the rollouts that are over are shown: each is a read, at every tick.
MAX_FINISHED: Final = 20


class Overview(Immutable):
    """The rollouts of a store.

    damaged: the errors of records that cannot be read, or whose policy was changed; the latter are
    in `rollouts`, too. left_out: older rollouts, which are over. problem: why those that are over
    are missing.
    """

    rollouts: tuple[Rollout, ...]
    damaged: tuple[StoreError, ...]
    left_out: int = 0
    problem: str = ""


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


def load_overview(store: Store, now: datetime, names: Collection[str] = ()) -> Overview:
    """Return the active rollouts of `store`, and the newest others. Raises StoreError.

    names: only rollouts of these names; empty: of all. The role of a tick may not list rollouts
    that are over, unless it gets their names.
    """
    active, problem = list(store.active(now, names)), ""
    try:
        every = [one for name in names for one in store.of_name(name)] if names else store.all()
    except StoreError as error:
        every, problem = (), str(error)
    visited = set(active)
    finished = [one for one in reversed(every) if one not in visited]
    found = load_rollouts(store, [*active, *finished[:MAX_FINISHED]])
    left_out = max(0, len(finished) - MAX_FINISHED)
    return Overview(found.rollouts, found.damaged, left_out, problem)
