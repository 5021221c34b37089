"""A raise that waits for the end of a freeze: what is live is judged by the gate of its step."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest

from controller.core.decision import Decision, Lower, Shift
from controller.core.judge.evidence import Stretch
from controller.core.judge.gate import needs
from controller.core.judge.sealing import evidence_of
from controller.core.observation import Observation, TargetReading, UnreadableTarget
from controller.core.policy import Policy
from controller.core.rollout import Phase, Reason, Rollout
from tests.core.judge.test_evidence_over_steps import policy as weighed
from tests.core.test_replay import Life, a_life
from tests.support.rollouts import LADDER, MINUTE, NOON, a_policy, a_reading
from tests.support.three_steps import (
    FAILING,
    FIRST_RAISE,
    NO_DATA,
    UNREADABLE,
    UPDATE_FAILED,
    UPDATE_IN_PROGRESS,
    decide_tick,
)

STAYS, BACK = Phase.PROGRESSING, Phase.ROLLING_BACK
# The raise to 50 % is decided at 12:16, and its writes are refused until the freeze.
FREEZE = {"zone": "UTC", "daily": [{"from": "12:20", "to": "14:30"}]}
OVER = 150
LITERAL = a_policy(freeze=FREEZE)
WEIGHED = Policy.model_validate({**weighed().model_dump(exclude_none=True), "freeze": FREEZE})
JUDGES = pytest.mark.parametrize("judged", [LITERAL, WEIGHED], ids=["literal", "adding up"])


def second(minute: float) -> int:
    return int((NOON + minute * MINUTE).timestamp())


def between(first: float, last: float) -> Callable[[int], float]:
    """Return errors of each hundred requests, from one minute on and up to another."""
    return lambda at: 20.0 if second(first) <= at < second(last) else 0.0


def waiting(judged: Policy = LITERAL, until: int = 21) -> Life:
    """Return a rollout whose raise to 50 % waits, so many minutes after noon."""
    life = a_life(judged)
    on(life, until)
    assert (life.rollout.weight, life.rollout.reason) == (50, Reason.FROZEN)
    return life


def on(life: Life, until: float, every: timedelta = MINUTE, **target: Any) -> Decision | None:
    """Let ticks see 10 % until then, or until the rollout goes on; return the last decision."""
    decision, phase = None, life.rollout.phase
    while life.now < NOON + until * MINUTE and life.rollout.phase is phase:
        decision = life.tick(a_reading(10, **target), every)
    return decision


def minutes(life: Life) -> float:
    return (life.now - NOON) / MINUTE


@JUDGES
def test_a_canary_that_fails_meanwhile_goes_back(judged: Policy) -> None:
    life = waiting(judged)
    life.errors = between(40, 1000)
    decision = on(life, OVER)
    assert decision is not None
    after = decision.rollout
    assert (after.phase, after.reason, decision.move) == (BACK, Reason.GATE_FAILED, Lower(MINUTE))
    assert minutes(life) <= 47
    assert (after.step, after.peak, after.intent.previous) == (1, 50, 10)
    assert decision.record is not None
    assert decision.record.weight_from == 10
    assert [one.criterion for one in decision.record.findings] == ["works"]
    assert life.replay.consistent


@JUDGES
def test_it_goes_back_as_soon_as_one_whose_raise_was_never_decided(judged: Policy) -> None:
    """That one waits in its step, for the freeze begins a minute earlier."""
    early = {"zone": "UTC", "daily": [{"from": "12:10", "to": "14:30"}]}
    other = a_life(judged.model_copy(update={"freeze": a_policy(freeze=early).freeze}))
    life = a_life(judged)
    life.errors = other.errors = between(40, 1000)
    for one in (life, other):
        on(one, OVER)
    assert other.rollout.weight == life.rollout.weight == 0
    assert life.now == other.now


@JUDGES
def test_a_healthy_canary_goes_up_after_the_freeze(judged: Policy) -> None:
    life = waiting(judged)
    decision = on(life, OVER)
    assert decision is not None
    assert (decision.rollout.reason, decision.move) == (Reason.WRITE_AGAIN, Shift(50, "token-1"))
    assert (decision.rollout.previous_live, decision.rollout.barrier) == (None, "")
    assert life.tick(a_reading(50)).rollout.reason is Reason.SETTLED
    assert life.replay.consistent


@JUDGES
def test_a_canary_that_fails_as_the_freeze_ends_is_not_raised(judged: Policy) -> None:
    life = waiting(judged)
    on(life, OVER - 1)
    life.errors = between(OVER - 12, 1000)  # told late
    decision = on(life, OVER)
    assert decision is not None
    assert (decision.rollout.reason, minutes(life)) == (Reason.GATE_FAILED, OVER)


def test_a_wait_is_told_with_what_is_live() -> None:
    assert waiting().rollout.sentence == (
        "50 % was decided but not written; frozen until 2026-11-24 14:30 UTC (daily 12:20 to "
        "14:30, UTC); meanwhile the 10 % that are live are judged on"
    )


# --- what is read, and kept ---------------------------------------------------------------------


@JUDGES
def test_however_long_a_freeze_lasts_a_tick_reads_little_and_the_history_derives_again(
    judged: Policy,
) -> None:
    life = waiting(judged)
    while minutes(life) < OVER:
        span = needs(life.rollout, life.now + MINUTE).span
        assert 0 < span.end - span.start <= 77 * 60
        life.tick(a_reading(10))
    assert life.kinds.count("evidence") == 2
    kept = [
        (key, at)
        for entry in life.entries
        if entry.kind == "evidence"
        for key, one in entry.body["seen"]["series"].items()
        for at, _ in one["points"]
    ]
    assert len(set(kept)) == len(kept)
    assert {one.body["weight_from"] for one in life.entries if one.kind == "evidence"} == {10}
    life.tick(a_reading(50))
    assert life.replay.consistent


def test_each_minute_of_the_wait_adds_up_once() -> None:
    life = waiting(WEIGHED)
    begin = life.rollout.stretches[-1].begin
    on(life, OVER)
    known = life.rollout.stretches
    assert known[-1] == Stretch(0, begin, begin, second(OVER))
    assert all(one.end <= other.begin for one, other in pairwise(known))


def test_a_literal_window_of_before_is_none_of_the_wait() -> None:
    """Two bad minutes in a row fail. The wait is judged from 12:17, the first look at it."""
    life = waiting()
    for first, last, phase in ((15, 18, STAYS), (30, 31, STAYS), (40, 42, BACK)):
        life.errors = between(first, last)
        on(life, last + 5)
        assert life.rollout.phase is phase


def test_there_is_no_second_warm_up() -> None:
    slow = replace(waiting().rollout, policy=a_policy(freeze=FREEZE, warmup="2h"))
    assert slow.judged_from == second(17)


# --- whose gate ---------------------------------------------------------------------------------


WORKS = LADDER["criteria"]["works"]


def gated(first: list[str], second: list[str]) -> Policy:
    """Return the ladder with two criteria, and which of them the first two steps have."""
    steps = [{**LADDER["steps"][0], "criteria": first}, {**LADDER["steps"][1], "criteria": second}]
    mild = {**WORKS, "min": "50%"}
    return a_policy(
        freeze=FREEZE,
        criteria={"works": WORKS, "mild": mild},
        steps=[*steps, LADDER["steps"][2]],
    )


@pytest.mark.parametrize(
    ("first", "then", "phase"),
    [
        pytest.param(["works"], ["mild"], BACK, id="a criterion of the step that is live fails"),
        pytest.param(["mild"], ["works"], STAYS, id="one of the step to come does not count yet"),
    ],
)
def test_the_gate_is_that_of_the_step_that_is_live(
    first: list[str], then: list[str], phase: Phase
) -> None:
    life = waiting(gated(first, then))
    life.errors = between(40, 1000)
    on(life, 100)
    assert life.rollout.phase is phase
    assert [one.criterion for one in life.rollout.findings] == first


def test_nothing_is_live_before_the_first_raise_so_nothing_is_read() -> None:
    rollout: Rollout = replace(FIRST_RAISE, policy=LITERAL)
    for minute in range(21, 60):
        rollout = decide_tick(rollout, a_reading(0), minute, FAILING).rollout
        assert (rollout.phase, rollout.reason) == (STAYS, Reason.FROZEN)
        assert not needs(rollout, NOON + minute * MINUTE)
    assert "judged" not in rollout.sentence


# --- how the wait ends --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("target", "phase", "reason"),
    [
        pytest.param(a_reading(50), STAYS, Reason.SETTLED, id="a run that slept has written it"),
        pytest.param(a_reading(0), Phase.ROLLED_BACK, Reason.FOUND_AT_ZERO, id="0 %"),
        pytest.param(a_reading(50, UPDATE_FAILED), BACK, Reason.SHIFT_FAILED, id="its update failed"),
    ],
)  # fmt: skip
@JUDGES
def test_another_end_of_the_wait_takes_nothing_from_it_into_the_next_step(
    judged: Policy, target: TargetReading, phase: Phase, reason: Reason
) -> None:
    life = waiting(judged, until=100)
    after = life.tick(target).rollout
    assert (after.phase, after.reason) == (phase, reason)
    if phase is STAYS:
        assert (after.previous_live, after.tallies, after.findings) == (None, {}, ())
        assert all(one.end for one in after.stretches)
        assert after.judged_step == 1
    assert life.replay.consistent


@pytest.mark.parametrize(
    "target", [UNREADABLE, a_reading(10, UPDATE_IN_PROGRESS)], ids=["unreadable", "moving"]
)
def test_the_wait_goes_on_after_a_look_that_saw_nothing(
    target: TargetReading | UnreadableTarget,
) -> None:
    life = waiting()
    begin = life.rollout.previous_live
    next_of = (
        "rolls back unless 50 %" if isinstance(target, TargetReading) else "50 % at 2026-11-24"
    )
    assert life.tick(target).rollout.next.startswith(next_of)
    life.tick(a_reading(10))
    assert (life.rollout.reason, life.rollout.previous_live) == (Reason.FROZEN, begin)


@JUDGES
def test_a_canary_that_fails_goes_back_where_the_target_cannot_be_read(judged: Policy) -> None:
    life = waiting(judged)
    life.errors = between(22, 1000)
    moves = []
    while life.rollout.phase is STAYS and minutes(life) < 30:
        moves.append(life.tick(UNREADABLE).move)
    assert (life.rollout.reason, moves[-1]) == (Reason.GATE_FAILED, Lower(MINUTE))
    assert life.replay.consistent


@JUDGES
def test_a_target_that_cannot_be_read_in_the_freeze_is_no_reason_to_go_back(judged: Policy) -> None:
    """The raise is not late: it waits. After the freeze, it has all its time to be seen."""
    life = waiting(judged)
    begin = life.rollout.previous_live
    while minutes(life) < OVER - 1:
        after = life.tick(UNREADABLE).rollout
        assert (after.phase, after.reason) == (STAYS, Reason.TARGET_UNREADABLE)
        assert after.next == "50 % at 2026-11-24 14:30 UTC"
        assert UNREADABLE.reason in after.sentence
    assert (life.rollout.previous_live, life.rollout.unfinished_since) == (begin, None)
    assert life.kinds.count("evidence") == 2
    for _ in range(11):
        assert life.tick(UNREADABLE).rollout.phase is STAYS
    assert life.tick(UNREADABLE).rollout.reason is Reason.SHIFT_TIMED_OUT
    assert life.replay.consistent


def test_silence_is_held_against_what_is_live_where_the_target_cannot_be_read() -> None:
    rollout = waiting().rollout
    evidence = evidence_of(rollout, Observation(UNREADABLE), NOON + 30 * MINUTE)
    assert evidence is not None
    assert evidence.weight == 10


def test_silence_in_the_freeze_is_no_reason_to_go_back() -> None:
    rollout = waiting().rollout
    for minute in range(22, OVER):
        rollout = decide_tick(rollout, a_reading(10), minute, NO_DATA).rollout
        assert (rollout.phase, rollout.reason) == (STAYS, Reason.FROZEN)
    assert decide_tick(rollout, a_reading(10), OVER, NO_DATA).rollout.reason is Reason.WRITE_AGAIN


def test_a_second_freeze_is_waited_for_and_judged_in_like_the_first() -> None:
    again: Mapping[str, Any] = {
        "zone": "UTC",
        "daily": [{"from": "12:20", "to": "12:40"}, {"from": "12:45", "to": "14:30"}],
    }
    for judged in (LITERAL, WEIGHED):
        life = waiting(judged.model_copy(update={"freeze": a_policy(freeze=again).freeze}))
        on(life, 60)
        assert [one for one in life.kinds if one in ("held_up", "write_again")][-2:] == [
            "write_again", "held_up",
        ]  # fmt: skip
        assert life.rollout.previous_live == Stretch(0, second(40), second(40))
        life.errors = between(70, 1000)
        on(life, 100)
        assert life.rollout.reason is Reason.GATE_FAILED
        assert life.replay.consistent


def test_a_wait_that_an_older_version_has_stored_is_judged_from_the_next_tick_on() -> None:
    life = waiting()
    stored = replace(life.rollout, stretches=())
    first = decide_tick(stored, a_reading(10), 22, FAILING)
    assert (first.rollout.reason, first.record and first.record.kind) == (Reason.FROZEN, "held_up")
    assert (
        decide_tick(first.rollout, a_reading(10), 23, FAILING).rollout.reason is Reason.GATE_FAILED
    )


def test_a_first_raise_that_meets_a_second_freeze_says_so_again() -> None:
    freezes = [{"from": "12:01", "to": "12:20"}, {"from": "12:25", "to": "13:00"}]
    life = a_life(a_policy(freeze={"zone": "UTC", "daily": freezes}))
    told = [life.tick(a_reading(0)).notices for _ in range(30)]
    assert [one.text.partition("frozen until ")[2][11:16] for (one,) in filter(None, told)] == [
        "12:20", "13:00",
    ]  # fmt: skip
    assert life.replay.consistent


def test_a_first_raise_that_waits_is_no_later_for_a_target_that_cannot_be_read() -> None:
    freeze = {"zone": "UTC", "daily": [{"from": "12:01", "to": "13:00"}]}
    life = a_life(a_policy(freeze=freeze, shift_timeout="10m"))
    life.tick(a_reading(0))
    for _ in range(40):
        after = life.tick(UNREADABLE).rollout
        assert (after.phase, after.next) == (STAYS, "10 % at 2026-11-24 13:00 UTC")
    life.tick(a_reading(0), 20 * MINUTE)
    assert life.kinds[-1] == "write_again"
    assert life.replay.consistent
