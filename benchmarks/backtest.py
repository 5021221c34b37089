"""How long a backtest of a month takes, and how much memory.

    python benchmarks/backtest.py [--days 30] [--json]

Plays every start of a history of five-minute periods under a policy with five criteria, as one
command with a process for each processor, and compares that with a floor: a loop that adds up the
same number of floats as periods are judged. The ratio holds when the machine's speed drifts. Ends
with 1 when the command takes more processor time or memory than its budget.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from random import Random
from typing import Any, Final

PERIOD_S: Final = 300
BEGIN: Final = 1_790_000_100
# On two processors of their own: a minute, and 300 MiB for each process.
BUDGET_CPU_S: Final = 120.0
BUDGET_MIB: Final = 300.0
POLICY: Final[dict[str, Any]] = {
    "version": 1,
    "name": "shop",
    "target": {"kind": "lambda-env", "function": "shop", "percentage": "PERCENT"},
    "metrics": {
        "requests": {"namespace": "Shop", "name": "Requests", "statistic": "Sum"},
        "errors": {"namespace": "Shop", "name": "Errors", "statistic": "Sum"},
        "rejected": {"namespace": "Shop", "name": "Rejected", "statistic": "Sum"},
        "latency": {"namespace": "Shop", "name": "Latency", "statistic": "p95", "unit": "ms"},
    },
    "criteria": {
        "SC-003": {
            "kind": "latency_increase", "metric": "latency", "max_increase": "5%",
            "baseline": {"frozen": "latency", "window": "24h"},
        },
        "SC-004": {
            "kind": "success_rate", "total": "requests", "failures": ["errors"], "min": "99.9%",
        },
        "rejections": {"kind": "threshold", "metric": "rejected", "per": "requests", "max": "2%"},
        "p95": {"kind": "threshold", "metric": "latency", "max": 500},
        "traffic": {"kind": "traffic", "metric": "requests", "window": "5m"},
    },
    "steps": [
        {"weight": 10, "bake": "1h"}, {"weight": 50, "bake": "1h"}, {"weight": 100, "bake": "6h"},
    ],
}  # fmt: skip


def main() -> int:
    """Print the figures; return 1 when the budget is exceeded."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--days", type=int, default=30)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    figures = _figures(options.days)
    if options.json:
        print(json.dumps(figures, indent=2))
    else:
        print("\n".join(f"{key:22} {value}" for key, value in figures.items()))
    within = figures["cpu_s"] <= BUDGET_CPU_S and figures["largest_process_mib"] <= BUDGET_MIB
    return 0 if within else 1


def _figures(days: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        policy, history = Path(folder) / "shop.yaml", Path(folder) / "shop.csv"
        policy.write_text(json.dumps(POLICY))
        history.write_text(_history(days * 86_400 // PERIOD_S))
        command = ("backtest", str(policy), "--csv", str(history), "--json")
        began = time.monotonic()
        printed = subprocess.run(
            [sys.executable, "-m", "controller", *command], check=True, capture_output=True
        ).stdout
        elapsed = time.monotonic() - began
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    data = json.loads(printed)
    periods = data["runs"] * 99  # eight hours and a wait of five minutes after each bake
    floor = _floor(periods)
    return {
        "starts": data["runs"],
        "promoted": data["promoted"],
        "elapsed_s": round(elapsed, 1),
        "cpu_s": round(used.ru_utime + used.ru_stime, 1),
        "largest_process_mib": round(used.ru_maxrss / 1_024, 1),
        "cpu_us_per_period": round(1e6 * (used.ru_utime + used.ru_stime) / periods, 1),
        "ratio_to_floor": round((used.ru_utime + used.ru_stime) / floor, 1),
    }


def _floor(periods: int) -> float:
    """Return the processor time of a loop over that many periods, a hundred additions in each."""
    began = time.process_time()
    total = 0.0
    for _ in range(periods):
        for number in range(100):
            total += number
    return time.process_time() - began


def _history(periods: int) -> str:
    draw = Random(3)
    lines = ["timestamp,requests,errors,rejected,latency,latency.p50,latency.p90,latency.p99"]
    for number in range(periods):
        count = max(1, round(draw.gauss(3_000, 55)))
        level = draw.gauss(1, 0.01)
        errors = sum(draw.random() < 0.0002 * 30 for _ in range(count // 30))
        values = (count, errors, count // 200, 300 * level, 80 * level, 220 * level, 600 * level)
        lines.append(",".join(map(str, (BEGIN + number * PERIOD_S, *values))))
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
