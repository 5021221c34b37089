"""Commands of operators: the phases that allow them, their decisions, and their refusals."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from controller.core import transitions
from tests.support.cases import cases
from tests.support.core import (
    ALLOWED_PHASES,
    Alert,
    DriftResolution,
    Page,
    Phase,
    Reason,
    Rollout,
    Series,
    Shift,
    TargetReading,
    UnreadableTarget,
    UsageError,
    Verb,
)
from tests.support.rollouts import LADDER, MINUTE, NOON, a_policy, a_reading
from tests.support.three_steps import (
    AFTER_ROLLBACK,
    AFTER_SUCCESS,
    AT_10,
    AT_50,
    AT_100,
    DURING_ROLLBACK,
    FAILING,
    FIRST_RAISE,
    HEALTHY,
    LATER,
    LOWER,
    LOWER_BY_OPERATOR,
    NO_DATA,
    ON_HOLD,
    OUTAGE,
    PAUSED,
    POLICY,
    PROGRESSING,
    RAISING,
    SUCCEEDED,
    TOO_FEW_REQUESTS,
    UNREADABLE,
    UPDATE_FAILED,
    UPDATE_IN_PROGRESS,
    a_paused_rollout,
    a_rollout_paused_in_flight,
    an_adopted_rollout,
    decide_command,
    decide_tick,
)

# Variables that contradict each other: surely not 100 %, and perhaps.
CONTRADICTORY, PERHAPS_FULL = (
    a_reading(None, shown="NEW_PATH_PERCENTAGE=x"),
    a_reading(None, may_be_full=True),
)


def refusal(*arguments: Any, **facts: Any) -> str:
    """Return the message with which a command is refused."""
    with pytest.raises(UsageError) as refused:
        decide_command(*arguments, **facts)
    return str(refused.value)


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
ALLOWED = {
    Phase.PROGRESSING: "pause, promote, approve, attest, rollback, set-weight",
    Phase.PAUSED: "resume, promote, approve, attest, rollback, set-weight",
    Phase.ROLLING_BACK: "rollback",
    Phase.ROLLED_BACK: "rollback, retry",
    Phase.SUCCEEDED: "rollback",
}


def test_an_acknowledgement_fits_where_something_critical_waits_for_one() -> None:
    page = Page("drift", "checkout#1 is at 70 %", NOON, NOON)
    waiting = replace(ON_HOLD, page=page, since=NOON)
    assert refusal(waiting, Verb.PAUSE, a_reading(10)).endswith(
        f"; what fits: {ALLOWED[PAUSED]}, ack"
    )
    acknowledged = replace(waiting, page=replace(page, acknowledged=True))
    assert refusal(acknowledged, Verb.PAUSE, a_reading(10)).endswith(
        f"; what fits: {ALLOWED[PAUSED]}"
    )


@pytest.mark.parametrize(
    ("verb", "phase"), [pytest.param(*one, id=f"{one[0]} {one[1]}") for one in NOT_ALLOWED]
)
def test_a_verb_that_does_not_fit_says_where_the_rollout_stands_and_what_fits(
    verb: Verb, phase: Phase
) -> None:
    rollout = ROLLOUT_IN[phase]
    assert refusal(rollout, verb, a_reading(rollout.weight)) == (
        f"{verb} changed nothing of checkout#1: it is {phase}; what fits: {ALLOWED[phase]}"
    )


def test_a_rollback_fits_every_phase_and_waits_for_the_whole_timeout() -> None:
    for rollout in ROLLOUT_IN.values():
        move = decide_command(rollout, Verb.ROLLBACK, UNREADABLE, reason="enough").move
        assert move == LOWER_BY_OPERATOR


@pytest.mark.parametrize("verb", [Verb.PAUSE, Verb.RESUME, Verb.PROMOTE, Verb.ROLLBACK])
def test_a_record_contains_its_command(verb: Verb) -> None:
    rollout = ON_HOLD if verb is Verb.RESUME else AT_10
    record = decide_command(rollout, verb, a_reading(10), HEALTHY, reason="the shop").record
    assert record is not None
    assert record.because == {"verb": str(verb), "reason": "the shop", "way": ""}
    assert "the shop" in record.sentence


def test_a_record_of_set_weight_contains_the_weight() -> None:
    record = decide_command(
        AT_10, Verb.SET_WEIGHT, a_reading(10), HEALTHY, reason="a demo", weight=40
    ).record
    assert record is not None
    assert record.because == {"verb": "set-weight", "reason": "a demo", "way": "", "weight": 40}


# --- Resume ---------------------------------------------------------------------------------------


@cases("before, target, way, why", {
    "a raised weight, without --keep or --restore":
        (a_paused_rollout(Reason.DRIFTED), a_reading(30), "",
         "the target shows NEW_PATH_PERCENTAGE=30 where 10 % was asked for; say --restore "
         "(back to 10 %), say --keep (go on with the 30 % that are live), or end it: "
         "rolloutctl rollback checkout#1"),
    "a weight below the first step":
        (a_paused_rollout(Reason.DRIFTED), a_reading(5), "",
         "the target shows NEW_PATH_PERCENTAGE=5 where 10 % was asked for; set 10 % by hand and "
         "resume then, or end it: rolloutctl rollback checkout#1"),
    "a lowered weight, without --keep or --restore":
        (a_paused_rollout(Reason.DRIFTED, 50), a_reading(30), "",
         "the target shows NEW_PATH_PERCENTAGE=30 where 50 % was asked for; say --keep (go on "
         "with the 30 % that are live), or end it: rolloutctl rollback checkout#1"),
    "a restore that would be a raise":
        (a_paused_rollout(Reason.DRIFTED, 50), a_reading(30), "restore",
         "--restore only takes weight back, and the target shows NEW_PATH_PERCENTAGE=30 where "
         "50 % was asked for; say --keep (go on with the 30 % that are live), or end it: "
         "rolloutctl rollback checkout#1"),
    "a restore over variables that may say less":
        (a_paused_rollout(Reason.DRIFTED), CONTRADICTORY, "restore",
         "--restore only takes weight back, and the target shows NEW_PATH_PERCENTAGE=x where "
         "10 % was asked for; put the variables right by hand and resume then, or end it: "
         "rolloutctl rollback checkout#1"),
    "variables that contradict each other cannot be kept":
        (a_paused_rollout(Reason.DRIFTED), CONTRADICTORY, "keep",
         "nobody knows what to keep: the target shows NEW_PATH_PERCENTAGE=x where 10 % was "
         "asked for; put the variables right by hand and resume then, or end it: rolloutctl "
         "rollback checkout#1"),
    "what may be 100 % cannot be kept":
        (a_paused_rollout(Reason.DRIFTED), PERHAPS_FULL, "keep",
         "nobody knows what to keep: the target shows NEW_PATH_PERCENTAGE=None where 10 % was "
         "asked for; say --restore (back to 10 %), put the variables right by hand and resume "
         "then, or end it: rolloutctl rollback checkout#1"),
    "less than the first step cannot be kept":
        (a_paused_rollout(Reason.DRIFTED), a_reading(5), "keep",
         "5 % is below the first step: set 10 % by hand and resume then"),
    "0 % cannot be kept":
        (a_paused_rollout(Reason.DRIFTED), a_reading(0), "keep",
         "its weight is 0 %, and that ends it with the next tick"),
    "0 %, whatever set it":
        (a_paused_rollout(Reason.PAUSED_BY_HAND), a_reading(0), "",
         "its weight is 0 %, and that ends it with the next tick"),
    "a target that cannot be read":
        (a_paused_rollout(Reason.PAUSED_BY_HAND), UNREADABLE, "",
         "its target cannot be read: Lambda did not answer"),
    "an update in progress":
        (a_paused_rollout(Reason.PAUSED_BY_HAND),
         a_reading(10, UPDATE_IN_PROGRESS, detail="someone deploys"), "",
         "the last update of its target is in_progress: someone deploys"),
    "an update that failed":
        (a_paused_rollout(Reason.PAUSED_BY_HAND), a_reading(10, UPDATE_FAILED), "",
         "the last update of its target is failed"),
    "a raise that was paused before it was written is not written by resume":
        (a_rollout_paused_in_flight(), a_reading(10), "restore",
         "--restore only takes weight back, and the target shows NEW_PATH_PERCENTAGE=10 where "
         "50 % was asked for; say --keep (go on with the 10 % that are live), or end it: "
         "rolloutctl rollback checkout#1"),
})  # fmt: skip
def test_resume_changes_nothing_where(
    before: Rollout, target: TargetReading | UnreadableTarget, way: DriftResolution, why: str
) -> None:
    message = refusal(before, Verb.RESUME, target, way=way)
    assert message == f"resume changed nothing of checkout#1: {why}"


@cases("before, live, way", {
    "by hand": (a_paused_rollout(Reason.PAUSED_BY_HAND, tallies={}), 10, ""),
    "drift that was put back": (a_paused_rollout(Reason.DRIFTED, tallies={}), 10, ""),
    "keep": (a_paused_rollout(Reason.DRIFTED, tallies={}), 30, "keep"),
    "restore": (a_paused_rollout(Reason.DRIFTED, tallies={}), 30, "restore"),
})  # fmt: skip
def test_resume_is_refused_while_a_criterion_fails(
    before: Rollout, live: int, way: DriftResolution
) -> None:
    assert refusal(before, Verb.RESUME, a_reading(live), FAILING, way=way).startswith(
        "resume changed nothing of checkout#1: nobody resumes a fail, the next tick rolls back: "
        "works fails"
    )


def test_a_refused_resume_names_every_criterion_that_fails() -> None:
    both = a_policy(criteria=dict.fromkeys(("works", "steady"), LADDER["criteria"]["works"]))
    before = a_paused_rollout(Reason.PAUSED_BY_HAND, policy=both, tallies={})
    message = refusal(before, Verb.RESUME, a_reading(10), FAILING)
    first, second = message.split(" steady fails")
    assert first.endswith(second.replace("steady", "works"))


def test_a_refusal_names_its_rollout_in_the_logs_too() -> None:
    with pytest.raises(UsageError) as refused:
        decide_command(DURING_ROLLBACK, Verb.PAUSE, a_reading(10))
    assert refused.value.context == {"rollout": "checkout#1"}


@pytest.mark.parametrize("measured", [OUTAGE, NO_DATA, TOO_FEW_REQUESTS, HEALTHY, {}])
def test_resume_needs_no_pass(measured: Mapping[str, Series]) -> None:
    after = decide_command(
        a_paused_rollout(Reason.PAUSED_BY_HAND, tallies={}), Verb.RESUME, a_reading(10), measured
    ).rollout
    assert after.phase is PROGRESSING


# --- Promote --------------------------------------------------------------------------------------

FROZEN = a_policy(freeze={"zone": "UTC", "daily": [{"from": "11:00", "to": "13:00"}]})
NEEDS_APPROVAL = a_policy(
    steps=[LADDER["steps"][0], {**LADDER["steps"][1], "approval": "required"}, LADDER["steps"][2]]
)


@cases("before, measured, minute, label", {
    "before anything is judged": (AT_10, NO_DATA, 1, "not judged yet"),
    "in the bake": (AT_10, HEALTHY, 6, "not judged yet"),
    "an inconclusive gate": (AT_10, TOO_FEW_REQUESTS, 20, "too few samples"),
    "while no metric can be read": (AT_10, OUTAGE, 20, "query failed"),
    "paused": (a_paused_rollout(Reason.PAUSED_BY_HAND), HEALTHY, 20, "not refuted"),
    "silence": (a_paused_rollout(Reason.INCONCLUSIVE, tallies={}), NO_DATA, 40, "no data"),
    "drift that was put back": (a_paused_rollout(Reason.DRIFTED), HEALTHY, 20, "not judged yet"),
})  # fmt: skip
def test_promote_needs_no_pass_and_the_label_says_what_was_measured(
    before: Rollout, measured: Mapping[str, Series], minute: float, label: str
) -> None:
    before = replace(before, tallies={})
    target = a_reading(10, token="token-5")
    decision = decide_command(
        before, Verb.PROMOTE, target, measured, reason="seen by eye", minute=minute
    )
    after = decision.rollout
    assert decision.move == Shift(50, "token-5")
    assert (after.phase, after.reason, after.step) == (PROGRESSING, Reason.PROMOTED, 1)
    assert after.sentence == "promoted at 10 % by hand: seen by eye; going to 50 %"
    assert (after.label, after.settled, after.blocked) == (label, None, "")


@cases("measured, minute, label", {
    "in the bake": (HEALTHY, 20, "not judged yet"),
    "before its last data settle": (HEALTHY, 34.9, "not judged yet"),
    "where its gate passes": (HEALTHY, 35, "not refuted"),
    "in the bake, in silence": (NO_DATA, 20, "no data"),
})  # fmt: skip
@cases("before", {
    "baking": AT_100,
    "paused": a_paused_rollout(Reason.PAUSED_BY_HAND, 100, tallies={}),
})  # fmt: skip
def test_the_last_step_is_promoted_to_a_success_that_claims_no_more_than_was_measured(
    before: Rollout, measured: Mapping[str, Series], minute: float, label: str
) -> None:
    before = replace(before, label="not refuted", policy=FROZEN)
    decision = decide_command(
        before, Verb.PROMOTE, a_reading(100), measured, reason="it is late", minute=minute
    )
    after = decision.rollout
    assert (after.phase, after.reason, decision.move) == (SUCCEEDED, Reason.COMPLETED, None)
    assert after.label == label
    assert after.sentence == (
        f"promoted at 100 % by hand: it is late; the rollout is complete ({label})"
    )


@cases("before, target, measured, why", {
    "a criterion fails":
        (AT_10, a_reading(10), FAILING,
         "nobody promotes a fail, the next tick rolls back: works fails"),
    "a criterion fails in a pause":
        (a_paused_rollout(Reason.PAUSED_BY_HAND, tallies={}), a_reading(10), FAILING,
         "nobody promotes a fail, the next tick rolls back: works fails"),
    "a criterion fails in the last step":
        (AT_100, a_reading(100), FAILING,
         "nobody promotes a fail, the next tick rolls back: works fails"),
    "the raise is in progress":
        (RAISING, a_reading(50, UPDATE_IN_PROGRESS), NO_DATA,
         "the last update of its target is in_progress"),
    "no tick saw the raise applied":
        (RAISING, a_reading(50), NO_DATA, "50 % was not seen in force yet; tick first"),
    "drift":
        (a_paused_rollout(Reason.DRIFTED), a_reading(30), HEALTHY,
         "the target shows NEW_PATH_PERCENTAGE=30 where 10 % was asked for; resume it first"),
    "drift to 0 %":
        (AT_10, a_reading(0), HEALTHY, "the target shows NEW_PATH_PERCENTAGE=0 where 10 %"),
    "the variables contradict each other":
        (AT_10, CONTRADICTORY, HEALTHY, "the target shows NEW_PATH_PERCENTAGE=x where 10 %"),
    "the target cannot be read":
        (AT_10, UNREADABLE, HEALTHY, "its target cannot be read: Lambda did not answer"),
    "a freeze":
        (replace(AT_10, policy=FROZEN), a_reading(10), HEALTHY,
         "frozen until 2026-11-24 13:00 UTC (daily 11:00 to 13:00, UTC); promote skips neither "
         "a freeze nor an approval"),
    "a missing approval":
        (replace(AT_10, policy=NEEDS_APPROVAL), a_reading(10), HEALTHY,
         "50 % needs an approval: rolloutctl approve checkout#1; promote skips neither a "
         "freeze nor an approval"),
})  # fmt: skip
def test_promote_changes_nothing_where(
    before: Rollout,
    target: TargetReading | UnreadableTarget,
    measured: Mapping[str, Series],
    why: str,
) -> None:
    message = refusal(before, Verb.PROMOTE, target, measured, reason="hurry")
    assert message.startswith(f"promote changed nothing of checkout#1: {why}")


def test_a_promotion_of_an_approved_step_goes_up_and_forgets_the_approval() -> None:
    before = replace(AT_10, policy=NEEDS_APPROVAL, approved=1)
    decision = decide_command(before, Verb.PROMOTE, a_reading(10), NO_DATA, reason="hurry")
    assert (decision.move, decision.rollout.approved) == (Shift(50, "token-1"), None)


# --- Approve --------------------------------------------------------------------------------------

AWAITING = replace(AT_10, policy=NEEDS_APPROVAL)


@cases("before, target", {
    "in the bake": (AWAITING, a_reading(10)),
    "while the target cannot be read": (AWAITING, UNREADABLE),
    "before it": (replace(FIRST_RAISE, policy=NEEDS_APPROVAL), a_reading(10, UPDATE_IN_PROGRESS)),
    "in a pause": (a_paused_rollout(Reason.DRIFTED, policy=NEEDS_APPROVAL), a_reading(30)),
})  # fmt: skip
def test_a_step_is_approved_ahead_and_nothing_else_changes(
    before: Rollout, target: TargetReading | UnreadableTarget
) -> None:
    decision = decide_command(before, Verb.APPROVE, target, reason="the board said yes")
    after = decision.rollout
    assert (after.approved, after.phase, after.reason) == (1, before.phase, before.reason)
    assert (after.sentence, after.blocked, decision.move) == (before.sentence, before.blocked, None)
    assert [one.text for one in decision.notices] == [
        "checkout#1: 50 % may be entered once the gate at 10 % passes: the board said yes"
    ]


def test_after_an_approval_ahead_a_gate_that_passes_advances_at_once() -> None:
    approved = decide_command(AWAITING, Verb.APPROVE, a_reading(10), minute=5).rollout
    assert decide_tick(approved, a_reading(10), 15).move == Shift(50, "token-1")


def test_an_approval_ends_the_wait_for_it_and_the_next_tick_goes_up() -> None:
    waiting = decide_tick(AWAITING, a_reading(10), 15).rollout
    approved = decide_command(waiting, Verb.APPROVE, a_reading(10), minute=40).rollout
    assert (approved.reason, approved.blocked) == (Reason.APPROVED, "")
    assert approved.sentence == "50 % may be entered once the gate at 10 % passes"
    assert "approve" not in approved.next
    assert decide_tick(approved, a_reading(10), 41).move == Shift(50, "token-1")


def test_an_approval_is_of_one_step_and_forgotten_with_it() -> None:
    steps = [{**step, "approval": "required"} for step in LADDER["steps"][1:]]
    policy = a_policy(steps=[LADDER["steps"][0], *steps])
    approved = decide_command(
        replace(AT_10, policy=policy), Verb.APPROVE, a_reading(10), minute=5
    ).rollout
    up = decide_tick(approved, a_reading(10), 15).rollout
    assert (up.step, up.approved) == (1, None)
    at_50 = decide_tick(up, a_reading(50), 16, NO_DATA).rollout
    assert decide_tick(at_50, a_reading(50), 31).rollout.reason is Reason.AWAITING_APPROVAL


@cases("before, why", {
    "none is needed": (AT_10, "its next step needs no approval"),
    "there is no next step": (AT_100, "its next step needs no approval"),
    "it was needed for the step that runs":
        (replace(AT_50, policy=NEEDS_APPROVAL), "its next step needs no approval"),
    "twice": (replace(AWAITING, approved=1), "50 % is approved already"),
})  # fmt: skip
def test_approve_changes_nothing_where(before: Rollout, why: str) -> None:
    message = refusal(before, Verb.APPROVE, a_reading(before.weight))
    assert message == f"approve changed nothing of checkout#1: {why}"


def test_a_kept_weight_keeps_the_criteria_that_its_step_does_not_judge_as_earlier_ones() -> None:
    works = LADDER["criteria"]["works"]
    first, *rest = LADDER["steps"]
    steps = [first, *({**one, "criteria": ["steady"]} for one in rest)]
    policy = a_policy(criteria={"works": works, "steady": works}, steps=steps)
    after = decide_command(
        a_paused_rollout(Reason.DRIFTED, policy=policy),
        Verb.RESUME,
        a_reading(50),
        HEALTHY,
        way="keep",
    )
    assert [(one.criterion, one.sentence) for one in after.rollout.earlier] == [("works", "")]


def test_a_kept_weight_needs_its_next_step_approved_anew() -> None:
    before = a_paused_rollout(Reason.DRIFTED, policy=NEEDS_APPROVAL, approved=1)
    assert decide_command(before, Verb.RESUME, a_reading(30), way="keep").rollout.approved is None
    assert decide_command(before, Verb.RESUME, a_reading(10)).rollout.approved == 1


# --- Time, drift, blindness -----------------------------------------------------------------------


def test_time_never_goes_back_for_a_command_either() -> None:
    ahead = NOON + 60 * MINUTE
    after = decide_command(replace(AT_10, updated=ahead), Verb.PAUSE, a_reading(10)).rollout
    assert (after.updated, after.since) == (ahead, ahead)


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
    before = replace(before, policy=a_policy(steps=NEEDS_APPROVAL.steps, on_drift_up=on_drift_up))
    decision = decide_tick(
        decide_command(before, verb, a_reading(100)).rollout, a_reading(100), 21, NO_DATA
    )
    assert (decision.rollout.reason, decision.alert) == (Reason.DRIFTED, Alert.DRIFT)
    assert decision.move == (LOWER if on_drift_up == "rollback" else None)


@pytest.mark.parametrize("weight", [10, 100])
def test_a_pause_before_any_tick_hides_no_contradiction_of_the_variables(weight: int) -> None:
    started = transitions.start_rollout(POLICY, "code-1", a_reading(0), 1, {}, None, NOON).rollout
    before = started if weight == 10 else an_adopted_rollout(weight)
    after = decide_command(before, Verb.PAUSE, CONTRADICTORY, minute=1).rollout
    assert decide_tick(after, CONTRADICTORY, 2, NO_DATA).rollout.reason is Reason.DRIFTED


def test_a_weight_lowered_to_the_one_before_is_drift_for_a_pause_too() -> None:
    after = decide_command(replace(AT_50, seen_weight=50), Verb.PAUSE, a_reading(10)).rollout
    assert decide_tick(after, a_reading(10), 21, NO_DATA).rollout.reason is Reason.DRIFTED


@pytest.mark.parametrize(("way", "weight"), [("restore", 30), ("keep", 30), ("", 10)])
def test_the_live_weight_that_a_resume_is_about_is_remembered(
    way: DriftResolution, weight: int
) -> None:
    after = decide_command(
        a_paused_rollout(Reason.DRIFTED), Verb.RESUME, a_reading(weight), way=way
    ).rollout
    assert after.seen_weight == weight


@pytest.mark.parametrize("verb", [Verb.PAUSE, Verb.APPROVE])
def test_a_verb_that_reads_no_metrics_does_not_end_a_blindness_of_them(verb: Verb) -> None:
    blind = decide_tick(AWAITING, a_reading(10), 5, OUTAGE).rollout
    after = decide_command(blind, verb, a_reading(10), minute=18).rollout
    assert after.blind_since == NOON + 5 * MINUTE
    notices = decide_tick(after, a_reading(10), 21, OUTAGE).notices
    assert notices[0].text.startswith("checkout#1 has not seen any metric for 16m (")


@cases("verb, measured", {
    "a resume that has measured": (Verb.RESUME, HEALTHY),
    "a rollback, after which nothing is guarded": (Verb.ROLLBACK, {}),
})  # fmt: skip
def test_a_blindness_ends_with(verb: Verb, measured: Mapping[str, Series]) -> None:
    blind = a_paused_rollout(Reason.PAUSED_BY_HAND, blind_since=NOON)
    assert decide_command(blind, verb, a_reading(10), measured).rollout.blind_since is None


def test_a_pause_needs_no_reason() -> None:
    assert decide_command(AT_10, Verb.PAUSE, a_reading(10)).rollout.sentence == "paused by hand"


# --- Set-weight -----------------------------------------------------------------------------------


@cases("before", {
    "progressing": AT_10,
    "paused": ON_HOLD,
    "paused for drift": a_paused_rollout(Reason.DRIFTED),
})  # fmt: skip
def test_set_weight_over_a_rollout_pauses_it_and_is_written_once(before: Rollout) -> None:
    decision = decide_command(
        before, Verb.SET_WEIGHT, a_reading(10), HEALTHY, reason="a demo", weight=40
    )
    after, record = decision.rollout, decision.record
    assert record is not None
    assert decision.move == Shift(40, "token-1")
    assert (after.phase, after.reason) == (Phase.PAUSED, Reason.DRIFTED)
    assert (record.kind, record.weight_from, record.sentence) == (
        "paused", 10, "set from 10 % to 40 % by hand: a demo",
    )  # fmt: skip
    assert decision.alert is None
    assert (after.blocked, after.since) == ("a person", LATER)


@cases("before, live, waits", {
    "not written yet": (RAISING, 10, True),
    "written and not seen applied": (RAISING, 50, False),
    "paused in flight": (a_rollout_paused_in_flight(), 50, False),
    "the first one, written and not seen applied": (FIRST_RAISE, 10, False),
})  # fmt: skip
def test_set_weight_over_a_pending_raise_takes_its_token(
    before: Rollout, live: int, waits: bool
) -> None:
    """A late write of the raise is refused: its token is used up."""
    decision = decide_command(before, Verb.SET_WEIGHT, a_reading(live), reason="a demo", weight=40)
    after = decision.rollout
    assert decision.move == Shift(40, "token-1")
    assert (after.phase, after.reason) == (Phase.PAUSED, Reason.DRIFTED)
    assert (after.previous_live is not None, after.settled) == (waits, None if waits else LATER)
    assert decide_tick(after, a_reading(40), 25).record is None


def test_the_weight_of_set_weight_is_no_drift_and_a_later_change_is() -> None:
    after = decide_command(AT_10, Verb.SET_WEIGHT, a_reading(10), HEALTHY, weight=40).rollout
    assert decide_tick(after, a_reading(40), 21).record is None
    assert decide_tick(after, a_reading(10), 21).record is None  # it was not written
    assert decide_tick(after, a_reading(60), 21).alert is Alert.DRIFT


def test_resume_after_set_weight_is_as_after_any_drift() -> None:
    after = decide_command(AT_10, Verb.SET_WEIGHT, a_reading(10), HEALTHY, weight=40).rollout
    assert "say --restore (back to 10 %)" in refusal(after, Verb.RESUME, a_reading(40))
    kept = decide_command(after, Verb.RESUME, a_reading(40), way="keep").rollout
    assert (kept.phase, kept.weight, kept.step) == (Phase.PROGRESSING, 40, 0)


def test_a_record_of_set_weight_shows_contradictory_variables_as_they_stand() -> None:
    record = decide_command(AT_10, Verb.SET_WEIGHT, CONTRADICTORY, HEALTHY, weight=40).record
    assert record is not None
    assert record.sentence == "set from NEW_PATH_PERCENTAGE=x to 40 % by hand"


@cases("before, target, weight, why", {
    "a rollback by another name":
        (AT_10, a_reading(10), 0, "0 % is a rollback: rolloutctl rollback checkout#1"),
    "a rollout that drift to 0 % ends":
        (AT_10, a_reading(0), 40, "its weight is 0 %, and that ends it with the next tick"),
    "a first raise that is not written yet":
        (FIRST_RAISE, a_reading(0), 40, "its weight is 0 %, and that ends it with the next tick"),
    "what is live": (AT_10, a_reading(10), 10, "10 % is live already"),
    "an update in progress":
        (AT_10, a_reading(10, UPDATE_IN_PROGRESS), 40,
         "the last update of its target is in_progress"),
    "a target that does not answer":
        (AT_10, UNREADABLE, 40, "its target cannot be read: Lambda did not answer"),
})  # fmt: skip
def test_set_weight_changes_nothing_where(
    before: Rollout, target: TargetReading | UnreadableTarget, weight: int, why: str
) -> None:
    message = refusal(before, Verb.SET_WEIGHT, target, HEALTHY, weight=weight)
    assert message == f"set-weight changed nothing of checkout#1: {why}"


def test_set_weight_is_refused_while_a_criterion_fails() -> None:
    message = refusal(AT_10, Verb.SET_WEIGHT, a_reading(10), FAILING, weight=40)
    assert "nobody sets a weight over a fail, the next tick rolls back: works fails" in message
