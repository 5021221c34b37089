"""Requests slower than a limit: counted, or interpolated between percentiles."""

from collections.abc import Mapping
from typing import Any

import pytest

from controller.core.judge.evidence import BaselineMeasurement
from controller.core.judge.latency_tail import (
    Limits,
    SlowCounter,
    limits_of,
    percentiles_of,
    slow_counter,
    tail_statistics,
    trimmed_count,
)
from controller.core.judge.queries import series_key
from controller.core.judge.series import Window, measure_for
from controller.core.observation import Series
from controller.core.policy import LatencyIncrease, Metric, Threshold
from controller.core.units import MINUTE_S

BASELINE = BaselineMeasurement(400.0, 10_000, 0, 86_400, 0.05)


def counter_of(samples: float | None, count: float | None) -> SlowCounter:
    points: Mapping[tuple[str, str], float | None] = {
        ("latency", "SampleCount"): samples,
        ("latency", "TC(420:)"): count,
    }

    def reading(metric: str, statistic: str) -> Mapping[int, float]:
        value = points[metric, statistic]
        return {} if value is None else {0: value}

    return slow_counter(reading, "latency", 420.0, None)


@pytest.mark.parametrize(
    ("samples", "count", "expected"),
    [
        pytest.param(100, 7, (100, 7), id="a count"),
        pytest.param(100, 0, (100, 0), id="none above the limit"),
        pytest.param(100, 100, (100, 100), id="all above it"),
        pytest.param(100, 6.3, (100, 6.3), id="a count that CloudWatch interpolated"),
        pytest.param(100, 100 + 1e-9, (100, 100), id="rounding above all of them"),
        pytest.param(100, -1e-9, (100, 0), id="rounding below none"),
        pytest.param(100, 101, (100, -1), id="more than there were: bad data"),
        pytest.param(100, -1, (100, -1), id="less than none: bad data"),
        pytest.param(100, None, (100, -1), id="requests without their count: bad data"),
        pytest.param(0, 0, None, id="no request"),
        pytest.param(None, None, None, id="no datapoint"),
        pytest.param(None, 5, None, id="a count of no requests"),
    ],
)
def test_the_counts_of_a_minute(
    samples: float | None, count: float | None, expected: tuple[float, float] | None
) -> None:
    assert counter_of(samples, count)(0) == expected


# --- Between percentiles --------------------------------------------------------------------------


KNOWN = {"p50": 0.5, "p90": 0.9, "p95": 0.95, "p99": 0.99}


def interpolated(
    samples: float | None, limit: float, **percentiles: float
) -> tuple[float, float] | None:
    def reading(metric: str, statistic: str) -> Mapping[int, float]:
        if statistic == "SampleCount":
            return {} if samples is None else {0: samples}
        return {0: percentiles[statistic]} if statistic in percentiles else {}

    return slow_counter(reading, "latency", limit, KNOWN)(0)


USUAL = {"p50": 200.0, "p90": 379.6, "p95": 455.2, "p99": 640.1}


@pytest.mark.parametrize(
    ("limit", "share"),
    [
        pytest.param(200.0, 0.5, id="half are above the p50"),
        pytest.param(455.2, 0.05, id="a twentieth is above the p95"),
        pytest.param(640.1, 0.01, id="a hundredth is above the p99"),
    ],
)
def test_a_percentile_says_how_many_are_above_it(limit: float, share: float) -> None:
    for requests in (1, 1_000):
        counts = interpolated(requests, limit, **USUAL)
        assert counts == pytest.approx((requests, requests * share))


def test_between_two_percentiles_are_as_many_as_lie_between() -> None:
    counts = interpolated(1_000, 420.0, **USUAL)
    assert counts is not None
    assert 50 < counts[1] < 100


@pytest.mark.parametrize(
    ("limit", "above"), [(299.0, 20.0), (300.0, 0.0)], ids=["above the limit", "not above it"]
)
def test_where_all_percentiles_are_one_value_all_requests_are(limit: float, above: float) -> None:
    assert interpolated(20, limit, p50=300, p90=300, p95=300, p99=300) == (20, above)


def test_requests_without_any_percentile_are_bad_data() -> None:
    assert interpolated(20, 300.0) == (20, -1)


def test_a_minute_without_requests_has_no_share() -> None:
    assert interpolated(0, 300.0, **USUAL) is None
    assert interpolated(None, 300.0, **USUAL) is None


# --- Limits and queries ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("limit", "statistic"),
    [(420.0, "TC(420:)"), (412.5, "TC(412.5:)"), (0.25, "TC(0.25:)"), (1e6, "TC(1000000:)")],
)
def test_a_limit_is_written_as_cloudwatch_reads_it(limit: float, statistic: str) -> None:
    assert trimmed_count(limit) == statistic


def increase(**parts: Any) -> LatencyIncrease:
    return LatencyIncrease.model_validate(
        {
            "kind": "latency_increase", "judge": "sequential", "metric": "latency",
            "max_increase": "5%", "baseline": {"frozen": "direct", "over": "24h"}, **parts,
        }
    )  # fmt: skip


CONCURRENT = {"concurrent": "direct"}
ABSOLUTE = Threshold.model_validate(
    {"kind": "threshold", "judge": "sequential", "metric": "latency", "max": 500}
)


@pytest.mark.parametrize(
    ("criterion", "expected"),
    [
        pytest.param(
            increase(), Limits(420.0, 441.0), id="a stored value, which may have drifted by 5 %"
        ),
        pytest.param(
            increase(drift_allowance="0%"), Limits(420.0, 420.0),
            id="or may not, where the policy says so",
        ),
        pytest.param(
            increase(baseline={"fixed": 200}), Limits(210.0, 220.5),
            id="a fixed value from the policy",
        ),
        pytest.param(
            increase(baseline=CONCURRENT), Limits(420.0, 420.0, "direct", 400.0),
            id="a control drifts along",
        ),
        pytest.param(ABSOLUTE, Limits(500.0, 500.0), id="a limit is a limit"),
    ],
)  # fmt: skip
def test_slow_means(criterion: LatencyIncrease | Threshold, expected: Limits) -> None:
    limits = limits_of(criterion, BASELINE)
    assert limits is not None
    assert (limits.control_metric, limits.control_limit) == (
        expected.control_metric,
        expected.control_limit,
    )
    assert (limits.pass_limit, limits.fail_limit) == pytest.approx(
        (expected.pass_limit, expected.fail_limit)
    )


P95, P75 = (
    Metric(namespace="Shop", name="Latency", statistic=statistic) for statistic in ("p95", "p75")
)


def test_the_percentile_of_the_metric_is_one_to_interpolate_between() -> None:
    assert percentiles_of(P95) == KNOWN
    assert percentiles_of(P75) == {**KNOWN, "p75": 0.75}
    assert percentiles_of(Metric(namespace="Shop", name="Latency", statistic="Average")) == KNOWN


@pytest.mark.parametrize("criterion", [increase(), increase(baseline=CONCURRENT)])
def test_before_its_baseline_was_read_slow_means_nothing(criterion: LatencyIncrease) -> None:
    assert limits_of(criterion, None) is None


@pytest.mark.parametrize(
    ("criterion", "expected"),
    [
        pytest.param(
            increase(),
            [("latency", "TC(420:)"), ("latency", "TC(441:)"), ("latency", "SampleCount")],
            id="counts above both limits",
        ),
        pytest.param(
            increase(baseline=CONCURRENT),
            [
                ("latency", "TC(420:)"), ("direct", "TC(400:)"),
                ("latency", "SampleCount"), ("direct", "SampleCount"),
            ],
            id="counts of both paths",
        ),
        pytest.param(
            increase(exceedance="percentiles"),
            [
                ("latency", "p50"), ("latency", "p90"), ("latency", "p95"), ("latency", "p99"),
                ("latency", "SampleCount"),
            ],
            id="percentiles, once",
        ),
        pytest.param(
            ABSOLUTE, [("latency", "TC(500:)"), ("latency", "SampleCount")], id="a limit's own"
        ),
    ],
)  # fmt: skip
def test_the_series_that_a_latency_reads(
    criterion: LatencyIncrease | Threshold, expected: list[tuple[str, str]]
) -> None:
    limits = limits_of(criterion, BASELINE)
    assert limits is not None
    assert tail_statistics(criterion, limits, P95) == expected


# --- Windows --------------------------------------------------------------------------------------

LATENCIES = dict.fromkeys(("latency", "direct"), P95)
COUNTS = {"SampleCount": 100.0, "TC(420:)": 7.0, "TC(441:)": 3.0}
CONTROL = {"SampleCount": 200.0, "TC(400:)": 10.0}
INCONSISTENT = {"TC(420:)": 101.0}, {"TC(441:)": 101.0}, {"TC(400:)": 201.0}


def minute_of(
    criterion: LatencyIncrease, canary: Mapping[str, float], control: Mapping[str, float]
) -> Window | None:
    """Return one minute of `criterion`, with values by statistic of each path."""
    both = {"latency": canary, "direct": control}
    series = {
        series_key(name, statistic, MINUTE_S): Series({0: value})
        for name, values in both.items()
        for statistic, value in values.items()
    }
    return measure_for(criterion, LATENCIES, series, has_traffic=True, baseline=BASELINE)(0)


def test_a_minute_shows_what_is_slow_by_either_limit_and_on_either_path() -> None:
    stored = minute_of(increase(), COUNTS, {})
    assert stored is not None
    assert (stored.samples, stored.amount, stored.fail_amount) == (100, 7, 3)
    assert (stored.control_samples, stored.control_amount) == (0, 0)
    concurrent = minute_of(increase(baseline=CONCURRENT), COUNTS, CONTROL)
    assert concurrent is not None
    assert (concurrent.samples, concurrent.amount, concurrent.fail_amount) == (100, 7, 7)
    assert (concurrent.control_samples, concurrent.control_amount) == (200, 10)


def test_a_minute_without_its_control_compares_with_nothing() -> None:
    assert minute_of(increase(baseline=CONCURRENT), COUNTS, {}) is None


@pytest.mark.parametrize(
    ("criterion", "canary", "control"),
    [
        pytest.param(increase(), INCONSISTENT[0], {}, id="above the limit"),
        pytest.param(
            increase(), INCONSISTENT[1], {}, id="above the limit and what it may have drifted"
        ),
        pytest.param(increase(baseline=CONCURRENT), INCONSISTENT[0], {}, id="with a control"),
        pytest.param(increase(baseline=CONCURRENT), {}, INCONSISTENT[2], id="of the control"),
    ],
)
def test_more_slow_requests_than_requests_are_bad_data_wherever(
    criterion: LatencyIncrease, canary: Mapping[str, float], control: Mapping[str, float]
) -> None:
    window = minute_of(criterion, {**COUNTS, **canary}, {**CONTROL, **control})
    assert window is not None
    assert not window.consistent


def test_without_counts_all_of_a_minute_is_interpolated_between_percentiles() -> None:
    values = {"SampleCount": 1_000.0, **USUAL}
    stored = minute_of(increase(exceedance="percentiles"), values, {})
    assert stored is not None
    assert stored.consistent
    assert 50 < stored.fail_amount < stored.amount < 100
    concurrent = minute_of(increase(exceedance="percentiles", baseline=CONCURRENT), values, values)
    assert concurrent is not None
    assert concurrent.consistent
    assert 50 < concurrent.amount < concurrent.control_amount < 100
