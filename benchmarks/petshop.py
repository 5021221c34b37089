"""What the judge does on a real shop: CloudWatch metrics of PetShop, healthy and with faults.

    python benchmarks/petshop.py --data FOLDER [--starts 1h] [--json]

FOLDER has petshop_healthy_low.csv and petshop_faults_config.csv (amazon-science, CC-BY-4.0: 49
hours without a fault, and faults by a change of configuration, in periods of five minutes). Every
start of each node is played with `rolloutctl backtest`: 10 % and 50 % for an hour, 100 % for six,
by the default judge and by the literal one. Then each fault that at least doubles the p95, or lets
over 2 % fail, is put onto healthy starts, at 50 and at 100 %. A fault was injected for two or three
periods; as a bad release would, it goes on here, its periods in turn. Without the folder nothing is
measured. Ends with 1 when a bar is not met.
"""

import argparse
import csv
import json
import sys
from collections.abc import Iterator, Mapping
from datetime import timedelta
from math import inf
from pathlib import Path
from statistics import mean, median
from typing import Any, Final, NamedTuple

from controller.core.judge.series import SAMPLE_COUNT
from controller.core.policy import Policy
from controller.core.units import parse_duration
from controller.operations.backtest.history import ColumnKey, History
from controller.operations.backtest.outcome import Ending, Outcome, Run
from controller.operations.backtest.play import Player, Setup, possible_starts
from controller.operations.backtest.prepare import prepare
from controller.operations.backtest.run import run_backtest

PERIOD: Final = timedelta(minutes=5)
PERIOD_S: Final = 300
# Each node keeps this objective; the front end fails 0.4 % of its requests without any fault.
OBJECTIVES: Final = {"PetSite": "99%"}
DEFAULT_OBJECTIVE: Final = "99.9%"
# What has to be: whole climbs of healthy starts, and faults found in three periods.
PROMOTED_BAR, FOUND_BAR = 0.85, 0.9
_FAULT_PERIODS: Final = 3
_LASTS: Final = 24
_COLUMNS: Final[Mapping[str, ColumnKey]] = {
    "requests": ("requests", "Sum"),
    "lat_p50_ms": ("latency", "p50"),
    "lat_p90_ms": ("latency", "p90"),
    "lat_p95_ms": ("latency", "p95"),
    "lat_p99_ms": ("latency", "p99"),
}

Row = dict[ColumnKey, float]


class Fault(NamedTuple):
    """One fault on one node: its periods. increase, failing: p95 beside healthy, failure share."""

    node: str
    rows: list[Row]
    increase: float
    failing: float


def main() -> int:
    """Print the figures; return 1 when a bar is not met."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--starts", default="5m")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    if not (options.data / "petshop_healthy_low.csv").exists():
        print(f"skipped: {options.data} has no petshop_healthy_low.csv")
        return 0
    figures = _figures(options.data, parse_duration(options.starts))
    print(json.dumps(figures, indent=2))
    promoted = figures["default judge"]["promoted"] / figures["default judge"]["runs"]
    met = figures["default judge"]["rolled_back"] == 0 and promoted >= PROMOTED_BAR
    found = [one["found"] / one["spliced"] for one in figures["faults"].values()]
    return 0 if met and min(found, default=0.0) >= FOUND_BAR else 1


def _figures(data: Path, apart: timedelta) -> dict[str, Any]:
    nodes = dict(_healthy(data))
    figures: dict[str, Any] = {}
    for name, literal in (("default judge", False), ("literal judge", True)):
        outcomes = [
            run_backtest(_setup(node, history, literal=literal), apart, lambda *_: None)
            for node, history in nodes.items()
        ]
        figures[name] = _sums(outcomes)
    faults = [one for one in _faults(data, nodes) if one.increase >= 2 or one.failing > 0.02]
    figures["faults"] = {f"at {weight} %": _spliced(faults, nodes, weight) for weight in (50, 100)}
    return figures


def _sums(outcomes: list[Outcome]) -> dict[str, int]:
    endings: tuple[Ending, ...] = ("promoted", "held", "rolled_back")
    sums = {str(ending): sum(one.count(ending) for one in outcomes) for ending in endings}
    return {"runs": sum(len(one.runs) for one in outcomes), **sums}


def _setup(node: str, history: History, *, literal: bool = False) -> Setup:
    judge = {"judge": "threshold"} if literal else {}
    metrics = {
        "requests": {"namespace": "shop", "name": "Requests", "statistic": "Sum"},
        "failures": {"namespace": "shop", "name": "Failures", "statistic": "Sum"},
        "latency": {"namespace": "shop", "name": "Latency", "statistic": "p95", "unit": "ms"},
    }
    criteria = {
        "SC-003": {
            "kind": "latency_increase", "metric": "latency", "max_increase": "5%",
            "baseline": {"frozen": "latency", "window": "12h"}, **judge,
        },
        "SC-004": {
            "kind": "success_rate", "total": "requests", "failures": ["failures"],
            "min": OBJECTIVES.get(node, DEFAULT_OBJECTIVE), **judge,
            **({"window": "5m"} if literal else {}),
        },
    }  # fmt: skip
    steps = [{"weight": one, "bake": bake} for one, bake in ((10, "1h"), (50, "1h"), (100, "6h"))]
    policy = Policy.model_validate(
        {
            "version": 1,
            "name": "shop",
            "target": {"kind": "lambda-env", "function": "shop", "percentage": "PERCENT"},
            "metrics": metrics,
            "criteria": criteria,
            "steps": steps,
        }
    )
    return Setup(prepare(policy, history), PERIOD)


# --- Rows -----------------------------------------------------------------------------------------


def _healthy(data: Path) -> Iterator[tuple[str, History]]:
    rows: dict[str, dict[int, Row]] = {}
    for line in _lines(data / "petshop_healthy_low.csv"):
        at = int(line["ts"]) // PERIOD_S * PERIOD_S
        rows.setdefault(line["node"], {})[at] = _row(line)
    for node, by_time in rows.items():
        yield node, _history(by_time)


def _history(rows: Mapping[int, Row]) -> History:
    columns: dict[ColumnKey, dict[int, float]] = {}
    for at, row in sorted(rows.items()):
        for key, value in row.items():
            columns.setdefault(key, {})[at] = value
    return History(PERIOD_S, columns)


def _lines(file: Path) -> Iterator[dict[str, str]]:
    with file.open(newline="") as opened:
        yield from csv.DictReader(opened)


def _row(line: Mapping[str, str]) -> Row:
    row = {key: float(line[name]) for name, key in _COLUMNS.items() if line[name]}
    requests = row.get(("requests", "Sum"), 0.0)
    failing = 1 - float(line["availability_pct"] or 100) / 100
    row["failures", "Sum"] = float(round(requests * failing))
    row["latency", SAMPLE_COUNT] = requests
    return row


# --- Faults ---------------------------------------------------------------------------------------


def _faults(data: Path, nodes: Mapping[str, History]) -> Iterator[Fault]:
    after: dict[tuple[str, str], list[Row]] = {}
    for line in _lines(data / "petshop_faults_config.csv"):
        if line["phase"] == "after" and line["node"] in nodes:
            after.setdefault((line["case_id"], line["node"]), []).append(_row(line))
    for (_, node), rows in after.items():
        usual = mean(nodes[node].columns["latency", "p95"].values())
        rows = rows[: _FAULT_PERIODS - 1]  # in the third it is taken back
        p95 = mean(row.get(("latency", "p95"), 0.0) for row in rows)
        requests = sum(row.get(("requests", "Sum"), 0.0) for row in rows)
        failed = sum(row["failures", "Sum"] for row in rows)
        if requests:
            yield Fault(node, rows, p95 / usual, failed / requests)


def _spliced(faults: list[Fault], nodes: Mapping[str, History], weight: int) -> dict[str, Any]:
    """Return how many faults were put onto a healthy start, and how many were found how soon."""
    periods: list[float] = []
    for fault in faults:
        setup = _setup(fault.node, nodes[fault.node])
        player = Player(setup)
        starts = possible_starts(setup, PERIOD)
        for start in starts[len(starts) // 3 :: max(1, len(starts) // 6)]:
            step_at = _reached(player, start, weight)
            if step_at is None:
                continue
            run = Player(_setup(fault.node, _with_fault(setup, fault, step_at))).play(start)
            found = isinstance(run, Run) and run.ending == "rolled_back"
            # A tick sees a period when the next one is over.
            periods.append((run.end - step_at) / PERIOD_S - 1 if found else inf)  # type: ignore[union-attr]
    return {
        "spliced": len(periods),
        "found": sum(one <= _FAULT_PERIODS for one in periods),
        "median_periods": median(periods),
        "found in two hours": sum(one <= _LASTS for one in periods),
    }


def _reached(player: Player, start: int, weight: int) -> int | None:
    """Return when a healthy rollout from `start` reaches `weight`; None where it does not."""
    run = player.play(start)
    if not isinstance(run, Run) or run.ending != "promoted":
        return None
    weights = [step.weight for step in player.policy.steps]
    return run.applied[weights.index(weight)]


def _with_fault(setup: Setup, fault: Fault, begin: int) -> History:
    columns = {key: dict(points) for key, points in setup.subject.history.columns.items()}
    for number in range(_LASTS):
        for key, value in fault.rows[number % len(fault.rows)].items():
            columns[key][begin + number * PERIOD_S] = value
    return History(PERIOD_S, columns)


if __name__ == "__main__":
    sys.exit(main())
