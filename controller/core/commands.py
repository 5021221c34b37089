"""Commands of operators: the phases in which each verb is allowed, and what it decides. Pure.

A verb that is not allowed changes nothing: it raises UsageError with the reason. The table of
`state-machine.md` is made from here. `rollback` is allowed in every phase, and nothing blocks
it.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Final, assert_never

from controller.core.decision import Decision
from controller.core.events import Command, Verb
from controller.core.judge.evidence import SignOff
from controller.core.judge.findings import Label, Verdict, weakest_label
from controller.core.judge.judgement import Judgement, judge
from controller.core.judge.queries import JUDGED_PHASES
from controller.core.notice_rules import ConditionKind
from controller.core.observation import (
    Observation,
    TargetReading,
    UnreadableTarget,
    UpdateStatus,
    weight_of,
)
from controller.core.policy import Attestation
from controller.core.rollout import (
    Exposed,
    Live,
    Paused,
    Pending,
    Phase,
    Progressing,
    Reason,
    RolledBack,
    Rollout,
)
from controller.core.transitions import advance, announce, blocks, by_operator, rollback
from controller.core.units import quote_value
from controller.core.words.findings import sentence_of
from controller.core.words.next_action import reached_steps, ways_out_of_drift
from controller.errors import UsageError
from controller.immutable import replace

ALLOWED_PHASES: Final[Mapping[Verb, frozenset[Phase]]] = {
    Verb.PAUSE: frozenset({Phase.PROGRESSING}),
    Verb.RESUME: frozenset({Phase.PAUSED}),
    Verb.PROMOTE: JUDGED_PHASES,
    Verb.APPROVE: JUDGED_PHASES,
    Verb.ATTEST: JUDGED_PHASES,
    Verb.ROLLBACK: frozenset(Phase),
    Verb.SET_WEIGHT: JUDGED_PHASES,
    Verb.ACK: frozenset(Phase),
}


# Verbs that are refused while a criterion fails; so the criteria are measured first.
GATED_VERBS: Final = frozenset({Verb.RESUME, Verb.PROMOTE, Verb.SET_WEIGHT})

# Verbs after which the policy may raise the weight: it has to be the policy of the start, which the
# first entry of the history names.
RAISING_VERBS: Final = frozenset({Verb.RESUME, Verb.PROMOTE, Verb.APPROVE, Verb.ATTEST})


# --- Refusals -------------------------------------------------------------------------------------


def refusal(rollout: Rollout, verb: str, why: str) -> UsageError:
    """Return the error that says that `verb` changed nothing, and why."""
    return UsageError(
        f"{verb} was refused, and {rollout.id} is unchanged: {why}", rollout=rollout.id
    )


def _refused_by_phase(rollout: Rollout, verb: Verb) -> UsageError:
    return refusal(rollout, verb, f"the rollout is {rollout.phase}{_allowed_verbs_hint(rollout)}")


def allowed_verbs(rollout: Rollout) -> list[Verb]:
    """Return the verbs that the phase of `rollout` allows; `ack` only where an alert waits for it.

    The target, the criteria or the policy may still refuse one of them.
    """
    unavailable = set() if rollout.unacknowledged_page else {Verb.ACK}
    return [
        verb for verb in Verb if rollout.phase in ALLOWED_PHASES[verb] and verb not in unavailable
    ]


def _allowed_verbs_hint(rollout: Rollout) -> str:
    allowed = list(map(str, allowed_verbs(rollout)))
    if rollout.phase is Phase.ROLLED_BACK:
        allowed.append("retry")
    return f"; allowed now: {', '.join(allowed)}"


def _require_writable_target(
    rollout: Rollout, verb: str, observation: Observation
) -> TargetReading:
    """Return the target as it was read. Raises UsageError when no weight can be written to it."""
    target = observation.target
    if isinstance(target, UnreadableTarget):
        raise refusal(rollout, verb, f"the target cannot be read: {target.reason}")
    if target.update is not UpdateStatus.SUCCESSFUL:
        detail = f": {target.detail}" if target.detail else ""
        raise refusal(rollout, verb, f"the last update of the target is {target.update}{detail}")
    return target


def _require_no_fail(judgement: Judgement, verb: Verb) -> Rollout:
    """Return the rollout with the findings of now. Raises UsageError when one of them fails.

    No verb goes on over that.
    """
    rollout, findings = judgement.rollout, judgement.findings
    if judgement.verdict is Verdict.FAIL:
        why = " ".join(sentence_of(finding) for finding in findings if finding.fails)
        raise refusal(rollout, verb, f"a criterion fails, and the next tick rolls back: {why}")
    return rollout.with_findings(findings)


def _require_traffic(rollout: Rollout, verb: Verb, target: TargetReading) -> None:
    """Raise UsageError when no traffic is on the canary."""
    if target.weight == 0:
        raise refusal(rollout, verb, "the weight is 0%, and the next tick ends the rollout")


# --- Attestations ---------------------------------------------------------------------------------


def attest(rollout: Rollout, criterion: str, signature: SignOff, now: datetime) -> Decision:
    """Record `signature` for `criterion`; the newest one counts, a repeated one changes nothing.

    Raises UsageError for a criterion that takes no signature, and for a signature without a note.
    """
    attestations = [
        name for name, rule in rollout.policy.criteria.items() if isinstance(rule, Attestation)
    ]
    if criterion not in attestations:
        known = f"its attestations: {', '.join(attestations) or 'none'}"
        unknown = f"the policy has no attestation {quote_value(criterion)}"
        raise refusal(rollout, Verb.ATTEST, f"{unknown}; {known}")
    if not signature.note:
        raise refusal(
            rollout,
            Verb.ATTEST,
            "--note is missing: say what you checked; it is recorded in the history",
        )
    before = rollout.evidence.sign_offs.get(criterion)
    if before is not None and before.refused == signature.refused:
        return Decision(rollout)
    return by_operator.record_attestation(rollout, criterion, signature, now)


# --- Commands -------------------------------------------------------------------------------------


def apply_command(
    rollout: Rollout, command: Command, observation: Observation, now: datetime
) -> Decision:
    """Return the decision for a command of an operator; its record contains the command.

    Raises UsageError, with the reason and the verbs that fit, when the command changes nothing.
    """
    now = max(now, rollout.updated)
    current = replace(rollout, updated=now)
    decision = announce.with_page(
        _with_visibility(
            rollout, command, _decide_command(current, command, observation, now), observation, now
        ),
        now,
    )
    if decision.record is None:
        return decision
    return replace(decision, record=replace(decision.record, cause=command.data()))


# Verbs that do not depend on the live weight: most of them may meet drift, and the weight of
# set-weight is not live yet.
_WEIGHT_INDEPENDENT_VERBS: Final = frozenset(
    {Verb.PAUSE, Verb.APPROVE, Verb.ATTEST, Verb.SET_WEIGHT, Verb.ACK}
)


def _with_visibility(
    before: Rollout, command: Command, decision: Decision, observation: Observation, now: datetime
) -> Decision:
    """Return `decision` with what was observed, except for what the next tick has to announce.

    That is drift that the command does not resolve, and the end of a blindness: an observation
    without measurements does not end it.
    """
    seen_weight = decision.rollout.seen_weight
    decision = announce.with_visibility(before, decision, observation, now)
    after = decision.rollout
    if command.verb in _WEIGHT_INDEPENDENT_VERBS:
        after = replace(after, seen_weight=seen_weight)
    if (
        not observation.measured
        and after.phase in JUDGED_PHASES
        and isinstance(observation.target, TargetReading)
    ):
        kind = ConditionKind.BLIND
        after = after.with_condition(kind, before.conditions.get(kind))
    return replace(decision, rollout=after)


def _decide_command(
    rollout: Rollout, command: Command, observation: Observation, now: datetime
) -> Decision:
    """Return the decision for a command. Raises UsageError in a phase that does not allow it."""
    state = rollout.state
    if command.verb is Verb.ROLLBACK:
        return _roll_back(rollout, command, observation, now)
    if command.verb is Verb.ACK:
        return _acknowledge(rollout, command, now)
    if command.retry:
        if isinstance(state, RolledBack):
            return _set_weight_again(rollout, command, observation, now)
        raise _refused_by_phase(rollout, command.verb)
    if isinstance(state, Progressing | Paused):
        return _decide_exposed(rollout, state, command, observation, now)
    raise _refused_by_phase(rollout, command.verb)


def _decide_exposed(
    rollout: Rollout, state: Exposed, command: Command, observation: Observation, now: datetime
) -> Decision:
    match command.verb:
        case Verb.PAUSE if isinstance(state, Progressing):
            why = "paused by an operator" + (f": {command.reason}" if command.reason else "")
            return by_operator.pause_by_operator(rollout, state, observation.target, why, now)
        case Verb.RESUME if isinstance(state, Paused):
            return _resume(rollout, state, command, observation, now)
        case Verb.PROMOTE:
            return _promote(rollout, state, command, observation, now)
        case Verb.SET_WEIGHT:
            return _set_weight(rollout, state, command, observation, now)
        case Verb.APPROVE:
            return _approve(rollout, command, now)
        case Verb.ATTEST:
            return _attest(rollout, command, now)
        case Verb.PAUSE | Verb.RESUME | Verb.ROLLBACK | Verb.ACK:
            raise _refused_by_phase(rollout, command.verb)
        case unreachable:
            assert_never(unreachable)


def _roll_back(
    rollout: Rollout, command: Command, observation: Observation, now: datetime
) -> Decision:
    """Roll back; the operator waits for 0% up to the policy's `rollback_timeout`."""
    weight = weight_of(observation.target) if command.weight is None else command.weight
    decision = rollback.roll_back(rollout, Reason.ROLLBACK_REQUESTED, command.reason, weight, now)
    move = replace(rollback.lower_move(decision.rollout), within=rollout.policy.rollback_timeout)
    return replace(decision, move=move)


# --- Resume ---------------------------------------------------------------------------------------


def _resume(
    rollout: Rollout, state: Paused, command: Command, observation: Observation, now: datetime
) -> Decision:
    target = _require_writable_target(rollout, command.verb, observation)
    live, intended = target.weight, rollout.weight
    _require_traffic(rollout, command.verb, target)
    rollout = _require_no_fail(judge(rollout, observation, now), command.verb)
    if live == intended:
        return by_operator.resume_at_intended_weight(rollout, state, target, command.reason, now)
    mismatch = f"the target shows {target.variables}, expected {intended}%"
    ways = "; ".join(ways_out_of_drift(rollout, live, may_exceed=target.may_exceed(intended)))
    match command.way:
        case "restore" if target.may_exceed(rollout.weight):
            return by_operator.restore_weight(rollout, target, command.reason, now)
        case "restore":
            why = f"--restore only lowers the weight; {mismatch}"
            raise refusal(rollout, command.verb, f"{why}; {ways}")
        case "keep" if live is not None:
            return _resume_at_live_weight(rollout, command, live, now)
        case "keep":
            why = f"--keep needs one live weight; {mismatch}"
            raise refusal(rollout, command.verb, f"{why}; {ways}")
        case "":
            raise refusal(rollout, command.verb, f"{mismatch}; {ways}")
        case unreachable:
            assert_never(unreachable)


def _resume_at_live_weight(
    rollout: Rollout, command: Command, live: int, now: datetime
) -> Decision:
    """Resume at the live weight, in the last step whose weight is not above it."""
    reached = reached_steps(rollout, live)
    if not reached:
        why = f"{live}% is below the first step"
        remedy = f"set {rollout.weight}% in AWS, then: rolloutctl resume {rollout.id}"
        raise refusal(rollout, command.verb, f"{why}: {remedy}")
    return by_operator.resume_at_live_weight(rollout, reached[-1], live, command.reason, now)


# --- Promote, approve, attest, set-weight, acknowledge --------------------------------------------


def _promote(
    rollout: Rollout, state: Exposed, command: Command, observation: Observation, now: datetime
) -> Decision:
    target, live = _require_writable_target(rollout, command.verb, observation), state.position
    if target.weight != rollout.weight and (isinstance(state, Paused) or isinstance(live, Live)):
        why = f"the target shows {target.variables}, expected {rollout.weight}%"
        raise refusal(rollout, command.verb, f"{why}; resume the rollout first")
    if isinstance(live, Pending):
        raise refusal(
            rollout, command.verb, f"{live.weight}% is not applied yet; run rolloutctl tick first"
        )
    judgement = judge(rollout, observation, now)
    judged = _require_no_fail(judgement, command.verb)
    if block := blocks.advance_block(rollout, now) or blocks.hook_block(rollout, observation.hooks):
        if block.hooks_to_call:
            return Decision(rollout, hooks_to_call=block.hooks_to_call)
        why = f"{block.text}; promote does not skip a freeze, an approval or a hook"
        raise refusal(rollout, command.verb, why)
    baked = judgement.bake_over and by_operator.is_bake_uninterrupted(state)
    if not baked:
        label = weakest_label((rollout.evidence.label, str(Label.NOT_JUDGED)))
        judged = replace(judged, evidence=replace(judged.evidence, label=label))
    exposure = blocks.check_exposure(rollout, judgement.evidence)  # recorded, and not in the way
    note = "" if exposure is None else exposure.note
    return advance.next_step(judged, live, target, Reason.PROMOTED, now, command.reason, note)


def _approve(rollout: Rollout, command: Command, now: datetime) -> Decision:
    step = rollout.step + 1
    if rollout.is_last_step or not rollout.policy.needs_approval(step):
        raise refusal(rollout, command.verb, "the next step needs no approval")
    if rollout.approved == step:
        return Decision(rollout)
    return by_operator.approve_step(rollout, step, command.reason, now)


def _attest(rollout: Rollout, command: Command, now: datetime) -> Decision:
    signature = SignOff(command.by, int(now.timestamp()), command.reason, command.refuse)
    return attest(rollout, command.criterion, signature, now)


def _set_weight(
    rollout: Rollout, state: Exposed, command: Command, observation: Observation, now: datetime
) -> Decision:
    """Pause the rollout and set the weight that an operator names, at most once."""
    target = _require_writable_target(rollout, command.verb, observation)
    rollout = _require_no_fail(judge(rollout, observation, now), command.verb)
    weight = command.weight or 0
    if weight == 0:
        raise refusal(rollout, command.verb, f"0% is a rollback: rolloutctl rollback {rollout.id}")
    _require_traffic(rollout, command.verb, target)
    if target.weight == weight:
        raise refusal(rollout, command.verb, f"{weight}% is live already")
    if target.weight is not None and weight > target.weight and rollout.policy.missing_kinds:
        raise refusal(rollout, command.verb, blocks.missing_kinds_block(rollout.policy).text)
    return by_operator.pause_and_set_weight(rollout, state, target, weight, command.reason, now)


def _set_weight_again(
    rollout: Rollout, command: Command, observation: Observation, now: datetime
) -> Decision:
    """Record why a revision that was rolled back gets traffic again. Writes no weight."""
    weight = command.weight or 0
    if not command.reason:
        why = (
            f"it rolled back revision {rollout.revision}: {rollout.sentence.rstrip('.')}. "
            f"To set {weight}% on it again, give --reason TEXT, which is recorded in the history"
        )
        raise refusal(rollout, command.verb, why)
    live = weight_of(observation.target)
    return by_operator.record_weight_after_rollback(rollout, live, weight, command.reason, now)


def _acknowledge(rollout: Rollout, command: Command, now: datetime) -> Decision:
    page = rollout.unacknowledged_page
    if page is None:
        raise refusal(rollout, command.verb, "no critical alert waits for an acknowledgement")
    return announce.acknowledge(rollout, page, command.reason, now)
