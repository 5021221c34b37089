"""The windows of a freeze: every week, every day, or once.

A window knows readings of a wall clock and no time zone: the `datetime` values here have none.
"""

from abc import abstractmethod
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Self, TypeAlias

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


class RecurringWindow(Model):
    """A window that comes once a week, or on each day of it."""

    @abstractmethod
    def minutes(self) -> Iterator[tuple[int, int]]:
        """Yield begin and length of each time that it comes in a week, in minutes of the week."""

    def end(self, wall: datetime) -> datetime | None:
        """Return the reading at which the window that holds `wall` ends; None outside of it."""
        now = _minute_of_week(wall)
        for begin, length in self.minutes():
            left = length - (now - begin) % WEEK_MINUTES
            if left > 0:
                return _after(wall, left)
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
        """The window as a person says it."""
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
        """The window as a person says it."""
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
        """The window as a person says it."""
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
