"""Properties of `decide` and of commands in every state, with any target, data and time."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from controller.core.commands import apply_command
from tests.support.core import (
    ALLOWED_PHASES,
    FINAL_PHASES,
    Command,
    Decision,
    Intent,
    Observation,
    Observed,
    Phase,
    Reason,
    Rollout,
    Shift,
    TargetReading,
    UpdateStatus,
    UsageError,
    Verb,
    decide,
)
from tests.support.rollouts import LADDER, MINUTE, NOON, a_policy, a_reading
from tests.support.three_steps import (
    FAILING,
    HEALTHY,
    NO_DATA,
    OUTAGE,
    PARTIAL,
    TOO_FEW_REQUESTS,
    UNREADABLE,
    UNREADABLE_FOR_GOOD,
    a_three_step_rollout,
)

FIRST, *OTHERS = LADDER["steps"]
# Noon is frozen, or not; each step but the first needs an approval, or none does.
BLOCKS: list[dict[str, Any]] = [
    {},
    {"freeze": {"zone": "UTC", "daily": [{"from": "11:30", "to": "12:30"}]}},
    {"steps": [FIRST, *({**step, "approval": "required"} for step in OTHERS)]},
]
POLICIES = [
    a_policy(on_inconclusive=inconclusive, on_drift_up=drift_up, **block)
    for inconclusive in ("pause", "rollback", "advance")
    for drift_up in ("pause", "rollback")
    for block in BLOCKS
]
WEIGHTS = (10, 50, 100)
TOKENS = st.sampled_from(["token-1", "token-2"])

# Made once, for they are drawn from thousands of times.
ages = st.timedeltas(timedelta(), timedelta(days=9))
moments_ago = ages.map(lambda age: NOON - age)
maybe_moments = st.none() | moments_ago
bakes = st.none() | st.timedeltas(timedelta(), timedelta(hours=2)).map(lambda age: NOON - age)
watches = st.none() | ages.map(lambda age: NOON - 3 * MINUTE + age)
weights = st.sampled_from([0, 7, *WEIGHTS])
maybe_weights = st.none() | weights
steps = st.sampled_from(range(len(WEIGHTS)))
maybe_steps = st.none() | steps
previous_weights = [
    st.sampled_from([before, weight, 100])
    for before, weight in zip((0, *WEIGHTS), WEIGHTS, strict=False)
]
policies = st.sampled_from(POLICIES)
phases = st.sampled_from(Phase)
reasons = st.sampled_from(Reason)
announced_blocks = st.sampled_from(["", Reason.FROZEN, Reason.AWAITING_APPROVAL])


@st.composite
def rollouts(draw: st.DrawFn) -> Rollout:
    """A rollout in any phase, at any step, of any age, also ones that no tick leads to."""
    step = draw(steps)
    intended = WEIGHTS[step]
    previous = draw(previous_weights[step])
    intent = Intent(intended, previous, draw(TOKENS), draw(moments_ago))
    phase = draw(phases)
    if phase in (Phase.ROLLING_BACK, Phase.ROLLED_BACK):
        intent = replace(intent, weight=0, previous=intended)
    return a_three_step_rollout(
        policy=draw(policies),
        phase=phase,
        step=step,
        intent=intent,
        peak=intended,
        settled=draw(bakes),
        unfinished_since=draw(maybe_moments),
        blind_since=draw(maybe_moments),
        seen_weight=draw(maybe_weights),
        unconfirmed=draw(st.booleans()),
        since=draw(moments_ago),
        sealed_at=draw(maybe_moments),
        reminded=draw(maybe_moments),
        watch_until=draw(watches),
        drift_told=draw(st.booleans()),
        reason=draw(reasons),
        hold_from=draw(maybe_moments),
        approved=draw(maybe_steps),
        barrier=draw(announced_blocks),
    )


targets = st.sampled_from([UNREADABLE, UNREADABLE_FOR_GOOD]) | st.builds(
    lambda weight, update, token: a_reading(weight, update, token=token),
    maybe_weights,
    st.sampled_from(UpdateStatus),
    TOKENS,
)
observations = st.builds(
    Observation,
    targets,
    st.sampled_from([HEALTHY, FAILING, NO_DATA, TOO_FEW_REQUESTS, OUTAGE, PARTIAL, {}]),
    st.booleans(),
)
moments = st.timedeltas(-5 * MINUTE, 60 * MINUTE).map(lambda later: NOON + later)

every_state = given(rollouts(), observations, moments)
often = settings(max_examples=200)

BLOCKED = (Reason.FROZEN, Reason.AWAITING_APPROVAL)
LEGAL_PHASES = {
    Phase.PROGRESSING: set(Phase),
    Phase.PAUSED: {Phase.PAUSED, Phase.ROLLING_BACK, Phase.ROLLED_BACK},
    Phase.ROLLING_BACK: {Phase.ROLLING_BACK, Phase.ROLLED_BACK},
    Phase.ROLLED_BACK: {Phase.ROLLED_BACK},
    Phase.SUCCEEDED: {Phase.SUCCEEDED},
}


@often
@every_state
def test_time_never_goes_back(rollout: Rollout, observation: Observation, now: datetime) -> None:
    assert decide(rollout, Observed(observation), now).rollout.updated == max(now, rollout.updated)


@often
@every_state
def test_only_legal_phases_follow(
    rollout: Rollout, observation: Observation, now: datetime
) -> None:
    assert decide(rollout, Observed(observation), now).rollout.phase in LEGAL_PHASES[rollout.phase]


@often
@every_state
def test_a_raise_is_a_recorded_step_of_the_ladder(
    rollout: Rollout, observation: Observation, now: datetime
) -> None:
    decision = decide(rollout, Observed(observation), now)
    if not isinstance(decision.move, Shift):
        return
    after = decision.rollout
    assert decision.record is not None
    assert (after.intent.weight, after.intent.token) == (decision.move.weight, decision.move.token)
    if after.reason is Reason.WRITE_AGAIN:
        assert after.intent == rollout.intent
        lowered = after.intent.previous > after.weight
        assert lowered or rollout.policy.freeze_at(after.updated) is None
    else:
        assert after.reason in (Reason.GATE_PASSED, Reason.ADVANCED_UNPROVEN)
        assert after.step == rollout.step + 1
        assert rollout.policy.freeze_at(after.updated) is None
        assert not rollout.policy.needs_approval(after.step) or rollout.approved == after.step
        assert decision.move.weight == after.policy.steps[after.step].weight


@often
@every_state
def test_a_raise_is_written_over_what_was_seen_and_nothing_else(
    rollout: Rollout, observation: Observation, now: datetime
) -> None:
    move = decide(rollout, Observed(observation), now).move
    if isinstance(move, Shift):
        assert isinstance(observation.target, TargetReading)
        assert observation.target.token == move.token
        assert observation.target.weight is not None
        assert observation.target.update is not UpdateStatus.IN_PROGRESS
        if rollout.settled is None and rollout.intent.previous > rollout.weight:
            # An operator takes a weight back after drift up, and that was never written.
            assert (observation.target.weight, move.weight) == (
                rollout.intent.previous,
                rollout.weight,
            )
        else:
            assert observation.target.weight < move.weight


@often
@every_state
def test_weight_zero_is_raised_only_by_the_first_raise_that_was_never_written(
    rollout: Rollout, observation: Observation, now: datetime
) -> None:
    decision = decide(rollout, Observed(observation), now)
    at_zero = isinstance(observation.target, TargetReading) and observation.target.weight == 0
    if at_zero and isinstance(decision.move, Shift):
        assert (decision.rollout.reason, rollout.step) == (Reason.WRITE_AGAIN, 0)


@often
@every_state
def test_an_environment_that_cannot_be_read_is_never_written_twice(
    rollout: Rollout, observation: Observation, now: datetime
) -> None:
    if observation.target == UNREADABLE_FOR_GOOD and rollout.phase is Phase.ROLLING_BACK:
        assert decide(rollout, Observed(observation), now).move is None


@often
@every_state
def test_a_change_of_phase_or_intent_is_recorded_and_announced(
    rollout: Rollout, observation: Observation, now: datetime
) -> None:
    decision = decide(rollout, Observed(observation), now)
    after = decision.rollout
    if (after.phase, after.intent) != (rollout.phase, rollout.intent):
        assert decision.record is not None
        assert decision.record.phase_to is after.phase
        assert decision.notices


@often
@every_state
def test_a_rollout_that_is_not_over_says_what_comes_next(
    rollout: Rollout, observation: Observation, now: datetime
) -> None:
    after = decide(rollout, Observed(observation), now).rollout
    if after.phase not in FINAL_PHASES:
        assert after.next
        assert after.next_at is not None
        assert after.sentence


@often
@every_state
def test_no_rollout_waits_for_more_than_its_limits(
    rollout: Rollout, observation: Observation, now: datetime
) -> None:
    """Whatever it observes, a progressing rollout does not stay beyond its time limit.

    The exception is a gate that allows an advance, while a freeze or an approval blocks it.
    """
    after = decide(rollout, Observed(observation), now).rollout
    if after.phase is not Phase.PROGRESSING or after.reason in BLOCKED:
        return
    if after.settled is None:
        frozen = after.policy.freeze_at(after.updated) is not None
        if after.barrier == Reason.FROZEN and frozen:
            return  # also while the target cannot be read
        pending_since = after.unfinished_since or after.updated
        assert after.updated <= pending_since + after.policy.shift_timeout
    else:
        assert after.hold_end is not None
        assert after.updated < max(after.hold_end, after.settled + MINUTE)


# --- Commands in every state ----------------------------------------------------------------------

commands = st.builds(
    Command, st.sampled_from(Verb), st.just("they say so"), st.sampled_from(["", "restore", "keep"])
)
command_in_every_state = given(rollouts(), commands, observations, moments)

PHASES_AFTER = {
    Verb.PAUSE: {Phase.PAUSED},
    Verb.RESUME: {Phase.PROGRESSING},
    Verb.PROMOTE: {Phase.PROGRESSING, Phase.SUCCEEDED},
    Verb.APPROVE: {Phase.PROGRESSING, Phase.PAUSED},
    Verb.ROLLBACK: {Phase.ROLLING_BACK},
}


def outcome(
    rollout: Rollout, command: Command, observation: Observation, now: datetime
) -> Decision | str:
    """Return the decision for a command, or why it was refused."""
    try:
        return apply_command(rollout, command, observation, now)
    except UsageError as error:
        return str(error)


@often
@command_in_every_state
def test_a_command_is_refused_or_recorded_and_announced(
    rollout: Rollout, command: Command, observation: Observation, now: datetime
) -> None:
    decision = outcome(rollout, command, observation, now)
    if isinstance(decision, str):
        assert command.verb is not Verb.ROLLBACK
        assert decision.startswith(f"{command.verb} changed nothing of {rollout.id}: ")
        return
    after = decision.rollout
    assert rollout.phase in ALLOWED_PHASES[command.verb]
    assert after.phase in PHASES_AFTER[command.verb]
    assert decision.record is not None
    assert decision.record.because == command.data()
    assert decision.record.phase_to is after.phase
    assert decision.notices
    assert after.updated == max(now, rollout.updated)
    assert after.phase in FINAL_PHASES or (after.next and after.next_at)


@often
@command_in_every_state
def test_only_a_promotion_raises_and_only_by_one_step_over_what_was_seen(
    rollout: Rollout, command: Command, observation: Observation, now: datetime
) -> None:
    decision = outcome(rollout, command, observation, now)
    if isinstance(decision, str) or not isinstance(decision.move, Shift):
        return
    assert isinstance(observation.target, TargetReading)
    assert decision.move.token == observation.target.token
    if command.verb is Verb.PROMOTE:
        after = decision.rollout
        assert observation.target.has_applied(rollout.weight)
        assert after.step == rollout.step + 1
        assert decision.move.weight == after.weight == after.policy.steps[after.step].weight
        assert rollout.policy.freeze_at(after.updated) is None
        assert not rollout.policy.needs_approval(after.step) or rollout.approved == after.step
    else:
        assert (command.verb, command.way) == (Verb.RESUME, "restore")
        assert decision.move.weight == rollout.weight
        assert observation.target.may_be_full or (observation.target.weight or 0) > rollout.weight


@often
@command_in_every_state
def test_resume_goes_on_with_the_live_or_the_intended_weight(
    rollout: Rollout, command: Command, observation: Observation, now: datetime
) -> None:
    decision = outcome(rollout, command, observation, now)
    if isinstance(decision, str) or command.verb is not Verb.RESUME:
        return
    after = decision.rollout
    assert isinstance(observation.target, TargetReading)
    assert after.weight in (rollout.weight, observation.target.weight)
    assert after.weight >= after.policy.steps[after.step].weight
    if decision.move is None:
        assert observation.target.has_applied(after.weight)
        assert after.settled is not None
