"""An idle tick costs what the benchmark says; its figures are counts, so they hold everywhere."""

from collections.abc import Callable, Iterator
from datetime import timedelta

from benchmarks.idle_tick import BY_ID, BY_SCHEDULE, EARLY, Idle, on_a_file, on_a_table
from tests.support.cases import cases

LOOK = {"lambda:GetFunctionConfiguration": 1, "cloudwatch:GetMetricData": 1}
LEASE_AND_SAVE = {"dynamodb:BatchGetItem": 1, "dynamodb:UpdateItem": 2}
FIND = {"dynamodb:Query": 1}


@cases("ticks, by_id, by_schedule", {
    "two calls with a file": (on_a_file, LOOK, LOOK),
    "five with a table, and a sixth to find the rollout":
        (on_a_table, {**LEASE_AND_SAVE, **LOOK}, {**FIND, **LEASE_AND_SAVE, **LOOK}),
})  # fmt: skip
def test_an_idle_tick_makes(
    ticks: Callable[[timedelta], Iterator[Idle]],
    by_id: dict[str, int],
    by_schedule: dict[str, int],
) -> None:
    calls = {tick.ticked: tick.calls for tick in ticks(EARLY)}

    assert calls == {BY_ID: by_id, BY_SCHEDULE: by_schedule}


def test_an_idle_tick_on_a_table_takes_ten_write_units_and_a_read_unit_for_each_lock() -> None:
    by_id, by_schedule = on_a_table(EARLY)

    # Two writes of three to four units, and one for each index of active rollouts.
    assert 2_500 < by_id.item_bytes <= 3_072
    assert (by_id.write_units, by_id.read_units) == (10, 2)
    assert (by_schedule.write_units, by_schedule.read_units) == (10, 2.5)
