"""Criteria of kind burn_rate: a budget fails when both windows of a pair burn too fast."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import pytest

from controller.immutable import replace
from tests.sentences import Sentences
from tests.support.cases import cases
from tests.support.core import Finding, QueryStatus, Series, Verdict
from tests.support.judging import (
    BAD_DATA,
    CHECKPOINT_AGE,
    FAIL,
    MINUTE_S,
    NO_DATA,
    PASS,
    SETTLE,
    SILENT,
    START,
    TOO_FEW,
    UNANSWERED,
    UNDECIDED,
    Judging,
    Outcome,
    Values,
    a_step,
    datapoints,
    findings_at,
    judged,
    outcome,
    with_checkpoint,
)

BURN: dict[str, Any] = {
    "kind": "burn_rate", "total": "requests", "failures": ["errors"], "slo": "99.9%",
}  # fmt: skip
EVERY = 5  # minutes in a window
IN_HOUR, IN_DAY = 12, 288  # windows


def counts(failed: Values, requests: float = 1_000) -> dict[str, Series]:
    """Return so many failures of so many requests in each five minutes; None: no request."""
    total = [None if one is None else requests for one in failed]
    return datapoints({"requests": total, "errors": failed}, every=EVERY)


def budget(failed: Values, requests: float = 1_000, **fields: Any) -> Judging:
    """Return how to judge a budget of one in a thousand after these windows."""
    closed = len(failed) * EVERY
    return partial(judged, BURN | fields, counts(failed, requests), closed=closed)


@cases(
    "failed, verdict",
    {
        "no failure": ([0] * IN_HOUR, Verdict.PASS),
        "exactly the budget": ([1] * IN_HOUR, Verdict.PASS),
        "five times as fast for six hours": ([5] * 6 * IN_HOUR, Verdict.PASS),
        "seven times as fast for six hours": ([7] * 6 * IN_HOUR, Verdict.FAIL),
        "seven times as fast for five hours": ([7] * 5 * IN_HOUR, Verdict.PASS),
        "fifteen times as fast for an hour": ([15] * IN_HOUR, Verdict.FAIL),
        "fourteen times as fast for an hour": ([14] * IN_HOUR, Verdict.PASS),
        "what one window burns of the hour's": ([0] * 11 + [200], Verdict.FAIL),
        "nearly what one window burns of it": ([0] * 11 + [170], Verdict.PASS),
        "the time before the step is within the budget": ([20] * 8, Verdict.PASS),
        "20 times as fast for three quarters of an hour": ([20] * 9, Verdict.FAIL),
        "an outage needs no hour": ([1_000], Verdict.FAIL),
        "a breach, however late a tick is": ([1_000] + [0] * 71, Verdict.FAIL),
        "bad data once are no more than a gap": ([1_001, 0], Verdict.PASS),
    },
)
def test_a_budget_fails_when_both_windows_burn_too_fast(failed: Values, verdict: Verdict) -> None:
    assert budget(failed)().verdict is verdict


@cases(
    "newest, expected",
    {
        "it hardly burns": (1, PASS),
        "it still burns": (3, FAIL),
    },
)
def test_a_long_window_that_burnt_fails_only_while_it_still_burns(
    newest: float, expected: Outcome
) -> None:
    """23 in an hour are 1.9 times as fast, and one more is 2; the short window decides."""
    pair = {"factor": 1.95, "long": "1h", "short": "5m"}
    assert outcome(budget([23, 0, 0, 0, 0, 0, newest], windows=[pair])()) == expected


# --- Bounds, where floats are exact: one in two may fail ------------------------------------------

SHORT = {"factor": 1.5, "long": "10m", "short": "5m"}
# In ten windows everything fails, of just too few requests for ten minutes to fail.
ALL_BAD: list[tuple[float, float]] = [(999, 999)] * 10


def half(
    windows: Sequence[tuple[float, float]], min_samples: int, *more: dict[str, Any]
) -> Finding:
    """Return the finding over windows of requests and failures."""
    requests, failed = zip(*windows, strict=True)
    series = datapoints({"requests": requests, "errors": failed}, every=EVERY)
    pairs = {"slo": "50%", "windows": [SHORT, *more], "min_samples": min_samples}
    return judged(BURN | pairs, series, closed=len(windows) * EVERY)


@cases(
    "windows, min_samples, expected",
    {
        "exactly as fast as it may": ([(1_000, 750)] * 2, 2_000, PASS),
        "faster, with just enough": ([(1_000, 751)] * 2, 2_000, FAIL),
        "one request too few": ([(1_000, 751)] * 2, 2_001, TOO_FEW),
        "too few to fail, and not faster than it may now": (
            [(1_000, 0)] + [(1_000, 750)] * 2, 2_001, PASS,
        ),
        "too few to fail, and a little faster now": (
            [(1_000, 0)] * 2 + [(1_000, 760)] * 2, 2_001, TOO_FEW,
        ),
        "too few to fail, and not faster than it may over the whole step": (
            [(1_000, 750)] * 3, 2_001, PASS,
        ),
        "too few to fail, and faster over the whole step": (
            [*ALL_BAD, (900, 0), (900, 0)], 2_000, TOO_FEW,
        ),
        "faster over the whole step, and just enough to fail now": (
            [*ALL_BAD, (1_000, 0), (1_000, 0)], 2_000, PASS,
        ),
    },
)  # fmt: skip
def test_a_pair_of_windows_at_its_bounds(
    windows: list[tuple[float, float]], min_samples: int, expected: Outcome
) -> None:
    assert outcome(half(windows, min_samples)) == expected


# --- Missing data ---------------------------------------------------------------------------------

A_THIN_DAY = budget([1] * IN_DAY, 2)


@cases(
    "judging, expected, measured",
    {
        "just enough requests": (budget([0], 300), PASS, 0),
        "one too few": (budget([0], 299), TOO_FEW, 0),
        "one of ten is no rate": (budget([1] * 2, 10), TOO_FEW, 100 / 6),
        "no request": (budget([None] * 3), NO_DATA, None),
        "it fell silent": (budget([0, 0, None]), SILENT, 0),
        "silent for as long as the longest window": (budget([5] + [None] * 72), SILENT, 0),
        "more failures than requests": (budget([0, 0, 1_001]), BAD_DATA, 0),
        "more failures than requests, then none at all": (budget([1_001, None]), BAD_DATA, None),
        "no window has closed": (budget([]), UNDECIDED, None),
    },
)
def test_what_is_missing_for_a_pass(
    judging: Judging, expected: Outcome, measured: float | None
) -> None:
    finding = judging()
    assert outcome(finding) == expected
    assert finding.measured == (None if measured is None else pytest.approx(measured))


@cases(
    "failed, expected",
    {
        "half of them fail, all day long": ([1] * IN_DAY, TOO_FEW),
        "half of them fail, but for the newest two": ([1] * (IN_DAY - 1) + [0], TOO_FEW),
        "one of the newest two fails": ([0] * (IN_DAY - 1) + [1], TOO_FEW),
        "one, half an hour ago": ([0] * (IN_DAY - 7) + [1] + [0] * 6, PASS),
        "none": ([0] * IN_DAY, PASS),
    },
)
def test_in_little_traffic_no_window_can_fail_and_a_budget_that_burns_does_not_pass(
    failed: Values, expected: Outcome
) -> None:
    """Two requests in five minutes are 24 in an hour and 576 in a day."""
    assert outcome(budget(failed, 2)()) == expected


def test_a_failed_query_is_no_budget() -> None:
    errors = {"errors:Sum@300": Series(status=QueryStatus.ERROR, message="throttled")}
    assert outcome(judged(BURN, counts([0]) | errors, closed=EVERY)) == UNANSWERED


# --- Findings -------------------------------------------------------------------------------------


SENTENCES: Sentences = {
    "holds": budget([3] * IN_HOUR, 700),
    "fails": budget([15] * IN_HOUR),
    "failed some time ago": budget([1_000] + [0] * 71),
    "burns in too few requests": A_THIN_DAY,
    "has too few samples": budget([1] * 2, 10),
    "has no data": budget([None] * 3),
    "fell silent": budget([0, 0, None]),
    "has bad data": budget([0, 0, 1_001]),
    "before the first window has closed": budget([]),
}


@cases(
    "failed",
    {
        "a budget that burns": [7] * 6 * IN_HOUR,
        "with gaps and bad data": [20, 20, None, 1_001] * 5,
        "and just not too fast": [0, None] * 6 + [160, 0],
    },
)
def test_a_checkpoint_says_the_same_as_all_minutes(failed: Values) -> None:
    """What the checkpoint has is not read again: the newest windows are kept."""
    closed, whole, step = len(failed) * EVERY, counts(failed), a_step(BURN)
    later = with_checkpoint(step, whole, closed // 2 + CHECKPOINT_AGE)
    through = later.evidence.tallies["C"].through
    assert START < through < START + closed * MINUTE_S
    rest = {
        key: replace(one, points={at: n for at, n in one.points.items() if at >= through})
        for key, one in whole.items()
    }
    tick = closed + SETTLE
    assert findings_at(later, rest, tick) == findings_at(step, whole, tick)


def test_what_is_kept_does_not_grow_while_queries_fail() -> None:
    """A pause has no limit, and a store takes no state of any size."""
    broken = {key: Series({}, QueryStatus.ERROR, "denied") for key in counts([0])}
    rollout, sizes = with_checkpoint(a_step(BURN), counts([0]), 20), []
    for hour in range(1, 48):
        rollout = with_checkpoint(rollout, broken, 60 * hour)
        sizes.append(len(str(rollout.evidence.tallies)))
    assert rollout.evidence.tallies["C"].unanswered > 6 * IN_HOUR
    assert sizes[-1] <= sizes[12] + 10  # but for the digits of what was lost
