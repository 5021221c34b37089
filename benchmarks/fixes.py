"""Does a canary that fixes the stable path get out, and does no other take its way?

    python benchmarks/fixes.py [--runs 100] [--equal-runs 400] [--json]

Plays the first two steps (10% for an hour, 50% for an hour, each with two hours of hold) of a
policy with one success rate of 99.9%, minute by minute, with the judge's own code, fixed seeds and
what `start` reads of the stable path before. In columns, requests a minute on both paths.

Ends with 1 when a bar is not met. It takes about ten minutes of one core.
"""

import argparse
import json
import sys
from collections.abc import Iterator
from datetime import timedelta
from itertools import product
from random import Random
from statistics import median
from types import SimpleNamespace
from typing import Any, Final, NamedTuple

from msgspec.structs import asdict

from benchmarks.judging.policy import OBJECTIVE, POLICY
from benchmarks.judging.rollout import after
from controller.core.judge.criterion_judge import Context
from controller.core.judge.evidence import (
    BaselineMeasurement,
    SequentialResult,
    StepInterval,
    Tally,
)
from controller.core.judge.facts import BetterThanStable
from controller.core.judge.findings import Finding, Verdict
from controller.core.judge.sequential_evidence import step_tests, tests_of
from controller.core.judge.series import WindowCounts
from controller.core.observation import MetricQuery, Series, Span
from controller.core.policy import Policy
from controller.core.stats.combined_tests import NO_CONTROL, SequentialState
from controller.core.stats.counts import Counts
from controller.core.units import MINUTE_S, from_unix
from controller.immutable import Immutable
from controller.operations.start.outages import outages_before
from controller.tools.simulation.histogram import binomial, poisson

TRAFFIC: Final = (60, 600, 6_000)
STABLE: Final = (0.003, 0.01, 0.05, 0.2)
HEALTHY: Final = 0.0001  # the share of requests that fail anyway
BAKE, LONGEST = 60, 180  # minutes of a step, and of its hold with it
LATE: Final = 30  # the middle of the first step
_START: Final = 1_000_000 * MINUTE_S

_DOCUMENT = POLICY.model_dump(mode="json", exclude_none=True)
FIX: Final = Policy.model_validate(
    {
        **_DOCUMENT,
        "criteria": {OBJECTIVE: _DOCUMENT["criteria"][OBJECTIVE]},
        "steps": [
            {"weight": weight, "bake": "1h", "criteria": [OBJECTIVE]} for weight in (10, 50, 100)
        ],
    }
)


class Paths(Immutable):
    """What both paths truly fail.

    stable: from minute `since` on, that of the start; None: from the day before. canary: always.
    together: how many requests fail together. retried: minutes since an earlier rollout of the
    target had traffic; None: there was none.
    """

    rpm: int
    stable: float
    canary: float = HEALTHY
    since: int | None = None
    together: int = 1
    retried: int | None = None

    def minute(self, rng: Random, now: int, weight: int) -> Counts:
        """Return the counts of one minute, `now` minutes after the start."""
        broken = self.since is None or now >= self.since
        requests = poisson(rng, self.rpm * weight / 100)
        control = poisson(rng, self.rpm * (100 - weight) / 100)
        failed = self._failures(rng, requests, self.canary)
        bad = self._failures(rng, control, self.stable if broken else HEALTHY)
        return Counts(requests, failed, control, bad)

    def _failures(self, rng: Random, requests: int, share: float) -> int:
        events = binomial(rng, requests, share / self.together)
        return min(requests, events * self.together)


class Step(NamedTuple):
    """How one step ended: after how many minutes; None: paused.

    better: because the canary is better than a stable path that fails.
    """

    minutes: int | None
    better: bool


class Row(Immutable):
    """One measured cell. measured: percent of the runs; after: the median minute, or None."""

    what: str
    rpm: int
    together: int
    measured: float
    runs: int
    after: float | None = None
    bar: float | None = None
    at_least: bool = False

    @property
    def met(self) -> bool:
        """True when the bar is met, or there is none."""
        if self.bar is None:
            return True
        return self.measured >= self.bar if self.at_least else self.measured <= self.bar


# --- One rollout ----------------------------------------------------------------------------------


class _Stable:
    """The metrics and the store that a start reads: of the stable path alone, before it."""

    def __init__(self, rng: Random, paths: Paths) -> None:
        self._rng, self._paths = rng, paths
        self.store, self.observer = self, SimpleNamespace(metrics=self)

    def exposures(self, target: str, locks: object) -> list[tuple[str, Any, Any]]:
        """Return when an earlier rollout had traffic."""
        if self._paths.retried is None:
            return []
        end = from_unix(_START) - timedelta(minutes=self._paths.retried)
        return [("judge#1", end - timedelta(hours=1), end)]

    def read(self, queries: list[MetricQuery], span: Span) -> dict[MetricQuery, Series]:
        """Return requests and failures of each minute of `span`."""
        minutes = range(span.start, span.end, MINUTE_S)
        counts = {at: self._paths.minute(self._rng, (at - _START) // MINUTE_S, 0) for at in minutes}
        return {
            one: Series(
                {
                    at: each.control_amount if "Failures" in one.name else each.control_samples
                    for at, each in counts.items()
                }
            )
            for one in queries
        }


def play(rng: Random, paths: Paths, *, onward: bool) -> list[Step]:
    """Return how the steps end. onward: also after a pause, as with `promote`."""
    reading: Any = SimpleNamespace(weight=0, identity="f")
    runner: Any = _Stable(rng, paths)
    baselines = outages_before(runner, FIX, reading, from_unix(_START))
    fold, now, ended = SequentialState(), 0, list[Step]()
    for number in (0, 1):
        step, fold, now = _play_step(rng, paths, baselines, number, fold, now)
        ended.append(step)
        if step.minutes is None and not onward:
            break
    return ended


def _play_step(
    rng: Random,
    paths: Paths,
    baselines: dict[str, BaselineMeasurement],
    number: int,
    fold: SequentialState,
    now: int,
) -> tuple[Step, SequentialState, int]:
    begin, tests = _START + now * MINUTE_S, tests_of(FIX)
    interval = StepInterval(number, begin, begin)
    players = step_tests(FIX, number, baselines)
    sums, weight = [Counts()], FIX.steps[number].weight
    for minute in range(1, LONGEST + 1):
        counts = paths.minute(rng, now, weight)
        at, now = _START + now * MINUTE_S, now + 1
        sums.append(sums[-1] + counts)
        window = WindowCounts(counts, 1 - counts.amount / max(1, counts.samples))
        seen = window if counts.samples else None
        fold = after(tests, fold, players, {OBJECTIVE: seen}, interval, at)
        if fold.rejections:
            return Step(None, better=False), fold, now
        if minute < BAKE:
            continue
        newest = _difference(sums[-1], sums[minute - BAKE])
        context = Context(
            start=begin,
            closed_end=at + MINUTE_S,
            open_end=at + MINUTE_S,
            bake_over=True,
            weight=weight,
            result=SequentialResult(control=fold.controls.get(OBJECTIVE, NO_CONTROL)),
            newest=_tally(newest, BAKE, at),
            newest_start=at + MINUTE_S - BAKE * MINUTE_S,
        )
        finding: Finding = players[OBJECTIVE].judge.conclude(_tally(sums[-1], minute, at), context)
        if finding.verdict is Verdict.PASS:
            better = BetterThanStable.find(finding) is not None
            return Step(minute, better), fold, now
    return Step(None, better=False), fold, now


def _difference(whole: Counts, part: Counts) -> Counts:
    return Counts(*(one - other for one, other in zip(_four(whole), _four(part), strict=True)))


def _four(counts: Counts) -> tuple[float, float, float, float]:
    return counts.samples, counts.amount, counts.control_samples, counts.control_amount


def _tally(counts: Counts, minutes: int, at: int) -> Tally:
    end = at + MINUTE_S
    return Tally(through=end, windows=minutes, counts=counts, last_end=end, spacing=MINUTE_S)


# --- Rows -----------------------------------------------------------------------------------------


def _rows(runs: int, equal_runs: int) -> Iterator[Row]:
    for stable, rpm, together in product(STABLE, TRAFFIC, (1, 3)):
        yield from _fixes(Paths(rpm, stable, together=together), runs)
    for stable, rpm, together in product(STABLE, TRAFFIC, (1, 3)):
        late = Paths(rpm, stable, since=LATE, together=together)
        yield from _others(f"fails {stable:.1%} from minute {LATE} on", late, runs, 0)
    for stable, rpm in product(STABLE, TRAFFIC):
        breaks = Paths(rpm, stable, since=0)
        yield from _others(f"the canary breaks {stable:.1%}", breaks, runs, 0)
        again = Paths(rpm, stable, retried=60)
        yield from _others(f"the canary broke {stable:.1%}, retried", again, runs, 0)
    for stable, rpm, together in product(STABLE, TRAFFIC, (1, 3, 10)):
        equal = Paths(rpm, stable, stable, together=together)
        bar = 1 if together <= 3 else None
        yield from _others(f"both fail {stable:.1%}", equal, equal_runs, bar, onward=True)


def _play(paths: Paths, runs: int, *, onward: bool = False) -> list[list[Step]]:
    return [play(Random(f"{paths}/{seed}"), paths, onward=onward) for seed in range(runs)]


def _fixes(paths: Paths, runs: int) -> Iterator[Row]:
    """Yield how many of the first steps pass with the bake, and how many with its hold."""
    first = [ended[0] for ended in _play(paths, runs)]
    minutes = [one.minutes for one in first if one.minutes is not None]
    name, needed = f"fails {paths.stable:.1%} from before the start", _needed(paths)
    at_bake = 100 * minutes.count(BAKE) / runs
    yield Row(
        f"{name}: out with the bake", paths.rpm, paths.together, at_bake, runs,
        bar=95 if needed == BAKE else None, at_least=True,
    )  # fmt: skip
    yield Row(
        f"{name}: out with the hold", paths.rpm, paths.together, 100 * len(minutes) / runs, runs,
        after=median(minutes) if minutes else None,
        bar=None if needed is None else 95, at_least=True,
    )  # fmt: skip
    yield Row(
        f"{name}: better", paths.rpm, paths.together,
        100 * sum(one.better for one in first) / runs, runs,
    )  # fmt: skip


def _needed(paths: Paths) -> int | None:
    """Return within how many minutes a fix has to be out; None: it may be paused."""
    if paths.stable >= 0.01 and paths.rpm >= 600:
        return BAKE
    if (paths.stable, paths.rpm) in {(0.003, 600), (0.05, 60)} or paths.stable >= 0.05:
        return LONGEST
    return None


def _others(
    what: str, paths: Paths, runs: int, bar: float | None, *, onward: bool = False
) -> Iterator[Row]:
    """Yield how many rollouts pass a step as better, and how many pass the first one at all."""
    played = _play(paths, runs, onward=onward)
    better = sum(any(step.better for step in ended) for ended in played)
    out = sum(ended[0].minutes is not None for ended in played)
    yield Row(f"{what}: better", paths.rpm, paths.together, 100 * better / runs, runs, bar=bar)
    yield Row(f"{what}: out with the hold", paths.rpm, paths.together, 100 * out / runs, runs)


def main() -> int:
    """Print the table; return 1 when a bar is not met."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=100)
    parser.add_argument("--equal-runs", type=int, default=400)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    rows = list[Row]()
    for row in _rows(options.runs, options.equal_runs):
        rows.append(row)
        if not options.json:
            after = "" if row.after is None else f" (median minute {row.after:g})"
            bar = "" if row.met else "  BAR NOT MET"
            print(
                f"{row.what:58} {row.rpm:>5,} x{row.together:<2} {row.measured:6.2f}%{after}{bar}",
                flush=True,
            )
    if options.json:
        print(json.dumps([asdict(row) for row in rows], indent=2))
    return 0 if all(row.met for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
