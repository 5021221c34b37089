"""Capital that bets on a change: fair, blind to how it is looked at, and slow to be rushed."""

from math import exp, inf, log

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.core.sequential.eprocess import Capital, bet, cap_for, combined, log_sum

MINUTES = st.lists(
    st.tuples(st.lists(st.floats(-20, 20), min_size=3, max_size=3), st.floats(0, 0.2)),
    max_size=12,
)


def played(minutes: list[tuple[list[float], float]]) -> Capital:
    capital = Capital()
    for ratios, onset in minutes:
        capital = bet(capital, ratios, onset)
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
    total += unspent if unspent > 1e-12 else 0.0
    assert played(minutes).log_e == pytest.approx(log(total), abs=1e-6)


@given(MINUTES, st.lists(st.floats(0.01, 0.99), min_size=3, max_size=3), st.floats(0, 1))
def test_a_minute_that_is_fair_on_average_leaves_the_capital_as_it_is_on_average(
    minutes: list[tuple[list[float], float]], chances: list[float], onset: float
) -> None:
    """A coin that doubles or halves each bet so that its mean is 1, for one effect at a time."""
    before = played(minutes)
    for effect, chance in enumerate(chances):
        gain, loss = [0.0] * 3, [0.0] * 3
        gain[effect], loss[effect] = log(0.5 / chance), log(0.5 / (1 - chance))
        after = chance * exp(bet(before, gain, onset).log_e) + (1 - chance) * exp(
            bet(before, loss, onset).log_e
        )
        assert after == pytest.approx(exp(before.log_e), rel=1e-6)


def test_no_minute_means_no_evidence() -> None:
    assert Capital().log_e == 0.0


@pytest.mark.parametrize("datapoints", [2, 3, 5])
def test_fewer_datapoints_than_asked_for_never_reject(datapoints: int) -> None:
    capital, cap = Capital(), cap_for(0.01, datapoints)
    for _ in range(datapoints - 1):
        capital = bet(capital, [1e6], 1.0, cap=cap)
    assert capital.log_e < log(100)
    assert bet(capital, [1e6], 0.0, cap=cap).log_e >= log(100)


def test_one_datapoint_needs_no_cap() -> None:
    assert cap_for(0.01, 1) == inf


@given(MINUTES, st.floats(1, 20))
def test_a_cap_or_dispersion_never_adds_to_a_single_bet_that_gains(
    minutes: list[tuple[list[float], float]], dispersion: float
) -> None:
    gains = [([abs(one) for one in ratios], onset) for ratios, onset in minutes]
    plain, tempered, capped = Capital(), Capital(), Capital()
    for ratios, onset in gains:
        plain = bet(plain, ratios, onset)
        tempered = bet(tempered, ratios, onset, dispersion=dispersion)
        capped = bet(capped, ratios, onset, cap=2.0)
    assert tempered.log_e <= plain.log_e + 1e-9
    assert capped.log_e <= plain.log_e + 1e-9


@given(st.lists(st.tuples(st.floats(-50, 50), st.floats(0.01, 1)), min_size=1, max_size=6))
def test_together_tests_are_worth_their_weighted_mean_and_no_less_than_each_alone(
    tests: list[tuple[float, float]],
) -> None:
    total = sum(weight for _, weight in tests)
    log_es, weights = [one for one, _ in tests], [weight / total for _, weight in tests]
    together = combined(log_es, weights)
    mean = sum(w * exp(e) for e, w in zip(log_es, weights, strict=True))
    assert together == pytest.approx(log(mean), rel=1e-9, abs=1e-9)
    assert all(together >= log(w) + e - 1e-9 for e, w in zip(log_es, weights, strict=True))


def test_the_sum_of_nothing_is_nothing() -> None:
    assert log_sum(()) == -inf
    assert log_sum((-inf, -inf)) == -inf
