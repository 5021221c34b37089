"""How many small faults in what decides the tests notice.

    make mutants        # or: .venv-mutants/bin/python benchmarks/mutants.py [--json] [--children 2]

mutmut plants one fault at a time (another operator, a constant that is off by one, an argument that
is missing) in a copy of the code under `mutants/` and runs the tests that reach it. A fault that
makes a test fail, or never end, is killed. What is mutated and which tests are run is said in
`pyproject.toml`; the survivors are explained in `docs/contributors/reliability.md`.

Nothing of an earlier run is used: tests may have changed since. Exit status 1 when fewer than 90%
are killed.
"""

import argparse
import json
import shutil
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[1]
MUTMUT: Final = Path(sys.executable).with_name("mutmut")
MIN_KILL_RATE: Final = 0.9

_KILLED = frozenset({"killed", "timeout"})


@dataclass(frozen=True, slots=True)
class Run:
    """One run of mutmut. outcomes: the status of each mutant in mutmut, by name."""

    took_s: int
    outcomes: Mapping[str, str]

    @property
    def survivors(self) -> list[str]:
        """The mutants that no test noticed, by name."""
        return sorted(name for name, outcome in self.outcomes.items() if outcome not in _KILLED)

    @property
    def rate(self) -> float:
        """The share that was killed."""
        return 1 - len(self.survivors) / len(self.outcomes)


def main() -> int:
    """Print the figures and the survivors."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--children", type=int, default=1, help="mutants that run at a time")
    options = parser.parse_args()
    run = mutate(options.children)
    if options.json:
        print(json.dumps(asdict(run) | {"rate": run.rate, "survivors": run.survivors}, indent=2))
    else:
        _show(run)
    return 0 if run.rate >= MIN_KILL_RATE else 1


def mutate(children: int) -> Run:
    """Run mutmut, and return the status of every mutant. Raises CalledProcessError."""
    shutil.rmtree(ROOT / "mutants", ignore_errors=True)
    begin = time.monotonic()
    command = [str(MUTMUT), "run", "--max-children", str(children)]
    subprocess.run(command, cwd=ROOT, stdout=sys.stderr, check=True)
    took_s = round(time.monotonic() - begin)
    results = subprocess.run(
        [MUTMUT, "results", "--all", "true"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    lines = (line.strip().partition(": ") for line in results.stdout.splitlines() if ": " in line)
    return Run(took_s, {name: outcome for name, _, outcome in lines})


def _show(run: Run) -> None:
    for name in run.survivors:
        print(f"{run.outcomes[name]:10} {name}")
    outcomes = Counter(run.outcomes.values())
    for outcome, count in sorted(outcomes.items()):
        print(f"{outcome:10} {count:>6}")
    print(f"{'mutants':10} {len(run.outcomes):>6}   in {run.took_s // 60} min")
    print(f"{'rate':10} {run.rate:>6.1%}   at least {MIN_KILL_RATE:.0%} asked")


if __name__ == "__main__":
    sys.exit(main())
