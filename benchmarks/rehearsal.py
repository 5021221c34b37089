"""How long a whole rehearsal takes, and what it asks of AWS.

    python benchmarks/rehearsal.py [--runs 5] [--json]

Runs the shipped policy through its 26 hours, one tick a minute, as whole processes, in turn with a
floor: a process that only imports what every tick imports (boto3, pydantic, structlog). The ratio
is taken pair by pair, so it holds when the machine's speed drifts. Ends with 1 when the median
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

from controller import events
from controller.bootstrap import rehearsal
from controller.loader import load
from controller.rehearsal import rehearse

ROOT = Path(__file__).resolve().parents[1]
POLICY = ROOT / "policies" / "execution-api.yaml"
BUDGET_S = 3.0
_ARGUMENTS = ["rehearse", str(POLICY), "--scenario", "healthy", "--json"]
_FLOOR = "import boto3, pydantic, structlog, tenacity, click"


def main() -> int:
    """Print the figures; return 1 when the budget is exceeded."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    events.silence()
    pairs = [
        (_timed("-m", "controller", *_ARGUMENTS), _timed("-c", _FLOOR)) for _ in range(options.runs)
    ]
    figures = {
        "rehearsal_s": round(statistics.median(own for own, _ in pairs), 2),
        "floor_s": round(statistics.median(floor for _, floor in pairs), 2),
        "ratio": round(statistics.median(own / floor for own, floor in pairs), 2),
        "budget_s": BUDGET_S,
        **_whole(),
    }
    if options.json:
        print(json.dumps(figures, indent=2))
    else:
        print("\n".join(f"{name:28} {value}" for name, value in figures.items()))
    return 0 if figures["rehearsal_s"] <= BUDGET_S else 1


def _timed(*arguments: str) -> float:
    begin = time.perf_counter()
    subprocess.run([sys.executable, *arguments], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - begin


def _whole() -> dict[str, object]:
    """Count the ticks of a whole rehearsal, and its AWS calls."""
    with rehearsal(load(POLICY), "healthy", 1) as stage:
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
