"""Criteria of kind traffic: requests arrive, and silence fails where a control shows it is odd."""

from functools import partial
from typing import Any

from tests.sentences import Sentences
from tests.support.cases import cases
from tests.support.core import QueryStatus
from tests.support.judging import (
    FAIL,
    NO_DATA,
    PASS,
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

TRAFFIC: dict[str, Any] = {
    "kind": "traffic", "judge": "threshold", "metric": "requests", "min": 1, "window": "1m",
}  # fmt: skip


def traffic(
    requests: Values,
    control: Values | None = None,
    *,
    weight: int = 10,
    answer: QueryStatus = QueryStatus.COMPLETE,
    **changes: Any,
) -> Judging:
    """Return how to judge so many requests in each minute, and so many of the stable path."""
    metrics: dict[str, Values] = {"requests": requests}
    if control is not None:
        changes["control"] = "stable"
        metrics["stable"] = control
    series = datapoints(metrics, answers={"requests": answer})
    return partial(judged, TRAFFIC | changes, series, closed=len(requests), weight=weight)


ERROR, PARTIAL = QueryStatus.ERROR, QueryStatus.PARTIAL


@cases(
    "judging, expected, arrived",
    {
        "one request reached the canary": (traffic([None, 1, None]), PASS, 1),
        "silence without a control": (traffic([None, None]), NO_DATA, 0),
        "fewer requests than required": (traffic([3, None], min=5), TOO_FEW, 3),
        "as many as required": (traffic([3, 2], min=5), PASS, 5),
        "silence that is unlikely given the control: 7 were due, exp(-7) is below 0.1%": (
            traffic([None, None], control=[30, 33]), FAIL, 0,
        ),
        "silence that may be chance: exp(-6.9) is above 0.1%": (
            traffic([None, None], control=[30, 32]), NO_DATA, 0,
        ),
        "at 50% as many are due as the control had": (
            traffic([None, None], control=[7, None], weight=50), FAIL, 0,
        ),
        "a canary that was reached once does not fail": (
            traffic([1, None], control=[9_000, 9_000], min=5), TOO_FEW, 1,
        ),
        "no control at 100%": (traffic([None], control=[9_000], weight=100), NO_DATA, 0),
        "an outage is not held against the canary": (
            traffic([None], control=[9_000], answer=ERROR), UNANSWERED, None,
        ),
        "an answer in part": (traffic([1], answer=PARTIAL), UNANSWERED, None),
        "before the first minute has closed": (traffic([]), UNDECIDED, None),
    },
)  # fmt: skip
def test_traffic(judging: Judging, expected: Outcome, arrived: int | None) -> None:
    finding = judging()
    assert outcome(finding) == expected
    assert (finding.measured, finding.samples or 0) == (arrived, arrived or 0)


SENTENCES: Sentences = {
    "requests arrived": traffic([None, 1, None]),
    "too few requests arrived": traffic([3, None], min=5),
    "the canary is not reached": traffic([None, None], control=[30, 33]),
    "a failed query": traffic([None], answer=ERROR),
    "a series that was not read": partial(judged, TRAFFIC, {}, closed=5),
    "before the first minute has closed": traffic([]),
}
