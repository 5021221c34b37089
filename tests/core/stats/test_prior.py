"""The prior of a change point: one prior, spent once."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from controller.core.stats.eprocess import ChangePointPrior, EProcessState, update_e_process

STEPS = st.integers(1, 8)


def shares(prior: ChangePointPrior, steps: list[int]) -> list[float]:
    """Return the share of the prior for each minute with data; steps: the step of each minute."""
    capital, spent = EProcessState(), []
    for step in steps:
        spent.append(prior.share(capital, step))
        capital = update_e_process(capital, [0.0], spent[-1], step=step)
    return spent


@given(STEPS, st.lists(st.integers(0, 7), max_size=60), st.integers(1, 50))
def test_no_rollout_spends_more_than_the_whole_prior(
    steps: int, ladder: list[int], each: int
) -> None:
    """However long it takes, however often it goes back to a step, wherever it begins."""
    visited = [min(step, steps - 1) for step in ladder for _ in range(each)]
    assert sum(shares(ChangePointPrior(steps), visited)) <= 1 + 1e-9


@given(st.integers(2, 8))
def test_the_first_minute_of_all_has_the_largest_share_and_the_first_of_a_step_more_than_any(
    steps: int,
) -> None:
    first, usual, of_next, again = shares(ChangePointPrior(steps), [0, 0, 1, 1])
    assert first > of_next > usual > again > 0


def test_a_rollout_that_begins_at_its_last_step_has_the_first_share_there() -> None:
    assert shares(ChangePointPrior(3), [2])[0] > 0.4


def test_a_rollout_on_hold_for_days_still_has_some_share_left() -> None:
    spent = shares(ChangePointPrior(1), [0] * 5_000)
    assert all(later < earlier for earlier, later in pairwise(spent[1:]))
    assert spent[-1] > 0
