"""When a change may begin: one prior, spent once."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.core.sequential.eprocess import Capital, bet
from controller.core.sequential.onset import Onsets

STEPS = st.integers(1, 8)


@given(STEPS, st.integers(1, 5_000))
def test_a_rollout_as_planned_spends_no_more_than_the_whole_prior(steps: int, minutes: int) -> None:
    onsets = Onsets(steps, minutes + steps)
    starts = sum(onsets.at(first_minute=True, step=step) for step in range(steps))
    others = minutes * onsets.at(first_minute=False, step=0)
    assert starts + others <= 1 + 1e-9


@given(STEPS, st.integers(1, 5_000))
def test_the_first_minute_of_all_is_bet_on_most(steps: int, minutes: int) -> None:
    onsets = Onsets(steps + 1, minutes + steps + 1)
    first, second = (onsets.at(first_minute=True, step=step) for step in (0, 1))
    assert first > second > onsets.at(first_minute=False, step=1) > 0


def test_a_rollout_that_holds_longer_than_planned_spends_no_more() -> None:
    capital, onsets = Capital(), Onsets(1, 100)
    for minute in range(700):
        capital = bet(capital, [0.0], onsets.at(first_minute=minute == 0, step=0))
        assert capital.unspent >= 0
    assert capital.e == pytest.approx(1.0)
