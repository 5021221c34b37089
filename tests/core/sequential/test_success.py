"""SC-004 minute by minute: what trips, how soon, and what must not."""

from collections.abc import Iterable
from math import inf, log

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.core.sequential.eprocess import Capital, combined
from controller.core.sequential.onset import Onsets
from controller.core.sequential.success import breaker, folded, objective

BUDGET, ALLOWED = 0.01, 0.001
TIERS = (breaker(ALLOWED, 0.1), objective(ALLOWED, 0.4))
ONSETS = Onsets(steps=3, minutes=1_560)


def minutes_to_fail(counts: Iterable[tuple[float, float]]) -> float:
    """Return after how many minutes of one step both tiers together reject; inf: never."""
    capitals = [Capital() for _ in TIERS]
    for minute, (requests, failed) in enumerate(counts):
        onset = ONSETS.at(first_minute=minute == 0, step=0)
        capitals = [
            folded(capital, tier, requests, failed, onset, budget=BUDGET)
            for capital, tier in zip(capitals, TIERS, strict=True)
        ]
        log_es, weights = [one.log_e for one in capitals], [tier.weight for tier in TIERS]
        if combined(log_es, weights) >= log(1 / BUDGET):
            return minute + 1
    return inf


@pytest.mark.parametrize(
    ("requests", "failed", "at_most"),
    [
        pytest.param(6, 6, 2, id="six requests a minute, all of them failed"),
        pytest.param(60, 12, 3, id="60 a minute, 20 %"),
        pytest.param(60, 3, 6, id="60 a minute, 5 %"),
        pytest.param(60, 1, 17, id="60 a minute, 1.7 %"),
        pytest.param(600, 3, 9, id="600 a minute, 0.5 %"),
    ],
)
def test_a_release_that_is_broken_is_rolled_back_within(
    requests: int, failed: int, at_most: int
) -> None:
    assert minutes_to_fail([(requests, failed)] * 60) <= at_most


@pytest.mark.parametrize(
    "counts",
    [
        pytest.param([(600, 0)] * 1_500, id="no failure"),
        pytest.param([(1_000, 1)] * 500, id="exactly what is allowed, evenly"),
        pytest.param([(600, 0)] * 30 + [(600, 600)] + [(600, 0)] * 30, id="one minute of nothing"),
        pytest.param([(600, 0)] * 30 + [(600, 18)] * 2 + [(600, 0)] * 30, id="a burst of 3 %"),
        pytest.param([(1, 0)] * 300 + [(1, 1)] + [(1, 0)] * 300, id="one failure in 600 requests"),
        pytest.param([(0, 0)] * 1_500, id="silence"),
    ],
)  # fmt: skip
def test_a_release_is_not_rolled_back_for(counts: list[tuple[float, float]]) -> None:
    assert minutes_to_fail(counts) == inf


def test_one_minute_alone_never_rolls_back_however_bad() -> None:
    assert minutes_to_fail([(10**6, 10**6)]) == inf
    assert minutes_to_fail([(10**6, 10**6)] * 2) == 2


def test_the_objective_alone_takes_five_bad_minutes() -> None:
    tier, capital = objective(ALLOWED, 1.0), Capital()
    found = []
    for minute in range(6):
        onset = ONSETS.at(first_minute=minute == 0, step=0)
        capital = folded(capital, tier, 10**6, 10**6, onset, budget=BUDGET)
        found.append(capital.log_e >= log(1 / BUDGET))
    assert not any(found[:4])
    assert found[5]


@given(st.integers(1, 8), st.integers(1, 5_000))
def test_no_more_than_the_whole_prior_is_spent_by_a_rollout_as_planned(
    steps: int, minutes: int
) -> None:
    onsets = Onsets(steps, minutes)
    starts = sum(onsets.at(first_minute=True, step=step) for step in range(steps))
    others = max(0, minutes - steps) * onsets.at(first_minute=False, step=0)
    assert starts + others <= 1 + 0.2 * steps / minutes + 1e-9


def test_a_rollout_that_holds_longer_than_planned_spends_no_more() -> None:
    tier, capital = objective(ALLOWED, 0.4), Capital()
    for minute in range(300):
        onset = Onsets(1, 100).at(first_minute=minute == 0, step=0)
        capital = folded(capital, tier, 100, 0, onset, budget=BUDGET)
    assert capital.unspent == pytest.approx(0.0, abs=0.31)
    assert capital.unspent >= 0
