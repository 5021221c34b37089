"""How long the success rate holds a step: healthy releases, a burst before a raise, a short bake.

    python benchmarks/hold.py [--only CELL ...] [--rates 60 600 6000] [--runs 400] [--store FILE]

Plays whole rollouts with `decide` on the series that its query plan asks for: 10% for an hour,
50% for an hour, 100% for a day, under one criterion, 99.9% success beside the stable path. A
tick comes each hour, and after a bake at 10 or 50% each minute; `max_hold` is two bakes. --list
prints the cells. --store keeps each cell once it is measured: what is there is not played again.

Ends with 1 when a bar is not met. 400 runs of all cells take about ten minutes of one core.
"""

import argparse
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from statistics import mean, median
from typing import Final

from benchmarks.peer_models.models import failures_policy
from benchmarks.peer_models.world import FailingWorld, Minute, Release
from controller.core.decide import decide
from controller.core.decision import SetWeight
from controller.core.events import Observed, Started
from controller.core.judge.gate import query_plan
from controller.core.observation import Observation, Series, TargetReading, UpdateStatus
from controller.core.policy import Policy
from controller.core.rollout import Paused, Progressing, Rollout, Succeeded
from controller.core.units import MINUTE_S, from_unix
from controller.immutable import Immutable, replace

RATES: Final = (60, 600, 6_000)
_BURST_MINUTES, _BURST_SHARE = 3, 0.08
_SHORT: Final = ((10, 3), (50, 3), (100, 60))
_HOUR_S: Final = 3_600


class Burst(FailingWorld):
    """A healthy release that fails for three minutes of the hour after a step got its `weight`."""

    def __init__(self, seed: str, release: Release, weight: int) -> None:
        super().__init__(seed, release)
        self._healthy, self._weight, self._minutes = release, weight, 0
        self._begin = self._rng.randrange(1, 61 - _BURST_MINUTES)
        self.end = 0
        """The first minute after the burst; 0 before."""

    def minute(self, weight: int) -> Minute:
        """Return the next minute."""
        self._minutes += weight == self._weight
        bad = weight == self._weight and 0 < self._minutes - self._begin <= _BURST_MINUTES
        self._release = replace(self._healthy, errors=_BURST_SHARE) if bad else self._healthy
        minute = super().minute(weight)
        if bad:
            self.end = minute.number + 1
        return minute


class Played(Immutable):
    """How a rollout ended, and by how many minutes each gate came later than the end of its bake.

    gates: the ends of the judged time at each gate that was left, in minutes: with a raise, and at
    the end. burst: the first minute after the burst.
    """

    end: str
    held: tuple[int, ...]
    gates: tuple[int, ...]
    failed: int
    burst: int = 0


def play(world: FailingWorld, policy: Policy) -> Played:
    """Play one rollout until it is promoted, paused or rolled back."""
    points: dict[str, dict[int, float]] = {one.name: {} for one in policy.metrics.values()}
    delay = int(policy.evaluation_delay.total_seconds())
    held, gates, failed, now = list[int](), list[int](), 0, 0
    target = TargetReading("f", 0, "", "", UpdateStatus.SUCCESSFUL)
    decision = decide(None, Started(policy, "1", target, 1, {}), from_unix(now))
    while True:
        rollout = decision.rollout
        if isinstance(decision.move, SetWeight):
            target = replace(target, weight=decision.move.weight, token=f"{now}")
        tick = _next_tick(rollout, now, delay)
        for start in range(now, tick, MINUTE_S):
            minute = world.minute(target.weight or 0)
            failed += minute.failed
            for total, failures, requests, bad in (
                ("a", "b", minute.requests, minute.failed),
                ("c", "d", minute.control, minute.control_failed),
            ):
                if requests:
                    points[total][start], points[failures][start] = requests, bad
        now = tick
        plan = query_plan(rollout, from_unix(now))
        series = {key: Series(points[one.name]) for key, one in plan.queries.items()}
        decision = decide(rollout, Observed(Observation(target, series)), from_unix(now))
        ended = not isinstance(decision.rollout.state, Progressing)
        if ended or isinstance(decision.move, SetWeight):
            over = now - delay - int(rollout.bake_end.timestamp()) if rollout.bake_end else 0
            held.append(max(0, over) // MINUTE_S)
            gates.append((now - delay) // MINUTE_S)
        if ended:
            break
    ends = {Paused: "paused", Succeeded: "promoted"}
    end = ends.get(type(decision.rollout.state), "rolled back")
    return Played(end, tuple(held), tuple(gates), failed, getattr(world, "end", 0))


def _next_tick(rollout: Rollout, now: int, delay: int) -> int:
    """Return when the next tick comes: with the end of the bake, and each minute from then on.

    In the last step it comes each hour, as no weight waits for it.
    """
    if rollout.pending is not None or rollout.bake_end is None:
        return now + MINUTE_S
    baked = int(rollout.bake_end.timestamp()) + delay
    if now < baked:
        return min(baked, now + _HOUR_S)
    return now + (_HOUR_S if rollout.is_last_step else MINUTE_S)


# --- Cells ----------------------------------------------------------------------------------------

Figures = Mapping[str, float]
"""The figures of a cell, or the largest value that some of them may have."""

_HELD, _PAUSED = "held at 10 or 50%, %", "paused at 10 or 50%, %"
_ALL, _LATEST = "raised with all of it in sight, %", "at most"


class Cell(Immutable):
    """Rollouts of a release, and the figures of how they went. bars: by rate."""

    release: Release
    measure: Callable[[Sequence[Played]], Figures]
    bars: Mapping[int, Figures]
    world: Callable[[str, Release], FailingWorld] = FailingWorld
    policy: Policy = failures_policy()


def _percent(played: Sequence[Played], counts: Callable[[Played], bool]) -> float:
    return 100 * sum(map(counts, played)) / len(played)


def _ends(played: Sequence[Played]) -> Figures:
    paused = [len(one.gates) for one in played if one.end == "paused"]
    return {
        _PAUSED: 100 * sum(step < 3 for step in paused) / len(played),
        "paused at 100%, %": 100 * paused.count(3) / len(played),
        "rolled back, %": _percent(played, lambda one: one.end == "rolled back"),
    }


def _of_healthy(played: Sequence[Played]) -> Figures:
    """Return how often gates came late: those before the last step, and that of the last one."""
    late = [sum(one.held[:2]) for one in played]
    return {
        _HELD: _percent(played, lambda one: any(one.held[:2])),
        "minutes of those, mean": mean([one for one in late if one] or [0]),
        "held at 100%, %": _percent(played, lambda one: any(one.held[2:])),
        **_ends(played),
    }


def _of_burst(step: int, played: Sequence[Played]) -> Figures:
    """Return what a raise from `step` had of the burst among its newest 60 minutes."""
    raised = [one for one in played if len(one.gates) > step + 1]
    since = [one.gates[step] - 60 - one.burst for one in raised]  # out of sight since
    late = [max(0, one) for one in since] or [0]
    return {
        _ALL: 100 * sum(one <= -_BURST_MINUTES for one in since) / len(played),
        "with a part, %": 100 * sum(-_BURST_MINUTES < one < 0 for one in since) / len(played),
        "minutes out of sight until raised, median": median(late),
        _LATEST: max(late),
        **_ends(played),
    }


def _of_short_bake(played: Sequence[Played]) -> Figures:
    return {
        "raised to 50%, %": _percent(played, lambda one: len(one.gates) > 1),
        "raised to 100%, %": _percent(played, lambda one: len(one.gates) > 2),
        **_ends(played),
        "failed requests, median": median(one.failed for one in played),
    }


def _healthy(errors: float, kind: str = "steady", held: float | None = None) -> Cell:
    bars = {_PAUSED: 1.0} | ({} if held is None else {_HELD: held})
    release = Release(0, kind, errors, errors, clump=10)
    return Cell(release, _of_healthy, dict.fromkeys(RATES, bars))


def _burst(weight: int, step: int) -> Cell:
    bars = {_ALL: 0.0, _LATEST: 5.0, _PAUSED: 0.0}
    return Cell(
        Release(0, "steady", 0.0005, 0.0005),
        partial(_of_burst, step),
        {600: bars, 6_000: bars},
        partial(Burst, weight=weight),
    )


CELLS: Final[Mapping[str, Cell]] = {
    "0.05%": _healthy(0.0005, held=2.0),
    "0.09%": _healthy(0.0009, held=7.0),
    "0.05% and bursts": _healthy(0.0005, "bursty", 18.0),
    "0.09% and bursts": _healthy(0.0009, "bursty", 18.0),
    "0.05% in clumps of ten": _healthy(0.0005, "noisy"),
    "0.09% in clumps of ten": _healthy(0.0009, "noisy"),
    "3 min x 8% at 10%": _burst(10, 0),
    "3 min x 8% at 50%": _burst(50, 1),
    "bakes of 3 min, 8% fail, 1% allowed": Cell(
        Release(0, "steady", 0.08, 0.0005),
        _of_short_bake,
        {},
        policy=failures_policy("99%", _SHORT),
    ),
}


# --- Output ---------------------------------------------------------------------------------------


def main() -> int:
    """Print the tables; return 1 when a bar is not met."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", nargs="+", choices=CELLS, default=list(CELLS), metavar="CELL")
    parser.add_argument("--rates", nargs="+", type=int, default=RATES)
    parser.add_argument("--runs", type=int, default=400)
    parser.add_argument("--store", type=Path)
    parser.add_argument("--list", action="store_true")
    options = parser.parse_args()
    if options.list:
        print("\n".join(CELLS))
        return 0
    known = (
        json.loads(options.store.read_text()) if options.store and options.store.exists() else {}
    )
    titles, met = list[str](), True
    for name, rpm in ((name, rpm) for name in options.only for rpm in options.rates):
        key = f"{name} / {rpm} / {options.runs}"
        if key not in known:
            known[key] = figures(name, rpm, options.runs)
            if options.store:
                options.store.write_text(json.dumps(known, indent=1))
        bars = CELLS[name].bars.get(rpm, {})
        met &= all(known[key][one] <= bar for one, bar in bars.items())
        if titles != list(known[key]):
            titles = list(known[key])
            print(f"\n| {options.runs} runs | requests a minute | {' | '.join(titles)} |")
            print("|---" * (2 + len(titles)) + "|")
        values = [_text(value, bars.get(one)) for one, value in known[key].items()]
        print(f"| {name} | {rpm:,} | {' | '.join(values)} |", flush=True)
    return 0 if met else 1


def figures(name: str, rpm: int, runs: int) -> Figures:
    """Return the figures of one cell at one rate; each rollout has its own seed."""
    cell = CELLS[name]
    release = replace(cell.release, rpm=rpm)
    worlds = (cell.world(f"{name}/{rpm}/{seed}", release) for seed in range(runs))
    return cell.measure([play(world, cell.policy) for world in worlds])


def _text(value: float, bar: float | None) -> str:
    text = f"{round(value, 2):,g}"
    if bar is None:
        return text
    return f"{text} (≤ {bar:g})" if value <= bar else f"**{text}** (≤ {bar:g})"


if __name__ == "__main__":
    sys.exit(main())
