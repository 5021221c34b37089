"""What a stack of deploy/ costs in a month, from what an idle tick was counted to ask for.

    python benchmarks/monthly_cost.py [--json]

Calls, metrics and capacity units are counted, on the shipped policy with one rollout under way all
month, as idle_tick.py counts them. Of ticks a minute, so many visit it as due_ticks.py counts; of
slower ones each does. Prices are not: they are list prices of us-east-1, without free
tiers, written down here to be looked up again.
"""

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from typing import Final

from benchmarks.due_ticks import METRIC_READ
from benchmarks.idle_tick import BY_SCHEDULE, EARLY, Idle, on_a_table
from controller.process import logging

MINUTES: Final = 30.4 * 24 * 60  # of a month
EVERY: Final = (1, 5, 15)  # minutes between two ticks

# US dollars in us-east-1, Linux/ARM.
VCPU_HOUR: Final = 0.03238
GIB_HOUR: Final = 0.00356
ADDRESS_HOUR: Final = 0.005  # public IPv4; a task in a private subnet has none
WRITE_UNIT: Final = 0.625e-6
READ_UNIT: Final = 0.125e-6
LOG_GB: Final = 0.50
ALARM: Final = 0.10
CUSTOM_METRIC: Final = 0.30
DASHBOARD: Final = 3.00
CONFIG_ITEM: Final = 0.003
NAT_GB: Final = 0.045
NAT_HOUR: Final = 0.045

# Ticks a minute until a success, and those of them that visit the rollout: `due_ticks.py`.
TICKS: Final = 1_588
VISITS: Final = 687
QUERY_UNITS: Final = 0.5  # of read capacity, to list what is due

# As configured in the template.
VCPUS: Final = 0.25
GIBS: Final = 0.5
BILLED_MINUTES: Final = 1.0  # of a task: AWS bills at least one minute, and a tick takes less
ALARMS: Final = 4
FILTERED: Final = 4  # metrics of the metric filters
LOG_BYTES: Final = 2_500  # of a tick with one rollout, at most
EVENT_BYTES: Final = 2_500  # of the event of its stopped task, at most
# A task makes and deletes a network interface, and changes what belongs to it. Others counted 2 to
# 6 configuration items of AWS Config a task.
CONFIG_ITEMS: Final = (2, 6)
# Compressed: the layers of rolloutctl (8.9 MB, measured), and python:3.13-slim (assumed).
IMAGE_GB: Final = 0.0089 + 0.045
EMBEDDED: Final = 8  # metrics in the log line of a tick with one active rollout


def costs(every_minutes: int, tick: Idle) -> Mapping[str, float]:
    """Return US dollars a month by item, with such a tick every `every_minutes`."""
    ticks = MINUTES / every_minutes
    visits = ticks * (VISITS / TICKS if every_minutes == 1 else 1)
    reads = visits * (tick.read_units - QUERY_UNITS) + ticks * QUERY_UNITS
    hours = ticks * BILLED_MINUTES / 60
    return {
        "Fargate": hours * (VCPUS * VCPU_HOUR + GIBS * GIB_HOUR),
        "public IPv4 address": hours * ADDRESS_HOUR,
        "CloudWatch: metrics read": visits * tick.metrics * METRIC_READ,
        "DynamoDB": visits * tick.write_units * WRITE_UNIT + reads * READ_UNIT,
        "logs": ticks * (LOG_BYTES + EVENT_BYTES) / 1e9 * LOG_GB,
        "four alarms, and their metrics": ALARMS * ALARM + FILTERED * CUSTOM_METRIC,
        "metrics of ticks (Metrics=yes)": EMBEDDED * CUSTOM_METRIC,
        "dashboard (Metrics=yes)": DASHBOARD,
    }


def surroundings(every_minutes: int) -> Mapping[str, float]:
    """Return what tasks cause in an account beside the stack, in US dollars a month by item."""
    ticks = MINUTES / every_minutes
    return {
        **{
            f"AWS Config records network interfaces: {items} items a task": (
                ticks * items * CONFIG_ITEM
            )
            for items in CONFIG_ITEMS
        },
        "the image comes through a NAT gateway, without an S3 endpoint": ticks * IMAGE_GB * NAT_GB,
        "a NAT gateway, its hours": MINUTES / 60 * NAT_HOUR,
    }


def table(every: tuple[int, ...] = EVERY) -> list[str]:
    """Return a Markdown table of the costs, with a column for each interval in minutes."""
    tick = counted()
    by_interval = {minutes: costs(minutes, tick) for minutes in every}
    rows = {name: [by_interval[one][name] for one in every] for name in by_interval[every[0]]}
    rows["in all"] = [sum(by_interval[one].values()) for one in every]
    return _markdown("US dollars a month, a tick every", every, rows)


def surroundings_table(every: tuple[int, ...] = EVERY) -> list[str]:
    """Return a Markdown table of what tasks cause beside the stack, as `table` does."""
    by_interval = {minutes: surroundings(minutes) for minutes in every}
    rows = {name: [by_interval[one][name] for one in every] for name in by_interval[every[0]]}
    return _markdown("and where", every, rows)


def _markdown(title: str, every: tuple[int, ...], rows: Mapping[str, Sequence[float]]) -> list[str]:
    return [
        f"| {' | '.join([title, *(f'{one} min' for one in every)])} |",
        f"|---|{'---:|' * len(every)}",
        *(f"| {name} | {' | '.join(f'{one:.2f}' for one in row)} |" for name, row in rows.items()),
    ]


def counted() -> Idle:
    """Return an idle scheduled tick of the first bake; a late one writes 4 more units."""
    (tick,) = [one for one in on_a_table(EARLY) if one.ticked == BY_SCHEDULE]
    return tick


def main() -> int:
    """Print the table, or its figures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    logging.disable()
    if options.json:
        tick = counted()
        figures = {one: {**costs(one, tick), **surroundings(one)} for one in EVERY}
        print(json.dumps(figures, indent=2))
    else:
        print("\n".join([*table(), "", *surroundings_table()]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
