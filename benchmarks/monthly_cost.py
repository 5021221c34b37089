"""What a stack of deploy/ costs in a month, from what an idle tick was counted to ask for.

    python benchmarks/monthly_cost.py [--json]

Calls, metrics and capacity units are counted, on the shipped policy with one rollout under way all
month, as idle_tick.py counts them. Prices are not: they are list prices of us-east-1, without free
tiers, written down here to be looked up again.
"""

import argparse
import json
import sys
from collections.abc import Mapping
from typing import Final

from benchmarks.idle_tick import BY_SCHEDULE, EARLY, Idle, on_a_table
from controller.process import logging

MINUTES: Final = 30.4 * 24 * 60  # of a month

# US dollars in us-east-1, Linux/ARM.
VCPU_HOUR: Final = 0.03238
GIB_HOUR: Final = 0.00356
ADDRESS_HOUR: Final = 0.005  # public IPv4; a task in a private subnet has none
WRITE_UNIT: Final = 0.625e-6
READ_UNIT: Final = 0.125e-6
METRIC_READ: Final = 0.01e-3  # by GetMetricData
LOG_GB: Final = 0.50
ALARM: Final = 0.10
CUSTOM_METRIC: Final = 0.30
DASHBOARD: Final = 3.00

# As configured in the template.
VCPUS: Final = 0.25
GIBS: Final = 0.5
BILLED_MINUTES: Final = 1.0  # of a task: AWS bills at least one minute, and a tick takes less
ALARMS: Final = 4
FILTERED: Final = 4  # metrics of the metric filters
LOG_BYTES: Final = 2_500  # of a tick with one rollout, at most
EVENT_BYTES: Final = 2_500  # of the event of its stopped task, at most
EMBEDDED: Final = 8  # metrics in the log line of a tick with one active rollout


def costs(every_minutes: int, tick: Idle) -> Mapping[str, float]:
    """Return US dollars a month by item, with such a tick every `every_minutes`."""
    ticks = MINUTES / every_minutes
    hours = ticks * BILLED_MINUTES / 60
    return {
        "Fargate": hours * (VCPUS * VCPU_HOUR + GIBS * GIB_HOUR),
        "public IPv4 address": hours * ADDRESS_HOUR,
        "CloudWatch: metrics read": ticks * tick.metrics * METRIC_READ,
        "DynamoDB": ticks * (tick.write_units * WRITE_UNIT + tick.read_units * READ_UNIT),
        "logs": ticks * (LOG_BYTES + EVENT_BYTES) / 1e9 * LOG_GB,
        "four alarms, and their metrics": ALARMS * ALARM + FILTERED * CUSTOM_METRIC,
        "metrics of ticks (Metrics=yes)": EMBEDDED * CUSTOM_METRIC,
        "dashboard (Metrics=yes)": DASHBOARD,
    }


def table(every: tuple[int, ...] = (1, 5, 15)) -> list[str]:
    """Return a Markdown table of the costs, with a column for each interval in minutes."""
    tick = counted()
    by_interval = {minutes: costs(minutes, tick) for minutes in every}
    rows = [(name, *(by_interval[one][name] for one in every)) for name in by_interval[every[0]]]
    rows.append(("in all", *(sum(by_interval[one].values()) for one in every)))
    head = ["US dollars a month, a tick every", *(f"{one} min" for one in every)]
    return [
        f"| {' | '.join(head)} |",
        f"|---|{'---:|' * len(every)}",
        *(f"| {name} | {' | '.join(f'{one:.2f}' for one in values)} |" for name, *values in rows),
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
        print(json.dumps({minutes: costs(minutes, tick) for minutes in (1, 5, 15)}, indent=2))
    else:
        print("\n".join(table()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
