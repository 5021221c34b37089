"""What a rollout does next: one row per row of the state machine, and what holds in every state."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from controller.core.decide import decide, roll_back
from controller.core.effects import Alert, Decision, Lower, Raise, Severity
from controller.core.observation import Answer, Observation, Reading, Series, Unreadable, Update
from controller.core.policy import Policy
from controller.core.rollout import Intent, Phase, Reason, Rollout
from tests.rollouts import ARN, MINUTE, NOON, a_policy, a_rollout, points, reads

PROGRESSING, PAUSED = Phase.PROGRESSING, Phase.PAUSED
ROLLING_BACK, ROLLED_BACK, SUCCEEDED = Phase.ROLLING_BACK, Phase.ROLLED_BACK, Phase.SUCCEEDED
MOVING, FAILED = Update.IN_PROGRESS, Update.FAILED

LADDER = a_policy()
LOWER = Lower(MINUTE)
GONE = Unreadable("Lambda did not answer")
HOPELESS = Unreadable("the environment cannot be read", hopeless=True)


def a_ladder(**facts: object) -> Rollout:
    return a_rollout(**{"policy": LADDER, "peak": 10, "exposed_from": NOON, **facts})


def at_weight(weight: int, **facts: object) -> Rollout:
    """Return a rollout whose step with `weight` was seen in force at noon."""
    step = [one.weight for one in LADDER.steps].index(weight)
    previous = (0, 10, 50)[step]
    intent = Intent(weight, previous, "token-0", NOON)
    return a_ladder(**{"step": step, "intent": intent, "settled": NOON, "peak": weight, **facts})


# Asked for at noon, and not seen yet.
FIRST_RAISE = a_ladder()
RAISING = a_ladder(step=1, intent=Intent(50, 10, "token-1", NOON), peak=50)
# In force since noon.
AT_10, AT_50, AT_100 = at_weight(10), at_weight(50), at_weight(100)
ON_HOLD = at_weight(10, phase=PAUSED, reason=Reason.INCONCLUSIVE, sentence="too few samples")
GOING_BACK = at_weight(
    10, phase=ROLLING_BACK, reason=Reason.GATE_FAILED, intent=Intent(0, 10, "", NOON)
)
BACK = at_weight(
    10,
    phase=ROLLED_BACK,
    reason=Reason.GATE_FAILED,
    intent=Intent(0, 10, "", NOON),
    watch_until=NOON + 15 * MINUTE,
)
DONE = at_weight(
    100, phase=SUCCEEDED, reason=Reason.COMPLETED, watch_until=NOON + timedelta(days=7)
)


def series(requests: float | None, errors: float | None, answer: Answer) -> Mapping[str, Series]:
    """Return two hours of the same minute, from before noon on."""
    begin = NOON - 60 * MINUTE
    return {
        "requests:Sum@60": points([requests] * 120, start=begin, answer=answer),
        "errors:Sum@60": points([errors] * 120, start=begin, answer=answer),
    }


HEALTHY = series(100, 0, Answer.COMPLETE)
SICK = series(100, 5, Answer.COMPLETE)
SILENT = series(None, None, Answer.COMPLETE)
OUTAGE = series(None, None, Answer.ERROR)
PARTIAL = series(100, 0, Answer.PARTIAL)
THIN = series(1, 0, Answer.COMPLETE)


def tick(
    rollout: Rollout,
    target: Reading | Unreadable,
    minute: float,
    measured: Mapping[str, Series] = HEALTHY,
    owns: bool = True,
) -> Decision:
    """Decide `minute` minutes after noon."""
    return decide(rollout, Observation(target, measured, owns), NOON + minute * MINUTE)


@pytest.mark.parametrize(
    ("rollout", "target", "minute", "phase", "reason", "move"),
    [
        pytest.param(
            RAISING, reads(50), 1, PROGRESSING, Reason.SETTLED, None,
            id="the intended weight, in force: the clock of the step starts",
        ),
        pytest.param(
            RAISING, reads(50, FAILED), 1, ROLLING_BACK, Reason.SHIFT_FAILED, LOWER,
            id="an update that failed is rolled back",
        ),
        pytest.param(
            RAISING, reads(10, FAILED), 1, ROLLING_BACK, Reason.SHIFT_FAILED, LOWER,
            id="an update that failed and left the old weight is rolled back",
        ),
        pytest.param(
            RAISING, reads(0), 1, ROLLED_BACK, Reason.FOUND_AT_ZERO, None,
            id="0 % where the raise came from above 0 ends the rollout",
        ),
        pytest.param(
            RAISING, reads(0, MOVING), 1, ROLLING_BACK, Reason.FOUND_AT_ZERO, None,
            id="0 % that is still moving is read back before the rollout ends",
        ),
        pytest.param(
            RAISING, reads(10), 1, PROGRESSING, Reason.WRITE_AGAIN, Raise(50, "token-1"),
            id="a raise that was saved and never written is written again",
        ),
        pytest.param(
            FIRST_RAISE, reads(0), 1, PROGRESSING, Reason.WRITE_AGAIN, Raise(10, "token-1"),
            id="the first raise that was never written is written again",
        ),
        pytest.param(
            RAISING, reads(10), 10.1, ROLLING_BACK, Reason.SHIFT_TIMED_OUT, LOWER,
            id="a raise that could not be written within shift_timeout is not written late",
        ),
        pytest.param(
            RAISING, reads(10, token="token-9"), 1, PAUSED, Reason.RAISE_UNCERTAIN, None,
            id="the old weight on a target that another hand changed is for a person",
        ),
        pytest.param(
            RAISING, reads(10, token="token-9"), 99, PAUSED, Reason.RAISE_UNCERTAIN, None,
            id="the old weight on a changed target is for a person however late it is seen",
        ),
        pytest.param(
            RAISING, reads(50, MOVING), 10, PROGRESSING, Reason.WAITING, None,
            id="an update that still moves is waited for up to shift_timeout",
        ),
        pytest.param(
            RAISING, reads(50, MOVING), 10.1, ROLLING_BACK, Reason.SHIFT_TIMED_OUT, LOWER,
            id="an update that moves longer than shift_timeout is rolled back",
        ),
        pytest.param(
            RAISING, reads(10, MOVING), 1, PROGRESSING, Reason.WAITING, None,
            id="nothing is written while another update moves",
        ),
        pytest.param(
            RAISING, reads(30), 1, PAUSED, Reason.DRIFTED, None,
            id="a third weight instead of the intended one is for a person",
        ),
        pytest.param(
            RAISING, reads(None), 1, PAUSED, Reason.DRIFTED, None,
            id="variables that contradict each other instead of the raise are for a person",
        ),
        pytest.param(
            RAISING, GONE, 10, PROGRESSING, Reason.TARGET_UNREADABLE, None,
            id="a target that cannot be read after a raise is asked again",
        ),
        pytest.param(
            RAISING, GONE, 10.1, ROLLING_BACK, Reason.SHIFT_TIMED_OUT, LOWER,
            id="a target that cannot be read for shift_timeout after a raise is rolled back",
        ),
        pytest.param(
            RAISING, HOPELESS, 1, PROGRESSING, Reason.TARGET_UNREADABLE, None,
            id="an unreadable environment after a raise may still heal",
        ),
    ],
)  # fmt: skip
def test_a_raise_that_was_asked_for(
    rollout: Rollout,
    target: Reading | Unreadable,
    minute: float,
    phase: Phase,
    reason: Reason,
    move: object,
) -> None:
    decision = tick(rollout, target, minute, SILENT)
    after = decision.rollout
    assert (after.phase, after.reason, decision.move) == (phase, reason, move)


@pytest.mark.parametrize(
    ("target", "minute", "measured", "phase", "reason", "move"),
    [
        pytest.param(
            reads(0), 5, SICK, ROLLED_BACK, Reason.FOUND_AT_ZERO, None,
            id="0 % by any hand ends the rollout, whatever was measured",
        ),
        pytest.param(
            reads(0, MOVING), 5, HEALTHY, ROLLING_BACK, Reason.FOUND_AT_ZERO, None,
            id="0 % by another hand that still moves is waited for",
        ),
        pytest.param(
            reads(0, FAILED), 5, HEALTHY, ROLLING_BACK, Reason.FOUND_AT_ZERO, LOWER,
            id="0 % by another hand that failed is written by the rollout",
        ),
        pytest.param(
            reads(30), 5, HEALTHY, PAUSED, Reason.DRIFTED, None,
            id="a weight raised by another hand pauses",
        ),
        pytest.param(
            reads(5), 5, HEALTHY, PAUSED, Reason.DRIFTED, None,
            id="a weight lowered by another hand pauses",
        ),
        pytest.param(
            reads(None), 5, HEALTHY, PAUSED, Reason.DRIFTED, None,
            id="variables that contradict each other pause",
        ),
        pytest.param(
            reads(10), 6, SICK, PROGRESSING, Reason.BAKING, None,
            id="one settled bad minute is no failure where two fail",
        ),
        pytest.param(
            reads(10), 7, SICK, ROLLING_BACK, Reason.GATE_FAILED, LOWER,
            id="bad news does not wait for the bake",
        ),
        pytest.param(
            GONE, 7, SICK, ROLLING_BACK, Reason.GATE_FAILED, LOWER,
            id="bad news does not wait for a target that cannot be read",
        ),
        pytest.param(
            HOPELESS, 7, SICK, ROLLING_BACK, Reason.GATE_FAILED, LOWER,
            id="bad news does not wait for an environment that cannot be read",
        ),
        pytest.param(
            reads(10), 1, HEALTHY, PROGRESSING, Reason.BAKING, None,
            id="a warm-up is not judged",
        ),
        pytest.param(
            reads(10), 11.9, HEALTHY, PROGRESSING, Reason.BAKING, None,
            id="good news waits for the end of the bake",
        ),
        pytest.param(
            reads(10), 14.9, HEALTHY, PROGRESSING, Reason.BAKING, None,
            id="good news waits until the last minute of the bake has settled",
        ),
        pytest.param(
            reads(10, token="token-2"), 15, HEALTHY, PROGRESSING, Reason.GATE_PASSED,
            Raise(50, "token-2"),
            id="a gate that passes leads to the next weight, under the token that was seen",
        ),
        pytest.param(
            reads(10, MOVING), 15, HEALTHY, PROGRESSING, Reason.HOLDING, None,
            id="nothing is raised while another update of the target moves",
        ),
        pytest.param(
            reads(10, MOVING), 32, HEALTHY, PAUSED, Reason.INCONCLUSIVE, None,
            id="another update of the target is waited for up to max_hold",
        ),
        pytest.param(
            reads(10), 15, SILENT, PROGRESSING, Reason.HOLDING, None,
            id="silence is not health",
        ),
        pytest.param(
            reads(10), 15, THIN, PROGRESSING, Reason.HOLDING, None,
            id="too few requests hold",
        ),
        pytest.param(
            reads(10), 15, OUTAGE, PROGRESSING, Reason.HOLDING, None,
            id="an outage of the metrics holds",
        ),
        pytest.param(
            reads(10), 15, PARTIAL, PROGRESSING, Reason.HOLDING, None,
            id="an answer in part never passes",
        ),
        pytest.param(
            reads(10), 31.9, SILENT, PROGRESSING, Reason.HOLDING, None,
            id="silence holds for max_hold after the bake",
        ),
        pytest.param(
            reads(10), 32, SILENT, PAUSED, Reason.INCONCLUSIVE, None,
            id="silence for max_hold pauses",
        ),
        pytest.param(
            reads(10), 50, HEALTHY, PROGRESSING, Reason.GATE_PASSED, Raise(50, "token-1"),
            id="ticks that were missed do not turn a pass into a pause",
        ),
        pytest.param(
            GONE, 5, HEALTHY, PROGRESSING, Reason.TARGET_UNREADABLE, None,
            id="a target that cannot be read keeps its traffic",
        ),
        pytest.param(
            HOPELESS, 5, HEALTHY, PROGRESSING, Reason.TARGET_UNREADABLE, None,
            id="an environment that cannot be read keeps its traffic",
        ),
        pytest.param(
            GONE, 20, HEALTHY, PROGRESSING, Reason.HOLDING, None,
            id="a gate that passes raises no target that cannot be read",
        ),
        pytest.param(
            GONE, 32, HEALTHY, PAUSED, Reason.INCONCLUSIVE, None,
            id="a target that cannot be read for max_hold pauses",
        ),
    ],
)  # fmt: skip
def test_a_step_that_bakes(
    target: Reading | Unreadable,
    minute: float,
    measured: Mapping[str, Series],
    phase: Phase,
    reason: Reason,
    move: object,
) -> None:
    decision = tick(AT_10, target, minute, measured)
    after = decision.rollout
    assert (after.phase, after.reason, decision.move) == (phase, reason, move)


@pytest.mark.parametrize(
    ("rollout", "target", "minute", "phase", "reason", "move"),
    [
        pytest.param(
            GOING_BACK, reads(10), 1, ROLLING_BACK, Reason.GATE_FAILED, LOWER,
            id="a weight above 0 is lowered again",
        ),
        pytest.param(
            GOING_BACK, reads(10), 500, ROLLING_BACK, Reason.GATE_FAILED, LOWER,
            id="a rollback never stops trying",
        ),
        pytest.param(
            GOING_BACK, reads(None), 1, ROLLING_BACK, Reason.GATE_FAILED, LOWER,
            id="variables that contradict each other are lowered",
        ),
        pytest.param(
            GOING_BACK, reads(0, MOVING), 1, ROLLING_BACK, Reason.GATE_FAILED, None,
            id="0 % that still moves is not written twice",
        ),
        pytest.param(
            GOING_BACK, reads(0, FAILED), 1, ROLLING_BACK, Reason.GATE_FAILED, LOWER,
            id="0 % that failed is written again",
        ),
        pytest.param(
            GOING_BACK, GONE, 1, ROLLING_BACK, Reason.GATE_FAILED, LOWER,
            id="a rollback does not wait for a target to be readable",
        ),
        pytest.param(
            GOING_BACK, HOPELESS, 1, ROLLING_BACK, Reason.GATE_FAILED, None,
            id="an environment that cannot be read is never written",
        ),
        pytest.param(
            GOING_BACK, reads(0), 1, ROLLED_BACK, Reason.GATE_FAILED, None,
            id="0 % read back in force is rolled back, for the reason it was",
        ),
        pytest.param(
            BACK, reads(10), 14, ROLLED_BACK, Reason.GATE_FAILED, LOWER,
            id="the last weight of the rollout that comes back is lowered again",
        ),
        pytest.param(
            BACK, reads(10), 15, ROLLED_BACK, Reason.GATE_FAILED, None,
            id="0 % is guarded for 15 minutes",
        ),
        pytest.param(
            BACK, reads(20), 14, ROLLED_BACK, Reason.GATE_FAILED, None,
            id="another weight after a rollback is left alone",
        ),
        pytest.param(
            BACK, GONE, 14, ROLLED_BACK, Reason.GATE_FAILED, None,
            id="nothing is guarded where nothing can be read",
        ),
        pytest.param(
            ON_HOLD, reads(0), 20, ROLLED_BACK, Reason.FOUND_AT_ZERO, None,
            id="0 % by any hand ends a paused rollout",
        ),
        pytest.param(
            ON_HOLD, reads(0, MOVING), 20, ROLLING_BACK, Reason.FOUND_AT_ZERO, None,
            id="0 % that still moves ends a paused rollout once it is in force",
        ),
        pytest.param(
            ON_HOLD, reads(10), 20, PAUSED, Reason.INCONCLUSIVE, None,
            id="a paused rollout does not go on by itself",
        ),
        pytest.param(
            ON_HOLD, reads(50), 20, PAUSED, Reason.INCONCLUSIVE, None,
            id="a weight moved during a pause is left to the person",
        ),
        pytest.param(
            ON_HOLD, GONE, 20, PAUSED, Reason.INCONCLUSIVE, None,
            id="a target that cannot be read leaves a paused rollout as it is",
        ),
        pytest.param(
            DONE, reads(100), 60, SUCCEEDED, Reason.COMPLETED, None,
            id="a success stays",
        ),
        pytest.param(
            DONE, reads(0), 60, SUCCEEDED, Reason.COMPLETED, None,
            id="a success is not rolled back because somebody moved the weight",
        ),
        pytest.param(
            DONE, HOPELESS, 60, SUCCEEDED, Reason.COMPLETED, None,
            id="a success needs no readable target",
        ),
    ],
)  # fmt: skip
def test_a_rollout_that_does_not_climb(
    rollout: Rollout,
    target: Reading | Unreadable,
    minute: float,
    phase: Phase,
    reason: Reason,
    move: object,
) -> None:
    decision = tick(rollout, target, minute)
    after = decision.rollout
    assert (after.phase, after.reason, decision.move) == (phase, reason, move)


# --- climbing -----------------------------------------------------------------------------------


def test_the_clock_of_a_step_starts_when_its_weight_is_seen() -> None:
    assert tick(RAISING, reads(50), 3).rollout.settled == NOON + 3 * MINUTE


def test_a_step_starts_without_the_evidence_of_the_one_before() -> None:
    after = tick(replace(AT_10, sealed_at=NOON), reads(10), 15).rollout
    assert (after.settled, after.tallies, after.sealed_at, after.findings) == (None, {}, None, ())


def test_the_intent_of_a_raise_holds_what_a_crash_needs() -> None:
    after = tick(AT_10, reads(10, token="token-2"), 15).rollout
    assert after.intent == Intent(50, 10, "token-2", NOON + 15 * MINUTE)


def test_the_last_step_that_passes_is_a_success_with_its_label() -> None:
    after = tick(AT_100, reads(100), 35).rollout
    assert (after.phase, after.label) == (SUCCEEDED, "not refuted")
    assert after.watch_until == NOON + 35 * MINUTE + timedelta(days=7)


def test_the_next_weight_follows_the_step_and_not_the_weight() -> None:
    out_of_line = replace(AT_50, intent=replace(AT_50.intent, weight=10))
    decision = tick(out_of_line, reads(10), 15)
    assert (decision.rollout.step, decision.move) == (2, Raise(100, "token-1"))


def test_a_step_is_judged_by_its_own_criteria() -> None:
    quiet = {**LADDER.model_dump()["criteria"]["works"], "min": "10%"}
    policy = a_policy(
        criteria={"works": a_policy().criteria["works"].model_dump() | {"min": "99%"}}
        | {"lenient": quiet},
        steps=[
            {"weight": 10, "bake": "10m", "criteria": ["lenient"]},
            {"weight": 100, "bake": "10m", "criteria": ["works"]},
        ],
    )
    assert [
        tick(replace(AT_10, policy=policy, step=step), reads(10), 7, SICK).rollout.phase
        for step in (0, 1)
    ] == [PROGRESSING, ROLLING_BACK]


@pytest.mark.parametrize(
    ("on_inconclusive", "phase", "reason", "move"),
    [
        ("pause", PAUSED, Reason.INCONCLUSIVE, None),
        ("rollback", ROLLING_BACK, Reason.INCONCLUSIVE, LOWER),
        ("advance", PROGRESSING, Reason.ADVANCED_UNPROVEN, Raise(50, "token-1")),
    ],
)
def test_a_hold_ends_as_the_policy_says(
    on_inconclusive: str, phase: Phase, reason: Reason, move: object
) -> None:
    rollout = replace(AT_10, policy=a_policy(on_inconclusive=on_inconclusive))
    decision = tick(rollout, reads(10), 32, THIN)
    after = decision.rollout
    assert (after.phase, after.reason, decision.move) == (phase, reason, move)


def test_an_unproven_advance_is_labelled_to_the_end() -> None:
    policy = a_policy(on_inconclusive="advance")
    after = tick(replace(AT_10, policy=policy), reads(10), 32, THIN).rollout
    assert after.label == "too few samples"
    last = replace(AT_100, policy=policy, label=after.label)
    assert tick(last, reads(100), 35).rollout.label == "too few samples"


@pytest.mark.parametrize("target", [GONE, reads(10, MOVING)], ids=["unreadable", "moving"])
def test_an_unproven_advance_raises_no_target_that_does_not_stand(
    target: Reading | Unreadable,
) -> None:
    policy = a_policy(on_inconclusive="advance")
    decision = tick(replace(AT_10, policy=policy), target, 32, THIN)
    assert (decision.rollout.phase, decision.move) == (PAUSED, None)


@pytest.mark.parametrize(
    ("on_drift_up", "weight", "phase", "move"),
    [
        pytest.param("pause", 30, PAUSED, None, id="up, pause"),
        pytest.param("rollback", 30, ROLLING_BACK, LOWER, id="up, rollback"),
        pytest.param("rollback", 5, PAUSED, None, id="down is never rolled back"),
        pytest.param("rollback", None, PAUSED, None, id="a contradiction is never rolled back"),
    ],
)
def test_a_weight_raised_by_another_hand_ends_as_the_policy_says(
    on_drift_up: str, weight: int | None, phase: Phase, move: object
) -> None:
    rollout = replace(AT_10, policy=a_policy(on_drift_up=on_drift_up))
    decision = tick(rollout, reads(weight), 5)
    assert (decision.rollout.phase, decision.move) == (phase, move)
    assert decision.alert is Alert.DRIFT


@pytest.mark.parametrize(
    ("weight", "severity"),
    [(30, Severity.CRITICAL), (5, Severity.WARNING), (None, Severity.CRITICAL)],
)
def test_drift_is_critical_unless_it_is_surely_down(weight: int | None, severity: Severity) -> None:
    assert [one.severity for one in tick(AT_10, reads(weight), 5).notices] == [severity]


def test_a_paused_rollout_is_judged_and_rolled_back() -> None:
    decision = tick(ON_HOLD, reads(10), 20, SICK)
    assert (decision.rollout.phase, decision.rollout.reason) == (ROLLING_BACK, Reason.GATE_FAILED)


def test_a_weight_moved_by_another_hand_is_judged_from_then_on() -> None:
    paused = tick(RAISING, reads(30), 1, SILENT).rollout
    assert tick(paused, reads(30), 8, SICK).rollout.reason is Reason.GATE_FAILED


def test_silence_is_held_against_the_live_weight_and_not_the_planned_one() -> None:
    """At 50 % of twice 20 requests, silence is impossible; at the 5 % that are live it is not."""
    traffic = {
        "kind": "traffic", "judge": "threshold", "metric": "requests", "control": "errors",
    }  # fmt: skip
    policy = a_policy(criteria={"traffic": traffic})
    measured = {
        "requests:Sum@60": points([None] * 20),
        "errors:Sum@60": points([4] * 20),
    }
    rollout = replace(AT_50, policy=policy)
    assert tick(rollout, reads(50), 10, measured).rollout.phase is ROLLING_BACK
    paused = replace(rollout, phase=PAUSED)
    assert tick(paused, reads(5), 10, measured).rollout.phase is PAUSED


# --- going back ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("target", "minute", "critical"),
    [
        pytest.param(reads(10), 5, False, id="within rollback_timeout"),
        pytest.param(reads(10), 5.1, True, id="past rollback_timeout"),
        pytest.param(reads(0, MOVING), 5.1, True, id="past rollback_timeout, still moving"),
        pytest.param(GONE, 5.1, True, id="past rollback_timeout, unreadable"),
        pytest.param(HOPELESS, 0, True, id="hopeless, at once"),
    ],
)
def test_a_rollback_that_is_not_confirmed_pages(
    target: Reading | Unreadable, minute: float, critical: bool
) -> None:
    decision = tick(GOING_BACK, target, minute)
    assert decision.alert is (Alert.ROLLBACK_UNCONFIRMED if critical else None)
    assert [one.severity for one in decision.notices] == [Severity.CRITICAL] * critical


def test_an_unconfirmed_rollback_ends_every_tick_in_alarm_and_pages_every_quarter_hour() -> None:
    rollout, alarms, pages, entries = GOING_BACK, 0, [], []
    for minute in range(1, 31):
        decision = tick(rollout, reads(10), minute)
        alarms += decision.alert is Alert.ROLLBACK_UNCONFIRMED
        pages += [minute] * len(decision.notices)
        entries += [minute] if decision.record else []
        rollout = decision.rollout
    assert (alarms, pages, entries) == (25, [6, 21], [6])


def test_the_page_says_what_to_write_where() -> None:
    (notice,) = tick(GOING_BACK, reads(10), 6).notices
    assert notice.text == (
        "checkout#1 is NOT rolled back: the target shows NEW_PATH_PERCENTAGE=10. Rolling back "
        "since 2026-11-24 12:00 UTC; set NEW_PATH_PERCENTAGE=0 and NEW_PATH=false by hand on "
        f"{ARN}."
    )


def test_a_rollback_ends_the_exposure_and_guards_zero() -> None:
    after = tick(GOING_BACK, reads(0), 2).rollout
    assert (after.exposed_to, after.watch_until) == (NOON + 2 * MINUTE, NOON + 17 * MINUTE)


def test_a_weight_that_comes_back_is_recorded_as_guarded() -> None:
    decision = tick(BACK, reads(10), 14)
    assert decision.record is not None
    assert (decision.record.kind, decision.record.reason) == ("guarding_zero", Reason.GUARDING_ZERO)
    assert [one.severity for one in decision.notices] == [Severity.WARNING]


def test_zero_is_not_guarded_against_a_newer_rollout() -> None:
    decision = tick(BACK, reads(10), 14, owns=False)
    assert (decision.move, decision.notices, decision.alert) == (None, (), None)


@pytest.mark.parametrize(
    ("rollout", "weight"), [(BACK, 20), (BACK, None), (DONE, 0)], ids=["back", "torn", "done"]
)
def test_drift_of_a_finished_rollout_is_told_once(rollout: Rollout, weight: int | None) -> None:
    first = tick(rollout, reads(weight), 1)
    assert (len(first.notices), first.alert) == (1, Alert.DRIFT)
    second = tick(first.rollout, reads(weight), 2)
    assert (second.notices, second.record, second.alert) == ((), None, None)


def test_a_success_is_watched_for_seven_days() -> None:
    week = 7 * 24 * 60
    assert [tick(DONE, reads(0), minute).alert for minute in (week - 1, week)] == [
        Alert.DRIFT,
        None,
    ]


def test_a_success_is_not_watched_once_a_newer_rollout_owns_the_target() -> None:
    assert tick(DONE, reads(0), 1, owns=False).alert is None


@pytest.mark.parametrize(
    "rollout",
    [RAISING, AT_10, ON_HOLD, GOING_BACK, BACK, DONE],
    ids=["raising", "baking", "paused", "rolling back", "rolled back", "succeeded"],
)
@pytest.mark.parametrize("target", [reads(100), GONE, HOPELESS], ids=["readable", "gone", "broken"])
def test_a_person_rolls_back_in_every_phase(rollout: Rollout, target: Reading | Unreadable) -> None:
    decision = roll_back(rollout, Observation(target), NOON + MINUTE, "the shop is down")
    assert (decision.rollout.phase, decision.move) == (ROLLING_BACK, LOWER)
    assert decision.rollout.sentence == "the shop is down"


def test_asking_twice_for_a_rollback_does_not_put_off_its_alarm() -> None:
    again = roll_back(GOING_BACK, Observation(reads(10)), NOON + 4 * MINUTE, "again").rollout
    assert tick(again, reads(10), 6).alert is Alert.ROLLBACK_UNCONFIRMED


def test_drift_is_told_again_after_a_rollback_by_hand() -> None:
    told = replace(DONE, drift_told=True)
    back = roll_back(told, Observation(reads(30)), NOON + MINUTE, "by hand").rollout
    back = tick(back, reads(0), 2).rollout
    assert tick(back, reads(30), 3).alert is Alert.DRIFT


# --- telling ------------------------------------------------------------------------------------


def test_a_pause_reminds_once_a_day() -> None:
    rollout, reminded = ON_HOLD, []
    for hour in range(1, 75):
        decision = tick(rollout, reads(10), hour * 60, SILENT)
        reminded += [hour] * len(decision.notices)
        rollout = decision.rollout
    assert reminded == [24, 48, 72]


def test_a_reminder_before_this_pause_does_not_count() -> None:
    rollout = replace(ON_HOLD, reminded=NOON - timedelta(days=9))
    assert tick(rollout, reads(10), 60, SILENT).notices == ()


@pytest.mark.parametrize(
    ("rollout", "target", "minute", "measured", "sentence"),
    [
        pytest.param(
            RAISING, reads(50), 1, SILENT,
            "50 % is in force; baking at 50 % until 2026-11-24 12:13 UTC",
            id="settled",
        ),
        pytest.param(
            RAISING, reads(50, MOVING), 1, SILENT,
            "waiting for 50 % to be in force: the update is still in progress",
            id="waiting",
        ),
        pytest.param(
            RAISING, reads(50, MOVING), 11, SILENT,
            "50 % was not in force 10m after it was asked for",
            id="shift timed out",
        ),
        pytest.param(
            RAISING, reads(10, token="token-9"), 1, SILENT,
            "the target still shows 10 % and was changed by another hand after 50 % was decided, "
            "so nobody can say whether that was written",
            id="raise uncertain",
        ),
        pytest.param(
            AT_10, reads(10), 5, HEALTHY, "baking at 10 % until 2026-11-24 12:12 UTC",
            id="baking",
        ),
        pytest.param(
            AT_10, reads(10), 13, HEALTHY,
            "baked at 10 % until 2026-11-24 12:12 UTC; its last data settle until "
            "2026-11-24 12:15 UTC",
            id="settling",
        ),
        pytest.param(
            AT_10, GONE, 5, HEALTHY,
            "the target cannot be read; traffic stays where it is: Lambda did not answer",
            id="unreadable",
        ),
        pytest.param(
            AT_10, reads(10), 15, THIN,
            "holding at 10 %: works has too few samples: 10 of 50 that a pass needs; last 100%, "
            "at least 99% asked.",
            id="holding for samples",
        ),
        pytest.param(
            AT_10, reads(10, MOVING), 15, HEALTHY,
            "holding at 10 %: The target's last update is in_progress.",
            id="holding for the target",
        ),
        pytest.param(
            AT_10, reads(10), 32, THIN,
            "still held at 10 % 20m after the bake: works has too few samples: 27 of 50 that a "
            "pass needs; last 100%, at least 99% asked.",
            id="held too long",
        ),
        pytest.param(
            AT_10, reads(10), 15, HEALTHY, "the gate at 10 % passed; going to 50 %",
            id="advanced",
        ),
        pytest.param(
            AT_100, reads(100), 35, HEALTHY,
            "the gate at 100 % passed; the rollout is complete (not refuted)",
            id="succeeded",
        ),
        pytest.param(
            AT_10, reads(10), 7, SICK,
            "works fails: success was below 99% for 2 windows of 1m in a row, last 95%; "
            "10 failures in 200 requests of this step.",
            id="gate failed",
        ),
        pytest.param(
            AT_10, reads(0), 5, HEALTHY,
            "the weight was found at 0 % where 10 % was asked for; that ends a rollout",
            id="found at zero",
        ),
        pytest.param(
            AT_10, reads(30), 5, HEALTHY,
            "another hand moved the weight: NEW_PATH_PERCENTAGE=30 where 10 % was asked for",
            id="drifted",
        ),
    ],
)  # fmt: skip
def test_the_sentence_says_where_a_rollout_stands(
    rollout: Rollout,
    target: Reading | Unreadable,
    minute: float,
    measured: Mapping[str, Series],
    sentence: str,
) -> None:
    assert tick(rollout, target, minute, measured).rollout.sentence == sentence


@pytest.mark.parametrize(
    ("rollout", "target", "minute", "measured", "at_minute", "text", "blocked"),
    [
        pytest.param(
            RAISING, reads(50, MOVING), 1, SILENT, 10,
            "rolls back unless 50 % is in force by 2026-11-24 12:10 UTC",
            "the update is still in progress",
            id="a raise",
        ),
        pytest.param(
            AT_10, reads(10), 5, HEALTHY, 15,
            "50 % at 2026-11-24 12:15 UTC if every criterion passes",
            "the bake",
            id="a bake",
        ),
        pytest.param(
            AT_100, reads(100), 5, HEALTHY, 35,
            "success at 2026-11-24 12:35 UTC if every criterion passes",
            "the bake",
            id="the last bake",
        ),
        pytest.param(
            AT_10, reads(10), 15, THIN, 32,
            "50 % as soon as every criterion passes; pauses at 2026-11-24 12:32 UTC",
            "inconclusive: works",
            id="a hold",
        ),
        pytest.param(
            AT_10, GONE, 20, HEALTHY, 32,
            "50 % as soon as every criterion passes; pauses at 2026-11-24 12:32 UTC",
            "the target",
            id="a hold for the target",
        ),
        pytest.param(
            AT_10, reads(30), 5, HEALTHY, 24 * 60 + 5,
            "waits for a person to roll it back (a criterion that fails still does); reminds "
            "once a day",
            "a person",
            id="a pause",
        ),
        pytest.param(
            GOING_BACK, reads(10), 1, HEALTHY, 5,
            "0 % is written until it is read back; pages from 2026-11-24 12:05 UTC",
            "the target shows NEW_PATH_PERCENTAGE=10",
            id="a rollback",
        ),
        pytest.param(
            GOING_BACK, reads(0), 1, HEALTHY, 16,
            "watched for drift until 2026-11-24 12:16 UTC",
            "",
            id="the end",
        ),
    ],
)  # fmt: skip
def test_a_decision_says_what_comes_next_and_what_blocks_it(
    rollout: Rollout,
    target: Reading | Unreadable,
    minute: float,
    measured: Mapping[str, Series],
    at_minute: float,
    text: str,
    blocked: str,
) -> None:
    after = tick(rollout, target, minute, measured).rollout
    assert (after.next_at, after.next, after.blocked) == (NOON + at_minute * MINUTE, text, blocked)


def test_a_pause_tells_what_happened_and_what_to_do_now() -> None:
    (notice,) = tick(AT_10, reads(30), 5).notices
    assert notice.text == (
        "checkout#1 is paused: another hand moved the weight: NEW_PATH_PERCENTAGE=30 where 10 % "
        "was asked for. Traffic stays where it is and is not raised any more; a criterion that "
        "fails still rolls it back. To end it: rolloutctl rollback checkout#1"
    )


def test_every_transition_is_recorded_and_staying_is_not() -> None:
    def kind(decision: Decision) -> str | None:
        return decision.record.kind if decision.record else None

    assert [
        kind(tick(RAISING, reads(50), 1)),
        kind(tick(AT_10, reads(10), 5)),
        kind(tick(AT_10, reads(10), 15)),
        kind(tick(AT_10, reads(10), 15, THIN)),
        kind(tick(AT_10, reads(10), 32, THIN)),
        kind(tick(AT_10, reads(10), 7, SICK)),
        kind(tick(GOING_BACK, reads(10), 1)),
        kind(tick(GOING_BACK, reads(0), 1)),
        kind(tick(AT_100, reads(100), 35)),
    ] == [
        "settled", None, "advanced", None, "paused", "rolling_back", None, "rolled_back",
        "succeeded",
    ]  # fmt: skip


def test_a_record_holds_what_the_decision_saw() -> None:
    record = tick(AT_10, reads(10), 7, SICK).record
    assert record is not None
    assert (record.weight_from, record.weight_to) == (10, 0)
    assert [one.criterion for one in record.findings] == ["works"]
    assert record.keeps_series


def test_a_clock_that_went_back_counts_as_the_newest_moment_known() -> None:
    ahead: datetime = NOON + 20 * MINUTE
    after = tick(replace(AT_10, updated=ahead), reads(10), 5).rollout
    assert (after.updated, after.reason) == (ahead, Reason.GATE_PASSED)


def test_a_policy_in_the_snapshot_is_the_one_that_is_followed() -> None:
    slow: Policy = a_policy(steps=[{"weight": 10, "bake": "1h"}, {"weight": 100, "bake": "1h"}])
    assert tick(replace(AT_10, policy=slow), reads(10), 15).rollout.reason is Reason.BAKING
