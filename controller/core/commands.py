"""Commands of operators: the phases in which each verb is allowed, and its decision. Pure.

A verb that is not allowed changes nothing: it raises UsageError with the reason. What else refuses
a verb, and what it does, is in `transitions/by_operator.py`. The table of `state-machine.md` is
made from here. `rollback` is allowed in every phase, and nothing blocks it.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Final, assert_never

from controller.core.decision import Decision
from controller.core.events import Command, Verb
from controller.core.judge.judgement import Judgement, judge
from controller.core.judge.queries import JUDGED_PHASES
from controller.core.notice_rules import ConditionKind
from controller.core.observation import (
    Observation,
    TargetReading,
    weight_of,
)
from controller.core.rollout import (
    Exposed,
    Paused,
    Phase,
    Progressing,
    Reason,
    RolledBack,
    Rollout,
)
from controller.core.transitions import announce, by_operator, rollback
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


def allowed_verbs(rollout: Rollout) -> list[Verb]:
    """Return the verbs that the phase of `rollout` allows; `ack` only where an alert waits for it.

    The target, the criteria or the policy may still refuse one of them.
    """
    unavailable = set() if rollout.unacknowledged_page else {Verb.ACK}
    return [
        verb for verb in Verb if rollout.phase in ALLOWED_PHASES[verb] and verb not in unavailable
    ]


def _refused_by_phase(rollout: Rollout, verb: Verb) -> UsageError:
    allowed = list(map(str, allowed_verbs(rollout)))
    if rollout.phase is Phase.ROLLED_BACK:
        allowed.append("retry")
    why = f"the rollout is {rollout.phase}; allowed now: {', '.join(allowed)}"
    return by_operator.refusal(rollout, verb, why)


def apply_command(
    rollout: Rollout, command: Command, observation: Observation, now: datetime
) -> Decision:
    """Return the decision for a command of an operator; its record contains the command.

    Raises UsageError, with the reason and the verbs that fit, when the command changes nothing.
    """
    now = max(now, rollout.updated)
    current = replace(rollout, updated=now)
    judgement = judge(current, observation, now)
    decision = _decide_command(current, command, judgement)
    decision = announce.with_page(_with_visibility(command, decision, judgement), now)
    if decision.record is None:
        return decision
    return replace(decision, record=replace(decision.record, cause=command.data()))


# Verbs that do not depend on the live weight: most of them may meet drift, and the weight of
# set-weight is not live yet.
_WEIGHT_INDEPENDENT_VERBS: Final = frozenset(
    {Verb.PAUSE, Verb.APPROVE, Verb.ATTEST, Verb.SET_WEIGHT, Verb.ACK}
)


def _with_visibility(command: Command, decision: Decision, judgement: Judgement) -> Decision:
    """Return `decision` with what was observed, except for what the next tick has to announce.

    That is drift that the command does not resolve, and the end of a blindness: an observation
    without measurements does not end it.
    """
    seen_weight = decision.rollout.seen_weight
    decision = announce.with_visibility(decision, judgement)
    after = decision.rollout
    if command.verb in _WEIGHT_INDEPENDENT_VERBS:
        after = replace(after, seen_weight=seen_weight)
    if (
        not judgement.observation.measured
        and after.phase in JUDGED_PHASES
        and isinstance(judgement.target, TargetReading)
    ):
        kind = ConditionKind.BLIND
        after = after.with_condition(kind, judgement.rollout.conditions.get(kind))
    return replace(decision, rollout=after)


def _decide_command(rollout: Rollout, command: Command, judgement: Judgement) -> Decision:
    """Return the decision for a command. Raises UsageError in a phase that does not allow it."""
    state = rollout.state
    if command.verb is Verb.ROLLBACK:
        return _roll_back(rollout, command, judgement)
    if command.verb is Verb.ACK:
        return by_operator.acknowledge(rollout, command, judgement.now)
    if command.retry:
        if isinstance(state, RolledBack):
            return by_operator.set_weight_again(rollout, command, judgement)
        raise _refused_by_phase(rollout, command.verb)
    if isinstance(state, Progressing | Paused):
        return _decide_exposed(rollout, state, command, judgement)
    raise _refused_by_phase(rollout, command.verb)


def _decide_exposed(
    rollout: Rollout, state: Exposed, command: Command, judgement: Judgement
) -> Decision:
    match command.verb:
        case Verb.PAUSE if isinstance(state, Progressing):
            return by_operator.pause_by_operator(rollout, state, command, judgement)
        case Verb.RESUME if isinstance(state, Paused):
            return by_operator.resume(rollout, state, command, judgement)
        case Verb.PROMOTE:
            return by_operator.promote(rollout, state, command, judgement)
        case Verb.SET_WEIGHT:
            return by_operator.set_weight(rollout, state, command, judgement)
        case Verb.APPROVE:
            return by_operator.approve(rollout, command, judgement.now)
        case Verb.ATTEST:
            return by_operator.attest(rollout, command, judgement.now)
        case Verb.PAUSE | Verb.RESUME | Verb.ROLLBACK | Verb.ACK:
            raise _refused_by_phase(rollout, command.verb)
        case unreachable:
            assert_never(unreachable)


def _roll_back(rollout: Rollout, command: Command, judgement: Judgement) -> Decision:
    """Roll back; the operator waits for 0% up to the policy's `rollback_timeout`."""
    weight = weight_of(judgement.target) if command.weight is None else command.weight
    decision = rollback.roll_back(
        rollout, Reason.ROLLBACK_REQUESTED, command.reason, weight, judgement.now
    )
    move = replace(rollback.lower_move(decision.rollout), within=rollout.policy.rollback_timeout)
    return replace(decision, move=move)
