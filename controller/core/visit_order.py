"""Which rollouts a tick visits, and in which order.

A rollout that is not due yet (`core.due`) is left to a later tick. The policy names take turns; in
each turn the most urgent rollout of each name comes first.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final, Generic, NamedTuple, TypeAlias, TypeVar
from zlib import crc32

from controller.core.rollout import Phase, Rollout
from controller.immutable import Immutable

_Item = TypeVar("_Item")

LAST_MOMENT: Final = datetime.max.replace(tzinfo=UTC)  # sorts after every moment

_SHARD: Final = re.compile(r"([0-9]{1,4})/([0-9]{1,4})")

# A rollback, then traffic to judge, then 0% to guard. The final phases come last, because their
# rollouts are rarely saved: by their moment alone they would come first for days.
_PRIORITY: Final = {
    Phase.ROLLING_BACK: 0,
    Phase.PROGRESSING: 1,
    Phase.PAUSED: 1,
    Phase.ROLLED_BACK: 2,
    Phase.SUCCEEDED: 3,
}

# No rollout is left for longer: what no datapoint foretells is seen within that time.
FARTHEST: Final = timedelta(minutes=5)
# The slowest supported schedule ticks every 15 minutes: after 20, ticks have probably stopped.
LATE_AFTER: Final = timedelta(minutes=20)
# The phases in which it may be left. A rollback and a pause never are, whatever a record says.
_MAY_WAIT: Final = frozenset({Phase.PROGRESSING, Phase.SUCCEEDED})

StoredOrder: TypeAlias = tuple[bool, int, datetime, datetime, str]


class Turns(Immutable, Generic[_Item]):
    """Rollouts, or what has one, in the order of their visits.

    rollbacks: those in progress that are the first of their policy name; each goes first. others:
    those whose phase is another one. further: the other rollbacks, which come last, so that many of
    one name keep no rollout of another name waiting.
    """

    rollbacks: Sequence[_Item]
    others: Sequence[_Item]
    further: Sequence[_Item]

    @classmethod
    def of(cls, items: Iterable[_Item], rollout_of: Callable[[_Item], Rollout]) -> "Turns[_Item]":
        """Return `items` in the order of their visits."""
        by_urgency = sorted(items, key=lambda one: _urgency(rollout_of(one)))
        rollbacks, others, further, names = [], [], [], set[str]()
        for item in in_turns(by_urgency, lambda one: rollout_of(one).id):
            rollout = rollout_of(item)
            if rollout.phase is not Phase.ROLLING_BACK:
                others.append(item)
            elif rollout.name in names:
                further.append(item)
            else:
                rollbacks.append(item)
            names.add(rollout.name)
        return cls(rollbacks, others, further)


class Shard(Immutable):
    """A part of all rollouts, for one of several processes: those of the same policies each time.

    number: from 1 to `count`, the number of parts. Where two processes visit the same part, leases
    keep them apart; a part that none visits gets no tick.
    """

    number: int
    count: int

    @classmethod
    def parse(cls, text: str) -> "Shard":
        """Return the shard that `text` names, as in "2/3". Raises ValueError."""
        found = _SHARD.fullmatch(text)
        number, count = map(int, found.groups()) if found else (0, 0)
        if not 1 <= number <= count:
            raise ValueError(f"expected I/N, as in 2/3: part I of N, from 1 to N; not {text!r}")
        return cls(number, count)

    def has(self, rollout_id: str) -> bool:
        """Tell whether a rollout is in this part, which its policy name decides."""
        return crc32(name_of(rollout_id).encode()) % self.count == self.number - 1


def name_of(rollout_id: str) -> str:
    """Return the name of the policy in the id of a rollout."""
    return rollout_id.rpartition("#")[0]


def in_turns(items: Iterable[_Item], id_of: Callable[[_Item], str]) -> list[_Item]:
    """Return `items` in turns: one of each policy name before a second one of the same name.

    Many rollouts of one name, which one team may write, keep those of other names waiting for one.
    """
    turns = Counter[str]()

    def turn(item: _Item) -> int:
        name = name_of(id_of(item))
        turns[name] += 1
        return turns[name]

    return sorted(items, key=turn)


def _urgency(rollout: Rollout) -> tuple[int, datetime]:
    """Return the sort key within a turn: the priority of the phase, then the oldest save first."""
    return _PRIORITY[rollout.phase], rollout.updated


def is_late(rollout: Rollout, now: datetime) -> bool:
    """Tell whether a rollout in progress had no tick for too long."""
    return not rollout.final and now - rollout.updated > LATE_AFTER


def is_visited(*, over: bool, is_watched: bool, until: datetime | None, now: datetime) -> bool:
    """Tell whether a tick visits a rollout: it is not over, or still watched.

    over: the store is sure that its phase is final. is_watched: it has a watch, which ends at
    `until`; None: that moment is damaged, and the visit reports it.
    """
    return not over or (is_watched and (until is None or until > now))


class Visits(Immutable):
    """What a tick finds: the ids of the rollouts that are due, in the order of its visits.

    later: the phase of each other rollout that is active; a later tick visits it.
    """

    due: tuple[str, ...]
    later: tuple[Phase, ...] = ()


class Listed(NamedTuple):
    """An active rollout as a store lists it. order: its sort key. due: None: at each tick."""

    order: StoredOrder
    rollout_id: str
    phase: object
    due: datetime | None

    def is_due(self, now: datetime) -> bool:
        """Tell whether a tick visits it; one that shows damage is not left alone."""
        return self.order[0] or is_due(self.phase, self.due, now)


def is_due(phase: object, due: datetime | None, now: datetime) -> bool:
    """Tell whether a tick visits a rollout in `phase` that is active, and due at `due`.

    A moment further ahead than FARTHEST was made by damage or by a wrong clock: it hides nothing.
    """
    return due is None or phase not in _MAY_WAIT or not now < due <= now + FARTHEST


def in_visit_order(listed: Iterable[Listed]) -> list[Listed]:
    """Return active rollouts in the order of their visits."""
    return sorted(listed, key=lambda one: one.order)


def visits_of(listed: Iterable[Listed], now: datetime) -> Visits:
    """Return what a tick at `now` does with the rollouts that a store lists."""
    in_order = in_visit_order(listed)
    later = [Phase(str(one.phase)) for one in in_order if not one.is_due(now)]
    return Visits(tuple(one.rollout_id for one in in_order if one.is_due(now)), tuple(later))


def stored_order(
    rollout_id: str,
    *,
    phase: object,
    saved: datetime | None,
    created: datetime | None,
    damaged: bool,
) -> StoredOrder:
    """Return the sort key of a rollout that is not loaded yet, by what a store shows of it.

    It is that of a loaded rollout; a rollout of which that is not known comes last.
    """
    known = phase in _PHASES
    return (
        damaged or saved is None or not known,
        _PRIORITY[Phase(str(phase))] if known else 0,
        saved or LAST_MOMENT,
        created or LAST_MOMENT,
        rollout_id,
    )


_PHASES: Final = frozenset(map(str, Phase))
