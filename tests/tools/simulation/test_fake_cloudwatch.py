"""What GetMetricData answers, as AWS documents it."""

from datetime import datetime, timedelta
from math import exp
from typing import Any

import pytest
from botocore.exceptions import ClientError

from controller.tools.simulation.world import World
from tests.tools.simulation.worlds import (
    HOUR,
    MINUTE,
    START,
    empty_world,
    query,
    read,
    scenario,
    set_weight,
    world,
)

SECOND = timedelta(seconds=1)


@pytest.fixture
def busy() -> World:
    """All traffic on the canary, for an hour."""
    account = world(scenario(function={"weight": 100}))
    account.clock.advance(HOUR)
    return account


def ask(of: World, *queries: dict[str, Any], **changes: Any) -> dict[str, Any]:
    now = of.clock.now()
    request = {"StartTime": now - HOUR, "EndTime": now - 3 * MINUTE, **changes}
    answer: dict[str, Any] = of.client("cloudwatch").get_metric_data(
        MetricDataQueries=list(queries), **request
    )
    return answer


def put(to: World, moment: datetime, *values: float, unit: str = "Count") -> None:
    to.client("cloudwatch").put_metric_data(
        Namespace="Shop",
        MetricData=[
            {"MetricName": "Orders", "Timestamp": moment, "Values": list(values), "Unit": unit}
        ],
    )


def test_periods_are_cut_from_the_start_and_the_end_cuts_off_the_last_one() -> None:
    account = empty_world()
    for minute in range(15):
        put(account, START + minute * MINUTE, minute)
    account.clock.advance(HOUR)
    points = read(
        account,
        "Shop/Orders",
        "Maximum",
        300,
        dimensions={},
        start=START + 2 * MINUTE,
        end=START + 10 * MINUTE,
    )
    assert points == {START + 2 * MINUTE: 6, START + 7 * MINUTE: 9}


def test_values_that_are_put_late_change_a_datapoint_that_was_read() -> None:
    account = empty_world()
    put(account, START, 10)
    account.clock.advance(HOUR)
    assert read(account, "Shop/Orders", dimensions={}) == {START: 10}
    put(account, START, 5)
    assert read(account, "Shop/Orders", dimensions={}) == {START: 15}


def test_a_trimmed_count_counts_the_requests_above_a_bound(busy: World) -> None:
    """About 5% of them above the p95, interpolated: hardly ever a whole number."""
    bound = 100 * exp(1.6449 * 0.3)
    slow = read(busy, "Latency", f"TC({bound:.1f}:)")
    requests = read(busy, "Latency", "SampleCount")
    assert slow.keys() == requests.keys()
    assert all(0 <= count <= requests[moment] for moment, count in slow.items())
    assert sum(slow.values()) == pytest.approx(0.05 * sum(requests.values()), rel=0.05)
    assert any(count % 1 for count in slow.values())


def test_counts_of_one_minute_fit_together(busy: World) -> None:
    count = read(busy, "Count")
    assert len(count) == 59  # the last minute is not visible yet
    assert read(busy, "Count", "SampleCount") == count
    final_minutes = START + HOUR - 3 * MINUTE
    count = read(busy, "Count", end=final_minutes)
    assert read(busy, "Latency", "SampleCount", end=final_minutes) == count
    assert read(busy, "5XXError", "SampleCount", end=final_minutes) == count
    assert set(read(busy, "5XXError", end=final_minutes).values()) == {0.0}


def test_a_minute_becomes_visible_after_a_minute_and_only_grows_for_another() -> None:
    account = world(scenario(function={"weight": 100}))
    sums, counts, slow = [], [], []
    for _ in range(190):
        account.clock.advance(SECOND)
        sums.append(read(account, "Latency", "Sum", start=START).get(START))
        counts.append(read(account, "Count", "Sum", start=START).get(START))
        slow.append(read(account, "Latency", "TC(100.5:)", start=START).get(START))
    assert sums[118] is None
    assert sums[119] is not None
    for series in (sums, counts, slow):
        grown = [value for value in series if value is not None]
        assert grown == sorted(grown)
        assert grown[0] < 0.9 * grown[-1]
        assert len(set(grown[60:])) == 1


def test_pages_together_are_the_whole_answer(busy: World) -> None:
    names = ["Count", "Cuont", "4XXError", "Latency"]
    queries = [{**query(name), "Id": f"q{place}"} for place, name in enumerate(names)]
    complete = {
        result["Id"]: result["Values"] for result in ask(busy, *queries)["MetricDataResults"]
    }
    pages: dict[str, list[float]] = {}
    statuses: dict[str, list[str]] = {}
    token: dict[str, str] = {}
    for _ in range(20):
        answer = ask(busy, *queries, MaxDatapoints=10, **token)
        assert sum(len(result["Values"]) for result in answer["MetricDataResults"]) <= 10
        for result in answer["MetricDataResults"]:
            pages.setdefault(result["Id"], []).extend(result["Values"])
            statuses.setdefault(result["Id"], []).append(result["StatusCode"])
        if "NextToken" not in answer:
            break
        token = {"NextToken": answer["NextToken"]}
    assert pages == complete
    assert all(each[-1] == "Complete" and "Complete" not in each[:-1] for each in statuses.values())
    assert statuses["q0"] == ["PartialData"] * 5 + ["Complete"]


def with_ids(*names: str) -> list[dict[str, Any]]:
    return [{**query("Count"), "Id": name} for name in names]


@pytest.mark.parametrize(
    ("queries", "changes"),
    [
        ([], {}),
        (with_ids(*(f"q{number}" for number in range(501))), {}),
        (with_ids("a", "a"), {}),
        (with_ids("Upper"), {}),
        (with_ids("1st"), {}),
        ([query("Count", period_s=90)], {}),
        (with_ids("a"), {"StartTime": START + HOUR, "EndTime": START}),
        (with_ids("a"), {"StartTime": START, "EndTime": START}),
        (with_ids("a"), {"MaxDatapoints": 100_801}),
    ],
    ids=[
        "no query",
        "more than 500 queries",
        "an id twice",
        "capital id",
        "id with a digit first",
        "period of 90 s",
        "end before start",
        "empty time",
        "too many datapoints",
    ],
)
def test_a_request_that_aws_does_not_take_is_refused(
    busy: World, queries: list[dict[str, Any]], changes: dict[str, Any]
) -> None:
    with pytest.raises(ClientError) as error:
        ask(busy, *queries, **changes)
    assert error.value.response["Error"]["Code"] == "ValidationError"


def test_reading_often_or_once_gives_the_same_series() -> None:
    def played(minutes_between_reads: int) -> list[dict[datetime, float]]:
        account = world()
        for minute in range(120):
            if minute in (10, 50):
                set_weight(account, minute)
            if minute % minutes_between_reads == 0:
                read(account, "Latency", "p95", 300)
                read(account, "5XXError")
            account.clock.advance(MINUTE)
        return [
            read(account, name, statistic, period, start=START, end=START + 2 * HOUR)
            for name, statistic, period in (
                ("Latency", "p95", 300),
                ("Latency", "p95", 60),
                ("Count", "Sum", 60),
                ("AWS/Lambda/Duration", "p95", 300),
            )
        ]

    assert played(1) == played(7) == played(1_000)
