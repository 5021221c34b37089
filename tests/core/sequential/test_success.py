"""SC-004 minute by minute: what trips, how soon, what must not, and what a control excuses."""

from math import comb, exp, inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.core.sequential import exceedance, rate
from controller.core.sequential.exceedance import Pair
from controller.core.sequential.success import EXCUSED_MINUTES, beside, broken_above, log_ratios
from controller.core.sequential.trial import Control
from tests.judging import ALLOWED, RATE, after, minutes_to_fail, rates


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
    assert minutes_to_fail(RATE, rates([(requests, failed)] * 60)) <= at_most


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
    assert minutes_to_fail(RATE, rates(counts)) == inf


def test_one_minute_alone_never_rolls_back_however_bad() -> None:
    assert minutes_to_fail(RATE, rates([(10**6, 10**6)])) == inf
    assert minutes_to_fail(RATE, rates([(10**6, 10**6)] * 2)) == 2


def test_the_objective_alone_takes_five_bad_minutes() -> None:
    """3 % is far from broken, however many requests there are."""
    assert minutes_to_fail(RATE, rates([(10**6, 30_000)] * 4)) == inf
    assert minutes_to_fail(RATE, rates([(10**6, 30_000)] * 60)) <= 6
    assert after(RATE, rates([(10**6, 30_000)] * 6)).carried == "rate/objective"


@pytest.mark.parametrize(
    ("allowed", "broken"),
    [
        pytest.param(0.001, 0.1, id="at a tenth, where next to nothing may fail"),
        pytest.param(0.03, 0.3, id="at ten times what may fail"),
        pytest.param(0.2, 0.5, id="at half of all requests at the latest"),
    ],
)
def test_a_criterion_trips(allowed: float, broken: float) -> None:
    assert broken_above(allowed) == pytest.approx(broken)


# --- beside a control ----------------------------------------------------------------------------

CONTROLS = st.tuples(st.integers(0, 60), st.integers(0, 60)).map(lambda two: (max(two), min(two)))
BEFORE = st.builds(
    Control, requests=st.floats(0, 1_000), slow=st.floats(0, 100), bad=st.integers(0, 20)
)


def means(
    requests: int, share: float, control: tuple[int, int], allowed: float, before: Control
) -> list[float]:
    """Return the mean of each e-value over the canary's failures, beside this control."""
    found = [0.0] * len(rate.effects(allowed))
    known = beside(before, *control, allowed)
    for failed in range(requests + 1):
        chance = comb(requests, failed) * share**failed * (1 - share) ** (requests - failed)
        ratios = log_ratios(Pair(requests, failed, *control), allowed, before, known)
        found = [mean + chance * exp(one) for mean, one in zip(found, ratios, strict=True)]
    return found


@given(st.integers(1, 30), CONTROLS, st.floats(0.001, 0.2), st.floats(0, 1), BEFORE)
def test_while_the_canary_keeps_its_objective_no_control_makes_a_bet_gain(
    requests: int, control: tuple[int, int], allowed: float, part: float, before: Control
) -> None:
    """By enumeration of the canary, whatever the control showed."""
    assert max(means(requests, part * allowed, control, allowed, before)) <= 1 + 1e-9


@given(st.integers(1, 30), CONTROLS, st.floats(0.001, 0.2), st.integers(0, EXCUSED_MINUTES - 1))
def test_while_it_is_no_worse_than_a_bad_control_no_bet_gains_either(
    requests: int, control: tuple[int, int], allowed: float, bad: int
) -> None:
    before = Control(100, 10, bad)
    if beside(before, *control, allowed).bad > before.bad:
        share = control[1] / control[0]
        assert max(means(requests, share, control, allowed, before)) <= 1 + 1e-9


@pytest.mark.parametrize(
    ("requests", "failed", "bad"),
    [
        pytest.param(600, 60, True, id="a tenth of its requests fails"),
        pytest.param(600, 3, True, id="three failures, five times what is allowed"),
        pytest.param(600, 2, False, id="two failures: chance"),
        pytest.param(60_000, 100, False, id="less than three times what is allowed"),
        pytest.param(0, 0, False, id="no request"),
    ],
)
def test_a_control_is_bad_when(requests: int, failed: int, bad: bool) -> None:
    assert (beside(Control(), requests, failed, ALLOWED).bad > 0) is bad


def test_a_quarter_of_an_hour_of_good_minutes_ends_an_outage() -> None:
    known = beside(beside(Control(), 600, 60, ALLOWED), 600, 60, ALLOWED)
    assert (known.requests, known.slow, known.bad) == (1_200, 120, 2)
    for _ in range(EXCUSED_MINUTES - 1):
        known = beside(known, 600, 0, ALLOWED)
        assert known.bad == 2
    assert beside(known, 600, 60, ALLOWED).bad == 3
    assert beside(known, 600, 0, ALLOWED) == Control()


def test_a_minute_without_a_request_says_nothing_of_the_control() -> None:
    known = Control(1_200, 120, 2, 3)
    assert beside(known, 0, 0, ALLOWED) == known


def test_what_the_control_shows_in_a_minute_is_not_what_that_minute_is_bet_with() -> None:
    """Otherwise the bet would know how it ends."""
    first = beside(Control(), 600, 60, ALLOWED)
    second = beside(first, 600, 90, ALLOWED)
    seen = Pair(60, 6, 600, 90)
    odds = [share / ALLOWED for share in rate.effects(ALLOWED)]
    assert log_ratios(seen, ALLOWED, first, second) == exceedance.log_ratios(seen, 0.1, odds)


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
    assert minutes_to_fail(RATE, rates(counts)) == inf


@pytest.mark.parametrize(
    ("counts", "carried"),
    [
        pytest.param(
            [HEALTHY] * 5 + [(600, 48, 600, 0)] * 15, "rate/objective",
            id="the same outage on the canary alone",
        ),
        pytest.param([(600, 48, 0, 0)] * 15, "rate/objective", id="an outage beside no traffic"),
        pytest.param(
            [(600, 48, 600, 2)] * 15, "rate/objective", id="an outage beside two failures by chance"
        ),
        pytest.param(
            [(600, 48, 600, 6)] * 15, "rate/objective", id="failures eight times the bad control's"
        ),
        pytest.param([(600, 300, 600, 300)] * 10, "rate/breaker", id="one in two, wherever"),
        pytest.param(
            [HEALTHY, *[SHARED] * 10] * 5, "rate/objective", id="an outage that pauses and goes on"
        ),
    ],
)  # fmt: skip
def test_a_canary_is_rolled_back_for(counts: list[tuple[float, ...]], carried: str) -> None:
    assert minutes_to_fail(RATE, rates(counts)) <= len(counts)
    assert after(RATE, rates(counts)).carried == carried


def test_a_shared_outage_excuses_the_canary_for_a_quarter_of_an_hour() -> None:
    """Then it may be the canary that causes it: from the 16th minute on it counts."""
    counts = rates([HEALTHY, *[SHARED] * 60])
    excused = 1 + EXCUSED_MINUTES
    assert EXCUSED_MINUTES == 15
    assert after(RATE, counts[:excused]).peak < 2
    assert excused + 5 <= minutes_to_fail(RATE, counts) <= excused + EXCUSED_MINUTES
