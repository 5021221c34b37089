"""Requests slower than a limit: counted, or read between percentiles where nobody counts."""

from collections.abc import Mapping
from typing import Any

import pytest

from controller.core.judge.evidence import FrozenValue
from controller.core.judge.latency_tail import (
    Limits,
    Slower,
    limits_of,
    percentiles_of,
    slower,
    statistics,
    trimmed_count,
)
from controller.core.judge.queries import key
from controller.core.judge.series import Window, measure_for
from controller.core.observation import Series
from controller.core.policy import LatencyIncrease, Metric, Threshold
from controller.core.units import MINUTE_S

READ = FrozenValue(400.0, 10_000, 0, 86_400, 0.05)


def counted(samples: float | None, count: float | None) -> Slower:
    points: Mapping[tuple[str, str], float | None] = {
        ("latency", "SampleCount"): samples,
        ("latency", "TC(420:)"): count,
    }

    def reading(metric: str, statistic: str) -> Mapping[int, float]:
        value = points[metric, statistic]
        return {} if value is None else {0: value}

    return slower(reading, "latency", 420.0, None)


@pytest.mark.parametrize(
    ("samples", "count", "seen"),
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
def test_of_a_minute_is_known(
    samples: float | None, count: float | None, seen: tuple[float, float] | None
) -> None:
    assert counted(samples, count)(0) == seen


# --- between percentiles --------------------------------------------------------------------------


KNOWN = {"p50": 0.5, "p90": 0.9, "p95": 0.95, "p99": 0.99}


def between(
    samples: float | None, limit: float, **percentiles: float
) -> tuple[float, float] | None:
    def reading(metric: str, statistic: str) -> Mapping[int, float]:
        if statistic == "SampleCount":
            return {} if samples is None else {0: samples}
        return {0: percentiles[statistic]} if statistic in percentiles else {}

    return slower(reading, "latency", limit, KNOWN)(0)


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
        seen = between(requests, limit, **USUAL)
        assert seen == pytest.approx((requests, requests * share))


def test_between_two_percentiles_are_as_many_as_lie_between() -> None:
    seen = between(1_000, 420.0, **USUAL)
    assert seen is not None
    assert 50 < seen[1] < 100


@pytest.mark.parametrize(
    ("limit", "above"), [(299.0, 20.0), (300.0, 0.0)], ids=["above the limit", "not above it"]
)
def test_where_all_percentiles_are_one_value_all_requests_are(limit: float, above: float) -> None:
    assert between(20, limit, p50=300, p90=300, p95=300, p99=300) == (20, above)


def test_requests_without_any_percentile_are_bad_data() -> None:
    assert between(20, 300.0) == (20, -1)


def test_a_minute_without_requests_has_no_share() -> None:
    assert between(0, 300.0, **USUAL) is None
    assert between(None, 300.0, **USUAL) is None


# --- what is asked for ----------------------------------------------------------------------------


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


BESIDE = {"concurrent": "direct"}
ABSOLUTE = Threshold.model_validate(
    {"kind": "threshold", "judge": "sequential", "metric": "latency", "max": 500}
)


@pytest.mark.parametrize(
    ("criterion", "limits"),
    [
        pytest.param(
            increase(), Limits(420.0, 441.0), id="a stored value, which may have drifted by 5 %"
        ),
        pytest.param(
            increase(drift_allowance="0%"), Limits(420.0, 420.0), id="or may not, where one says so"
        ),
        pytest.param(
            increase(baseline={"fixed": 200}), Limits(210.0, 220.5), id="a value from the policy"
        ),
        pytest.param(
            increase(baseline=BESIDE), Limits(420.0, 420.0, "direct", 400.0),
            id="a control drifts along",
        ),
        pytest.param(ABSOLUTE, Limits(500.0, 500.0), id="a limit is a limit"),
    ],
)  # fmt: skip
def test_slow_means(criterion: LatencyIncrease | Threshold, limits: Limits) -> None:
    found = limits_of(criterion, READ)
    assert found is not None
    assert (found.beside, found.control) == (limits.beside, limits.control)
    assert (found.holds, found.fails) == pytest.approx((limits.holds, limits.fails))


P95, P75 = (
    Metric(namespace="Shop", name="Latency", statistic=statistic) for statistic in ("p95", "p75")
)


def test_the_percentile_that_is_asked_for_is_one_that_shares_are_read_between() -> None:
    assert percentiles_of(P95) == KNOWN
    assert percentiles_of(P75) == {**KNOWN, "p75": 0.75}
    assert percentiles_of(Metric(namespace="Shop", name="Latency", statistic="Average")) == KNOWN


@pytest.mark.parametrize("criterion", [increase(), increase(baseline=BESIDE)])
def test_before_its_baseline_was_read_slow_means_nothing(criterion: LatencyIncrease) -> None:
    assert limits_of(criterion, None) is None


@pytest.mark.parametrize(
    ("criterion", "asked"),
    [
        pytest.param(
            increase(),
            [("latency", "TC(420:)"), ("latency", "TC(441:)"), ("latency", "SampleCount")],
            id="counts above both limits",
        ),
        pytest.param(
            increase(baseline=BESIDE),
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
def test_what_is_asked_of_the_source(
    criterion: LatencyIncrease | Threshold, asked: list[tuple[str, str]]
) -> None:
    limits = limits_of(criterion, READ)
    assert limits is not None
    assert statistics(criterion, limits, P95) == asked


# --- one minute -----------------------------------------------------------------------------------

LATENCIES = dict.fromkeys(("latency", "direct"), P95)
COUNTS = {"SampleCount": 100.0, "TC(420:)": 7.0, "TC(441:)": 3.0}
CONTROL = {"SampleCount": 200.0, "TC(400:)": 10.0}
TORN = {"TC(420:)": 101.0}, {"TC(441:)": 101.0}, {"TC(400:)": 201.0}


def minute_of(
    criterion: LatencyIncrease, own: Mapping[str, float], control: Mapping[str, float]
) -> Window | None:
    """Return what one minute shows of `criterion`, of what is known of both paths."""
    both = {"latency": own, "direct": control}
    series = {
        key(name, statistic, MINUTE_S): Series({0: value})
        for name, known in both.items()
        for statistic, value in known.items()
    }
    return measure_for(criterion, LATENCIES, series, reached=True, baseline=READ)(0)


def test_a_minute_shows_what_is_slow_by_either_limit_and_on_either_path() -> None:
    stored = minute_of(increase(), COUNTS, {})
    assert stored is not None
    assert (stored.samples, stored.amount, stored.beyond) == (100, 7, 3)
    assert (stored.control_samples, stored.control_amount) == (0, 0)
    beside = minute_of(increase(baseline=BESIDE), COUNTS, CONTROL)
    assert beside is not None
    assert (beside.samples, beside.amount, beside.beyond) == (100, 7, 7)
    assert (beside.control_samples, beside.control_amount) == (200, 10)


def test_a_minute_without_its_control_compares_with_nothing() -> None:
    assert minute_of(increase(baseline=BESIDE), COUNTS, {}) is None


@pytest.mark.parametrize(
    ("criterion", "own", "control"),
    [
        pytest.param(increase(), TORN[0], {}, id="above the limit"),
        pytest.param(increase(), TORN[1], {}, id="above the limit and what it may have drifted"),
        pytest.param(increase(baseline=BESIDE), TORN[0], {}, id="beside a control"),
        pytest.param(increase(baseline=BESIDE), {}, TORN[2], id="of the control"),
    ],
)
def test_more_slow_requests_than_requests_are_bad_data_wherever(
    criterion: LatencyIncrease, own: Mapping[str, float], control: Mapping[str, float]
) -> None:
    seen = minute_of(criterion, {**COUNTS, **own}, {**CONTROL, **control})
    assert seen is not None
    assert not seen.fits


def test_where_nobody_counts_all_of_a_minute_is_read_between_percentiles() -> None:
    known = {"SampleCount": 1_000.0, **USUAL}
    stored = minute_of(increase(exceedance="percentiles"), known, {})
    assert stored is not None
    assert stored.fits
    assert 50 < stored.beyond < stored.amount < 100
    beside = minute_of(increase(exceedance="percentiles", baseline=BESIDE), known, known)
    assert beside is not None
    assert beside.fits
    assert 50 < beside.amount < beside.control_amount < 100
