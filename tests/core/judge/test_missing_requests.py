"""Requests that are missing at 100% beside a stored week: the gate waits, and nothing rolls back.

The week has nights and a weekend: 600 requests a minute by day, a fifth of them at night, and three
in ten of both on Saturday and Sunday.
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from math import sin, tau
from random import Random

import pytest
from msgspec import UNSET

from controller.core.judge.evidence import HOURS_OF_A_WEEK, BaselineMeasurement, Tally
from controller.core.judge.series import WindowCounts
from controller.core.judge.silence import missing_beside_week
from controller.core.observation import Span
from controller.core.stats.counts import Counts
from controller.immutable import replace
from tests.sentences import Sentences
from tests.support.core import Finding, Policy, SequentialState, Verdict, query_plan
from tests.support.judging import SETTLE
from tests.support.rollouts import MINUTE, NOON
from tests.support.sequential_rollouts import (
    BASELINE,
    ONE_STEP,
    a_sequential_policy,
    a_sequential_step,
    after,
    stored,
)

HOUR_S = 3_600
WEEK = {"frozen": "direct", "window": "7d", "same_hours": True}
EACH_TEN_MINUTES = range(0, 7 * 24 * 60, 10)


def usual(second: int) -> float:
    """Return the requests a minute at a unix second of any week."""
    at = datetime.fromtimestamp(second, UTC)
    by_day = 600 if 8 <= at.hour < 20 else 120
    return by_day * (0.3 if at.weekday() >= 5 else 1.0)


BY_HOUR = tuple(usual(hour * HOUR_S) for hour in range(HOURS_OF_A_WEEK))
STORED_WEEK = replace(BASELINE, week=BY_HOUR, hourly=True, hours=(0.05,) * 24)


def second_of(minute: int) -> int:
    """Return the unix second of a minute after noon."""
    return int((NOON + minute * MINUTE).timestamp())


def found_in(requests: Callable[[int], float], baseline: BaselineMeasurement) -> list[int]:
    """Return the minutes of a week after noon at which the hour before lacks requests."""

    def measure(second: int) -> WindowCounts:
        return WindowCounts(Counts(requests(second)), 0.0)

    return [
        at
        for at in EACH_TEN_MINUTES
        if missing_beside_week(baseline, measure, Span(0, second_of(at)))
    ]


@pytest.mark.slow
@pytest.mark.parametrize("rpm", [0.1, 1, 10])
def test_a_week_with_nights_and_a_weekend_like_the_one_before_lacks_nothing(rpm: float) -> None:
    """Each hour has its own level, 10% off the week before (one standard deviation)."""
    rng = Random(1)
    levels = {hour: rpm * rng.lognormvariate(0, 0.1) for hour in range(-3, HOURS_OF_A_WEEK)}

    def counted(second: int) -> float:
        due = usual(second) * levels[(second - second_of(0)) // HOUR_S]
        return max(0.0, rng.gauss(due, due**0.5))

    assert not found_in(counted, replace(STORED_WEEK, week=tuple(rpm * one for one in BY_HOUR)))


def test_a_day_that_ends_half_an_hour_sooner_lacks_nothing() -> None:
    assert not found_in(lambda second: usual(second + 30 * 60), STORED_WEEK)


# --- The gate -------------------------------------------------------------------------------------


def policy(weight: int = 100) -> Policy:
    """Return a policy with a latency beside a stored week, in one step of a day."""
    steps = [{"weight": weight, "bake": "24h"}]
    return a_sequential_policy("stored", stored={"baseline": WEEK}, **{**ONE_STEP, "steps": steps})


LOST_AT = 22 * 60  # 10:00


def finding_at(
    minute: int,
    part: float = 0.5,
    weight: int = 100,
    baseline: BaselineMeasurement = STORED_WEEK,
) -> Finding:
    """Return the finding so many minutes after noon, of a canary with a part of what is due.

    It has that from 10:00 of the second day on.
    """
    rollout = a_sequential_step(policy(weight), baselines={"stored": baseline})
    due = [usual(second_of(at)) * (part if at >= LOST_AT else 1) for at in range(minute)]
    minutes = [stored(0.04 * one, 0.04 * one, one) for one in due]
    (finding,) = after(rollout, minutes)
    return finding


@pytest.mark.parametrize(("part", "within"), [(0.5, 40), (0.1, 25)])
def test_a_canary_that_loses_requests_at_ten_is_held_within(part: float, within: int) -> None:
    """600 requests a minute are due."""
    assert finding_at(LOST_AT, part).verdict is Verdict.PASS
    held = finding_at(LOST_AT + within, part)
    assert (held.verdict, held.reason, held.lacks_data) == (
        Verdict.INCONCLUSIVE,
        "requests_missing",
        True,
    )


def test_half_of_the_requests_stay_missing_all_day_and_night() -> None:
    """Between 60 and 1,140 a minute, as a sine: also while they become fewer in the evening."""

    def due(second: int) -> float:
        return 600 + 540 * sin(tau * second / 86_400)

    week = tuple(due(hour * HOUR_S + HOUR_S // 2) for hour in range(HOURS_OF_A_WEEK))
    found = found_in(lambda second: due(second) / 2, replace(STORED_WEEK, week=week))
    assert found == list(EACH_TEN_MINUTES)


def test_a_fifth_less_than_in_the_week_before_is_no_loss() -> None:
    assert finding_at(LOST_AT + 90, 0.8).verdict is Verdict.PASS


def test_a_gate_with_a_week_says_how_many_requests_are_missing() -> None:
    facts = finding_at(LOST_AT + 60).facts
    assert (facts["newest_requests"], facts["week_requests"]) == (18_000, 36_000)


@pytest.mark.parametrize(
    "unknown",
    [
        {"weight": 98},  # the share of the stable path says more
        {"baseline": replace(STORED_WEEK, week=UNSET)},
    ],
)
def test_nothing_is_missing_without_all_traffic_or_without_a_week(
    unknown: dict[str, object],
) -> None:
    assert finding_at(LOST_AT + 60, **unknown).verdict is Verdict.PASS  # type: ignore[arg-type]


def test_three_hours_are_read_although_they_are_stored() -> None:
    through = second_of(LOST_AT - 20)
    rollout = a_sequential_step(
        policy(),
        baselines={"stored": STORED_WEEK},
        tallies={"stored": Tally(through=through)},
        fold=SequentialState(through=through),
    )
    now = NOON + (LOST_AT + SETTLE) * MINUTE
    read = query_plan(rollout, now).span
    assert read.start == second_of(LOST_AT) - 3 * HOUR_S
    assert timedelta(seconds=read.end - read.start) < timedelta(hours=3, minutes=10)


SENTENCES: Sentences = {"half of the requests are missing": lambda: finding_at(LOST_AT + 60)}
