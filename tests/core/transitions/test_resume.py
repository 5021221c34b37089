"""Commands of an operator: pause, resume, and restore or keep a weight after drift."""

from datetime import datetime, timedelta

import pytest

from controller.immutable import replace
from tests.support.cases import cases
from tests.support.core import (
    DriftResolution,
    Label,
    Live,
    Pending,
    Phase,
    Policy,
    Progressing,
    Reason,
    Rollout,
    SetWeight,
    TargetReading,
    Verb,
    next_action,
)
from tests.support.rollouts import LADDER, MINUTE, NOON, a_policy, a_reading, state_of
from tests.support.three_steps import (
    BY_HAND,
    DRIFTED,
    FIRST_RAISE,
    IN_FLIGHT,
    LATER,
    LOWER,
    NO_DATA,
    PAUSED,
    PROGRESSING,
    RAISING,
    ROLLED_BACK,
    TALLIES,
    TOO_FEW_REQUESTS,
    UPDATE_IN_PROGRESS,
    a_paused_rollout,
    an_adopted_rollout,
    decide_command,
    decide_tick,
)

PERHAPS_FULL = a_reading(None, may_be_full=True)


# --- Pause ----------------------------------------------------------------------------------------


@cases("live, phase, reason", {
    "still moving": (a_reading(50, UPDATE_IN_PROGRESS), PAUSED, Reason.PAUSED_BY_HAND),
    "in force after all": (a_reading(50), PAUSED, Reason.PAUSED_BY_HAND),
    "never written": (a_reading(10), PAUSED, Reason.PAUSED_BY_HAND),
    "0%": (a_reading(0), Phase.ROLLED_BACK, Reason.FOUND_AT_ZERO),
})  # fmt: skip
def test_a_raise_that_was_on_its_way_is_neither_finished_nor_taken_for_drift_by_a_pause(
    live: TargetReading, phase: Phase, reason: Reason
) -> None:
    at_pause = (
        a_reading(10, UPDATE_IN_PROGRESS)
        if live.weight == 10
        else a_reading(50, UPDATE_IN_PROGRESS)
    )
    after = decide_command(RAISING, Verb.PAUSE, at_pause, minute=1).rollout
    decision = decide_tick(after, live, 2, NO_DATA)
    assert (decision.rollout.phase, decision.rollout.reason) == (phase, reason)
    assert decision.move is None


# --- Resume at the intended weight ----------------------------------------------------------------


@cases("before, since, tallies", {
    "by hand: the bake goes on with its evidence":
        (BY_HAND, NOON, TALLIES),
    "inconclusive: the evidence stays": (a_paused_rollout(Reason.INCONCLUSIVE), NOON, TALLIES),
    "drift that was put back: the step anew": (DRIFTED, LATER, {}),
    "an uncertain raise that is applied: the step begins":
        (decide_tick(RAISING, a_reading(10, token="token-9"), 1).rollout, LATER, {}),
    "a raise that was on its way and is applied: the step begins":
        (IN_FLIGHT, LATER, {}),
})  # fmt: skip
@pytest.mark.parametrize("way", ["", "restore", "keep"])
def test_a_rollout_goes_on_at_its_own_weight(
    before: Rollout, since: datetime, tallies: object, way: DriftResolution
) -> None:
    decision = decide_command(before, Verb.RESUME, a_reading(before.weight), reason="seen", way=way)
    after = decision.rollout
    assert (after.phase, after.reason, decision.move) == (PROGRESSING, Reason.RESUMED, None)
    assert after.position == Live(before.step, before.weight, since)
    assert after.evidence.tallies == tallies
    assert (state_of(after, Progressing).hold_from, after.conditions) == (LATER, {})


def test_a_resumed_rollout_holds_anew_for_the_whole_time_that_the_policy_gives() -> None:
    after = decide_command(
        a_paused_rollout(Reason.INCONCLUSIVE), Verb.RESUME, a_reading(10), minute=60
    ).rollout
    held, over = (
        decide_tick(after, a_reading(10), 79.9, TOO_FEW_REQUESTS),
        decide_tick(after, a_reading(10), 80, TOO_FEW_REQUESTS),
    )
    assert (held.rollout.reason, over.rollout.reason) == (Reason.ON_HOLD, Reason.INCONCLUSIVE)
    assert next_action(after).at == NOON + 80 * MINUTE


# --- Resume after drift ---------------------------------------------------------------------------


@cases("target", {"30": a_reading(30), "100": a_reading(100), "torn": PERHAPS_FULL})
def test_restore_takes_the_weight_back_in_one_shot_and_begins_the_step_anew(
    target: TargetReading,
) -> None:
    decision = decide_command(DRIFTED, Verb.RESUME, target, way="restore")
    after = decision.rollout
    assert decision.move == SetWeight(10, "token-1")
    assert after.phase is PROGRESSING
    live = 100 if target.weight is None else target.weight
    assert after.position == Pending(0, 10, live, "token-1", LATER, tried=LATER, live=DRIFTED.live)
    settled = decide_tick(after, a_reading(10, token="token-2"), 21, NO_DATA).rollout
    assert (settled.reason, settled.evidence.tallies) == (Reason.APPLIED, {})
    assert settled.position == Live(0, 10, NOON + 21 * MINUTE)


@cases("before, live, step, following", {
    "between the first step and the second": (10, 30, 0, 50),
    "on the second step": (10, 50, 1, 100),
    "just below the last step": (10, 99, 1, 100),
    "lowered to the first step": (50, 10, 0, 50),
    "lowered to between": (50, 30, 0, 50),
    "lowered from the last step": (100, 50, 1, 100),
})  # fmt: skip
def test_keep_resumes_in_the_last_step_up_to_the_live_weight_and_climbs_from_there(
    before: int, live: int, step: int, following: int
) -> None:
    decision = decide_command(
        a_paused_rollout(Reason.DRIFTED, before), Verb.RESUME, a_reading(live), way="keep"
    )
    after = decision.rollout
    assert (decision.move, after.phase) == (None, PROGRESSING)
    assert (after.position, after.evidence.tallies) == (Live(step, live, LATER), {})
    assert decide_tick(after, a_reading(live), 21).rollout.reason is Reason.BAKING
    up = decide_tick(after, a_reading(live), 36)
    assert up.move == SetWeight(following, "token-1")
    assert up.rollout.pending is not None
    assert up.rollout.pending.previous == live


def test_a_kept_weight_that_comes_back_after_a_rollback_is_lowered_again() -> None:
    kept = decide_command(DRIFTED, Verb.RESUME, a_reading(30), way="keep").rollout
    back = decide_command(kept, Verb.ROLLBACK, a_reading(30), minute=21).rollout
    guarding = decide_tick(decide_tick(back, a_reading(0), 22).rollout, a_reading(30), 23)
    assert guarding.move == replace(LOWER, must_succeed=True, only=30)


def test_a_first_raise_that_was_paused_before_it_was_written_ends_and_offers_no_resume() -> None:
    paused_early = decide_command(FIRST_RAISE, Verb.PAUSE, a_reading(0), minute=1).rollout
    assert next_action(paused_early).at == NOON + MINUTE
    ended = decide_tick(paused_early, a_reading(0), 2, NO_DATA)
    assert (ended.rollout.phase, ended.rollout.reason) == (ROLLED_BACK, Reason.RAISE_UNCERTAIN)
    assert "rolloutctl retry checkout#1" in ended.rollout.sentence


def test_a_first_raise_that_arrives_as_it_is_paused_is_no_raise_without_trace() -> None:
    observed = decide_tick(FIRST_RAISE, a_reading(0), 1, NO_DATA).rollout
    after = decide_command(
        observed, Verb.PAUSE, a_reading(10, UPDATE_IN_PROGRESS), minute=2
    ).rollout
    assert next_action(after).at == NOON + timedelta(days=1, minutes=2)
    assert decide_tick(after, a_reading(10), 3, NO_DATA).rollout.phase is PAUSED
    assert decide_tick(after, a_reading(0), 3, NO_DATA).rollout.reason is Reason.FOUND_AT_ZERO


# --- Labels after skipped steps -------------------------------------------------------------------

WORKS = LADDER["criteria"]["works"]
CRITERIA = {"works": WORKS, "calm": {**WORKS, "min": "90%"}}


def judged_by(first: list[str] | None, last: list[str] | None) -> Policy:
    """Return a ladder of two steps with the criteria of each; None is all of them."""
    gates = [{} if names is None else {"criteria": names} for names in (first, last)]
    steps = [{"weight": 10, "bake": "10m", **gates[0]}, {"weight": 100, "bake": "30m", **gates[1]}]
    return a_policy(criteria=CRITERIA, steps=steps)


LABELS = cases("policy, label", {
    "every gate has all criteria": (judged_by(None, None), Label.NO_REGRESSION),
    "the last gate has more": (judged_by(["works"], None), Label.NO_REGRESSION),
    "a criterion is never judged": (judged_by(None, ["works"]), Label.NOT_JUDGED),
    "other criteria": (judged_by(["calm"], ["works"]), Label.NOT_JUDGED),
})  # fmt: skip


@LABELS
def test_a_kept_weight_claims_nothing_for_the_gates_that_it_skipped(
    policy: Policy, label: str
) -> None:
    before = a_paused_rollout(Reason.DRIFTED, policy=policy, tallies={})
    after = decide_command(before, Verb.RESUME, a_reading(100), way="keep").rollout
    assert decide_tick(after, a_reading(100), 55).rollout.evidence.label == label


@LABELS
def test_an_adoption_claims_nothing_for_the_gates_that_it_skipped(
    policy: Policy, label: str
) -> None:
    assert (
        decide_tick(an_adopted_rollout(100, policy), a_reading(100), 35).rollout.evidence.label
        == label
    )
