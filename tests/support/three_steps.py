"""A three-step ladder in every state, and one tick of it."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from controller.core import transitions
from controller.core.commands import Ask, Verb, Way, asked
from controller.core.decide import decide
from controller.core.decision import Decision, Lower
from controller.core.judge.evidence import Tally
from controller.core.observation import Answer, Observation, Reading, Series, Unreadable, Update
from controller.core.policy import Policy
from controller.core.rollout import Intent, Phase, Reason, Rollout
from tests.support.rollouts import MINUTE, NOON, a_policy, a_rollout, points, reads

PROGRESSING, PAUSED = Phase.PROGRESSING, Phase.PAUSED
ROLLING_BACK, ROLLED_BACK, SUCCEEDED = Phase.ROLLING_BACK, Phase.ROLLED_BACK, Phase.SUCCEEDED
MOVING, FAILED = Update.IN_PROGRESS, Update.FAILED

POLICY = a_policy()
LOWER = Lower(MINUTE)
GONE = Unreadable("Lambda did not answer")
HOPELESS = Unreadable("the environment cannot be read", hopeless=True)


def a_ladder(**facts: Any) -> Rollout:
    return a_rollout(**{"policy": POLICY, "peak": 10, "exposed_from": NOON, **facts})


def at_weight(weight: int, **facts: Any) -> Rollout:
    """Return a rollout whose step with `weight` was seen in force at noon."""
    step, previous = {10: (0, 0), 50: (1, 10), 100: (2, 50)}[weight]
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


# What a step had shown until a person acted, at 12:20.
LATER = NOON + 20 * MINUTE
SEEN = {"works": Tally(windows=5, samples=500)}


def ask(
    rollout: Rollout,
    verb: Verb,
    target: Reading | Unreadable,
    measured: Mapping[str, Series] | None = None,
    *,
    reason: str = "",
    way: Way = "",
    weight: int | None = None,
    minute: float = 20,
) -> Decision:
    """Ask at 12:20, where nothing else is said."""
    seen = Observation(target, measured or {})
    return asked(rollout, Ask(verb, reason, way, weight), seen, NOON + minute * MINUTE)


def paused(reason: Reason, weight: int = 10, **facts: Any) -> Rollout:
    """Return a rollout that paused at 12:15, with what its step had shown until then."""
    since = NOON + 15 * MINUTE
    plain = {"phase": PAUSED, "reason": reason, "since": since, "tallies": SEEN}
    return at_weight(weight, **{**plain, **facts})


def adopted(weight: int, policy: Policy = POLICY) -> Rollout:
    """Return a rollout that took over the live `weight` at noon."""
    step = [one.weight for one in policy.steps].index(weight)
    return transitions.created(policy, "code-1", reads(weight), 1, {}, None, NOON, step).rollout


def paused_in_flight(weight: int = 50) -> Rollout:
    """Return a rollout that was paused while its raise was on its way."""
    raising = {10: FIRST_RAISE, 50: RAISING}[weight]
    return ask(raising, Verb.PAUSE, reads(weight, MOVING), minute=1).rollout
