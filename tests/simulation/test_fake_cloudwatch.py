"""What GetMetricData answers, as AWS documents it."""

from datetime import UTC, datetime, timedelta
from math import exp
from typing import Any

import pytest
from botocore.exceptions import ClientError, ParamValidationError

from controller.simulation.world import World
from tests.simulation.worlds import (
    BACKEND,
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


@pytest.mark.parametrize(
    ("statistic", "expected"),
    [
        ("Sum", 100.0),
        ("Average", 25.0),
        ("Minimum", 10.0),
        ("Maximum", 40.0),
        ("SampleCount", 4.0),
        ("p50", pytest.approx(20, rel=0.02)),
        ("p100", 40.0),
        ("TC(9.5:)", 4.0),
        ("TC(20:)", 2.0),
        ("TC(40:)", 0.0),
    ],
)
def test_each_statistic_is_taken_over_the_whole_period(statistic: str, expected: float) -> None:
    account = empty_world()
    put(account, START, 10, 20)
    put(account, START + 4 * MINUTE, 30, 40)
    account.clock.advance(HOUR)
    assert read(account, "Shop/Orders", statistic, 300, dimensions={}) == {START: expected}


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


def test_percentiles_of_a_window_are_of_all_its_requests(busy: World) -> None:
    (hour,) = read(busy, "Latency", "p95", 3_600, end=START + HOUR).values()
    assert hour == pytest.approx(100 * exp(1.6449 * 0.3), rel=0.01)


def test_a_trimmed_count_counts_the_requests_above_a_bound(busy: World) -> None:
    """About 5 % of them above the p95, interpolated: hardly ever a whole number."""
    bound = 100 * exp(1.6449 * 0.3)
    slow = read(busy, "Latency", f"TC({bound:.1f}:)")
    requests = read(busy, "Latency", "SampleCount")
    assert slow.keys() == requests.keys()
    assert all(0 <= count <= requests[moment] for moment, count in slow.items())
    assert sum(slow.values()) == pytest.approx(0.05 * sum(requests.values()), rel=0.05)
    assert any(count % 1 for count in slow.values())


def test_trimmed_counts_of_minutes_add_up(busy: World) -> None:
    by_minute = read(busy, "Latency", "TC(163.8:)", start=START, end=START + HOUR)
    (hour,) = read(busy, "Latency", "TC(163.8:)", 3_600, start=START, end=START + HOUR).values()
    assert hour == pytest.approx(sum(by_minute.values()))


def test_a_bound_is_in_the_unit_of_its_metric(busy: World) -> None:
    latency = read(busy, "Latency", "TC(200:)")
    integration = read(busy, "IntegrationLatency", "TC(194:)")
    assert integration == {moment: pytest.approx(count) for moment, count in latency.items()}


def test_integration_latency_is_a_little_below_latency(busy: World) -> None:
    latency = read(busy, "Latency", "p95", 300)
    integration = read(busy, "IntegrationLatency", "p95", 300)
    assert integration == {moment: pytest.approx(0.97 * value) for moment, value in latency.items()}


def test_counts_of_one_minute_fit_together(busy: World) -> None:
    count = read(busy, "Count")
    assert len(count) == 59  # the last minute is not visible yet
    assert read(busy, "Count", "SampleCount") == count
    final_minutes = START + HOUR - 3 * MINUTE
    count = read(busy, "Count", end=final_minutes)
    assert read(busy, "Latency", "SampleCount", end=final_minutes) == count
    assert read(busy, "5XXError", "SampleCount", end=final_minutes) == count
    assert set(read(busy, "5XXError", end=final_minutes).values()) == {0.0}


@pytest.mark.parametrize(
    "metric_query",
    [
        query("Cuont"),
        query("Count", dimensions={"ApiName": "other"}),
        query("Count", dimensions={"ApiName": "orders", "Stage": "prod"}),
        query("Count", dimensions={}),
        query("AWS/Lambda/Duration", dimensions=BACKEND),
        query("Count", period_s=10),
        query("AWS/Lambda/Duration", "TC(100:)", dimensions=BACKEND),
    ],
    ids=[
        "misspelt metric",
        "another API",
        "more dimensions",
        "fewer dimensions",
        "path without traffic",
        "resolution that is not published",
        "path without traffic, counted above a bound",
    ],
)
def test_what_has_no_data_is_complete_and_empty(busy: World, metric_query: dict[str, Any]) -> None:
    (result,) = ask(busy, metric_query)["MetricDataResults"]
    assert (result["StatusCode"], result["Values"], result["Timestamps"]) == ("Complete", [], [])


def test_a_wrong_unit_finds_nothing_and_says_nothing(busy: World) -> None:
    metric_query = query("Latency", "p95")
    metric_query["MetricStat"]["Unit"] = "Seconds"
    assert ask(busy, metric_query)["MetricDataResults"][0]["Values"] == []
    metric_query["MetricStat"]["Unit"] = "Milliseconds"
    assert len(ask(busy, metric_query)["MetricDataResults"][0]["Values"]) == 57


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


@pytest.mark.parametrize(("scan", "first"), [("TimestampAscending", 0), (None, 56)])
def test_points_come_newest_first_unless_asked_otherwise(
    busy: World, scan: str | None, first: int
) -> None:
    changes = {} if scan is None else {"ScanBy": scan}
    stamps = ask(busy, query("Count"), **changes)["MetricDataResults"][0]["Timestamps"]
    assert stamps[0] == START + first * MINUTE
    assert stamps == sorted(stamps, reverse=scan is None)


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


@pytest.mark.parametrize(
    "statistic",
    [
        pytest.param("sum", id="not in capitals"),
        pytest.param("p101", id="more than 100 %"),
        pytest.param("median", id="a word of its own"),
        pytest.param("TC(500)", id="no colon"),
        pytest.param("TC(:)", id="no bound"),
        pytest.param("tc(500:)", id="a range in small letters"),
        pytest.param("TC(-1:)", id="a bound below zero"),
        pytest.param("TC(1e+06:)", id="a bound with an exponent"),
        pytest.param("TC(433.12500000006:)", id="a bound with eleven decimals"),
        pytest.param("TC(nan:)", id="no number"),
        pytest.param("TC(101%:)", id="a bound above 100 %"),
        pytest.param("PR(5%:)", id="a rank by percents"),
    ],
)
def test_a_statistic_that_aws_does_not_know_is_refused(busy: World, statistic: str) -> None:
    with pytest.raises(ClientError, match="is no statistic") as error:
        ask(busy, query("Latency", statistic))
    assert error.value.response["Error"]["Code"] == "ValidationError"


def test_500_queries_are_taken(busy: World) -> None:
    answer = ask(busy, *with_ids(*(f"q{number}" for number in range(500))))
    assert len(answer["MetricDataResults"]) == 500


def test_a_made_up_token_is_refused(busy: World) -> None:
    with pytest.raises(ClientError) as error:
        ask(busy, query("Count"), NextToken="made up")
    assert error.value.response["Error"]["Code"] == "InvalidNextToken"


def test_a_time_without_a_zone_is_refused_at_once(busy: World) -> None:
    with pytest.raises(ParamValidationError, match="EndTime has no time zone"):
        ask(busy, query("Count"), EndTime=datetime(2026, 1, 5, 9, 30))  # noqa: DTZ001


@pytest.mark.parametrize(
    "metric_query",
    [
        {"Id": "m", "Expression": "q / 100"},
        query("Count", "IQM"),
        query("Count", "tm99"),
        query("Count", "PR(:300)"),
        query("Count", "TC(:300)"),
        query("Count", "TC(100:300)"),
        query("Count", "TC(95%:)"),
    ],
    ids=[
        "metric math",
        "interquartile mean",
        "trimmed mean",
        "rank",
        "count below a bound",
        "count between bounds",
        "count above a percentile",
    ],
)
def test_what_the_fake_does_not_support_raises_an_error(
    busy: World, metric_query: dict[str, Any]
) -> None:
    with pytest.raises(NotImplementedError):
        ask(busy, metric_query)


@pytest.mark.parametrize(
    ("age", "period_s", "count"),
    [(14, 60, True), (16, 60, False), (16, 300, True), (64, 300, False), (64, 3_600, True)],
)
def test_long_periods_outlive_short_ones(age: int, period_s: int, count: bool) -> None:
    account = world()
    end = datetime.combine(START.date(), START.time(), UTC) - timedelta(days=age)
    series = read(account, "AWS/Lambda/Invocations", "Sum", period_s, start=end - HOUR, end=end)
    assert bool(series) is count


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


def test_another_seed_is_another_world() -> None:
    worlds = [world(seed=seed) for seed in (1, 1, 2)]
    first, again, other_seed = (read(each, "AWS/Lambda/Invocations", end=START) for each in worlds)
    assert first == again != other_seed
    assert first.keys() == other_seed.keys()
