"""Criteria of kind burn_rate: a budget fails when both windows of a pair burn too fast."""

from collections.abc import Sequence
from typing import Any

import pytest

from controller.core.judge.findings import Finding, Label, Verdict
from controller.core.judge.gate import judge, seal_tallies
from controller.core.observation import QueryStatus, Series
from controller.core.units import MINUTE_S, from_unix
from tests.core.judge.kinds import START, evidence_of, judge_criterion
from tests.support.rollouts import MINUTE, a_series

BURN: dict[str, Any] = {
    "kind": "burn_rate", "total": "canary", "failures": ["errors"], "slo": "99.9%",
}  # fmt: skip
EVERY = 5  # minutes in a window
HOUR = 12  # windows in an hour
PASS, FAIL, INCONCLUSIVE = Verdict.PASS, Verdict.FAIL, Verdict.INCONCLUSIVE


def series_of(failed: Sequence[float | None], requests: float = 1_000) -> dict[str, Series]:
    """Return so many failures in each five minutes of 1 000 requests; None: no request."""
    total = [None if one is None else requests for one in failed]
    return {
        "canary:Sum@300": a_series(total, every=EVERY * MINUTE),
        "errors:Sum@300": a_series(failed, every=EVERY * MINUTE),
    }


def verdict_of(failed: Sequence[float | None], requests: float = 1_000, **fields: Any) -> Verdict:
    closed = len(failed) * EVERY
    return judge_criterion({**BURN, **fields}, series_of(failed, requests), closed=closed).verdict


@pytest.mark.parametrize(
    ("failed", "verdict"),
    [
        pytest.param([0] * HOUR, PASS, id="no failure"),
        pytest.param([1] * HOUR, PASS, id="exactly the budget"),
        pytest.param([5] * 6 * HOUR, PASS, id="five times as fast for six hours"),
        pytest.param([7] * 6 * HOUR, FAIL, id="seven times as fast for six hours"),
        pytest.param([7] * 5 * HOUR, PASS, id="not long enough"),
        pytest.param([15] * HOUR, FAIL, id="fifteen times as fast for an hour"),
        pytest.param([14] * HOUR, PASS, id="fourteen times as fast for an hour"),
        pytest.param([0] * 11 + [200], FAIL, id="what one window burns of the hour's budget"),
        pytest.param([0] * 11 + [170], PASS, id="nearly that"),
    ],
)
def test_a_budget_fails_when_both_windows_burn_too_fast(
    failed: list[float], verdict: Verdict
) -> None:
    assert verdict_of(failed) is verdict


@pytest.mark.parametrize(
    ("newest", "verdict"),
    [
        pytest.param(1, PASS, id="it hardly burns any more"),
        pytest.param(3, FAIL, id="it still burns"),
    ],
)
def test_a_long_window_that_burnt_fails_only_while_it_still_burns(
    newest: float, verdict: Verdict
) -> None:
    """23 in an hour are 1.9 times as fast, and one more is 2; the short window decides."""
    pair: dict[str, Any] = {"windows": [{"factor": 1.95, "long": "1h", "short": "5m"}]}
    assert verdict_of([23, 0, 0, 0, 0, 0, newest], **pair) is verdict


def test_the_time_before_the_step_counts_as_within_budget() -> None:
    """Six minutes at 20 times are no hour at 20 times; twelve windows are."""
    assert verdict_of([20] * 1) is PASS
    assert verdict_of([20] * 8) is PASS
    assert verdict_of([20] * 9) is FAIL


def test_an_outage_needs_no_hour() -> None:
    assert verdict_of([1_000]) is FAIL


def test_a_breach_stays_failed_however_late_a_tick_is() -> None:
    assert verdict_of([1_000] + [0] * 71) is FAIL


# --- Bounds, where floats are exact: one in two may fail ------------------------------------------

HALF: dict[str, Any] = {"slo": "50%", "min_samples": 2_000}
SHORT = {"factor": 1.5, "long": "10m", "short": "5m"}
# In ten windows everything fails, of just too few requests for ten minutes to fail.
ALL_BAD: list[tuple[float, float]] = [(999, 999)] * 10


def finding_over(
    windows: Sequence[tuple[float, float]], pairs: Sequence[Any], min_samples: int
) -> Finding:
    """Return the finding over windows of requests and failures."""
    total, failed = ([one[part] for one in windows] for part in (0, 1))
    series = {
        "canary:Sum@300": a_series(total, every=EVERY * MINUTE),
        "errors:Sum@300": a_series(failed, every=EVERY * MINUTE),
    }
    criterion = {**BURN, **HALF, "windows": list(pairs), "min_samples": min_samples}
    return judge_criterion(criterion, series, closed=len(windows) * EVERY)


@pytest.mark.parametrize(
    ("windows", "min_samples", "label"),
    [
        pytest.param([(1_000, 750)] * 2, 2_000, Label.NOT_REFUTED, id="exactly as fast as it may"),
        pytest.param([(1_000, 751)] * 2, 2_000, Label.REFUTED, id="faster, with just enough"),
        pytest.param([(1_000, 751)] * 2, 2_001, Label.TOO_FEW, id="one request too few"),
        pytest.param(
            [(1_000, 0)] + [(1_000, 750)] * 2, 2_001, Label.NOT_REFUTED,
            id="too few to fail, and not faster than it may now",
        ),
        pytest.param(
            [(1_000, 0)] * 2 + [(1_000, 760)] * 2, 2_001, Label.TOO_FEW,
            id="too few to fail, and a little faster now",
        ),
        pytest.param(
            [(1_000, 750)] * 3, 2_001, Label.NOT_REFUTED,
            id="too few to fail, and not faster than it may over the whole step",
        ),
        pytest.param(
            [*ALL_BAD, (900, 0), (900, 0)], 2_000, Label.TOO_FEW,
            id="too few to fail, and faster over the whole step",
        ),
        pytest.param(
            [*ALL_BAD, (1_000, 0), (1_000, 0)], 2_000, Label.NOT_REFUTED,
            id="faster over the whole step, and just enough to fail now",
        ),
    ],
)  # fmt: skip
def test_a_pair_of_windows_at_its_bounds(
    windows: list[tuple[float, float]], min_samples: int, label: Label
) -> None:
    assert finding_over(windows, [SHORT], min_samples).label is label


@pytest.mark.parametrize(
    ("windows", "min_samples", "factor", "bound"),
    [
        pytest.param(
            [(1_000, 0)] * 2 + [(1_000, 751)] * 2, 2_000, 1.9, 1.5,
            id="the one that just has enough",
        ),
        pytest.param(
            [(1_000, 1_000)] * 4, 3_000, 1.6, 1.6,
            id="the one that has, though another burns faster",
        ),
    ],
)  # fmt: skip
def test_of_two_pairs_the_one_fails_that_has_requests_enough(
    windows: list[tuple[float, float]], min_samples: int, factor: float, bound: float
) -> None:
    finding = finding_over(
        windows, [SHORT, {"factor": factor, "long": "20m", "short": "10m"}], min_samples
    )
    assert (finding.verdict, finding.bound) == (FAIL, bound)


def test_just_enough_requests_pass() -> None:
    assert verdict_of([0], 300) is PASS
    assert verdict_of([0], 299) is INCONCLUSIVE


# --- Missing data ---------------------------------------------------------------------------------

SINCE = "since 2026-11-24 12:00 UTC"


@pytest.mark.parametrize(
    ("failed", "requests", "label", "measured", "sentence"),
    [
        pytest.param(
            [1] * 2, 10, Label.TOO_FEW, 100 / 6,
            "C has too few samples: 20 of 300 that a pass needs; 2 failures in 20 requests.",
            id="one of ten is no rate",
        ),
        pytest.param(
            [None] * 3, 10, Label.NO_DATA, None,
            "C cannot be judged: no requests in this step; 0 failures in 0 requests "
            f"{SINCE}.", id="no request",
        ),
        pytest.param(
            [0, 0, None], 1_000, Label.NO_DATA, 0.0,
            "C cannot be judged: no requests since 2026-11-24 12:10 UTC; 0 failures in 2 000 "
            f"requests {SINCE}.", id="it fell silent",
        ),
        pytest.param(
            [5] + [None] * 72, 1_000, Label.NO_DATA, 0.0,
            "C cannot be judged: no requests since 2026-11-24 12:05 UTC; 5 failures in 1 000 "
            f"requests {SINCE}.", id="it has no data for as long as the longest window",
        ),
        pytest.param(
            [0, 0, 1_001], 1_000, Label.BAD_DATA, 0.0,
            "C cannot be judged: counts make no sense together; 0 failures in 2 000 requests "
            f"{SINCE}.", id="more failures than requests",
        ),
        pytest.param(
            [1_001, None], 1_000, Label.BAD_DATA, None,
            "C cannot be judged: counts make no sense together; 0 failures in 0 requests "
            f"{SINCE}.", id="more failures than requests, and then none at all",
        ),
        pytest.param(
            [], 1_000, Label.NOT_JUDGED, None,
            "C is not judged yet: no window of 5m has closed in this step.",
            id="no window has closed",
        ),
    ],
)  # fmt: skip
def test_what_is_missing_for_a_pass(
    failed: list[float | None],
    requests: float,
    label: Label,
    measured: float | None,
    sentence: str,
) -> None:
    finding = judge_criterion(BURN, series_of(failed, requests), closed=len(failed) * EVERY)
    assert (finding.verdict, finding.label) == (INCONCLUSIVE, label)
    assert finding.sentence == sentence
    assert finding.measured == (None if measured is None else pytest.approx(measured))


def test_bad_data_once_are_no_more_than_a_gap() -> None:
    assert verdict_of([1_001, 0]) is PASS


def test_a_window_without_requests_is_kept_as_empty() -> None:
    evidence = evidence_of(BURN, series_of([5, None, 1_001, 7]), closed=20)
    recent = seal_tallies(evidence, from_unix(START) + 35 * MINUTE)["C"].recent
    assert recent == ((1_000, 5), (0, 0), (0, 0), (1_000, 7))


DAY = 24 * HOUR


@pytest.mark.parametrize(
    ("failed", "verdict"),
    [
        pytest.param([1] * DAY, INCONCLUSIVE, id="half of them fail, all day long"),
        pytest.param([1] * (DAY - 1) + [0], INCONCLUSIVE, id="but for the newest two"),
        pytest.param([0] * (DAY - 1) + [1], INCONCLUSIVE, id="one of the newest two"),
        pytest.param([0] * (DAY - 7) + [1] + [0] * 6, PASS, id="one, and none for half an hour"),
        pytest.param([0] * DAY, PASS, id="none"),
    ],
)
def test_in_little_traffic_no_window_can_fail_and_a_budget_that_burns_does_not_pass(
    failed: list[float], verdict: Verdict
) -> None:
    """Two requests in five minutes are 24 in an hour and 576 in a day."""
    finding = judge_criterion(BURN, series_of(failed, 2), closed=DAY * EVERY)
    assert finding.verdict is verdict
    assert finding.label is (Label.TOO_FEW if verdict is INCONCLUSIVE else Label.NOT_REFUTED)


def test_a_budget_that_burns_in_too_few_requests_says_so() -> None:
    finding = judge_criterion(BURN, series_of([1] * DAY, 2), closed=DAY * EVERY)
    assert finding.sentence == (
        "C has too few samples: the budget of 0.1% burns more than 6 times as fast as it may, and "
        "6h have 144 of 300 requests that a fail needs; 288 failures in 576 requests since "
        "2026-11-24 12:00 UTC."
    )


def test_a_failed_query_is_no_budget() -> None:
    series = {
        **series_of([0]),
        "errors:Sum@300": Series(answer=QueryStatus.ERROR, message="throttled"),
    }
    finding = judge_criterion(BURN, series, closed=EVERY)
    assert (finding.verdict, finding.label) == (INCONCLUSIVE, Label.QUERY_FAILED)
    assert finding.sentence == (
        "C cannot be judged: CloudWatch did not answer for errors (Sum): throttled."
    )


def test_a_finding_says_how_fast_which_window_burnt() -> None:
    finding = judge_criterion(BURN, series_of([15] * HOUR), closed=60)
    assert finding.sentence == (
        "C fails: the budget of 0.1% burnt 15 times as fast as it may, more than 14.4 times, "
        "2026-11-24 12:00 to 13:00 UTC; 180 failures in 12 000 requests since "
        "2026-11-24 12:00 UTC."
    )
    assert finding.measured == pytest.approx(15)
    assert finding == Finding(
        "C", FAIL, Label.REFUTED, finding.measured, 14.4, 12_000, START, START + 3_600,
        finding.sentence,
    )  # fmt: skip


def test_a_failure_is_reported_as_it_was_when_it_failed() -> None:
    finding = judge_criterion(BURN, series_of([1_000] + [0] * 71), closed=72 * EVERY)
    assert finding.measured == pytest.approx(1_000 / 12)
    assert finding.bound == 14.4
    later = judge_criterion(BURN, series_of([7] * 72 + [0] * 12), closed=84 * EVERY)
    assert (later.verdict, later.bound) == (FAIL, 6)  # of its pair, though another is as near now
    assert finding.sentence.startswith(
        "C fails: the budget of 0.1% burnt 83.3 times as fast as it may, more than 14.4 times, "
        "2026-11-24 12:00 to 12:05 UTC; 1 000 failures in 72 000 requests "
    )


def test_a_pass_says_how_fast_each_window_burns() -> None:
    finding = judge_criterion(BURN, series_of([3] * HOUR, 700), closed=60)
    assert finding.sentence == (
        "C holds: the budget of 0.1% burns 4.3 and 4.3 times over 1h and 5m (at most 14.4), 0.7 "
        "and 4.3 times over 6h and 30m (at most 6), where 1 is as fast as it may; 36 failures in "
        "8 400 requests since 2026-11-24 12:00 UTC."
    )
    assert finding.measured == pytest.approx(3 / 0.7)


def test_sealed_evidence_says_the_same_as_all_of_it() -> None:
    """What is sealed is not read again: the newest windows are kept in the tally."""
    failed = [7.0] * 6 * HOUR
    closed = len(failed) * EVERY
    whole = evidence_of(BURN, series_of(failed), closed=closed)
    tallies = seal_tallies(
        evidence_of(BURN, series_of(failed[:66]), closed=330), from_unix(START) + 345 * MINUTE
    )
    through = tallies["C"].through
    assert through == START + 330 * MINUTE_S
    rest = {
        key: Series({second: value for second, value in one.points.items() if second >= through})
        for key, one in series_of(failed).items()
    }
    assert judge(evidence_of(BURN, rest, closed=closed, tallies=tallies)) == judge(whole)


def test_lost_windows_burn_nothing() -> None:
    """A query that stays unanswered for six hours is given up; the others keep their place."""
    broken = {
        key: Series(one.points, QueryStatus.ERROR, "throttled")
        for key, one in series_of([20] * 9).items()
    }
    tallies = seal_tallies(
        evidence_of(BURN, series_of([20] * 4), closed=20), from_unix(START) + 35 * MINUTE
    )
    late = from_unix(START) + 405 * MINUTE
    lost = seal_tallies(evidence_of(BURN, broken, closed=400, tallies=tallies), late)["C"]
    assert lost.lost == 5
    assert lost.recent == ((1_000.0, 20.0),) * 4 + ((0.0, 0.0),) * 5


def test_what_is_kept_does_not_grow_while_queries_fail() -> None:
    """A pause has no limit, and a store takes no state of any size."""
    broken = {key: Series({}, QueryStatus.ERROR, "denied") for key in series_of([0])}
    tallies = seal_tallies(
        evidence_of(BURN, series_of([0]), closed=5), from_unix(START) + 20 * MINUTE
    )
    for hour in range(1, 48):
        minutes = 60 * hour
        evidence = evidence_of(BURN, broken, closed=minutes, tallies=tallies)
        tallies = seal_tallies(evidence, from_unix(START) + minutes * MINUTE)
    assert tallies["C"].lost > 6 * HOUR
    assert len(tallies["C"].recent) == 6 * HOUR
