"""Requests slower than a limit: what a minute of them shows."""

from collections.abc import Mapping
from typing import Any

import pytest

from tests.support.cases import cases
from tests.support.judging import (
    BAD_DATA,
    FAIL,
    NO_DATA,
    PASS,
    Judging,
    Outcome,
    outcome,
)
from tests.support.sequential_rollouts import (
    Minute,
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


@cases(
    "slow, p95, expected",
    {
        "few are slow, and the p95 is below the limit": (4, 450, PASS),
        "twice as many as the p95 leaves above it": (10, 450, FAIL),
        "more than that and one": (11.5, 450, BAD_DATA),
        "an average in place of a count": (70, 450, BAD_DATA),
        "many are slow, and the p95 is above the limit": (70, 900, FAIL),
        "half as many as the p95 leaves above it": (2.5, 510, PASS),
        "less than that and one": (1, 510, BAD_DATA),
    },
)
def test_a_count_that_the_percentile_beside_it_contradicts_is_not_judged(
    slow: float, p95: float, expected: Outcome
) -> None:
    judging = hour("limit", {**limit(slow, 100), "latency:p95": p95})
    assert outcome(judging()) == expected


def test_one_request_more_or_less_is_no_contradiction() -> None:
    few = {**limit(1, 2), "latency:p95": 450}
    assert outcome(hour("limit", few, min_samples=20)()) != BAD_DATA


# --- Between percentiles --------------------------------------------------------------------------


def percentiles(
    p50: float, p90: float, p95: float, p99: float, metric: str = "latency"
) -> dict[str, float]:
    values = {"p50": p50, "p90": p90, "p95": p95, "p99": p99}
    return {f"{metric}:{name}": value for name, value in values.items()}


USUAL = {**percentiles(200, 379.6, 455.2, 640.1), SAMPLES: 1_000}
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
