"""Commands of operators: the phases that allow them, their decisions, and their refusals."""

from collections.abc import Mapping
from typing import Any

import pytest

from controller.immutable import replace
from tests.sentences import decision_text
from tests.support.cases import cases
from tests.support.core import (
    ALLOWED_PHASES,
    Alert,
    Condition,
    ConditionKind,
    Decision,
    Label,
    Measured,
    Phase,
    Position,
    Reason,
    Rollout,
    SetWeight,
    Target,
    UsageError,
    Verb,
    WriteFailed,
    decide,
    next_action,
    waits_for,
)
from tests.support.rollouts import LADDER, MINUTE, NOON, a_policy, a_reading, a_start, with_facts
from tests.support.three_steps import (
    AFTER_ROLLBACK,
    AFTER_SUCCESS,
    APPROVAL,
    AT_10,
    AT_50,
    AT_100,
    BY_HAND,
    DRIFTED,
    DURING_ROLLBACK,
    FAILING,
    FIRST_RAISE,
    FREEZE,
    HEALTHY,
    IN_FLIGHT,
    LATER,
    LOWER,
    NO_DATA,
    ON_HOLD,
    OUTAGE,
    POLICY,
    PROGRESSING,
    RAISING,
    SUCCEEDED,
    TO_50,
    TOO_FEW_REQUESTS,
    UNREADABLE,
    UPDATE_FAILED,
    UPDATE_IN_PROGRESS,
    a_paused_rollout,
    an_adopted_rollout,
    decide_command,
    decide_tick,
    live_at,
    under,
)

# Variables that contradict each other: surely not 100%, and perhaps.
CONTRADICTORY, PERHAPS_FULL = (
    a_reading(None, variables="NEW_PATH_PERCENTAGE=x"),
    a_reading(None, may_be_full=True),
)


def refusal(*arguments: Any, **facts: Any) -> UsageError:
    """Return the error with which a command is refused."""
    with pytest.raises(UsageError) as refused:
        decide_command(*arguments, **facts)
    return refused.value


# --- Allowed phases -------------------------------------------------------------------------------

ROLLOUT_IN = {
    Phase.PROGRESSING: AT_10,
    Phase.PAUSED: ON_HOLD,
    Phase.ROLLING_BACK: DURING_ROLLBACK,
    Phase.ROLLED_BACK: AFTER_ROLLBACK,
    Phase.SUCCEEDED: AFTER_SUCCESS,
}
NOT_ALLOWED = [
    (verb, phase) for verb in Verb for phase in Phase if phase not in ALLOWED_PHASES[verb]
]
PAGE = Condition(NOON, "checkout#1 is at 70%", announced=NOON, critical=True)
PAGED = under(ON_HOLD, notify=[{"kind": "eventbridge"}]).with_condition(ConditionKind.PAUSED, PAGE)


@pytest.mark.parametrize(
    ("verb", "phase"), [pytest.param(*one, id=f"{one[0]} {one[1]}") for one in NOT_ALLOWED]
)
def test_a_verb_that_does_not_fit_names_those_that_do(verb: Verb, phase: Phase) -> None:
    rollout = ROLLOUT_IN[phase]
    error = refusal(rollout, verb, a_reading(rollout.weight))
    assert error.context == {"rollout": "checkout#1"}
    fits = {one for one in Verb if phase in ALLOWED_PHASES[one]} - {Verb.ACK}
    assert all(fit in str(error) for fit in fits)


@cases("rollout, fits", {
    "a page waits": (PAGED, True),
    "it was acknowledged":
        (PAGED.with_condition(ConditionKind.PAUSED, replace(PAGE, acknowledged=True)), False),
})  # fmt: skip
def test_an_acknowledgement_fits_where_something_critical_waits_for_one(
    rollout: Rollout, fits: bool
) -> None:
    assert str(refusal(rollout, Verb.PAUSE, a_reading(10))).endswith(", ack") is fits


# --- Resume ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("measured", [OUTAGE, NO_DATA, TOO_FEW_REQUESTS, HEALTHY, {}])
def test_resume_needs_no_pass(measured: Measured) -> None:
    after = decide_command(
        with_facts(BY_HAND, tallies={}), Verb.RESUME, a_reading(10), measured
    ).rollout
    assert after.phase is PROGRESSING


# --- Promote --------------------------------------------------------------------------------------


@cases("before, measured, minute, label", {
    "before anything is judged": (AT_10, NO_DATA, 1, Label.NOT_JUDGED),
    "in the bake": (AT_10, HEALTHY, 6, Label.NOT_JUDGED),
    "an inconclusive gate": (AT_10, TOO_FEW_REQUESTS, 20, Label.TOO_FEW),
    "while no metric can be read": (AT_10, OUTAGE, 20, Label.QUERY_FAILED),
    "paused": (BY_HAND, HEALTHY, 20, Label.NO_REGRESSION),
    "silence": (a_paused_rollout(Reason.INCONCLUSIVE, tallies={}), NO_DATA, 40, Label.NO_DATA),
    "drift that was put back": (DRIFTED, HEALTHY, 20, Label.NOT_JUDGED),
})  # fmt: skip
def test_promote_needs_no_pass_and_the_label_says_what_was_measured(
    before: Rollout, measured: Measured, minute: float, label: str
) -> None:
    before = with_facts(before, tallies={})
    target = a_reading(10, token="token-5")
    decision = decide_command(
        before, Verb.PROMOTE, target, measured, reason="seen by eye", minute=minute
    )
    after = decision.rollout
    assert decision.move == SetWeight(50, "token-5")
    assert (after.phase, after.reason, after.step) == (PROGRESSING, Reason.PROMOTED, 1)
    assert "seen by eye" in after.sentence
    assert (after.evidence.label, after.live, waits_for(after)) == (label, before.live, "")


@cases("measured, minute, label", {
    "in the bake": (HEALTHY, 20, Label.NOT_JUDGED),
    "before its last data settle": (HEALTHY, 34.9, Label.NOT_JUDGED),
    "where its gate passes": (HEALTHY, 35, Label.NO_REGRESSION),
    "in the bake, in silence": (NO_DATA, 20, Label.NO_DATA),
})  # fmt: skip
@cases("before", {
    "baking": AT_100,
    "paused": a_paused_rollout(Reason.PAUSED_BY_HAND, 100, tallies={}),
})  # fmt: skip
def test_the_last_step_is_promoted_to_a_success_that_claims_no_more_than_was_measured(
    before: Rollout, measured: Measured, minute: float, label: str
) -> None:
    before = with_facts(under(before, **FREEZE), label=Label.NO_REGRESSION)
    decision = decide_command(
        before, Verb.PROMOTE, a_reading(100), measured, reason="it is late", minute=minute
    )
    after = decision.rollout
    assert (after.phase, after.reason, decision.move) == (SUCCEEDED, Reason.COMPLETED, None)
    assert after.evidence.label == label
    assert "it is late" in after.sentence


# --- Approve --------------------------------------------------------------------------------------

AWAITING = under(AT_10, **APPROVAL)


@cases("before, target", {
    "in the bake": (AWAITING, a_reading(10)),
    "while the target cannot be read": (AWAITING, UNREADABLE),
    "before it": (under(FIRST_RAISE, **APPROVAL), a_reading(10, UPDATE_IN_PROGRESS)),
    "in a pause": (under(DRIFTED, **APPROVAL), a_reading(30)),
})  # fmt: skip
def test_a_step_is_approved_ahead_and_nothing_else_changes(before: Rollout, target: Target) -> None:
    decision = decide_command(before, Verb.APPROVE, target, reason="the board said yes")
    after = decision.rollout
    assert (after.approved, after.phase, after.reason) == (1, before.phase, before.reason)
    assert (after.sentence, waits_for(after)) == (before.sentence, waits_for(before))
    assert decision.move is None
    (notice,) = decision.notices
    assert "the board said yes" in notice.text


def test_an_approval_ends_the_wait_for_it_and_the_next_tick_goes_up() -> None:
    waiting = decide_tick(AWAITING, a_reading(10), 15).rollout
    approved = decide_command(waiting, Verb.APPROVE, a_reading(10), minute=40).rollout
    assert (approved.reason, waits_for(approved)) == (Reason.APPROVED, "")
    assert "approve" not in next_action(approved).text
    assert decide_tick(approved, a_reading(10), 41).move == SetWeight(50, "token-1")


def test_an_approval_is_of_one_step_and_forgotten_with_it() -> None:
    steps = [{**step, "approval": "required"} for step in LADDER["steps"][1:]]
    policy = a_policy(steps=[LADDER["steps"][0], *steps])
    approved = decide_command(
        replace(AT_10, policy=policy), Verb.APPROVE, a_reading(10), minute=5
    ).rollout
    up = decide_tick(approved, a_reading(10), 15).rollout
    assert (up.step, up.approved) == (1, 0)
    at_50 = decide_tick(up, a_reading(50), 16, NO_DATA).rollout
    assert decide_tick(at_50, a_reading(50), 31).rollout.reason is Reason.AWAITING_APPROVAL


def test_a_kept_weight_needs_its_next_step_approved_anew() -> None:
    before = replace(under(DRIFTED, **APPROVAL), approved=1)
    assert decide_command(before, Verb.RESUME, a_reading(30), way="keep").rollout.approved == 0
    assert decide_command(before, Verb.RESUME, a_reading(10)).rollout.approved == 1


# --- Time, drift, blindness -----------------------------------------------------------------------


@pytest.mark.parametrize("on_drift_up", ["pause", "rollback"])
@cases("before, verb", {
    "pause": (replace(AT_10, seen_weight=10), Verb.PAUSE),
    "pause, before any tick": (AT_10, Verb.PAUSE),
    "pause of a raise": (replace(RAISING, seen_weight=10), Verb.PAUSE),
    "approve in a pause": (replace(ON_HOLD, seen_weight=10), Verb.APPROVE),
})  # fmt: skip
def test_drift_that_a_command_met_is_announced_by_the_next_tick(
    before: Rollout, verb: Verb, on_drift_up: str
) -> None:
    before = under(before, **APPROVAL, on_drift_up=on_drift_up)
    decision = decide_tick(
        decide_command(before, verb, a_reading(100)).rollout, a_reading(100), 21, NO_DATA
    )
    assert (decision.rollout.reason, decision.alert) == (Reason.DRIFTED, Alert.DRIFT)
    assert decision.move == (LOWER if on_drift_up == "rollback" else None)


@pytest.mark.parametrize("weight", [10, 100])
def test_a_pause_before_any_tick_hides_no_contradiction_of_the_variables(weight: int) -> None:
    started = a_start(POLICY, a_reading(0)).rollout
    before = started if weight == 10 else an_adopted_rollout(weight)
    after = decide_command(before, Verb.PAUSE, CONTRADICTORY, minute=1).rollout
    assert decide_tick(after, CONTRADICTORY, 2, NO_DATA).rollout.reason is Reason.DRIFTED


def test_a_weight_lowered_to_the_one_before_is_drift_for_a_pause_too() -> None:
    after = decide_command(replace(AT_50, seen_weight=50), Verb.PAUSE, a_reading(10)).rollout
    assert decide_tick(after, a_reading(10), 21, NO_DATA).rollout.reason is Reason.DRIFTED


@pytest.mark.parametrize("verb", [Verb.PAUSE, Verb.APPROVE])
def test_a_verb_that_reads_no_metrics_does_not_end_a_blindness_of_them(verb: Verb) -> None:
    blind = decide_tick(AWAITING, a_reading(10), 5, OUTAGE).rollout
    after = decide_command(blind, verb, a_reading(10), minute=18).rollout
    assert after.conditions[ConditionKind.BLIND].since == NOON + 5 * MINUTE
    notices = decide_tick(after, a_reading(10), 21, OUTAGE).notices
    assert [notice.kind for notice in notices][:1] == ["blind"]


# --- Set-weight -----------------------------------------------------------------------------------


@cases("before", {
    "progressing": AT_10,
    "paused": ON_HOLD,
    "paused for drift": DRIFTED,
})  # fmt: skip
def test_set_weight_over_a_rollout_pauses_it_and_is_written_once(before: Rollout) -> None:
    decision = decide_command(
        before, Verb.SET_WEIGHT, a_reading(10), HEALTHY, reason="a demo", weight=40
    )
    after, record = decision.rollout, decision.record
    assert record is not None
    assert decision.move == SetWeight(40, "token-1")
    assert (after.phase, after.reason) == (Phase.PAUSED, Reason.DRIFTED)
    assert (record.kind, record.weight_from) == ("paused", 10)
    assert "a demo" in record.sentence
    assert decision.alert is None
    assert (after.since, after.conditions[ConditionKind.PAUSED].since) == (LATER, LATER)


def test_set_weight_after_a_rollback_is_recorded_and_written_by_no_rollout() -> None:
    options: Mapping[str, Any] = {"reason": "a demo", "weight": 40, "retry": True}
    decision = decide_command(AFTER_ROLLBACK, Verb.SET_WEIGHT, a_reading(0), **options)
    record = decision.record
    assert record is not None
    assert (decision.move, decision.rollout.state) == (None, AFTER_ROLLBACK.state)
    assert (record.kind, record.weight_from) == ("weight_set", 0)
    assert record.cause == {"verb": "set-weight", "way": "", **options}
    assert "a demo" in record.sentence
    refusal(AT_10, Verb.SET_WEIGHT, a_reading(10), HEALTHY, **options)


@cases("before, live, position", {
    "not written yet": (RAISING, 10, replace(TO_50, tried=None)),
    "written and not seen applied": (RAISING, 50, live_at(50, since=LATER)),
    "paused in flight": (IN_FLIGHT, 50, live_at(50, since=LATER)),
    "the first one, written and not seen applied": (FIRST_RAISE, 10, live_at(10, since=LATER)),
})  # fmt: skip
def test_set_weight_over_a_pending_raise_takes_its_token(
    before: Rollout, live: int, position: Position
) -> None:
    """A late write of the raise is refused: its token is used up."""
    decision = decide_command(before, Verb.SET_WEIGHT, a_reading(live), reason="a demo", weight=40)
    after = decision.rollout
    assert decision.move == SetWeight(40, "token-1")
    assert (after.phase, after.reason) == (Phase.PAUSED, Reason.DRIFTED)
    assert after.position == position
    assert decide_tick(after, a_reading(40), 25).record is None


def test_the_weight_of_set_weight_is_no_drift_and_a_later_change_is() -> None:
    after = decide_command(AT_10, Verb.SET_WEIGHT, a_reading(10), HEALTHY, weight=40).rollout
    assert decide_tick(after, a_reading(40), 21).record is None
    assert decide_tick(after, a_reading(10), 21).record is None  # it was not written
    assert decide_tick(after, a_reading(60), 21).alert is Alert.DRIFT


@cases("before", {"applied": AT_10, "a raise is pending": RAISING})
def test_a_weight_that_was_refused_is_named_and_is_not_tried_again(before: Rollout) -> None:
    after = decide_command(before, Verb.SET_WEIGHT, a_reading(10), HEALTHY, weight=40).rollout
    failed = WriteFailed(Decision(after), "access denied", saved=True)
    (notice,) = decide(after, failed, LATER).notices
    assert notice.text == (
        "checkout#1: 40% could not be written: access denied. The rollout is paused, and no tick "
        "tries again."
    )


def test_a_weight_that_is_set_in_a_pause_keeps_the_reason_of_the_pause_and_no_other_weight() -> (
    None
):
    pause = decide_command(AT_10, Verb.PAUSE, a_reading(10), HEALTHY, reason="the move").rollout
    first = decide_command(pause, Verb.SET_WEIGHT, a_reading(10), HEALTHY, weight=40).rollout
    assert first.sentence.endswith(f"; before that: {pause.sentence}")
    second = decide_command(first, Verb.SET_WEIGHT, a_reading(40), HEALTHY, weight=30).rollout
    assert "before that" not in second.sentence


# --- Refusals -------------------------------------------------------------------------------------

LOWERED = a_paused_rollout(Reason.DRIFTED, 50)
DEPLOYING = a_reading(10, UPDATE_IN_PROGRESS, detail="someone deploys")
NO_CHECKPOINT = with_facts(BY_HAND, tallies={})
TWO_CRITERIA = a_policy(criteria=dict.fromkeys(("works", "steady"), LADDER["criteria"]["works"]))
PENDING_50 = a_reading(50, UPDATE_IN_PROGRESS)

# By claim: a rollout, its target, what is measured, and the options of the command.
RESUME: Mapping[str, tuple[Any, ...]] = {
    "a raised weight, without --keep or --restore": (DRIFTED, a_reading(30), {}, {}),
    "a weight below the first step": (DRIFTED, a_reading(5), {}, {}),
    "a lowered weight, without --keep or --restore": (LOWERED, a_reading(30), {}, {}),
    "a restore that would be a raise": (LOWERED, a_reading(30), {}, {"way": "restore"}),
    "a restore over variables that may say less": (DRIFTED, CONTRADICTORY, {}, {"way": "restore"}),
    "variables that contradict each other cannot be kept":
        (DRIFTED, CONTRADICTORY, {}, {"way": "keep"}),
    "what may be 100% cannot be kept": (DRIFTED, PERHAPS_FULL, {}, {"way": "keep"}),
    "less than the first step cannot be kept": (DRIFTED, a_reading(5), {}, {"way": "keep"}),
    "0% cannot be kept": (DRIFTED, a_reading(0), {}, {"way": "keep"}),
    "0%, whatever set it": (BY_HAND, a_reading(0), {}, {}),
    "a target that cannot be read": (BY_HAND, UNREADABLE, {}, {}),
    "an update in progress": (BY_HAND, DEPLOYING, {}, {}),
    "an update that failed": (BY_HAND, a_reading(10, UPDATE_FAILED), {}, {}),
    "a raise that was paused before it was written is not written by resume":
        (IN_FLIGHT, a_reading(10), {}, {"way": "restore"}),
    "a criterion fails": (NO_CHECKPOINT, a_reading(10), FAILING, {}),
    "two criteria fail": (replace(NO_CHECKPOINT, policy=TWO_CRITERIA), a_reading(10), FAILING, {}),
    "a criterion fails after drift that was put back":
        (with_facts(DRIFTED, tallies={}), a_reading(10), FAILING, {}),
    "a criterion fails at a weight to keep":
        (with_facts(DRIFTED, tallies={}), a_reading(30), FAILING, {"way": "keep"}),
    "a criterion fails at a weight to restore":
        (with_facts(DRIFTED, tallies={}), a_reading(30), FAILING, {"way": "restore"}),
}  # fmt: skip
PROMOTE: Mapping[str, tuple[Any, ...]] = {
    "a criterion fails": (AT_10, a_reading(10), FAILING, {}),
    "a criterion fails in a pause": (NO_CHECKPOINT, a_reading(10), FAILING, {}),
    "a criterion fails in the last step": (AT_100, a_reading(100), FAILING, {}),
    "the raise is in progress": (RAISING, PENDING_50, NO_DATA, {}),
    "no tick saw the raise applied": (RAISING, a_reading(50), NO_DATA, {}),
    "drift": (DRIFTED, a_reading(30), HEALTHY, {}),
    "drift to 0%": (AT_10, a_reading(0), HEALTHY, {}),
    "the variables contradict each other": (AT_10, CONTRADICTORY, HEALTHY, {}),
    "the target cannot be read": (AT_10, UNREADABLE, HEALTHY, {}),
    "a freeze": (under(AT_10, **FREEZE), a_reading(10), HEALTHY, {}),
    "a missing approval": (under(AT_10, **APPROVAL), a_reading(10), HEALTHY, {}),
}
APPROVE: Mapping[str, tuple[Any, ...]] = {
    "none is needed": (AT_10, a_reading(10), {}, {}),
    "there is no next step": (AT_100, a_reading(100), {}, {}),
    "it was needed for the step that runs":
        (under(AT_50, **APPROVAL), a_reading(50), {}, {}),
}  # fmt: skip
SET_WEIGHT: Mapping[str, tuple[Any, ...]] = {
    "a rollback by another name": (AT_10, a_reading(10), HEALTHY, {"weight": 0}),
    "a rollout that drift to 0% ends": (AT_10, a_reading(0), HEALTHY, {"weight": 40}),
    "a first raise that is not written yet": (FIRST_RAISE, a_reading(0), HEALTHY, {"weight": 40}),
    "what is live": (AT_10, a_reading(10), HEALTHY, {"weight": 10}),
    "an update in progress":
        (AT_10, a_reading(10, UPDATE_IN_PROGRESS), HEALTHY, {"weight": 40}),
    "a target that does not answer": (AT_10, UNREADABLE, HEALTHY, {"weight": 40}),
    "a criterion fails": (AT_10, a_reading(10), FAILING, {"weight": 40}),
    "a revision that was rolled back, without a reason":
        (AFTER_ROLLBACK, a_reading(0), {}, {"weight": 40, "retry": True}),
    "a rollback that has not ended":
        (DURING_ROLLBACK, a_reading(0), {}, {"weight": 40, "retry": True, "reason": "a demo"}),
}  # fmt: skip
OUT_OF_PLACE = {
    "while it progresses": (AT_10, Verb.RESUME),
    "in a pause": (ON_HOLD, Verb.PAUSE),
    "in a pause, while a page waits": (PAGED, Verb.PAUSE),
    "in a rollback": (DURING_ROLLBACK, Verb.PAUSE),
    "after a rollback": (AFTER_ROLLBACK, Verb.PAUSE),
    "after a success": (AFTER_SUCCESS, Verb.PAUSE),
    "where nothing is critical": (ON_HOLD, Verb.ACK),
}
TABLES = {
    Verb.RESUME: RESUME, Verb.PROMOTE: PROMOTE, Verb.APPROVE: APPROVE, Verb.SET_WEIGHT: SET_WEIGHT,
}  # fmt: skip
REFUSALS = {
    f"{verb}: {claim}": (before, verb, target, measured, options)
    for verb, rows in TABLES.items()
    for claim, (before, target, measured, options) in rows.items()
} | {
    f"{verb}: {claim}": (before, verb, a_reading(before.weight), {}, {})
    for claim, (before, verb) in OUT_OF_PLACE.items()
}


@cases("before, verb, target, measured, options", REFUSALS)
def test_a_command_changes_nothing_where(
    before: Rollout, verb: Verb, target: Target, measured: Measured, options: Mapping[str, Any]
) -> None:
    error = refusal(before, verb, target, measured, **options)
    assert error.context == {"rollout": "checkout#1"}


def texts() -> dict[str, str]:
    """Return the message of each refusal, and what set-weight and a bare pause report."""
    at_10 = a_reading(10)
    decisions = {
        "pause, without a reason": decide_command(AT_10, Verb.PAUSE, at_10),
        "set-weight": decide_command(AT_10, Verb.SET_WEIGHT, at_10, reason="a demo", weight=40),
        "set-weight over contradictory variables":
            decide_command(AT_10, Verb.SET_WEIGHT, CONTRADICTORY, weight=40),
    }  # fmt: skip
    refusals = {claim: str(refusal(*row, **options)) for claim, (*row, options) in REFUSALS.items()}
    return {**refusals, **{claim: decision_text(decision) for claim, decision in decisions.items()}}
