"""The tests of a success rate, minute by minute: what rolls back, how soon, and what must not."""

from collections.abc import Callable, Sequence
from math import comb, exp, inf, log

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.core.judge.evidence import strongest_rejection
from controller.core.stats.combined_tests import ControlState
from controller.core.stats.success_rate import (
    breaker_log_ratios,
    breaker_threshold,
    in_shared_outage,
    log_ratios,
    update_control,
)
from controller.core.stats.two_sample import PairedCounts
from tests.support.sequential_rollouts import (
    ALLOWED,
    RATE,
    Minute,
    fold_after,
    minutes_to_fail,
    rate_minutes,
)


def failing_test(minutes: Sequence[Minute]) -> str:
    """Return the test that rolls back first; of several, the one with the most evidence."""
    fold = fold_after(RATE, minutes[: int(minutes_to_fail(RATE, minutes))])
    found = strongest_rejection(fold, "rate")
    assert found is not None
    return found[0]


@pytest.mark.parametrize(
    ("requests", "failed", "at_most"),
    [
        pytest.param(6, 6, 2, id="six requests a minute, all of them failed"),
        pytest.param(60, 12, 2, id="60 a minute, 20%"),
        pytest.param(60, 3, 6, id="60 a minute, 5%"),
        pytest.param(60, 1, 17, id="60 a minute, 1.7%"),
        pytest.param(600, 3, 9, id="600 a minute, 0.5%"),
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
        pytest.param([(600, 0)] * 30 + [(600, 18)] * 2 + [(600, 0)] * 30, id="a burst of 3%"),
        pytest.param([(1, 0)] * 300 + [(1, 1)] + [(1, 0)] * 300, id="one failure in 600 requests"),
    ],
)  # fmt: skip
def test_a_release_is_not_rolled_back_for(counts: list[tuple[float, float]]) -> None:
    assert minutes_to_fail(RATE, rate_minutes(counts)) == inf


def test_the_objective_alone_takes_five_bad_minutes() -> None:
    """3% is not broken, however many requests there are."""
    assert minutes_to_fail(RATE, rate_minutes([(10**6, 30_000)] * 4)) == inf
    assert minutes_to_fail(RATE, rate_minutes([(10**6, 30_000)] * 60)) <= 6
    assert failing_test(rate_minutes([(10**6, 30_000)] * 6)) == "rate/objective"


# --- Control --------------------------------------------------------------------------------------

CONTROLS = st.tuples(st.integers(0, 60), st.integers(0, 60)).map(lambda two: (max(two), min(two)))
BEFORE = st.builds(ControlState, requests=st.floats(0, 1_000), slow=st.floats(0, 100))

Ratios = Callable[[PairedCounts, float, ControlState], tuple[float, ...]]
RATIOS = pytest.mark.parametrize(
    ("ratios_of", "bound"),
    [
        pytest.param(log_ratios, float, id="objective"),
        pytest.param(breaker_log_ratios, breaker_threshold, id="breaker"),
    ],
)


def chances(requests: int, share: float) -> list[float]:
    """Return the probability of each number of failures."""
    return [
        comb(requests, failed) * share**failed * (1 - share) ** (requests - failed)
        for failed in range(requests + 1)
    ]


def means(
    ratios_of: Ratios,
    requests: int,
    share: float,
    control: tuple[int, int],
    allowed: float,
    before: ControlState,
) -> list[float]:
    """Return the mean of each e-value over the canary's failures, with this control."""
    known = update_control(before, *control)
    parts = []
    for failed, chance in enumerate(chances(requests, share)):
        ratios = ratios_of(PairedCounts(requests, failed, *control), allowed, known)
        parts.append([chance * exp(ratio) for ratio in ratios])
    return [sum(effect) for effect in zip(*parts, strict=True)]


@RATIOS
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


OUTAGE = ControlState(100, 40)


@RATIOS
@given(
    requests=st.integers(1, 20),
    control_requests=st.integers(1, 20),
    allowed=st.floats(0.001, 0.1),
    share=st.floats(0, 1),
)
def test_in_a_shared_outage_the_mean_ratio_is_at_most_one_for_a_canary_like_its_control(
    ratios_of: Ratios,
    bound: Callable[[float], float],
    requests: int,
    control_requests: int,
    allowed: float,
    share: float,
) -> None:
    """By enumeration of both paths, at every size of the outage."""
    parts = []
    for bad, chance in enumerate(chances(control_requests, share)):
        control = (control_requests, bad)
        canary = means(ratios_of, requests, share, control, allowed, OUTAGE)
        parts.append([chance * one for one in canary])
    assert max(sum(effect) for effect in zip(*parts, strict=True)) <= 1 + 1e-9


@pytest.mark.parametrize(
    ("minutes", "bad"),
    [
        pytest.param([(600, 60)], True, id="a tenth of its requests fails"),
        pytest.param([(600, 2)], True, id="two failures, more than three times what is allowed"),
        pytest.param([(700, 2)], False, id="two failures, less than three times what is allowed"),
        pytest.param([(6, 1)], False, id="one failure: chance"),
        pytest.param([(6, 1), (6, 2)], True, id="one failure, and two in the next minute"),
        pytest.param([(60_000, 100)], False, id="less than three times what is allowed"),
        pytest.param([(600, 60), (600, 0)], True, id="a tenth, and none in the next minute"),
        pytest.param([(600, 60)] + [(600, 0)] * 15, False, id="a tenth, a quarter of an hour ago"),
        pytest.param([(600, 60)] + [(0, 0)] * 15, True, id="a tenth, and no request since"),
        pytest.param([(0, 0)], False, id="no request"),
    ],
)
def test_a_control_is_bad_when(minutes: list[tuple[int, int]], bad: bool) -> None:
    control = ControlState()
    for minute in minutes:
        control = update_control(control, *minute)
    assert in_shared_outage(control, ALLOWED) is bad


@RATIOS
def test_a_canary_without_a_control_is_held_against_its_bound_after_an_outage(
    ratios_of: Ratios, bound: Callable[[float], float]
) -> None:
    """At 100% the stable path has no traffic to compare with."""
    alone, known = PairedCounts(600, 300, 0, 0), ControlState(1_000, 500)
    assert ratios_of(alone, ALLOWED, known) == ratios_of(alone, ALLOWED, ControlState())
    assert max(ratios_of(alone, ALLOWED, known)) > log(1_000)


HEALTHY = (600, 0, 600, 0)


def shared(share: float) -> tuple[float, ...]:
    """Return a minute in which that share fails on both paths."""
    return (600, 600 * share, 600, 600 * share)


@pytest.mark.parametrize(
    "counts",
    [
        *(
            pytest.param([HEALTHY] * 5 + [shared(one)] * 40 + [HEALTHY] * 60, id=f"{one:.0%}")
            for one in (0.04, 0.08, 0.1, 0.15, 0.2, 0.5, 1.0)
        ),
        pytest.param(([shared(0.08)] * 10 + [HEALTHY] * 25) * 4, id="several, one after another"),
        pytest.param([HEALTHY, shared(0.08)] * 15, id="one that comes and goes"),
        pytest.param([shared(0.2)] * 400, id="one that never ends: people see it on both paths"),
        pytest.param([(600, 0, 600, 300)] * 60, id="an outage of the stable path alone"),
        pytest.param([(600, 12, 600, 48)] * 15, id="one that the canary is hit less by"),
    ],
)
def test_a_canary_is_not_rolled_back_for_an_outage_on_both_paths(
    counts: list[tuple[float, ...]],
) -> None:
    assert minutes_to_fail(RATE, rate_minutes(counts)) == inf


@pytest.mark.parametrize(
    ("counts", "test"),
    [
        pytest.param(
            [HEALTHY] * 5 + [(600, 120, 600, 0)] * 15, "rate/breaker", id="20% of the canary alone"
        ),
        pytest.param(
            [HEALTHY] * 5 + [(600, 24, 600, 0)] * 15, "rate/objective", id="4% of the canary alone"
        ),
        pytest.param([(600, 120, 0, 0)] * 15, "rate/breaker", id="20% without a control"),
        pytest.param([(600, 24, 0, 0)] * 15, "rate/objective", id="4% without a control"),
        pytest.param(
            [(600, 120, 600, 1)] * 15, "rate/breaker", id="and one of the control, by chance"
        ),
        pytest.param([(600, 24, 600, 2)] * 15, "rate/objective", id="4%, beside a third of one"),
        pytest.param([(600, 24, 600, 6)] * 15, "rate/objective", id="4%, beside 1%"),
        pytest.param([(600, 300, 600, 60)] * 15, "rate/breaker", id="half, beside a tenth"),
        pytest.param(
            [shared(0.2)] * 20 + [(600, 120, 600, 0)] * 15, "rate/breaker",
            id="an outage that ends on the control alone",
        ),
        pytest.param(
            [shared(0.2)] * 20 + [(600, 120, 0, 0)] * 15, "rate/breaker",
            id="an outage that the last step takes over, without a control",
        ),
    ],
)  # fmt: skip
def test_a_canary_is_rolled_back_for(counts: list[tuple[float, ...]], test: str) -> None:
    assert minutes_to_fail(RATE, rate_minutes(counts)) <= len(counts)
    assert failing_test(rate_minutes(counts)) == test


@pytest.mark.parametrize(("requests", "most"), [(60, 5), (600, 3), (6_000, 3)])
def test_a_canary_that_fails_30_percent_in_a_shared_outage_of_10_trips_the_breaker(
    requests: int, most: int
) -> None:
    broken = (requests, 0.3 * requests, requests, 0.1 * requests)
    counts = rate_minutes([(requests, 0, requests, 0)] * 5 + [broken] * 5)
    assert minutes_to_fail(RATE, counts) <= 5 + most
    assert failing_test(counts) == "rate/breaker"
