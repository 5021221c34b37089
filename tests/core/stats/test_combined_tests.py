"""The tests of a rollout, each under its own part of the budget: capital, and what rolls back."""

from collections.abc import Iterable, Mapping
from math import log
from typing import Any

import pytest

from controller.core.stats import combined_tests
from controller.core.stats.combined_tests import (
    CombinedTests,
    ControlState,
    MinuteRatios,
    RegressionStart,
    Rejection,
)
from controller.core.stats.counts import Counts
from controller.core.stats.eprocess import LARGEST_SHARE, ChangePointPrior, EProcessState
from controller.immutable import replace
from tests.support.core import SequentialState

PARTS = {"a": 0.005, "b": 0.003, "c": 0.002}
TESTS = {name: combined_tests.Test(name, part, minutes=1) for name, part in PARTS.items()}


class FixedPrior(ChangePointPrior):
    """A prior that gives every minute the same share."""

    steps: int = 1
    each: float = 1.0

    def share(self, capital: EProcessState, step: int, minutes: int = 1) -> float:
        return self.each


def folded(
    fold: SequentialState,
    end: int,
    ratios: Iterable[MinuteRatios],
    controls: Mapping[str, ControlState] | None = None,
    prior_share: float = 1.0,
    tests: Mapping[str, combined_tests.Test] = TESTS,
) -> SequentialState:
    """Return `fold` after a minute that has `prior_share` of the prior."""
    combined = CombinedTests(tests, FixedPrior(each=prior_share))
    return combined.fold_minute(fold, end, 0, ratios, controls or {})


def minute_of(
    fold: SequentialState, ratios: Mapping[str, float], prior_share: float = 0.05
) -> SequentialState:
    minute_ratios = [MinuteRatios(name, (ratio,)) for name, ratio in ratios.items()]
    return folded(fold, fold.through + 60, minute_ratios, prior_share=prior_share)


def test_evidence_that_faded_again_was_evidence() -> None:
    fold = minute_of(SequentialState(), {"a": log(2_000)}, prior_share=1.0)
    for _ in range(50):
        fold = minute_of(fold, {"a": -3.0})
    assert fold.capitals["a"].e_value < 1
    rejection = fold.rejections["a"]
    assert rejection == Rejection(rejection.e_value, 200, 60)
    assert rejection.e_value == pytest.approx(2_000)


def test_the_highest_evidence_of_a_test_counts_and_the_minute_of_it() -> None:
    fold = SequentialState()
    for ratio in (log(300), log(2), -1.0):
        fold = minute_of(fold, {"b": ratio, "c": 0.0}, prior_share=1.0)
    assert fold.rejections.keys() == {"b"}
    assert fold.rejections["b"].e_value == pytest.approx(600)
    assert fold.rejections["b"].at == 120


@pytest.mark.parametrize(
    ("e_values", "rejected"),
    [
        pytest.param({"a": 199.0, "b": 199.0, "c": 199.0}, set(), id="none reaches its own"),
        pytest.param({"a": 201.0, "b": 201.0, "c": 201.0}, {"a"}, id="the largest part needs less"),
        pytest.param({"a": 1.0, "b": 334.0, "c": 501.0}, {"b", "c"}, id="each for itself"),
    ],
)
def test_a_test_rolls_back_at_its_own_part_of_the_budget(
    e_values: Mapping[str, float], rejected: set[str]
) -> None:
    ratios = {name: log(value) for name, value in e_values.items()}
    assert minute_of(SequentialState(), ratios, prior_share=1.0).rejections.keys() == rejected


@pytest.mark.parametrize(
    ("minutes", "saved", "spacing", "fewest"),
    [
        pytest.param(5, 1, 1, 5, id="one in each minute"),
        pytest.param(5, 1, 2, 4, id="in every second minute"),
        pytest.param(5, 1, 5, 3, id="in five minutes"),
        pytest.param(3, 1, 5, 3, id="a test that takes three anyway"),
        pytest.param(6, 3, 5, 3, id="what a minute saved is for minutes"),
        pytest.param(2, 1, 5, 2, id="the breaker takes two in any case"),
    ],
)
def test_datapoints_that_are_further_apart_prove_a_change_with_fewer_of_them(
    minutes: int, saved: int, spacing: int, fewest: int
) -> None:
    """Two quiet ones show how far apart they are; then each says that everything is broken."""
    test, fold, bad = combined_tests.Test("a", 0.0025, minutes, saved), SequentialState(), 0
    for number in range(2 + minutes):
        share = LARGEST_SHARE if number == 2 else 0.0
        ratios = [MinuteRatios("a", (0.0 if number < 2 else 1e6,))]
        end = (number * spacing + 1) * 60
        fold = folded(fold, end, ratios, prior_share=share, tests={"a": test})
        bad += number >= 2
        if fold.rejections:
            break
    assert bad == fewest


def test_three_datapoints_of_five_minutes_are_enough_where_a_higher_step_begins() -> None:
    """That onset has a smaller share of the prior than the first minute of a rollout."""
    test, fold = combined_tests.Test("a", 0.0025, 5), SequentialState()
    tests = CombinedTests({"a": test}, ChangePointPrior(steps=7))
    for number in range(5):
        step = int(number >= 2)
        ratios = [MinuteRatios("a", (1e6 if step else -50.0,))]
        fold = tests.fold_minute(fold, (5 * number + 1) * 60, step, ratios, {})
    assert fold.rejections


def test_a_quiet_minute_gives_back_no_more_than_what_is_refilled_in_each() -> None:
    """Otherwise what a bad minute had saved would be there again for the next one."""
    test, fold = combined_tests.Test("a", 0.01, minutes=4, saved=3), SequentialState()
    used = []
    for end, ratio in ((60, 0.0), (120, 1e6), (180, -1.0), (240, -1.0)):
        fold = folded(fold, end, [MinuteRatios("a", (ratio,))], tests={"a": test})
        used.append(fold.capitals["a"].used)
    refill = combined_tests.limits(test, 1)[1]
    assert used == pytest.approx([0.0, 2 * refill, refill, 0.0])


def test_what_is_withheld_rolls_back_nothing_until_a_minute_that_is_not() -> None:
    fold = folded(SequentialState(), 60, [MinuteRatios("a", (log(2_000),), withheld=True)])
    assert not fold.rejections
    assert "a" in folded(fold, 120, [MinuteRatios("a", (0.1,))], prior_share=0.0).rejections


def test_two_folds_differ_by_their_evidence_and_not_by_what_is_only_shown() -> None:
    onset = RegressionStart(0, 1.0, 60, Counts(1, 1, 1, 1, 1))
    assert SequentialState(through=60, onsets={"a": onset}) == SequentialState(through=60)
    others: list[Mapping[str, Any]] = [
        {"version": 1},
        {"through": 120},
        {"capitals": {"a": EProcessState((2.0,))}},
        {"controls": {"a": ControlState(1.0)}},
        {"rejections": {"a": Rejection(200.0, 150.0, 60)}},
    ]
    assert [
        other
        for other in others
        if replace(SequentialState(through=60), **other) == SequentialState(through=60)
    ] == []
