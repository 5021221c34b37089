"""Criteria of kind success_rate, window by window: breaches in a row fail, silence never passes."""

from functools import partial
from typing import Any

from tests.support.cases import cases
from tests.support.core import QueryStatus
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

PARTIAL, ERROR, FORBIDDEN = QueryStatus.PARTIAL, QueryStatus.ERROR, QueryStatus.FORBIDDEN
RATE = {
    "kind": "success_rate", "judge": "threshold", "total": "requests",
    "failures": ["errors", "timeouts"], "min": "99.9%", "window": "5m", "failure_limit": 3,
    "min_samples": 300,
}  # fmt: skip


def rate(
    requests: Values,
    errors: Values,
    *,
    timeouts: Values = (),
    answer: QueryStatus = QueryStatus.COMPLETE,
    begin: int = 0,
    **changes: Any,
) -> Judging:
    """Return how to judge so many requests and failures in each five minutes."""
    series = datapoints(
        {"requests": requests, "errors": errors, "timeouts": timeouts},
        every=5, begin=begin, answers={"errors": answer},
    )  # fmt: skip
    return partial(judged, RATE | changes, series, closed=begin + 5 * len(requests), begin=begin)


@cases(
    "judging, expected",
    {
        "exactly at the bound": (rate([1000, 1000], [0, 1]), PASS),
        "exactly at a bound that binary fractions round up": (
            rate([10_000], [942], min="90.58%"), PASS,
        ),
        "as many breaches in a row as the limit": (rate([100] * 3, [1] * 3), FAIL),
        "silence does not end a run of breaches": (
            rate([100, None, 100, None, 100], [1, None, 1, None, 1]), FAIL,
        ),
        "a failure needs no min_samples": (rate([100] * 3, [1] * 3, min_samples=9_999), FAIL),
        "a good window ends a run": (rate([500] * 4, [1, 1, 0, 1]), UNDECIDED),
        "one breach, where the limit is one": (rate([500, 500], [0, 1], failure_limit=1), FAIL),
        "a run that failed before a late tick": (rate([100] * 5, [1, 2, 3, 0, 0]), FAIL),
        "as many failures as requests": (rate([100], [100], failure_limit=1), FAIL),
        "kinds of failures are added up": (
            rate([500, 500], [0, 0], timeouts=[0, 25], failure_limit=1), FAIL,
        ),
        "the newest window has no data": (rate([500, None], [0, None]), SILENT),
        "silence": (rate([None, None], [None, None]), NO_DATA),
        "no request": (rate([0, 0], [0, 0]), NO_DATA),
        "40 requests prove no 99.9%": (rate([20, 20], [0, 0]), TOO_FEW),
        "more may be required than it takes to show the rate": (
            rate([3_000], [0], min_samples=9_000), TOO_FEW,
        ),
        "requests, but no failure count": (rate([500, 500], [0, None]), BAD_DATA),
        "more failures than requests": (rate([500, 500], [0, 501]), BAD_DATA),
        "silence after data that did not fit": (rate([500, 500, None], [None, 0, None]), SILENT),
        "an answer in part": (rate([500, 500], [0, 0], answer=PARTIAL), UNANSWERED),
        "a failed query": (rate([500, 500], [], answer=ERROR), UNANSWERED),
        "a forbidden query": (rate([500, 500], [], answer=FORBIDDEN), UNANSWERED),
        "what an answer in part left out may have ended the run": (
            rate([500, 500], [5, 5], answer=PARTIAL, failure_limit=2), UNANSWERED,
        ),
        "before the first window has closed": (rate([], []), UNDECIDED),
    },
)  # fmt: skip
def test_a_success_rate(judging: Judging, expected: Outcome) -> None:
    assert outcome(judging()) == expected


SENTENCES = {
    "holds, and the requests do not show the rate": rate([1000, 1000], [0, 1]),
    "holds, and more requests than it takes show less with a failure": rate([2_995], [1]),
    "holds, and too many failures show less": rate([5_000, 5_000], [10, 0]),
    "holds, and a part of a failure is one": rate([2_000], [0.2]),
    "holds, and the requests show the rate": rate([3_000], [0]),
    "holds a rate that no requests show": rate([3_000], [0], min="100%"),
    "holds a bound far below a percent": rate([2_000_000], [0], min="99.9999%"),
    "holds far from its bound": rate([300], [2], min="99%"),
    "fails in a run of windows": rate([100, 100, 100, 100], [1, 1, 1, 0]),
    "fails in a run with gaps": rate([100, None, 100, None, 100], [1, None, 1, None, 1]),
    "fails in one window": rate([500, 500], [0, 1], failure_limit=1),
    "fails in the longest of two runs": rate([100] * 9, [1, 1, 1, 0, 2, 2, 2, 2, 0]),
    "fails close to its bound": rate([1_000_000], [1_004], failure_limit=1),
    "fails over midnight": rate([100] * 3, [9] * 3, begin=715),
    "breaches, and not often enough to fail": rate([500] * 4, [1, 1, 0, 1]),
    "has too few samples": rate([20, 20], [0, 0]),
    "has too few samples that show the rate": rate([3_000], [0], min_samples=9_000),
    "has gone silent": rate([500, None], [0, None]),
    "has no data": rate([None, None], [None, None]),
    "has a window of bad data": rate([500, 500], [0, None]),
    "has windows of bad data": rate([500, 500, 500], [0, 501, 501]),
    "was answered in part": rate([500], [0], answer=PARTIAL),
    "was not answered": rate([500], [], answer=ERROR),
    "may not be queried": rate([500], [], answer=FORBIDDEN),
    "before the first window has closed": rate([], []),
}
