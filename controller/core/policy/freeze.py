"""Freeze windows as a policy writes them, in the local time of one zone.

freeze:
  zone: Europe/Berlin
  weekly: [{from: fri 16:00, to: mon 08:00}]
  daily: [{from: 22:00, to: 06:00}]
  dates: [{from: 2026-12-23, to: 2027-01-02}]

A moment is frozen when the wall clock of the zone shows a time in a window. Only that decides.
The ends and begins that people see are readings of that clock, turned into UTC: on a day on which
the clock changes they may be off by as much as it changes.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Annotated, Self, TypeAlias, TypeVar
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, Field, model_validator

from controller.core.policy.base import Model
from controller.core.policy.wall_time import WEEK_MINUTES
from controller.core.policy.windows import (
    DailyWindow,
    DateWindow,
    RecurringWindow,
    WeeklyWindow,
    Window,
)
from controller.core.units import clock_text

# How many windows a sentence names before it says how many more there are.
_NAMED = 3
# Of a freeze that cannot be read nobody can say when it ends: after this long one looks again.
_LOOK_AGAIN = timedelta(minutes=15)

_Windows = TypeVar("_Windows", bound=tuple[Model, ...])


@dataclass(frozen=True, slots=True)
class Frozen:
    """A stretch in which nothing advances: the UTC moment at which it ends, and why, in words."""

    until: datetime
    text: str


def _not_empty(windows: _Windows) -> _Windows:
    # A validator and no `min_length`: pydantic counts only the sound items, and says 0 of one.
    if not windows:
        raise ValueError("needs at least one window; leave the key out where there is none")
    return windows


_LIST = Field(max_length=50, json_schema_extra={"minItems": 1})
Weekly: TypeAlias = Annotated[tuple[WeeklyWindow, ...], _LIST, AfterValidator(_not_empty)]
Daily: TypeAlias = Annotated[tuple[DailyWindow, ...], _LIST, AfterValidator(_not_empty)]
Dates: TypeAlias = Annotated[tuple[DateWindow, ...], _LIST, AfterValidator(_not_empty)]


class Freeze(Model):
    """When no step is taken, in the local time of one zone; a rollback is never kept from it."""

    zone: Annotated[str, Field(min_length=1, max_length=64)] = Field(
        description="IANA time zone of every time below, like Europe/Berlin."
    )
    weekly: Weekly | None = Field(
        default=None, description="Windows that come every week; they may cross its end."
    )
    daily: Daily | None = Field(
        default=None, description="Windows that come every day; they may cross midnight."
    )
    dates: Dates | None = Field(default=None, description="Windows that come once.")

    @model_validator(mode="after")
    def _leaves_time(self) -> Self:
        if not self.windows:
            raise ValueError("needs at least one window: weekly, daily or dates")
        recurring: list[RecurringWindow] = [*(self.weekly or ()), *(self.daily or ())]
        if _covered(span for window in recurring for span in window.minutes()):
            raise ValueError("its windows cover the whole week: nothing could ever advance")
        return self

    @property
    def windows(self) -> Sequence[Window]:
        """All windows, as they are written."""
        return (*(self.weekly or ()), *(self.daily or ()), *(self.dates or ()))

    def at(self, now: datetime) -> Frozen | None:
        """Return the frozen stretch that `now` lies in; None when there is none."""
        zone = self._zone()
        if zone is None:
            return Frozen(now.astimezone(UTC) + _LOOK_AGAIN, self._unreadable())
        wall, names = _wall(now, zone), list[str]()
        # Ends as long as the windows leave a minute of each week free, which is checked above.
        while holding := [
            (end, one.text) for one in self.windows if (end := one.end(wall)) is not None
        ]:
            wall, name = max(holding)
            names.append(name)
        if not names:
            return None
        until = _moment(wall, zone, now)
        return Frozen(until, self._told(until, names))

    def coming(self, now: datetime) -> tuple[datetime, Frozen] | None:
        """Return when the next window begins after `now`, and the stretch that it is part of."""
        zone = self._zone()
        if zone is None:
            return None
        wall = _wall(now, zone)
        while begins := [
            begin for one in self.windows if (begin := one.next_begin(wall)) is not None
        ]:
            wall = min(begins)
            begin = _moment(wall, zone, now)
            frozen = self.at(begin)
            if frozen is not None:  # the clock may skip a whole window
                return begin, frozen
        return None

    def _zone(self) -> ZoneInfo | None:
        """Return the zone as this machine knows it; None when it does not.

        Its database, or that of the tzdata package, is the one thing that the core reads. It is
        asked when a policy is written, and when a rollout would advance: never by a rollback.
        """
        try:
            return ZoneInfo(self.zone)
        except (LookupError, OSError, ValueError):  # not there; a directory; no name of a zone
            return None

    def _told(self, until: datetime, names: Sequence[str]) -> str:
        more = [f"{len(names) - _NAMED} more"] if len(names) > _NAMED else []
        windows = ", then ".join([*names[:_NAMED], *more])
        return f"frozen until {clock_text(until)} ({windows}, {self.zone})"

    def _unreadable(self) -> str:
        return (
            "frozen, and nobody can say until when: this machine knows no time zone "
            f"{self.zone}; install the tzdata package"
        )


def _wall(moment: datetime, zone: tzinfo) -> datetime:
    """Return what the wall clock of `zone` shows at `moment`."""
    return moment.astimezone(zone).replace(tzinfo=None)


def _moment(wall: datetime, zone: tzinfo, after: datetime) -> datetime:
    """Return the first UTC moment after `after` at which the clock of `zone` shows `wall`.

    A reading that the clock skips is read by the offset before the jump, and so comes after it.
    """
    first, second = (wall.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1))
    return first if first > after else second


def _covered(spans: Iterable[tuple[int, int]]) -> bool:
    """Tell whether spans, begin and length in minutes of the week, leave none of it free."""
    pieces: list[tuple[int, int]] = []
    for begin, length in spans:
        end = begin + length
        pieces += [(begin, end), (begin - WEEK_MINUTES, end - WEEK_MINUTES)]
    reached = 0
    for begin, end in sorted(pieces):
        if begin > reached:
            return False
        reached = max(reached, end)
    return reached >= WEEK_MINUTES
