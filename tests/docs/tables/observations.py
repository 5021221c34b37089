"""What a tick does in each phase, by what it sees."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from controller.core.decide import decide
from controller.core.judge.queries import JUDGED
from controller.core.judged_intervals import went_on
from controller.core.observation import Observation, Reading, Series, Unreadable
from controller.core.rollout import Phase, Rollout
from tests.docs.tables.wording import COLUMNS, NEVER, told
from tests.support.rollouts import LADDER, MINUTE, NOON, a_policy, reads
from tests.support.three_steps import (
    AT_10,
    BACK,
    DONE,
    FAILED,
    GOING_BACK,
    GONE,
    HEALTHY,
    HOPELESS,
    MOVING,
    ON_HOLD,
    OUTAGE,
    RAISING,
    SICK,
    SILENT,
    THIN,
)

# The raise from 10 to 50 %, and the step at 10 %; each of the others from 10 % too, or at its end.
STANDING: Sequence[Rollout] = (
    replace(RAISING, unfinished_since=NOON),
    AT_10,
    replace(ON_HOLD, seen_weight=10),
    GOING_BACK,
    replace(BACK, watch_until=NOON + 60 * MINUTE),
    DONE,
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
    target: Callable[[Rollout], Reading | Unreadable | None]
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
            rollout = replace(rollout, stretches=went_on(rollout, NOON))
        elif self.measured is not None and rollout.settled is None:
            return NEVER  # nothing is measured before the weight is in force
        measured = self.measured or (HEALTHY if rollout.phase in JUDGED else SILENT)
        seen = Observation(target, measured, self.owns)
        return told(rollout, decide(rollout, seen, NOON + self.minute * MINUTE))


def own(rollout: Rollout) -> Reading:
    return reads(rollout.weight)


def at(weight: int | None) -> Callable[[Rollout], Reading]:
    return lambda _: reads(weight)


def higher(rollout: Rollout) -> Reading | None:
    return reads(70) if rollout.weight < 70 else None


def lower(rollout: Rollout) -> Reading | None:
    return reads(rollout.weight // 2 + 1) if rollout.weight else None


def before(token: str) -> Callable[[Rollout], Reading | None]:
    """Return what shows the weight from before the last move, where that is above 0."""

    def target(rollout: Rollout) -> Reading | None:
        if rollout.phase in (Phase.PAUSED, Phase.SUCCEEDED) or not rollout.intent.previous:
            return None
        return reads(rollout.intent.previous, token=token)

    return target


def unwritten(rollout: Rollout) -> Reading | None:
    """Return what shows the weight from before a raise that nobody wrote."""
    return before("token-1")(rollout) if rollout.settled is None else None


def after_the_end(rollout: Rollout) -> Reading | None:
    """Return a moved weight where a newer rollout can own the target: nobody else's is taken."""
    return reads(70) if rollout.final else None


_FREEZE = {"freeze": {"zone": "UTC", "daily": [{"from": "12:10", "to": "18:00"}]}}
_FIRST, _SECOND, _THIRD = LADDER["steps"]
_APPROVAL = {"steps": [_FIRST, {**_SECOND, "approval": "required"}, _THIRD]}


def inconclusive(then: str) -> Seen:
    words = f"no verdict when `max_hold` is over, `on_inconclusive: {then}`"
    return Seen(words, own, OVER, THIN, {"on_inconclusive": then})


OBSERVATIONS = (
    Seen("the weight that was asked for, in force", own),
    Seen("that weight, its update in progress", lambda one: reads(one.weight, MOVING)),
    Seen(
        "that weight, its update still in progress when every limit is over",
        lambda one: reads(one.weight, MOVING), OVER,
    ),
    Seen("that weight, its update failed", lambda one: reads(one.weight, FAILED)),
    Seen("the weight from before, nobody changed the target", before("token-1")),
    Seen(
        "the same, in a freeze", before("token-1"), HOLDING, policy=_FREEZE,
    ),
    Seen(
        "the same, in a freeze, and a criterion fails at that weight",
        unwritten, HOLDING, SICK, _FREEZE, waits=True,
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
    Seen("a target that cannot be read", lambda _: GONE),
    Seen("a target that cannot be read when every limit is over", lambda _: GONE, OVER),
    Seen("an environment that cannot be decrypted", lambda _: HOPELESS),
    Seen("a criterion that fails", own, HOLDING, SICK),
    Seen("every criterion passes, after the bake", own, HOLDING, HEALTHY),
    Seen("the same, in a freeze", own, HOLDING, HEALTHY, _FREEZE),
    Seen("the same, the next step not approved", own, HOLDING, HEALTHY, _APPROVAL),
    Seen("the same, an update of the target in progress", lambda one: reads(one.weight, MOVING),
         HOLDING, HEALTHY),
    Seen("no verdict after the bake", own, HOLDING, THIN),
    Seen("metrics that cannot be read, after the bake", own, HOLDING, OUTAGE),
    inconclusive("pause"),
    inconclusive("rollback"),
    inconclusive("advance"),
)  # fmt: skip


def observations() -> list[list[str]]:
    """Return the table of what a tick does, row by row, its head first."""
    rows = [[seen.words, *map(seen.outcome, STANDING)] for seen in OBSERVATIONS]
    return [["the tick sees", *COLUMNS], *rows]
