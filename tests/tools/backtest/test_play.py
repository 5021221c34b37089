"""Playing a start: it ends as `decide` ends, fed tick by tick from the same history."""

from collections.abc import Mapping
from copy import deepcopy
from datetime import timedelta
from pathlib import Path
from random import Random
from types import MappingProxyType
from typing import Any, NamedTuple, TypeAlias

import pytest

from controller.core.units import from_unix
from controller.tools.backtest.faults import parse_fault
from controller.tools.backtest.outcome import Run
from controller.tools.backtest.play import (
    BacktestPlayer,
    BacktestSetup,
    possible_starts,
)
from tests.support.backtests import SHOP, Change, Row, rows_of, shop, subject_of
from tests.support.core import (
    Observation,
    Observed,
    Phase,
    Rollout,
    Series,
    SetWeight,
    Started,
    Tally,
    TargetReading,
    UpdateStatus,
    decide,
)

EVERY = timedelta(minutes=5)

Ended: TypeAlias = tuple[str, int, int, tuple[str, ...]]
"""Ending, end, weight and causes, as a `Run` has them."""


def reading(weight: int) -> TargetReading:
    return TargetReading("arn", weight, f"{weight}", f"token {weight}", UpdateStatus.SUCCESSFUL)


class Real:
    """A rollout by `decide`, with the series of the history that are known at each tick."""

    def __init__(self, player: BacktestPlayer, start: int) -> None:
        self.player, self.start = player, start
        self.path: list[tuple[int, int]] = []  # step and when it was applied
        policy = player.policy
        baselines = player.baselines(start)
        assert baselines is not None
        event = Started(policy, "revision", reading(0), 1, baselines)
        self.rollout = self.applied(decide(None, event, from_unix(start)).rollout, start)

    def applied(self, rollout: Rollout, now: int) -> Rollout:
        """Return the rollout once its pending weight was read back in the same tick."""
        self.path.append((rollout.step, now))
        observation = Observation(reading(rollout.weight))
        return decide(rollout, Observed(observation), from_unix(now)).rollout

    def series(self, now: int) -> dict[str, Series]:
        """Return what has settled at `now`: of each step, what its weight made of the history."""
        settled = now - int(self.player.policy.evaluation_delay.total_seconds())
        ends = [since for _, since in self.path[1:]] + [now]
        points: dict[str, dict[int, float]] = {}
        for (step, since), end in zip(self.path, ends, strict=True):
            for key, series in self.player.stages[step].series.items():
                length = int(key.rpartition("@")[2])
                points.setdefault(key, {}).update(
                    (at, value)
                    for at, value in series.points.items()
                    if since <= at < end and at + length <= settled
                )
        return {key: Series(point) for key, point in points.items()}

    def run(self) -> Ended:
        """Return how it ends."""
        now = self.start
        while now < self.player.history.end:
            now += int(self.player.setup.every.total_seconds())
            live, weight = self.rollout.live, self.rollout.weight
            assert live is not None
            observation = Observation(reading(weight), self.series(now))
            decision = decide(self.rollout, Observed(observation), from_unix(now))
            after = self.rollout = decision.rollout
            if after.phase is not Phase.PROGRESSING:
                return self.ending(after, now, weight)
            if isinstance(decision.move, SetWeight):
                self.rollout = self.applied(after, now)
        raise AssertionError("the history ends before")

    def ending(
        self, after: Rollout, now: int, weight: int
    ) -> tuple[str, int, int, tuple[str, ...]]:
        names = {Phase.PAUSED: "held", Phase.ROLLING_BACK: "rolled_back"}
        found = after.evidence.findings
        causes = [one.criterion for one in found if one.fails]
        if after.phase is Phase.PAUSED:
            causes = [one.criterion for one in found if one.blocks_advance]
        return names.get(after.phase, "promoted"), now, weight, tuple(causes)


class Case(NamedTuple):
    """A history, a policy, and how its starts end at least once."""

    ending: str
    cause: str = ""
    parts: Mapping[str, Any] = MappingProxyType({})
    fault: str = ""
    requests: float = 1_000
    every: timedelta = EVERY
    change: Change = lambda *_: None


def silent(number: int, row: dict[str, float]) -> None:
    if number % 4:
        row["requests"] = row["errors"] = 0


def slow_quarter(number: int, row: dict[str, float]) -> None:
    row["latency"] = 950 if 60 <= number < 75 else row["latency"]


def burst(number: int, row: dict[str, float]) -> None:
    row["errors"] = row["requests"] // 20 if number % 5 == 0 else 0


CASES = {
    "healthy": Case("promoted"),
    "errors from the last step on": Case("rolled_back", "works", fault="errors=5%@100"),
    "latency from the first step on": Case("rolled_back", "fast", fault="latency=+80%@10"),
    "hangs": Case("rolled_back", "fast", fault="hang=3%:10s@100"),
    "literal windows": Case(
        "rolled_back",
        "literal",
        parts={"criteria": {name: SHOP["criteria"][name] for name in ("works", "literal")}},
        change=slow_quarter,
    ),
    "ticks every quarter of an hour": Case(
        "rolled_back", "works", fault="errors=5%@100", every=timedelta(minutes=15)
    ),
    "too little traffic": Case("held", "works", parts={"max_wait": "0s"}, requests=8),
    "too little traffic, which is waited for": Case(
        "held", "works", parts={"max_wait": "20m"}, requests=8
    ),
    "gaps, and a longer wait before judging": Case(
        "promoted", parts={"evaluation_delay": "7m", "warmup": "10m"}, change=silent
    ),
    "bursts that only the newest bake-length holds a step for": Case(
        "promoted",
        parts={
            "criteria": {"works": SHOP["criteria"]["works"]},
            "steps": [{"weight": 10, "bake": "15m"}, {"weight": 100, "bake": "15m"}],
            "max_hold": "2h",
        },
        change=burst,
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_a_start_ends_as_it_would_by_decide(name: str, tmp_path: Path) -> None:
    case = CASES[name]
    rows: list[Row] = rows_of(140, requests=case.requests, change=case.change)
    subject = subject_of(shop(**case.parts), tmp_path, rows)
    fault = parse_fault(case.fault, subject.policy) if case.fault else None
    setup = BacktestSetup(subject, case.every, fault)
    player = BacktestPlayer(setup)
    ended = []
    for start in possible_starts(setup, EVERY)[40::9]:
        run = player.play(start)
        if isinstance(run, Run):
            real = Real(player, start).run()
            assert (run.ending, run.end, run.weight, run.causes) == real
            ended.append(run)
    assert case.ending in [one.ending for one in ended]
    assert not case.cause or case.cause in [cause for one in ended for cause in one.causes]


POLICIES = {
    "evidence that adds up": {},
    "window by window": CASES["literal windows"].parts,
    "short bakes": CASES["bursts that only the newest bake-length holds a step for"].parts,
}


def trouble(seed: int) -> Change:
    """Return a change that adds noise, and a spell of errors, slowness, silence or bursts."""
    random = Random(seed)
    kind = random.choice(["calm", "errors", "slow", "silent", "bursts"])
    begin, length = random.randrange(40, 110), random.randrange(2, 40)

    def change(number: int, row: dict[str, float]) -> None:
        row["latency"] *= random.uniform(0.95, 1.05)
        row["requests"] = round(row["requests"] * random.uniform(0.7, 1.3))
        inside = begin <= number < begin + length
        if (kind == "errors" and inside) or (kind == "bursts" and random.random() < 0.1):
            row["errors"] = round(row["requests"] * random.uniform(0, 0.05))
        elif kind == "slow" and inside:
            row["latency"] *= random.uniform(1.1, 2)
        elif kind == "silent" and inside:
            row["requests"] = row["errors"] = 0

    return change


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize(
    ("seeds", "apart"), [(2, 9), pytest.param(22, 3, marks=pytest.mark.deep)], ids=["few", "many"]
)
def test_starts_on_random_histories_end_as_they_would_by_decide(
    policy: str, seeds: int, apart: int, tmp_path: Path
) -> None:
    played = 0
    for seed in range(seeds):
        rows = rows_of(140, requests=1_000, change=trouble(seed))
        (tmp_path / str(seed)).mkdir()
        setup = BacktestSetup(
            subject_of(shop(**POLICIES[policy]), tmp_path / str(seed), rows), EVERY
        )
        player = BacktestPlayer(setup)
        for start in possible_starts(setup, EVERY)[::apart]:
            run = player.play(start)
            if isinstance(run, Run):
                ended = run.ending, run.end, run.weight, run.causes
                assert ended == Real(player, start).run(), (seed, start)
                played += 1
    assert played >= 10


def test_a_baseline_of_a_whole_day_is_read_beside_the_day_of_the_stable_path(
    tmp_path: Path,
) -> None:
    metrics, criteria = deepcopy(SHOP["metrics"]), deepcopy(SHOP["criteria"])
    metrics["stable"] = {**metrics["latency"], "name": "StableLatency"}
    criteria["fast"]["baseline"] = {"frozen": "stable", "window": "24h"}

    def with_stable(number: int, row: dict[str, float]) -> None:
        for column in ("latency", "latency.p50", "latency.p99"):
            row[column] *= 2 if number > 300 else 1  # both paths: no regression of the canary
            row[column.replace("latency", "stable")] = row[column]

    rows = rows_of(330, change=with_stable)
    policy = shop(metrics=metrics, criteria=criteria)
    player = BacktestPlayer(BacktestSetup(subject_of(policy, tmp_path, rows), EVERY))
    start = player.history.begin + 290 * 300
    run = player.play(start)
    assert isinstance(run, Run)
    assert (run.ending, run.end, run.weight, run.causes) == Real(player, start).run()


def test_no_start_waits_for_an_exposure_budget(tmp_path: Path) -> None:
    subject = subject_of(shop(max_bad_requests=1), tmp_path, rows_of(140))
    assert "nothing waits for max_bad_requests" in subject.notes
    setup = BacktestSetup(subject, EVERY)
    run = BacktestPlayer(setup).play(possible_starts(setup, EVERY)[40])
    assert isinstance(run, Run)
    assert run.ending == "promoted"


def test_windows_without_data_are_counted_though_they_are_not_read(tmp_path: Path) -> None:
    rows = [row for number, row in enumerate(rows_of(40)) if number % 7 not in (2, 3)]
    subject = subject_of(shop(), tmp_path, rows)
    stage = BacktestPlayer(BacktestSetup(subject, EVERY)).stages[1]
    for name, criterion in stage.criteria({}).items():
        period_s = criterion.judge.period_s
        begin = subject.history.begin // period_s * period_s
        for end in range(begin + period_s, subject.history.end, 7 * period_s):
            starts = range(begin, end, period_s)
            whole = criterion.judge.fold(Tally(), criterion.windows.measure, starts)
            assert criterion.judge.fold(Tally(), criterion.windows, starts) == whole, name
