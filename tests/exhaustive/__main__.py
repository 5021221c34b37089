"""Prints how many situations and schedules each small world has: `python -m tests.exhaustive`."""

import sys
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.exhaustive.search_cases import explore
from tests.exhaustive.start_states import START_STATES


def lines() -> Iterator[str]:
    """Yield a line for each world, and one for all of them."""
    begun, situations, schedules, wrong = time.process_time(), 0, 0, 0
    for slow in (False, True):
        for start in START_STATES:
            with TemporaryDirectory() as folder:
                for name, found in explore(Path(folder), start, slow=slow):
                    situations += found.states
                    schedules += found.schedules
                    wrong += len(found.violations)
                    figures = (
                        f"{found.states:>9,} {found.schedules:>15,} {len(found.violations):>3}"
                    )
                    yield f"{figures}  {start}{', slow updates' if slow else ''}: {name}"
    seconds = time.process_time() - begun
    yield f"{situations:>9,} {schedules:>15,} {wrong:>3}  all worlds, {seconds:.0f} s of one core"


if __name__ == "__main__":
    sys.stdout.write("situations       schedules wrong\n")
    for line in lines():
        sys.stdout.write(f"{line}\n")
