"""The table of decisions: what a tick does in each phase, by its observation."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from controller.core.decide import decide
from controller.core.events import Observed
from controller.core.judge.queries import JUDGED_PHASES
from controller.core.observation import Observation, Series, TargetReading, UnreadableTarget
from controller.core.rollout import Rollout
from tests.docs.tables.wording import COLUMNS, NEVER, decision_text
from tests.support.rollouts import LADDER, MINUTE, NOON, a_policy, a_reading, with_state
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
    TOO_FEW_REQUESTS,
    UNFINISHED,
    UNREADABLE,
    UNREADABLE_FOR_GOOD,
    UPDATE_FAILED,
    UPDATE_IN_PROGRESS,
)

# A rollout in each phase: the raise from 10 to 50 %, the step at 10 %, and the others after 10 %.
PHASE_STATES: Sequence[Rollout] = (
    UNFINISHED,
    AT_10,
    replace(ON_HOLD, seen_weight=10),
    DURING_ROLLBACK,
    with_state(AFTER_ROLLBACK, watch_until=NOON + 60 * MINUTE),
    AFTER_SUCCESS,
)

# Minutes after noon: in the bake; after it, in the hold; when every limit is over.
BAKING, HOLDING, OVER = 5, 20, 40


@dataclass(frozen=True, slots=True)
class Row:
    """A row of the table: an observation, in words and as readings.

    target: the reading for a rollout, or None where that cannot be. measured, policy: for a row
    about a gate. owns: whether the rollout owns the target.
    """

    words: str
    target: Callable[[Rollout], TargetReading | UnreadableTarget | None]
    minute: float = BAKING
    measured: Mapping[str, Series] | None = None
    policy: Mapping[str, Any] | None = None
    owns: bool = True

    def outcome(self, rollout: Rollout) -> str:
        """Return the decision of a tick with this observation, in words."""
        target = self.target(rollout)
        about_a_gate = self.measured is not None or self.policy is not None
        if target is None or (about_a_gate and rollout.phase not in JUDGED_PHASES):
            return NEVER
        if self.policy is not None:
            rollout = replace(rollout, policy=a_policy(**self.policy))
        if self.measured is not None and rollout.pending and self.target is not unwritten:
            return NEVER  # that gate is judged once its weight was read back
        measured = self.measured or (HEALTHY if rollout.phase in JUDGED_PHASES else NO_DATA)
        observation = Observation(target, measured, self.owns)
        return decision_text(
            rollout, decide(rollout, Observed(observation), NOON + self.minute * MINUTE)
        )


def rollout_weight(rollout: Rollout) -> TargetReading:
    return a_reading(rollout.weight)


def updating(rollout: Rollout) -> TargetReading:
    return a_reading(rollout.weight, UPDATE_IN_PROGRESS)


def at(weight: int | None) -> Callable[[Rollout], TargetReading]:
    return lambda _: a_reading(weight)


def higher(rollout: Rollout) -> TargetReading | None:
    return a_reading(70) if rollout.weight < 70 else None


def lower(rollout: Rollout) -> TargetReading | None:
    return a_reading(rollout.weight // 2 + 1) if rollout.weight else None


def before(token: str) -> Callable[[Rollout], TargetReading | None]:
    """Return a reader of the weight before the last move, where that is above 0."""

    def target(rollout: Rollout) -> TargetReading | None:
        weight = rollout.pending.previous if rollout.pending else rollout.from_weight
        return a_reading(weight, token=token) if weight else None

    return target


def unwritten(rollout: Rollout) -> TargetReading | None:
    """Return a reading of the weight before a raise that was not written."""
    return before("token-1")(rollout) if rollout.pending else None


def after_the_end(rollout: Rollout) -> TargetReading | None:
    """Return a drifted weight for a final rollout, whose target a newer rollout can own."""
    return a_reading(70) if rollout.final else None


_FREEZE = {"freeze": {"zone": "UTC", "daily": [{"from": "12:10", "to": "18:00"}]}}
_FIRST, _SECOND, _THIRD = LADDER["steps"]
_APPROVAL = {"steps": [_FIRST, {**_SECOND, "approval": "required"}, _THIRD]}


def inconclusive_row(then: str) -> Row:
    words = f"no verdict when `max_hold` is over, `on_inconclusive: {then}`"
    return Row(words, rollout_weight, OVER, TOO_FEW_REQUESTS, {"on_inconclusive": then})


OBSERVATIONS = (
    Row("the weight that was asked for, in force", rollout_weight),
    Row("that weight, its update in progress", updating),
    Row(
        "that weight, its update still in progress when every limit is over",
        updating, OVER,
    ),
    Row("that weight, its update failed", lambda one: a_reading(one.weight, UPDATE_FAILED)),
    Row("the weight from before, nobody changed the target", before("token-1")),
    Row(
        "the same, in a freeze", before("token-1"), HOLDING, policy=_FREEZE,
    ),
    Row(
        "the weight from before, and a criterion fails at that weight",
        unwritten, HOLDING, FAILING,
    ),
    Row("the weight from before, another hand changed the target", before("token-9")),
    Row("0 %", at(0)),
    Row("a higher weight by another hand", higher),
    Row(
        "a higher weight by another hand, `on_drift_up: rollback`", higher,
        policy={"on_drift_up": "rollback"},
    ),
    Row("a lower weight by another hand", lower),
    Row("variables that contradict each other", at(None)),
    Row("a higher weight, and a newer rollout owns the target", after_the_end, owns=False),
    Row("a target that cannot be read", lambda _: UNREADABLE),
    Row("a target that cannot be read when every limit is over", lambda _: UNREADABLE, OVER),
    Row("an environment that cannot be decrypted", lambda _: UNREADABLE_FOR_GOOD),
    Row("a criterion that fails", rollout_weight, HOLDING, FAILING),
    Row("every criterion passes, after the bake", rollout_weight, HOLDING, HEALTHY),
    Row("the same, in a freeze", rollout_weight, HOLDING, HEALTHY, _FREEZE),
    Row("the same, the next step not approved", rollout_weight, HOLDING, HEALTHY, _APPROVAL),
    Row("the same, an update of the target in progress", updating, HOLDING, HEALTHY),
    Row("no verdict after the bake", rollout_weight, HOLDING, TOO_FEW_REQUESTS),
    Row("metrics that cannot be read, after the bake", rollout_weight, HOLDING, OUTAGE),
    inconclusive_row("pause"),
    inconclusive_row("rollback"),
    inconclusive_row("advance"),
)  # fmt: skip


def observations() -> list[list[str]]:
    """Return the table of what a tick does, row by row, its head first."""
    rows = [[row.words, *map(row.outcome, PHASE_STATES)] for row in OBSERVATIONS]
    return [["the tick sees", *COLUMNS], *rows]
