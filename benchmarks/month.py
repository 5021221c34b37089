"""What a tick of one rollout costs after an hour, and what it costs after a month.

    python -m benchmarks.month [--json]

Plays the shipped policy at 600 requests a minute with two bakes of two weeks before its last step.
For an hour at each age it ticks once a minute; what lies between is left out as a rehearsal does.
Ends with 1 when a tick after a month takes more than half as long again as one on the first day,
or when an hour of history takes more than its budget.
"""

import argparse
import json
import sys
import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from statistics import median
from typing import Final

from msgspec.structs import asdict

from controller.adapters.stores import codec
from controller.core.policy import Policy
from controller.core.rollout import Rollout
from controller.engine.execute import TickOutcome
from controller.engine.tick import run_ticks
from controller.immutable import Immutable
from controller.operations.start import StartRequest, start
from controller.policy_file.loader import load
from controller.process import logging
from controller.tools.rehearse.rehearsal import RehearsalSetup, rehearsal, ticks_to_next_change

POLICY: Final = Path(__file__).resolve().parents[1] / "policies" / "execution-api.yaml"
AGES: Final = (timedelta(hours=3), timedelta(days=1), timedelta(days=7), timedelta(days=28.8))
PER_MINUTE: Final = 600.0
ENTRY_BUDGET: Final = 18_000  # bytes of an hour of evidence
MOST_GROWTH: Final = 1.5

_MINUTE: Final = timedelta(minutes=1)
_TWO_WEEKS: Final = timedelta(days=14)


class Age(Immutable):
    """An hour of ticks at the age of a rollout.

    tick_ms: processor time of the median tick, with that of the simulated world. state_bytes: of
    the record that each of them writes, before it is compressed. entry_bytes: of its history.
    """

    after_h: float
    tick_ms: float
    state_bytes: int
    entry_bytes: int


def main() -> int:
    """Print the figures; return 1 when a budget is exceeded."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    logging.disable()
    with rehearsal(_long_policy(), "healthy", 1, per_minute=PER_MINUTE) as stage:
        ages = list(_ages(stage))
    if options.json:
        print(json.dumps([asdict(age) for age in ages], indent=2))
    else:
        for age in ages:
            print(
                f"{age.after_h:6.0f} h: {age.tick_ms:5.1f} ms a tick, {age.state_bytes:,} bytes of "
                f"state, {age.entry_bytes:,} bytes of history in an hour"
            )
    first_day = max(age.tick_ms for age in ages[:2])
    grown = any(age.tick_ms > MOST_GROWTH * first_day for age in ages)
    return 1 if grown or any(age.entry_bytes > ENTRY_BUDGET for age in ages) else 0


def _long_policy() -> Policy:
    policy = load(POLICY)
    first, second, last = policy.steps
    middle = [last.model_copy(update={"weight": weight, "bake": _TWO_WEEKS}) for weight in (60, 80)]
    return policy.model_copy(update={"steps": (first, second, *middle, last)})


def _ages(stage: RehearsalSetup) -> Iterator[Age]:
    began = stage.runner.clock.now()
    rollout = start(stage.runner, StartRequest(stage.policy)).rollout
    for age in AGES:
        for visited, _ in _ticks(stage, rollout, began + age, skips=True):
            rollout = visited
        entries = rollout.entries
        hour = list(_ticks(stage, rollout, began + age + timedelta(hours=1), skips=False))
        rollout = hour[-1][0]
        added = stage.runner.store.history(rollout.id)[entries:]
        yield Age(
            age / timedelta(hours=1),
            round(1_000 * median(seconds for _, seconds in hour), 1),
            max(len(codec.dump(one)) for one, _ in hour),
            sum(len(codec.dump_entry(rollout.id, entry)) for entry in added),
        )


def _ticks(
    stage: RehearsalSetup, rollout: Rollout, until: datetime, *, skips: bool
) -> Iterator[tuple[Rollout, float]]:
    """Yield the rollout after each tick, and the processor time of the tick in seconds."""
    runner, world = stage.runner, stage.world

    def skip(visit: TickOutcome, now: datetime) -> int:
        most = (until - now) // _MINUTE
        quiet = ticks_to_next_change(runner, world, visit, now, _MINUTE)
        return max(1, min(quiet, most))

    ticks = run_ticks(
        runner,
        rollout,
        every=_MINUTE,
        until=until,
        done=lambda _: False,
        skip=skip if skips else None,
    )
    began = time.process_time()
    for visit in ticks:
        yield visit.rollout, time.process_time() - began
        began = time.process_time()


if __name__ == "__main__":
    sys.exit(main())
