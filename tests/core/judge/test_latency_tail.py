"""Requests slower than a limit: which series count them, and what a minute of them shows."""

from collections.abc import Mapping
from typing import Any

import pytest

from tests.support.cases import cases
from tests.support.core import query_plan
from tests.support.judging import (
    BAD_DATA,
    FAIL,
    METRICS,
    NO_DATA,
    PASS,
    UNDECIDED,
    Judging,
    Outcome,
    outcome,
)
from tests.support.rollouts import MINUTE, NOON
from tests.support.sequential_rollouts import (
    AN_HOUR,
    BASELINES,
    Minute,
    a_sequential_policy,
    a_sequential_step,
    beside,
    hour,
    limit,
    stored,
)

PERCENTILES: Mapping[str, Any] = {"exceedance": "percentiles"}
SAMPLES, SLOW = "latency:SampleCount", "latency:TC(500:)"


@cases(
    "judging, expected, share",
    {
        "a count": (hour("limit", limit(4)), PASS, 0.04),
        "none above the limit": (hour("limit", limit(0)), PASS, 0),
        "all above it": (hour("limit", limit(100)), FAIL, 1),
        "a count that is interpolated": (hour("limit", limit(4.3)), PASS, 0.043),
        "rounding above all of them": (hour("limit", limit(100 + 1e-9)), FAIL, 1),
        "rounding below none": (hour("limit", limit(-1e-9)), PASS, 0),
        "more than there were": (hour("limit", limit(101)), BAD_DATA, None),
        "less than none": (hour("limit", limit(-1)), BAD_DATA, None),
        "requests without a count": (hour("limit", {SAMPLES: 100}), BAD_DATA, None),
        "no request": (hour("limit", limit(0, 0)), NO_DATA, None),
        "no datapoint": (hour("limit", {}), NO_DATA, None),
        "a count of no requests": (hour("limit", {SLOW: 5}), NO_DATA, None),
        "more above a stored value": (hour("stored", stored(101, 3)), BAD_DATA, None),
        "above a stored value that drifted": (hour("stored", stored(5, 101)), BAD_DATA, None),
        "more beside a control": (hour("beside", beside(101)), BAD_DATA, None),
        "more of the control than it had": (hour("beside", beside(5, bad=201)), BAD_DATA, None),
        "a minute without its control compares with nothing": (
            hour("beside", {SAMPLES: 100, "latency:TC(420:)": 5}), NO_DATA, None,
        ),
    },
)  # fmt: skip
def test_counts_of_slow_requests_are(
    judging: Judging, expected: Outcome, share: float | None
) -> None:
    finding = judging()
    assert outcome(finding) == expected
    assert finding.measured == (None if share is None else pytest.approx(share, abs=1e-12))


# --- Between percentiles --------------------------------------------------------------------------


def percentiles(
    p50: float, p90: float, p95: float, p99: float, metric: str = "latency"
) -> dict[str, float]:
    values = {"p50": p50, "p90": p90, "p95": p95, "p99": p99}
    return {f"{metric}:{name}": value for name, value in values.items()}


USUAL = {**percentiles(200, 379.6, 455.2, 640.1), SAMPLES: 1_000}
DIRECT = {**percentiles(200, 379.6, 455.2, 640.1, metric="direct"), "direct:SampleCount": 1_000}
ALIKE = {**percentiles(300, 300, 300, 300), SAMPLES: 20}


@cases(
    "minute, highest, least, most",
    {
        "half are above the p50": (USUAL, 200, 0.5, 0.5),
        "a twentieth is above the p95": (USUAL, 455.2, 0.05, 0.05),
        "a twentieth of one request, too": ({**USUAL, SAMPLES: 1}, 455.2, 0.05, 0.05),
        "a hundredth is above the p99": (USUAL, 640.1, 0.01, 0.01),
        "between two, as many as lie between": (USUAL, 420, 0.051, 0.099),
        "all, where all are alike and above": (ALIKE, 299, 1, 1),
        "none, where all are alike and not above": (ALIKE, 300, 0, 0),
    },
)
def test_the_share_of_slow_requests_is_read_between_percentiles(
    minute: Minute, highest: float, least: float, most: float
) -> None:
    measured = hour("limit", minute, **PERCENTILES, max=highest)().measured
    assert measured is not None
    assert least - 1e-9 <= measured <= most + 1e-9


@cases(
    "minute, expected",
    {
        "requests without any percentile": ({SAMPLES: 20}, BAD_DATA),
        "no request": ({**USUAL, SAMPLES: 0}, NO_DATA),
        "percentiles of no requests": (percentiles(1, 2, 3, 4), NO_DATA),
    },
)
def test_percentiles_without_requests_or_the_reverse(minute: Minute, expected: Outcome) -> None:
    assert outcome(hour("limit", minute, **PERCENTILES)()) == expected


def test_both_paths_and_both_limits_are_read_between_percentiles() -> None:
    """More are above 400 ms than above 420, and fewer than one in twenty above 483."""
    against_control = hour("beside", {**USUAL, **DIRECT}, **PERCENTILES)()
    assert against_control.measured is not None
    assert 0.05 < against_control.measured < against_control.bound < 0.1
    drifted = hour("stored", USUAL, **PERCENTILES, drift_allowance="15%")()
    assert outcome(drifted) == UNDECIDED
    assert outcome(hour("stored", USUAL, **PERCENTILES, drift_allowance="0%")()) == FAIL


# --- Series ---------------------------------------------------------------------------------------

COUNTED = {SAMPLES, "latency:TC(420:)", "latency:TC(1200:)"}
P75: Mapping[str, Any] = {**METRICS, "latency": {**METRICS["latency"], "statistic": "p75"}}


@cases(
    "name, parts, series",
    {
        "above a stored value, and what it may have drifted": (
            "stored", {}, {*COUNTED, "latency:TC(441:)"},
        ),
        "above a stored value that may not have drifted": (
            "stored", {"stored": {"drift_allowance": "0%"}}, COUNTED,
        ),
        "above a fixed value": (
            "stored", {"stored": {"baseline": {"fixed": 200}}},
            {SAMPLES, "latency:TC(210:)", "latency:TC(220.5:)", "latency:TC(600:)"},
        ),
        "of both paths: a control drifts along": (
            "beside", {}, {*COUNTED, "direct:SampleCount", "direct:TC(400:)", "direct:TC(1200:)"},
        ),
        "no hangs below a p90": (
            "stored", {"metrics": P75},
            COUNTED - {"latency:TC(1200:)"} | {"latency:TC(441:)"},
        ),
        "hangs lie beyond what may be slow": (
            "beside", {"beside": {"max_increase": "100%"}},
            {SAMPLES, "latency:TC(800:)", "latency:TC(1600:)", "direct:SampleCount",
             "direct:TC(400:)", "direct:TC(1600:)"},
        ),
        "above a limit": ("limit", {}, {SAMPLES, SLOW}),
        "above a limit with decimals": (
            "limit", {"limit": {"max": 412.5}}, {SAMPLES, "latency:TC(412.5:)"},
        ),
        "above a limit of a million": (
            "limit", {"limit": {"max": 1e6}}, {SAMPLES, "latency:TC(1000000:)"},
        ),
        "percentiles, where there are no counts": (
            "stored", {"stored": PERCENTILES}, {SAMPLES, *percentiles(0, 0, 0, 0)},
        ),
        "percentiles, and the one of the metric": (
            "stored", {"stored": PERCENTILES, "metrics": P75},
            {SAMPLES, "latency:p75", *percentiles(0, 0, 0, 0)},
        ),
    },
)  # fmt: skip
def test_the_series_that_a_latency_reads(
    name: str, parts: Mapping[str, Any], series: set[str]
) -> None:
    assert keys_of(name, parts, BASELINES) == series


@pytest.mark.parametrize("name", ["beside", "stored"])
def test_before_its_baseline_was_read_no_request_is_slow(name: str) -> None:
    assert not [key for key in keys_of(name, {}, {}) if "TC(" in key]


def keys_of(name: str, parts: Mapping[str, Any], baselines: Mapping[str, Any]) -> set[str]:
    """Return what is read each minute of one criterion."""
    policy = a_sequential_policy(name, **{**AN_HOUR, **parts})
    step = a_sequential_step(policy, baselines=baselines)
    return {key.removesuffix("@60") for key in query_plan(step, NOON + 9 * MINUTE).queries}
