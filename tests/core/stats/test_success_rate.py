"""The tests of a success rate, minute by minute: what rolls back, how soon, and what must not."""

from collections.abc import Callable, Sequence
from math import comb, exp, inf
from random import Random

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from controller.core.stats import binomial as rate
from controller.core.stats import two_sample
from controller.core.stats.combined_tests import ControlState
from controller.core.stats.success_rate import (
    SHARED_OUTAGE_MINUTES,
    breaker_log_ratios,
    breaker_threshold,
    in_shared_outage,
    log_ratios,
    update_control,
)
from controller.core.stats.two_sample import PairedCounts
from controller.simulation.traffic.random_draws import binomial
from tests.support.sequential_rollouts import (
    ALLOWED,
    RATE,
    Minute,
    fold_after,
    minutes_to_fail,
    rate_minutes,
)


def failing_test(minutes: Sequence[Minute]) -> str:
    """Return the test that rolls back first."""
    (test,) = fold_after(RATE, minutes[: int(minutes_to_fail(RATE, minutes))]).rejections
    return test


@pytest.mark.parametrize(
    ("requests", "failed", "at_most"),
    [
        pytest.param(6, 6, 2, id="six requests a minute, all of them failed"),
        pytest.param(60, 12, 2, id="60 a minute, 20 %"),
        pytest.param(60, 3, 6, id="60 a minute, 5 %"),
        pytest.param(60, 1, 17, id="60 a minute, 1.7 %"),
        pytest.param(600, 3, 9, id="600 a minute, 0.5 %"),
    ],
)
def test_a_release_that_is_broken_is_rolled_back_within(
    requests: int, failed: int, at_most: int
) -> None:
    assert minutes_to_fail(RATE, rate_minutes([(requests, failed)] * 60)) <= at_most


@pytest.mark.parametrize(
    "counts",
    [
        pytest.param([(600, 0)] * 1_440, id="no failure"),
        pytest.param([(1_000, 1)] * 500, id="exactly what is allowed, evenly"),
        pytest.param([(600, 0)] * 30 + [(600, 600)] + [(600, 0)] * 30, id="one minute of nothing"),
        pytest.param([(600, 0)] * 30 + [(600, 18)] * 2 + [(600, 0)] * 30, id="a burst of 3 %"),
        pytest.param([(1, 0)] * 300 + [(1, 1)] + [(1, 0)] * 300, id="one failure in 600 requests"),
    ],
)  # fmt: skip
def test_a_release_is_not_rolled_back_for(counts: list[tuple[float, float]]) -> None:
    assert minutes_to_fail(RATE, rate_minutes(counts)) == inf


def test_one_minute_alone_never_rolls_back_however_bad() -> None:
    assert minutes_to_fail(RATE, rate_minutes([(10**6, 10**6)])) == inf
    assert minutes_to_fail(RATE, rate_minutes([(10**6, 10**6)] * 2)) == 2


def test_the_objective_alone_takes_five_bad_minutes() -> None:
    """3 % is not broken, however many requests there are."""
    assert minutes_to_fail(RATE, rate_minutes([(10**6, 30_000)] * 4)) == inf
    assert minutes_to_fail(RATE, rate_minutes([(10**6, 30_000)] * 60)) <= 6
    assert failing_test(rate_minutes([(10**6, 30_000)] * 6)) == "rate/objective"


@pytest.mark.parametrize(
    ("allowed", "broken"),
    [
        pytest.param(0.001, 0.05, id="at a twentieth, where next to nothing may fail"),
        pytest.param(0.03, 0.3, id="at ten times what may fail"),
        pytest.param(0.2, 0.5, id="at half of all requests at the latest"),
    ],
)
def test_a_criterion_trips(allowed: float, broken: float) -> None:
    assert breaker_threshold(allowed) == pytest.approx(broken)


# --- Control --------------------------------------------------------------------------------------

CONTROLS = st.tuples(st.integers(0, 60), st.integers(0, 60)).map(lambda two: (max(two), min(two)))
BEFORE = st.builds(
    ControlState,
    requests=st.floats(0, 1_000),
    slow=st.floats(0, 100),
    outage_minutes=st.integers(0, 20),
)


Ratios = Callable[[PairedCounts, float, ControlState, ControlState], tuple[float, ...]]


def means(
    ratios_of: Ratios,
    requests: int,
    share: float,
    control: tuple[int, int],
    allowed: float,
    before: ControlState,
) -> list[float]:
    """Return the mean of each e-value over the canary's failures, with this control."""
    known = update_control(before, *control, allowed)
    parts = []
    for failed in range(requests + 1):
        chance = comb(requests, failed) * share**failed * (1 - share) ** (requests - failed)
        ratios = ratios_of(PairedCounts(requests, failed, *control), allowed, before, known)
        parts.append([chance * exp(one) for one in ratios])
    return [sum(effect) for effect in zip(*parts, strict=True)]


@pytest.mark.parametrize(
    ("ratios_of", "bound"),
    [
        pytest.param(log_ratios, float, id="objective"),
        pytest.param(breaker_log_ratios, breaker_threshold, id="breaker"),
    ],
)
@given(
    requests=st.integers(1, 30),
    control=CONTROLS,
    allowed=st.floats(0.001, 0.2),
    part=st.floats(0, 1),
    before=BEFORE,
)
def test_while_the_canary_keeps_its_rule_the_mean_ratio_is_at_most_one_beside_any_control(
    ratios_of: Ratios,
    bound: Callable[[float], float],
    requests: int,
    control: tuple[int, int],
    allowed: float,
    part: float,
    before: ControlState,
) -> None:
    """By enumeration of the canary, whatever the control showed."""
    share = part * bound(allowed)
    assert max(means(ratios_of, requests, share, control, allowed, before)) <= 1 + 1e-9


OUTAGES = st.builds(
    ControlState, st.just(100), st.just(10), st.integers(0, SHARED_OUTAGE_MINUTES - 1)
)


@given(st.integers(1, 30), CONTROLS, st.floats(0.001, 0.2), st.floats(0, 1), OUTAGES)
def test_in_a_shared_outage_the_breaker_gains_nothing_up_to_twice_its_bound(
    requests: int, control: tuple[int, int], allowed: float, part: float, before: ControlState
) -> None:
    """By enumeration of the canary."""
    assume(in_shared_outage(before, update_control(before, *control, allowed)))
    share = part * min(0.9, 2 * breaker_threshold(allowed))
    gains = means(breaker_log_ratios, requests, share, control, allowed, before)
    assert max(gains) <= 1 + 1e-9


@pytest.mark.parametrize(
    ("control", "share", "gains"),
    [
        pytest.param((600, 60), 0.10, False, id="twice its bound, in an outage"),
        pytest.param((600, 60), 0.11, True, id="more than twice its bound, in an outage"),
        pytest.param((600, 0), 0.05, False, id="its bound, with a good control"),
        pytest.param((600, 0), 0.06, True, id="more than its bound, with a good control"),
    ],
)
def test_the_breaker_gains_from(control: tuple[int, int], share: float, gains: bool) -> None:
    ratios = means(breaker_log_ratios, 30, share, control, ALLOWED, ControlState())
    assert (max(ratios) > 1 + 1e-9) is gains


def test_how_bad_a_bad_control_is_makes_no_difference_to_the_breaker() -> None:
    some, most = (
        breaker_log_ratios(
            PairedCounts(600, 180, 600, failed),
            ALLOWED,
            ControlState(),
            update_control(ControlState(), 600, failed, ALLOWED),
        )
        for failed in (12, 400)
    )
    assert some == most


@given(
    st.integers(1, 30), CONTROLS, st.floats(0.001, 0.2), st.integers(0, SHARED_OUTAGE_MINUTES - 1)
)
def test_while_it_is_no_worse_than_a_bad_control_the_mean_ratio_is_at_most_one_too(
    requests: int, control: tuple[int, int], allowed: float, bad: int
) -> None:
    before = ControlState(100, 10, bad)
    if update_control(before, *control, allowed).outage_minutes > before.outage_minutes:
        share = control[1] / control[0]
        assert max(means(log_ratios, requests, share, control, allowed, before)) <= 1 + 1e-9


@pytest.mark.parametrize(
    ("requests", "failed", "bad"),
    [
        pytest.param(600, 60, True, id="a tenth of its requests fails"),
        pytest.param(600, 3, True, id="three failures, five times what is allowed"),
        pytest.param(600, 2, True, id="two failures, more than three times what is allowed"),
        pytest.param(700, 2, False, id="two failures, less than three times what is allowed"),
        pytest.param(6, 1, False, id="one failure: chance"),
        pytest.param(60_000, 100, False, id="less than three times what is allowed"),
        pytest.param(0, 0, False, id="no request"),
    ],
)
def test_a_control_is_bad_when(requests: int, failed: int, bad: bool) -> None:
    assert (update_control(ControlState(), requests, failed, ALLOWED).outage_minutes > 0) is bad


def test_a_quarter_of_an_hour_of_good_minutes_ends_an_outage() -> None:
    known = update_control(update_control(ControlState(), 600, 60, ALLOWED), 600, 60, ALLOWED)
    assert (known.requests, known.slow, known.outage_minutes) == (1_200, 120, 2)
    for _ in range(SHARED_OUTAGE_MINUTES - 1):
        known = update_control(known, 600, 0, ALLOWED)
        assert known.outage_minutes == 2
    assert update_control(known, 600, 60, ALLOWED).outage_minutes == 3
    assert update_control(known, 600, 0, ALLOWED) == ControlState()


def test_a_minute_without_a_request_says_nothing_of_the_control() -> None:
    known = ControlState(1_200, 120, 2, 3)
    assert update_control(known, 0, 0, ALLOWED) == known


def test_a_minute_is_not_tested_against_what_its_own_control_shows() -> None:
    """Otherwise the e-value would depend on its own outcome."""
    first = update_control(ControlState(), 600, 60, ALLOWED)
    second = update_control(first, 600, 90, ALLOWED)
    counts = PairedCounts(60, 6, 600, 90)
    odds = [share / ALLOWED for share in rate.effects(ALLOWED)]
    assert log_ratios(counts, ALLOWED, first, second) == two_sample.log_ratios(counts, 0.1, odds)


HEALTHY, SHARED = (600, 0, 600, 0), (600, 48, 600, 48)


@pytest.mark.parametrize(
    "counts",
    [
        pytest.param([HEALTHY] * 5 + [SHARED] * 10 + [HEALTHY] * 60, id="an outage on both paths"),
        pytest.param(([SHARED] * 10 + [HEALTHY] * 15) * 4, id="several, each over for as long"),
        pytest.param([HEALTHY, SHARED] * 15, id="one that comes and goes"),
        pytest.param([(600, 0, 600, 300)] * 60, id="an outage of the stable path alone"),
        pytest.param([(600, 12, 600, 48)] * 15, id="one that the canary is hit less by"),
    ],
)
def test_a_canary_is_not_rolled_back_for(counts: list[tuple[float, ...]]) -> None:
    assert minutes_to_fail(RATE, rate_minutes(counts)) == inf


@pytest.mark.parametrize(
    ("counts", "carried"),
    [
        pytest.param(
            [HEALTHY] * 5 + [(600, 48, 600, 0)] * 15, "rate/breaker",
            id="the same outage on the canary alone",
        ),
        pytest.param(
            [HEALTHY] * 5 + [(600, 24, 600, 0)] * 15, "rate/objective",
            id="half of it on the canary alone",
        ),
        pytest.param(
            [(600, 48, 0, 0)] * 15, "rate/breaker", id="an outage without traffic on the control"
        ),
        pytest.param(
            [(600, 24, 0, 0)] * 15, "rate/objective",
            id="half an outage without traffic on the control",
        ),
        pytest.param(
            [(600, 48, 600, 1)] * 15, "rate/breaker",
            id="an outage with one failure of the control by chance",
        ),
        pytest.param(
            [(600, 48, 600, 2)] * 15, "rate/objective", id="failures 24 times the bad control's"
        ),
        pytest.param(
            [(600, 48, 600, 6)] * 15, "rate/objective", id="failures eight times the bad control's"
        ),
        pytest.param([(600, 300, 600, 300)] * 10, "rate/breaker", id="one in two, wherever"),
        pytest.param(
            [HEALTHY, *[SHARED] * 10] * 5, "rate/breaker", id="an outage that pauses and goes on"
        ),
        pytest.param(
            [HEALTHY, *[(600, 24, 600, 24)] * 10] * 5, "rate/objective",
            id="half of one that pauses and goes on",
        ),
    ],
)  # fmt: skip
def test_a_canary_is_rolled_back_for(counts: list[tuple[float, ...]], carried: str) -> None:
    assert minutes_to_fail(RATE, rate_minutes(counts)) <= len(counts)
    assert failing_test(rate_minutes(counts)) == carried


@pytest.mark.parametrize(
    ("failed", "carried", "least", "most"),
    [
        pytest.param(24, "rate/objective", 5, SHARED_OUTAGE_MINUTES, id="4 %"),
        pytest.param(48, "rate/breaker", 2, 3, id="8 %, more than may ever fail"),
    ],
)
def test_a_shared_outage_excuses_the_canary_for_a_quarter_of_an_hour(
    failed: int, carried: str, least: int, most: int
) -> None:
    """Then it may be the canary that causes it: from the 16th minute on it counts."""
    counts = rate_minutes([HEALTHY, *[(600, failed, 600, failed)] * 60])
    end = 1 + SHARED_OUTAGE_MINUTES
    assert SHARED_OUTAGE_MINUTES == 15
    assert fold_after(RATE, counts[:end]).capitals["rate/objective"].e_value < 2
    assert end + least <= minutes_to_fail(RATE, counts) <= end + most
    assert failing_test(counts[: end + most]) == carried


EACH_REQUEST_RATE = pytest.mark.parametrize("requests", [60, 600, 6_000])


@EACH_REQUEST_RATE
def test_a_canary_that_fails_30_percent_in_a_shared_outage_of_10_trips_the_breaker(
    requests: int,
) -> None:
    broken = (requests, 0.3 * requests, requests, 0.1 * requests)
    counts = rate_minutes([(requests, 0, requests, 0)] * 5 + [broken] * 5)
    assert minutes_to_fail(RATE, counts) <= 5 + 3
    assert failing_test(counts) == "rate/breaker"


@EACH_REQUEST_RATE
def test_a_healthy_canary_is_not_rolled_back_for_ten_minutes_of_a_shared_outage_of_10_percent(
    requests: int,
) -> None:
    healthy, shared = ((requests, n, requests, n) for n in (0, 0.1 * requests))
    counts = rate_minutes([healthy] * 5 + [shared] * 10 + [healthy] * 60)
    assert minutes_to_fail(RATE, counts) == inf


@EACH_REQUEST_RATE
def test_nor_where_chance_decides_which_requests_fail(requests: int) -> None:
    shares = [0.0005] * 5 + [0.1] * 10 + [0.0005] * 60
    for seed in range(20):
        draw = Random(seed)
        canary, control = ([binomial(draw, requests, one) for one in shares] for _ in range(2))
        pairs = zip(canary, control, strict=True)
        counts = rate_minutes(
            [(requests, failed, requests, control_failed) for failed, control_failed in pairs]
        )
        assert minutes_to_fail(RATE, counts) == inf, seed
