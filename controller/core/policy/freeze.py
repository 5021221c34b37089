"""Freeze windows as a policy writes them, in the local time of one zone.

freeze:
  zone: Europe/Berlin
  weekly: [{from: fri 16:00, to: mon 08:00}]
  daily: [{from: 22:00, to: 06:00}]
  dates: [{from: 2026-12-23, to: 2027-01-02}]

A moment is frozen when the wall clock of the zone shows a time in a window; nothing else decides.
So everything here is worked out on readings of that clock, and only the begins and ends in messages
are converted to UTC. On a day of a clock change they may be off by the size of the change.
"""

import re
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import Annotated, ClassVar, Self, TypeAlias
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, Field, PlainValidator, WithJsonSchema, model_validator

from controller.core.policy.field_types import Model, at_least_one
from controller.core.units import clock_text, quote_value
from controller.immutable import Immutable

# --- Times as they are written --------------------------------------------------------------------

_DAY_NAMES = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
DAYS = tuple(name[:3] for name in _DAY_NAMES)

_CLOCK = r"([01]?[0-9]|2[0-3]):[0-5][0-9]"
# The years 2000 to 2099: a policy is about the years ahead, so any other year is a typing error.
_CALENDAR = r"20[0-9]{2}-[0-9]{2}-[0-9]{2}(T([01][0-9]|2[0-3]):[0-5][0-9])?"


def _known_weekday(text: str) -> str:
    """Return `text` with its weekday in three letters: `Friday 16:00` is `fri 16:00`."""
    weekday, clock = text.split()
    name = weekday.lower()
    full = [day for day in _DAY_NAMES if len(name) >= 3 and day.startswith(name)]
    if not full:
        known = ", ".join(DAYS)
        raise ValueError(f"no weekday is called {quote_value(weekday)}; known: {known}")
    return f"{full[0][:3]} {_two_digits(clock)}"


def _two_digits(clock: str) -> str:
    """Return `clock` with two digits of its hour: `8:00` is `08:00`."""
    return clock.zfill(len("00:00"))


def _known_day(text: str) -> str:
    day = text.partition("T")[0]
    try:
        date.fromisoformat(day)
    except ValueError:
        raise ValueError(f"the calendar has no {day}") from None
    return text


def _reader(pattern: str, form: str) -> PlainValidator:
    def read(value: object) -> str:
        if not isinstance(value, str) or not re.fullmatch(pattern, value):
            raise ValueError(f"expected {form}, not {quote_value(value)}")
        return value

    return PlainValidator(read)


def _schema(pattern: str, example: str) -> WithJsonSchema:
    return WithJsonSchema({"type": "string", "pattern": f"^{pattern}$", "examples": [example]})


TimeOfDay: TypeAlias = Annotated[
    str,
    _reader(_CLOCK, "a time from 00:00 to 23:59, like 22:00"),
    AfterValidator(_two_digits),
    _schema(_CLOCK, "22:00"),
]
TimeOfWeek: TypeAlias = Annotated[
    str,
    _reader(rf"\S+ +{_CLOCK}", "a weekday and a time, like fri 16:00"),
    AfterValidator(_known_weekday),
    _schema(f"[A-Za-z]{{3,9}} {_CLOCK}", "fri 16:00"),
]
TimeOfCalendar: TypeAlias = Annotated[
    str,
    _reader(
        _CALENDAR, "a day or a local moment without a zone, like 2026-12-23 or 2026-11-27T12:00"
    ),
    AfterValidator(_known_day),
    _schema(_CALENDAR, "2026-12-23"),
]


# --- Windows --------------------------------------------------------------------------------------

_Occurrence: TypeAlias = tuple[datetime, datetime]
"""Begin and end, as readings of the wall clock; the begin belongs to it, and the end does not."""

DAY, WEEK = timedelta(days=1), timedelta(days=7)
_MONDAY = datetime(2001, 1, 1)  # a day and a week begin  # noqa: DTZ001 - a reading has no zone


class FreezeWindow(Model):
    """A window on the wall clock."""

    from_: str
    to: str

    @property
    def text(self) -> str:
        """The window as text for people."""
        return f"{self.from_} to {self.to}"

    @abstractmethod
    def occurrences(self, wall: datetime) -> Sequence[_Occurrence]:
        """Return at least the occurrence that holds the reading `wall`, and the first after it."""


class RecurringWindow(FreezeWindow):
    """A window that recurs with each period, a day or a week; it may cross the end of one."""

    period: ClassVar[timedelta]

    @staticmethod
    @abstractmethod
    def offset(text: str) -> timedelta:
        """Return how long after the begin of a period the time `text` is."""

    @model_validator(mode="after")
    def _has_length(self) -> Self:
        _refuse_no_length(self)
        return self

    def occurrences(self, wall: datetime) -> Sequence[_Occurrence]:
        """Return as `FreezeWindow` says: those of the period of `wall`, and the two beside it."""
        length = (self.offset(self.to) - self.offset(self.from_)) % self.period
        begin = wall - (wall - _MONDAY) % self.period + self.offset(self.from_)
        begins = (begin - self.period, begin, begin + self.period)
        return [(one, one + length) for one in begins]


class WeeklyWindow(RecurringWindow):
    """The same days and times every week."""

    example: ClassVar[str] = "{from: fri 16:00, to: mon 08:00}"

    period = WEEK

    from_: TimeOfWeek = Field(
        alias="from", description="Local weekday and time it begins, like fri 16:00."
    )
    to: TimeOfWeek = Field(description="Local weekday and time it ends, like mon 08:00.")

    @staticmethod
    def offset(text: str) -> timedelta:
        """Return the time since Monday."""
        weekday, clock = text.split()
        return DAYS.index(weekday) * DAY + DailyWindow.offset(clock)


class DailyWindow(RecurringWindow):
    """The same times every day."""

    example: ClassVar[str] = "{from: 22:00, to: 06:00}"

    period = DAY

    from_: TimeOfDay = Field(alias="from", description="Local time it begins, like 22:00.")
    to: TimeOfDay = Field(description="Local time it ends, like 06:00. Before `from`: next day.")

    @staticmethod
    def offset(text: str) -> timedelta:
        """Return the time since midnight."""
        clock = time.fromisoformat(text)
        return timedelta(hours=clock.hour, minutes=clock.minute)

    @property
    def text(self) -> str:
        return f"daily {super().text}"


class DateWindow(FreezeWindow):
    """One stretch of the calendar, from a day or a local moment to another."""

    example: ClassVar[str] = "{from: 2026-12-23, to: 2027-01-02}"

    from_: TimeOfCalendar = Field(
        alias="from", description="First day, or the local moment it begins: 2026-11-27T12:00."
    )
    to: TimeOfCalendar = Field(
        description="Last day, which belongs to it, or the local moment it ends."
    )

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self._begin >= self._end:
            _refuse_no_length(self)
            raise ValueError("`from` must be before `to`")
        return self

    def occurrences(self, wall: datetime) -> Sequence[_Occurrence]:
        """Return the only one, which may be over."""
        return [(self._begin, self._end)]

    @property
    def _begin(self) -> datetime:
        return datetime.fromisoformat(self.from_)

    @property
    def _end(self) -> datetime:
        return datetime.fromisoformat(self.to) + (timedelta() if "T" in self.to else DAY)


def _refuse_no_length(window: FreezeWindow) -> None:
    if window.from_ == window.to:
        raise ValueError(f"a window of no length: it begins and ends at {window.to}")


def _walk(windows: Sequence[FreezeWindow], wall: datetime) -> Iterator[tuple[datetime, str]]:
    """Yield end and text of each window on the way from the reading `wall` to the first free one.

    Of the windows that hold a reading, the way takes the one that ends last.
    """
    while current := [
        (end, window.text)
        for window in windows
        for begin, end in window.occurrences(wall)
        if begin <= wall < end
    ]:
        wall, text = max(current)
        yield wall, text


# --- The freeze -----------------------------------------------------------------------------------

# How many windows a sentence names before it says how many more there are.
_MAX_NAMED_WINDOWS = 3
# A freeze in an unknown time zone has no known end: it is checked again after this long.
_UNKNOWN_ZONE_RETRY = timedelta(minutes=15)


class Frozen(Immutable):
    """A frozen period, in which no step is taken: the UTC moment at which it ends, and why."""

    until: datetime
    text: str


_LIST = Field(max_length=50, json_schema_extra={"minItems": 1})
_NOT_EMPTY = at_least_one("window")
Weekly: TypeAlias = Annotated[tuple[WeeklyWindow, ...], _LIST, _NOT_EMPTY]
Daily: TypeAlias = Annotated[tuple[DailyWindow, ...], _LIST, _NOT_EMPTY]
Dates: TypeAlias = Annotated[tuple[DateWindow, ...], _LIST, _NOT_EMPTY]


class Freeze(Model):
    """When no step is taken, in the local time of one zone; a rollback is never kept from it."""

    example: ClassVar[str] = "{zone: Europe/Berlin, weekly: [{from: fri 16:00, to: mon 08:00}]}"

    zone: Annotated[str, Field(min_length=1, max_length=64)] = Field(
        description="IANA time zone of every time below, like Europe/Berlin."
    )
    weekly: Weekly | None = Field(
        default=None, description="Windows that come every week. They may cross its end."
    )
    daily: Daily | None = Field(
        default=None, description="Windows that come every day. They may cross midnight."
    )
    dates: Dates | None = Field(default=None, description="Windows that come once.")

    @model_validator(mode="after")
    def _leaves_time(self) -> Self:
        if not self.windows:
            raise ValueError("needs at least one window: weekly, daily or dates")
        recurring: list[FreezeWindow] = [*(self.weekly or ()), *(self.daily or ())]
        if any(end >= _MONDAY + WEEK for end, _ in _walk(recurring, _MONDAY)):
            raise ValueError("its windows cover the whole week: nothing could ever advance")
        return self

    @property
    def windows(self) -> Sequence[FreezeWindow]:
        """All windows, as they are written."""
        return (*(self.weekly or ()), *(self.daily or ()), *(self.dates or ()))

    def at(self, now: datetime) -> Frozen | None:
        """Return the frozen period that `now` lies in; None when there is none."""
        zone = self._zone()
        if zone is None:
            return Frozen(
                now.astimezone(UTC) + _UNKNOWN_ZONE_RETRY,
                f"frozen, end unknown: this machine has no time zone {self.zone}; install the "
                "tzdata package",
            )
        # The way ends because the windows leave a minute of each week free (`_leaves_time`).
        way = list(_walk(self.windows, _wall(now, zone)))
        if not way:
            return None
        until = _moment(way[-1][0], zone, now)
        names = [text for _, text in way]
        rest = len(names) - _MAX_NAMED_WINDOWS
        more = [f"{rest} more"] if rest > 0 else []
        windows = ", then ".join([*names[:_MAX_NAMED_WINDOWS], *more])
        return Frozen(until, f"frozen until {clock_text(until)} ({windows}, {self.zone})")

    def next_period(self, now: datetime) -> tuple[datetime, Frozen] | None:
        """Return when the next window after `now` begins, and the frozen period that it starts."""
        zone = self._zone()
        if zone is None:
            return None
        wall = _wall(now, zone)
        while begins := [
            begin
            for window in self.windows
            for begin, _ in window.occurrences(wall)
            if begin > wall
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


def _wall(moment: datetime, zone: tzinfo) -> datetime:
    """Return what the wall clock of `zone` shows at `moment`."""
    return moment.astimezone(zone).replace(tzinfo=None)


def _moment(wall: datetime, zone: tzinfo, after: datetime) -> datetime:
    """Return the first UTC moment after `after` at which the clock of `zone` shows `wall`.

    A reading that the clock skips is read by the offset before the jump, and so comes after it.
    """
    first, second = (wall.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1))
    return first if first > after else second
