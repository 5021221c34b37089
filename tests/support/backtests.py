"""A small shop for backtests: its policy, and days of its metrics as a CSV file."""

from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from pathlib import Path
from random import Random
from typing import Any, Final, TypeAlias

from controller.tools.backtest.csv_file import read_csv
from controller.tools.backtest.prepare import BacktestInput, prepare
from tests.support.core import Policy

BEGIN: Final = 1_790_000_100  # a Monday in September 2026, at a multiple of five minutes
PERIOD_S: Final = 300
SHOP: Final[dict[str, Any]] = {
    "version": 1,
    "name": "shop",
    "target": {"kind": "lambda-env", "function": "shop", "percentage": "PERCENT"},
    "metrics": {
        "requests": {"namespace": "Shop", "name": "Requests", "statistic": "Sum"},
        "errors": {"namespace": "Shop", "name": "Errors", "statistic": "Sum"},
        "latency": {"namespace": "Shop", "name": "Latency", "statistic": "p95", "unit": "ms"},
    },
    "criteria": {
        "works": {
            "kind": "success_rate", "total": "requests", "failures": ["errors"], "min": "99%",
        },
        "fast": {
            "kind": "latency_increase", "metric": "latency", "max_increase": "5%",
            "baseline": {"frozen": "latency", "window": "3h"},
        },
        "few": {"kind": "threshold", "metric": "errors", "max": 40, "window": "5m"},
        "literal": {
            "kind": "threshold", "judge": "threshold", "metric": "latency", "max": 900,
            "window": "15m", "failure_limit": 2,
        },
        "traffic": {"kind": "traffic", "metric": "requests"},
    },
    "steps": [{"weight": 10, "bake": "1h"}, {"weight": 100, "bake": "1h"}],
}  # fmt: skip

Row: TypeAlias = Mapping[str, float]
Change: TypeAlias = Callable[[int, dict[str, float]], None]
"""What to do to the row of each number."""


def shop(**parts: Any) -> Policy:
    """Return the policy of the shop, with whole `parts` of it replaced."""
    return Policy.model_validate({**deepcopy(SHOP), **parts})


def rows_of(
    periods: int, *, requests: float = 1_000, change: Change = lambda *_: None
) -> list[Row]:
    """Return healthy periods of five minutes, once each was given to `change`."""
    draw = Random(7)
    rows: list[Row] = []
    for number in range(periods):
        count = max(1, round(draw.gauss(requests, requests**0.5)))
        level = draw.gauss(1, 0.01)
        row = {
            "timestamp": BEGIN + number * PERIOD_S,
            "requests": count,
            "errors": sum(draw.random() < 0.001 for _ in range(count)),
            "latency": 300 * level,
            "latency.p50": 80 * level,
            "latency.p99": 600 * level,
        }
        change(number, row)
        rows.append(row)
    return rows


def write_rows(file: Path, rows: Sequence[Row]) -> Path:
    """Write `rows` as a CSV file, and return its path."""
    names = list(rows[0])
    lines = [",".join(names), *(",".join(str(row[name]) for name in names) for row in rows)]
    file.write_text("\n".join(lines) + "\n")
    return file


def subject_of(policy: Policy, folder: Path, rows: Sequence[Row]) -> BacktestInput:
    """Return `policy` and these rows, made to fit each other."""
    return prepare(policy, read_csv(write_rows(folder / "shop.csv", rows), policy))
