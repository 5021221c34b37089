"""What a tick does in each phase, by what it sees."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from controller.core.decide import decide
from controller.core.judge.queries import JUDGED
from controller.core.judged_intervals import reopen
from controller.core.observation import Observation, Series, TargetReading, UnreadableTarget
from controller.core.rollout import Phase, Rollout
from tests.docs.tables.wording import COLUMNS, NEVER, told
from tests.support.rollouts import LADDER, MINUTE, NOON, a_policy, a_reading
from tests.support.three_steps import (
    AFTER_ROLLBACK,
    AFTER_SUCCESS,
    AT_10,
    DURING_ROLLBACK,
    FAILING,
    HEALTHY,
    NO_DATA,
    ON_HOLD,
    OUTAGE,
    RAISING,
    TOO_FEW_REQUESTS,
    UNREADABLE,
    UNREADABLE_FOR_GOOD,
    UPDATE_FAILED,
    UPDATE_IN_PROGRESS,
)

# The raise from 10 to 50 %, and the step at 10 %; each of the others from 10 % too, or at its end.
STANDING: Sequence[Rollout] = (
    replace(RAISING, unfinished_since=NOON),
    AT_10,
    replace(ON_HOLD, seen_weight=10),
    DURING_ROLLBACK,
    replace(AFTER_ROLLBACK, watch_until=NOON + 60 * MINUTE),
    AFTER_SUCCESS,
)

# Minutes after noon: in the bake; after it, in the hold; when every limit is over.
BAKING, HOLDING, OVER = 5, 20, 40


@dataclass(frozen=True, slots=True)
class Seen:
    """One row: what a tick sees of a rollout, in words and as it is read.

    target: by the rollout, or None where that cannot be. gate: whether the row is about a gate.
    waits: whether a raise has waited for the end of a freeze at the look before.
    """

    words: str
    target: Callable[[Rollout], TargetReading | UnreadableTarget | None]
    minute: float = BAKING
    measured: Mapping[str, Series] | None = None
    policy: Mapping[str, Any] | None = None
    owns: bool = True
    waits: bool = False

    def outcome(self, rollout: Rollout) -> str:
        """Return what a tick does then, in words."""
        target = self.target(rollout)
        about_a_gate = self.measured is not None or self.policy is not None
        if target is None or (about_a_gate and rollout.phase not in JUDGED):
            return NEVER
        if self.policy is not None:
            rollout = replace(rollout, policy=a_policy(**self.policy))
        if self.waits:
            rollout = replace(rollout, stretches=reopen(rollout, NOON))
        elif self.measured is not None and rollout.settled is None:
            return NEVER  # nothing is measured before the weight is in force
        measured = self.measured or (HEALTHY if rollout.phase in JUDGED else NO_DATA)
        seen = Observation(target, measured, self.owns)
        return told(rollout, decide(rollout, seen, NOON + self.minute * MINUTE))


def own(rollout: Rollout) -> TargetReading:
    return a_reading(rollout.weight)


def at(weight: int | None) -> Callable[[Rollout], TargetReading]:
    return lambda _: a_reading(weight)


def higher(rollout: Rollout) -> TargetReading | None:
    return a_reading(70) if rollout.weight < 70 else None


def lower(rollout: Rollout) -> TargetReading | None:
    return a_reading(rollout.weight // 2 + 1) if rollout.weight else None


def before(token: str) -> Callable[[Rollout], TargetReading | None]:
    """Return what shows the weight from before the last move, where that is above 0."""

    def target(rollout: Rollout) -> TargetReading | None:
        if rollout.phase in (Phase.PAUSED, Phase.SUCCEEDED) or not rollout.intent.previous:
            return None
        return a_reading(rollout.intent.previous, token=token)

    return target


def unwritten(rollout: Rollout) -> TargetReading | None:
    """Return what shows the weight from before a raise that nobody wrote."""
    return before("token-1")(rollout) if rollout.settled is None else None


def after_the_end(rollout: Rollout) -> TargetReading | None:
    """Return a moved weight where a newer rollout can own the target: nobody else's is taken."""
    return a_reading(70) if rollout.final else None


_FREEZE = {"freeze": {"zone": "UTC", "daily": [{"from": "12:10", "to": "18:00"}]}}
_FIRST, _SECOND, _THIRD = LADDER["steps"]
_APPROVAL = {"steps": [_FIRST, {**_SECOND, "approval": "required"}, _THIRD]}


def inconclusive(then: str) -> Seen:
    words = f"no verdict when `max_hold` is over, `on_inconclusive: {then}`"
    return Seen(words, own, OVER, TOO_FEW_REQUESTS, {"on_inconclusive": then})


OBSERVATIONS = (
    Seen("the weight that was asked for, in force", own),
    Seen("that weight, its update in progress", lambda one: a_reading(one.weight, UPDATE_IN_PROGRESS)),
    Seen(
        "that weight, its update still in progress when every limit is over",
        lambda one: a_reading(one.weight, UPDATE_IN_PROGRESS), OVER,
    ),
    Seen("that weight, its update failed", lambda one: a_reading(one.weight, UPDATE_FAILED)),
    Seen("the weight from before, nobody changed the target", before("token-1")),
    Seen(
        "the same, in a freeze", before("token-1"), HOLDING, policy=_FREEZE,
    ),
    Seen(
        "the same, in a freeze, and a criterion fails at that weight",
        unwritten, HOLDING, FAILING, _FREEZE, waits=True,
    ),
    Seen("the weight from before, another hand changed the target", before("token-9")),
    Seen("0 %", at(0)),
    Seen("a higher weight by another hand", higher),
    Seen(
        "a higher weight by another hand, `on_drift_up: rollback`", higher,
        policy={"on_drift_up": "rollback"},
    ),
    Seen("a lower weight by another hand", lower),
    Seen("variables that contradict each other", at(None)),
    Seen("a higher weight, and a newer rollout owns the target", after_the_end, owns=False),
    Seen("a target that cannot be read", lambda _: UNREADABLE),
    Seen("a target that cannot be read when every limit is over", lambda _: UNREADABLE, OVER),
    Seen("an environment that cannot be decrypted", lambda _: UNREADABLE_FOR_GOOD),
    Seen("a criterion that fails", own, HOLDING, FAILING),
    Seen("every criterion passes, after the bake", own, HOLDING, HEALTHY),
    Seen("the same, in a freeze", own, HOLDING, HEALTHY, _FREEZE),
    Seen("the same, the next step not approved", own, HOLDING, HEALTHY, _APPROVAL),
    Seen("the same, an update of the target in progress", lambda one: a_reading(one.weight, UPDATE_IN_PROGRESS),
         HOLDING, HEALTHY),
    Seen("no verdict after the bake", own, HOLDING, TOO_FEW_REQUESTS),
    Seen("metrics that cannot be read, after the bake", own, HOLDING, OUTAGE),
    inconclusive("pause"),
    inconclusive("rollback"),
    inconclusive("advance"),
)  # fmt: skip


def observations() -> list[list[str]]:
    """Return the table of what a tick does, row by row, its head first."""
    rows = [[seen.words, *map(seen.outcome, STANDING)] for seen in OBSERVATIONS]
    return [["the tick sees", *COLUMNS], *rows]
