"""Freeze windows as a policy writes them, in the local time of one zone.

freeze:
  zone: Europe/Berlin
  weekly: [{from: fri 16:00, to: mon 08:00}]
  daily: [{from: 22:00, to: 06:00}]
  dates: [{from: 2026-12-23, to: 2027-01-02}]

A moment is frozen when the wall clock of the zone shows a time in a window; nothing else decides.
The begins and ends in messages are readings of that clock, converted to UTC. On a day of a clock
change they may be off by the size of the change.
"""

import re
from abc import abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import Annotated, Self, TypeAlias, TypeVar
from zoneinfo import ZoneInfo

from pydantic import (
    AfterValidator,
    Field,
    PlainSerializer,
    PlainValidator,
    WithJsonSchema,
    model_validator,
)

from controller.core.policy.base import Model
from controller.core.units import clock_text, quote_value

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
DAY_MINUTES = 24 * 60
WEEK_MINUTES = 7 * DAY_MINUTES

_CLOCK = r"([01][0-9]|2[0-3]):[0-5][0-9]"
# The years 2000 to 2099: a policy is about the years ahead, so any other year is a typing error.
_DAY = r"20[0-9]{2}-[0-9]{2}-[0-9]{2}"
_WEEK = re.compile(rf"(\S+) ({_CLOCK})")
_CALENDAR = re.compile(rf"({_DAY})(?:T({_CLOCK}))?")


def minute_of_day(reading: time) -> int:
    """Return how many minutes after midnight `reading` is."""
    return 60 * reading.hour + reading.minute


def read_time(value: object) -> time:
    """Return the time of day that `value` names. Raises ValueError for anything but `22:00`."""
    if isinstance(value, time):
        return value
    if not isinstance(value, str) or not re.fullmatch(_CLOCK, value):
        raise ValueError(
            f"expected a time from 00:00 to 23:59, like 22:00, not {quote_value(value)}"
        )
    return time.fromisoformat(value)


def time_text(reading: time) -> str:
    """Return `reading` as `read_time` reads it back."""
    return f"{reading:%H:%M}"


@dataclass(frozen=True, slots=True)
class WeekTime:
    """A time on a weekday, 0 for Monday: `fri 16:00`."""

    weekday: int
    at: time

    @classmethod
    def read(cls, value: object) -> "WeekTime":
        """Return the time that `value` names. Raises ValueError for anything but `fri 16:00`."""
        if isinstance(value, WeekTime):
            return value
        match = _WEEK.fullmatch(value) if isinstance(value, str) else None
        if match is None:
            raise ValueError(
                f"expected a weekday and a time, like fri 16:00, not {quote_value(value)}"
            )
        if match[1] not in DAYS:
            known = ", ".join(DAYS)
            raise ValueError(f"no weekday is called {quote_value(match[1])}; known: {known}")
        return cls(DAYS.index(match[1]), time.fromisoformat(match[2]))

    def __str__(self) -> str:
        return f"{DAYS[self.weekday]} {time_text(self.at)}"

    @property
    def minute(self) -> int:
        """Minutes since the begin of Monday."""
        return self.weekday * DAY_MINUTES + minute_of_day(self.at)


@dataclass(frozen=True, slots=True)
class CalendarTime:
    """A local moment, `2026-11-27T12:00`, or a whole local day, `2026-11-27`, without a time."""

    day: date
    at: time | None

    @classmethod
    def read(cls, value: object) -> "CalendarTime":
        """Return the time that `value` names. Raises ValueError for anything but the two forms."""
        if isinstance(value, CalendarTime):
            return value
        match = _CALENDAR.fullmatch(value) if isinstance(value, str) else None
        if match is None:
            raise ValueError(
                "expected a day or a local moment without a zone, like 2026-12-23 or "
                f"2026-11-27T12:00, not {quote_value(value)}"
            )
        day, reading = match[1], match[2]
        try:
            return cls(date.fromisoformat(day), time.fromisoformat(reading) if reading else None)
        except ValueError:
            raise ValueError(f"the calendar has no {day}") from None

    def __str__(self) -> str:
        day = self.day.isoformat()
        return day if self.at is None else f"{day}T{time_text(self.at)}"

    @property
    def begin(self) -> datetime:
        """The reading of the wall clock at which a window from here begins."""
        return datetime.combine(self.day, self.at or time())

    @property
    def end(self) -> datetime:
        """The reading of the wall clock at which a window to here ends, after any whole day."""
        if self.at is None:
            return datetime.combine(self.day + timedelta(days=1), time())
        return datetime.combine(self.day, self.at)


def _form(pattern: str, example: str) -> WithJsonSchema:
    return WithJsonSchema({"type": "string", "pattern": f"^{pattern}$", "examples": [example]})


TimeOfDay: TypeAlias = Annotated[
    time,
    PlainValidator(read_time),
    PlainSerializer(time_text, return_type=str),
    _form(_CLOCK, "22:00"),
]
TimeOfWeek: TypeAlias = Annotated[
    WeekTime,
    PlainValidator(WeekTime.read),
    PlainSerializer(str, return_type=str),
    _form(f"({'|'.join(DAYS)}) {_CLOCK}", "fri 16:00"),
]
TimeOfCalendar: TypeAlias = Annotated[
    CalendarTime,
    PlainValidator(CalendarTime.read),
    PlainSerializer(str, return_type=str),
    _form(f"{_DAY}(T{_CLOCK})?", "2026-12-23"),
]


# --- Windows --------------------------------------------------------------------------------------


class RecurringWindow(Model):
    """A window that recurs once a week, or on each day of it."""

    @abstractmethod
    def minutes(self) -> Iterator[tuple[int, int]]:
        """Yield begin and length of each occurrence in a week, in minutes of the week."""

    def end(self, wall: datetime) -> datetime | None:
        """Return the reading at which the window that holds `wall` ends; None outside of it."""
        now = _minute_of_week(wall)
        for begin, length in self.minutes():
            remaining = length - (now - begin) % WEEK_MINUTES
            if remaining > 0:
                return _after(wall, remaining)
        return None

    def next_begin(self, wall: datetime) -> datetime:
        """Return the first reading after `wall` at which the window begins."""
        now = _minute_of_week(wall)
        waits = [(begin - now) % WEEK_MINUTES or WEEK_MINUTES for begin, _ in self.minutes()]
        return _after(wall, min(waits))


class WeeklyWindow(RecurringWindow):
    """The same days and times every week."""

    from_: TimeOfWeek = Field(
        alias="from", description="Local weekday and time it begins, like fri 16:00."
    )
    to: TimeOfWeek = Field(description="Local weekday and time it ends, like mon 08:00.")

    @model_validator(mode="after")
    def _has_length(self) -> Self:
        if self.from_ == self.to:
            raise ValueError(f"a window of no length: it begins and ends at {self.to}")
        return self

    @property
    def text(self) -> str:
        """The window as text for people."""
        return f"{self.from_} to {self.to}"

    def minutes(self) -> Iterator[tuple[int, int]]:
        """Yield as `RecurringWindow` says."""
        yield self.from_.minute, (self.to.minute - self.from_.minute) % WEEK_MINUTES


class DailyWindow(RecurringWindow):
    """The same times every day."""

    from_: TimeOfDay = Field(alias="from", description="Local time it begins, like 22:00.")
    to: TimeOfDay = Field(description="Local time it ends, like 06:00; before `from`: next day.")

    @model_validator(mode="after")
    def _has_length(self) -> Self:
        if self.from_ == self.to:
            raise ValueError(f"a window of no length: it begins and ends at {time_text(self.to)}")
        return self

    @property
    def text(self) -> str:
        """The window as text for people."""
        return f"daily {time_text(self.from_)} to {time_text(self.to)}"

    def minutes(self) -> Iterator[tuple[int, int]]:
        """Yield as `RecurringWindow` says."""
        begin, end = minute_of_day(self.from_), minute_of_day(self.to)
        for midnight in range(0, WEEK_MINUTES, DAY_MINUTES):
            yield midnight + begin, (end - begin) % DAY_MINUTES


class DateWindow(Model):
    """One stretch of the calendar, from a day or a local moment to another."""

    from_: TimeOfCalendar = Field(
        alias="from", description="First day, or the local moment it begins: 2026-11-27T12:00."
    )
    to: TimeOfCalendar = Field(
        description="Last day, which belongs to it, or the local moment it ends."
    )

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.from_.begin >= self.to.end:
            if self.from_ == self.to:
                raise ValueError(f"a window of no length: it begins and ends at {self.to}")
            raise ValueError("`from` must be before `to`")
        return self

    @property
    def text(self) -> str:
        """The window as text for people."""
        return f"{self.from_} to {self.to}"

    def end(self, wall: datetime) -> datetime | None:
        """Return the reading at which the window ends if it holds `wall`; None outside of it."""
        return self.to.end if self.from_.begin <= wall < self.to.end else None

    def next_begin(self, wall: datetime) -> datetime | None:
        """Return the reading at which the window begins; None when it has begun."""
        return self.from_.begin if wall < self.from_.begin else None


Window: TypeAlias = WeeklyWindow | DailyWindow | DateWindow


def _minute_of_week(wall: datetime) -> int:
    return wall.weekday() * DAY_MINUTES + minute_of_day(wall.time())


def _after(wall: datetime, minutes: int) -> datetime:
    """Return the reading so many minutes after the whole minute of `wall`."""
    return wall.replace(second=0, microsecond=0) + timedelta(minutes=minutes)


# --- The freeze -----------------------------------------------------------------------------------

# How many windows a sentence names before it says how many more there are.
_MAX_NAMED_WINDOWS = 3
# A freeze in an unknown time zone has no known end: it is checked again after this long.
_UNKNOWN_ZONE_RETRY = timedelta(minutes=15)

_Windows = TypeVar("_Windows", bound=tuple[Model, ...])


@dataclass(frozen=True, slots=True)
class Frozen:
    """A frozen period, in which no step is taken: the UTC moment at which it ends, and why."""

    until: datetime
    text: str


def _not_empty(windows: _Windows) -> _Windows:
    # A validator and not `min_length`: pydantic counts only valid items, and reports 0 of them
    # where the list has one that is invalid.
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
        if _covers_whole_week(span for window in recurring for span in window.minutes()):
            raise ValueError("its windows cover the whole week: nothing could ever advance")
        return self

    @property
    def windows(self) -> Sequence[Window]:
        """All windows, as they are written."""
        return (*(self.weekly or ()), *(self.daily or ()), *(self.dates or ()))

    def at(self, now: datetime) -> Frozen | None:
        """Return the frozen period that `now` lies in; None when there is none."""
        zone = self._zone()
        if zone is None:
            return Frozen(now.astimezone(UTC) + _UNKNOWN_ZONE_RETRY, self._unknown_zone_text())
        wall, names = _wall(now, zone), list[str]()
        # The loop ends because the windows leave a minute of each week free (`_leaves_time`).
        while current := [
            (end, one.text) for one in self.windows if (end := one.end(wall)) is not None
        ]:
            wall, name = max(current)
            names.append(name)
        if not names:
            return None
        until = _moment(wall, zone, now)
        return Frozen(until, self._period_text(until, names))

    def next_period(self, now: datetime) -> tuple[datetime, Frozen] | None:
        """Return when the next window after `now` begins, and the frozen period that it starts."""
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
        """Return the time zone; None when this machine does not know it.

        The time zone database of the machine, or of the tzdata package, is the only file that the
        core reads. It is read when a policy is checked and when a rollout would advance, never for
        a rollback.
        """
        try:
            return ZoneInfo(self.zone)
        except (LookupError, OSError, ValueError):  # missing; a directory; not a zone name
            return None

    def _period_text(self, until: datetime, names: Sequence[str]) -> str:
        more = (
            [f"{len(names) - _MAX_NAMED_WINDOWS} more"] if len(names) > _MAX_NAMED_WINDOWS else []
        )
        windows = ", then ".join([*names[:_MAX_NAMED_WINDOWS], *more])
        return f"frozen until {clock_text(until)} ({windows}, {self.zone})"

    def _unknown_zone_text(self) -> str:
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


def _covers_whole_week(spans: Iterable[tuple[int, int]]) -> bool:
    """Tell whether `spans`, begin and length in minutes of the week, leave none of it free."""
    pieces: list[tuple[int, int]] = []
    for begin, length in spans:
        end = begin + length
        pieces += [(begin, end), (begin - WEEK_MINUTES, end - WEEK_MINUTES)]
    covered_until = 0
    for begin, end in sorted(pieces):
        if begin > covered_until:
            return False
        covered_until = max(covered_until, end)
    return covered_until >= WEEK_MINUTES
