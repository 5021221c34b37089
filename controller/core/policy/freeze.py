"""Freeze windows as a policy writes them, in the local time of one zone.

freeze:
  zone: Europe/Berlin
  weekly: [{from: fri 16:00, to: mon 08:00}]
  daily: [{from: 22:00, to: 06:00}]
  dates: [{from: 2026-12-23, to: 2027-01-02}]
"""

from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime, timedelta, tzinfo
from typing import Annotated, Self, TypeAlias
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, Field, model_validator

from controller.core.freeze import Frozen, Window, next_begin, stretch
from controller.core.policy.base import Model
from controller.core.policy.wall_time import DAY_MINUTES, DateMoment, DayMoment, WeekMoment
from controller.core.units import clock_text

_WEEK_MINUTES = 7 * DAY_MINUTES
# Occurrences that are looked at, from the one before a day on: windows overlap midnight and the
# week's end, and where the clock skips one, the next that begins is the one after it.
_NEAR = range(-1, 3)
# How many windows a sentence names before it says how many more there are.
_NAMED = 3
_ASK_AGAIN = timedelta(minutes=15)


class WeeklyWindow(Model):
    """The same days and times every week."""

    from_: WeekMoment = Field(
        alias="from", description="Local weekday and time it begins, like fri 16:00."
    )
    to: WeekMoment = Field(description="Local weekday and time it ends, like mon 08:00.")

    @model_validator(mode="after")
    def _has_length(self) -> Self:
        return _different(self)

    @property
    def text(self) -> str:
        """The window as a person says it."""
        return f"{self.from_} to {self.to}"

    def around(self, day: date, zone: tzinfo) -> Iterator[tuple[datetime, datetime]]:
        """Yield begin and end, on the wall clock of `zone`, of its occurrences near `day`."""
        days = (self.to.weekday - self.from_.weekday) % 7
        if days == 0 and self.to.time <= self.from_.time:
            days = 7
        own = day + timedelta(days=self.from_.weekday - day.weekday())
        for week in _NEAR:
            first = own + timedelta(weeks=week)
            last = first + timedelta(days=days)
            yield self.from_.time.on(first, zone), self.to.time.on(last, zone)

    def minutes(self) -> Iterator[tuple[int, int]]:
        """Yield its begin and end in minutes of the week; one that ends before it begins wraps."""
        yield self.from_.minute, self.to.minute


class DailyWindow(Model):
    """The same times every day."""

    from_: DayMoment = Field(alias="from", description="Local time it begins, like 22:00.")
    to: DayMoment = Field(description="Local time it ends, like 06:00.")

    @model_validator(mode="after")
    def _has_length(self) -> Self:
        return _different(self)

    @property
    def text(self) -> str:
        """The window as a person says it."""
        return f"daily {self.from_} to {self.to}"

    def around(self, day: date, zone: tzinfo) -> Iterator[tuple[datetime, datetime]]:
        """Yield begin and end, on the wall clock of `zone`, of its occurrences near `day`."""
        days = 0 if self.from_ < self.to else 1
        for number in _NEAR:
            first = day + timedelta(days=number)
            yield self.from_.on(first, zone), self.to.on(first + timedelta(days=days), zone)

    def minutes(self) -> Iterator[tuple[int, int]]:
        """Yield its begins and ends in minutes of the week."""
        length = (self.to.minute - self.from_.minute) % DAY_MINUTES
        for midnight in range(0, _WEEK_MINUTES, DAY_MINUTES):
            begin = midnight + self.from_.minute
            yield begin, (begin + length) % _WEEK_MINUTES


class DateWindow(Model):
    """One stretch of the calendar: whole days, both included, or from one local moment to another."""

    from_: DateMoment = Field(
        alias="from", description="First day, or local moment it begins, like 2026-11-27T12:00."
    )
    to: DateMoment = Field(description="Last day, or local moment it ends, like 2027-01-02.")

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        begin, end = self.from_.begin(UTC), self.to.end(UTC)
        if begin == end:
            raise ValueError(f"a window of no length: begins and ends at {self.to}")
        if begin > end:
            raise ValueError("`from` must be before `to`")
        return self

    @property
    def text(self) -> str:
        """The window as a person says it."""
        return f"{self.from_} to {self.to}"

    def around(self, day: date, zone: tzinfo) -> Iterator[tuple[datetime, datetime]]:
        """Yield its begin and end on the wall clock of `zone`; it comes once."""
        yield self.from_.begin(zone), self.to.end(zone)


def _different(window: WeeklyWindow | DailyWindow) -> Self:
    if window.from_ == window.to:
        raise ValueError(f"a window of no length: begins and ends at {window.to}")
    return window
