"""A latency over the minutes of a rollout: cold starts, short spells, and another day.

Of a lognormal latency (sigma 0.5) 5% lie beyond its p95, 11% when it is 30% higher, 17% when it
is 50% higher, 36% when it is twice as high.
"""

from collections.abc import Sequence
from math import inf

import pytest

from controller.core.judge.baseline_drift import observe, share_today
from controller.core.judge.series import WindowCounts
from controller.core.stats.combined_tests import ControlState
from controller.core.stats.counts import Counts
from controller.immutable import replace
from tests.support.cases import cases
from tests.support.core import Policy, SequentialState
from tests.support.judging import FAIL, PASS, UNDECIDED, outcome
from tests.support.sequential_rollouts import (
    BASELINE,
    ONE_STEP,
    Minute,
    a_sequential_policy,
    a_sequential_step,
    after,
    beside,
    fold_after,
    minutes_to_fail,
    stored,
)

BESIDE = a_sequential_policy("beside", **ONE_STEP)
STORED = a_sequential_policy("stored", **ONE_STEP)
USUAL = beside(30, 600, 5_400, 270)


def slower(share: float) -> Minute:
    """Return a minute of 600 canary requests with a share of slow ones, beside its control."""
    return beside(600 * share, 600, 5_400, 270)


@cases(
    "minutes, most",
    {
        "30% slower for the first five minutes": ([slower(0.11)] * 5 + [USUAL] * 115, inf),
        "30% slower for good": ([slower(0.11)] * 120, 5 + 5),
        "50% slower from the first request": ([slower(0.17)] * 120, 4),
        "twice as slow from the first request": ([slower(0.36)] * 120, 3),
    },
)
def test_right_after_a_raise_a_canary_fails_that_is(minutes: Sequence[Minute], most: float) -> None:
    found = minutes_to_fail(BESIDE, minutes)
    assert found == most if most == inf else found <= most


# On a target whose raises start its environments anew, with a warm-up of two minutes.
COLD = a_sequential_policy("beside", steps=ONE_STEP["steps"], warmup="2m")
# Of a canary that is 50% slower at the raise, and less and less so for half an hour.
FADING = [slower(0.05 + 0.126 * (1 - minute / 30)) for minute in range(30)]


@cases(
    "policy, minutes, found",
    {
        "it starts cold": (COLD, [*FADING, *[USUAL] * 90], range(0)),
        "it starts cold, and the policy says that nothing does": (BESIDE, FADING, range(3, 6)),
        "it is 50% slower for good": (COLD, [slower(0.17)] * 120, range(12, 26)),
        "it is twice as slow": (COLD, [slower(0.36)] * 120, range(5, 12)),
        "it is three times as slow": (COLD, [slower(0.64)] * 120, range(5, 7)),
    },
)
def test_for_half_an_hour_a_canary_may_be_as_slow_as_cold_environments_are(
    policy: Policy, minutes: Sequence[Minute], found: range
) -> None:
    at = minutes_to_fail(policy, minutes)
    assert at in found if found else at == inf


@pytest.mark.parametrize(
    ("length", "fails"),
    [pytest.param(6, False, id="six minutes"), pytest.param(20, True, id="twenty minutes")],
)
def test_hours_after_a_raise_a_latency_fails_that_is_twice_as_high_for(
    length: int, fails: bool
) -> None:
    minutes = [USUAL] * 240 + [slower(0.36)] * length + [USUAL] * 20
    assert (minutes_to_fail(BESIDE, minutes) < inf) is fails


def hanging(hung: float, control_hung: float) -> Minute:
    """Return a minute of 588 canary requests, beside twelve that stay on the stable path."""
    return beside(0.05 * 588, 588, 12, 0.6, hung=hung, control_hung=control_hung)


def test_hangs_beside_a_few_requests_are_found_once_those_would_hang_too() -> None:
    """That is after 170 of them at 2%: a quarter of an hour."""
    beside_few = minutes_to_fail(BESIDE, [hanging(0.02 * 588, 0)] * 120)
    alone = minutes_to_fail(STORED, [stored(0.05 * 588, 0.05 * 588, 588, 0.02 * 588)] * 120)
    assert alone <= beside_few == 15


@pytest.mark.parametrize("stable", [12, 588])
def test_hangs_that_begin_on_both_paths_roll_nothing_back(stable: float) -> None:
    sound = beside(0.05 * 588, 588, stable, 0.05 * stable, hung=0, control_hung=0)
    both = beside(0.05 * 588, 588, stable, 0.05 * stable, hung=23, control_hung=0.04 * stable)
    assert minutes_to_fail(BESIDE, [sound] * 60 + [both] * 240) == inf


def test_a_canary_that_goes_on_hanging_after_both_paths_did_is_rolled_back() -> None:
    both, alone = hanging(0.03 * 588, 0.03 * 12), hanging(0.03 * 588, 0)
    assert minutes_to_fail(BESIDE, [both] * 60 + [hanging(0, 0)] * 10 + [alone] * 60) < 90


# --- Another day ----------------------------------------------------------------------------------

# A baseline with 5% of slow requests at any time of day.
A_DAY = replace(BASELINE, hours=(0.05,) * 24)


def on_a_day(slow: float, stable: float | None, requests: float = 600) -> Minute:
    """Return a minute with so many slow requests of the canary, and of the stable path."""
    counts = stored(requests * slow, requests * slow, requests)
    if stable is None:
        return {**counts, "direct:SampleCount": 0, "direct:TC(400:)": 0}
    return {**counts, "direct:SampleCount": requests, "direct:TC(400:)": requests * stable}


def fold_of(minutes: Sequence[Minute]) -> SequentialState:
    return fold_after(STORED, minutes, baselines={"stored": A_DAY})


@cases(
    "stable, canary, expected",
    {
        "as slow as the stable path on a slow day": (0.08, 0.08, PASS),
        "as slow as on the day of the baseline": (0.05, 0.05, PASS),
        "slower than the stable path on a slow day": (0.08, 0.16, FAIL),
        "slower than the stable path on a fast day": (0.02, 0.05, FAIL),
        "a little slower on a slow day": (0.08, 0.087, UNDECIDED),
    },
)
def test_at_100_a_stored_baseline_is_that_of_a_day_like_today(
    stable: float, canary: float, expected: tuple[str, str]
) -> None:
    before = fold_of([on_a_day(stable, stable)] * 120).controls
    step = a_sequential_step(
        a_sequential_policy("stored", steps=[{"weight": 100, "bake": "1h"}], warmup="0s"),
        baselines={"stored": A_DAY},
        fold=SequentialState(controls=before),
    )
    (finding,) = after(step, [on_a_day(canary, None)] * 60)
    assert outcome(finding) == expected


def test_a_stable_path_corrects_a_baseline_by_no_more_than_three_times_the_odds() -> None:
    """Its metric may have the canary's requests in it."""
    wild = fold_of([on_a_day(0.05, 0.6)] * 120 + [on_a_day(0.3, None)] * 60)
    assert wild.rejections


def test_the_same_hours_allow_what_was_usual_in_them() -> None:
    """Slow requests at noon are usual there, and not at other times."""
    hours = tuple(0.12 if hour == 12 else 0.045 for hour in range(24))
    noon = [on_a_day(0.12, None)] * 50
    by_day, by_hour = (
        fold_after(STORED, noon, baselines={"stored": replace(A_DAY, hours=hours, hourly=hourly)})
        for hourly in (False, True)
    )
    assert by_day.rejections
    assert not by_hour.rejections


def test_a_few_requests_of_today_weigh_little_beside_the_stored_baseline() -> None:
    today = ControlState(requests=30, slow=3, expected=1.5)
    assert share_today(0.05, today) == pytest.approx((15 + 3) / (300 + 30))


def test_a_few_requests_of_now_outweigh_many_of_the_first_steps() -> None:
    """Two hours as on the baseline's day with 540 requests a minute, then a day with 12, slower."""
    control = ControlState()
    for minute in range(120 + 24 * 60):
        requests, share = (540, 0.05) if minute < 120 else (12, 0.1)
        counts = Counts(control_samples=requests, control_amount=requests * share)
        control = observe(control, WindowCounts(counts, 0.05, usual=0.05))
    assert share_today(0.05, control) == pytest.approx(0.1, abs=0.01)
