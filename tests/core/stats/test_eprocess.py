"""The e-process of one test: fair, and capped so that few minutes never reject."""

from math import exp, isfinite

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.core.stats.eprocess import EProcessState, cap_for, update_e_process

MINUTES = st.lists(
    st.tuples(st.lists(st.floats(-20, 20), min_size=3, max_size=3), st.floats(0, 0.2)),
    max_size=12,
)


def capital_after(minutes: list[tuple[list[float], float]]) -> EProcessState:
    capital = EProcessState()
    for ratios, onset in minutes:
        capital = update_e_process(capital, ratios, onset)
    return capital


@given(MINUTES)
def test_the_recursion_is_the_mixture_over_effects_and_onsets(
    minutes: list[tuple[list[float], float]],
) -> None:
    """E = sum over onsets s and effects i of g_s / G * prod over t >= s of L_t(i), and the rest."""
    total, unspent = 0.0, 1.0
    for start, (_, onset) in enumerate(minutes):
        share = min(onset, unspent)
        unspent -= share
        for effect in range(3):
            total += share / 3 * exp(sum(ratios[effect] for ratios, _ in minutes[start:]))
    assert capital_after(minutes).e_value == pytest.approx(total + unspent, rel=1e-6)


@pytest.mark.parametrize("datapoints", [2, 3, 5])
def test_fewer_datapoints_than_required_never_reject(datapoints: int) -> None:
    capital, cap = EProcessState(), cap_for(0.01, datapoints)
    for _ in range(datapoints - 1):
        capital = update_e_process(capital, [1e6], 1.0, cap=cap)
    assert capital.e_value < 100
    assert update_e_process(capital, [1e6], 0.0, cap=cap).e_value >= 100


def minutes_until(ratios: list[float], limit: float = 100) -> int:
    """Return after how many minutes the capital reaches `limit`; cap: 3, refill: 1."""
    capital = EProcessState()
    for number, ratio in enumerate(ratios):
        capital = update_e_process(capital, [ratio], 1.0, cap=3.0, refill=1.0)
        if capital.e_value >= limit:
            return number + 1
    return 0


@pytest.mark.parametrize(
    ("ratios", "minutes"),
    [
        pytest.param([9.0] * 10, 3, id="a run of bad minutes: 3, and 1 in each further one"),
        pytest.param([2.0, 0.0, 0.0] * 5, 7, id="bad minutes apart from each other count in full"),
        pytest.param([0.9] * 10, 6, id="what is less than the refill counts in full"),
        pytest.param([9.0, -1.0, 9.0, -1.0, 9.0], 5, id="a good minute refills as well as any"),
    ],
)
def test_a_run_of_bad_minutes_proves_less_than_the_same_minutes_apart(
    ratios: list[float], minutes: int
) -> None:
    assert minutes_until(ratios) == minutes


@pytest.mark.parametrize("ratio", [1e6, -1e6], ids=["a flood of evidence", "and of the opposite"])
def test_evidence_stays_a_number_however_much_there_is(ratio: float) -> None:
    capital = capital_after([([ratio] * 3, 0.1)] * 50)
    assert isfinite(capital.e_value)
    assert capital.e_value >= 0
