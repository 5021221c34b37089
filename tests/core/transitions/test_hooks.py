"""Hooks before a step: no raise without their consent, and nothing else waits for them."""

from collections.abc import Mapping
from datetime import timedelta

import pytest

from controller.immutable import replace
from tests.sentences import decision_text
from tests.support.cases import cases
from tests.support.core import (
    Command,
    Commanded,
    ConditionKind,
    Consent,
    Decision,
    HookAnswer,
    Measured,
    Observation,
    Observed,
    Phase,
    Reason,
    Rollout,
    SetWeight,
    Severity,
    UsageError,
    Verb,
    decide,
    next_action,
    waits_for,
)
from tests.support.rollouts import MINUTE, NOON, a_reading
from tests.support.three_steps import (
    AT_10,
    FAILING,
    HEALTHY,
    under,
)

HOOKS = {
    "before_advance": [
        {"kind": "lambda", "function": "gate"},
        {"kind": "https", "url": "https://ci.example.com/gate", "secret": {"environment": "KEY"}},
    ]
}
GATED = under(AT_10, hooks=HOOKS)
GATE, CI = "before_advance[0]", "before_advance[1]"
YES = HookAnswer(Consent.GIVEN)
NO = HookAnswer(Consent.REFUSED, "a release is under way")
GONE = HookAnswer(Consent.FAILED, "ci.example.com could not be reached")
BOTH = {GATE: YES, CI: YES}


def tick(
    rollout: Rollout,
    answers: Mapping[str, HookAnswer] | None = None,
    minute: float = 16,
    measured: Measured = HEALTHY,
    weight: int = 10,
) -> Decision:
    observation = Observation(a_reading(weight), measured, hooks=answers or {})
    return decide(rollout, Observed(observation), NOON + minute * MINUTE)


def test_a_step_that_is_due_calls_every_hook_and_moves_nothing_yet() -> None:
    decision = tick(GATED)
    assert (decision.hooks_to_call, decision.move) == ((GATE, CI), None)
    assert decision.rollout.reason is Reason.AWAITING_HOOK


def test_with_the_consent_of_all_it_goes_up() -> None:
    decision = tick(GATED, BOTH)
    assert (decision.hooks_to_call, decision.rollout.weight) == ((), 50)
    assert isinstance(decision.move, SetWeight)


BLOCKS: Mapping[str, tuple[Mapping[str, HookAnswer], list[HookAnswer]]] = {
    "one refuses": ({GATE: NO, CI: YES}, [NO]),
    "one does not answer": ({GATE: YES, CI: GONE}, [GONE]),
    "one refuses and one does not answer": ({GATE: NO, CI: GONE}, [NO, GONE]),
}


@cases("answers, reasons", BLOCKS)
def test_without_it_the_rollout_waits_and_says_why(
    answers: Mapping[str, HookAnswer], reasons: list[HookAnswer]
) -> None:
    decision = tick(GATED, answers)
    rollout = decision.rollout
    assert (decision.move, decision.hooks_to_call) == (None, ())
    assert (rollout.phase, rollout.weight) == (Phase.PROGRESSING, 10)
    assert rollout.reason is Reason.AWAITING_HOOK
    assert all(reason.message in waits_for(rollout) for reason in reasons)
    assert next_action(rollout).at == NOON + 16 * MINUTE + timedelta(days=1)
    assert decision.record is not None
    assert decision.record.kind == "blocked"
    assert [notice.severity for notice in decision.notices] == [Severity.WARNING]


def test_a_wait_for_a_hook_is_reported_once_and_then_once_a_day() -> None:
    held = tick(GATED, {GATE: NO, CI: YES}).rollout
    again = tick(held, {GATE: GONE, CI: YES}, 17)
    assert (again.record, again.notices) == (None, ())
    assert GONE.message in again.rollout.sentence
    known = held.conditions[ConditionKind.BLOCKED]
    told = NOON + 16 * MINUTE - timedelta(days=1)
    yesterday = held.with_condition(ConditionKind.BLOCKED, replace(known, announced=told))
    late = tick(yesterday, {GATE: NO, CI: YES}, 17)
    assert late.record is not None
    assert late.record.kind == "reminded"


def test_a_rollback_waits_for_no_hook() -> None:
    held = tick(GATED, {GATE: NO, CI: YES}).rollout
    for rollout in (GATED, held):
        decision = tick(rollout, None, 17, FAILING)
        assert (decision.hooks_to_call, decision.rollout.phase) == ((), Phase.ROLLING_BACK)


def test_a_freeze_comes_first_and_the_hook_is_called_after_it() -> None:
    frozen = {"zone": "UTC", "dates": [{"from": "2026-11-24", "to": "2026-11-25"}]}
    rollout = under(AT_10, hooks=HOOKS, freeze=frozen)
    decision = tick(rollout)
    assert (decision.hooks_to_call, decision.rollout.reason) == ((), Reason.FROZEN)


# --- Promote --------------------------------------------------------------------------------------


def promote(answers: Mapping[str, HookAnswer] | None = None) -> Decision:
    observation = Observation(a_reading(10), HEALTHY, hooks=answers or {})
    event = Commanded(observation, Command(Verb.PROMOTE, "now"))
    return decide(GATED, event, NOON + 5 * MINUTE)


def texts() -> dict[str, str]:
    """Return what people read of each block."""
    decisions = {claim: tick(GATED, answers) for claim, (answers, _) in BLOCKS.items()}
    decisions["none is called yet"] = tick(GATED)
    with pytest.raises(UsageError) as refused:
        promote({GATE: NO, CI: YES})
    return {
        **{claim: decision_text(decision) for claim, decision in decisions.items()},
        "a promotion is refused": str(refused.value),
    }
