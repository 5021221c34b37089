"""Criteria of kind threshold, window by window: a value, a count or a share against a bound."""

from functools import partial
from typing import Any

import pytest

from tests.support.cases import cases
from tests.support.core import QueryStatus, Verdict
from tests.support.judging import (
    BAD_DATA,
    FAIL,
    NO_DATA,
    PASS,
    SILENT,
    TOO_FEW,
    UNANSWERED,
    UNDECIDED,
    Judging,
    Outcome,
    Values,
    datapoints,
    judged,
    outcome,
)

COMPLETE, PARTIAL, ERROR = QueryStatus.COMPLETE, QueryStatus.PARTIAL, QueryStatus.ERROR
WINDOWED = {"kind": "threshold", "judge": "threshold"}
P95: dict[str, Any] = {
    **WINDOWED, "metric": "latency", "max": 500, "window": "1m", "failure_limit": 2,
    "min_samples": 200,
}  # fmt: skip
COUNT: dict[str, Any] = {
    **WINDOWED,
    "metric": "errors",
    "max": 10,
    "window": "5m",
    "failure_limit": 1,
    "min_samples": 1,
}
EACH_MINUTE: dict[str, Any] = {"window": "1m", "failure_limit": 3}
SHARE: dict[str, Any] = {
    **WINDOWED, "metric": "errors", "per": "requests", "max": "0.1%", "window": "1m",
    "failure_limit": 2,
}  # fmt: skip


def p95(values: Values, samples: Values, **changes: Any) -> Judging:
    """Return how to judge so high a latency of so many requests in each minute."""
    series = datapoints({"latency": values, "latency:SampleCount": samples})
    return partial(judged, P95 | changes, series, closed=len(values))


def count(
    values: Values,
    *,
    closed: int,
    live: int | None = None,
    answer: QueryStatus = COMPLETE,
    **changes: Any,
) -> Judging:
    """Return how to judge so many errors in each window, each from one datapoint."""
    criterion = COUNT | changes
    metric = criterion["metric"]
    samples = [None if value is None else 1 for value in values]
    series = datapoints(
        {metric: values, f"{metric}:SampleCount": samples},
        every=5 if criterion["window"] == "5m" else 1, answers={metric: answer},
    )  # fmt: skip
    return partial(judged, criterion, series, closed=closed, live=live)


def share(errors: Values, requests: Values, **changes: Any) -> Judging:
    """Return how to judge so many errors of so many requests in each minute."""
    series = datapoints({"errors": errors, "errors:SampleCount": requests, "requests": requests})
    return partial(judged, SHARE | changes, series, closed=len(requests))


AT_LEAST_1: dict[str, Any] = {"metric": "timeouts", "max": None, "min": 1}


@cases(
    "judging, expected",
    {
        "a value at its bound": (p95([480, 500], [100, 100]), PASS),
        "values above it": (p95([512, 500.04], [100, 100]), FAIL),
        "a percentile of too few samples": (p95([480], [199]), TOO_FEW),
        "a value below its lower bound": (
            p95([510], [100], max=None, min=520, failure_limit=1), FAIL,
        ),
        "a count over its limit": (count([11], closed=5), FAIL),
        "a count over its limit before its window closes": (count([10, 11], closed=5), FAIL),
        "a count at its limit": (count([10, 10], closed=5), PASS),
        "an open window over the limit continues a run": (
            count([11] * 3, closed=2, **EACH_MINUTE), FAIL,
        ),
        "an open window that is not over the limit may still end a run": (
            count([11, 11, 9, 11], closed=2, **EACH_MINUTE), UNDECIDED,
        ),
        "a count over its limit is over it in an answer in part": (
            count([11], closed=5, answer=PARTIAL), FAIL,
        ),
        "what an answer in part left out ends a run": (
            count([11, None, 11, 11], closed=4, answer=PARTIAL, **EACH_MINUTE), UNANSWERED,
        ),
        "an open window that breaches ends a silence": (
            count([None, 11], closed=5, failure_limit=2), UNDECIDED,
        ),
        "silence that means 0, where no samples are required": (
            count([None, None], closed=10, metric="timeouts", min_samples=0), PASS,
        ),
        "a canary without traffic is not held to a lower bound": (
            count([None], closed=5, live=0, **AT_LEAST_1), NO_DATA,
        ),
        "a canary with 1% of the traffic is": (
            count([None], closed=5, live=1, **AT_LEAST_1), FAIL,
        ),
        "a closed count below its lower bound": (count([5], closed=5, max=None, min=6), FAIL),
        "a count below its lower bound may still grow while its window is open": (
            count([6, 5], closed=5, max=None, min=6), PASS,
        ),
        "a share at its bound": (share([0, 1], [1000, 1000]), PASS),
        "a share above its bound": (share([2, 2], [1000, 1000]), FAIL),
        "a share of one": (share([1, 1], [1, 1]), FAIL),
        "a share of what is not counted": (share([0, None], [1000, 1000]), BAD_DATA),
        "a share without its denominator": (share([0, 3], [1000, None]), SILENT),
        "a share of nothing": (share([None], [0]), NO_DATA),
        "rejected calls of which none is among the calls": (
            partial(
                judged, {**SHARE, "per": "timeouts"},
                datapoints(
                    {"errors": [5, 5], "errors:SampleCount": [1, 1], "timeouts": [None] * 2}
                ),
                closed=2,
            ),
            FAIL,
        ),
    },
)  # fmt: skip
def test_a_threshold(judging: Judging, expected: Outcome) -> None:
    assert outcome(judging()) == expected


@cases(
    "answer, verdict",
    {
        "absent is zero where the policy says so": (COMPLETE, Verdict.FAIL),
        "left out of an answer is not zero": (PARTIAL, Verdict.INCONCLUSIVE),
        "an outage is not zero": (ERROR, Verdict.INCONCLUSIVE),
    },
)
@pytest.mark.parametrize("parts", [{"min": 1}, {"min": "1%", "per": "requests"}])
def test_missing_zero(answer: QueryStatus, verdict: Verdict, parts: dict[str, Any]) -> None:
    series = datapoints(
        {"timeouts": [None], "timeouts:SampleCount": [None], "requests": [100]},
        every=5,
        answers={"timeouts": answer},
    )
    criterion = {**COUNT, "metric": "timeouts", "max": None, **parts}
    assert judged(criterion, series, closed=5).verdict is verdict


def test_a_number_of_samples_is_a_count_that_only_grows() -> None:
    calls = datapoints({"calls": [10, 11]}, every=5)
    assert judged({**COUNT, "metric": "calls"}, calls, closed=5).verdict is Verdict.FAIL


SENTENCES = {
    "a value holds": p95([480, 500], [100, 100]),
    "a value holds near a bound that is not whole": p95([500.02], [200], max=500.04),
    "a value holds below a bound of thousands": p95([700], [200], max=1_250),
    "a value fails close to its bound": p95([512, 500.04], [100, 100]),
    "a value fails a lower bound": p95([510], [100], max=None, min=520, failure_limit=1),
    "a value has too few samples": p95([480], [199]),
    "a count holds": count([10, 10], closed=5),
    "a count fails before its window has closed": count([10, 11], closed=5),
    "a count breaches, and not often enough": count([11, 11, 9, 11], closed=2, **EACH_MINUTE),
    "a count has no data": count([None], closed=5, live=0, **AT_LEAST_1),
    "a share holds": share([0, 1], [1000, 1000]),
    "a share fails": share([2, 2], [1000, 1000]),
    "a share has gone silent": share([0, 3], [1000, None]),
    "a share has bad data": share([0, None], [1000, 1000]),
}
