"""The figures that are computed of many rollouts: releases, measures and bars."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from math import inf
from random import Random
from statistics import median
from typing import Final, TypeAlias

from benchmarks.judging import policy
from benchmarks.judging.policy import WITHOUT_STABLE
from benchmarks.judging.rollout import End, Outcome, bake, bake_and_climb, climb
from benchmarks.judging.world import DAY, HEALTHY, Episode, Release, Spells
from controller.core.policy import Policy
from controller.immutable import Immutable, replace

Measure: TypeAlias = Callable[[Release, Sequence[Outcome]], float]
Play: TypeAlias = Callable[[Random, Release], Outcome]

TRAFFIC: Final = (60, 600, 6_000)
LATE: Final = 30  # the middle of the first step
RAISED: Final = 60  # the first minute at 50%
LATER: Final = 8 * 60  # six hours into the last step
# Minutes from the end of a minute until a tick has read it: the evaluation delay, in which
# CloudWatch publishes it in full, and at most one minute until the next tick.
READ_DELAY: Final = 3 + 1
_MANUAL_MINUTES = 60  # an operator checks once, at the end of the step


class Cell(Immutable):
    """One cell: a release, and the bar of its figure; None: there is no bar."""

    release: Release
    bar: float | None


class Figure(Immutable):
    """One line of the table. at_least: the bar is a minimum.

    worlds: the name of the worlds that are drawn, where another line has the same.
    """

    group: str
    what: str
    cells: Mapping[str, Cell]
    measure: Measure
    unit: str = "%"
    at_least: bool = False
    play: Play = bake
    worlds: str = ""

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


def rollbacks(
    group: str, what: str, release: Release, bar: float | None = None, play: Play = bake_and_climb
) -> Figure:
    """Return the figure of the share that is rolled back, and is held, of a healthy release."""
    cells = by_traffic(release, dict.fromkeys(TRAFFIC, bar))
    return Figure(group, what, cells, share(End.ROLLED_BACK), play=play)


def _delays(what: str, release: Release, bars: Mapping[int, float | None]) -> list[Figure]:
    return [
        Figure("delay", what, by_traffic(release, bars), delay, "min"),
        _late(f"{what}, from minute {LATE} of the step on", release, LATE, dict.fromkeys(bars)),
    ]


def _late(what: str, release: Release, since: int, bars: Mapping[int, float | None]) -> Figure:
    """Return the figure of a fault that begins at minute `since` of the rollout."""
    cells = by_traffic(replace(release, since=since), bars)
    return Figure("late", what, cells, delay, "min")


def _late_errors() -> list[Figure]:
    """Return the figures of failures that begin late; bars by traffic."""
    figures = []
    for errors, middle, later in (
        (0.2, {60: None, 600: 3, 6_000: None}, {600: 3}),
        (0.1, {600: None}, {600: None}),
        (0.05, {60: None, 600: 10}, {600: 10}),
        (0.025, {600: None}, {600: None}),
        (0.01, {600: 20}, {600: None}),
        (0.005, {6_000: 12}, {6_000: None}),
        (0.002, {6_000: None}, {6_000: None}),
    ):
        release, what = replace(_HEALTHY, errors=errors), f"{100 * errors:g}% errors"
        raised: dict[int, float | None] = dict.fromkeys(middle)
        figures += [
            _late(f"{what}, from minute {LATE} of the step on", release, LATE, middle),
            _late(f"{what}, from the first minute at 50% on", release, RAISED, raised),
            _late(f"{what}, six hours into 100%", release, LATER, later),
        ]
    return figures


def _shared(minutes: float, errors: float) -> Figure:
    """Return the figure of an outage of both paths."""
    what = f"false rollback, {minutes:g} min at {errors:.3g} on both paths"
    return rollbacks("shared", what, replace(_HEALTHY, outage=Episode(minutes, errors)), 1.0)


def _late_shared() -> Iterator[Figure]:
    """Yield the figures of trouble of both paths that begins when the canary has 100%."""
    hour, rest = range(LATER, LATER + 60), range(LATER, 10 * DAY)
    for what, release in (
        ("10 min at 20%", replace(_HEALTHY, outage=Episode(10, 0.2), outage_at=LATER)),
        ("an hour 10% slower", replace(_NOISY, day=0.1, day_in=hour)),
        ("an hour 20% slower", replace(_NOISY, day=0.2, day_in=hour)),
        ("10% slower from then on", replace(_NOISY, day=0.1, day_in=rest)),
        ("20% slower from then on", replace(_NOISY, day=0.2, day_in=rest)),
    ):
        name = f"false rollback, both paths six hours into 100%: {what}"
        yield rollbacks("late both", name, release)
        without = partial(bake_and_climb, policy=WITHOUT_STABLE)
        yield rollbacks("late both", f"{name}, no stable-path metrics", release, play=without)
        kept = replace(release, stable=0.05)
        yield rollbacks("late both", f"{name}, a stable path of 5% more requests", kept)


def _spells(every: int, minutes: int, errors: float, since: int = LATER + 17) -> Figure:
    """Return the delay of failures in spells: a few minutes of each `every`."""
    release = replace(_HEALTHY, spells=Spells(every, minutes, errors), since=since)
    what = f"{100 * errors:g}% errors in {minutes} of {every} minutes, six hours into 100%"
    return Figure("spells", what, by_traffic(release, dict.fromkeys(TRAFFIC)), delay, "min")


def _quiet_spells(every: int, minutes: int, errors: float) -> Figure:
    """Return the false rollbacks of spells that keep the objective."""
    release = replace(_HEALTHY, spells=Spells(every, minutes, errors))
    what = f"false rollback, {100 * errors:g}% errors in {minutes} of {every} minutes"
    return rollbacks("spells", what, release, 1.0)


def _by_budget(budget: float, play_policy: Policy) -> Figure:
    """Return how many healthy releases with bursts a budget of false rollbacks rolls back."""
    release = replace(_HEALTHY, bursts=Episode(4, 0.03))
    what = f"rolled back, bursts 2 a day x 4 min x 3%, false_rollback {100 * budget:g}%"
    play = partial(bake, policy=play_policy)
    return replace(rollbacks("budget", what, release, play=play), worlds="bursts by budget")


def _caused(errors: float) -> Figure:
    """Return how rollouts end whose canary makes both paths fail, from minute 30 on."""
    release = replace(_HEALTHY, errors=errors, breaks_both=True, since=LATE)
    what = f"{errors:.0%} on both paths because of the canary: rolled back"
    return rollbacks("shared", what, release, play=climb)


def _longer_bursts(minutes: float, errors: float, bar: float | None = None) -> Figure:
    """Return the figure of bursts of failures of the canary."""
    what = f"false rollback, bursts 2 a day x {minutes:g} min x {100 * errors:g}%"
    return rollbacks("bursts+", what, replace(_HEALTHY, bursts=Episode(minutes, errors)), bar)


def _promotions(what: str, end: End, release: Release, bars: Mapping[int, float | None]) -> Figure:
    cells, healthy = by_traffic(release, bars), release.errors == HEALTHY
    return Figure("promoted", what, cells, share(end), at_least=healthy, play=climb)


def _noisy_promotions(
    what: str, release: Release, *, at_least: bool, bars: tuple[float, float, float]
) -> Figure:
    """Return the figure of noisy releases that go up by themselves."""
    cells = by_traffic(release, dict(zip(TRAFFIC, bars, strict=True)))
    return Figure(
        "promoted",
        f"promoted, {what}",
        cells,
        share(End.PROMOTED),
        at_least=at_least,
        play=climb,
    )


def _longer_hold(longest: int) -> Figure:
    """Return the figure of a `max_hold` of more than the default two bakes, at low traffic."""
    what = f"the same, with a max_hold of {longest - 1} x bake"
    cells = by_traffic(_HEALTHY, {60: None})
    play = partial(climb, longest=longest)
    return Figure("promoted", what, cells, share(End.PROMOTED), at_least=True, play=play)


def _by_errors_alone(rng: Random, release: Release) -> Outcome:
    return climb(rng, release, policy.OBJECTIVE.__eq__)


_HEALTHY = Release(rpm=0)
_NOISY = Release(rpm=0, noisy=True)
_PROMOTED: Final[Mapping[int, float | None]] = {60: 98.0, 600: 99.5, 6_000: 99.5}

FIGURES: Final[Sequence[Figure]] = [
    *(
        rollbacks(
            "false", f"false rollback, {errors:.2%} errors", replace(_HEALTHY, errors=errors), bar
        )
        for errors, bar in [(0.0002, 0.5), (0.0005, 0.5), (0.0009, 0.5), (0.001, 1.0)]
    ),
    *(
        rollbacks(
            "bursts",
            f"false rollback, {errors:.2%} errors and bursts",
            replace(_HEALTHY, errors=errors, bursts=Episode(2, 0.03)),
            1.0,
        )
        for errors in (0.0002, 0.0005, 0.0009)
    ),
    *(
        rollbacks(
            "noise", f"false rollback, latency +{slower:.0%}", replace(_NOISY, slower=slower), 1
        )
        for slower in (0.0, 0.03)
    ),
    rollbacks(
        "outage",
        "false rollback, outage on both paths",
        replace(_HEALTHY, outage=Episode(10, 0.1)),
        1.0,
    ),
    *(
        Figure(
            "delay",
            f"{100 * errors:g}% errors",
            by_traffic(replace(_HEALTHY, errors=errors), bars),
            delay,
            "min",
        )
        for errors, bars in (
            (0.2, {60: 9, 600: 3, 6_000: 3}),
            (0.1, dict.fromkeys(TRAFFIC)),
            (0.05, {60: 22, 600: 6}),
            (0.01, {600: 17}),
            (0.005, {6_000: 8}),
            (0.002, {6_000: 40}),
        )
    ),
    *_late_errors(),
    *(
        _shared(minutes, errors)
        for minutes, errors in [
            *((10, 0.1), (10, 0.15), (10, 0.2), (10, 0.5), (18, 0.08)),
            *((5, 0.1), (20, 0.1), (10, 0.05), (5, 0.5), (20, 0.5), (10, 1.0)),
            *((9, 0.08), (36, 0.08), (18, 0.04), (18, 0.16)),
        ]
    ),
    *_late_shared(),
    *(
        _spells(*one)
        for one in [
            *((60, 1, 1.0), (60, 2, 0.5), (90, 3, 0.3), (10, 1, 0.1), (15, 1, 0.15), (7, 1, 0.05)),
            *((25, 2, 0.1), (240, 1, 1.0)),
        ]
    ),
    *(_quiet_spells(*one) for one in ((60, 1, 0.03), (15, 1, 0.01))),
    *(_caused(errors) for errors in (0.03, 0.08, 0.2)),
    *(_by_budget(budget, one) for budget, one in policy.BY_BUDGET.items()),
    rollbacks(
        "shared", "rolled back, 1% on both paths", replace(_HEALTHY, errors=0.01, breaks_both=True)
    ),
    *(
        rollbacks(
            "waves",
            f"rolled back, load waves of both paths (sd 8%, {minutes} min) at 100%",
            replace(_NOISY, waves=0.08, waves_at=120, waves_last=minutes),
        )
        for minutes in (10, 60)
    ),
    _longer_bursts(2, 0.03, 1.0),
    *(
        _longer_bursts(minutes, errors)
        for minutes, errors in [
            *((3, 0.03), (4, 0.03), (5, 0.03), (10, 0.03), (5, 0.015), (5, 0.06)),
            *((2, 0.05), (2, 0.1), (2, 0.2)),
        ]
    ),
    Figure(
        "creep",
        "errors that creep to 0.5% over 12 hours",
        by_traffic(replace(_HEALTHY, errors=0.005, creep=12 * 60), {60: 436, 600: 269, 6_000: 202}),
        delay,
        "min",
    ),
    *(
        Figure(
            "creep",
            f"errors that creep to {100 * errors:g}% over {hours} hours",
            by_traffic(replace(_HEALTHY, errors=errors, creep=hours * 60), dict.fromkeys(TRAFFIC)),
            delay,
            "min",
        )
        for errors, hours in ((0.0025, 12), (0.01, 12), (0.005, 6), (0.005, 24))
    ),
    *_delays("latency +50%", replace(_NOISY, slower=0.5), {600: 3, 6_000: 3}),
    *_delays("latency x 3", replace(_NOISY, slower=2.0), _same(3)),
    *_delays("latency +10%", replace(_NOISY, slower=0.1), {6_000: 30}),
    Figure(
        "spared",
        "20% errors: failures of a 60-minute look, to ours",
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
    *(
        _noisy_promotions(what, release, at_least=least, bars=bars)
        for what, release, least, bars in (
            ("0.05% errors, noisy", replace(_NOISY, errors=0.0005), True, (95, 99, 99)),
            ("0.09% errors, noisy", replace(_NOISY, errors=0.0009), True, (80, 90, 95)),
            ("latency +3%, noisy", replace(_NOISY, slower=0.03), True, (88, 96, 97)),
            ("0.15% errors, noisy", replace(_NOISY, errors=0.0015), False, (1, 1, 1)),
            ("latency +10%, noisy", replace(_NOISY, slower=0.1), False, (2, 2, 2)),
            ("0.3% errors, noisy", replace(_NOISY, errors=0.003), False, (1, 1, 1)),
            ("latency +20%, noisy", replace(_NOISY, slower=0.2), False, (2, 2, 2)),
        )
    ),
    _promotions("promoted, 0.02% errors", End.PROMOTED, _HEALTHY, _PROMOTED),
    replace(
        _promotions(
            "the same, by its errors alone", End.PROMOTED, _HEALTHY, dict.fromkeys(TRAFFIC)
        ),
        play=_by_errors_alone,
    ),
    *(_longer_hold(longest) for longest in (4, 5, 7)),
]
