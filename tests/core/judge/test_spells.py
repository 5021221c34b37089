"""Failures in spells are found by their share of ten minutes or of an hour."""

from collections.abc import Sequence
from math import exp
from random import Random
from statistics import fmean

import pytest

from controller.core.judge.sequential_evidence import tests_of as sequential_tests_of
from controller.core.stats.combined_tests import SequentialState, limits
from controller.core.stats.spells import MinuteBlock, block_log_ratios
from tests.support.cases import cases
from tests.support.sequential_rollouts import (
    a_sequential_policy,
    fold_after,
    minutes_to_fail,
    rate_minutes,
)

HOURS = 12
ONE_LONG_STEP = {"steps": [{"weight": 50, "bake": f"{HOURS}h", "criteria": ["rate"]}]}


def spells(every: int, share: float, requests: int = 600) -> list[tuple[float, ...]]:
    """Return twelve hours in which one minute in `every` fails by `share`."""
    return [
        (requests, requests * share if minute % every == every // 2 else 0)
        for minute in range(60 * HOURS)
    ]


def rejections(minutes: Sequence[tuple[float, ...]], **parts: object) -> dict[str, int]:
    """Return the end of the minute in which each test rolls back, in minutes from the first one."""
    policy = a_sequential_policy("rate", **{**ONE_LONG_STEP, **parts})
    fold = fold_after(policy, rate_minutes(minutes))
    return {name: rejection.at for name, rejection in fold.rejections.items()}


@cases(
    "every, share, test",
    {
        "each hour a minute in which all fail": (60, 1.0, "rate/60 minutes"),
        "one minute in ten at 10%": (10, 0.1, "rate/10 minutes"),
        "one minute in twenty at 20%": (20, 0.2, "rate/60 minutes"),
    },
)
def test_spells_are_found_that_no_minute_shows(every: int, share: float, test: str) -> None:
    assert set(rejections(spells(every, share))) >= {test}


def test_spells_that_keep_the_objective_are_not() -> None:
    """One minute an hour at 5% is 0.083% of all, of which 0.1% may fail."""
    assert not rejections(spells(60, 0.05))


def test_spells_that_the_stable_path_has_too_are_not_the_canarys() -> None:
    both = [
        (600, 600 if minute % 60 == 30 else 0, 600, 600 if minute % 60 == 30 else 0)
        for minute in range(60 * HOURS)
    ]
    assert not rejections(both)


def test_a_bet_is_fair_while_the_mean_share_keeps_the_objective() -> None:
    """Whatever the shares are, here 0 or 1%, with 0.1% on average."""
    draw, allowed = Random("blocks"), 0.001
    blocks = [MinuteBlock(1_000, 10 if draw.random() < 0.1 else 0, 10) for _ in range(20_000)]
    for bet in zip(*(block_log_ratios(block, allowed) for block in blocks), strict=True):
        assert fmean(map(exp, bet)) == pytest.approx(1, abs=0.05)


@cases(
    "block",
    {"without requests": MinuteBlock(0, 3, 10), "where nothing may fail": MinuteBlock(600, 3, 10)},
)
def test_a_block_that_says_nothing_changes_nothing(block: MinuteBlock) -> None:
    assert set(block_log_ratios(block, 0.001 if not block.requests else 0.0)) == {0.0}


# --- the budget -----------------------------------------------------------------------------------


def test_more_budget_never_makes_the_evidence_of_a_minute_less() -> None:
    """So with more of it no rollout is rolled back later, and with less of it none sooner."""
    budgets = ["0.01%", "0.1%", "1%", "5%", "20%"]
    by_budget = [
        sequential_tests_of(a_sequential_policy("rate", **ONE_LONG_STEP, false_rollback=budget))
        for budget in budgets
    ]
    for name in by_budget[0].by_name:
        tests = [one.by_name[name] for one in by_budget]
        for spacing in (1, 5):
            caps = [limits(test, spacing) for test in tests]
            assert caps == [pytest.approx(caps[0])] * len(caps)
        parts = [test.part for test in tests]
        assert parts == sorted(parts)


def test_a_smaller_budget_rolls_back_later() -> None:
    minutes = rate_minutes([(600, 6)] * 120)
    policies = [
        a_sequential_policy("rate", **ONE_LONG_STEP, false_rollback=one)
        for one in ("20%", "1%", "0.01%")
    ]
    many, usual, few = (minutes_to_fail(policy, minutes) for policy in policies)
    assert many < usual < few


def test_a_fold_of_the_version_before_starts_anew() -> None:
    assert SequentialState(version=5, through=600).current_version == SequentialState(through=600)
