"""The rows of a `SqliteStore`, read with care: one that is damaged hides no other one."""

from collections.abc import Iterable
from datetime import datetime
from typing import Final, NamedTuple

from controller.adapters.stores import refusals as refusals
from controller.adapters.stores.untrusted_values import (
    LAST_MOMENT,
    VisitOrder,
    moment_of,
    visit_order,
)
from controller.core import codec
from controller.core.rollout import FINAL_PHASES, Phase, Rollout

_UNFINISHED_PHASES: Final = frozenset(str(phase) for phase in Phase if phase not in FINAL_PHASES)


class Row(NamedTuple):
    """What is stored of one rollout; the columns beside `state` repeat what is in it."""

    state: object
    policy: object
    version: object
    closed: object
    created: object
    watch_until: object
    exposed_from: object
    exposed_to: object


def rollout_of(rollout_id: str, row: Row) -> Rollout:
    """Return the rollout. Raises StoreError when its state or a column beside it is damaged.

    A version that differs would let no save through; a rollout that is closed by mistake would not
    be visited.
    """
    rollout = codec.load(rollout_id, row.state, row.policy)
    if row.version != rollout.version:
        raise refusals.damaged_record(rollout_id, "version: the state has another one")
    if row.closed != rollout.final:
        raise refusals.damaged_record(rollout_id, "closed: the state says otherwise")
    for name in ("created", "watch_until", "exposed_from", "exposed_to"):
        value = getattr(row, name)
        if moment_of(value) is None and (value is not None or name == "created"):
            raise refusals.damaged_record(rollout_id, f"{name}: it is no moment")
    return rollout


class UnfinishedRow(NamedTuple):
    """What tells whether a tick visits a rollout, and when."""

    rollout_id: str
    name: object
    created: object
    closed: object
    watch_until: object
    owns: object
    phase: object
    updated: object

    @property
    def damaged(self) -> bool:
        """True when it can be seen here that the rollout is damaged; a visit tells how."""
        unwatched = self.watch_until is not None and moment_of(self.watch_until) is None
        odd = self.closed not in (0, 1)
        return odd or unwatched or moment_of(self.created) is None

    def is_visited(self, now: datetime) -> bool:
        """Tell whether a tick has something to do: it goes on, is watched, or is damaged."""
        if self.closed != 1:
            return True
        if self.watch_until is not None:
            return (moment_of(self.watch_until) or LAST_MOMENT) > now
        return bool(self.owns) and self.phase in _UNFINISHED_PHASES


def in_visit_order(found: Iterable[UnfinishedRow], now: datetime) -> list[str]:
    """Return the ids of those that a tick visits, in the order in which it takes them."""
    visited = [one for one in found if one.is_visited(now)]
    return [one.rollout_id for one in sorted(visited, key=_visit_order)]


def _visit_order(one: UnfinishedRow) -> VisitOrder:
    return visit_order(
        one.rollout_id,
        phase=one.phase,
        updated=one.updated,
        created=one.created,
        damaged=one.damaged,
    )


def oldest_first(found: Iterable[tuple[object, str]]) -> list[str]:
    """Return the ids of `found`, moment and id: the oldest first, those of no moment last."""
    return [one for _, one in sorted((moment_of(at) or LAST_MOMENT, one) for at, one in found)]


def exposures(
    found: Iterable[tuple[str, object, object, object]],
) -> list[tuple[str, datetime, datetime | None]]:
    """Return the exposures in `found` (id, begin, end, created), the earliest first.

    Where the begin is damaged the rollout counts as exposed since it was created, and where the end
    is, as exposed still: a baseline is not read from an unknown time.
    """
    known = [
        (one, moment_of(begin) or moment_of(created), moment_of(end))
        for one, begin, end, created in found
    ]
    sound = [(one, begin, end) for one, begin, end in known if begin is not None]
    return sorted(sound, key=lambda exposure: exposure[1])


def text_of(stored: bytes) -> str:
    """Return stored text as it is; bytes that are not UTF-8 stay what they are, as surrogates."""
    return stored.decode(errors="surrogateescape")
