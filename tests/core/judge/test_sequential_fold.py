"""Minutes of a whole rollout: each folded once, in order, whenever it was sealed."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.core.judge.evidence import Stretch
from controller.core.judge.queries import key, keys_of, queries_for
from controller.core.judge.sequential_fold import Minutes
from controller.core.observation import QueryStatus, Series
from controller.core.stats.mixture import Fold
from controller.core.units import MINUTE_S
from tests.support.sequential_rollouts import BASELINES, BUDGET, a_sequential_policy

MINUTES = 60
# Twenty minutes at 10 % beside a control, one that saw both weights, and then all traffic.
POLICY = a_sequential_policy(
    steps=[
        {"weight": 10, "bake": "20m", "criteria": ["rate", "beside", "count", "limit", "share"]},
        {"weight": 100, "bake": "1h", "criteria": ["rate", "stored", "count", "limit", "share"]},
    ]
)
TENTH = Stretch(0, 0, 120, 20 * MINUTE_S)
WHOLE = Stretch(1, 21 * MINUTE_S, 23 * MINUTE_S)
STRETCHES = (TENTH, WHOLE)
KEYS = {
    series
    for step in range(2)
    for series in queries_for(POLICY, POLICY.gate(step), BASELINES)
}  # fmt: skip


def drawn(seed: int, gaps: float = 0.2) -> dict[str, Series]:
    """Return a world in which datapoints are missing, and counts contradict each other at times."""
    rng = Random(seed)

    def value(name: str) -> float:
        many = "SampleCount" in name or name.startswith(("requests:", "stable:"))
        return float(rng.randrange(300) if many or rng.random() < 0.05 else rng.randrange(4))

    return {
        name: Series({at * MINUTE_S: value(name) for at in range(MINUTES) if rng.random() > gaps})
        for name in sorted(KEYS)
    }


def minutes(series: Mapping[str, Series], fold: Fold | None = None) -> Minutes:
    return Minutes(POLICY, fold or Fold(), STRETCHES, series, BASELINES)


def sealed_at(series: Mapping[str, Series], ends: Sequence[int]) -> Fold:
    """Return the fold as it is kept after sealing up to each of `ends`, in minutes."""
    fold = Fold()
    for end in ends:
        fold = minutes(series, fold).sealed(end * MINUTE_S, 0)
    return fold


WORLDS = st.builds(drawn, st.integers(0, 10**6), st.sampled_from([0.0, 0.2, 0.9]))
ENDS = st.lists(st.integers(0, MINUTES), max_size=6).map(sorted)


@settings(max_examples=40, deadline=None)
@given(WORLDS, ENDS, st.integers(0, MINUTES))
def test_when_it_was_sealed_makes_no_difference(
    series: dict[str, Series], ends: list[int], now: int
) -> None:
    never = minutes(series).folded(now * MINUTE_S)
    kept = sealed_at(series, [one for one in ends if one <= now])
    assert minutes(series, kept).folded(now * MINUTE_S) == never


@settings(max_examples=20, deadline=None)
@given(WORLDS, st.integers(0, MINUTES), st.integers(0, MINUTES))
def test_no_minute_is_folded_twice(series: dict[str, Series], first: int, second: int) -> None:
    """A tick that looks again, or whose clock is behind, adds nothing."""
    fold = minutes(series).folded(first * MINUTE_S)
    again = minutes(series, fold).folded(min(first, second) * MINUTE_S)
    assert again == fold


def test_only_criteria_with_a_control_leave_one_in_what_is_kept() -> None:
    fold = minutes(drawn(1)).folded(MINUTES * MINUTE_S)
    assert fold.controls.keys() == {"rate", "beside"}


def test_only_minutes_that_are_over_count() -> None:
    fold = minutes(drawn(1)).folded(10 * MINUTE_S)
    assert fold.through == 10 * MINUTE_S


def test_the_minute_that_saw_both_weights_is_nobodys() -> None:
    between = TENTH.end
    series = drawn(1)
    without = {
        name: Series({at: value for at, value in one.points.items() if at != between})
        for name, one in series.items()
    }
    end = MINUTES * MINUTE_S
    assert minutes(series).folded(end) == minutes(without).folded(end)


# --- what was not answered ------------------------------------------------------------------------


def of(criterion: str) -> str:
    """Return a series that only `criterion` looks at."""
    others = {
        series
        for name, one in POLICY.criteria.items()
        if name != criterion
        for _, _, series in keys_of(one, POLICY.metrics, BASELINES.get(name))
    }
    keys = keys_of(POLICY.criteria[criterion], POLICY.metrics, BASELINES.get(criterion))
    return next(series for _, _, series in keys if series not in others)


def unanswered(criterion: str, series: Mapping[str, Series]) -> dict[str, Series]:
    """Return `series` with half of an answer to one query of `criterion`."""
    name = of(criterion)
    return {**series, name: replace(series[name], answer=QueryStatus.PARTIAL, message="Throttling")}


@pytest.mark.parametrize("name", ["rate", "beside", "stored", "limit"])
def test_a_criterion_whose_query_failed_bets_nothing_and_the_others_do(name: str) -> None:
    series, end = drawn(3), MINUTES * MINUTE_S
    whole, part = (minutes(one).folded(end) for one in (series, unanswered(name, series)))
    lost = {test for test in whole.capitals if test.partition("/")[0] == name}
    assert lost
    assert part.capitals == {test: one for test, one in whole.capitals.items() if test not in lost}


def test_a_latency_whose_baseline_was_never_read_bets_nothing() -> None:
    plain = {
        series: Series(dict.fromkeys(range(0, MINUTES * MINUTE_S, MINUTE_S), 900.0))
        for name in ("beside", "stored")
        for _, _, series in keys_of(POLICY.criteria[name], POLICY.metrics)
    }
    never = replace(minutes({**drawn(3), **plain}), baselines={})
    without = never.folded(MINUTES * MINUTE_S)
    assert without.capitals
    assert not {"beside", "stored"} & set(without.capitals)


def test_what_is_unanswered_is_not_sealed_until_it_is_given_up() -> None:
    one = minutes(unanswered("rate", drawn(3)))
    assert not one.answered
    assert one.sealed(30 * MINUTE_S, 0) == Fold()
    assert one.sealed(30 * MINUTE_S, 10 * MINUTE_S).through == 10 * MINUTE_S
    assert one.sealed(30 * MINUTE_S, 90 * MINUTE_S).through == 30 * MINUTE_S


def test_an_answer_that_comes_late_counts_as_if_it_had_come_at_once() -> None:
    series, end = drawn(3), 30 * MINUTE_S
    waited = minutes(unanswered("rate", series)).sealed(end, 0)
    assert minutes(series, waited).folded(end) == minutes(series).folded(end)


def test_a_minute_whose_counts_contradict_each_other_is_as_if_it_had_no_data() -> None:
    """More slow requests than requests."""
    name, at = of("limit"), 30 * MINUTE_S
    calm, end = failing({}), 40 * MINUTE_S
    odd = {**calm, name: Series({**calm[name].points, at: 601.0})}
    silent = {**calm, name: Series({})}
    untold = {
        series: Series({minute: value for minute, value in one.points.items() if minute != at})
        for series, one in calm.items()
    }
    told, missing, none = (
        minutes(one).folded(end).capitals.get("limit") for one in (odd, untold, silent)
    )
    assert told == missing
    assert none is None


# --- over steps -----------------------------------------------------------------------------------


def failing(share_of: Mapping[int, float]) -> dict[str, Series]:
    """Return a calm world of which, in some minutes, a share of requests fails."""
    calm = dict.fromkeys(KEYS, 0.0)
    calm |= {name: 600.0 for name in KEYS if "SampleCount" in name}
    calm |= {key("requests", "Sum", 60): 600.0, key("stable", "Sum", 60): 600.0}
    series = {
        name: Series(dict.fromkeys(range(0, MINUTES * MINUTE_S, MINUTE_S), value))
        for name, value in calm.items()
    }
    errors = {at * MINUTE_S: share * 600 for at, share in share_of.items()}
    name = key("errors", "Sum", 60)
    return {**series, name: Series({**series[name].points, **errors})}


def test_the_unsealed_end_of_a_step_counts_after_the_step_was_left() -> None:
    """Its data came late: the next step had begun."""
    series = failing(dict.fromkeys(range(16, 20), 0.3))
    kept = minutes(failing({})).sealed(15 * MINUTE_S, 0)
    fold = minutes(series, kept).folded(22 * MINUTE_S)
    assert fold.rejects(BUDGET)
    assert fold.carried == "rate/breaker"
    assert fold.peak_at <= TENTH.end


def test_evidence_of_an_earlier_step_is_added_to() -> None:
    """Neither of both steps saw enough alone."""
    before, later = dict.fromkeys(range(15, 20), 0.01), dict.fromkeys(range(23, 28), 0.01)
    end = 28 * MINUTE_S
    assert not minutes(failing(before)).folded(end).rejects(BUDGET)
    assert not minutes(failing(later)).folded(end).rejects(BUDGET)
    assert minutes(failing({**before, **later})).folded(end).rejects(BUDGET)


def test_the_minutes_that_are_blamed_are_those_that_failed() -> None:
    series = failing(dict.fromkeys(range(30, 36), 0.3))
    one = minutes(series)
    fold = one.folded(33 * MINUTE_S)
    blamed = one.blamed("rate", fold)
    assert fold.rejects(BUDGET)
    assert blamed is not None
    assert (blamed.start, blamed.end) == (30 * MINUTE_S, fold.peak_at)
    assert (blamed.requests, blamed.amount) == (1_800, 540)


def test_only_the_newest_minute_is_blamed_where_those_before_it_speak_against_a_change() -> None:
    """Two bad minutes are sealed; a middling one and a bad one came since."""
    series = failing({28: 0.3, 29: 0.3, 30: 0.055, 31: 0.3})
    one = minutes(series, minutes(series).sealed(30 * MINUTE_S, 0))
    fold = one.folded(32 * MINUTE_S)
    blamed = one.blamed("rate", fold)
    assert blamed is not None
    assert (blamed.start, blamed.end) == (31 * MINUTE_S, 32 * MINUTE_S)


def test_where_the_minutes_are_sealed_nobody_says_which_they_were() -> None:
    series = failing(dict.fromkeys(range(30, 36), 0.3))
    kept = minutes(series).sealed(40 * MINUTE_S, 0)
    assert kept.rejects(BUDGET)
    assert minutes(series, kept).blamed("rate", kept) is None
