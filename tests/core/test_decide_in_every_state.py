"""What holds whatever the state, the target, the measurements and the time: `decide` is total."""

from dataclasses import replace
from datetime import datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from controller.core.decide import decide
from controller.core.effects import Shift
from controller.core.observation import Observation, Reading, Update
from controller.core.rollout import FINAL, Intent, Phase, Reason, Rollout
from tests.ladder import GONE, HEALTHY, HOPELESS, OUTAGE, PARTIAL, SICK, SILENT, THIN, a_ladder
from tests.rollouts import MINUTE, NOON, a_policy, reads

POLICIES = [
    a_policy(on_inconclusive=inconclusive, on_drift_up=drift_up)
    for inconclusive in ("pause", "rollback", "advance")
    for drift_up in ("pause", "rollback")
]
WEIGHTS = (10, 50, 100)
TOKENS = st.sampled_from(["token-1", "token-2"])

ages = st.timedeltas(timedelta(), timedelta(days=9))
bakes = st.timedeltas(timedelta(), timedelta(hours=2))
weights = st.sampled_from([0, 7, *WEIGHTS])


@st.composite
def rollouts(draw: st.DrawFn) -> Rollout:
    """A rollout in any phase, at any step, of any age, also ones that no tick leads to."""
    step = draw(st.sampled_from(range(len(WEIGHTS))))
    intended = WEIGHTS[step]
    intent = Intent(intended, (0, *WEIGHTS)[step], draw(TOKENS), NOON - draw(ages))
    phase = draw(st.sampled_from(Phase))
    if phase in (Phase.ROLLING_BACK, Phase.ROLLED_BACK):
        intent = replace(intent, weight=0, previous=intended)
    return a_ladder(
        policy=draw(st.sampled_from(POLICIES)),
        phase=phase,
        step=step,
        intent=intent,
        peak=intended,
        settled=draw(st.none() | bakes.map(lambda age: NOON - age)),
        unfinished_since=draw(st.none() | ages.map(lambda age: NOON - age)),
        blind_since=draw(st.none() | ages.map(lambda age: NOON - age)),
        seen_weight=draw(st.none() | weights),
        unconfirmed=draw(st.booleans()),
        since=NOON - draw(ages),
        sealed_at=draw(st.none() | ages.map(lambda age: NOON - age)),
        reminded=draw(st.none() | ages.map(lambda age: NOON - age)),
        watch_until=draw(st.none() | ages.map(lambda age: NOON - 3 * MINUTE + age)),
        drift_told=draw(st.booleans()),
    )


targets = st.sampled_from([GONE, HOPELESS]) | st.builds(
    lambda weight, update, token: reads(weight, update, token=token),
    st.none() | weights,
    st.sampled_from(Update),
    TOKENS,
)
observations = st.builds(
    Observation,
    targets,
    st.sampled_from([HEALTHY, SICK, SILENT, THIN, OUTAGE, PARTIAL, {}]),
    st.booleans(),
)
moments = st.timedeltas(-5 * MINUTE, 60 * MINUTE).map(lambda later: NOON + later)

every_state = given(rollouts(), observations, moments)
often = settings(max_examples=200, deadline=None)

LEGAL = {
    Phase.PROGRESSING: set(Phase),
    Phase.PAUSED: {Phase.PAUSED, Phase.ROLLING_BACK, Phase.ROLLED_BACK},
    Phase.ROLLING_BACK: {Phase.ROLLING_BACK, Phase.ROLLED_BACK},
    Phase.ROLLED_BACK: {Phase.ROLLED_BACK},
    Phase.SUCCEEDED: {Phase.SUCCEEDED},
}


@often
@every_state
def test_time_never_goes_back(rollout: Rollout, seen: Observation, now: datetime) -> None:
    assert decide(rollout, seen, now).rollout.updated == max(now, rollout.updated)


@often
@every_state
def test_only_legal_phases_follow(rollout: Rollout, seen: Observation, now: datetime) -> None:
    assert decide(rollout, seen, now).rollout.phase in LEGAL[rollout.phase]


@often
@every_state
def test_a_raise_is_a_recorded_step_of_the_ladder(
    rollout: Rollout, seen: Observation, now: datetime
) -> None:
    decision = decide(rollout, seen, now)
    if not isinstance(decision.move, Shift):
        return
    after = decision.rollout
    assert decision.record is not None
    assert (after.intent.weight, after.intent.token) == (decision.move.weight, decision.move.token)
    if after.reason is Reason.WRITE_AGAIN:
        assert after.intent == rollout.intent
    else:
        assert after.reason in (Reason.GATE_PASSED, Reason.ADVANCED_UNPROVEN)
        assert after.step == rollout.step + 1
        assert decision.move.weight == after.policy.steps[after.step].weight


@often
@every_state
def test_a_raise_is_written_over_what_was_seen_and_nothing_else(
    rollout: Rollout, seen: Observation, now: datetime
) -> None:
    move = decide(rollout, seen, now).move
    if isinstance(move, Shift):
        assert isinstance(seen.target, Reading)
        assert seen.target.token == move.token
        assert seen.target.weight is not None
        assert seen.target.weight < move.weight
        assert seen.target.update is not Update.IN_PROGRESS


@often
@every_state
def test_weight_zero_is_raised_only_by_the_first_raise_that_was_never_written(
    rollout: Rollout, seen: Observation, now: datetime
) -> None:
    decision = decide(rollout, seen, now)
    at_zero = isinstance(seen.target, Reading) and seen.target.weight == 0
    if at_zero and isinstance(decision.move, Shift):
        assert (decision.rollout.reason, rollout.step) == (Reason.WRITE_AGAIN, 0)


@often
@every_state
def test_an_environment_that_cannot_be_read_is_never_written_twice(
    rollout: Rollout, seen: Observation, now: datetime
) -> None:
    if seen.target == HOPELESS and rollout.phase is Phase.ROLLING_BACK:
        assert decide(rollout, seen, now).move is None


@often
@every_state
def test_a_change_of_phase_or_intent_is_recorded_and_a_change_of_phase_is_told(
    rollout: Rollout, seen: Observation, now: datetime
) -> None:
    decision = decide(rollout, seen, now)
    after = decision.rollout
    if (after.phase, after.intent) != (rollout.phase, rollout.intent):
        assert decision.record is not None
        assert decision.record.phase_to is after.phase
        assert decision.notices


@often
@every_state
def test_a_rollout_that_is_not_over_says_what_comes_next(
    rollout: Rollout, seen: Observation, now: datetime
) -> None:
    after = decide(rollout, seen, now).rollout
    if after.phase not in FINAL:
        assert after.next
        assert after.next_at is not None
        assert after.sentence


@often
@every_state
def test_no_rollout_waits_for_more_than_its_limits(
    rollout: Rollout, seen: Observation, now: datetime
) -> None:
    """Whatever is seen, a rollout still progressing has its next moment no later than its limit."""
    after = decide(rollout, seen, now).rollout
    if after.phase is not Phase.PROGRESSING:
        return
    if after.settled is None:
        first_look = after.unfinished_since or after.updated
        assert after.updated <= first_look + after.policy.shift_timeout
    else:
        assert after.hold_end is not None
        assert after.updated < max(after.hold_end, after.settled + MINUTE)
