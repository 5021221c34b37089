"""Silence is counted in the periods of the metric: one of five minutes is no gap in minutes."""

from collections.abc import Mapping
from typing import Any

import pytest

from tests.support.core import Verdict
from tests.support.judging import a_step, datapoints, findings_at, policy_of

PERIOD = 5  # minutes between two datapoints
LAST = 121  # the last minute at which ticks are tried, after a bake of an hour
RATE = {"kind": "success_rate", "total": "requests", "failures": ["errors"], "min": "99%"}
COUNT = {"kind": "threshold", "metric": "errors", "max": 10, "min_samples": 0}
SLOW = {"kind": "threshold", "metric": "latency", "max": 500}
BURN = {"kind": "burn_rate", "total": "requests", "failures": ["errors"], "slo": "99%"}


def passes(criterion: Mapping[str, Any], minute: int, silent_from: int = 10_000) -> bool:
    """Tell whether a gate on five-minute metrics passes at a minute after noon.

    A datapoint is read once its five minutes are over, and its age is the evaluation delay. No
    datapoint has a stamp from `silent_from` on.
    """
    steps = [{"weight": 10, "bake": "1h"}, {"weight": 100, "bake": "1h"}]
    policy = policy_of(criterion, steps=steps, warmup="0s")
    stamps = range(0, min(minute - PERIOD - 3 + 1, silent_from), PERIOD)

    def sparse(value: float) -> list[float | None]:
        values: list[float | None] = [None] * minute
        for stamp in stamps:
            values[stamp] = value
        return values

    slow = "latency:TC(500:)"
    series = datapoints(
        {
            "requests": sparse(3_000), "errors": sparse(2), "latency": sparse(200), slow: sparse(3),
            "latency:SampleCount": sparse(3_000), "errors:SampleCount": sparse(3_000),
        }
    )  # fmt: skip
    found = findings_at(a_step(policy), series, minute)
    return all(one.verdict is Verdict.PASS for one in found)


@pytest.mark.parametrize(
    "criterion",
    [
        {**RATE, "judge": "sequential"},
        {**RATE, "judge": "threshold", "window": "1m"},
        {**SLOW, "judge": "sequential"},
        {**SLOW, "judge": "threshold", "window": "1m"},
        {**COUNT, "judge": "threshold", "window": "1m"},
        {**BURN, "window": "1m"},
    ],
    ids=["rate", "rate by windows", "latency", "latency by windows", "count", "burn rate"],
)
def test_a_healthy_gate_passes_in_each_minute_after_the_bake(criterion: Mapping[str, Any]) -> None:
    """So it passes at the first tick after the bake, whatever the schedule."""
    first = 64  # the bake of an hour, and the evaluation delay
    failed = [at for at in range(first, LAST) if not passes(criterion, at)]
    assert not failed


@pytest.mark.parametrize("judge", ["sequential", "threshold"])
def test_a_metric_that_falls_silent_for_one_of_its_periods_passes_nothing(judge: str) -> None:
    """The period from minute 60 to 65 is judged at 68, and has no datapoint."""
    criterion: dict[str, Any] = {**RATE, "judge": judge}
    criterion |= {"window": "1m"} if judge == "threshold" else {}
    assert passes(criterion, 67, silent_from=60)
    assert not passes(criterion, 68, silent_from=60)


@pytest.mark.parametrize(("in_five_minutes", "verdict"), [(9, Verdict.PASS), (30, Verdict.FAIL)])
def test_a_count_is_compared_with_the_time_between_two_datapoints(
    in_five_minutes: float, verdict: Verdict
) -> None:
    """At most 10 in five minutes are 2 a minute; one datapoint has those of five minutes."""
    sequential = {**COUNT, "judge": "sequential", "window": "5m"}
    values: list[float | None] = [None] * LAST
    values[::PERIOD] = [in_five_minutes] * len(values[::PERIOD])
    series = datapoints({"errors": values, "errors:SampleCount": values})
    (found,) = findings_at(a_step(policy_of(sequential, warmup="0s")), series, LAST)
    assert found.verdict is verdict
