"""The fold over the minutes of a rollout: each folded once, in order, whenever it was sealed."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.core.judge.evidence import StepInterval
from controller.core.judge.queries import queries_for, series_key, series_keys_of
from controller.core.judge.sequential_evidence import SequentialEvidence
from controller.core.observation import QueryStatus, Series
from controller.core.stats.combined_tests import Fold
from controller.core.units import MINUTE_S
from tests.support.sequential_rollouts import BASELINES, BUDGET, a_sequential_policy

MINUTES = 60
# Twenty minutes at 10 % with a control, one minute of both weights, and then all traffic.
POLICY = a_sequential_policy(
    steps=[
        {"weight": 10, "bake": "20m", "criteria": ["rate", "beside", "count", "limit", "share"]},
        {"weight": 100, "bake": "1h", "criteria": ["rate", "stored", "count", "limit", "share"]},
    ]
)
FIRST_STEP = StepInterval(0, 0, 120, 20 * MINUTE_S)
LAST_STEP = StepInterval(1, 21 * MINUTE_S, 23 * MINUTE_S)
INTERVALS = (FIRST_STEP, LAST_STEP)
KEYS = {
    series
    for step in range(2)
    for series in queries_for(POLICY, POLICY.gate(step), BASELINES)
}  # fmt: skip


def random_series(seed: int, gaps: float = 0.2) -> dict[str, Series]:
    """Return series in which datapoints are missing, and counts contradict each other at times."""
    rng = Random(seed)

    def value(name: str) -> float:
        many = "SampleCount" in name or name.startswith(("requests:", "stable:"))
        return float(rng.randrange(300) if many or rng.random() < 0.05 else rng.randrange(4))

    return {
        name: Series({at * MINUTE_S: value(name) for at in range(MINUTES) if rng.random() > gaps})
        for name in sorted(KEYS)
    }


def evidence_of(series: Mapping[str, Series], fold: Fold | None = None) -> SequentialEvidence:
    return SequentialEvidence(POLICY, fold or Fold(), INTERVALS, series, BASELINES)


def sealed_fold(series: Mapping[str, Series], ends: Sequence[int]) -> Fold:
    """Return the fold as it is stored after sealing up to each of `ends`, in minutes."""
    fold = Fold()
    for end in ends:
        fold = evidence_of(series, fold).fold_to_seal(end * MINUTE_S, 0)
    return fold


WORLDS = st.builds(random_series, st.integers(0, 10**6), st.sampled_from([0.0, 0.2, 0.9]))
ENDS = st.lists(st.integers(0, MINUTES), max_size=6).map(sorted)


@settings(max_examples=40, deadline=None)
@given(WORLDS, ENDS, st.integers(0, MINUTES))
def test_when_it_was_sealed_makes_no_difference(
    series: dict[str, Series], ends: list[int], now: int
) -> None:
    unsealed = evidence_of(series).fold_until(now * MINUTE_S)
    sealed = sealed_fold(series, [one for one in ends if one <= now])
    assert evidence_of(series, sealed).fold_until(now * MINUTE_S) == unsealed


@settings(max_examples=20, deadline=None)
@given(WORLDS, st.integers(0, MINUTES), st.integers(0, MINUTES))
def test_no_minute_is_folded_twice(series: dict[str, Series], first: int, second: int) -> None:
    """A second tick, or one whose clock is behind, adds nothing."""
    fold = evidence_of(series).fold_until(first * MINUTE_S)
    again = evidence_of(series, fold).fold_until(min(first, second) * MINUTE_S)
    assert again == fold


def test_only_criteria_with_a_control_leave_one_in_what_is_kept() -> None:
    fold = evidence_of(random_series(1)).fold_until(MINUTES * MINUTE_S)
    assert fold.controls.keys() == {"rate", "beside"}


def test_only_minutes_that_are_over_count() -> None:
    fold = evidence_of(random_series(1)).fold_until(10 * MINUTE_S)
    assert fold.through == 10 * MINUTE_S


def test_the_minute_of_both_weights_belongs_to_no_step() -> None:
    between = FIRST_STEP.end
    series = random_series(1)
    without = {
        name: Series({at: value for at, value in one.points.items() if at != between})
        for name, one in series.items()
    }
    end = MINUTES * MINUTE_S
    assert evidence_of(series).fold_until(end) == evidence_of(without).fold_until(end)


# --- Unanswered queries ---------------------------------------------------------------------------


def own_series_key(criterion: str) -> str:
    """Return the key of a series that only `criterion` reads."""
    others = {
        series
        for name, one in POLICY.criteria.items()
        if name != criterion
        for _, _, series in series_keys_of(one, POLICY.metrics, BASELINES.get(name))
    }
    keys = series_keys_of(POLICY.criteria[criterion], POLICY.metrics, BASELINES.get(criterion))
    return next(series for _, _, series in keys if series not in others)


def with_partial_answer(criterion: str, series: Mapping[str, Series]) -> dict[str, Series]:
    """Return `series` with a partial answer to one query of `criterion`."""
    name = own_series_key(criterion)
    return {**series, name: replace(series[name], answer=QueryStatus.PARTIAL, message="Throttling")}


@pytest.mark.parametrize("name", ["rate", "beside", "stored", "limit"])
def test_a_criterion_whose_query_failed_adds_nothing_and_the_others_do(name: str) -> None:
    series, end = random_series(3), MINUTES * MINUTE_S
    whole, part = (
        evidence_of(one).fold_until(end) for one in (series, with_partial_answer(name, series))
    )
    lost = {test for test in whole.capitals if test.partition("/")[0] == name}
    assert lost
    assert part.capitals == {test: one for test, one in whole.capitals.items() if test not in lost}


def test_a_latency_whose_baseline_was_never_read_adds_nothing() -> None:
    plain = {
        series: Series(dict.fromkeys(range(0, MINUTES * MINUTE_S, MINUTE_S), 900.0))
        for name in ("beside", "stored")
        for _, _, series in series_keys_of(POLICY.criteria[name], POLICY.metrics)
    }
    evidence = replace(evidence_of({**random_series(3), **plain}), baselines={})
    fold = evidence.fold_until(MINUTES * MINUTE_S)
    assert fold.capitals
    assert not {"beside", "stored"} & set(fold.capitals)


def test_what_is_unanswered_is_not_sealed_until_it_is_given_up() -> None:
    evidence = evidence_of(with_partial_answer("rate", random_series(3)))
    assert not evidence.complete
    assert evidence.fold_to_seal(30 * MINUTE_S, 0) == Fold()
    assert evidence.fold_to_seal(30 * MINUTE_S, 10 * MINUTE_S).through == 10 * MINUTE_S
    assert evidence.fold_to_seal(30 * MINUTE_S, 90 * MINUTE_S).through == 30 * MINUTE_S


def test_an_answer_that_comes_late_counts_as_if_it_had_come_at_once() -> None:
    series, end = random_series(3), 30 * MINUTE_S
    sealed = evidence_of(with_partial_answer("rate", series)).fold_to_seal(end, 0)
    assert evidence_of(series, sealed).fold_until(end) == evidence_of(series).fold_until(end)


def test_a_minute_whose_counts_contradict_each_other_is_as_if_it_had_no_data() -> None:
    """More slow requests than requests."""
    name, at = own_series_key("limit"), 30 * MINUTE_S
    calm, end = series_with_failures({}), 40 * MINUTE_S
    inconsistent = {**calm, name: Series({**calm[name].points, at: 601.0})}
    empty = {**calm, name: Series({})}
    without_minute = {
        series: Series({minute: value for minute, value in one.points.items() if minute != at})
        for series, one in calm.items()
    }
    with_bad_minute, with_gap, without_data = (
        evidence_of(one).fold_until(end).capitals.get("limit")
        for one in (inconsistent, without_minute, empty)
    )
    assert with_bad_minute == with_gap
    assert without_data is None


# --- Several steps --------------------------------------------------------------------------------


def series_with_failures(share_of: Mapping[int, float]) -> dict[str, Series]:
    """Return healthy series in which a share of requests fails, by minute."""
    calm = dict.fromkeys(KEYS, 0.0)
    calm |= {name: 600.0 for name in KEYS if "SampleCount" in name}
    calm |= {series_key("requests", "Sum", 60): 600.0, series_key("stable", "Sum", 60): 600.0}
    series = {
        name: Series(dict.fromkeys(range(0, MINUTES * MINUTE_S, MINUTE_S), value))
        for name, value in calm.items()
    }
    errors = {at * MINUTE_S: share * 600 for at, share in share_of.items()}
    name = series_key("errors", "Sum", 60)
    return {**series, name: Series({**series[name].points, **errors})}


def test_the_unsealed_end_of_a_step_counts_after_the_step_was_left() -> None:
    """Its data came late: the next step had begun."""
    series = series_with_failures(dict.fromkeys(range(16, 20), 0.3))
    sealed = evidence_of(series_with_failures({})).fold_to_seal(15 * MINUTE_S, 0)
    fold = evidence_of(series, sealed).fold_until(22 * MINUTE_S)
    assert fold.rejects(BUDGET)
    assert fold.carried == "rate/breaker"
    assert fold.peak_at <= FIRST_STEP.end


def test_evidence_of_an_earlier_step_is_added_to() -> None:
    """Neither of both steps has enough alone."""
    before, later = dict.fromkeys(range(15, 20), 0.01), dict.fromkeys(range(23, 28), 0.01)
    end = 28 * MINUTE_S
    assert not evidence_of(series_with_failures(before)).fold_until(end).rejects(BUDGET)
    assert not evidence_of(series_with_failures(later)).fold_until(end).rejects(BUDGET)
    assert evidence_of(series_with_failures({**before, **later})).fold_until(end).rejects(BUDGET)


def test_a_regression_has_the_minutes_that_failed() -> None:
    series = series_with_failures(dict.fromkeys(range(30, 36), 0.3))
    evidence = evidence_of(series)
    fold = evidence.fold_until(33 * MINUTE_S)
    regression = evidence.find_regression("rate", fold)
    assert fold.rejects(BUDGET)
    assert regression is not None
    assert (regression.start, regression.end) == (30 * MINUTE_S, fold.peak_at)
    assert (regression.requests, regression.amount) == (1_800, 540)


def test_a_regression_has_only_the_newest_minute_where_those_before_speak_against_a_change() -> (
    None
):
    """Two bad minutes are sealed; a middling one and a bad one came since."""
    series = series_with_failures({28: 0.3, 29: 0.3, 30: 0.055, 31: 0.3})
    evidence = evidence_of(series, evidence_of(series).fold_to_seal(30 * MINUTE_S, 0))
    fold = evidence.fold_until(32 * MINUTE_S)
    regression = evidence.find_regression("rate", fold)
    assert regression is not None
    assert (regression.start, regression.end) == (31 * MINUTE_S, 32 * MINUTE_S)


def test_a_regression_has_no_minutes_where_they_are_sealed() -> None:
    series = series_with_failures(dict.fromkeys(range(30, 36), 0.3))
    sealed = evidence_of(series).fold_to_seal(40 * MINUTE_S, 0)
    assert sealed.rejects(BUDGET)
    assert evidence_of(series, sealed).find_regression("rate", sealed) is None
