"""What the judge does on metrics of real shops: PetShop on AWS, and the two shops of Nezha.

    python benchmarks/real_series.py --data FOLDER [--set petshop nezha same]

FOLDER has petshop_healthy_low.csv and petshop_faults_config.csv (amazon-science, CC-BY-4.0: 49
hours without a fault, and faults by a change of configuration, in periods of five minutes), and
nezha_frontend_1min.csv (IntelligentDDS/Nezha, MIT: quiet hours of the front ends of OnlineBoutique
and TrainTicket on two days each, and faults, by the minute). Healthy starts of each node are played
with `rolloutctl backtest`, by the default judge and by the literal one. Then each fault that at
least doubles the p95, or lets over 2% fail, is put onto healthy starts, where the step of 50 or of
100% begins. A fault was injected for a few periods; as a bad release would, it goes on here, its
periods in turn.

PetShop is read in two ways: as it is, one datapoint in five minutes; and by the minute, as a
rollout reads most metrics, with the requests of a period drawn into its minutes, which all have its
percentiles. What is found later than asked is listed by its cause. Nezha is also read with ten
times the requests.

nezha_trainticket_requests.csv has single requests of TrainTicket. `--set same` draws both paths of
a rollout from those of the same hour: nothing differs, so no rollout may be rolled back. Without a
file its set is not measured. Ends with 1 when a bar is not met.
"""

import argparse
import csv
import sys
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import timedelta
from functools import cache
from math import inf
from pathlib import Path
from random import Random
from statistics import mean, median
from typing import Final, NamedTuple

from controller.core.judge.series import SAMPLE_COUNT
from controller.core.policy import Policy
from controller.core.units import MINUTE_S, parse_duration
from controller.immutable import Immutable, replace
from controller.tools.backtest.outcome import Ending, Outcome, Run
from controller.tools.backtest.past_metrics import ColumnKey, PastMetrics
from controller.tools.backtest.play import BacktestPlayer, BacktestSetup, possible_starts
from controller.tools.backtest.prepare import prepare
from controller.tools.backtest.run import run_backtest
from controller.tools.simulation.histogram import binomial, poisson

# Each node keeps this objective; the front end fails 0.4% of its requests without any fault.
OBJECTIVES: Final = {"PetSite": "99%"}
DEFAULT_OBJECTIVE: Final = "99.9%"
FOUND_IN_MINUTES: Final = 15
WEIGHTS: Final = (50, 100)
# What moves the traffic of a node: only on Lambda a raise starts new environments.
_LAMBDA: Final = {"kind": "lambda-env", "function": "shop", "percentage": "PERCENT"}
_ARN: Final = "arn:aws:elasticloadbalancing:us-east-1:123456789012"
_LOAD_BALANCER: Final = {
    "kind": "alb-weights",
    "rule": f"{_ARN}:listener-rule/app/shop/1/1/1",
    "stable": f"{_ARN}:targetgroup/stable/1",
    "canary": f"{_ARN}:targetgroup/canary/1",
}
# A fault has its onset in its first period, and is taken back in the last one.
_FAULT_PERIODS: Final = 2
_LASTS_S: Final = 7_200
# With so many times the requests a miss that is due to few of them is none.
_MORE_REQUESTS: Final = 10
_COLUMNS: Final[Mapping[str, ColumnKey]] = {
    "requests": ("requests", "Sum"),
    "lat_p50_ms": ("latency", "p50"),
    "lat_p90_ms": ("latency", "p90"),
    "lat_p95_ms": ("latency", "p95"),
    "lat_p99_ms": ("latency", "p99"),
}

_ENDINGS: Final[tuple[Ending, ...]] = ("promoted", "held", "rolled_back")

Row = dict[ColumnKey, float]


class Reading(Immutable):
    """A way to read the metrics. starts: time between healthy starts. window: of the baseline."""

    name: str
    read: Callable[[PastMetrics], PastMetrics]
    starts: timedelta
    bakes: tuple[str, str, str] = ("1h", "1h", "6h")
    window: str = "12h"


class Fault(NamedTuple):
    """One fault on one node: its periods. increase, failing: p95 beside healthy, failure share."""

    node: str
    rows: Sequence[Row]
    increase: float
    failing: float
    period_s: int
    name: str = ""

    @property
    def is_slow(self) -> bool:
        """True for a fault of the latency; False for one of failures alone."""
        return self.increase >= 2

    @property
    def is_visible(self) -> bool:
        """True for a fault that a judge is asked to find."""
        return self.is_slow or self.failing > 0.02

    @property
    def requests_a_minute(self) -> float:
        """The requests of the node during the fault."""
        return mean(row["requests", "Sum"] for row in self.rows) * MINUTE_S / self.period_s


class Splice(NamedTuple):
    """A fault on a healthy start. minutes: of data until it was found; inf: never.

    held: it was not found, but its step was held until an operator had to decide.
    """

    fault: Fault
    start: int
    weight: int
    minutes: float
    held: bool

    @property
    def in_time(self) -> bool:
        """True when it was found soon enough."""
        return self.minutes <= FOUND_IN_MINUTES


class RealSet(Immutable):
    """One set of real series: its nodes, its faults, and what has to be.

    promoted: the share of healthy starts. found: the share of faults, within so many minutes.
    explained: whether what was found later is listed by its cause, by the second reading.
    """

    nodes: Mapping[str, PastMetrics]
    faults: Sequence[Fault]
    readings: Sequence[Reading]
    promoted: float
    found: tuple[float, float]
    explained: bool = False


def main() -> int:
    """Print the figures; return 1 when a bar is not met."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--set", nargs="+", choices=(*_SETS, "same"), default=[*_SETS, "same"])
    parser.add_argument("--starts", default="5m")
    parser.add_argument("--minute-starts", default="30m")
    options = parser.parse_args()
    met = True
    for name in options.set:
        if name == "same":
            met &= _print_same(options.data / "nezha_trainticket_requests.csv")
            continue
        file, read = _SETS[name]
        if not (options.data / file).exists():
            print(f"skipped: {options.data} has no {file}")
            continue
        starts = parse_duration(options.starts), parse_duration(options.minute_starts)
        for title, one in read(options.data, *starts):
            print(f"\n{title}\n")
            met &= _measured(one)
    return 0 if met else 1


def _measured(one: RealSet) -> bool:
    """Print the figures of one set; tell whether its bars are met."""
    met = _print_healthy(one)
    visible = [fault for fault in one.faults if fault.is_visible]
    splices = {
        reading.name: list(_splices(visible, one.nodes, reading)) for reading in one.readings
    }
    met &= _print_faults(splices, *one.found)
    hidden = sorted(fault.name for fault in one.faults if not fault.is_visible and fault.name)
    if hidden:
        print(f"\nNot visible: {len(hidden)} of {len(one.faults)}: {', '.join(hidden)}")
    if one.explained:
        coarse, fine = splices.values()
        _print_misses(coarse, fine, one.nodes, one.readings[0])
    return met


# --- Healthy starts -------------------------------------------------------------------------------


def _print_healthy(measured: RealSet) -> bool:
    print("| metrics | judge | starts | promoted | held | rolled back | and kept the objective |")
    print("|---|---|---|---|---|---|---|")
    met = True
    for reading in measured.readings:
        for literal in (False, True):
            runs: list[Run] = []
            wrong = 0
            for node, history in measured.nodes.items():
                setup = _setup(node, reading, reading.read(history), literal=literal)
                own = run_backtest(setup, reading.starts, lambda *_: None).runs
                back = [one for one in own if one.ending == "rolled_back"]
                wrong += sum(_keeps_objective(node, history, one.start) for one in back)
                runs += own
            all_of = Outcome(runs)
            counts = [all_of.count(one) for one in _ENDINGS]
            judge = "literal" if literal else "default"
            cells = (reading.name, judge, len(runs), *counts, wrong)
            print(f"| {' | '.join(map(str, cells))} |")
            if not literal:
                met &= not wrong and counts[0] >= measured.promoted * len(runs)
    return met


def _keeps_objective(node: str, history: PastMetrics, start: int) -> bool:
    """Tell whether few enough requests failed in the eight hours from `start` on."""
    period = history.period_s
    times = range(start // period * period, start + 8 * 3_600, period)
    failed, requests = (
        sum(history.columns.get((name, "Sum"), {}).get(at, 0.0) for at in times)
        for name in ("failures", "requests")
    )
    objective = float(OBJECTIVES.get(node, DEFAULT_OBJECTIVE).rstrip("%")) / 100
    return failed <= (1 - objective) * requests


def _setup(
    node: str, reading: Reading, history: PastMetrics, *, literal: bool = False
) -> BacktestSetup:
    judge = {"judge": "threshold"} if literal else {}
    metrics = {
        "requests": {"namespace": "shop", "name": "Requests", "statistic": "Sum"},
        "failures": {"namespace": "shop", "name": "Failures", "statistic": "Sum"},
        "latency": {"namespace": "shop", "name": "Latency", "statistic": "p95", "unit": "ms"},
    }
    criteria = {
        "SC-003": {
            "kind": "latency_increase", "metric": "latency", "max_increase": "5%",
            "baseline": {"frozen": "latency", "window": reading.window}, **judge,
        },
        "SC-004": {
            "kind": "success_rate", "total": "requests", "failures": ["failures"],
            "min": OBJECTIVES.get(node, DEFAULT_OBJECTIVE), **judge,
            **({"window": "5m"} if literal else {}),
        },
    }  # fmt: skip
    if not history.has("failures"):
        del metrics["failures"], criteria["SC-004"]
    weights = zip((10, *WEIGHTS), reading.bakes, strict=True)
    steps = [{"weight": one, "bake": bake} for one, bake in weights]
    policy = Policy.model_validate(
        {
            "version": 1,
            "name": "shop",
            "target": _LAMBDA if "lambda" in node or "apigw" in node else _LOAD_BALANCER,
            "metrics": metrics,
            "criteria": criteria,
            "steps": steps,
        }
    )
    return BacktestSetup(prepare(policy, history), timedelta(seconds=history.period_s))


# --- PetShop --------------------------------------------------------------------------------------

PETSHOP_PERIOD_S: Final = 300


def _petshop(
    data: Path, starts: timedelta, minute_starts: timedelta
) -> Iterator[tuple[str, RealSet]]:
    rows: dict[str, dict[int, Row]] = {}
    for line in _lines(data / "petshop_healthy_low.csv"):
        at = int(line["ts"]) // PETSHOP_PERIOD_S * PETSHOP_PERIOD_S
        rows.setdefault(line["node"], {})[at] = _row(line)
    nodes = {node: _history(by_time, PETSHOP_PERIOD_S) for node, by_time in rows.items()}
    after: dict[tuple[str, str], list[Row]] = {}
    for line in _lines(data / "petshop_faults_config.csv"):
        if line["phase"] == "after" and line["node"] in nodes:
            after.setdefault((line["case_id"], line["node"]), []).append(_row(line))
    faults = (_fault(node, nodes[node], rows[:_FAULT_PERIODS]) for (_, node), rows in after.items())
    readings = (
        Reading("as they are", lambda one: one, starts),
        Reading("by the minute", minutes_of, minute_starts),
    )
    found = [one for one in faults if one]
    yield "PetShop", RealSet(nodes, found, readings, 0.85, (0.9, FOUND_IN_MINUTES), explained=True)


def _history(rows: Mapping[int, Row], period_s: int) -> PastMetrics:
    columns: dict[ColumnKey, dict[int, float]] = {}
    for at, row in sorted(rows.items()):
        for key, value in row.items():
            columns.setdefault(key, {})[at] = value
    return PastMetrics(period_s, columns)


def _lines(file: Path) -> Iterator[dict[str, str]]:
    with file.open(newline="") as opened:
        yield from csv.DictReader(opened)


def _row(line: Mapping[str, str], requests: float | None = None) -> Row:
    """Return the row of `line`. requests: where it has none, and no availability is none."""
    row = {key: float(line[name]) for name, key in _COLUMNS.items() if line.get(name)}
    if requests is not None:
        row["requests", "Sum"] = float(requests)
    if requests is None or line["availability_pct"]:
        failing = 1 - float(line["availability_pct"] or 100) / 100
        row["failures", "Sum"] = float(round(row.get(("requests", "Sum"), 0.0) * failing))
    requests = row.get(("requests", "Sum"), 0.0)
    row["latency", SAMPLE_COUNT] = requests
    return row


def minutes_of(history: PastMetrics, times: int = 1) -> PastMetrics:
    """Return `history` by the minute: its requests drawn into minutes, its percentiles in each.

    times: how many times the requests and the failures are taken.
    """
    rng = Random("minutes")
    columns: dict[ColumnKey, dict[int, float]] = {key: {} for key in history.columns}
    percentiles = [key for key in history.columns if key[1].startswith("p")]
    for period, count in history.columns["requests", "Sum"].items():
        failed = history.columns["failures", "Sum"].get(period, 0.0)
        minutes = _divided(rng, round(times * count), round(times * failed))
        for at, (requests, failures) in zip(
            range(period, period + history.period_s, MINUTE_S), minutes, strict=True
        ):
            columns["requests", "Sum"][at] = requests
            columns["failures", "Sum"][at] = failures
            if requests:
                columns["latency", SAMPLE_COUNT][at] = requests
                for key in percentiles:
                    if period in history.columns[key]:
                        columns[key][at] = history.columns[key][period]
    return PastMetrics(MINUTE_S, columns)


def _divided(rng: Random, requests: int, failures: int) -> Iterator[tuple[float, float]]:
    """Yield the requests and failures of each minute of a period, by chance."""
    for left in range(PETSHOP_PERIOD_S // MINUTE_S, 0, -1):
        own = binomial(rng, requests, 1 / left)
        failed = binomial(rng, failures, own / requests) if requests else 0
        failed = min(own, max(failed, failures - (requests - own)))
        requests, failures = requests - own, failures - failed
        yield float(own), float(failed)


# --- Nezha ----------------------------------------------------------------------------------------

# Requests of a minute in the quiet hours, which the file does not have: the median of the smallest
# number of which all four percentiles of a minute are possible, interpolated in Istio's buckets.
_NEZHA_REQUESTS: Final = {"OnlineBoutique": 126, "TrainTicket": 14}
_NEZHA_FAULT_MINUTES: Final = 4


def _nezha(data: Path, starts: timedelta, _: timedelta) -> Iterator[tuple[str, RealSet]]:
    quiet: dict[str, dict[int, Row]] = {}
    injected: dict[str, list[list[Row]]] = {}
    names: dict[str, list[str]] = {}
    before = ""
    for line in _lines(data / "nezha_frontend_1min.csv"):
        node, fault = f"{line['app']} {line['date']}", line["fault"]
        row = _row(line | {"availability_pct": line["success_pct"]}, _NEZHA_REQUESTS[line["app"]])
        if line["phase"] == "healthy_tail":
            quiet.setdefault(node, {})[int(line["ts"]) // MINUTE_S * MINUTE_S] = row
        elif fault:
            if fault != before or len(injected[node][-1]) == _NEZHA_FAULT_MINUTES:
                injected.setdefault(node, []).append([])
                names.setdefault(node, []).append(fault)
            injected[node][-1].append(row)
        before = fault
    for app in _NEZHA_REQUESTS:
        nodes = {
            node: _history(rows, MINUTE_S) for node, rows in quiet.items() if node.startswith(app)
        }
        faults = (
            _fault(node, history, rows[1 : 1 + _FAULT_PERIODS], f"{name} ({node[-5:]})")
            for node, history in nodes.items()
            for name, rows in zip(names[node], injected[node], strict=True)
        )
        short = (starts, ("10m", "10m", "30m"), "3h")
        readings = (
            Reading("10m, 10m, 30m", lambda one: one, *short),
            Reading("10m, 10m, 30m, ten times the requests", _more_requests, *short),
            Reading("1h, 1h, 6h", lambda one: one, starts, window="3h"),
        )
        yield app, RealSet(nodes, [one for one in faults if one], readings, 0.85, (1.0, 120.0))


def _more_requests(history: PastMetrics) -> PastMetrics:
    columns = {
        key: {at: _MORE_REQUESTS * value for at, value in points.items()}
        if key[1] in ("Sum", SAMPLE_COUNT)
        else points
        for key, points in history.columns.items()
    }
    return PastMetrics(history.period_s, columns)


_SETS: Final = {
    "petshop": ("petshop_healthy_low.csv", _petshop),
    "nezha": ("nezha_frontend_1min.csv", _nezha),
}


# --- Faults ---------------------------------------------------------------------------------------


def _fault(node: str, healthy: PastMetrics, rows: Sequence[Row], name: str = "") -> Fault | None:
    """Return the fault of `rows`, beside the healthy hours of its node; None without a request."""
    usual = mean(healthy.columns["latency", "p95"].values())
    p95 = mean(row.get(("latency", "p95"), 0.0) for row in rows)
    requests = sum(row.get(("requests", "Sum"), 0.0) for row in rows)
    failed = sum(row.get(("failures", "Sum"), 0.0) for row in rows)
    if not requests:
        return None
    return Fault(node, rows, p95 / usual, failed / requests, healthy.period_s, name)


def _splices(
    faults: Iterable[Fault], nodes: Mapping[str, PastMetrics], reading: Reading
) -> Iterator[Splice]:
    """Yield each fault on some healthy starts of its node, at each weight."""

    @cache
    def healthy(node: str) -> BacktestPlayer:
        return BacktestPlayer(_setup(node, reading, reading.read(nodes[node])))

    for fault in faults:
        player, whole = healthy(fault.node), _setup(fault.node, reading, nodes[fault.node])
        starts = possible_starts(whole, timedelta(seconds=fault.period_s))
        for start in starts[len(starts) // 3 :: max(1, len(starts) // 6)]:
            for weight in WEIGHTS:
                found = _spliced(player, fault, start, weight, reading)
                if found is not None:
                    yield found


def _spliced(
    player: BacktestPlayer,
    fault: Fault,
    start: int,
    weight: int,
    reading: Reading,
) -> Splice | None:
    """Return when `fault` is found from `start` on; None where a healthy one is not promoted."""
    healthy = player.play(start)
    if not isinstance(healthy, Run) or healthy.ending != "promoted":
        return None
    begin = healthy.applied[[one.weight for one in player.policy.steps].index(weight)]
    times = enumerate(range(begin, begin + _LASTS_S, fault.period_s))
    rows = {at: fault.rows[number % len(fault.rows)] for number, at in times}
    spoilt = _overlaid(player.history, reading.read(_history(rows, fault.period_s)))
    setup = _setup(fault.node, reading, spoilt)
    run = BacktestPlayer(setup).play(start)
    found = isinstance(run, Run) and run.ending == "rolled_back"
    seen = setup.subject.policy.evaluation_delay.total_seconds()
    minutes = (run.end - seen - begin) / MINUTE_S if found else inf  # type: ignore[union-attr]
    held = isinstance(run, Run) and run.ending == "held"
    return Splice(fault, start, weight, minutes, held)


def _overlaid(history: PastMetrics, other: PastMetrics) -> PastMetrics:
    """Return `history` with the columns of `other` from its begin to its end."""
    columns: dict[ColumnKey, dict[int, float]] = {}
    for key, points in history.columns.items():
        columns[key] = {
            at: value for at, value in points.items() if not other.begin <= at < other.end
        }
        columns[key] |= other.columns.get(key, {})
    return PastMetrics(
        history.period_s, {key: dict(sorted(one.items())) for key, one in columns.items()}
    )


def _print_faults(splices: Mapping[str, Sequence[Splice]], share: float, within: float) -> bool:
    times = "in 15 minutes | minutes | worst | in two hours | held"
    print(f"\n| metrics | at | fault | spliced | {times} |")
    print("|---|---|---|---|---|---|---|---|---|")
    met = True
    for name, listed in splices.items():
        for weight in WEIGHTS:
            own = [one for one in listed if one.weight == weight]
            met &= sum(one.minutes <= within for one in own) >= share * len(own)
            for slow in (True, False):
                part = [one for one in own if one.fault.is_slow == slow]
                fault = "p95 doubled" if slow else "over 2% fail"
                if not part:
                    continue
                print(
                    f"| {name} | {weight}% | {fault} | {len(part)} | "
                    f"{sum(one.in_time for one in part)} | "
                    f"{median(one.minutes for one in part):.0f} | "
                    f"{max(one.minutes for one in part):.0f} | "
                    f"{sum(one.minutes < inf for one in part)} | {sum(one.held for one in part)} |"
                )
    return met


# --- Misses ---------------------------------------------------------------------------------------


def _print_misses(
    as_they_are: Sequence[Splice],
    by_minute: Sequence[Splice],
    nodes: Mapping[str, PastMetrics],
    reading: Reading,
) -> None:
    """Print what was found later than asked, by node, kind of fault and cause."""
    fine = {(id(one.fault), one.start, one.weight): one for one in by_minute}
    groups: dict[tuple[str, ...], list[Splice]] = defaultdict(list)

    more = replace(reading, read=_more_minutes)

    @cache
    def player(node: str) -> BacktestPlayer:
        return BacktestPlayer(_setup(node, more, more.read(nodes[node])))

    for one in as_they_are:
        if not one.in_time:
            twin = fine.get((id(one.fault), one.start, one.weight))
            cause = _cause(one, twin, player(one.fault.node), more)
            kind = "p95 doubled" if one.fault.is_slow else "over 2% fail"
            groups[f"{one.weight}%", one.fault.node, kind, cause].append(one)
    print("\n| at | node | fault | requests a minute | failing | missed | because |")
    print("|---|---|---|---|---|---|---|")
    for (weight, node, kind, cause), missed in sorted(groups.items()):
        share = int(weight.rstrip("%")) / 100
        rates = [share * one.fault.requests_a_minute for one in missed]
        failing = [100 * one.fault.failing for one in missed]
        print(
            f"| {weight} | {node} | {kind} | {_range(rates)} | {_range(failing)}% | "
            f"{len(missed)} | {cause} |"
        )


def _cause(
    miss: Splice, by_minute: Splice | None, player: BacktestPlayer, more_minutes: Reading
) -> str:
    """Return why a fault was found too late, by what would have found it in time.

    player: of the node with more requests, by the minute.
    """
    if by_minute is not None and by_minute.in_time:
        return "a datapoint in five minutes: in time by the minute"
    more = _spliced(player, miss.fault, miss.start, miss.weight, more_minutes)
    if more is not None and more.in_time:
        return f"few requests: in time by the minute with {_MORE_REQUESTS} times as many"
    return "neither"


def _more_minutes(history: PastMetrics) -> PastMetrics:
    return minutes_of(history, _MORE_REQUESTS)


def _range(values: Sequence[float]) -> str:
    low, high = (f"{one:.0f}" if one >= 10 else f"{one:.2g}" for one in (min(values), max(values)))
    return low if low == high else f"{low} to {high}"


# --- The same on both paths -----------------------------------------------------------------------

_RATES: Final = (60, 600)
_PERCENTILES: Final = {"p50": 0.5, "p90": 0.9, "p95": 0.95, "p99": 0.99}
# Minutes before the first start, which the baselines read, and from start to start.
_BEFORE, _APART, _ROLLOUTS = 1_500, 50, 9
_BESIDE: Final = {
    "SC-003": {"concurrent": "stable"},
    "SC-003-frozen": {"frozen": "stable", "window": "3h"},
}


def _print_same(file: Path) -> bool:
    """Print how rollouts end whose paths draw from the same hour; tell whether none is wrong."""
    if not file.exists():
        print(f"skipped: there is no {file}")
        return True
    hours: dict[tuple[str, str], list[float]] = defaultdict(list)
    for line in _lines(file):
        hours[line["date"], line["file"][:2]].append(int(line["duration_us"]) / 1_000)
    metrics = {
        path: {"namespace": "shop", "name": path, "statistic": "p95", "unit": "ms"}
        for path in ("canary", "stable")
    }
    comparison = {"kind": "latency_increase", "metric": "canary", "max_increase": "5%"}
    steps = ((10, "10m", "SC-003"), (50, "10m", "SC-003"), (100, "30m", "SC-003-frozen"))
    policy = Policy.model_validate(
        {
            "version": 1,
            "name": "same",
            "target": _LOAD_BALANCER,
            "metrics": metrics,
            "criteria": {name: {**comparison, "baseline": one} for name, one in _BESIDE.items()},
            "steps": [{"weight": one, "bake": bake, "criteria": [own]} for one, bake, own in steps],
        }
    )
    print(
        "\n| requests a minute | rollouts | promoted | held | rolled back |\n|---|---|---|---|---|"
    )
    met = True
    for rate in _RATES:
        runs = [
            run
            for hour, pool in hours.items()
            for run in _same_runs(policy, Random(f"{hour} {rate}"), pool, rate)
        ]
        counts = [Outcome(runs).count(one) for one in _ENDINGS]
        print(f"| {rate} | {len(runs)} | {' | '.join(map(str, counts))} |")
        met &= not counts[-1]
    return met


def _same_runs(policy: Policy, rng: Random, pool: Sequence[float], rate: int) -> Iterator[Run]:
    """Yield rollouts whose paths draw from `pool`; each weight has draws as large as its share."""
    players: list[BacktestPlayer] = []
    for step in policy.steps:
        canary = step.weight / 100
        columns: dict[ColumnKey, dict[int, float]] = defaultdict(dict)
        for path, share in (("canary", canary), ("stable", 1 - canary or 1.0)):
            for minute in range(_BEFORE + (_ROLLOUTS + 3) * _APART):
                count = poisson(rng, rate * share)
                drawn, at = sorted(rng.choices(pool, k=count)), minute * MINUTE_S
                if drawn:
                    columns[path, SAMPLE_COUNT][at] = count / share
                    for name, part in _PERCENTILES.items():
                        columns[path, name][at] = drawn[int(part * (count - 1))]
        subject = prepare(policy, PastMetrics(MINUTE_S, columns))
        players.append(BacktestPlayer(BacktestSetup(subject, timedelta(minutes=1))))
    player = players[-1]
    player.stages = [one.stages[step] for step, one in enumerate(players)]
    for number in range(_ROLLOUTS):
        run = player.play((_BEFORE + number * _APART) * MINUTE_S)
        if isinstance(run, Run):
            yield run


if __name__ == "__main__":
    sys.exit(main())
