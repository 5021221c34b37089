"""The figures that are computed of many rollouts: releases, measures and bars."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from math import inf
from random import Random
from statistics import median
from typing import Final, TypeAlias

from benchmarks.judging import policy
from benchmarks.judging.rollout import End, Outcome, bake, climb
from benchmarks.judging.world import HEALTHY, Release

Measure: TypeAlias = Callable[[Release, Sequence[Outcome]], float]
Play: TypeAlias = Callable[[Random, Release], Outcome]

TRAFFIC: Final = (60, 600, 6_000)
LATE: Final = 30  # the middle of the first step
# Minutes from the end of a minute until a tick has read it: the evaluation delay, in which
# CloudWatch publishes it in full, and at most one minute until the next tick.
READ_DELAY: Final = 3 + 1
_MANUAL_MINUTES = 60  # an operator checks once, at the end of the step


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell: a release, and the bar of its figure; None: there is no bar."""

    release: Release
    bar: float | None


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of the table. part: its share of the runs. at_least: the bar is a minimum."""

    group: str
    what: str
    cells: Mapping[str, Cell]
    measure: Measure
    unit: str = "%"
    at_least: bool = False
    play: Play = bake
    part: float = 1.0

    @property
    def in_minutes(self) -> bool:
        """True for a delay in minutes of data, to which the read delay is added."""
        return self.unit == "min"


def share(end: End) -> Measure:
    """Return a measure: the percentage of rollouts that end like that."""
    return lambda _, outcomes: 100 * sum(one.end is end for one in outcomes) / len(outcomes)


def delay(release: Release, outcomes: Sequence[Outcome]) -> float:
    """Return the median of the minutes of data since the onset; inf: most were not detected."""
    delays = [
        one.minute - release.since if one.end is End.ROLLED_BACK else inf
        for one in outcomes
        if one.minute > release.since
    ]
    return median(delays) if delays else inf


def spared(release: Release, outcomes: Sequence[Outcome]) -> float:
    """Return how many times more requests fail with a manual check at the end of the first step."""
    manual = release.rpm * 0.1 * _MANUAL_MINUTES * release.errors
    return manual / median(one.failed for one in outcomes)


def by_traffic(release: Release, bars: Mapping[int, float | None]) -> dict[str, Cell]:
    """Return the cells of `release` at each number of requests a minute, with its bar."""
    return {f"{rpm:,}": Cell(replace(release, rpm=rpm), bar) for rpm, bar in bars.items()}


def _same(bar: float) -> dict[int, float | None]:
    return dict.fromkeys(TRAFFIC, bar)


def _false_rollbacks(group: str, what: str, release: Release, bar: float) -> Figure:
    return Figure(group, what, by_traffic(release, _same(bar)), share(End.ROLLED_BACK))


def _delays(what: str, release: Release, bars: Mapping[int, float | None]) -> list[Figure]:
    no_bars = dict.fromkeys(bars)
    late = by_traffic(replace(release, since=LATE), no_bars)
    return [
        Figure("delay", what, by_traffic(release, bars), delay, "min"),
        Figure("late", f"{what}, from minute {LATE} of the step on", late, delay, "min", part=0.25),
    ]


def _promotions(what: str, end: End, release: Release, bars: Mapping[int, float | None]) -> Figure:
    cells, healthy = by_traffic(release, bars), release.errors == HEALTHY
    return Figure("promoted", what, cells, share(end), at_least=healthy, play=climb, part=0.3)


def _longer_hold(longest: int) -> Figure:
    """Return the figure of a `max_hold` of more than the default two bakes, at low traffic."""
    what = f"the same, with a max_hold of {longest - 1} x bake"
    cells = by_traffic(_HEALTHY, {60: None})
    play = partial(climb, longest=longest)
    return Figure("promoted", what, cells, share(End.PROMOTED), at_least=True, play=play, part=0.3)


def _by_errors_alone(rng: Random, release: Release) -> Outcome:
    return climb(rng, release, policy.OBJECTIVE.__eq__)


_HEALTHY = Release(rpm=0)
_NOISY = Release(rpm=0, noisy=True)
_PROMOTED: Final[Mapping[int, float | None]] = {60: 98.0, 600: 99.5, 6_000: 99.5}

FIGURES: Final[Sequence[Figure]] = [
    *(
        _false_rollbacks(
            "false", f"false rollback, {errors:.2%} errors", replace(_HEALTHY, errors=errors), bar
        )
        for errors, bar in [(0.0002, 0.5), (0.0005, 0.5), (0.0009, 0.5), (0.001, 1.0)]
    ),
    *(
        _false_rollbacks(
            "bursts",
            f"false rollback, {errors:.2%} errors and bursts",
            replace(_HEALTHY, errors=errors, bursts=True),
            1.0,
        )
        for errors in (0.0002, 0.0005, 0.0009)
    ),
    *(
        _false_rollbacks(
            "noise", f"false rollback, latency +{slower:.0%}", replace(_NOISY, slower=slower), 1
        )
        for slower in (0.0, 0.03)
    ),
    _false_rollbacks(
        "outage", "false rollback, outage on both paths", replace(_HEALTHY, outage=True), 1.0
    ),
    *_delays("20 % errors", replace(_HEALTHY, errors=0.2), {60: 9, 600: 3, 6_000: 3}),
    *_delays("5 % errors", replace(_HEALTHY, errors=0.05), {60: 22, 600: 6}),
    *_delays("1 % errors", replace(_HEALTHY, errors=0.01), {600: 17}),
    *_delays("0.5 % errors", replace(_HEALTHY, errors=0.005), {6_000: 8}),
    *_delays("0.2 % errors", replace(_HEALTHY, errors=0.002), {6_000: 40}),
    *_delays("latency +50 %", replace(_NOISY, slower=0.5), {600: 3, 6_000: 3}),
    *_delays("latency x 3", replace(_NOISY, slower=2.0), _same(3)),
    *_delays("latency +10 %", replace(_NOISY, slower=0.1), {6_000: 30}),
    Figure(
        "spared",
        "20 % errors: failures of a 60-minute look, to ours",
        by_traffic(replace(_HEALTHY, errors=0.2), {600: 25}),
        spared,
        "x",
        at_least=True,
    ),
    *(
        _promotions(
            f"promoted, {errors:.2%} errors",
            End.PROMOTED,
            replace(_HEALTHY, errors=errors),
            _same(0),
        )
        for errors in (0.0015, 0.002, 0.005)
    ),
    _promotions("promoted, 0.02 % errors", End.PROMOTED, _HEALTHY, _PROMOTED),
    replace(
        _promotions(
            "the same, by its errors alone", End.PROMOTED, _HEALTHY, dict.fromkeys(TRAFFIC)
        ),
        play=_by_errors_alone,
    ),
    *(_longer_hold(longest) for longest in (4, 5, 7)),
]
