"""What ticks cost in a month in each home, what other engines would cost, and how long a map takes.

    python -m benchmarks.home_cost

The prices are those of monthly_cost.py, and list prices of us-east-1 beside them. What a tick
takes was measured: 0.09 s of processor time in a process that has ticked before, and 0.36 s in a
new one. A rollout more takes 16 ms. Calls are assumed to take 0.3 s together.
"""

import math
import sys
from collections.abc import Mapping
from typing import Final

from benchmarks.monthly_cost import (
    ADDRESS_HOUR,
    CONFIG_ITEM,
    CONFIG_ITEMS,
    EVENT_BYTES,
    GIB_HOUR,
    GIBS,
    IMAGE_GB,
    LOG_BYTES,
    LOG_GB,
    MINUTES,
    NAT_GB,
    VCPU_HOUR,
    VCPUS,
)

EVERY: Final = (1, 15, 60)  # minutes between two ticks

# US dollars in us-east-1; Lambda on ARM.
LAMBDA_GB_S: Final = 13.3334e-6
LAMBDA_REQUEST: Final = 0.2e-6
SCHEDULE: Final = 1e-6  # an invocation by EventBridge Scheduler
TRANSITION: Final = 25e-6  # of a standard execution
EXPRESS_REQUEST: Final = 1e-6
EXPRESS_GB_S: Final = 16.67e-6
SQS_REQUEST: Final = 0.4e-6
TEMPORAL_ACTION: Final = 50e-6  # of Temporal's cloud, the first million
CLUSTER_HOUR: Final = 0.10  # of EKS, without its nodes

# Measured, at the share of a processor that 512 MB have (0.29), and with 0.3 s of calls.
MEMORY_GB: Final = 0.5
WARM_S: Final = 0.09 / 0.29 + 0.3
COLD_S: Final = 0.36 / 0.29 + 0.3
WARM_FOR: Final = 5  # minutes for which Lambda surely keeps a process; it says no number
REPORT_BYTES: Final = 300  # that Lambda writes for each invocation, beside the lines of the tick
DEPLOYMENTS: Final = 10  # a month, each with a new task of the service
BATCH_S: Final = WARM_S + 25 * 0.016 / 0.29  # of a batch of 25 rollouts, at 16 ms each
BATCH: Final = 25
CHILDREN: Final = (8, 40)  # that a map may have at a time
LAMBDA_QUOTA: Final = 15  # requests a second; a visit of a `lambda-env` target makes one
DUE: Final = 687 / 1_588  # of the ticks of a rollout, those that visit it (due_ticks.py)
SERVICE: Final = 900  # rollouts: 16 ms each, in a minute of a quarter of a processor
CHILD_GB: Final = 0.0625  # that an execution of a child is billed for, at least


def _tasks(hours: float) -> float:
    return hours * (VCPUS * VCPU_HOUR + GIBS * GIB_HOUR + ADDRESS_HOUR)


def _invocations(number: float, seconds: float) -> float:
    return number * (seconds * MEMORY_GB * LAMBDA_GB_S + LAMBDA_REQUEST)


def homes(every_minutes: int) -> Mapping[str, tuple[float, float, float, float]]:
    """Return US dollars a month by home, with a tick of one rollout every `every_minutes`.

    For each: computing and its address; its logs; AWS Config with the fewest items that others
    counted; and the image through a NAT without an S3 endpoint.
    """
    ticks = MINUTES / every_minutes
    seconds = WARM_S if every_minutes <= WARM_FOR else COLD_S
    config, pull = min(CONFIG_ITEMS) * CONFIG_ITEM, IMAGE_GB * NAT_GB
    lines = ticks * LOG_BYTES / 1e9 * LOG_GB
    return {
        "`function`": (
            _invocations(ticks, seconds) + ticks * SCHEDULE,
            lines + ticks * REPORT_BYTES / 1e9 * LOG_GB,
            0.0,
            0.0,
        ),
        "`service`": (
            _tasks(MINUTES / 60),
            lines,
            DEPLOYMENTS * config,
            DEPLOYMENTS * pull,
        ),
        "`scheduled-task`": (
            _tasks(ticks / 60) + ticks * SCHEDULE,
            lines + ticks * EVENT_BYTES / 1e9 * LOG_GB,
            ticks * config,
            ticks * pull,
        ),
    }


def homes_table() -> list[str]:
    """Return a Markdown table of the homes, with a row for each interval."""
    lines = [
        "| US dollars a month | a tick every | computing | logs | AWS Config | NAT | sum |",
        "|---|---:|---:|---:|---:|---:|---:|",
    ]
    by_interval = {minutes: homes(minutes) for minutes in EVERY}
    for home in by_interval[EVERY[0]]:
        for minutes, found in by_interval.items():
            cells = [f"{one:.2f}" for one in (*found[home], sum(found[home]))]
            lines.append(f"| {home} | {minutes} min | {' | '.join(cells)} |")
    return lines


def engines(rollouts: int) -> Mapping[str, float]:
    """Return US dollars a month by engine, for so many rollouts with a tick each minute.

    Without what every engine pays: metrics, the table and logs. Of the last three, what they ask
    beside the processes that tick.
    """
    ticks, batches = MINUTES * rollouts, MINUTES * rollouts / BATCH
    functions = _invocations(batches, BATCH_S)
    parent = MINUTES * (4 * TRANSITION + SCHEDULE) + _invocations(2 * MINUTES, WARM_S)
    children = batches * (EXPRESS_REQUEST + BATCH_S * CHILD_GB * EXPRESS_GB_S)
    return {
        "a Distributed Map, 25 rollouts a child": parent + children + functions,
        "SQS and Lambda, 25 rollouts a message": 3 * batches * SQS_REQUEST + functions,
        "`tick --shard` in a Fargate service for each 900": (
            math.ceil(rollouts / SERVICE) * _tasks(MINUTES / 60)
        ),
        "a schedule a rollout": ticks * SCHEDULE + _invocations(ticks, WARM_S),
        "a standard execution a rollout, 3 transitions a tick": ticks * 3 * TRANSITION,
        "Temporal's cloud, 6 actions a tick": ticks * 6 * TEMPORAL_ACTION,
        "EKS, its control plane alone": MINUTES / 60 * CLUSTER_HOUR,
    }


def engines_table(sizes: tuple[int, ...] = (100, 1_000, 3_000)) -> list[str]:
    """Return a Markdown table of the engines, with a column for each number of rollouts."""
    by_size = {size: engines(size) for size in sizes}
    return [
        f"| US dollars a month, rollouts | {' | '.join(f'{one:,}' for one in sizes)} |",
        f"|---|{'---:|' * len(sizes)}",
        *(
            f"| {name} | {' | '.join(f'{by_size[one][name]:,.0f}' for one in sizes)} |"
            for name in by_size[sizes[0]]
        ),
    ]


def pass_s(rollouts: int, children: int) -> float:
    """Return how long a map takes to visit so many rollouts, by arithmetic, in seconds.

    That of its list and of its report, which are short, and of as many children at a time as it
    has. Each visits a batch.
    """
    return 2 * WARM_S + math.ceil(rollouts / BATCH / children) * BATCH_S


def passes_table(rollouts: int = 3_000) -> list[str]:
    """Return a Markdown table of how long a map takes: where all are due, and a usual part."""
    columns = {"all": rollouts, f"{DUE:.0%}": math.ceil(rollouts * DUE)}
    rows = {
        **{
            f"{children} children": [pass_s(due, children) for due in columns.values()]
            for children in CHILDREN
        },
        "Lambda's quota, of functions of one account": [
            due / LAMBDA_QUOTA for due in columns.values()
        ],
    }
    return [
        f"| seconds for {rollouts:,} rollouts, of which are due | {' | '.join(columns)} |",
        "|---|---:|---:|",
        *(f"| {name} | {all_of:.0f} | {due:.0f} |" for name, (all_of, due) in rows.items()),
    ]


def main() -> int:
    """Print the tables."""
    print("\n".join([*homes_table(), "", *engines_table(), "", *passes_table()]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
