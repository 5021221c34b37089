"""What a tick that changes nothing asks of AWS, and what that is in capacity units of DynamoDB.

    python benchmarks/idle_tick.py [--json]

Walks the shipped policy through a healthy world, one tick every five minutes, with its rollout in a
table (moto's, in this process) and in a file. Early in the first bake and late in the last one, it
ticks the rollout by its id, and then once more as a schedule does, which has to find it first.

Calls are counted at the clients. Capacity units are not measured: they follow from the sizes of the
items by DynamoDB's published rules. A write costs one unit for each kilobyte of the item before or
after it, whichever is larger; a query of an index costs half a unit for each 4 kilobytes found. An
index costs a write of its own when what it shows changes: by a save, not by taking the lease.
"""

import argparse
import dataclasses
import json
import math
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

from boto3.session import Session
from moto import mock_aws
from msgspec.structs import asdict

from controller.adapters.clock import SystemClock
from controller.adapters.stores.dynamodb import DynamoDbStore
from controller.adapters.stores.dynamodb.items import Item, rollout_key, size_of
from controller.adapters.stores.dynamodb.table import TABLE_DEFINITION, create_table
from controller.engine.tick import run_ticks
from controller.immutable import Immutable, field, replace
from controller.operations.start import StartRequest, start
from controller.policy_file.loader import load
from controller.process import logging
from controller.tools.rehearse.rehearsal import RehearsalSetup, rehearsal

POLICY: Final = Path(__file__).resolve().parents[1] / "policies" / "execution-api.yaml"
EARLY: Final = timedelta(minutes=10)  # after the start
LATE: Final = timedelta(hours=26)  # the last bake ends soon after

BY_ID: Final = "by its id"
BY_SCHEDULE: Final = "as a schedule does"

_EVERY = timedelta(minutes=5)
_TRIES = 3  # once an hour a tick adds evidence to the history, and is not idle
_TABLE = "rollouts"
# What the indexes of active rollouts show of an item: of all of them, and of those of a name.
_INDEXED: Final = [
    ["pk", "sk", "active", "created", *index["Projection"]["NonKeyAttributes"]]
    for index in (
        TABLE_DEFINITION["GlobalSecondaryIndexes"][0],
        TABLE_DEFINITION["LocalSecondaryIndexes"][0],
    )
]
_WRITE_BYTES, _READ_BYTES = 1_024, 4_096  # of one unit


class Idle(Immutable):
    """One idle tick: its calls by service and operation, and its DynamoDB capacity units.

    ticked: how the rollout is selected. after_h: hours since the start. metrics: the number of
    requested CloudWatch metrics. item_bytes: the size of the item of the rollout afterwards; 0 in a
    file.
    """

    store: str
    ticked: str
    after_h: float
    calls: Mapping[str, int] = field(default_factory=dict)
    metrics: int = 0
    write_units: int = 0
    read_units: float = 0.0
    item_bytes: int = 0


def main() -> int:
    """Print the figures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    logging.disable()
    ticks = [asdict(tick) for store in (on_a_table, on_a_file) for tick in store(EARLY, LATE)]
    if options.json:
        print(json.dumps(ticks, indent=2))
        return 0
    for tick in ticks:
        print("{store}, {ticked}, {after_h:.1f} h after the start:".format(**tick))
        units = {name: tick[name] for name in ("write_units", "read_units", "item_bytes")}
        calls = {**tick["calls"], "metrics asked for": tick["metrics"]}
        for name, value in {**calls, **(units if tick["item_bytes"] else {})}.items():
            print(f"    {name:34} {value:>6}")
    return 0


def on_a_table(*moments: timedelta) -> Iterator[Idle]:
    """Yield the idle ticks at each moment after the start of a rollout in a table."""
    with mock_aws(), rehearsal(load(POLICY), "healthy", 1) as stage:
        counted, uncounted = _client(), _client()
        create_table(uncounted, _TABLE, SystemClock())
        observer = replace(stage.runner.observer, store=DynamoDbStore(counted, _TABLE))
        on_table = replace(stage, runner=dataclasses.replace(stage.runner, observer=observer))
        meter = _Meter(uncounted)
        counted.meta.events.register("after-call.dynamodb", meter.count)
        yield from _idle_ticks("table", on_table, meter, moments)


def on_a_file(*moments: timedelta) -> Iterator[Idle]:
    """Yield the idle ticks at each moment after the start of a rollout in a SQLite file."""
    with rehearsal(load(POLICY), "healthy", 1) as stage:
        yield from _idle_ticks("file", stage, _Meter(), moments)


def _client() -> Any:
    session = Session("testing", "testing", region_name="us-east-1")
    return session.client("dynamodb")


# --- ticks --------------------------------------------------------------------------------------


def _idle_ticks(
    store: str, stage: RehearsalSetup, meter: "_Meter", moments: Sequence[timedelta]
) -> Iterator[Idle]:
    runner, started = stage.runner, stage.runner.clock.now()
    rollout = start(runner, StartRequest(stage.policy)).rollout
    for moment in moments:
        until = started + moment
        for visit in run_ticks(runner, rollout, every=_EVERY, until=until, done=lambda _: False):
            rollout = visit.rollout
        for ticked in (BY_ID, BY_SCHEDULE):
            tick = Idle(store, ticked, moment / timedelta(hours=1))
            yield _measured(tick, stage, meter, rollout.id)


def _measured(tick: Idle, stage: RehearsalSetup, meter: "_Meter", rollout_id: str) -> Idle:
    """Tick until a tick adds no history entry, and return the figures of that tick."""
    runner, world = stage.runner, stage.world
    requested = list[int]()

    def count_metrics(
        service: str, _operation: str, request: Mapping[str, Any], proceed: Callable[[], Any]
    ) -> Any:
        if service == "cloudwatch":
            requested.append(len(request["MetricDataQueries"]))
        return proceed()

    world.interceptors.append(count_metrics)
    for _ in range(_TRIES):
        runner.clock.sleep(_EVERY)
        entries = runner.store.history(rollout_id)
        meter.reset(rollout_id)
        before = world.calls.copy()
        requested.clear()
        runner.tick(
            [rollout_id] if tick.ticked == BY_ID else runner.store.active(runner.clock.now())
        )
        aws_calls = {":".join(call): times for call, times in (world.calls - before).items()}
        counted: dict[str, Any] = {"calls": {**meter.calls, **aws_calls}, "metrics": sum(requested)}
        tick = replace(tick, **counted, **meter.units())
        if runner.store.history(rollout_id) == entries:
            return tick
    raise AssertionError(f"none of {_TRIES} ticks was idle")


class _Meter:
    """Counts the calls of a DynamoDB client, and their capacity units.

    client: another one, which reads the table and is not counted; None: there is no table.
    """

    def __init__(self, client: Any = None) -> None:
        self._client = client
        self.reset()

    def reset(self, rollout_id: str = "") -> None:
        """Reset all counts, and read the current item of this rollout."""
        self._key = rollout_key(rollout_id)
        self.calls: Counter[str] = Counter()
        self._writes, self._reads, self._item = 0, 0.0, self._stored()

    def units(self) -> dict[str, Any]:
        """Return the capacity units, as fields of `Idle`."""
        return {
            "write_units": self._writes,
            "read_units": self._reads,
            "item_bytes": size_of(self._item),
        }

    def count(self, parsed: Mapping[str, Any], model: Any, **_: Any) -> None:
        """Count one answered call."""
        self.calls[f"dynamodb:{model.name}"] += 1
        if model.name == "UpdateItem":
            before, self._item = self._item, self._stored()
            self._writes += _units(before, self._item)
            for names in _INDEXED:
                shown = [
                    {name: one.get(name, {}) for name in names} for one in (before, self._item)
                ]
                self._writes += _units(*shown) if shown[0] != shown[1] else 0
        elif model.name == "Query":
            read_bytes = sum(map(size_of, parsed["Items"]))
            self._reads += max(1, math.ceil(read_bytes / _READ_BYTES)) / 2
        elif model.name == "BatchGetItem":  # a unit for each lock, which is far below 4 KiB
            self._reads += sum(map(len, parsed["Responses"].values()))

    def _stored(self) -> Item:
        if self._client is None or self._key is None:
            return {}
        item: Item = self._client.get_item(TableName=_TABLE, Key=self._key)["Item"]
        return item


def _units(before: Item, after: Item) -> int:
    """Return the write units of the table, or of an index with these attributes."""
    return math.ceil(max(_size(before), _size(after)) / _WRITE_BYTES)


def _size(item: Item) -> int:
    return size_of({name: value for name, value in item.items() if value})


if __name__ == "__main__":
    sys.exit(main())
