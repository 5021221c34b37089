"""Ticks that are killed, and ticks in pairs, on an emulator: does everything hold that must?

    python benchmarks/kills.py [--kills 200] [--seed 1] [--json]

Real processes walk rollouts to 100%, or back to 0% with a sick canary, their state in a file and
in a table by turns. They are sent SIGKILL or SIGTERM at random moments, alone and in pairs. Needs
the emulator: make e2e-venv. Ends with 1 when something did not hold.
"""

import argparse
import json
import sys
import time
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests.e2e.kills import Figures, play
from tests.support import emulator


def main() -> int:
    """Print the figures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    numbers = count(200_000_000_001)
    started = time.monotonic()
    with TemporaryDirectory() as folder, emulator.running_emulator(Path(folder)) as running:
        figures = play(
            running,
            Path(folder),
            kills=options.kills,
            seed=options.seed,
            account=lambda: str(next(numbers)),
            on_progress=_progress,
        )
    data = _data(figures, time.monotonic() - started)
    if options.json:
        print(json.dumps(data, indent=2))
    else:
        for name, value in data.items():
            print(f"{name:16} {value}")
    return 1 if figures.violations else 0


def _progress(figures: Figures) -> None:
    print(
        f"{figures.kills.total()} killed, {figures.ticks} ticks, "
        f"{figures.ends.total()} rollouts, {len(figures.violations)} violations",
        file=sys.stderr,
    )


def _data(figures: Figures, seconds: float) -> dict[str, Any]:
    return {
        "kills": figures.kills.total(),
        "by_signal": dict(figures.kills),
        "ticks": figures.ticks,
        "pairs": figures.pairs,
        "exit_statuses": {str(key): value for key, value in sorted(figures.statuses.items())},
        "rollouts": figures.ends.total(),
        "ends": dict(figures.ends),
        "violations": figures.violations,
        "seconds": round(seconds),
    }


if __name__ == "__main__":
    sys.exit(main())
