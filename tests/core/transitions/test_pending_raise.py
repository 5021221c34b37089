"""A pending raise: what it waits for, and what is judged meanwhile."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from controller.immutable import replace
from tests.support.cases import cases
from tests.support.core import (
    Decision,
    Live,
    Lower,
    Pending,
    Phase,
    Policy,
    Progressing,
    Reason,
    RollingBack,
    Rollout,
    Shift,
    TargetReading,
    next_action,
    query_plan,
)
from tests.support.recorded_run import WEIGHED, RecordedRun, a_run
from tests.support.rollouts import LADDER, MINUTE, NOON, a_policy, a_reading, state_of
from tests.support.three_steps import (
    FIRST_RAISE,
    RAISING,
    UNREADABLE,
    UPDATE_FAILED,
    decide_tick,
)

STAYS, BACK = Phase.PROGRESSING, Phase.ROLLING_BACK
# The raise to 50 % is decided at 12:16, and its writes are refused until the freeze.
FREEZE = {"zone": "UTC", "daily": [{"from": "12:20", "to": "14:30"}]}
OVER = 150
LITERAL = a_policy(freeze=FREEZE)
ADDING_UP = Policy.model_validate({**WEIGHED.model_dump(exclude_none=True), "freeze": FREEZE})
JUDGES = cases("judged", {"literal": LITERAL, "adding up": ADDING_UP})


def second(minute: float) -> int:
    return int((NOON + minute * MINUTE).timestamp())


def errors_between(first: float, last: float) -> Callable[[int], float]:
    """Return errors of each hundred requests, from one minute on and up to another."""
    return lambda at: 20.0 if second(first) <= at < second(last) else 0.0


def waiting(judged: Policy = LITERAL, until: int = 21) -> RecordedRun:
    """Return a rollout whose raise to 50 % waits, so many minutes after noon."""
    run = a_run(judged)
    tick_until(run, until)
    assert (run.rollout.weight, run.rollout.reason) == (50, Reason.FROZEN)
    return run


def tick_until(
    run: RecordedRun, until: float, every: timedelta = MINUTE, **target: Any
) -> Decision | None:
    """Let ticks see 10 % until then, or until the rollout goes on; return the last decision."""
    decision, phase = None, run.rollout.phase
    while run.now < NOON + until * MINUTE and run.rollout.phase is phase:
        decision = run.tick(a_reading(10, **target), every)
    return decision


def minutes(run: RecordedRun) -> float:
    return (run.now - NOON) / MINUTE


@JUDGES
def test_a_canary_that_fails_meanwhile_goes_back(judged: Policy) -> None:
    run = waiting(judged)
    run.errors = errors_between(40, 1000)
    decision = tick_until(run, OVER)
    assert decision is not None
    after = decision.rollout
    assert (after.phase, after.reason, decision.move) == (BACK, Reason.GATE_FAILED, Lower(MINUTE))
    assert minutes(run) <= 47
    assert (after.step, after.from_weight) == (1, 10)
    assert state_of(after, RollingBack).intended == 50
    assert decision.record is not None
    assert decision.record.weight_from == 10
    assert [one.criterion for one in decision.record.findings] == ["works"]
    assert run.replay.consistent


@JUDGES
def test_a_healthy_canary_goes_up_after_the_freeze(judged: Policy) -> None:
    run = waiting(judged)
    decision = tick_until(run, OVER)
    assert decision is not None
    assert (decision.rollout.reason, decision.move) == (Reason.WRITE_RETRIED, Shift(50, "token-1"))
    assert state_of(decision.rollout, Progressing).block is None
    assert run.tick(a_reading(50)).rollout.reason is Reason.APPLIED
    assert run.replay.consistent


@JUDGES
def test_a_canary_that_fails_as_the_freeze_ends_is_not_raised(judged: Policy) -> None:
    run = waiting(judged)
    tick_until(run, OVER - 1)
    run.errors = errors_between(OVER - 12, 1000)  # its data are final only later
    decision = tick_until(run, OVER)
    assert decision is not None
    assert (decision.rollout.reason, minutes(run)) == (Reason.GATE_FAILED, OVER)


# --- Reads and seals ------------------------------------------------------------------------------


@JUDGES
def test_however_long_a_freeze_lasts_a_tick_reads_little_and_the_history_derives_again(
    judged: Policy,
) -> None:
    run = waiting(judged)
    while minutes(run) < OVER:
        span = query_plan(run.rollout, run.now + MINUTE).span
        assert 0 < span.end - span.start <= 77 * 60
        run.tick(a_reading(10))
    assert run.kinds.count("evidence") == 2
    stored_points = [
        (key, at)
        for entry in run.entries
        if entry.kind == "evidence"
        for key, one in entry.body["observation"]["series"].items()
        for at, _ in one["points"]
    ]
    assert len(set(stored_points)) == len(stored_points)
    assert {one.body["weight_from"] for one in run.entries if one.kind == "evidence"} == {10}
    run.tick(a_reading(50))
    assert run.replay.consistent


# --- The gate -------------------------------------------------------------------------------------


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


# --- The end of the wait --------------------------------------------------------------------------


@cases("target, phase, reason", {
    "a run that slept has written it": (a_reading(50), STAYS, Reason.APPLIED),
    "0 %": (a_reading(0), Phase.ROLLED_BACK, Reason.FOUND_AT_ZERO),
    "its update failed": (a_reading(50, UPDATE_FAILED), BACK, Reason.SHIFT_FAILED),
})  # fmt: skip
@JUDGES
def test_another_end_of_the_wait_takes_nothing_from_it_into_the_next_step(
    judged: Policy, target: TargetReading, phase: Phase, reason: Reason
) -> None:
    run = waiting(judged, until=100)
    after = run.tick(target).rollout
    assert (after.phase, after.reason) == (phase, reason)
    if phase is STAYS:
        assert (after.position, after.evidence.tallies, after.evidence.findings) == (
            Live(1, 50, run.now),
            {},
            (),
        )
        assert all(one.end for one in after.evidence.intervals)
        assert after.judged_step == 1
    assert run.replay.consistent


@JUDGES
def test_a_canary_that_fails_goes_back_where_the_target_cannot_be_read(judged: Policy) -> None:
    run = waiting(judged)
    run.errors = errors_between(22, 1000)
    moves = []
    while run.rollout.phase is STAYS and minutes(run) < 30:
        moves.append(run.tick(UNREADABLE).move)
    assert (run.rollout.reason, moves[-1]) == (Reason.GATE_FAILED, Lower(MINUTE))
    assert run.replay.consistent


@JUDGES
def test_a_target_that_cannot_be_read_in_the_freeze_is_no_reason_to_go_back(judged: Policy) -> None:
    """The raise is not late: it waits. After the freeze, it has all its time to be seen."""
    run = waiting(judged)
    pending = run.rollout.pending
    while minutes(run) < OVER - 1:
        after = run.tick(UNREADABLE).rollout
        assert (after.phase, after.reason) == (STAYS, Reason.TARGET_UNREADABLE)
        assert next_action(after).at == NOON + OVER * MINUTE
        assert UNREADABLE.reason in after.sentence
    assert run.rollout.pending == pending
    assert run.kinds.count("evidence") == 2
    for _ in range(11):
        assert run.tick(UNREADABLE).rollout.phase is STAYS
    assert run.tick(UNREADABLE).rollout.reason is Reason.SHIFT_TIMED_OUT
    assert run.replay.consistent


# --- A write that was accepted, and is not seen ---------------------------------------------------


def accepted_at_noon(rollout: Rollout) -> Rollout:
    state = state_of(rollout, Progressing)
    assert isinstance(state.position, Pending)
    return replace(rollout, state=replace(state, position=replace(state.position, accepted=NOON)))


@cases("rollout, weight, seconds, phase, reason", {
    "a first raise, read at once":    (FIRST_RAISE, 0, 29, STAYS, Reason.WAITING),
    "a first raise, put back to 0 %": (FIRST_RAISE, 0, 30, Phase.ROLLED_BACK, Reason.FOUND_AT_ZERO),
    "a later raise, read at once":    (RAISING, 10, 29, STAYS, Reason.WAITING),
    "a later raise, put back":        (RAISING, 10, 30, Phase.PAUSED, Reason.RAISE_UNCERTAIN),
})  # fmt: skip
def test_a_write_that_was_accepted_is_not_repeated(
    rollout: Rollout, weight: int, seconds: int, phase: Phase, reason: Reason
) -> None:
    """The token is that of before the write, as where somebody put a rule back."""
    decision = decide_tick(accepted_at_noon(rollout), a_reading(weight), seconds / 60)
    assert (decision.move, decision.rollout.phase) == (None, phase)
    assert decision.rollout.reason is reason
