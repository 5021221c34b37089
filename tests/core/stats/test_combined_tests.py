"""The mixture of all tests of a rollout under one budget: evidence, peak, and largest part."""

from collections.abc import Mapping, Sequence
from math import exp, log

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.core.stats import combined_tests
from controller.core.stats.combined_tests import ControlState, Fold, LikelihoodRatios, fold_minute
from controller.core.stats.eprocess import Capital, cap_for
from controller.core.stats.prior import ChangePointPrior

BUDGET = 0.01
TESTS = (
    combined_tests.Test("a", 0.5, 100.0),
    combined_tests.Test("b", 0.3, 100.0),
    combined_tests.Test("c", 0.2, 100.0),
)

RATIOS = st.dictionaries(st.sampled_from("abc"), st.floats(-5, 5))
MINUTES = st.lists(RATIOS, max_size=15)


def minute_of(fold: Fold, ratios: Mapping[str, float], prior_share: float = 0.05) -> Fold:
    minute_ratios = [
        LikelihoodRatios(name, (ratio,), prior_share, 100.0) for name, ratio in ratios.items()
    ]
    return fold_minute(fold, fold.through + 60, minute_ratios, {}, TESTS)


def evidence(fold: Fold) -> float:
    """Return the weighted mean of the e-values of all tests."""
    capitals = fold.capitals
    return sum(
        one.weight * (capitals[one.name].e_value if one.name in capitals else 1) for one in TESTS
    )


def rejects_after(minutes: Sequence[Mapping[str, float]], looks: Sequence[int]) -> bool:
    """Tell whether ticks after each number of minutes in `looks` roll back by the last."""
    fold, rejected, at = Fold(), False, 0
    for look in looks:
        for ratios in minutes[at:look]:
            fold = minute_of(fold, ratios)
        at, rejected = look, rejected or fold.rejects(BUDGET)
    return rejected


@given(MINUTES)
def test_the_result_does_not_depend_on_how_often_it_is_looked_at(
    minutes: list[Mapping[str, float]],
) -> None:
    end = len(minutes)
    every_minute, every_five = range(1, end + 1), [*range(5, end, 5), end]
    assert rejects_after(minutes, every_minute) == rejects_after(minutes, [end])
    assert rejects_after(minutes, every_five) == rejects_after(minutes, [end])


def test_evidence_that_faded_again_was_evidence() -> None:
    fold = minute_of(Fold(), {"a": log(2_000)}, prior_share=1.0)
    peak = fold.peak
    assert fold.rejects(BUDGET)
    for _ in range(50):
        fold = minute_of(fold, {"a": -3.0})
    assert evidence(fold) < 1
    assert (fold.peak, fold.peak_at, fold.leading_test) == (peak, 60, "a")
    assert fold.rejects(BUDGET)


@given(MINUTES)
def test_the_peak_is_the_highest_weighted_mean_that_any_minute_saw(
    minutes: list[Mapping[str, float]],
) -> None:
    fold, highest = Fold(), 1.0
    for ratios in minutes:
        fold = minute_of(fold, ratios)
        highest = max(highest, evidence(fold))
    assert fold.peak == pytest.approx(highest)


@given(MINUTES, st.sampled_from("abc"))
def test_a_test_without_ratios_keeps_its_capital(
    minutes: list[Mapping[str, float]], silent: str
) -> None:
    fold = Fold()
    for ratios in minutes:
        fold = minute_of(fold, ratios)
    after = minute_of(fold, {name: 1.0 for name in "abc" if name != silent})
    assert after.capitals.get(silent) == fold.capitals.get(silent)


@given(MINUTES, RATIOS, st.floats(0.01, 0.99))
def test_ratios_that_are_fair_one_by_one_are_fair_together(
    minutes: list[Mapping[str, float]], tests: Mapping[str, float], chance: float
) -> None:
    """One coin decides all ratios at once: no independence is required."""
    fold = Fold()
    for ratios in minutes:
        fold = minute_of(fold, ratios)
    gained = minute_of(fold, dict.fromkeys(tests, log(0.5 / chance)))
    lost = minute_of(fold, dict.fromkeys(tests, log(0.5 / (1 - chance))))
    mean = chance * evidence(gained) + (1 - chance) * evidence(lost)
    assert mean == pytest.approx(evidence(fold), rel=1e-6)


@pytest.mark.parametrize(
    ("ratios", "carried"),
    [
        pytest.param({"a": 3.0, "b": 3.0}, "a", id="the one with the larger weight"),
        pytest.param({"a": 3.0, "b": 5.0}, "b", id="the one with more evidence"),
        pytest.param({"a": -9.0, "c": 6.0}, "c", id="the one that speaks for a change at all"),
        pytest.param({"a": -3.0, "b": -3.0}, "", id="none, where nothing speaks for a change"),
    ],
)
def test_the_peak_names_the_test_with_the_largest_part(
    ratios: Mapping[str, float], carried: str
) -> None:
    assert minute_of(Fold(), ratios, prior_share=0.5).leading_test == carried


def test_little_of_each_is_enough_together() -> None:
    """No test alone would roll back at its own part of the budget."""
    fold = minute_of(Fold(), {name: log(110) for name in "abc"}, prior_share=1.0)
    assert all(fold.capitals[one.name].e_value < 1 / (BUDGET * one.weight) for one in TESTS)
    assert fold.rejects(BUDGET)


@pytest.mark.parametrize("datapoints", [2, 3, 5])
def test_a_capped_test_takes_as_many_minutes_as_it_was_given(datapoints: int) -> None:
    weight, prior = 0.25, ChangePointPrior(steps=1, minutes=60)
    test = combined_tests.Test("a", weight, cap_for(BUDGET * weight, datapoints))
    others = combined_tests.Test("b", 1 - weight, 1.0)
    fold, rejected = Fold(), []
    for minute in range(datapoints):
        prior_share = prior.share(fold.capitals.get("a", Capital()), 0)
        ratios = [LikelihoodRatios("a", (1e6,), prior_share, test.cap)]
        fold = fold_minute(fold, (minute + 1) * 60, ratios, {}, (test, others))
        rejected.append(fold.rejects(BUDGET))
    assert rejected == [False] * (datapoints - 1) + [True]


def test_dispersion_tempers_a_ratio() -> None:
    plain = fold_minute(Fold(), 60, [LikelihoodRatios("a", (4.0,), 1.0, 100.0)], {}, TESTS)
    tempered = fold_minute(Fold(), 60, [LikelihoodRatios("a", (4.0,), 1.0, 100.0, 2.0)], {}, TESTS)
    assert plain.capitals["a"].e_value == pytest.approx(exp(4))
    assert tempered.capitals["a"].e_value == pytest.approx(exp(2))


def test_what_is_known_of_other_controls_is_kept() -> None:
    first = fold_minute(Fold(), 60, [], {"x": ControlState(10, 1), "y": ControlState(20, 2)}, TESTS)
    second = fold_minute(first, 120, [], {"x": ControlState(11, 1)}, TESTS)
    assert second.controls == {"x": ControlState(11, 1), "y": ControlState(20, 2)}
    assert second.through == 120


def test_nothing_folded_is_no_evidence() -> None:
    assert Fold().peak == 1.0
    assert not Fold().rejects(BUDGET)
