"""A gate also judges the newest bake-length of its step: that much is read, though stored."""

from tests.support.cases import cases
from tests.support.core import query_plan
from tests.support.judging import CHECKPOINT_AGE, findings_at, with_checkpoint
from tests.support.rollouts import MINUTE, NOON
from tests.support.sequential_rollouts import (
    QUIET,
    a_sequential_policy,
    a_sequential_step,
    observed,
    rate,
)

IN_DAY = 24 * 60


@cases(
    "bake, closed, minutes_read",
    {
        "a bake of an hour, after five": ("1h", 5 * 60, 60),
        "the step is younger than its bake": ("1d", 5 * 60, None),
        "a bake of 30 hours, after 40": ("30h", 40 * 60, IN_DAY),
    },
)
def test_the_newest_bake_length_is_read_again_and_at_most_a_day(
    bake: str, closed: int, minutes_read: int | None
) -> None:
    steps = [{"weight": 10, "bake": bake}, {"weight": 100, "bake": bake}]
    rollout = a_sequential_step(a_sequential_policy("rate", steps=steps, warmup="0s"))
    tick = closed + CHECKPOINT_AGE
    rollout = with_checkpoint(rollout, observed(rollout, [QUIET] * tick), tick)
    plan = query_plan(rollout, NOON + tick * MINUTE)
    judged_end = tick - rollout.policy.evaluation_delay // MINUTE
    begin = closed if minutes_read is None else judged_end - minutes_read
    assert (plan.span.start - int(NOON.timestamp())) // 60 == begin


@cases("steps", {"the last step": 1, "a step that others follow": 2})
@cases(
    "minute, minutes_read",
    {"it bakes": (27 * 60, None), "its bake is over": (40 * 60, IN_DAY)},
)
def test_a_step_reads_it_only_after_its_bake(
    minute: int, minutes_read: int | None, steps: int
) -> None:
    """A tick of a long bake reads as little on the second day as on the first."""
    bakes = [{"weight": weight, "bake": "30h"} for weight in (10, 100)]
    rollout = a_sequential_step(a_sequential_policy("rate", steps=bakes[-steps:], warmup="0s"))
    tick = minute + CHECKPOINT_AGE
    rollout = with_checkpoint(rollout, observed(rollout, [QUIET] * tick), tick)
    plan = query_plan(rollout, NOON + tick * MINUTE)
    judged_end = tick - rollout.policy.evaluation_delay // MINUTE
    begin = minute if minutes_read is None else judged_end - minutes_read
    assert (plan.span.start - int(NOON.timestamp())) // 60 == begin


def test_a_finding_before_the_end_of_a_long_bake_speaks_of_the_whole_step() -> None:
    """What was read is what is not stored: too little to stand for the newest day."""
    steps = [{"weight": 50, "bake": "3d"}, {"weight": 100, "bake": "1h"}]
    step = a_sequential_step(a_sequential_policy("rate", steps=steps, warmup="0s"))
    minutes = [rate(600, 0.601)] * (2 * IN_DAY)  # slightly above the bound
    step = with_checkpoint(step, observed(step, minutes), 2 * IN_DAY)
    (finding,) = findings_at(step, observed(step, minutes), 2 * IN_DAY)
    assert finding.reason == "ruled_out_large"
    assert finding.facts["newest_s"] == finding.end - finding.start
