"""What a tick judges: in which phases, from which minute on, at which weight, until when."""

import pytest

from controller.immutable import replace
from tests.support.cases import cases
from tests.support.core import (
    Observation,
    Rollout,
    judge,
    judge_gate,
    query_plan,
)
from tests.support.judging import (
    MINUTE_S,
    PASS,
    START,
    UNDECIDED,
    a_step,
    datapoints,
    findings_at,
    outcome,
)
from tests.support.rollouts import LADDER, MINUTE, NOON, a_policy, a_reading
from tests.support.three_steps import (
    AT_10,
    FIRST_RAISE,
    TOO_FEW_REQUESTS,
    at_weight,
)

WORKS = LADDER["criteria"]["works"]


def nothing_to_judge(rollout: Rollout, minute: float = 30) -> bool:
    now = NOON + minute * MINUTE
    evidence = judge(
        rollout, Observation(a_reading(rollout.weight), TOO_FEW_REQUESTS), now
    ).evidence
    return evidence is None and not query_plan(rollout, now).queries


def test_nothing_is_judged_or_read_before_the_first_judged_minute() -> None:
    assert nothing_to_judge(FIRST_RAISE)
    assert nothing_to_judge(AT_10, 2)
    assert not nothing_to_judge(AT_10, 2.1)


def test_judging_begins_with_the_first_whole_minute_after_the_warm_up() -> None:
    steps = [{"weight": 10, "bake": "10m", "warmup": "4m"}, {"weight": 100, "bake": "10m"}]
    late = at_weight(10, since=NOON + 0.5 * MINUTE)
    assert AT_10.judged_from == START + 2 * MINUTE_S
    assert late.judged_from == START + 3 * MINUTE_S
    assert replace(AT_10, policy=a_policy(steps=steps)).judged_from == START + 4 * MINUTE_S


@cases(
    "window, settled_at, end",
    {
        "every minute is a window": ("1m", 0, 12),
        "five minutes from 12:05 to 12:15": ("5m", 0, 15),
        "the bake ends with a window": ("5m", 3, 15),
        "five minutes from 12:10 to 12:20": ("5m", 4, 20),
        "ten minutes from 12:10 to 12:20": ("10m", 0, 20),
    },
)
def test_a_bake_holds_its_length_in_whole_windows(window: str, settled_at: int, end: int) -> None:
    criteria = {"works": {**WORKS, "window": window, "failure_limit": 1}}
    rollout = at_weight(10, a_policy(criteria=criteria), NOON + settled_at * MINUTE)
    assert rollout.bake_end == NOON + end * MINUTE


def test_a_bake_is_over_when_the_last_window_of_every_criterion_is() -> None:
    criteria = {"quick": WORKS, "slow": {**WORKS, "window": "5m"}}
    rollout = replace(AT_10, policy=a_policy(criteria=criteria))
    alone = [{"weight": 10, "bake": "10m", "criteria": ["quick"]}, {"weight": 100, "bake": "10m"}]
    quick = replace(AT_10, policy=a_policy(criteria=criteria, steps=alone))
    assert (rollout.bake_end, quick.bake_end) == (NOON + 15 * MINUTE, NOON + 12 * MINUTE)


SHARE = {"kind": "share", "metric": "requests", "control": "stable"}
COUNTED = datapoints({"requests": [100] * 20, "stable": [900] * 20})


def test_a_bake_is_over_when_its_last_minute_has_settled() -> None:
    """A share of the traffic is judged at the end of the bake."""
    step = a_step(SHARE, bake="12m")
    found = [findings_at(step, COUNTED, minute)[0] for minute in (12, 14.9, 15)]
    assert [outcome(one) for one in found] == [UNDECIDED, UNDECIDED, PASS]


@pytest.mark.parametrize(("live", "weight"), [(10, 10), (5, 5), (60, 10), (None, 0)])
def test_the_canary_is_judged_at_the_lower_of_the_planned_and_the_live_weight(
    live: int | None, weight: int
) -> None:
    """The bound of a share is the weight."""
    observation = Observation(a_reading(live), COUNTED)
    evidence = judge(a_step(SHARE), observation, NOON + 9 * MINUTE).evidence
    assert evidence is not None
    (finding,) = judge_gate(evidence)
    assert finding.bound == weight / 100
