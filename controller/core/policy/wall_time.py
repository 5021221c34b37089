"""Readings of a wall clock as a policy writes them: `22:00`, `fri 16:00`, `2026-11-27T12:00`."""

import re
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Annotated, TypeAlias

from pydantic import PlainSerializer, PlainValidator, WithJsonSchema

from controller.core.units import shown

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
DAY_MINUTES = 24 * 60
WEEK_MINUTES = 7 * DAY_MINUTES

_CLOCK = r"([01][0-9]|2[0-3]):[0-5][0-9]"
# Policies are about the years ahead; a date beyond them is a slip of the finger.
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
        raise ValueError(f"expected a time from 00:00 to 23:59, like 22:00, not {shown(value)}")
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
        """Return what `value` names. Raises ValueError for anything but `fri 16:00`."""
        if isinstance(value, WeekTime):
            return value
        match = _WEEK.fullmatch(value) if isinstance(value, str) else None
        if match is None:
            raise ValueError(f"expected a weekday and a time, like fri 16:00, not {shown(value)}")
        if match[1] not in DAYS:
            known = ", ".join(DAYS)
            raise ValueError(f"no weekday is called {shown(match[1])}; known: {known}")
        return cls(DAYS.index(match[1]), time.fromisoformat(match[2]))

    def __str__(self) -> str:
        return f"{DAYS[self.weekday]} {time_text(self.at)}"

    @property
    def minute(self) -> int:
        """How many minutes after Monday's begin it is."""
        return self.weekday * DAY_MINUTES + minute_of_day(self.at)


@dataclass(frozen=True, slots=True)
class CalendarTime:
    """A moment of the local calendar, `2026-11-27T12:00`, or with no time a whole day of it."""

    day: date
    at: time | None

    @classmethod
    def read(cls, value: object) -> "CalendarTime":
        """Return what `value` names. Raises ValueError for anything but the two forms."""
        if isinstance(value, CalendarTime):
            return value
        match = _CALENDAR.fullmatch(value) if isinstance(value, str) else None
        if match is None:
            raise ValueError(
                "expected a day or a local moment without a zone, like 2026-12-23 or "
                f"2026-11-27T12:00, not {shown(value)}"
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
        """The reading of the wall clock at which a window that begins here begins."""
        return datetime.combine(self.day, self.at or time())

    @property
    def end(self) -> datetime:
        """The reading at which a window that ends here ends: a whole day belongs to it."""
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
