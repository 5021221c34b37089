"""The windows of a freeze: every week, every day, or once, on the wall clock of some zone."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta, tzinfo
from typing import Self

from pydantic import Field, model_validator

from controller.core.policy.base import Model
from controller.core.policy.wall_time import (
    DAY_MINUTES,
    WEEK_MINUTES,
    TimeOfCalendar,
    TimeOfDay,
    TimeOfWeek,
    minute_of_day,
    time_text,
)

# Which occurrences count as near a day: one may have begun in the period before, and where the
# clock skips one altogether, the next to begin is that of the period after.
_NEAR = range(-1, 3)


class WeeklyWindow(Model):
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
        """The window as a person says it."""
        return f"{self.from_} to {self.to}"

    def around(self, day: date, zone: tzinfo) -> Iterator[tuple[datetime, datetime]]:
        """Yield begin and end, on the wall clock of `zone`, of its occurrences near `day`."""
        days = (self.to.weekday - self.from_.weekday) % 7
        if days == 0 and self.to.at < self.from_.at:
            days = 7
        this_week = day + timedelta(days=self.from_.weekday - day.weekday())
        for week in _NEAR:
            first = this_week + timedelta(weeks=week)
            yield (
                datetime.combine(first, self.from_.at, zone),
                datetime.combine(first + timedelta(days=days), self.to.at, zone),
            )

    def minutes(self) -> Iterator[tuple[int, int]]:
        """Yield begin and length, in minutes of the week."""
        yield self.from_.minute, (self.to.minute - self.from_.minute) % WEEK_MINUTES


class DailyWindow(Model):
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
        """The window as a person says it."""
        return f"daily {time_text(self.from_)} to {time_text(self.to)}"

    def around(self, day: date, zone: tzinfo) -> Iterator[tuple[datetime, datetime]]:
        """Yield begin and end, on the wall clock of `zone`, of its occurrences near `day`."""
        over_midnight = timedelta(days=1 if self.to < self.from_ else 0)
        for days in _NEAR:
            first = day + timedelta(days=days)
            yield (
                datetime.combine(first, self.from_, zone),
                datetime.combine(first + over_midnight, self.to, zone),
            )

    def minutes(self) -> Iterator[tuple[int, int]]:
        """Yield begin and length of each day's window, in minutes of the week."""
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
        if self.from_.begin(UTC) >= self.to.end(UTC):  # any zone would do
            if self.from_ == self.to:
                raise ValueError(f"a window of no length: it begins and ends at {self.to}")
            raise ValueError("`from` must be before `to`")
        return self

    @property
    def text(self) -> str:
        """The window as a person says it."""
        return f"{self.from_} to {self.to}"

    def around(self, day: date, zone: tzinfo) -> Iterator[tuple[datetime, datetime]]:
        """Yield begin and end on the wall clock of `zone`: it comes once, whatever the day."""
        yield self.from_.begin(zone), self.to.end(zone)
