"""How long a failing canary keeps its traffic: from the first bad datapoint to weight 0.

    python -m benchmarks.reaction

Runs rollouts in virtual time, on the real runner and adapters. Ten minutes into the first step one
request in twenty fails. The time is measured from the first bad minute in CloudWatch until weight 0
is applied: with ticks on a schedule, at six offsets of the schedule, and with a tick that an alarm
of the same metric starts at once.

Constants below assume what a simulation cannot know: how long a task takes until its tick starts,
and when an alarm is evaluated.
"""

import sys
import tempfile
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from statistics import median
from typing import Final

from controller.immutable import Immutable
from controller.operations.start import StartRequest, start
from controller.policy_file.loader import loads
from controller.process import logging
from controller.tools.rehearse.rehearsal import RehearsalSetup, rehearsal

TASK_START: Final = timedelta(seconds=40)  # Fargate: 20 to 60 s with a small image
ALARM_AFTER: Final = timedelta(seconds=60)  # at most, from a datapoint to the evaluation after it
PUBLISHED_AFTER: Final = timedelta(seconds=60)  # from the end of a simulated minute
SICK_AFTER: Final = timedelta(minutes=10)
RED_AFTER: Final = SICK_AFTER + timedelta(minutes=1) + PUBLISHED_AFTER + ALARM_AFTER
OFFSETS: Final = 6  # offsets of the schedule, spread over its interval
LIMIT: Final = timedelta(hours=1)

_POLICY: Final = """
version: 1
name: checkout
target: {kind: lambda-env, function: checkout, percentage: NEW_PATH_PERCENTAGE}
metrics:
  requests: {namespace: AWS/ApiGateway, name: Count,    statistic: Sum, dimensions: {ApiName: c}}
  failures: {namespace: AWS/ApiGateway, name: 5XXError, statistic: Sum, dimensions: {ApiName: c}}
criteria:
  success:
    {kind: success_rate, judge: sequential, total: requests, failures: [failures], min: 99.9%}
ALARM
steps:
  - {weight: 10,  bake: 1h}
  - {weight: 100, bake: 1h}
"""
_ALARM: Final = "  red: {kind: alarm, alarm: rolloutctl-checkout-success}"

_SCENARIO: Final = """
name: sick
summary: Ten minutes into the first step, one request in twenty fails.
traffic: {requests_per_minute: 3000}
stable: {median_ms: 150, server_errors: 0.006%}
canary: {median_ms: 150, server_errors: 0.006%}
events:
  - {kind: errors, at: {step: 1, after: 10m}, path: canary, server_errors: 5%}
  - {kind: alarm, at: {step: 1, after: SECONDSs}}
"""


class Way(Immutable):
    """One way to trigger the rollback.

    every: the interval of the schedule. alarmed: an alarm is a criterion. at_once: the alarm starts
    a tick as well.
    """

    name: str
    every: timedelta
    alarmed: bool = False
    at_once: bool = False


WAYS: Final = tuple(
    Way(name, timedelta(minutes=minutes), *options)
    for name, options in {
        "the gate alone": (),
        "the gate, and an alarm as a criterion": (True,),
        "that, and a tick at the alarm": (True, True),
    }.items()
    for minutes in (1, 5, 15)
)


def table() -> list[str]:
    """Return a Markdown table: for each way, the median and the longest of its reactions."""
    lines = ["| judged by | a tick every | median | longest |", "|---|---:|---:|---:|"]
    for way in WAYS:
        took = sorted(reactions(way))
        minutes = way.every // timedelta(minutes=1)
        middle = _text(timedelta(seconds=median(one.total_seconds() for one in took)))
        lines.append(f"| {way.name} | {minutes} min | {middle} | {_text(took[-1])} |")
    return lines


def reactions(way: Way) -> Iterator[timedelta]:
    """Yield the reaction time at each offset of the schedule."""
    for number in range(OFFSETS):
        yield _reaction(way, way.every * number / OFFSETS)


def _reaction(way: Way, offset: timedelta) -> timedelta:
    policy = loads(_POLICY.replace("ALARM", _ALARM if way.alarmed else ""), "checkout.yaml")
    with tempfile.TemporaryDirectory() as folder:
        scenario = Path(folder) / "sick.yaml"
        scenario.write_text(_SCENARIO.replace("SECONDS", str(RED_AFTER // timedelta(seconds=1))))
        with rehearsal(policy, str(scenario), 1) as stage:
            return _run(stage, way, offset)


def _run(stage: RehearsalSetup, way: Way, offset: timedelta) -> timedelta:
    clock = stage.runner.clock
    rollout = start(stage.runner, StartRequest(stage.policy)).rollout
    applied = clock.now() if rollout.live is None else rollout.live.since
    bad = (applied + SICK_AFTER).replace(second=0, microsecond=0)
    published = bad + timedelta(minutes=1) + PUBLISHED_AFTER
    due = _tick_times(way, applied + offset, applied + RED_AFTER)
    while stage.world.weight_now() and clock.now() < applied + LIMIT:
        wait = next(due) - clock.now()
        if wait > timedelta():
            clock.sleep(wait)
        stage.runner.tick([rollout.id])
    return clock.now() - published


def _tick_times(way: Way, first: datetime, red: datetime) -> Iterator[datetime]:
    """Yield the times at which ticks start, in order."""
    at_once = [red + TASK_START] if way.at_once else []
    due = first + TASK_START
    while True:
        if at_once and at_once[0] <= due:
            yield at_once.pop()
        else:
            yield due
            due += way.every


def _text(length: timedelta) -> str:
    minutes, seconds = divmod(round(length.total_seconds()), 60)
    return f"{minutes}:{seconds:02} min"


def main() -> int:
    """Print the table."""
    logging.disable()
    print("\n".join(table()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
