"""How long a whole rehearsal takes, and what it asks of AWS.

    python benchmarks/rehearsal.py [--runs 5] [--json]

Runs two shipped policies through their 26 hours, with the result of one tick a minute, as whole
processes, by turns with a floor: a process that only imports what every tick imports (boto3,
pydantic, structlog). One is judged window by window, the other by evidence that adds up. The ratio
is taken pair by pair, so it holds when the machine's speed drifts. Ends with 1 when a median
rehearsal takes longer than its budget.
"""

import argparse
import json
import statistics
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

from controller.policy_file.loader import load
from controller.process import logging
from controller.tools.rehearse.rehearsal import rehearsal, rehearse

ROOT = Path(__file__).resolve().parents[1]
# The time that each rehearsal may take, in seconds.
BUDGETS_S = {"gateway-metrics-only": 2.0, "execution-api": 3.0}
_FLOOR = "import boto3, pydantic, structlog, tenacity, click"


def main() -> int:
    """Print the figures; return 1 when the budget is exceeded."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    logging.disable()
    by_policy = {name: _figures(name, options.runs) for name in BUDGETS_S}
    if options.json:
        print(json.dumps(by_policy, indent=2))
    else:
        for name, figures in by_policy.items():
            print(name)
            print("\n".join(f"  {key:26} {value}" for key, value in figures.items()))
    return 0 if all(one["rehearsal_s"] <= one["budget_s"] for one in by_policy.values()) else 1


def _figures(name: str, runs: int) -> dict[str, Any]:
    policy = ROOT / "policies" / f"{name}.yaml"
    arguments = ("-m", "controller", "rehearse", str(policy), "--scenario", "healthy", "--json")
    pairs = [(_timed(*arguments), _timed("-c", _FLOOR)) for _ in range(runs)]
    return {
        "rehearsal_s": round(statistics.median(rehearsal_s for rehearsal_s, _ in pairs), 2),
        "floor_s": round(statistics.median(floor for _, floor in pairs), 2),
        "ratio": round(statistics.median(rehearsal_s / floor for rehearsal_s, floor in pairs), 2),
        "budget_s": BUDGETS_S[name],
        **_counts(policy),
    }


def _timed(*arguments: str) -> float:
    begin = time.perf_counter()
    subprocess.run([sys.executable, *arguments], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - begin


def _counts(policy: Path) -> dict[str, object]:
    """Return the number of ticks of a whole rehearsal, and its AWS calls."""
    with rehearsal(load(policy), "healthy", 1) as stage:
        outcome = rehearse(
            stage.runner,
            stage.world,
            stage.policy,
            every=timedelta(minutes=1),
            on_tick=lambda _: None,
        )
    return {"ticks": outcome.ticks, "all_calls": dict(outcome.calls)}


if __name__ == "__main__":
    sys.exit(main())
