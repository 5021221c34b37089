"""A canary that is better than a stable path that failed before the start passes its gate."""

from collections.abc import Sequence
from typing import Any

import pytest

from tests.support.cases import cases
from tests.support.core import BaselineMeasurement, Finding, sentence_of
from tests.support.judging import CHECKPOINT_AGE, PASS, PROVEN, UNDECIDED, outcome, with_checkpoint
from tests.support.sequential_rollouts import (
    Minute,
    a_sequential_policy,
    a_sequential_step,
    after,
    observed,
    rate,
)

TWO_STEPS = {"steps": [{"weight": 10, "bake": "1h"}, {"weight": 100, "bake": "1h"}], "warmup": "0s"}
# 1% of 8,100 requests in the quarter of an hour before noon.
BEFORE = {"rate": BaselineMeasurement(0.01, 8_100, 0, 900)}
# 600 requests a minute: the canary is well, and 1% of the stable path fails, or none.
FIXED, WELL = rate(60, 0, 540, 5.4), rate(60, 0, 540, 0)
AS_BAD, HALF_AS_BAD, ONCE = rate(60, 0.6, 540, 5.4), rate(60, 0.3, 540, 5.4), rate(60, 1, 540, 5.4)


def judged(
    minutes: Sequence[Minute],
    baselines: dict[str, BaselineMeasurement] | None = None,
    **fields: Any,
) -> Finding:
    """Return the finding on the first of two steps, whose bake is an hour."""
    policy = a_sequential_policy("rate", **TWO_STEPS, rate=fields)
    step = a_sequential_step(policy, baselines=BEFORE if baselines is None else baselines)
    (finding,) = after(step, minutes)
    return finding


@cases("minutes, expected", {
    "it is well, and the stable path fails": ([FIXED] * 60, PASS),
    "also with a failure that its limit allows": ([ONCE, *[FIXED] * 59], PASS),
    "it fails as much": ([AS_BAD] * 60, UNDECIDED),
    "it fails less, and above its limit": ([HALF_AS_BAD] * 60, UNDECIDED),
    "it is much better, and above its limit by chance": (
        [rate(60, 0.075, 540, 10.8)] * 60, UNDECIDED,
    ),
    "its limit is kept, and it may be as bad": ([rate(6, 0, 54, 0.54)] * 60, UNDECIDED),
    "its newest bake-length is well": ([*[AS_BAD] * 20, *[FIXED] * 90], PASS),
    "its newest bake-length is not yet": ([*[AS_BAD] * 20, *[FIXED] * 55], UNDECIDED),
    "ten minutes have no data": ([*[FIXED] * 20, *[{}] * 10, *[FIXED] * 90], PROVEN),
    "the outage paused for ten minutes": ([*[FIXED] * 40, *[WELL] * 10, *[FIXED] * 20], PROVEN),
})  # fmt: skip
def test_a_canary_passes_that_keeps_its_limit_and_is_better(
    minutes: Sequence[Minute], expected: Any
) -> None:
    assert outcome(judged(minutes)) == expected


@cases("minutes, baselines", {
    "the stable path began to fail later": ([FIXED] * 60, {}),
    "in the middle": ([*[WELL] * 30, *[FIXED] * 90], {}),
    "its outage was over, and another one began": (
        [*[FIXED] * 60, *[WELL] * 30, *[FIXED] * 60], BEFORE,
    ),
    "a quarter of an hour has no data, in which its outage may have ended": (
        [*[FIXED] * 20, *[{}] * 15, *[FIXED] * 90], BEFORE,
    ),
    "its outage is five times as large now": ([rate(60, 0, 540, 27)] * 60, BEFORE),
})  # fmt: skip
def test_what_began_to_fail_after_the_start_holds_a_better_canary(
    minutes: Sequence[Minute], baselines: dict[str, BaselineMeasurement]
) -> None:
    assert outcome(judged(minutes, baselines)) == UNDECIDED


def test_that_an_outage_was_over_is_known_once_its_minutes_are_stored() -> None:
    policy = a_sequential_policy("rate", **TWO_STEPS)
    step = a_sequential_step(policy, baselines=BEFORE)
    minutes = [*[FIXED] * 60, *[WELL] * 30, *[FIXED] * 90]
    step = with_checkpoint(step, observed(step, minutes[:100]), 100 + CHECKPOINT_AGE)
    (finding,) = after(step, minutes)
    assert outcome(finding) == UNDECIDED


def test_a_pass_needs_enough_requests_in_the_newest_bake_length() -> None:
    minutes = [*[FIXED] * 60, *[rate(1, 0, 540, 5.4)] * 60]
    assert outcome(judged(minutes)) == UNDECIDED


@pytest.mark.parametrize(("failed", "expected"), [(0, PROVEN), (0.05, UNDECIDED)])
def test_where_a_proof_is_required_a_better_canary_needs_it_too(
    failed: float, expected: Any
) -> None:
    finding = judged([rate(120, failed, 1_080, 10.8)] * 60, assurance="proven")
    assert outcome(finding)[0] is expected[0]


def test_its_sentence_says_both_halves() -> None:
    assert sentence_of(judged([FIXED] * 60)).endswith(
        " The stable path failed before the start too (1%): the canary keeps the limit over the "
        "last 1h (0 of 3,600 requests failed), and is better at a likelihood ratio of "
        "27,075, limit 100."
    )


def test_more_than_a_million_is_not_counted() -> None:
    finding = judged([rate(600, 0, 5_400, 162)] * 60)
    assert finding.facts["better_odds"] == 1_000_000
    assert "at a likelihood ratio of above 1,000,000, limit 100." in sentence_of(finding)


def test_a_hold_says_what_the_canary_needs() -> None:
    assert sentence_of(judged([HALF_AS_BAD] * 60)).endswith(
        " The stable path failed before the start too (1%): the canary passes when it keeps the "
        "limit over the last 1h (18 of 3,600 requests failed), and is better at a likelihood "
        "ratio of 100 (now 2)."
    )
