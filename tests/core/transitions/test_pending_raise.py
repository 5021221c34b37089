"""A pending raise: what it waits for, and what is judged meanwhile."""

from controller.core.judge.stored_series import series_of
from controller.immutable import replace
from tests.support.cases import cases
from tests.support.core import (
    Pending,
    Phase,
    Policy,
    Progressing,
    Reason,
    Rollout,
    next_action,
    query_plan,
)
from tests.support.recorded_run import WEIGHED, RecordedRun, a_run
from tests.support.rollouts import MINUTE, NOON, a_policy, a_reading, state_of
from tests.support.three_steps import (
    FIRST_RAISE,
    RAISING,
    UNREADABLE,
    decide_tick,
)

STAYS = Phase.PROGRESSING
# The raise to 50% is decided at 12:16, and its writes are refused until the freeze.
FREEZE = {"zone": "UTC", "daily": [{"from": "12:20", "to": "14:30"}]}
OVER = 150
LITERAL = a_policy(freeze=FREEZE)
ADDING_UP = Policy.model_validate({**WEIGHED.model_dump(exclude_none=True), "freeze": FREEZE})
JUDGES = cases("judged", {"literal": LITERAL, "adding up": ADDING_UP})


def waiting(judged: Policy) -> RecordedRun:
    """Return a rollout whose raise to 50% waits, 21 minutes after noon."""
    run = a_run(judged)
    while minutes(run) < 21:
        run.tick(a_reading(10))
    assert (run.rollout.weight, run.rollout.reason) == (50, Reason.FROZEN)
    return run


def minutes(run: RecordedRun) -> float:
    return (run.now - NOON) / MINUTE


# --- Reads and checkpoints ------------------------------------------------------------------------


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
        for key, one in series_of(entry.body["observation"]["series"]).items()
        for at in one.points
    ]
    assert len(set(stored_points)) == len(stored_points)
    assert {one.body["weight_from"] for one in run.entries if one.kind == "evidence"} == {10}
    run.tick(a_reading(50))
    assert run.replay.consistent


# --- The end of the wait --------------------------------------------------------------------------


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
    "a first raise, put back to 0%": (FIRST_RAISE, 0, 30, Phase.ROLLED_BACK, Reason.FOUND_AT_ZERO),
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
