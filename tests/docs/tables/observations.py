"""The table of decisions: what a tick does in each phase, by its observation."""

from collections.abc import Callable, Mapping
from typing import Any

from controller.core.judge.queries import JUDGED_PHASES
from controller.immutable import Immutable, replace
from tests.docs.tables.boxes import COLUMNS, ROLLOUTS
from tests.docs.tables.wording import NEVER, decision_text
from tests.support.core import (
    Decision,
    Observation,
    Observed,
    Rollout,
    Series,
    SignOff,
    TargetReading,
    UnreadableTarget,
    decide,
)
from tests.support.rollouts import LADDER, MINUTE, NOON, a_policy, a_reading, with_facts
from tests.support.three_steps import (
    FAILING,
    HEALTHY,
    NO_DATA,
    OUTAGE,
    TOO_FEW_REQUESTS,
    UNREADABLE,
    UNREADABLE_FOR_GOOD,
    UPDATE_FAILED,
    UPDATE_IN_PROGRESS,
)

# Minutes after noon: in the bake; after it, in the hold; when every limit is over.
BAKING, HOLDING, OVER = 5, 20, 40


class Row(Immutable):
    """A row of the table: an observation, in words and as readings.

    target: the reading for a rollout, or None where that cannot be. measured, policy: for a row
    about a gate. owns: whether the rollout owns the target. refused: whether an operator refused an
    attestation before the tick.
    """

    words: str
    target: Callable[[Rollout], TargetReading | UnreadableTarget | None]
    minute: float = BAKING
    measured: Mapping[str, Series] | None = None
    policy: Mapping[str, Any] | None = None
    owns: bool = True
    refused: bool = False

    def decision(self, rollout: Rollout) -> Decision | None:
        """Return the decision of a tick with this observation; None where that cannot be."""
        target = self.target(rollout)
        about_a_gate = self.measured is not None or self.policy is not None
        if target is None or (about_a_gate and rollout.phase not in JUDGED_PHASES):
            return None
        if self.measured is not None and rollout.live is None:
            return None  # no step is judged
        if self.policy is not None:
            rollout = replace(rollout, policy=a_policy(**self.policy))
        if self.refused:
            rollout = with_facts(rollout, sign_offs=REFUSED)
        measured = self.measured or (HEALTHY if rollout.phase in JUDGED_PHASES else NO_DATA)
        observed = Observed(Observation(target, measured, self.owns))
        return decide(rollout, observed, NOON + self.minute * MINUTE)

    def outcome(self, rollout: Rollout) -> str:
        """Return the decision of a tick with this observation, in words."""
        decision = self.decision(rollout)
        return NEVER if decision is None else decision_text(rollout, decision)


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
    """Return a reader of the weight before the pending write, or before the rollback."""

    def target(rollout: Rollout) -> TargetReading | None:
        if rollout.pending:
            return a_reading(rollout.pending.previous, token=token)
        return a_reading(rollout.from_weight, token=token) if rollout.from_weight else None

    return target


def unwritten(rollout: Rollout) -> TargetReading | None:
    """Return a reading of the weight before a pending write that was not written."""
    return before("token-1")(rollout) if rollout.pending else None


def live_weight(rollout: Rollout) -> TargetReading | None:
    """Return a reading of the weight of the live step."""
    return unwritten(rollout) if rollout.pending else rollout_weight(rollout)


def nothing_pending(
    target: Callable[[Rollout], TargetReading],
) -> Callable[[Rollout], TargetReading | None]:
    """Return `target` for a rollout without a pending write: its gate may let it advance."""
    return lambda rollout: None if rollout.pending else target(rollout)


def after_the_end(rollout: Rollout) -> TargetReading | None:
    """Return a drifted weight for a final rollout, whose target a newer rollout can own."""
    return a_reading(70) if rollout.final else None


_FREEZE = {"freeze": {"zone": "UTC", "daily": [{"from": "12:10", "to": "18:00"}]}}
_FIRST, _SECOND, _THIRD = LADDER["steps"]
_APPROVAL = {"steps": [_FIRST, {**_SECOND, "approval": "required"}, _THIRD]}
_EXPOSURE = {"max_bad_requests": 1}
_LAST_STEP = {"steps": [_FIRST]}
ATTESTATION: Mapping[str, Any] = {
    "criteria": {
        **LADDER["criteria"],
        "eye": {"kind": "attestation", "statement": "It looks right."},
    }
}
REFUSED: Mapping[str, SignOff] = {"eye": SignOff("ada", int(NOON.timestamp()), "no", refused=True)}


REACHED, REACHED_UPDATING = nothing_pending(rollout_weight), nothing_pending(updating)


def inconclusive_row(then: str) -> Row:
    words = f"inconclusive, `max_hold` over, `on_inconclusive: {then}`"
    return Row(words, REACHED, OVER, TOO_FEW_REQUESTS, {"on_inconclusive": then})


OBSERVATIONS = (
    Row("the intended weight, applied", rollout_weight),
    Row("the intended weight, its update in progress", updating),
    Row("the intended weight, its update in progress, every limit over", updating, OVER),
    Row("the intended weight, its update failed", lambda one: a_reading(one.weight, UPDATE_FAILED)),
    Row("the previous weight, `RevisionId` unchanged", before("token-1")),
    Row(
        "the previous weight, `RevisionId` unchanged, in a freeze",
        before("token-1"), HOLDING, policy=_FREEZE,
    ),
    Row("the previous weight, `RevisionId` unchanged, every limit over", unwritten, OVER),
    Row("the previous weight, `RevisionId` changed", before("token-9")),
    Row("0%", at(0)),
    Row("0%, its update in progress", lambda _: a_reading(0, UPDATE_IN_PROGRESS)),
    Row("0%, and a criterion of the live step fails", at(0), HOLDING, FAILING),
    Row("drift to a higher weight", higher),
    Row(
        "drift to a higher weight, `on_drift_up: rollback`", higher,
        policy={"on_drift_up": "rollback"},
    ),
    Row("drift to a lower weight", lower),
    Row("contradictory variables", at(None)),
    Row("drift, and a newer rollout owns the target", after_the_end, owns=False),
    Row("a target that cannot be read", lambda _: UNREADABLE),
    Row("a target that cannot be read, every limit over", lambda _: UNREADABLE, OVER),
    Row("an environment that cannot be decrypted", lambda _: UNREADABLE_FOR_GOOD),
    Row("a criterion of the live step fails", live_weight, HOLDING, FAILING),
    Row("an attestation was refused", rollout_weight, policy=ATTESTATION, refused=True),
    Row("every criterion passes, after the bake", REACHED, HOLDING, HEALTHY),
    Row("every criterion passes, in the last step", REACHED, HOLDING, HEALTHY, _LAST_STEP),
    Row("every criterion passes, in a freeze", REACHED, HOLDING, HEALTHY, _FREEZE),
    Row("every criterion passes, the next step not approved", REACHED, HOLDING, HEALTHY, _APPROVAL),
    Row(
        "every criterion passes, too much traffic for `max_bad_requests`",
        REACHED, HOLDING, HEALTHY, _EXPOSURE,
    ),
    Row("every criterion passes, an update in progress", REACHED_UPDATING, HOLDING, HEALTHY),
    Row("inconclusive after the bake", REACHED, HOLDING, TOO_FEW_REQUESTS),
    Row("no metric can be read, after the bake", REACHED, HOLDING, OUTAGE),
    inconclusive_row("pause"),
    inconclusive_row("rollback"),
    inconclusive_row("advance"),
)  # fmt: skip


def observations() -> list[list[str]]:
    """Return the table of what a tick does, row by row, its head first."""
    rows = [
        [row.words, *(row.outcome(ROLLOUTS[box][0]) for box in COLUMNS)] for row in OBSERVATIONS
    ]
    return [["the tick sees", *COLUMNS.values()], *rows]
