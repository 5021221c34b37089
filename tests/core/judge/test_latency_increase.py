"""Criteria of kind latency_increase, window by window: the mean of the bake against a baseline."""

from collections.abc import Mapping
from functools import partial
from typing import Any

import pytest

from controller.immutable import replace
from tests.support.cases import cases
from tests.support.core import BaselineMeasurement, QueryStatus, sentence_of
from tests.support.judging import (
    FAIL,
    NO_DATA,
    PASS,
    START,
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

PARTIAL = QueryStatus.PARTIAL
LATENCY = {
    "kind": "latency_increase", "judge": "threshold", "metric": "latency", "max_increase": "5%",
    "window": "5m", "min_samples": 200,
}  # fmt: skip
FROZEN: Mapping[str, Any] = {"frozen": "direct", "window": "24h"}
FIXED: Mapping[str, Any] = {"fixed": 400.0}
CONTROL: Mapping[str, Any] = {"concurrent": "direct"}
STORED = BaselineMeasurement(400.0, 5_000, START - 86_400, START)
TOO_SMALL = BaselineMeasurement(400.0, 150, START - 86_400, START)


def latency(
    values: Values,
    samples: Values,
    *,
    baseline: Mapping[str, Any] = FROZEN,
    stored: BaselineMeasurement = STORED,
    direct: Values = (),
    direct_samples: Values = (),
    answer: QueryStatus = QueryStatus.COMPLETE,
    bake: str = "1m",
) -> Judging:
    """Return how to judge so high a latency of so many requests, on both paths, in five minutes."""
    series = datapoints(
        {
            "latency": values, "latency:SampleCount": samples,
            "direct": direct, "direct:SampleCount": direct_samples,
        },
        every=5, answers={"latency": answer},
    )  # fmt: skip
    return partial(
        judged,
        {**LATENCY, "baseline": baseline},
        series,
        closed=5 * len(values),
        bake=bake,
        baselines={"C": stored} if baseline is FROZEN else {},
    )


def beside(values: Values, samples: Values, direct: Values, direct_samples: Values) -> Judging:
    """Return how to judge a latency beside its control."""
    return latency(values, samples, baseline=CONTROL, direct=direct, direct_samples=direct_samples)


@pytest.mark.parametrize(
    ("values", "expected", "said"),
    [
        ([0, 0], PASS, "0 ms (+0%) against 0 ms"),
        ([12, 12], FAIL, "12 ms against 0 ms, at most +5%"),
    ],
    ids=["as quick", "slower than that"],
)
def test_a_baseline_of_0_is_compared_with(values: Values, expected: Outcome, said: str) -> None:
    """No other number can be told from it in percent, and none is infinitely better."""
    beside_zero = beside(values, [300, 300], [0, 0], [300, 300])
    after_zero = latency(values, [300, 300], stored=replace(STORED, value=0.0))
    for finding in (beside_zero(), after_zero()):
        assert outcome(finding) == expected
        assert said in sentence_of(finding)


@cases(
    "judging, expected, increase",
    {
        "exactly at the bound, in spite of rounding": (latency([400, 440], [100, 100]), PASS, 0.05),
        "windows are weighted by their samples": (latency([400, 480], [100, 300]), FAIL, 0.15),
        "close to its bound": (latency([420.12], [200]), FAIL, 0.0503),
        "faster": (latency([380], [200]), PASS, -0.05),
        "as fast as before": (latency([400], [200]), PASS, 0.0),
        "a value without samples": (latency([900], [0]), NO_DATA, None),
        "neither a value without its samples counts, nor samples without their value": (
            latency([400, 900, None], [200, None, 100]), PASS, 0.0,
        ),
        "one sample counts": (latency([400, 800], [199, 1]), PASS, 0.005),
        "before the end of the bake, however bad": (
            latency([900], [5_000], bake="24h"), UNDECIDED, 1.25,
        ),
        "too few samples of the canary": (latency([900], [199]), TOO_FEW, 1.25),
        "too few samples of the baseline": (latency([400], [300], stored=TOO_SMALL), TOO_FEW, 0.0),
        "silence": (latency([None], [None]), NO_DATA, None),
        "before the first window has closed": (latency([], []), UNDECIDED, None),
        "an answer in part never passes": (latency([400], [300], answer=PARTIAL), UNANSWERED, None),
        "the mean of an answer in part never fails": (
            latency([900], [300], answer=PARTIAL), UNANSWERED, None,
        ),
        "a fixed baseline needs no samples of its own": (
            latency([410], [250], baseline=FIXED), PASS, 0.025,
        ),
        "a window without its control compares with nothing": (
            beside([420, 900], [200, 50], [400, None], [900, 0]), PASS, 0.05,
        ),
        "neither does a control without its samples, nor one without its value": (
            beside([420, 420, 900, 420], [100] * 4, [400, 700, None, 400], [199, None, 100, 1]),
            PASS, 0.05,
        ),
        "a control of no request": (beside([900], [300], [400], [0]), NO_DATA, None),
        "a control is weighted by its samples": (
            beside([420, 420], [200, 200], [300, 400], [100, 300]), FAIL, 0.12,
        ),
        "a control with too few samples": (beside([420], [300], [400], [20]), TOO_FEW, 0.05),
    },
)  # fmt: skip
def test_a_latency_increase(judging: Judging, expected: Outcome, increase: float | None) -> None:
    finding = judging()
    assert outcome(finding) == expected
    assert finding.measured == (None if increase is None else pytest.approx(increase, abs=1e-9))


SENTENCES = {
    "holds at its bound": latency([400, 440], [100, 100]),
    "holds, and is faster": latency([380], [200]),
    "holds beside a control": beside([420, 900], [200, 50], [400, None], [900, 0]),
    "fails": latency([400, 480], [100, 300]),
    "fails close to its bound": latency([420.12], [200]),
    "so far, before the end of the bake": latency([900], [5_000], bake="24h"),
    "too few samples of the canary": latency([900], [199]),
    "too few samples of the baseline": latency([400], [300], stored=TOO_SMALL),
    "no data": latency([None], [None]),
    "before the first window has closed": latency([], []),
    "answered in part": latency([400], [300], answer=PARTIAL),
}
