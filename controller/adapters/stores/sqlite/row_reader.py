"""Readers for the rows of a `SqliteStore`: a damaged row never hides another one."""

from collections.abc import Iterable
from datetime import datetime
from typing import Final, NamedTuple

from controller.adapters.stores import codec
from controller.adapters.stores import error_texts as refusals
from controller.adapters.stores.untrusted_values import moment_of
from controller.core.rollout import FINAL_PHASES, Phase, Rollout
from controller.core.visit_order import LAST_MOMENT, StoredOrder, stored_order

_UNFINISHED_PHASES: Final = frozenset(str(phase) for phase in Phase if phase not in FINAL_PHASES)


class Row(NamedTuple):
    """The stored columns of one rollout; those after `policy` repeat parts of `state`."""

    state: object
    policy: object
    version: object
    closed: object
    created: object
    watch_until: object
    exposed_from: object
    exposed_to: object


def rollout_of(rollout_id: str, row: Row) -> Rollout:
    """Return the rollout. Raises StoreError when its state or a column that repeats it is damaged.

    A wrong version would make every save fail; a wrong `closed` would hide the rollout from ticks.
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
    """The columns that decide whether a tick visits a rollout, and in which order."""

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
        """Whether these columns show that the rollout is damaged; a visit reports the damage."""
        bad_deadline = self.watch_until is not None and moment_of(self.watch_until) is None
        bad_flag = self.closed not in (0, 1)
        return bad_flag or bad_deadline or moment_of(self.created) is None

    def is_visited(self, now: datetime) -> bool:
        """Tell whether a tick visits the rollout: it is open, still watched, or damaged."""
        if self.closed != 1:
            return True
        if self.watch_until is not None:
            return (moment_of(self.watch_until) or LAST_MOMENT) > now
        return bool(self.owns) and self.phase in _UNFINISHED_PHASES


def in_visit_order(rows: Iterable[UnfinishedRow], now: datetime) -> list[str]:
    """Return the ids of the rollouts that a tick visits, in the order of its visits."""
    visited = [one for one in rows if one.is_visited(now)]
    return [one.rollout_id for one in sorted(visited, key=_visit_order)]


def _visit_order(row: UnfinishedRow) -> StoredOrder:
    return stored_order(
        row.rollout_id,
        phase=row.phase,
        saved=moment_of(row.updated),
        created=moment_of(row.created),
        damaged=row.damaged,
    )


def oldest_first(rows: Iterable[tuple[object, str]]) -> list[str]:
    """Return the ids of `rows` (created, id), the oldest first, those without a moment last."""
    by_age = sorted((moment_of(created) or LAST_MOMENT, rollout_id) for created, rollout_id in rows)
    return [rollout_id for _, rollout_id in by_age]


def exposures(
    rows: Iterable[tuple[str, object, object, object]],
) -> list[tuple[str, datetime, datetime | None]]:
    """Return the exposures in `rows` (id, begin, end, created), the earliest first.

    With a damaged begin, a rollout counts as exposed since its creation; with a damaged end, as
    still exposed: so no baseline is read from a time that may have had canary traffic.
    """
    parsed = [
        (rollout_id, moment_of(begin) or moment_of(created), moment_of(end))
        for rollout_id, begin, end, created in rows
    ]
    known = [(rollout_id, begin, end) for rollout_id, begin, end in parsed if begin is not None]
    return sorted(known, key=lambda exposure: exposure[1])


def text_of(stored: bytes) -> str:
    """Return stored text; bytes that are not UTF-8 become surrogates, so they can be shown."""
    return stored.decode(errors="surrogateescape")
