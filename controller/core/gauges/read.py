"""Gauges: what was read, as rows. Silence is told as silence, and never as 0."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from math import inf
from statistics import median
from typing import TypeAlias

from controller.core.gauges.asked import Shown, shown_of, young
from controller.core.gauges.expected import Expected, Increase, Ratio, of_metric, of_several
from controller.core.measured import FrozenValue
from controller.core.observation import Answer, Query, Series, Span
from controller.core.policy import Policy
from controller.core.units import MINUTE_S, count_text

Points: TypeAlias = tuple[float | None, ...]


class Standing(StrEnum):
    """How a gauge stands."""

    HOLDS = "as expected"
    BREAKS = "NOT as expected"
    FREE = ""  # nothing is expected of it
    SILENT = "no traffic"
    NO_DATA = "no data"  # of one metric, beside others that have some
    UNREAD = "not read"


class Unit(StrEnum):
    """What sort of number a gauge shows."""

    COUNT = "count"  # added up over the minutes
    LEVEL = "level"  # of the minute that is furthest from what is expected
    SHARE = "share"  # of all these minutes together
    INCREASE = "increase"  # between typical minutes


@dataclass(frozen=True, slots=True)
class Gauge:
    """One row. value: None where there is none; points: by minute, oldest first.

    note: how many requests are behind a share, or why a row was not read.
    """

    title: str
    unit: Unit
    unit_text: str
    value: float | None
    expected: tuple[Expected, ...]
    standing: Standing
    points: Points
    note: str = ""


def gauges(
    policy: Policy,
    series: Mapping[Query, Series],
    span: Span,
    minutes: int,
    baselines: Mapping[str, FrozenValue],
) -> list[Gauge]:
    """Return a row for each metric, and for each criterion on several of them.

    span: what was read; the newest `minutes` of it are shown.
    """
    look = _Look(series, span, minutes, young(policy))
    shown = shown_of(policy)
    rows = [_of_one(look, one, policy, baselines) for one in shown]
    by_name = {one.name: one for one in shown if one.name}
    return [*rows, *(_of_several(look, one, by_name) for one in of_several(policy))]


@dataclass(frozen=True, slots=True)
class _Look:
    series: Mapping[Query, Series]
    span: Span
    minutes: int
    young: int

    def found(self, one: Shown) -> Series:
        return self.series.get(one.query, Series({}, Answer.ERROR, "it was not asked for"))

    def points(self, one: Shown, minutes: int) -> Points:
        """Return the newest `minutes`; nothing is 0 for what is published only when it happens."""
        seconds = range(self.span.end - minutes * MINUTE_S, self.span.end, MINUTE_S)
        found = self.found(one).points
        absent = 0.0 if one.metric.missing == "zero" and self._heard else None
        return tuple(found.get(second, absent) for second in seconds)

    def heard_beside(self, one: Shown) -> bool:
        """Tell whether another metric of the same thing has data in these minutes."""
        begin = self.span.end - self.minutes * MINUTE_S
        return any(
            second >= begin
            for query, found in self.series.items()
            if (query.namespace, query.dimensions) == (one.query.namespace, one.query.dimensions)
            for second in found.points
        )

    @property
    def _heard(self) -> bool:
        return any(one.points for one in self.series.values())


def _of_one(look: _Look, one: Shown, policy: Policy, baselines: Mapping[str, FrozenValue]) -> Gauge:
    expected = tuple(of_metric(policy, one.name, baselines)) if one.name else ()
    points = look.points(one, look.minutes)
    known = _known(points)
    standings = [_standing(look, one, each, known) for each in expected]
    value = sum(known) if known and one.counted else _worst(known, expected)
    unit = Unit.COUNT if one.counted else Unit.LEVEL
    unread = _unread([look.found(one)])
    silence = Standing.NO_DATA if look.heard_beside(one) else Standing.SILENT
    standing = Standing.UNREAD if unread else _together(known, standings, silence)
    return Gauge(one.title, unit, one.metric.unit, value, expected, standing, points, unread)


def _worst(known: Sequence[float], expected: Sequence[Expected]) -> float | None:
    """Return the highest minute; the lowest, where all that is expected is a least value."""
    if not known:
        return None
    least = expected and all(one.high == inf for one in expected)
    return min(known) if least else max(known)


def _standing(look: _Look, one: Shown, expected: Expected, known: Sequence[float]) -> Standing:
    if expected.over < 0:
        return Standing.FREE
    if expected.over == 0:
        return _held(all(map(expected.holds, known)))
    if expected.low == -inf:
        counted = _known(look.points(one, expected.over))
    else:  # what is not settled can only lack
        counted = _known(look.points(one, expected.over + look.young)[: expected.over])
    return _held(expected.holds(sum(counted)))


def _held(holds: bool) -> Standing:
    return Standing.HOLDS if holds else Standing.BREAKS


def _together(known: Sequence[float], standings: Sequence[Standing], silence: Standing) -> Standing:
    if not known:
        return silence
    order = (Standing.BREAKS, Standing.HOLDS)
    return next((one for one in order if one in standings), Standing.FREE)


# --- several metrics ----------------------------------------------------------------------------


def _of_several(look: _Look, one: Ratio | Increase, by_name: Mapping[str, Shown]) -> Gauge:
    return _ratio(look, one, by_name) if isinstance(one, Ratio) else _increase(look, one, by_name)


def _ratio(look: _Look, one: Ratio, by_name: Mapping[str, Shown]) -> Gauge:
    whole = look.points(by_name[one.whole], look.minutes)
    parts = {name: look.points(by_name[name], look.minutes) for name in one.parts}
    amounts = [sum(filter(None, minute)) for minute in zip(*parts.values(), strict=True)]
    points = tuple(_share(amount, of, one.rest) for amount, of in zip(amounts, whole, strict=True))
    amount, total = sum(amounts), sum(filter(None, whole))
    unread = _unread(look.found(by_name[name]) for name in (one.whole, *one.parts))
    lacking = [name for name, side in parts.items() if not _known(side)]
    if lacking and total:
        return _row(one.expected, Unit.SHARE, None, points, unread, _lack(lacking))
    noun = "failure" if one.rest else "event"
    note = f"{count_text(amount, noun)} in {count_text(total, 'request')}"
    value = _share(amount, total, one.rest)
    return _row(one.expected, Unit.SHARE, value, points, unread, note)


def _share(amount: float, whole: float | None, rest: bool) -> float | None:
    if not whole:
        return None
    return 1 - amount / whole if rest else amount / whole


def _increase(look: _Look, one: Increase, by_name: Mapping[str, Shown]) -> Gauge:
    """Compare typical minutes: a percentile of few requests is a matter of luck in each."""
    names = (one.metric, one.control)
    sides = {name: look.points(by_name[name], look.minutes) for name in names}
    points = tuple(_more(*minute) for minute in zip(*sides.values(), strict=True))
    unread = _unread(look.found(by_name[name]) for name in names)
    known = {name: _known(side) for name, side in sides.items()}
    lacking = [name for name, side in known.items() if not side]
    if lacking:
        note = "" if len(lacking) == len(names) else _lack(lacking)
        return _row(one.expected, Unit.INCREASE, None, points, unread, note)
    value = _more(*(median(known[name]) for name in names))
    return _row(one.expected, Unit.INCREASE, value, points, unread, "between typical minutes")


def _known(points: Points) -> list[float]:
    return [value for value in points if value is not None]


def _lack(names: Sequence[str]) -> str:
    return f"{' and '.join(names)}: no data"


def _more(value: float | None, control: float | None) -> float | None:
    return value / control - 1 if value is not None and control else None


def _row(
    expected: Expected, unit: Unit, value: float | None, points: Points, unread: str, note: str
) -> Gauge:
    """Return the row of a criterion. Of what was not read to its end, no value is worked out."""
    if unread:
        value, note, standing = None, unread, Standing.UNREAD
    elif value is None:
        standing = Standing.NO_DATA if note.endswith("no data") else Standing.SILENT
    else:
        standing = _held(expected.holds(value))
    return Gauge(expected.criterion, unit, "", value, (expected,), standing, points, note)


def _unread(found: Iterable[Series]) -> str:
    """Return why something was not read to its end; empty when all of it was."""
    return next((one.message for one in found if one.answer is not Answer.COMPLETE), "")
