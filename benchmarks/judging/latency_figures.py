"""The figures of a latency: hangs, another day, cold starts, short slowness, and creeping ones."""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Final

from benchmarks.judging.figures import Figure, Measure, by_traffic, delay, rollbacks, share
from benchmarks.judging.policy import BESIDE_2, BESIDE_5, BY_WARMUP, POLICY
from benchmarks.judging.rollout import End, Outcome, bake, climb
from benchmarks.judging.world import DAY, Release
from controller.immutable import replace

# Six hours into the step of 100%.
_LATE: Final = 120 + 360
_BEGIN_OF_100: Final = 120
_SOUND: Final = Release(rpm=0)
_NOISY: Final = Release(rpm=0, noisy=True)

_Bars = Mapping[int, float | None]


def _bars(low: float | None, medium: float | None, high: float | None) -> _Bars:
    return {60: low, 600: medium, 6_000: high}


_NO_BARS: Final = _bars(None, None, None)


def found_within(minutes: int) -> Measure:
    """Return a measure: the percentage that is rolled back within `minutes` of the onset."""

    def found(release: Release, outcomes: Sequence[Outcome]) -> float:
        after = [one for one in outcomes if one.minute > release.since]
        hits = [one for one in after if one.end is End.ROLLED_BACK]
        return 100 * sum(one.minute - release.since <= minutes for one in hits) / len(after)

    return found


def _rolled_back(group: str, what: str, release: Release, bar: float | None) -> Figure:
    return rollbacks(group, f"rolled back, {what}", release, bar)


def _late(group: str, what: str, release: Release, bars: _Bars = _NO_BARS) -> Figure:
    late = replace(release, since=_LATE)
    return Figure(group, f"{what}, 6 h into 100%", by_traffic(late, bars), delay, "min")


def _found(
    group: str, what: str, minutes: int, release: Release, bar: float | None = None
) -> Figure:
    cells = by_traffic(replace(release, since=_LATE), _bars(bar, bar, bar))
    measure = found_within(minutes)
    return Figure(group, f"{what}, found in {minutes // 60} h", cells, measure, at_least=True)


def _promoted(what: str, release: Release, bars: _Bars, *, at_least: bool) -> Figure:
    cells = by_traffic(release, bars)
    return Figure(
        "healthy",
        f"promoted, {what}",
        cells,
        share(End.PROMOTED),
        at_least=at_least,
        play=climb,
    )


_HANG_DELAYS: Final[Mapping[float, _Bars]] = {
    0.015: _NO_BARS,
    0.03: _bars(25, 8, 6),
    0.05: _bars(12, 6, 6),
    0.1: _NO_BARS,
}

_SAME_HOURS: Final[Sequence[tuple[str, Release, float | None]]] = [
    ("latency +0%", _NOISY, 1),
    ("latency +3%", replace(_NOISY, slower=0.03), 1),
    ("both paths +10%", replace(_NOISY, day=0.1), 5),
    ("both paths +15%", replace(_NOISY, day=0.15), 8),
]

# Trouble of both paths: six hours into the longest step, or from noon on a Sunday to Monday.
_SHARED_LATE: Final[Sequence[tuple[str, Release]]] = [
    ("both paths +10%", replace(_NOISY, day=0.1, day_in=range(_LATE, 10 * DAY))),
    ("both paths +20%", replace(_NOISY, day=0.2, day_in=range(_LATE, 10 * DAY))),
    ("both paths +15% after a weekend", replace(_NOISY, day=0.15, day_in=range(720, 10 * DAY))),
    *(
        (
            f"{part:.0%} hang on both paths for {minutes} min",
            replace(_NOISY, hung_both=part, day_in=range(_LATE, _LATE + minutes)),
        )
        for part, minutes in [(0.02, 180), (0.04, 20), (0.03, 90), (0.01, 360)]
    ),
    *(
        (
            f"load waves of both paths (sd 8%, {minutes} min)",
            replace(_NOISY, waves=0.08, waves_at=_BEGIN_OF_100, waves_last=minutes),
        )
        for minutes in (10, 60)
    ),
    ("0.8% hang on both paths, always", replace(_NOISY, hung_anyway=0.008)),
    ("1.5% hang on both paths, always", replace(_NOISY, hung_anyway=0.015)),
]


def _beside() -> Iterator[Figure]:
    """Yield what a long step beside the stable path finds and rolls back, and one at 100%."""
    for name, policy in (("100%", POLICY), ("98%", BESIDE_2), ("95%", BESIDE_5)):
        group, play = f"long {name[:-2]}", partial(bake, policy=policy)
        for hung in (0.015, 0.02, 0.05):
            release = replace(_NOISY, hung=hung)
            figure = _late(group, f"{hung:.1%} of requests take 10 s, a day at {name}", release)
            yield replace(figure, play=play)
        release = replace(_NOISY, hung=0.02, hung_anyway=0.004)
        figure = _late(group, f"2.0% more than usual (0.4%) take 10 s, a day at {name}", release)
        yield replace(figure, play=play)
        what = f"2.0% of requests take 10 s, from the raise to {name} on"
        release = replace(_NOISY, hung=0.02, since=_BEGIN_OF_100)
        yield Figure(group, what, by_traffic(release, _NO_BARS), delay, "min", play=play)
        for slower in (0.1, 0.2):
            figure = _late(group, f"+{slower:.0%}, a day at {name}", replace(_NOISY, slower=slower))
            yield replace(figure, play=play)
        for what, release in _SHARED_LATE:
            what = f"rolled back, {what}, a day at {name}"
            yield rollbacks(group, what, release, play=play)


def _warmups() -> Iterator[Figure]:
    """Yield what each warm-up rolls back of a canary that starts cold, and what it finds when."""
    for minutes, policy in BY_WARMUP.items():
        group, play = f"warm-up {minutes}", partial(bake, policy=policy)
        for slower, cold in [(0.5, 30), (0.3, 15), (0.5, 15), (0.7, 30), (1.0, 30), (0.5, 60)]:
            what = f"rolled back, +{slower:.0%} that fades in {cold} min, warm-up of {minutes} min"
            release = replace(_NOISY, cold=cold, cold_slower=slower, cold_fades=True)
            yield rollbacks(group, what, release, play=play)
        for what, release in [
            ("+50%", replace(_NOISY, slower=0.5)),
            ("x 3", replace(_NOISY, slower=2.0)),
            ("5% of requests take 10 s", replace(_NOISY, hung=0.05)),
            ("1% errors", replace(_NOISY, errors=0.01)),
            ("20% errors", replace(_NOISY, errors=0.2)),
        ]:
            name = f"{what}, from the first request, warm-up of {minutes} min"
            yield Figure(group, name, by_traffic(release, _NO_BARS), delay, "min", play=play)


FIGURES: Final[Sequence[Figure]] = [
    *_beside(),
    *_warmups(),
    *(
        _late("hang", f"{part:.1%} of requests take 10 s", replace(_NOISY, hung=part), bars)
        for part, bars in _HANG_DELAYS.items()
    ),
    *(
        _found("hang", f"{part:.1%} of requests take 10 s", 3 * 60, replace(_NOISY, hung=part), bar)
        for part, bar in [(0.015, None), (0.03, 100), (0.05, 100)]
    ),
    *(
        _rolled_back(
            "hang", f"{part:.1%} hang on both paths", replace(_NOISY, hung_anyway=part), bar
        )
        for part, bar in [(0.004, None), (0.008, 1), (0.015, 1), (0.03, None)]
    ),
    *(
        _rolled_back(
            "day", f"both paths {day:+.0%} against the baseline", replace(_NOISY, day=day), bar
        )
        for day, bar in [(-0.1, None), (0.05, None), (0.1, 5), (0.15, 8), (0.2, None), (0.3, None)]
    ),
    _late("day", "+20%, a day 10% faster", replace(_NOISY, day=-0.1, slower=0.2)),
    _found("day", "+20%, a day 10% faster", 12 * 60, replace(_NOISY, day=-0.1, slower=0.2)),
    _late("day", "+20%, a day 10% slower", replace(_NOISY, day=0.1, slower=0.2)),
    _late("steep", "+20%", replace(_NOISY, slower=0.2), _bars(400, 250, 200)),
    _found("steep", "+20%", 18 * 60, replace(_NOISY, slower=0.2), 90),
    _late("steep", "+50%", replace(_NOISY, slower=0.5), _bars(None, 20, 20)),
    _late("steep", "x 3", replace(_NOISY, slower=2.0)),
    *(
        _rolled_back("hours", f"{what}, same hours of a week", replace(release, week=True), bar)
        for what, release, bar in _SAME_HOURS
    ),
    _late("hours", "+20%, same hours", replace(_NOISY, week=True, slower=0.2)),
    _late("hours", "+50%, same hours", replace(_NOISY, week=True, slower=0.5)),
    *(
        _rolled_back(
            "blip",
            f"canary x {times:g} for {minutes:g} min twice a day",
            replace(_NOISY, blip=minutes, blip_factor=times),
            bar,
        )
        for times, minutes, bar in [
            (2, 1.5, None),
            (2, 3, 10),
            (2, 6, None),
            (1.5, 3, None),
            (4, 3, None),
        ]
    ),
    *(
        _rolled_back(
            "cold",
            f"canary {slower:+.0%} for {minutes} min after a raise",
            replace(_NOISY, cold=minutes, cold_slower=slower),
            bar,
        )
        for slower, minutes, bar in [
            (0.3, 2, None),
            (0.3, 5, 1),
            (0.3, 10, None),
            (0.15, 5, None),
            (0.6, 5, None),
        ]
    ),
    *(
        Figure(
            "creep",
            f"creep to {slower:+.0%} in {hours} h of 100%",
            by_traffic(replace(_NOISY, slower=slower, since=_BEGIN_OF_100, creep=60 * hours), bars),
            delay,
            "min",
        )
        for slower, hours, bars in [
            (0.2, 12, _bars(948, 894, 856)),
            (0.4, 12, _NO_BARS),
            (0.2, 6, _NO_BARS),
        ]
    ),
    _promoted("latency +3%", replace(_NOISY, slower=0.03), _bars(88, 96, 97), at_least=True),
    _promoted("latency +0%", _NOISY, _NO_BARS, at_least=True),
    _promoted("latency +10%", replace(_NOISY, slower=0.1), _bars(2, 2, 2), at_least=False),
    _promoted("latency +15%", replace(_NOISY, slower=0.15), _NO_BARS, at_least=False),
]
