"""Prints the number of states and schedules of each small world: `python -m tests.exhaustive`."""

import sys
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.exhaustive.search_cases import explore, world_names
from tests.exhaustive.start_states import START_STATES


def lines() -> Iterator[str]:
    """Yield a line for each world, and one for all of them."""
    started, states, schedules, violations = time.process_time(), 0, 0, 0
    for slow in (False, True):
        for start in START_STATES:
            with TemporaryDirectory() as folder:
                names = world_names(start, slow=slow)
                for name, result in explore(Path(folder), start, slow=slow, names=names):
                    states += result.states
                    schedules += result.schedules
                    violations += len(result.violations)
                    figures = (
                        f"{result.states:>9,} {result.schedules:>15,} {len(result.violations):>3}"
                    )
                    yield f"{figures}  {start}{', slow updates' if slow else ''}: {name}"
    seconds = time.process_time() - started
    yield f"{states:>9,} {schedules:>15,} {violations:>3}  all worlds, {seconds:.0f} s of one core"


if __name__ == "__main__":
    sys.stdout.write("situations       schedules wrong\n")
    for line in lines():
        sys.stdout.write(f"{line}\n")
