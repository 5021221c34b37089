"""Rollouts that another store drives now: a schedule that still looks into this one moves none."""

from collections.abc import Collection, Sequence

from controller import events
from controller.core.rollout import Rollout
from controller.errors import StoreError
from controller.ports import Store

log = events.logger()


def retired(store: Store, names: Collection[str] = ()) -> list[Rollout]:
    """Return the unfinished rollouts that were moved out of `store`, oldest first.

    names: only rollouts called so; none: all.
    Asked when nothing is active. What the store does not tell is logged, and no more.
    """
    found: list[Rollout] = []
    for rollout_id in _ids(store, names):
        try:
            rollout = store.load(rollout_id)
        except StoreError as error:
            log.warning("retired_unknown", rollout=rollout_id, problem=str(error))
            continue
        log.warning("rollout_retired", rollout=rollout.id, store=rollout.moved_to)
        found.append(rollout)
    return found


def _ids(store: Store, names: Collection[str]) -> Sequence[str]:
    try:
        return store.retired(names)
    except StoreError as error:
        log.warning("retired_unknown", problem=str(error))
        return ()


def retired_line(rollout: Rollout) -> str:
    """Return in one line where a retired rollout lives, and what to do about it."""
    return (
        f"{rollout.id}  lives in {rollout.moved_to}, and nothing drives it from here: "
        f"let every run use that, the schedule's too (ROLLOUTCTL_STORE={rollout.moved_to})"
    )


def retired_data(rollouts: Sequence[Rollout]) -> list[dict[str, str]]:
    """Return retired rollouts as plain JSON data."""
    return [{"id": one.id, "moved_to": one.moved_to} for one in rollouts]
