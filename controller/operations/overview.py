"""The rollouts of a store at a glance, each as it is stored."""

from collections.abc import Collection, Sequence
from datetime import datetime
from fnmatch import fnmatchcase
from itertools import chain
from time import monotonic
from typing import Final

from controller.core.history import SnapshotChangedError
from controller.core.notice_rules import ConditionKind
from controller.core.rollout import Phase, Rollout
from controller.core.visit_order import name_of
from controller.engine.side_by_side import SideBySide, one_by_one
from controller.errors import StoreError
from controller.immutable import Immutable
from controller.ports.store import Store

# So many of the rollouts that are over are shown: each is a read, at every tick.
MAX_FINISHED: Final = 20
# One read of the store has so many rollouts, and so many reads wait for answers at a time.
_BATCH: Final = 100
_READS_AT_ONCE: Final = 4


class RolloutFilter(Immutable):
    """Which rollouts are wanted: those that fit each part; an empty part fits every rollout.

    names: of policies; `*`, `?` and `[...]` stand for other characters, as in a shell.
    """

    names: tuple[str, ...] = ()
    phases: frozenset[Phase] = frozenset()
    conditions: frozenset[ConditionKind] = frozenset()

    @property
    def is_empty(self) -> bool:
        """Whether every rollout fits."""
        return not (self.names or self.phases or self.conditions)

    def fits_id(self, rollout_id: str) -> bool:
        """Tell whether a rollout of this id may fit, which is not read yet."""
        name = name_of(rollout_id)
        return not self.names or any(fnmatchcase(name, one) for one in self.names)

    def fits(self, rollout: Rollout) -> bool:
        """Tell whether the state of `rollout` fits."""
        return (not self.phases or rollout.phase in self.phases) and (
            not self.conditions or not self.conditions.isdisjoint(rollout.conditions)
        )


ALL: Final = RolloutFilter()


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


def load_rollouts(store: Store, ids: Sequence[str], wanted: RolloutFilter = ALL) -> Overview:
    """Return the `wanted` of the rollouts called `ids`; an unreadable one hides no other.

    A damaged record may be wanted, so no filter hides it but that of names. Raises StoreError when
    the store cannot be read.
    """
    listed = list(filter(wanted.fits_id, ids))
    batches = [listed[begin : begin + _BATCH] for begin in range(0, len(listed), _BATCH)]
    run = SideBySide(monotonic, _READS_AT_ONCE) if len(batches) > 1 else one_by_one
    readable: list[Rollout] = []
    damaged: list[StoreError] = []
    for one in chain.from_iterable(run(store.load_all, batches, always=True).in_time):
        if isinstance(one, StoreError):
            damaged.append(one)
        rollout = one.rollout if isinstance(one, SnapshotChangedError) else one
        if isinstance(rollout, Rollout) and wanted.fits(rollout):
            readable.append(rollout)
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
