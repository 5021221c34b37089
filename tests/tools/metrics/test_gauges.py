"""Gauges: queries, values, bounds, and missing data."""

from collections.abc import Mapping
from typing import Any

import pytest

from controller.core.observation import MetricQuery
from controller.tools.metrics.expected import metric_views, span_of
from controller.tools.metrics.gauges import Gauge, GaugeStatus, gauges
from tests.support.cases import cases
from tests.support.core import BaselineMeasurement, Policy, QueryStatus, Series
from tests.support.rollouts import LADDER, NOON

METRICS: Mapping[str, Any] = {
    "requests": {"namespace": "Shop", "name": "Count", "statistic": "Sum"},
    "errors": {"namespace": "Shop", "name": "Errors", "statistic": "Sum"},
    "latency": {"namespace": "Shop", "name": "Latency", "statistic": "p95", "unit": "ms"},
    "direct": {"namespace": "Shop", "name": "Direct", "statistic": "p95", "unit": "ms"},
}
THRESHOLD = {"kind": "threshold", "judge": "threshold"}


def policy(**criteria: Any) -> Policy:
    """Return a policy with these criteria and the metrics that they name."""
    metrics = {name: metric for name, metric in METRICS.items() if name in str(criteria)}
    return Policy.model_validate({**LADDER, "metrics": metrics, "criteria": criteria})


def rows(
    policy_: Policy,
    points: Mapping[str, Any],
    minutes: int = 5,
    baselines: Mapping[str, BaselineMeasurement] | None = None,
) -> dict[str, Gauge]:
    """Return the gauges at noon, by title.

    points: the newest minutes of each metric; None is a minute without data, and a QueryStatus in
    place of a list is a failed query.
    """
    span, series = span_of(policy_, minutes, NOON), dict[MetricQuery, Series]()
    for view in metric_views(policy_):
        values = points.get(view.name, [])
        if isinstance(values, QueryStatus):
            series[view.query] = Series({}, values, f"{view.name} was denied")
            continue
        begin = span.end - 60 * len(values)
        points_by_second = {begin + 60 * index: value for index, value in enumerate(values)}
        series[view.query] = Series(
            {at: value for at, value in points_by_second.items() if value is not None}
        )
    return {gauge.title: gauge for gauge in gauges(policy_, series, span, minutes, baselines or {})}


# --- one metric ---------------------------------------------------------------------------------

SLOW = policy(slow={**THRESHOLD, "metric": "latency", "max": 500})
REJECTED = policy(rejected={**THRESHOLD, "metric": "errors", "max": 10, "window": "5m"})


@cases("of, title, points, value, standing", {
    "a latency is its highest minute":
        (SLOW, "latency p95", [400, 410, 450, 420, 430], 450, GaugeStatus.AS_EXPECTED),
    "one minute above a bound is above it":
        (SLOW, "latency p95", [400, 501, 450, 420, 430], 501, GaugeStatus.NOT_AS_EXPECTED),
    "missing data is no latency of 0":
        (SLOW, "latency p95", [None] * 5, None, GaugeStatus.NO_TRAFFIC),
    "a count is a sum": (REJECTED, "errors Sum", [2, 3, 0, 0, 5], 10, GaugeStatus.AS_EXPECTED),
    "a sum above its bound":
        (REJECTED, "errors Sum", [2, 3, 0, 1, 5], 11, GaugeStatus.NOT_AS_EXPECTED),
    "silence is no 0": (REJECTED, "errors Sum", [None] * 5, None, GaugeStatus.NO_TRAFFIC),
    "0 that was counted": (REJECTED, "errors Sum", [0] * 5, 0, GaugeStatus.AS_EXPECTED),
})  # fmt: skip
def test_a_metric_against_its_bound(
    of: Policy, title: str, points: Any, value: Any, standing: GaugeStatus
) -> None:
    row = rows(of, {title.split()[0]: points})[title]
    assert (row.value, row.status) == (value, standing)


def test_too_few_requests_are_not_found_in_minutes_that_may_still_grow() -> None:
    arrives = {"kind": "threshold", "judge": "threshold", "metric": "requests", "min": 3}
    of = policy(arrives={**arrives, "window": "1m"})
    for points, standing in (
        ([9, 3, 0, 0, None], GaugeStatus.AS_EXPECTED),
        ([9, 2, 9, 9, 9], GaugeStatus.NOT_AS_EXPECTED),
    ):
        assert rows(of, {"requests": points})["requests Sum"].status is standing


def test_missing_data_under_missing_zero_is_0_next_to_other_data() -> None:
    zero = {**METRICS, "errors": {**METRICS["errors"], "missing": "zero"}}
    said = {**THRESHOLD, "metric": "errors", "max": 10, "window": "5m"}
    works = {"kind": "success_rate", "judge": "threshold", "total": "requests"}
    of = Policy.model_validate(
        {
            **LADDER,
            "metrics": {name: zero[name] for name in ("requests", "errors")},
            "criteria": {
                "rejected": said,
                "works": {**works, "failures": ["errors"], "min": "99%"},
            },
        }
    )
    assert rows(of, {"requests": [1] * 5})["errors Sum"].value == 0
    assert rows(of, {})["errors Sum"].status is GaugeStatus.NO_TRAFFIC


def test_no_data_next_to_requests_is_not_called_no_traffic() -> None:
    row = rows(WORKS, {"requests": [5] * 5})["errors Sum"]
    assert (row.value, row.status) == (None, GaugeStatus.NO_DATA)
    assert rows(WORKS, {})["errors Sum"].status is GaugeStatus.NO_TRAFFIC


def test_what_was_not_read_has_no_value_and_says_why() -> None:
    row = rows(SLOW, {"latency": QueryStatus.FORBIDDEN})["latency p95"]
    assert (row.value, row.status, row.note) == (None, GaugeStatus.NOT_READ, "latency was denied")


# --- several metrics ------------------------------------------------------------------------------

WORKS = policy(
    works={
        "kind": "success_rate", "judge": "threshold", "total": "requests", "failures": ["errors"],
        "min": "99.9%",
    }
)  # fmt: skip


@cases("requests, errors, value, standing, note", {
    "a share of all minutes together":
        ([500] * 4, [0, 1, 0, 0], 0.9995, GaugeStatus.AS_EXPECTED, "1 failure in 2,000 requests"),
    "too many failures": (
        [500] * 4, [0, 9, 0, 0], 0.9955, GaugeStatus.NOT_AS_EXPECTED,
        "9 failures in 2,000 requests",
    ),
    "no traffic is no success":
        ([None] * 4, [None] * 4, None, GaugeStatus.NO_TRAFFIC, "0 failures in 0 requests"),
    "failures without data are not 0":
        ([500] * 4, [None] * 4, None, GaugeStatus.NO_DATA, "errors: no data"),
    "failures that were not read are not 0":
        ([500] * 4, QueryStatus.ERROR, None, GaugeStatus.NOT_READ, "errors was denied"),
})  # fmt: skip
def test_a_success_rate(
    requests: Any, errors: Any, value: Any, standing: GaugeStatus, note: str
) -> None:
    row = rows(WORKS, {"requests": requests, "errors": errors}, 4)["works"]
    assert row.value == (value if value is None else pytest.approx(value))
    assert (row.status, row.note) == (standing, note)


def test_a_minute_whose_failures_have_no_datapoint_is_none_without_failures() -> None:
    row = rows(WORKS, {"requests": [500] * 4, "errors": [1, None, None, 0]}, 4)["works"]
    assert row.value == pytest.approx(0.999)
    assert row.note == "1 failure in 1,000 requests"
    assert [point is None for point in row.points] == [False, True, True, False]


def test_a_success_rate_by_its_successes() -> None:
    answered = {**WORKS.criteria["works"].model_dump(exclude={"failures"}), "successes": ["errors"]}
    of = policy(works={**answered, "min": "99.9%", "window": "5m"})
    row = rows(of, {"requests": [500] * 4, "errors": [500, 491, 498, 502]})["works"]
    assert (row.value, row.status) == (0.9955, GaugeStatus.NOT_AS_EXPECTED)
    assert row.note == "9 failures in 2,000 requests"


def test_a_ratio_with_a_highest_value() -> None:
    of = policy(errors={**THRESHOLD, "metric": "errors", "per": "requests", "max": "1%"})
    row = rows(of, {"requests": [100] * 5, "errors": [1, 2, 0, 1, 2]})["errors"]
    assert row.value == pytest.approx(0.012)
    assert (row.status, row.expected[0].text) == (GaugeStatus.NOT_AS_EXPECTED, "≤ 1%")


def increase(baseline: Any) -> Policy:
    said = {"kind": "latency_increase", "judge": "threshold", "metric": "latency"}
    return policy(**{"SC-003": {**said, "max_increase": "5%", "baseline": baseline}})


def test_an_increase_is_taken_between_typical_minutes() -> None:
    of = increase({"concurrent": "direct"})
    found = rows(of, {"latency": [104, 900, 104], "direct": [100, 100, 1]}, 3)["SC-003"]
    assert (found.value == pytest.approx(0.04), found.status) == (True, GaugeStatus.AS_EXPECTED)
    found = rows(of, {"latency": [106] * 3, "direct": [100] * 3}, 3)["SC-003"]
    assert (found.value == pytest.approx(0.06), found.status) == (True, GaugeStatus.NOT_AS_EXPECTED)
    assert found.expected[0].text == "≤ 105 ms (direct +5%)"


def test_a_baseline_that_is_known_gives_a_bound_in_the_unit_of_the_metric() -> None:
    fixed = rows(increase({"fixed": 200.0}), {"latency": [211] * 3}, 3)["latency p95"]
    assert (fixed.expected[0].text, fixed.status) == ("≤ 210 ms", GaugeStatus.NOT_AS_EXPECTED)
    frozen = increase({"frozen": "direct", "window": "24h"})
    assert (
        rows(frozen, {"latency": [211] * 3}, 3)["latency p95"].status
        is GaugeStatus.NOTHING_EXPECTED
    )
    stored = {"SC-003": BaselineMeasurement(200.0, 500, 0, 60)}
    known = rows(frozen, {"latency": [209] * 3}, 3, stored)["latency p95"]
    assert (known.expected[0].text, known.status) == ("≤ 210 ms", GaugeStatus.AS_EXPECTED)


def test_a_bound_holds_for_a_metric_under_each_of_its_names() -> None:
    criteria = {
        "fast": {**THRESHOLD, "metric": "latency", "max": 500},
        "faster": {**THRESHOLD, "metric": "again", "max": 400},
    }
    used = {"latency": METRICS["latency"], "again": METRICS["latency"]}
    twice = Policy.model_validate({**LADDER, "metrics": used, "criteria": criteria})
    (row,) = rows(twice, {"again": [450] * 5}).values()
    assert [one.criterion for one in row.expected] == ["fast", "faster"]
    assert row.status is GaugeStatus.NOT_AS_EXPECTED


# --- criteria without a bound on these minutes ----------------------------------------------------


def test_a_burn_rate_is_the_share_of_failures_beside_what_its_windows_allow() -> None:
    of = policy(
        budget={
            "kind": "burn_rate", "total": "requests", "failures": ["errors"], "slo": "99.9%",
        }
    )  # fmt: skip
    row = rows(of, {"requests": [500] * 4, "errors": [0, 1, 0, 0]}, 4)["budget"]
    assert (row.value, row.status) == (0.0005, GaugeStatus.NOTHING_EXPECTED)
    assert row.expected[0].text == "≤ 1.44% in 1h, ≤ 0.6% in 6h"


def test_a_share_is_shown_beside_the_weight_that_nobody_knows_here() -> None:
    of = policy(split={"kind": "share", "metric": "errors", "control": "requests"})
    row = rows(of, {"requests": [90] * 4, "errors": [10] * 4}, 4)["split"]
    assert (row.value, row.status) == (0.1, GaugeStatus.NOTHING_EXPECTED)
    assert (row.expected[0].text, row.note) == (
        "weight ± 2%",
        "40 canary requests in 400 requests",
    )


@cases("criterion, target, why", {
    "an alarm":
        ({"kind": "alarm", "alarm": "errors"}, "OK", "it reads the state of an alarm"),
    "log events": (
        {"kind": "log_events", "absent": "fallback", "control": "request"}, "≤ 0 events",
        "it searches a log",
    ),
    "a sign-off":
        ({"kind": "attestation", "statement": "It was tried."}, "signed", "an operator signs it"),
    "a latency whose baseline is not known": (
        {
            "kind": "latency_increase", "judge": "threshold", "metric": "latency",
            "max_increase": "5%", "baseline": {"frozen": "direct", "window": "24h"},
        },
        "≤ +5%", "no rollout has frozen its baseline yet",
    ),
})  # fmt: skip
def test_a_criterion_without_values_has_a_row_that_says_so(
    criterion: Any, target: str, why: str
) -> None:
    row = rows(policy(it=criterion, slow=SLOW.criteria["slow"].model_dump()), {})["it"]
    assert (row.value, row.status) == (None, GaugeStatus.NOT_SHOWN)
    assert row.note.startswith(why)
    assert row.expected[0].text == target


def test_a_metric_with_two_names_is_measured_for_each_of_them() -> None:
    """A draft for an alias names the requests of both versions for two criteria."""
    rate = {"kind": "success_rate", "judge": "threshold", "failures": ["errors"], "min": "99%"}
    named = {**METRICS, "calls": METRICS["requests"]}
    criteria = {"first": {**rate, "total": "requests"}, "second": {**rate, "total": "calls"}}
    used = {name: named[name] for name in ("requests", "calls", "errors")}
    twice = Policy.model_validate({**LADDER, "metrics": used, "criteria": criteria})
    points = dict.fromkeys(("requests", "calls"), [100] * 5) | {"errors": [1] * 5}
    shown = rows(twice, points)
    assert (shown["first"].value, shown["second"].value) == (0.99, 0.99)
