"""Odd answers of CloudWatch: a real boto3 client, with answers validated by its model."""

from collections.abc import Iterator
from datetime import UTC, datetime
from math import inf, nan
from typing import Any

import pytest
from boto3.session import Session
from botocore.stub import ANY, Stubber

from controller.adapters.metrics.cloudwatch import PAGES_PER_CALL, CloudWatchMetrics
from controller.core.observation import MetricQuery, Span
from controller.core.units import from_unix
from controller.errors import MetricsError
from tests.support.core import QueryStatus, Series

NOON = int(datetime(2026, 1, 5, 12, tzinfo=UTC).timestamp())
HOUR = Span(NOON, NOON + 3_600)
COUNT = MetricQuery("AWS/ApiGateway", "Count", "Sum", 60, (("ApiName", "orders"),))
LATENCY = MetricQuery("AWS/ApiGateway", "Latency", "p95", 60, (("ApiName", "orders"),))


@pytest.fixture
def stub() -> Iterator[Stubber]:
    """A client that returns the queued answers in order; a test has to use all of them."""
    client = Session(region_name="us-east-1").client(
        "cloudwatch", aws_access_key_id="1", aws_secret_access_key="1"
    )
    with Stubber(client) as stub:
        yield stub
        stub.assert_no_pending_responses()


def result(number: int, minutes: list[int], status: str = "Complete", **more: Any) -> Any:
    """Return the answer to query `number`; each value is its minute after noon."""
    return {
        "Id": f"q{number}",
        "Timestamps": [from_unix(NOON + 60 * minute) for minute in minutes],
        "Values": [float(minute) for minute in minutes],
        "StatusCode": status,
        **more,
    }


def queue(stub: Stubber, *results: Any, token: str | None = None, **expected: Any) -> None:
    """Queue one page."""
    page = {"MetricDataResults": list(results)}
    if token:
        page["NextToken"] = token  # type: ignore[assignment]
    request = {
        "MetricDataQueries": ANY,
        "StartTime": ANY,
        "EndTime": ANY,
        "ScanBy": "TimestampAscending",
        **expected,
    }
    stub.add_response("get_metric_data", page, request)


def source(stub: Stubber) -> CloudWatchMetrics:
    """Return the source of metrics."""
    return CloudWatchMetrics(lambda: stub.client)


def read(stub: Stubber, *queries: MetricQuery) -> dict[MetricQuery, Series]:
    """Read `queries` over an hour."""
    return dict(source(stub).read(queries, HOUR))


def minutes(series: Series) -> list[int]:
    """Return the points of a series in their order, in minutes after noon."""
    assert all(NOON + 60 * value == second for second, value in series.points.items())
    return [(second - NOON) // 60 for second in series.points]


@pytest.mark.parametrize("statistic", ["p95", "TC(412.5:)"])
def test_a_query_is_sent_as_one_plain_statistic_without_a_unit(
    stub: Stubber, statistic: str
) -> None:
    query = MetricQuery("AWS/ApiGateway", "Latency", statistic, 60, (("ApiName", "orders"),))
    queue(
        stub,
        result(0, []),
        StartTime=datetime(2026, 1, 5, 12, tzinfo=UTC),
        EndTime=datetime(2026, 1, 5, 13, tzinfo=UTC),
        MetricDataQueries=[
            {
                "Id": "q0",
                "MetricStat": {
                    "Metric": {
                        "Namespace": "AWS/ApiGateway",
                        "MetricName": "Latency",
                        "Dimensions": [{"Name": "ApiName", "Value": "orders"}],
                    },
                    "Period": 60,
                    "Stat": statistic,
                },
                "ReturnData": True,
            }
        ],
    )
    assert read(stub, query) == {query: Series()}


def test_pages_of_one_series_are_put_in_order_whatever_order_they_come_in(stub: Stubber) -> None:
    queue(stub, result(1, [3], "PartialData"), result(0, [9], "PartialData"), token="a")
    queue(stub, result(0, [5, 1], "PartialData"), token="b", NextToken="a")
    queue(stub, result(0, [7]), result(1, [2]), NextToken="b")
    series = read(stub, COUNT, LATENCY)
    assert minutes(series[COUNT]) == [1, 5, 7, 9]
    assert minutes(series[LATENCY]) == [2, 3]
    assert {one.status for one in series.values()} == {QueryStatus.COMPLETE}


@pytest.mark.parametrize(
    ("status", "answer"),
    [
        ("Complete", QueryStatus.COMPLETE),
        ("PartialData", QueryStatus.PARTIAL),
        ("InternalError", QueryStatus.ERROR),
        ("Forbidden", QueryStatus.FORBIDDEN),
        ("Reticulating", QueryStatus.ERROR),
    ],
)
def test_a_series_is_as_complete_as_its_status_says(
    stub: Stubber, status: str, answer: QueryStatus
) -> None:
    queue(stub, result(0, [1], status), result(1, [1]))
    series = read(stub, COUNT, LATENCY)
    assert series[COUNT].status is answer
    assert series[COUNT].message == ("" if status == "Complete" else status)
    assert series[LATENCY].status is QueryStatus.COMPLETE


@pytest.mark.parametrize(
    "part",
    [pytest.param([], id="never"), pytest.param([result(0, [1], "PartialData")], id="half")],
)
def test_a_series_that_was_not_answered_to_its_end_is_not_complete(
    stub: Stubber, part: list[Any]
) -> None:
    queue(stub, *part, token="a")
    queue(stub, NextToken="a")
    series = read(stub, COUNT)[COUNT]
    assert series.status is (QueryStatus.PARTIAL if part else QueryStatus.ERROR)
    assert series.message


def test_an_answer_without_a_status_is_an_error(stub: Stubber) -> None:
    bare = result(0, [1])
    del bare["StatusCode"]
    queue(stub, bare)
    assert read(stub, COUNT)[COUNT].status is QueryStatus.ERROR


def test_pages_without_end_are_given_up(stub: Stubber) -> None:
    for _ in range(PAGES_PER_CALL):
        stub.add_response("get_metric_data", {"MetricDataResults": [], "NextToken": "again"})
    with pytest.raises(MetricsError, match=r"more than 100 pages for 1 queries; shorten"):
        read(stub, COUNT)


@pytest.mark.parametrize(
    ("code", "status", "advice"),
    [
        ("AccessDeniedException", 403, "grant the action to this role"),
        ("Throttling", 400, "the account's limit for such calls is reached; run again in a moment"),
        ("InternalFailure", 500, "it may pass; run again in a moment"),
        ("ExpiredToken", 403, "the credentials have expired; log in again"),
    ],
)
def test_a_call_that_fails_as_a_whole_says_which_why_and_what_to_do(
    stub: Stubber, code: str, status: int, advice: str
) -> None:
    stub.add_client_error("get_metric_data", code, "The words of AWS.", status)
    with pytest.raises(MetricsError) as caught:
        read(stub, COUNT)
    assert str(caught.value) == (
        f"metrics could not be read (cloudwatch:GetMetricData): {code}: The words of AWS; {advice}"
    )
    assert caught.value.context == {"code": code}


@pytest.mark.parametrize(
    ("status", "answer"),
    [("Forbidden", QueryStatus.FORBIDDEN), ("InternalError", QueryStatus.ERROR)],
)
def test_a_page_that_failed_is_not_healed_by_a_later_complete_one(
    stub: Stubber, status: str, answer: QueryStatus
) -> None:
    queue(stub, result(0, [1], status), token="more")
    queue(stub, result(0, [2]), NextToken="more")
    assert read(stub, COUNT)[COUNT].status is answer


def test_stamps_that_do_not_fit_the_period_are_an_error_and_no_silence(stub: Stubber) -> None:
    five_minutes = MetricQuery("AWS/ApiGateway", "Count", "Sum", 300, (("ApiName", "orders"),))
    queue(stub, result(0, [3, 8]), result(1, [3, 8]))
    series = read(stub, five_minutes, COUNT)
    assert series[five_minutes] == Series(
        {}, QueryStatus.ERROR, "its stamps do not fit the period of 300 s"
    )
    assert minutes(series[COUNT]) == [3, 8]


def test_values_that_do_not_match_their_timestamps_are_an_error(stub: Stubber) -> None:
    queue(stub, {**result(0, [1, 2]), "Values": [1.0]})
    assert read(stub, COUNT)[COUNT].status is QueryStatus.ERROR


@pytest.mark.parametrize("value", [nan, inf, -inf])
def test_a_value_that_is_no_number_makes_its_series_a_failed_one(
    stub: Stubber, value: float
) -> None:
    queue(stub, {**result(0, [1, 2]), "Values": [1.0, value]})
    expected = Series({}, QueryStatus.ERROR, "some of its values are no numbers")
    assert read(stub, COUNT)[COUNT] == expected
