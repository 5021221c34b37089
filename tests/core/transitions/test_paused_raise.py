"""A pending raise meets a pause: the previous weight is judged until the raise is read back."""

from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest

from controller.operations.verify import settled_window
from tests.core.transitions.test_pending_raise import WORKS, errors_between
from tests.sentences import decision_text
from tests.support.cases import cases
from tests.support.core import (
    Alert,
    Command,
    Live,
    Notice,
    Observation,
    Phase,
    Policy,
    Reason,
    Severity,
    Target,
    TargetReading,
    UsageError,
    Verb,
    evidence_of,
    query_plan,
    waits_for,
)
from tests.support.recorded_run import WEIGHED, RecordedRun, a_run
from tests.support.rollouts import LADDER, MINUTE, NOON, a_policy, a_reading, with_state
from tests.support.three_steps import (
    FIRST_RAISE,
    RAISING,
    TO_50,
    UNREADABLE,
    UPDATE_IN_PROGRESS,
    decide_command,
    decide_tick,
)

PAUSED, BACK = Phase.PAUSED, Phase.ROLLING_BACK
MILD = {**WORKS, "min": "50%"}
FIRST, SECOND, LAST = LADDER["steps"]


def gates(first: str, then: str) -> Policy:
    """Return the ladder with a warm-up, and with one criterion in the gate of each of two steps."""
    steps = [{**FIRST, "criteria": [first]}, {**SECOND, "criteria": [then]}, LAST]
    return a_policy(criteria={"works": WORKS, "mild": MILD}, steps=steps, warmup="30m")


STRICT_FIRST, MILD_FIRST = gates("works", "mild"), gates("mild", "works")


def with_pending_raise(judged: Policy) -> RecordedRun:
    """Return a rollout whose raise to 50 % was decided a minute ago, and not written."""
    run = a_run(judged)
    for _ in range(60):
        if run.tick(a_reading(10)).rollout.reason is Reason.GATE_PASSED:
            return run
    raise AssertionError("the raise was never decided")


PAUSES: dict[str, Any] = {
    "an operator pauses": (Command(Verb.PAUSE), a_reading(10)),
    "an operator pauses, and the target cannot be read": (Command(Verb.PAUSE), UNREADABLE),
    "an operator pauses while it is on its way": (
        Command(Verb.PAUSE),
        a_reading(50, UPDATE_IN_PROGRESS),
    ),
    "an operator sets a weight": (Command(Verb.SET_WEIGHT, "a demo", weight=40), a_reading(10)),
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


@pytest.fixture(params=PAUSES)
def how(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def live(how: str) -> TargetReading:
    return {
        "an operator sets a weight": a_reading(40),
        "the weight drifts": a_reading(30),
    }.get(how, a_reading(10))


def test_what_is_live_is_judged_by_the_gate_of_its_step_without_a_second_warm_up(how: str) -> None:
    run = paused(with_pending_raise(STRICT_FIRST), how)
    begin = run.now
    run.errors = errors_between((begin - NOON) / MINUTE, 1000)
    run.tick_on(live(how), 20)
    assert (run.rollout.phase, run.rollout.reason) == (BACK, Reason.GATE_FAILED)
    assert run.now <= begin + 7 * MINUTE
    assert run.replay.consistent


def test_the_gate_of_the_step_to_come_does_not_count_yet(how: str) -> None:
    run = paused(with_pending_raise(MILD_FIRST), how)
    run.errors = errors_between((run.now - NOON) / MINUTE, 1000)
    run.tick_on(live(how), 60)
    assert run.rollout.phase is PAUSED
    assert [one.criterion for one in run.rollout.evidence.findings] == ["mild"]
    assert run.replay.consistent


def test_what_has_added_up_while_a_raise_waited_goes_on_in_the_pause() -> None:
    run = with_pending_raise(WEIGHED)
    run.command(Command(Verb.PAUSE), a_reading(10))
    paused_at = run.now.timestamp()
    run.tick_on(a_reading(10), 70)
    assert run.rollout.evidence.fold.through > paused_at
    assert run.replay.consistent


@pytest.mark.parametrize(
    ("target", "weight"),
    [
        (a_reading(10), 10),
        (a_reading(5), 5),
        (a_reading(30), 10),
        (a_reading(50, UPDATE_IN_PROGRESS), 10),
        (UNREADABLE, 10),
    ],
)
def test_missing_data_is_judged_at_the_weight_that_its_minutes_had(
    target: Target, weight: int
) -> None:
    run = paused(with_pending_raise(STRICT_FIRST), "an operator pauses")
    evidence = evidence_of(run.rollout, Observation(target), run.now + 10 * MINUTE)
    assert evidence is not None
    assert evidence.weight == weight


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


def test_a_bake_that_began_in_a_pause_goes_on_after_it() -> None:
    run = paused(with_pending_raise(STRICT_FIRST), "an operator pauses")
    run.tick(a_reading(50))
    end = run.rollout.bake_end
    run.tick(a_reading(50))
    run.command(Command(Verb.RESUME), a_reading(50))
    assert (run.rollout.phase, run.rollout.bake_end) == (Phase.PROGRESSING, end)
    assert run.replay.consistent


def test_a_resume_that_sees_the_raise_in_force_first_begins_its_bake() -> None:
    run = paused(with_pending_raise(STRICT_FIRST), "an operator pauses")
    run.command(Command(Verb.RESUME), a_reading(50))
    assert run.rollout.position == Live(1, 50, run.now)
    assert run.replay.consistent


def test_a_resume_that_keeps_the_weight_before_begins_its_step_anew() -> None:
    run = paused(with_pending_raise(STRICT_FIRST), "an operator pauses")
    run.command(Command(Verb.RESUME, way="keep"), a_reading(10))
    assert run.rollout.position == Live(0, 10, run.now)
    assert run.replay.consistent


def test_a_weight_that_is_not_live_cannot_be_promoted() -> None:
    run = paused(with_pending_raise(STRICT_FIRST), "an operator pauses")
    with pytest.raises(UsageError, match="resume"):
        run.command(Command(Verb.PROMOTE, "enough"), a_reading(10))


def test_drift_in_the_pause_takes_nothing_from_what_is_judged() -> None:
    run = paused(with_pending_raise(STRICT_FIRST), "an operator pauses")
    live = run.rollout.live
    run.tick(a_reading(30))
    assert (run.rollout.reason, run.rollout.live) == (Reason.DRIFTED, live)
    assert run.replay.consistent


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


@cases("target, tried", {
    "not written": (a_reading(10), None),
    "unknown": (UNREADABLE, NOON),
    "in force already": (a_reading(50), NOON),
})  # fmt: skip
def test_what_was_live_is_judged_on_where_a_pause_meets_a_raise(
    target: Target, tried: datetime | None
) -> None:
    """Once the raise was tried, its minutes count only where the weight before is read."""
    after = decide_command(RAISING, Verb.PAUSE, target).rollout
    assert after.position == replace(TO_50, tried=tried)


def test_what_is_judged_until_a_resume_counts_up_to_it() -> None:
    """The raise was in flight as the operator paused, and its update failed afterwards."""
    run = with_pending_raise(WEIGHED)
    run.command(Command(Verb.PAUSE), a_reading(50, UPDATE_IN_PROGRESS))
    for _ in range(20):
        run.tick(a_reading(10))
    run.command(Command(Verb.RESUME, way="keep"), a_reading(10))
    (interval,) = run.rollout.evidence.intervals
    assert interval.end == int(run.now.timestamp())
    assert run.replay.consistent


def test_drift_in_the_first_raise_leaves_nothing_pending() -> None:
    after = decide_tick(FIRST_RAISE, a_reading(30), 5).rollout
    assert (after.phase, after.position) == (PAUSED, Live(0, 10, NOON + 5 * MINUTE))


def test_verify_counts_only_minutes_with_the_weight_that_is_live() -> None:
    run = paused(with_pending_raise(STRICT_FIRST), "an operator pauses")
    rollout, later = run.rollout, run.now + 60 * MINUTE
    known = settled_window(rollout.policy, rollout, a_reading(10), 120, later)
    assert (known.begin, known.weight_known) == (rollout.judged_from, True)
    drifted = with_state(replace(rollout, seen_weight=30), reason=Reason.DRIFTED)
    moved = settled_window(rollout.policy, drifted, a_reading(30), 120, later)
    assert moved.begin > int(rollout.since.timestamp())
    assert not settled_window(rollout.policy, drifted, a_reading(50), 120, later).weight_known


def test_verify_counts_from_the_rollback_of_a_raise_that_waited() -> None:
    run = paused(with_pending_raise(STRICT_FIRST), "an operator pauses")
    run.command(Command(Verb.ROLLBACK, "enough"), a_reading(10))
    run.tick(a_reading(0))
    rollout, later = run.rollout, run.now + 120 * MINUTE
    assert rollout.phase is Phase.ROLLED_BACK
    known = settled_window(rollout.policy, rollout, a_reading(0), 240, later)
    assert known.begin > int(rollout.since.timestamp())
    assert known.weight_known
    assert not settled_window(rollout.policy, rollout, a_reading(10), 240, later).weight_known
