"""When nothing advances: windows on the wall clock of a time zone, joined to a frozen stretch.

A wall clock is not a straight line. A reading that it skips (02:30, when summer time begins) is
the moment of the jump. A reading that it shows twice (02:30, when summer time ends) begins a
window the first time and ends it the second: in doubt, time is frozen.
"""

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, tzinfo
from typing import Protocol

from controller.core.units import at


class Window(Protocol):
    """A time in which nothing advances, as a policy says it; it may come again and again."""

    @property
    def text(self) -> str:
        """The window as a person says it: `fri 16:00 to mon 08:00`."""
        ...

    def around(self, day: date, zone: tzinfo) -> Iterator[tuple[datetime, datetime]]:
        """Yield begin (included) and end (excluded) of its occurrences near `day`.

        Both are readings of the wall clock of `zone`. Among them are all that hold a moment of
        `day`, and the first that begins after it.
        """
        ...


@dataclass(frozen=True, slots=True)
class Frozen:
    """A stretch in which nothing advances: the UTC moment at which it ends, and why, in words."""

    until: datetime
    text: str


@dataclass(frozen=True, slots=True)
class Span:
    """One occurrence of a window: from `begin`, included, to `end`, excluded, both UTC."""

    begin: datetime
    end: datetime
    text: str


def stretch(windows: Sequence[Window], zone: tzinfo, now: datetime) -> Sequence[Span]:
    """Return the spans that lead from `now` to the end of its frozen stretch, each the longest.

    Spans that touch or overlap are one stretch; none at all means that `now` is not frozen. It
    ends as long as the windows leave a minute of each week free, which a policy is checked for.
    """
    led: list[Span] = []
    moment = now
    while holding := [
        span for span in _near(windows, zone, moment) if span.begin <= moment < span.end
    ]:
        led.append(max(holding, key=lambda span: span.end))
        moment = led[-1].end
    return led


def next_begin(windows: Sequence[Window], zone: tzinfo, now: datetime) -> datetime | None:
    """Return the first moment after `now` at which a window begins; None when none ever does."""
    spans = _near(windows, zone, now)
    return min((span.begin for span in spans if now < span.begin < span.end), default=None)


def _near(windows: Iterable[Window], zone: tzinfo, moment: datetime) -> Iterator[Span]:
    day = moment.astimezone(zone).date()
    for window in windows:
        for begin, end in window.around(day, zone):
            yield Span(_first(begin), _last(end), window.text)


def _first(wall: datetime) -> datetime:
    """Return the first UTC moment at which the clock shows `wall`, or jumps over it."""
    early, late = _readings(wall)
    return early if early <= late else _jump(late, early, wall.tzinfo)


def _last(wall: datetime) -> datetime:
    """Return the last UTC moment at which the clock shows `wall`, or jumps over it."""
    early, late = _readings(wall)
    return late if early <= late else _jump(late, early, wall.tzinfo)


def _readings(wall: datetime) -> tuple[datetime, datetime]:
    """Return what `wall` is by the offset before a change of the clock, and by the one after it.

    Without a change the two are the same; they are in order when the clock shows `wall` twice,
    and the wrong way round when it skips it (PEP 495).
    """
    return wall.replace(fold=0).astimezone(UTC), wall.replace(fold=1).astimezone(UTC)


def _jump(before: datetime, after: datetime, zone: tzinfo | None) -> datetime:
    """Return the second between two UTC moments at which the clock of `zone` changes."""

    def changed(second: int) -> bool:
        return at(second).astimezone(zone).utcoffset() != old

    old = before.astimezone(zone).utcoffset()
    start, end = int(before.timestamp()), int(after.timestamp())
    return at(start + bisect_left(range(start, end), True, key=changed))
