"""A rollout of three steps in every state, and one decision about it."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from controller.core.stats.counts import Counts
from controller.immutable import replace
from tests.support.core import (
    Command,
    Commanded,
    Decision,
    DriftResolution,
    Live,
    Measured,
    Observation,
    Observed,
    Pending,
    Phase,
    Policy,
    QueryStatus,
    Reason,
    Rollout,
    SetZero,
    State,
    Tally,
    Target,
    UnreadableTarget,
    UpdateStatus,
    Verb,
    WriteFailed,
    decide,
)
from tests.support.rollouts import (
    LADDER,
    MINUTE,
    NOON,
    a_policy,
    a_reading,
    a_rollout,
    a_series,
    a_start,
    a_state,
)

PROGRESSING, PAUSED = Phase.PROGRESSING, Phase.PAUSED
ROLLING_BACK, ROLLED_BACK, SUCCEEDED = Phase.ROLLING_BACK, Phase.ROLLED_BACK, Phase.SUCCEEDED
UPDATE_IN_PROGRESS, UPDATE_FAILED = UpdateStatus.IN_PROGRESS, UpdateStatus.FAILED

POLICY = a_policy()
LOWER = SetZero(MINUTE)
# An operator waits for the whole rollback_timeout.
LOWER_BY_OPERATOR = SetZero(5 * MINUTE)
UNREADABLE = UnreadableTarget("Lambda did not answer")
UNREADABLE_FOR_GOOD = UnreadableTarget("the environment cannot be read", permanent=True)


def a_three_step_rollout(state: State, **facts: Any) -> Rollout:
    return a_rollout(state=state, **{"policy": POLICY, **facts})


def live_at(weight: int, policy: Policy = POLICY, since: datetime = NOON) -> Live:
    """Return the step of `policy` with `weight`, applied `since` noon."""
    return Live([step.weight for step in policy.steps].index(weight), weight, since)


def at_weight(
    weight: int, policy: Policy = POLICY, since: datetime = NOON, **facts: Any
) -> Rollout:
    """Return a rollout in progress whose step with `weight` was applied at noon, or `since`."""
    state = a_state(position=live_at(weight, policy, since))
    return a_three_step_rollout(state, policy=policy, **facts)


def paused_at(weight: int, reason: Reason, sentence: str, **facts: Any) -> Rollout:
    """Return a rollout paused at noon, in the step with `weight`."""
    state = a_state(PAUSED, position=live_at(weight), reason=reason, sentence=sentence)
    return a_three_step_rollout(state, **facts)


def under(rollout: Rollout, **parts: Any) -> Rollout:
    """Return `rollout` under a policy with whole `parts` of it replaced."""
    return replace(rollout, policy=a_policy(**parts))


# Intended at noon, and not applied yet.
FIRST_RAISE = a_three_step_rollout(a_state(position=Pending(0, 10, 0, "token-1", NOON, tried=NOON)))
TO_50 = Pending(1, 50, 10, "token-1", NOON, tried=NOON, live=live_at(10))
RAISING = a_three_step_rollout(a_state(position=TO_50))
# The same raises, seen unfinished at noon.
FIRST_UNFINISHED = a_three_step_rollout(
    a_state(position=Pending(0, 10, 0, "token-1", NOON, first_look=NOON, tried=NOON))
)
UNFINISHED = a_three_step_rollout(a_state(position=replace(TO_50, first_look=NOON)))
# A write that may raise nothing: contradictory variables at 100% that were put right.
NOT_A_RAISE = a_three_step_rollout(
    a_state(position=Pending(2, 100, 100, "token-1", NOON, NOON, tried=NOON, live=live_at(100)))
)
# Applied at noon.
AT_10, AT_50, AT_100 = at_weight(10), at_weight(50), at_weight(100)
ON_HOLD = paused_at(10, Reason.INCONCLUSIVE, "too few samples")
DURING_ROLLBACK = a_three_step_rollout(a_state(ROLLING_BACK, reason=Reason.GATE_FAILED))
AFTER_ROLLBACK = a_three_step_rollout(a_state(ROLLED_BACK, reason=Reason.GATE_FAILED))
AFTER_SUCCESS = a_three_step_rollout(
    a_state(SUCCEEDED, position=live_at(100), watch_until=NOON + timedelta(days=7))
)


# Parts of a policy. A freeze from 12:10 to 18:00; the bake at 10% ends in it, at 12:12.
FREEZE: Mapping[str, Any] = {
    "freeze": {"zone": "UTC", "daily": [{"from": "12:10", "to": "18:00"}]},
}
_FIRST, _SECOND, _THIRD = LADDER["steps"]
APPROVAL: Mapping[str, Any] = {"steps": [_FIRST, {**_SECOND, "approval": "required"}, _THIRD]}


def series(requests: float | None, errors: float | None, answer: QueryStatus) -> Measured:
    """Return two hours of equal minutes, from 11:00 on."""
    begin = NOON - 60 * MINUTE
    return {
        "requests:Sum@60": a_series([requests] * 120, start=begin, answer=answer),
        "errors:Sum@60": a_series([errors] * 120, start=begin, answer=answer),
    }


HEALTHY = series(100, 0, QueryStatus.COMPLETE)
FAILING = series(100, 5, QueryStatus.COMPLETE)
NO_DATA = series(None, None, QueryStatus.COMPLETE)
OUTAGE = series(None, None, QueryStatus.ERROR)
PARTIAL = series(100, 0, QueryStatus.PARTIAL)
TOO_FEW_REQUESTS = series(1, 0, QueryStatus.COMPLETE)


def healthy_until(minute: int) -> Measured:
    """Return a healthy canary from noon until so many minutes later."""
    return {"requests:Sum@60": a_series([100] * minute), "errors:Sum@60": a_series([0] * minute)}


def decide_tick(
    rollout: Rollout, target: Target, minute: float, measured: Measured = HEALTHY, owns: bool = True
) -> Decision:
    """Return the decision of a tick `minute` minutes after noon."""
    return decide(rollout, Observed(Observation(target, measured, owns)), NOON + minute * MINUTE)


# The tallies of a step until an operator acted, at 12:20.
LATER = NOON + 20 * MINUTE
TALLIES = {"works": Tally(windows=5, counts=Counts(samples=500))}


def decide_command(
    rollout: Rollout,
    verb: Verb,
    target: Target,
    measured: Measured | None = None,
    *,
    reason: str = "",
    way: DriftResolution = "",
    weight: int | None = None,
    retry: bool = False,
    minute: float = 20,
) -> Decision:
    """Return the decision on an operator command, at 12:20 unless `minute` says otherwise."""
    command = Command(verb, reason, way, weight, retry)
    event = Commanded(Observation(target, measured or {}), command)
    return decide(rollout, event, NOON + minute * MINUTE)


def a_paused_rollout(
    reason: Reason, weight: int = 10, policy: Policy = POLICY, **facts: Any
) -> Rollout:
    """Return a rollout that paused at 12:15, with the tallies of its step until then."""
    since = NOON + 15 * MINUTE
    state = a_state(PAUSED, position=live_at(weight, policy), reason=reason, since=since)
    plain = {"policy": policy, "tallies": TALLIES, "updated": since}
    return a_three_step_rollout(state, **{**plain, **facts})


def refused_write(decision: Decision, minute: float, why: str = "access denied") -> Decision:
    """Return `decision` after the target refused its write of 0%, so many minutes after noon."""
    failed = WriteFailed(decision, why, permanent=True)
    return decide(decision.rollout, failed, NOON + minute * MINUTE)


def an_adopted_rollout(weight: int, policy: Policy = POLICY) -> Rollout:
    """Return a rollout that adopted the live `weight` at noon."""
    step = [one.weight for one in policy.steps].index(weight)
    return a_start(policy, a_reading(weight), adopted=step).rollout


def a_rollout_paused_in_flight(weight: int = 50) -> Rollout:
    """Return a rollout that was paused while its raise was in flight."""
    raising = {10: FIRST_RAISE, 50: RAISING}[weight]
    return decide_command(
        raising, Verb.PAUSE, a_reading(weight, UPDATE_IN_PROGRESS), minute=1
    ).rollout


# Paused at 12:15; the last one while its raise was in flight.
DRIFTED, BY_HAND = a_paused_rollout(Reason.DRIFTED), a_paused_rollout(Reason.PAUSED_BY_HAND)
IN_FLIGHT = a_rollout_paused_in_flight()
