"""A pending raise meets a pause: the previous weight is judged until the raise is read back."""

from typing import Any

import pytest

from tests.sentences import decision_text
from tests.support.cases import cases
from tests.support.core import (
    Alert,
    Command,
    Live,
    Notice,
    Phase,
    Policy,
    Reason,
    Severity,
    UsageError,
    Verb,
    query_plan,
    waits_for,
)
from tests.support.recorded_run import WEIGHED, RecordedRun, a_run, errors_between
from tests.support.rollouts import LADDER, MINUTE, NOON, a_policy, a_reading
from tests.support.three_steps import (
    UNREADABLE,
    UPDATE_IN_PROGRESS,
)

PAUSED, BACK = Phase.PAUSED, Phase.ROLLING_BACK
WORKS = LADDER["criteria"]["works"]
MILD = {**WORKS, "min": "50%"}
FIRST, SECOND, LAST = LADDER["steps"]


def gates(first: str, then: str) -> Policy:
    """Return the ladder with a warm-up, and with one criterion in the gate of each of two steps."""
    steps = [{**FIRST, "criteria": [first]}, {**SECOND, "criteria": [then]}, LAST]
    return a_policy(criteria={"works": WORKS, "mild": MILD}, steps=steps, warmup="30m")


STRICT_FIRST, MILD_FIRST = gates("works", "mild"), gates("mild", "works")


def with_pending_raise(judged: Policy) -> RecordedRun:
    """Return a rollout whose raise to 50% was decided a minute ago, and not written."""
    run = a_run(judged)
    for _ in range(60):
        if run.tick(a_reading(10)).rollout.reason is Reason.GATE_PASSED:
            return run
    raise AssertionError("the raise was never decided")


PAUSES: dict[str, Any] = {
    "an operator pauses": (Command(Verb.PAUSE), a_reading(10)),
    "the weight drifts": (None, a_reading(30)),
    "the function is changed": (None, a_reading(10, token="token-9")),
}


def paused(run: RecordedRun, how: str) -> RecordedRun:
    command, target = PAUSES[how]
    if command is None:
        run.tick(target)
    else:
        run.command(command, target)
    assert run.rollout.phase is PAUSED
    return run


def test_what_has_added_up_while_a_raise_waited_goes_on_in_the_pause() -> None:
    run = with_pending_raise(WEIGHED)
    run.command(Command(Verb.PAUSE), a_reading(10))
    paused_at = run.now.timestamp()
    run.tick_on(a_reading(10), 70)
    assert run.rollout.evidence.fold.through > paused_at
    assert run.replay.consistent


@cases("then", {"mild": STRICT_FIRST, "strict": MILD_FIRST})
def test_once_the_raise_is_seen_in_force_its_own_step_is_judged(then: Policy) -> None:
    run = paused(with_pending_raise(then), "an operator pauses")
    run.tick(a_reading(50, UPDATE_IN_PROGRESS))
    assert run.rollout.pending is not None
    (notice,) = run.tick(a_reading(50)).notices
    after = run.rollout
    assert notice == Notice(Severity.INFO, f"checkout#1: {after.sentence}")
    assert (after.phase, after.reason) == (PAUSED, Reason.PAUSED_BY_HAND)
    assert (after.position, after.evidence.tallies) == (Live(1, 50, run.now), {})
    assert (waits_for(after), run.kinds[-1]) == (
        "operator (resume, promote or rollback)",
        "applied",
    )
    assert run.entries[-1].body["weight_from"] == 50
    run.errors = errors_between((run.now - NOON) / MINUTE, 1000)
    run.tick_on(a_reading(50), 60)
    assert run.rollout.phase is (BACK if then is MILD_FIRST else PAUSED)
    assert run.replay.consistent


def test_a_weight_that_is_not_live_cannot_be_promoted() -> None:
    run = paused(with_pending_raise(STRICT_FIRST), "an operator pauses")
    with pytest.raises(UsageError, match="resume"):
        run.command(Command(Verb.PROMOTE, "enough"), a_reading(10))


def test_a_weight_that_is_put_back_to_what_was_live_is_no_second_drift() -> None:
    run = paused(with_pending_raise(STRICT_FIRST), "the weight drifts")
    for target, alert in (
        (a_reading(10), None),
        (a_reading(40), Alert.DRIFT),
        (a_reading(10), None),
    ):
        assert run.tick(target).alert is alert
    run.tick(a_reading(50))
    assert run.tick(a_reading(10)).alert is Alert.DRIFT
    assert run.replay.consistent


def test_a_rollback_from_the_pause_knows_the_weight_that_callers_had() -> None:
    for live, weight in (
        (a_reading(10), 10),
        (a_reading(30), 30),
        (a_reading(50, UPDATE_IN_PROGRESS), 10),
        (UNREADABLE, 10),
    ):
        run = paused(with_pending_raise(STRICT_FIRST), "an operator pauses")
        run.command(Command(Verb.ROLLBACK, "enough"), live)
        assert run.rollout.from_weight == weight


@pytest.mark.parametrize("how", ["an operator pauses", "the function is changed"])
def test_a_reminder_names_the_weight_that_a_resume_goes_on_from(how: str) -> None:
    """A plain resume is refused until the raise is read back; then --keep means nothing."""
    for live, keeps in ((10, True), (50, False)):
        run = paused(with_pending_raise(STRICT_FIRST), how)
        run.tick(a_reading(live, token="token-9"))
        (notice,) = run.tick(a_reading(live, token="token-9"), 25 * 60 * MINUTE).notices
        assert ("--keep" in notice.text) is keeps


def texts() -> dict[str, str]:
    """Return what people read of a raise that is applied late."""
    run = paused(with_pending_raise(STRICT_FIRST), "an operator pauses")
    return {"a raise that is applied in a pause": decision_text(run.tick(a_reading(50)))}


def test_the_first_raise_leaves_nothing_to_judge() -> None:
    run = a_run(STRICT_FIRST)
    run.command(Command(Verb.PAUSE), a_reading(0))
    assert (run.rollout.weight, run.rollout.live) == (10, None)
    assert not query_plan(run.rollout, run.now + 10 * MINUTE)
    run.tick(a_reading(10))
    assert (run.rollout.position, run.kinds[-1]) == (Live(0, 10, run.now), "applied")
    assert run.replay.consistent
