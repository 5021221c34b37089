"""Durations and percents as a policy writes them (`90s`, `99.9%`); times and numbers as text.

The last part has types of numbers and times with the range they have. A record in a store with a
value out of its range is damaged, and is not decided from.
"""

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import cache
from typing import Annotated, Any, Final, TypeAlias

from msgspec import Meta
from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

from controller.immutable import Immutable

_SECONDS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}
_DURATION = re.compile(r"([0-9]{1,9})([smhd])")
# What an author writes instead: `1 day`, `10 min`, `1H`.
_DURATION_WORDS = re.compile(
    r"([0-9]{1,9}) *(s|secs?|seconds?|m|mins?|minutes?|h|hrs?|hours?|d|days?)", re.IGNORECASE
)
_PERCENT = re.compile(r"([0-9]{1,6}(?:\.[0-9]{1,6})?) ?%")

# As far as the last `@`: a password that is not escaped may have any character.
_USER_OF_URL = re.compile(r"//.*@", re.DOTALL)

MINUTE_S = 60


def parse_duration(text: object) -> timedelta:
    """Return the length that `text` names: whole seconds, minutes, hours or days.

    Raises ValueError for anything but a number and one of `s m h d`.
    """
    if isinstance(text, timedelta):
        return text
    match = _DURATION.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        words = _DURATION_WORDS.fullmatch(text) if isinstance(text, str) else None
        likely = f"{words[1]}{words[2][0].lower()}" if words else "90s, 10m, 1h or 2d"
        raise ValueError(f"expected a number and a unit, like {likely}, not {quote_value(text)}")
    return timedelta(seconds=int(match[1]) * _SECONDS[match[2]])


def format_duration(length: timedelta) -> str:
    """Return `length` in the largest unit that divides it, as `parse_duration` reads it back."""
    seconds = int(length.total_seconds())
    for unit, size in (("d", 86_400), ("h", 3_600), ("m", 60)):
        if seconds and seconds % size == 0:
            # 24h and 48h are more usual than 1d and 2d.
            if unit == "d" and seconds < 3 * size:
                continue
            return f"{seconds // size}{unit}"
    return f"{seconds}s"


def written_text(length: object) -> str:
    """Return a duration as a message quotes it: `60s` where a person wrote that, and not `1m`."""
    return format_duration(length) if isinstance(length, timedelta) else str(length)


def duration_text(length: timedelta) -> str:
    """Return `length` for people, to the minute: `1d 2h 15m`, `2h 05m`, `3m`."""
    hours, minutes = divmod(round(length / timedelta(minutes=1)), 60)
    if hours < 24:
        return f"{hours}h {minutes:02}m" if hours else f"{minutes}m"
    days, hours = divmod(hours, 24)
    return f"{days}d {hours}h {minutes:02}m"


def parse_percent(text: object) -> float:
    """Return the fraction that `text` names: `99.9%` is 0.999.

    Raises ValueError without the `%`: a bare 99.9 could mean two things.
    """
    match = _PERCENT.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        likely = "99.9%"
        if isinstance(text, int | float) and not isinstance(text, bool) and 0 < text <= 100:
            likely = f"{text * 100 if text <= 1 else text:g}%"
        raise ValueError(
            f"expected a percent with its sign, like {likely}, not {quote_value(text)}"
        )
    return float(Decimal(match[1]) / 100)


def format_percent(fraction: float, digits: int = 6) -> str:
    """Return `fraction` as a percent, like 0.999 as `99.9%`, with at most `digits` decimals."""
    text = f"{fraction * 100:.{digits}f}"
    return (text.rstrip("0").rstrip(".") if "." in text else text) + "%"


class DurationRange(Immutable):
    """Marks a `timedelta` that a policy writes like `1h`: from `low` to `high`, both included."""

    low: str
    high: str

    def read(self, value: object) -> timedelta:
        """Return the length that `value` names. Raises ValueError when it is out of range."""
        length, (low, high) = parse_duration(value), _range_of(self.low, self.high)
        if not low <= length <= high:
            raise ValueError(f"must be from {self.low} to {self.high}, not {written_text(value)}")
        return length

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        return _text_field(self.read, format_duration)

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        pattern = r"^[0-9]{1,9}[smhd]$"
        extent = f"{self.low} to {self.high}"
        return {"type": "string", "pattern": pattern, "$comment": extent, "examples": [self.low]}


@cache
def _range_of(low: str, high: str) -> tuple[timedelta, timedelta]:
    """Return what both ends name: those of a field are the same in each policy."""
    return parse_duration(low), parse_duration(high)


class PercentUpTo(Immutable):
    """Marks a `float` that a policy writes like `5%`, from 0% to `high`, held as a fraction."""

    high: str

    def read(self, value: object) -> float:
        """Return the fraction that `value` names. Raises ValueError when it is above `high`."""
        fraction = parse_percent(value)
        if fraction > parse_percent(self.high):
            raise ValueError(f"must be at most {self.high}, not {value}")
        return fraction

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        return _text_field(self.read, format_percent)

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        return {
            "type": "string",
            "pattern": PERCENT_PATTERN,
            "$comment": f"at most {self.high}",
            "examples": ["5%", "99.9%"],
        }


PERCENT_PATTERN = r"^[0-9]{1,6}(\.[0-9]{1,6})? ?%$"


def _text_field(read: Any, write: Any) -> CoreSchema:
    """Return the schema of a value that is text in files and snapshots, and a number in memory."""
    return core_schema.no_info_plain_validator_function(
        read,
        serialization=core_schema.plain_serializer_function_ser_schema(
            write, return_schema=core_schema.str_schema()
        ),
    )


def floor_to(moment: datetime, period_s: int) -> int:
    """Return the last multiple of `period_s` at or before `moment`, in unix seconds."""
    return int(moment.timestamp()) // period_s * period_s


def ceil_to(second: int, period_s: int) -> int:
    """Return the first multiple of `period_s` at or after `second`, in unix seconds."""
    return -(-second // period_s) * period_s


def next_minute(moment: datetime) -> int:
    """Return the first unix second of a minute at or after `moment`."""
    return ceil_to(-int(-moment.timestamp() // 1), MINUTE_S)


def from_unix(second: int) -> datetime:
    """Return the UTC moment of a unix second."""
    return datetime.fromtimestamp(second, UTC)


def clock_text(moment: datetime) -> str:
    """Return `moment` for people, to the minute: `2026-11-24 14:05 UTC`."""
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def utc_text(second: float) -> str:
    """Return a unix second as text: `2026-11-24 12:00 UTC`."""
    return clock_text(from_unix(int(second)))


def time_range_text(start: float, end: float) -> str:
    """Return a range of unix seconds as text, within a day `2026-11-24 12:00 to 12:15 UTC`."""
    begin, until = utc_text(start), utc_text(end)
    day, clock, _ = begin.split(" ")
    if not until.startswith(day):
        return f"{begin} to {until}"
    return f"{day} {clock} to {until.removeprefix(f'{day} ')}"


def number_text(value: float) -> str:
    """Return `value` with groups of thousands and no false precision: `8,214`, `412.5`."""
    whole = float(value).is_integer()
    return f"{value:,.0f}" if whole or abs(value) >= 1_000 else f"{value:.4g}"


def measured_text(value: float, unit: str = "") -> str:
    """Return a measured value with three digits, or one decimal: `0.246`, `245.7 ms`."""
    rounded = round(value, 1) if abs(value) >= 10 else float(f"{value:.3g}")
    return f"{number_text(rounded)} {unit}".rstrip()


def count_text(number: float, noun: str) -> str:
    """Return `number` with its noun: `1 request`, `8,214 requests`."""
    return f"{number_text(number)} {noun}" + ("" if number == 1 else "s")


def quote_value(value: object) -> str:
    """Return `value` as a message quotes it: short, and never more than one line.

    The user and the password of a URL are left out.
    """
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Mapping):
        return "a mapping"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return "a list"
    return f"{_USER_OF_URL.sub('//...@', repr(value)):.60}"


def with_full_stop(text: str) -> str:
    """Return `text` as a sentence that ends with one full stop."""
    return text if text.endswith(".") else f"{text}."


# --- Values beside a bound ------------------------------------------------------------------------

# More digits than a policy can write, so that no bound is rounded to nothing.
MAX_DIGITS: Final = 9
SHARE_DIGITS: Final = 2  # decimals of a share, everywhere the same


def percent_beside(value: float, bound: float, digits: int = SHARE_DIGITS) -> str:
    """Return `value` as a percent, with enough decimals to differ from `bound`.

    `bound` itself is written in full.
    """
    if value == bound:
        return format_percent(bound, MAX_DIGITS)
    text = format_percent(value, digits)
    same = text == format_percent(bound, digits)
    return percent_beside(value, bound, digits + 1) if same and digits < MAX_DIGITS else text


def number_beside(value: float, bound: float) -> str:
    """Return `value` with enough digits to differ from `bound`; `bound` itself is in full."""
    text = number_text(value)
    rounded = not (float(value).is_integer() or float(f"{value:.4g}") == value)
    blurred = rounded if value == bound else text == number_text(bound)
    return f"{value:.{MAX_DIGITS}g}" if blurred else text


# --- Ranges ---------------------------------------------------------------------------------------

MIN_TIME: Final = datetime(2000, 1, 1, tzinfo=UTC)
MAX_TIME: Final = datetime(2200, 1, 1, tzinfo=UTC)
MAX_INTEGER: Final = 2**53  # no integer of a state is larger, and JSON of other programs ends here
MAX_REAL: Final = 1e300  # a larger one is no measurement

AwareTime: TypeAlias = Annotated[datetime, Meta(tz=True)]
"""A time with its time zone."""
Second: TypeAlias = Annotated[int, Meta(ge=0, le=int(MAX_TIME.timestamp()))]
"""Unix seconds; 0: none."""
Count: TypeAlias = Annotated[int, Meta(ge=0, le=MAX_INTEGER)]
Weight: TypeAlias = Annotated[int, Meta(ge=0, le=100)]
"""Percent of the requests."""
RaisedWeight: TypeAlias = Annotated[int, Meta(ge=1, le=100)]
"""Percent of the requests, above 0."""
Real: TypeAlias = Annotated[float, Meta(ge=-MAX_REAL, le=MAX_REAL)]
"""Neither infinite nor NaN."""
Amount: TypeAlias = Annotated[float, Meta(ge=0, le=MAX_REAL)]
Share: TypeAlias = Annotated[float, Meta(ge=0, le=1)]
