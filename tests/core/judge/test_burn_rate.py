"""Criteria of kind burn_rate: a budget fails when both windows of a pair burn too fast."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from tests.sentences import Sentences, recorded, spoken
from tests.support.core import Finding, QueryStatus, Series, Verdict
from tests.support.judging import (
    BAD_DATA,
    FAIL,
    HOUR,
    MINUTE_S,
    NO_DATA,
    PASS,
    SEAL_AGE,
    SETTLE,
    START,
    TOO_FEW,
    UNANSWERED,
    UNDECIDED,
    Outcome,
    Values,
    a_step,
    datapoints,
    findings_at,
    judged,
    judged_minutes,
    outcome,
    sealed,
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


def budget(failed: Values, requests: float = 1_000, **fields: Any) -> Callable[[], Finding]:
    """Return how to judge a budget of one in a thousand after these windows."""
    closed = len(failed) * EVERY
    return partial(judged, BURN | fields, counts(failed, requests), closed=closed)


@pytest.mark.parametrize(
    ("failed", "verdict"),
    [
        pytest.param([0] * IN_HOUR, Verdict.PASS, id="no failure"),
        pytest.param([1] * IN_HOUR, Verdict.PASS, id="exactly the budget"),
        pytest.param([5] * 6 * IN_HOUR, Verdict.PASS, id="five times as fast for six hours"),
        pytest.param([7] * 6 * IN_HOUR, Verdict.FAIL, id="seven times as fast for six hours"),
        pytest.param([7] * 5 * IN_HOUR, Verdict.PASS, id="not long enough"),
        pytest.param([15] * IN_HOUR, Verdict.FAIL, id="fifteen times as fast for an hour"),
        pytest.param([14] * IN_HOUR, Verdict.PASS, id="fourteen times as fast for an hour"),
        pytest.param([0] * 11 + [200], Verdict.FAIL, id="what one window burns of the hour's"),
        pytest.param([0] * 11 + [170], Verdict.PASS, id="nearly that"),
        pytest.param([20] * 8, Verdict.PASS, id="the time before the step is within the budget"),
        pytest.param([20] * 9, Verdict.FAIL, id="and not for ever"),
        pytest.param([1_000], Verdict.FAIL, id="an outage needs no hour"),
        pytest.param([1_000] + [0] * 71, Verdict.FAIL, id="a breach, however late a tick is"),
        pytest.param([1_001, 0], Verdict.PASS, id="bad data once are no more than a gap"),
    ],
)
def test_a_budget_fails_when_both_windows_burn_too_fast(failed: Values, verdict: Verdict) -> None:
    assert budget(failed)().verdict is verdict


@pytest.mark.parametrize(
    ("newest", "expected"),
    [pytest.param(1, PASS, id="it hardly burns"), pytest.param(3, FAIL, id="it still burns")],
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


@pytest.mark.parametrize(
    ("windows", "min_samples", "expected"),
    [
        pytest.param([(1_000, 750)] * 2, 2_000, PASS, id="exactly as fast as it may"),
        pytest.param([(1_000, 751)] * 2, 2_000, FAIL, id="faster, with just enough"),
        pytest.param([(1_000, 751)] * 2, 2_001, TOO_FEW, id="one request too few"),
        pytest.param(
            [(1_000, 0)] + [(1_000, 750)] * 2, 2_001, PASS,
            id="too few to fail, and not faster than it may now",
        ),
        pytest.param(
            [(1_000, 0)] * 2 + [(1_000, 760)] * 2, 2_001, TOO_FEW,
            id="too few to fail, and a little faster now",
        ),
        pytest.param(
            [(1_000, 750)] * 3, 2_001, PASS,
            id="too few to fail, and not faster than it may over the whole step",
        ),
        pytest.param(
            [*ALL_BAD, (900, 0), (900, 0)], 2_000, TOO_FEW,
            id="too few to fail, and faster over the whole step",
        ),
        pytest.param(
            [*ALL_BAD, (1_000, 0), (1_000, 0)], 2_000, PASS,
            id="faster over the whole step, and just enough to fail now",
        ),
    ],
)  # fmt: skip
def test_a_pair_of_windows_at_its_bounds(
    windows: list[tuple[float, float]], min_samples: int, expected: Outcome
) -> None:
    assert outcome(half(windows, min_samples)) == expected


@pytest.mark.parametrize(
    ("windows", "min_samples", "factor", "bound"),
    [
        pytest.param([(1_000, 0)] * 2 + [(1_000, 751)] * 2, 2_000, 1.9, 1.5, id="with just enough"),
        pytest.param([(1_000, 1_000)] * 4, 3_000, 1.6, 1.6, id="though another burns faster"),
    ],
)  # fmt: skip
def test_of_two_pairs_the_one_fails_that_has_requests_enough(
    windows: list[tuple[float, float]], min_samples: int, factor: float, bound: float
) -> None:
    finding = half(windows, min_samples, {"factor": factor, "long": "20m", "short": "10m"})
    assert (outcome(finding), finding.bound) == (FAIL, bound)


# --- Missing data ---------------------------------------------------------------------------------

A_THIN_DAY = budget([1] * IN_DAY, 2)


@pytest.mark.parametrize(
    ("judging", "expected", "measured"),
    [
        pytest.param(budget([0], 300), PASS, 0, id="just enough requests"),
        pytest.param(budget([0], 299), TOO_FEW, 0, id="one too few"),
        pytest.param(budget([1] * 2, 10), TOO_FEW, 100 / 6, id="one of ten is no rate"),
        pytest.param(budget([None] * 3), NO_DATA, None, id="no request"),
        pytest.param(budget([0, 0, None]), NO_DATA, 0, id="it fell silent"),
        pytest.param(budget([5] + [None] * 72), NO_DATA, 0, id="silent for six hours"),
        pytest.param(budget([0, 0, 1_001]), BAD_DATA, 0, id="more failures than requests"),
        pytest.param(budget([1_001, None]), BAD_DATA, None, id="and then none at all"),
        pytest.param(budget([]), UNDECIDED, None, id="no window has closed"),
    ],
)
def test_what_is_missing_for_a_pass(
    judging: Callable[[], Finding], expected: Outcome, measured: float | None
) -> None:
    finding = judging()
    assert outcome(finding) == expected
    assert finding.measured == (None if measured is None else pytest.approx(measured))


@pytest.mark.parametrize(
    ("failed", "expected"),
    [
        pytest.param([1] * IN_DAY, TOO_FEW, id="half of them fail, all day long"),
        pytest.param([1] * (IN_DAY - 1) + [0], TOO_FEW, id="but for the newest two"),
        pytest.param([0] * (IN_DAY - 1) + [1], TOO_FEW, id="one of the newest two"),
        pytest.param([0] * (IN_DAY - 7) + [1] + [0] * 6, PASS, id="one, half an hour ago"),
        pytest.param([0] * IN_DAY, PASS, id="none"),
    ],
)
def test_in_little_traffic_no_window_can_fail_and_a_budget_that_burns_does_not_pass(
    failed: Values, expected: Outcome
) -> None:
    """Two requests in five minutes are 24 in an hour and 576 in a day."""
    assert outcome(budget(failed, 2)()) == expected


def test_a_failed_query_is_no_budget() -> None:
    errors = {"errors:Sum@300": Series(answer=QueryStatus.ERROR, message="throttled")}
    assert outcome(judged(BURN, counts([0]) | errors, closed=EVERY)) == UNANSWERED


# --- Findings -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("judging", "measured", "bound"),
    [
        pytest.param(budget([15] * IN_HOUR), 15, 14.4, id="how fast it burnt"),
        pytest.param(budget([3] * IN_HOUR, 700), 3 / 0.7, 14.4, id="of the nearest pair"),
        pytest.param(budget([1_000] + [0] * 71), 1_000 / 12, 14.4, id="as it was when it failed"),
        pytest.param(budget([7] * 72 + [0] * 12), 434 / 72, 6, id="of the pair that failed"),
    ],
)
def test_a_finding_measures(judging: Callable[[], Finding], measured: float, bound: float) -> None:
    finding = judging()
    assert finding.measured == pytest.approx(measured)
    assert finding.bound == bound


def test_a_finding_counts_the_requests_of_the_step() -> None:
    finding = budget([15] * IN_HOUR)()
    assert (finding.samples, judged_minutes(finding)) == (12_000, (0, 60))


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


def test_sentences() -> None:
    assert spoken(SENTENCES) == recorded(__file__)


# --- Seals ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "failed",
    [
        pytest.param([7] * 6 * IN_HOUR, id="a budget that burns"),
        pytest.param([20, 20, None, 1_001] * 5, id="with gaps and bad data"),
        pytest.param([0, None] * 6 + [160, 0], id="and just not too fast"),
    ],
)
def test_sealed_evidence_says_the_same_as_all_of_it(failed: Values) -> None:
    """What is sealed is not read again: the newest windows are kept."""
    closed, whole, step = len(failed) * EVERY, counts(failed), a_step(BURN)
    later = sealed(step, whole, closed // 2 + SEAL_AGE)
    through = later.tallies["C"].through
    assert START < through < START + closed * MINUTE_S
    rest = {
        key: replace(one, points={at: n for at, n in one.points.items() if at >= through})
        for key, one in whole.items()
    }
    tick = closed + SETTLE
    assert findings_at(later, rest, tick) == findings_at(step, whole, tick)


@pytest.mark.parametrize(("failed", "expected"), [(12, PASS), (20, FAIL)])
def test_windows_that_were_never_answered_are_as_windows_without_a_request(
    failed: int, expected: Outcome
) -> None:
    """An outage of a query, between twenty minutes and a quarter of an hour that burn."""
    rest = [failed] * 3 + [0] * 68
    burning, gap = counts([failed] * 9 + rest), counts([*[failed] * 4, *[None] * 5, *rest])
    early = sealed(a_step(BURN), burning, 20 + SEAL_AGE)
    broken = {key: replace(one, answer=QueryStatus.ERROR) for key, one in burning.items()}
    late = sealed(early, broken, 405)
    assert (early.tallies["C"].lost, late.tallies["C"].lost) == (0, 5)
    (finding,) = findings_at(late, burning, 400 + SETTLE)
    (as_a_gap,) = findings_at(a_step(BURN), gap, 400 + SETTLE)
    assert outcome(finding) == outcome(as_a_gap) == expected
    assert (finding.measured, finding.bound) == (as_a_gap.measured, as_a_gap.bound)


def test_what_is_kept_does_not_grow_while_queries_fail() -> None:
    """A pause has no limit, and a store takes no state of any size."""
    broken = {key: Series({}, QueryStatus.ERROR, "denied") for key in counts([0])}
    rollout, sizes = sealed(a_step(BURN), counts([0]), 20), []
    for hour in range(1, 48):
        rollout = sealed(rollout, broken, hour * HOUR.total_seconds() / MINUTE_S)
        sizes.append(len(str(rollout.tallies)))
    assert rollout.tallies["C"].lost > 6 * IN_HOUR
    assert sizes[-1] <= sizes[12] + 10  # but for the digits of what was lost
