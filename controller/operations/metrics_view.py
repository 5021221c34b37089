"""What the metrics of a policy show now, each beside what its criteria expect. Pure."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from math import inf
from statistics import median
from typing import Final, TypeAlias

from controller.core.judge.evidence import FrozenValue
from controller.core.judge.queries import query
from controller.core.observation import Answer, Query, Series, Span
from controller.core.policy import (
    ConcurrentBaseline,
    Criterion,
    FixedBaseline,
    LatencyIncrease,
    Metric,
    Policy,
    SuccessRate,
    Threshold,
    Traffic,
)
from controller.core.units import (
    MINUTE_S,
    count_text,
    floor_to,
    format_duration,
    format_percent,
    number_text,
)

# So far back a look goes at most; what is counted over longer is not held against its bound.
MINUTES: Final = 180

COUNTED: Final = frozenset({"Sum", "SampleCount"})

_Key: TypeAlias = tuple[str, str, str, tuple[tuple[str, str], ...]]

_API: Final = "AWS/ApiGateway"
# HTTP APIs go by ApiId, and spell these two differently from REST APIs.
_ERRORS: Final = {False: ("4XXError", "5XXError"), True: ("4xx", "5xx")}


@dataclass(frozen=True, slots=True)
class Shown:
    """One metric with one statistic, minute by minute.

    name: what the policy calls it; empty for what is asked beside it. alias: what it calls the
    same metric with whatever statistic.
    """

    name: str
    alias: str
    metric: Metric

    @property
    def title(self) -> str:
        """What a person calls it: `latency p95`."""
        return f"{self.name or self.alias} {self.metric.statistic}"

    @property
    def counted(self) -> bool:
        """True for what adds up over minutes."""
        return self.metric.statistic in COUNTED

    @property
    def query(self) -> Query:
        """What is asked of CloudWatch."""
        return query(self.metric, self.metric.statistic, MINUTE_S)


def shown_of(policy: Policy) -> list[Shown]:
    """Return what is shown of `policy`, in its order, every series once.

    Of an API that are its requests, 4XX, 5XX, latency p50, p95, p99 and integration latency p95,
    whatever of it the policy names.
    """
    names = {_key(metric): name for name, metric in policy.metrics.items()}
    aliases = {_key(metric, ""): name for name, metric in policy.metrics.items()}
    found: dict[_Key, Shown] = {}
    for metric in policy.metrics.values():
        for one in (*_beside(metric), metric):
            alias = aliases.get(_key(one, ""), one.name)
            found.setdefault(_key(one), Shown(names.get(_key(one), ""), alias, one))
    return list(found.values())


def span_of(policy: Policy, minutes: int, now: datetime) -> Span:
    """Return the closed minutes that are read: the newest `minutes`, or what a bound counts over.

    With those before them that a bound from below counts instead of what may still grow.
    """
    counting = (one for one in policy.criteria.values() if isinstance(one, Threshold | Traffic))
    wanted = [minutes, *(int(one.over.total_seconds()) // MINUTE_S for one in counting)]
    longest = max(number for number in wanted if number <= MINUTES) + young(policy)
    end = floor_to(now, MINUTE_S)
    return Span(end - longest * MINUTE_S, end)


def young(policy: Policy) -> int:
    """Return how many of the newest minutes may still grow."""
    return -int(-policy.settle.total_seconds() // MINUTE_S)


def _key(metric: Metric, statistic: str | None = None) -> _Key:
    dimensions = tuple(sorted(metric.dimensions.items()))
    known = metric.statistic if statistic is None else statistic
    return metric.namespace, metric.name, known, dimensions


def _beside(metric: Metric) -> Iterator[Metric]:
    if metric.namespace != _API:
        return
    for name in ("Count", *_ERRORS["ApiId" in metric.dimensions]):
        yield _alike(metric, name, "Sum", "")
    for statistic in ("p50", "p95", "p99"):
        yield _alike(metric, "Latency", statistic, "ms")
    yield _alike(metric, "IntegrationLatency", "p95", "ms")


def _alike(metric: Metric, name: str, statistic: str, unit: str) -> Metric:
    return Metric(
        namespace=metric.namespace,
        name=name,
        statistic=statistic,
        dimensions=metric.dimensions,
        unit=unit,
    )


# --- Expected values ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Expected:
    """What one criterion expects: a value from `low` to `high`.

    over: how many of the newest minutes are added up for that; 0: any minute by itself.
    """

    criterion: str
    text: str
    low: float = -inf
    high: float = inf
    over: int = 0

    def holds(self, value: float) -> bool:
        """Tell whether `value` is as expected."""
        return self.low <= value <= self.high


@dataclass(frozen=True, slots=True)
class Ratio:
    """A criterion on a share: `parts` of `whole`, or what they leave of it (`rest`)."""

    expected: Expected
    whole: str
    parts: tuple[str, ...]
    rest: bool = False


@dataclass(frozen=True, slots=True)
class Increase:
    """A criterion on how much more `metric` shows than `control` does at the same time."""

    expected: Expected
    metric: str
    control: str


def of_metric(
    policy: Policy, name: str, baselines: Mapping[str, FrozenValue]
) -> Iterator[Expected]:
    """Yield what is expected of the metric called `name` alone."""
    for criterion, one in policy.criteria.items():
        match one:
            case Threshold(metric=metric, per=None) if metric == name:
                yield _threshold(criterion, one, policy)
            case Traffic(metric=metric) if metric == name:
                over = _minutes(one)
                text = f"≥ {number_text(one.min)} in {format_duration(one.over)}"
                yield Expected(criterion, text, low=one.min, over=over)
            case LatencyIncrease(metric=metric) if metric == name:
                yield from _above(criterion, one, baselines.get(criterion), policy)
            case _:
                pass


def of_several(policy: Policy) -> Iterator[Ratio | Increase]:
    """Yield what is expected of several metrics together."""
    for criterion, one in policy.criteria.items():
        match one:
            case SuccessRate():
                expected = Expected(criterion, f"≥ {format_percent(one.min)}", low=one.min)
                yield Ratio(expected, one.total, one.failures, rest=True)
            case Threshold(per=str(whole)):
                text = f"{'≥' if one.max is None else '≤'} {format_percent(one.bound)}"
                yield Ratio(_bounded(criterion, text, one, 0), whole, (one.metric,))
            case LatencyIncrease(baseline=ConcurrentBaseline(concurrent=control)):
                text = f"≤ +{format_percent(one.max_increase)} of {control}"
                expected = Expected(criterion, text, high=one.max_increase)
                yield Increase(expected, one.metric, control)
            case _:
                pass


def _threshold(criterion: str, one: Threshold, policy: Policy) -> Expected:
    metric = policy.metrics[one.metric]
    counted = metric.statistic in COUNTED
    sign = "≥" if one.max is None else "≤"
    text = f"{sign} {number_text(one.bound)} {metric.unit}".rstrip()
    if counted:
        text += f" in {format_duration(one.over)}"
    return _bounded(criterion, text, one, _minutes(one) if counted else 0)


def _bounded(criterion: str, text: str, one: Threshold, over: int) -> Expected:
    if one.max is None:
        return Expected(criterion, text, low=one.bound, over=over)
    return Expected(criterion, text, high=one.bound, over=over)


def _above(
    criterion: str, one: LatencyIncrease, frozen: FrozenValue | None, policy: Policy
) -> Iterator[Expected]:
    """Yield the level that a stored or fixed baseline allows, where it is known."""
    if isinstance(one.baseline, ConcurrentBaseline):
        return  # held against the control beside it, whatever was stored of that
    fixed = one.baseline.fixed if isinstance(one.baseline, FixedBaseline) else None
    known = frozen.value if frozen is not None else fixed
    if known is None:
        return
    high = known * (1 + one.max_increase)
    text = f"≤ {number_text(round(high, 1))} {policy.metrics[one.metric].unit}".rstrip()
    yield Expected(criterion, text, high=high)


def _minutes(one: Criterion) -> int:
    """Return how many minutes are counted; as good as none where that is longer than a look."""
    minutes = int(one.window.total_seconds()) // MINUTE_S
    if isinstance(one, Threshold | Traffic):
        minutes = int(one.over.total_seconds()) // MINUTE_S
    return minutes if minutes <= MINUTES else -1


# --- Readings -------------------------------------------------------------------------------------

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
