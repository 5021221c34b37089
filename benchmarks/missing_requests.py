"""How often a canary at 100% lacks requests beside a stored week, healthy or with a loss.

    python benchmarks/missing_requests.py [--runs 30]

Draws the requests of a week before the start and of the 28 hours after it, minute by minute, and
asks every five minutes what the newest time lacks. In columns, requests a minute at a usual hour.
"""

import argparse
from collections.abc import Iterator
from math import exp, sin, sqrt, tau
from random import Random
from statistics import mean, median
from typing import NamedTuple

from controller.core.judge.evidence import HOURS_OF_A_WEEK, BaselineMeasurement, hour_of_week
from controller.core.judge.series import WindowCounts
from controller.core.judge.silence import missing_beside_week
from controller.core.observation import Span
from controller.core.stats.counts import Counts
from controller.tools.simulation.histogram import poisson

TRAFFIC = (60, 600, 6_000)
HOUR, DAY, WEEK = 60, 24 * 60, 7 * 24 * 60
LAST, EVERY = 28 * HOUR, 5


class Traffic(NamedTuple):
    """The requests of a path over time, as multiples of its usual ones; times in hours.

    swing: of a sine over the day. night: the part of the requests at night of an office, which
    opens and closes within half an hour; closing: the standard deviation of when. weekend: the part
    on two days of seven. days: standard deviation of the log level of a day. waves: the same of
    load waves, which last some `waves_last` minutes. later, level: how much later the day is after
    the start, and how many requests it has of those before.
    """

    swing: float = 0.0
    night: float = 1.0
    closing: float = 0.0
    weekend: float = 0.3
    days: float = 0.0
    waves: float = 0.0
    waves_last: int = 10
    later: float = 0.0
    level: float = 1.0


WORLDS = {
    "steady, no weekend": Traffic(weekend=1),
    "steady": Traffic(),
    "swing of 80%, no weekend": Traffic(swing=0.8, weekend=1),
    "swing of 80%": Traffic(swing=0.8),
    "swing of 95%": Traffic(swing=0.95),
    "swing of 80%, days vary by 10%": Traffic(swing=0.8, days=0.1),
    "load waves, sd 8%, 10 min": Traffic(swing=0.8, waves=0.08, days=0.05),
    "load waves, sd 8%, 50 min": Traffic(swing=0.8, waves=0.08, waves_last=50, days=0.05),
    "load waves, sd 20%, 10 min": Traffic(swing=0.8, waves=0.2),
    "load waves, sd 20%, 50 min": Traffic(swing=0.8, waves=0.2, waves_last=50),
    "an office that closes within 10 min of its time": Traffic(night=0.1, closing=1 / 6),
    "within 20 min": Traffic(night=0.1, closing=1 / 3),
    "the clock was put back": Traffic(swing=0.8, later=1),
    "the clock was put back, the office": Traffic(night=0.1, closing=1 / 6, later=1),
    "a fifth less than the week before": Traffic(swing=0.8, days=0.05, level=0.8),
    "a third less": Traffic(swing=0.8, days=0.05, level=0.67),
}


def rates(rng: Random, traffic: Traffic, rpm: int) -> Iterator[float]:
    """Yield the mean number of requests of each minute."""
    first, wave, rho = rng.randrange(WEEK), 0.0, exp(-1 / traffic.waves_last)
    spread, level, closing = traffic.waves * sqrt(1 - rho * rho), 1.0, 0.0
    for minute in range(WEEK + LAST):
        before = minute < WEEK
        at = first + minute - (0 if before else round(HOUR * traffic.later))
        if minute == 0 or at % DAY == 0:
            level, closing = exp(rng.gauss(0, traffic.days)), rng.gauss(0, traffic.closing)
        hour = at % DAY / HOUR
        wave = rho * wave + rng.gauss(0, spread)
        rate = rpm * level * exp(wave) * (1 if before else traffic.level)
        rate *= 1 + traffic.swing * sin(tau * (hour - 9) / 24)
        opened = min(1.0, max(0.0, 2 * (hour - 8.25 - closing), 0.0))
        closed = min(1.0, max(0.0, 2 * (hour - 17.25 - closing), 0.0))
        rate *= traffic.night + (1 - traffic.night) * (opened - closed)
        yield rate * (traffic.weekend if at // DAY % 7 >= 5 else 1)


def held(traffic: Traffic, rpm: int, seed: int, missing: float = 0.0) -> tuple[list[bool], int]:
    """Return whether the gate waits, every five minutes, and from which of them requests miss."""
    rng = Random(f"{traffic}/{rpm}/{seed}")
    since = rng.randrange(2 * HOUR, 20 * HOUR)
    counts = [
        poisson(rng, rate * (1 - missing if minute >= WEEK + since else 1))
        for minute, rate in enumerate(rates(rng, traffic, rpm))
    ]
    hours = [0.0] * HOURS_OF_A_WEEK
    for minute in range(WEEK):
        hours[hour_of_week(60 * minute)] += counts[minute] / HOUR
    baseline = BaselineMeasurement(1.0, 1.0, 0, 60 * WEEK, week=tuple(hours))

    def measure(second: int) -> WindowCounts:
        return WindowCounts(Counts(counts[second // 60]), 0.0)

    looks = range(WEEK + HOUR, WEEK + LAST, EVERY)
    waits = [
        missing_beside_week(baseline, measure, Span(60 * WEEK, 60 * at)) is not None for at in looks
    ]
    return waits, -(-(since - HOUR) // EVERY)


def row(traffic: Traffic, rpm: int, runs: int) -> tuple[float, float, float, float]:
    """Return the columns of a row at `rpm`, as the table has them."""
    healthy = [mean(held(traffic, rpm, seed)[0]) for seed in range(runs)]
    until, stays = [], []
    for missing in (0.5, 0.9):
        delays = []
        for seed in range(runs):
            waits, first = held(traffic, rpm, seed, missing)
            delays.append(next((EVERY * n for n, one in enumerate(waits[first:]) if one), 9999))
            stays.append(mean(waits[first + HOUR // EVERY :]))
        until.append(median(delays))
    return 100 * mean(healthy), until[0], 100 * mean(stays[:runs]), until[1]


def number_text(value: float) -> str:
    """Return two digits of a small number, and whole others."""
    return f"{value:.2g}" if value < 10 else f"{value:,.0f}"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=30)
    runs = parser.parse_args().runs
    for name, traffic in WORLDS.items():
        columns = zip(*(row(traffic, rpm, runs) for rpm in TRAFFIC), strict=True)
        cells = (" / ".join(map(number_text, column)) for column in columns)
        print(f"| {name} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
