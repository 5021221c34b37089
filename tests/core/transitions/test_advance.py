"""A step starts clean, follows its index, and carries its label to the end."""

from dataclasses import replace
from datetime import timedelta

from tests.support.core import (
    Intent,
    Label,
    Reason,
    Shift,
    start_rollout,
)
from tests.support.rollouts import LADDER, MINUTE, NOON, a_policy, a_reading
from tests.support.three_steps import (
    AT_10,
    AT_50,
    AT_100,
    FAILING,
    PROGRESSING,
    RAISING,
    ROLLING_BACK,
    SUCCEEDED,
    TOO_FEW_REQUESTS,
    decide_tick,
    healthy_until,
    under,
)


def test_the_clock_of_a_step_starts_when_its_weight_is_seen() -> None:
    assert decide_tick(RAISING, a_reading(50), 3).rollout.settled == NOON + 3 * MINUTE


def test_a_step_starts_without_the_evidence_of_the_one_before() -> None:
    before = replace(AT_10, sealed_at=NOON, hold_from=NOON, barrier="frozen")
    after = decide_tick(before, a_reading(10), 15).rollout
    assert (after.settled, after.tallies, after.sealed_at, after.findings) == (None, {}, None, ())
    assert (after.hold_from, after.barrier) == (None, "")


def test_a_step_leaves_behind_the_findings_of_criteria_that_the_next_one_lacks() -> None:
    first, *rest = LADDER["steps"]
    steps = [first, *({**one, "criteria": ["steady"]} for one in rest)]
    works = LADDER["criteria"]["works"]
    policy = a_policy(criteria={"works": works, "steady": works}, steps=steps)
    after = decide_tick(replace(AT_10, policy=policy), a_reading(10), 15).rollout
    assert after.weight == 50
    assert [(one.criterion, one.facts) for one in after.earlier] == [("works", {})]


def test_a_block_is_forgotten_once_the_raise_is_applied() -> None:
    after = decide_tick(
        replace(RAISING, barrier="frozen", blocked="frozen"), a_reading(50), 3
    ).rollout
    assert (after.barrier, after.blocked) == ("", "")


def test_the_intent_of_a_raise_holds_what_a_crash_needs() -> None:
    after = decide_tick(AT_10, a_reading(10, token="token-2"), 15).rollout
    assert after.intent == Intent(50, 10, "token-2", NOON + 15 * MINUTE)


def test_the_peak_is_the_last_weight_that_was_decided() -> None:
    assert decide_tick(AT_10, a_reading(10), 15).rollout.peak == 50


def test_the_last_step_that_passes_is_a_success_with_its_label() -> None:
    after = decide_tick(replace(AT_100, blocked="the bake"), a_reading(100), 35).rollout
    assert (after.phase, after.reason, after.since, after.label, after.blocked) == (
        SUCCEEDED, Reason.COMPLETED, NOON + 35 * MINUTE, Label.NOT_REFUTED, "",
    )  # fmt: skip
    assert after.watch_until == NOON + 35 * MINUTE + timedelta(days=7)


def test_the_next_weight_follows_the_step_and_not_the_weight() -> None:
    out_of_line = replace(AT_50, intent=replace(AT_50.intent, weight=10))
    decision = decide_tick(out_of_line, a_reading(10), 15)
    assert (decision.rollout.step, decision.move) == (2, Shift(100, "token-1"))


def test_a_step_is_judged_by_its_own_criteria() -> None:
    works = LADDER["criteria"]["works"]
    policy = a_policy(
        criteria={"works": works, "lenient": {**works, "min": "10%"}},
        steps=[
            {"weight": 10, "bake": "10m", "criteria": ["lenient"]},
            {"weight": 100, "bake": "10m", "criteria": ["works"]},
        ],
    )
    lenient, strict = replace(AT_10, policy=policy), replace(AT_10, policy=policy, step=1)
    assert decide_tick(lenient, a_reading(10), 7, FAILING).rollout.phase is PROGRESSING
    assert decide_tick(strict, a_reading(10), 7, FAILING).rollout.phase is ROLLING_BACK


def test_an_unproven_advance_is_labelled_to_the_end() -> None:
    rollout = under(AT_10, on_inconclusive="advance")
    after = decide_tick(rollout, a_reading(10), 32, TOO_FEW_REQUESTS).rollout
    assert after.label == Label.TOO_FEW
    last = replace(AT_100, policy=after.policy, label=after.label)
    assert decide_tick(last, a_reading(100), 35).rollout.label == after.label


def test_a_healthy_rollout_climbs_the_ladder_and_seals_once_an_hour() -> None:
    policy = a_policy(steps=[*LADDER["steps"][:2], {"weight": 100, "bake": "3h"}])
    started = start_rollout(policy, "code-1", a_reading(0), 1, {}, None, NOON)
    rollout, weight, entries = started.rollout, 10, []
    for minute in range(1, 260):
        decision = decide_tick(rollout, a_reading(weight), minute, healthy_until(minute))
        if isinstance(decision.move, Shift):
            weight = decision.move.weight
        if decision.record:
            entries.append((minute, decision.record.kind, weight))
        rollout = decision.rollout
    assert entries == [
        (1, "settled", 10),
        (16, "advanced", 50),
        (17, "settled", 50),
        (32, "advanced", 100),
        (33, "settled", 100),
        (95, "evidence", 100),
        (155, "evidence", 100),
        (215, "evidence", 100),
        (218, "succeeded", 100),
    ]
