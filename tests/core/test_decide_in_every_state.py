"""The rules that never break, over decisions in every state, on any event, target, data and time.

A rule is a sentence that is false of every decision: where one breaks it, the sentence is the
failure. Section 4 of the design has the reasons.
"""

from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any, TypeAlias

from hypothesis import given, settings
from hypothesis import strategies as st

from controller.immutable import Immutable, replace
from tests.support.core import (
    ALLOWED_PHASES,
    FINAL_PHASES,
    Command,
    Commanded,
    Condition,
    ConditionKind,
    Decision,
    LateRaise,
    Live,
    LostSave,
    Measured,
    Observation,
    Observed,
    Paused,
    Pending,
    Phase,
    Position,
    Progressing,
    Reason,
    RolledBack,
    RollingBack,
    Rollout,
    Seen,
    SetWeight,
    SetZero,
    State,
    Succeeded,
    Target,
    TargetReading,
    UnreadableTarget,
    UpdateStatus,
    UsageError,
    Verb,
    decide,
    next_action,
)
from tests.support.judging import HOUR
from tests.support.rollouts import LADDER, MINUTE, NOON, a_policy, a_reading, a_state
from tests.support.three_steps import (
    AFTER_ROLLBACK,
    AT_10,
    AT_50,
    DURING_ROLLBACK,
    FAILING,
    HEALTHY,
    NO_DATA,
    ON_HOLD,
    OUTAGE,
    PARTIAL,
    RAISING,
    TO_50,
    TOO_FEW_REQUESTS,
    UNREADABLE,
    UNREADABLE_FOR_GOOD,
    a_three_step_rollout,
    live_at,
    under,
)

FIRST, *OTHERS = LADDER["steps"]
# Noon is frozen, or not; each step but the first needs an approval, or none does.
BLOCKS: list[dict[str, Any]] = [
    {},
    {"freeze": {"zone": "UTC", "daily": [{"from": "11:30", "to": "12:30"}]}},
    {"steps": [FIRST, *({**step, "approval": "required"} for step in OTHERS)]},
]
POLICIES = [
    a_policy(on_inconclusive=inconclusive, on_drift_up=drift_up, notify=notify, **block)
    for inconclusive in ("pause", "rollback", "advance")
    for drift_up in ("pause", "rollback")
    for notify in (None, [{"kind": "eventbridge"}])
    for block in BLOCKS
]
WEIGHTS = (10, 50, 100)
TOKENS = st.sampled_from(["token-1", "token-2"])

# Made once, for they are drawn from thousands of times.
ages = st.timedeltas(timedelta(), timedelta(days=9))
moments_ago = ages.map(lambda age: NOON - age)
maybe_moments = st.none() | moments_ago
maybe_recent = st.none() | st.timedeltas(timedelta(), 20 * MINUTE).map(lambda age: NOON - age)
watches = ages.map(lambda age: NOON - 3 * MINUTE + age)
weights = st.sampled_from([0, 7, *WEIGHTS])
maybe_weights = st.none() | weights
steps = st.sampled_from(range(len(WEIGHTS)))
policies = st.sampled_from(POLICIES)
reasons = st.sampled_from([one for one in Reason if one is not Reason.KIND_MISSING])
announced_blocks = st.sampled_from([None, Reason.FROZEN, Reason.AWAITING_APPROVAL, Reason.ON_HOLD])


def lives(within: timedelta) -> st.SearchStrategy[Live]:
    """Return steps whose weight was read back within this time before noon."""
    ago = st.timedeltas(timedelta(), within)
    return st.builds(lambda step, age: Live(step, WEIGHTS[step], NOON - age), steps, ago)


recent_lives, all_lives = lives(HOUR), lives(2 * HOUR)


@st.composite
def pending_writes(draw: st.DrawFn) -> Pending:
    """A raise to any step, or a weight that is restored; no step is live before the first raise."""
    step = draw(steps)
    weight, before = WEIGHTS[step], (0, *WEIGHTS)[step]
    previous = draw(st.sampled_from([before, weight, 100]))
    live, live_step = None, step - 1 if previous == before else step
    if previous > 0 and draw(st.booleans()):
        live = replace(draw(all_lives), step=live_step, weight=WEIGHTS[live_step])
    times = draw(moments_ago), draw(maybe_recent), draw(maybe_recent), draw(maybe_recent)
    return Pending(step, weight, previous, draw(TOKENS), *times, live)


entered = {"since": moments_ago, "sentence": st.just("as it was")}
lowered = {
    **entered, "reason": reasons, "step": steps, "intended": st.sampled_from(WEIGHTS),
    "from_weight": weights,
}  # fmt: skip
writes = pending_writes()
positions = all_lives | writes


def progressing(position: st.SearchStrategy[Position]) -> st.SearchStrategy[Progressing]:
    return st.builds(
        Progressing, **entered, reason=reasons, position=position,
        hold_from=maybe_moments, block=announced_blocks,
    )  # fmt: skip


baking = progressing(recent_lives)
rolled_back = st.builds(RolledBack, **lowered, watch_until=watches)
states = st.one_of(
    progressing(positions),
    st.builds(Paused, **entered, reason=reasons, position=positions),
    st.builds(RollingBack, **lowered, void=st.just("") | TOKENS),
    rolled_back,
    st.builds(Succeeded, **entered, position=all_lives, watch_until=watches),
)
conditions = st.dictionaries(
    st.sampled_from(ConditionKind),
    st.builds(
        Condition, moments_ago, st.just("as it was"), maybe_moments, st.booleans(), st.booleans()
    ),
)
# A rollout in any phase, at any step, of any age, also ones that no tick leads to.
rollouts = st.builds(
    a_three_step_rollout,
    states,
    policy=policies,
    seen_weight=maybe_weights,
    checkpoint_at=maybe_moments,
    conditions=conditions,
    approved=steps,
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
Situation: TypeAlias = tuple[Rollout, Observation, datetime]


@st.composite
def situations(draw: st.DrawFn) -> Situation:
    """A rollout, what is observed of it, and when.

    Most of them bake, raise, or guard their 0%, on a target at rest: rules are broken there.
    """
    rollout, observation = draw(rollouts), draw(observations)
    state, target = rollout.state, observation.target
    match draw(st.sampled_from(["bakes", "raises", "guards", "anything"])):
        case "bakes":
            state = draw(baking)
            target = a_reading(state.position.weight)
        case "raises":
            pending = draw(writes)
            state = replace(draw(baking), position=pending)
            target = a_reading(pending.previous, token=draw(TOKENS))
        case "guards":
            state = draw(rolled_back)
            target = a_reading(state.intended)
        case _:
            pass
    return replace(rollout, state=state), replace(observation, target=target), draw(moments)


commands = st.builds(
    Command,
    st.sampled_from([verb for verb in Verb if verb is not Verb.ATTEST]),
    st.just("they say so"),
    st.sampled_from(["", "restore", "keep"]),
    st.sampled_from([7, 50]),
)

BLOCKED = (Reason.FROZEN, Reason.AWAITING_APPROVAL)
ROLLBACK = (Phase.ROLLING_BACK, Phase.ROLLED_BACK)
LEGAL_PHASES = {
    Phase.PROGRESSING: set(Phase),
    Phase.PAUSED: {Phase.PAUSED, Phase.ROLLING_BACK, Phase.ROLLED_BACK},
    Phase.ROLLING_BACK: {Phase.ROLLING_BACK, Phase.ROLLED_BACK},
    Phase.ROLLED_BACK: {Phase.ROLLED_BACK},
    Phase.SUCCEEDED: {Phase.SUCCEEDED},
}
PHASES_AFTER = {
    Verb.PAUSE: {Phase.PAUSED},
    Verb.RESUME: {Phase.PROGRESSING},
    Verb.PROMOTE: {Phase.PROGRESSING, Phase.SUCCEEDED},
    Verb.APPROVE: {Phase.PROGRESSING, Phase.PAUSED},
    Verb.SET_WEIGHT: {Phase.PAUSED},
    Verb.ROLLBACK: {Phase.ROLLING_BACK},
}


# --- Rules ----------------------------------------------------------------------------------------


class Case(Immutable):
    """A rollout, what happened, and the decision on it."""

    before: Rollout
    event: Seen
    decision: Decision

    @property
    def after(self) -> Rollout:
        return self.decision.rollout

    @property
    def target(self) -> Target:
        return self.event.observation.target

    @property
    def weight(self) -> int | None:
        """The live weight, where it is known."""
        return self.target.weight if isinstance(self.target, TargetReading) else None

    @property
    def verb(self) -> Verb | None:
        """The command of an operator; None for anything else."""
        return self.event.command.verb if isinstance(self.event, Commanded) else None

    @property
    def is_tick(self) -> bool:
        return isinstance(self.event, Observed)

    @property
    def raises(self) -> bool:
        """True for a write of a weight that is above the live one, as far as that is known."""
        move = self.decision.move
        return isinstance(move, SetWeight) and (self.weight is None or move.weight > self.weight)

    @property
    def advances(self) -> bool:
        return self.after.step > self.before.step and isinstance(self.decision.move, SetWeight)

    @property
    def has_changed(self) -> bool:
        """True for another phase, or for another weight that is to be written."""
        is_decided = intent(self.after) not in (None, intent(self.before))
        return is_decided or self.after.phase is not self.before.phase

    def has_applied(self, weight: int) -> bool:
        return isinstance(self.target, TargetReading) and self.target.has_applied(weight)


def intent(rollout: Rollout) -> tuple[int, str, datetime] | None:
    """Return what is to be written: weight, token, and when it was decided."""
    pending = rollout.pending
    return None if pending is None else (pending.weight, pending.token, pending.decided)


def _raises_unrecorded(case: Case) -> bool:
    """Tell whether a weight is written that the saved state and its history do not intend."""
    move, record = case.decision.move, case.decision.record
    if not isinstance(move, SetWeight):
        return False
    if case.verb is Verb.SET_WEIGHT:  # an operator's own weight: the rollout pauses for it
        return record is None or case.after.phase is not Phase.PAUSED
    decided = intent(case.after)
    return record is None or decided is None or decided[:2] != (move.weight, move.token)


def _skips_a_step(case: Case) -> bool:
    """Tell whether an advance is not the next step, with the weight that the policy gives it."""
    step = case.before.step + 1
    weight = case.after.policy.steps[case.after.step].weight
    return case.advances and (case.after.step, case.after.weight) != (step, weight)


def _passes_over_a_block(case: Case) -> bool:
    policy, pending = case.before.policy, case.after.pending
    if not (case.is_tick or case.advances) or not isinstance(case.decision.move, SetWeight):
        return False
    if pending is not None and pending.previous > pending.weight:  # it is taken back
        return False
    unapproved = policy.needs_approval(case.after.step) and case.before.approved != case.after.step
    return policy.freeze_at(case.after.updated) is not None or (case.advances and unapproved)


def _passes_unseen(case: Case) -> bool:
    """Tell whether a gate passes on data that show nothing, or before its bake is over."""
    if case.after.reason is not Reason.GATE_PASSED or not case.advances:
        return False
    end = case.before.bake_end
    measured = case.event.observation.series
    is_over = end is not None and end + case.before.policy.evaluation_delay <= case.after.updated
    return not is_over or measured in (NO_DATA, OUTAGE, PARTIAL, {})


def _ignores_a_fail(case: Case) -> bool:
    exposed = case.after.phase in (Phase.PROGRESSING, Phase.PAUSED)
    return (
        case.is_tick and exposed and any(finding.fails for finding in case.after.evidence.findings)
    )


def _rollback_waits(case: Case) -> bool:
    """Tell whether a rollback writes nothing, although a write could help."""
    if case.after.phase is not Phase.ROLLING_BACK or isinstance(case.decision.move, SetZero):
        return False
    if case.verb is Verb.ACK:  # the next tick writes
        return False
    if isinstance(case.target, UnreadableTarget):
        return not case.target.permanent
    return not (case.target.weight == 0 and case.target.update is not UpdateStatus.FAILED)


def _fights_a_person(case: Case) -> bool:
    """Tell whether a tick writes over a weight that the rollout has not set itself."""
    pending = case.before.pending
    own = {case.before.weight, case.before.weight if pending is None else pending.previous}
    raises = case.is_tick and isinstance(case.decision.move, SetWeight)
    return raises and (case.weight is None or case.weight not in own)


def _guards_too_much(case: Case) -> bool:
    """Tell whether 0% is guarded against another weight, for too long, or for another owner."""
    state = case.before.state
    if not case.is_tick or not isinstance(state, RolledBack) or case.decision.move is None:
        return False
    is_over = case.after.updated >= state.watch_until
    return is_over or case.weight != state.intended or not case.event.observation.owns_target


def _bakes_unread(case: Case) -> bool:
    live = case.after.live
    if live in (None, case.before.live) or case.after.phase is not Phase.PROGRESSING:
        return False
    return not case.has_applied(live.weight)


def _waits_for_ever(case: Case) -> bool:
    """Tell whether a tick leaves a progressing rollout beyond its limit.

    Where a gate allows an advance, a freeze or an approval may block it for any time.
    """
    after, state = case.after, case.after.state
    if not case.is_tick or not isinstance(state, Progressing) or state.reason in BLOCKED:
        return False
    if isinstance(state.position, Pending):
        is_frozen = after.policy.freeze_at(after.updated) is not None
        pending_since = state.position.first_look or after.updated
        is_over = after.updated > pending_since + after.policy.shift_timeout
        return is_over and not (state.block is Reason.FROZEN and is_frozen)
    end = after.hold_end
    return end is None or after.updated >= max(end, state.position.since + MINUTE)


def _says_nothing(case: Case) -> bool:
    after, following = case.after, next_action(case.after)
    says = following.text and following.at and after.sentence
    return after.phase not in FINAL_PHASES and not says


def _is_unrecorded(case: Case) -> bool:
    record = case.decision.record
    recorded = record is not None and record.phase_to is case.after.phase
    return case.has_changed and not recorded


def _command_is_unrecorded(case: Case) -> bool:
    record = case.decision.record
    if not isinstance(case.event, Commanded) or case.decision.hooks_to_call:
        return False
    if case.verb is Verb.APPROVE and case.before.approved == case.before.step + 1:
        return False  # it is approved already
    return record is None or record.cause != case.event.command.data()


def _raises_by_another_verb(case: Case) -> bool:
    raising = {Verb.PROMOTE, Verb.SET_WEIGHT}
    return case.verb is not None and case.raises and case.verb not in raising


# The rules of the design that one decision can break: a sentence, and whether a case breaks it.
RULES: Mapping[str, Callable[[Case], bool]] = {
    "time went back": lambda case: case.after.updated < case.before.updated,
    "a phase followed that may not": lambda case: (
        case.is_tick and case.after.phase not in LEGAL_PHASES[case.before.phase]
    ),
    "the weight rose without a recorded intent": _raises_unrecorded,
    "a raise was not bound to the token that was seen": lambda case: (
        isinstance(case.decision.move, SetWeight)
        and (
            not isinstance(case.target, TargetReading)
            or case.decision.move.token != case.target.token
        )
    ),
    "a raise was written over an update in progress": lambda case: (
        isinstance(case.decision.move, SetWeight)
        and isinstance(case.target, TargetReading)
        and case.target.update is UpdateStatus.IN_PROGRESS
    ),
    "an advance skipped a step": _skips_a_step,
    "an advance left a weight that was not applied": lambda case: (
        case.advances and not case.has_applied(case.before.weight)
    ),
    "an advance passed over a freeze or a missing approval": _passes_over_a_block,
    "a gate passed without data, or before its end": _passes_unseen,
    "a bake began before its weight was read back": _bakes_unread,
    "a criterion failed and the rollout went on": _ignores_a_fail,
    "a rollback waited": _rollback_waits,
    "an environment that cannot be read was written again": lambda case: (
        case.is_tick
        and case.before.phase is Phase.ROLLING_BACK
        and case.target == UNREADABLE_FOR_GOOD
        and case.decision.move is not None
    ),
    "a weight that somebody else had set was fought": _fights_a_person,
    "a 0% that was live already was raised": lambda case: (
        case.is_tick
        and case.weight == 0
        and isinstance(case.decision.move, SetWeight)
        and not (case.after.reason is Reason.WRITE_RETRIED and case.before.step == 0)
    ),
    "a paused rollout went on by itself": lambda case: (
        case.is_tick
        and case.before.phase is Phase.PAUSED
        and isinstance(case.decision.move, SetWeight)
    ),
    "a rollout that was over was raised": lambda case: (
        case.before.phase in FINAL_PHASES and isinstance(case.decision.move, SetWeight)
    ),
    "0% was guarded against a weight of somebody else": _guards_too_much,
    "a wait had no limit": _waits_for_ever,
    "a change was not recorded": _is_unrecorded,
    "a change was not announced": lambda case: case.has_changed and not case.decision.notices,
    "a rollout did not say what comes next": _says_nothing,
    "a command was not recorded": _command_is_unrecorded,
    "a command ended in another phase than its verb says": lambda case: (
        case.verb in PHASES_AFTER
        and not case.decision.hooks_to_call
        and case.after.phase not in PHASES_AFTER[case.verb]
    ),
    "a verb that lowers or waits raised": _raises_by_another_verb,
    "a resume went on with a weight that is neither live nor intended": lambda case: (
        case.verb is Verb.RESUME and case.after.weight not in (case.before.weight, case.weight)
    ),
    "a rollback that was written before a lost save was forgotten": lambda case: (
        isinstance(case.event, LostSave) and case.after.phase not in ROLLBACK
    ),
}


def broken_rules(case: Case) -> list[str]:
    """Return the sentences of the rules that a case breaks."""
    return [sentence for sentence, is_broken in RULES.items() if is_broken(case)]


# --- Every state ----------------------------------------------------------------------------------

often = settings(max_examples=10 * settings().max_examples)


@often
@given(situations())
def test_no_tick_breaks_a_rule(situation: Situation) -> None:
    rollout, observation, now = situation
    event = Observed(observation)
    assert broken_rules(Case(rollout, event, decide(rollout, event, now))) == []


@often
@given(situations(), commands)
def test_a_command_is_refused_or_breaks_no_rule(situation: Situation, command: Command) -> None:
    rollout, observation, now = situation
    event = Commanded(observation, command)
    decision = None
    with suppress(UsageError):
        decision = decide(rollout, event, now)
    if decision is None:
        assert command.verb is not Verb.ROLLBACK
        return
    assert rollout.phase in ALLOWED_PHASES[command.verb]
    assert broken_rules(Case(rollout, event, decision)) == []


@given(situations(), rollouts)
def test_no_lost_save_breaks_a_rule(situation: Situation, mine: Rollout) -> None:
    stored, observation, now = situation
    lowered = decide(mine, Commanded(observation, Command(Verb.ROLLBACK, "enough")), now)
    event = LostSave.of(observation, lowered.rollout)
    assert broken_rules(Case(stored, event, decide(stored, event, now))) == []


@given(situations(), rollouts)
def test_no_late_raise_breaks_a_rule(situation: Situation, raised: Rollout) -> None:
    stored, observation, now = situation
    event = LateRaise(observation, raised)
    assert broken_rules(Case(stored, event, decide(stored, event, now))) == []


# --- Broken rules ---------------------------------------------------------------------------------


def doctored(
    before: Rollout,
    event: Seen | Target,
    minute: float = 15,
    *,
    measured: Measured = HEALTHY,
    state: State | None = None,
    **effects: Any,
) -> Case:
    """Return a case whose decision was changed: its `state`, and its `effects`."""
    if isinstance(event, TargetReading | UnreadableTarget):
        event = Observed(Observation(event, measured))
    decision = decide(before, event, NOON + minute * MINUTE)
    after = replace(decision.rollout, state=state or decision.rollout.state)
    return Case(before, event, replace(decision, **{"rollout": after, **effects}))


def commanded(verb: Verb) -> Commanded:
    return Commanded(Observation(a_reading(10), HEALTHY), Command(verb, "they say so"))


def broken_cases() -> dict[str, Case]:
    """Return a decision for each rule that breaks it."""
    to_100 = a_state(position=Pending(2, 100, 10, "token-1", NOON))
    raises, lowers = SetWeight(50, "token-1"), SetZero(MINUTE)
    in_freeze = under(AT_10, **BLOCKS[1])
    lowered = decide(AT_10, commanded(Verb.ROLLBACK), NOON + 5 * MINUTE).rollout
    return {
        "time went back":
            doctored(AT_10, a_reading(10), rollout=replace(AT_10, updated=NOON - MINUTE)),
        "a phase followed that may not":
            doctored(AFTER_ROLLBACK, a_reading(0), state=AT_10.state),
        "the weight rose without a recorded intent": doctored(AT_10, a_reading(10), record=None),
        "a raise was not bound to the token that was seen":
            doctored(AT_10, a_reading(10), move=SetWeight(50, "token-2")),
        "a raise was written over an update in progress":
            doctored(AT_10, a_reading(10, UpdateStatus.IN_PROGRESS), move=raises),
        "an advance skipped a step":
            doctored(AT_10, a_reading(10), state=to_100, move=raises),
        "an advance left a weight that was not applied":
            doctored(AT_10, a_reading(30), state=RAISING.state, move=raises),
        "an advance passed over a freeze or a missing approval":
            doctored(in_freeze, a_reading(10), state=RAISING.state, move=raises),
        "a gate passed without data, or before its end":
            doctored(AT_10, a_reading(10), measured=NO_DATA, move=raises,
                     state=a_state(position=TO_50, reason=Reason.GATE_PASSED)),
        "a bake began before its weight was read back":
            doctored(RAISING, a_reading(10), 1, state=AT_50.state),
        "a criterion failed and the rollout went on":
            doctored(AT_10, a_reading(10), 7, measured=FAILING, state=AT_10.state),
        "a rollback waited": doctored(DURING_ROLLBACK, UNREADABLE, 1, move=None),
        "an environment that cannot be read was written again":
            doctored(DURING_ROLLBACK, UNREADABLE_FOR_GOOD, 1, move=lowers),
        "a weight that somebody else had set was fought": doctored(AT_10, a_reading(30),
         move=raises),
        "a 0% that was live already was raised": doctored(AT_50, a_reading(0), move=raises),
        "a paused rollout went on by itself": doctored(ON_HOLD, a_reading(10), move=raises),
        "a rollout that was over was raised": doctored(AFTER_ROLLBACK, a_reading(0), move=raises),
        "0% was guarded against a weight of somebody else":
            doctored(AFTER_ROLLBACK, a_reading(30), 5, move=lowers),
        "a wait had no limit":
            doctored(AT_10, a_reading(10), 60, measured=NO_DATA, state=AT_10.state),
        "a change was not recorded": doctored(AT_10, a_reading(0), record=None),
        "a change was not announced": doctored(AT_10, a_reading(0), notices=()),
        "a rollout did not say what comes next":
            doctored(AT_10, a_reading(10), state=a_state(position=live_at(10), sentence="")),
        "a command was not recorded": doctored(AT_10, commanded(Verb.PAUSE), record=None),
        "a command ended in another phase than its verb says":
            doctored(AT_10, commanded(Verb.PAUSE), state=AT_10.state),
        "a verb that lowers or waits raised": doctored(AT_10, commanded(Verb.PAUSE), move=raises),
        "a resume went on with a weight that is neither live nor intended":
            doctored(ON_HOLD, commanded(Verb.RESUME), state=AT_50.state),
        "a rollback that was written before a lost save was forgotten":
            doctored(ON_HOLD, LostSave.of(Observation(a_reading(0)), lowered),
                     state=ON_HOLD.state),
    }  # fmt: skip


def test_a_decision_that_breaks_a_rule_is_named_by_its_sentence() -> None:
    cases = broken_cases()
    assert list(cases) == list(RULES)
    assert [one for one, case in cases.items() if one not in broken_rules(case)] == []
