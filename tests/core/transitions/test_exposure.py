"""An exposure budget delays an advance to a step with too much traffic, and nothing else."""

from datetime import timedelta
from typing import Any

from tests.support.cases import cases
from tests.support.core import (
    Measured,
    Phase,
    QueryStatus,
    Reason,
    Rollout,
    SetWeight,
    Severity,
    Verb,
    next_action,
    waits_for,
)
from tests.support.rollouts import LADDER, MINUTE, NOON, a_reading, a_series
from tests.support.three_steps import (
    AT_10,
    AT_100,
    FAILING,
    HEALTHY,
    LOWER,
    NO_DATA,
    OUTAGE,
    decide_command,
    decide_tick,
    series,
    under,
)

# 100 requests a minute are 10%, so 500 are 50%. An outage that begins with them is in the second
# of two windows after 2 minutes of warm-up, final 3 minutes later and taken back within one more.
EXPECTED = 500 * (2 + 2 + 3 + 1)
FIRST, SECOND, THIRD = LADDER["steps"]


def at_10(budget: int, **parts: Any) -> Rollout:
    return under(AT_10, max_bad_requests=budget, **parts)


TIGHT, WIDE = at_10(EXPECTED - 1), at_10(EXPECTED)


def traffic(busy: float, quiet: float, minute: int) -> Measured:
    """Return a healthy canary with `busy` requests a minute from noon on, and `quiet` later on."""
    counts = [busy] * minute + [quiet] * 60
    return {"requests:Sum@60": a_series(counts), "errors:Sum@60": a_series([0] * len(counts))}


def test_an_advance_to_too_much_traffic_waits_and_says_what_would_change_it() -> None:
    decision = decide_tick(TIGHT, a_reading(10), 15)
    after = decision.rollout
    assert (after.phase, after.weight, decision.move) == (Phase.PROGRESSING, 10, None)
    assert after.reason is Reason.OVER_EXPOSURE_BUDGET
    assert [notice.severity for notice in decision.notices] == [Severity.WARNING]
    assert decision.record is not None
    assert decision.record.kind == "blocked"
    for fact in ("4,000 requests", "1,000 a minute", "50%", "8m", "3,999", "at most about 999"):
        assert fact in waits_for(after)
    assert waits_for(after) in after.sentence
    assert f"rolloutctl promote {after.id}" in next_action(after).text


def test_declared_probes_are_no_traffic_of_users() -> None:
    """The canary counts 100 requests a minute at 10%, 60 of which are probes."""
    waiting = decide_tick(at_10(1, probes_per_minute=60), a_reading(10), 15).rollout
    assert waiting.reason is Reason.OVER_EXPOSURE_BUDGET
    assert "(400 a minute x 50%" in waits_for(waiting)


def test_it_is_reported_once_and_then_once_a_day() -> None:
    waiting = decide_tick(TIGHT, a_reading(10), 15).rollout
    again = decide_tick(waiting, a_reading(10), 16)
    assert (again.notices, again.record) == ((), None)
    assert next_action(again.rollout).at == NOON + 15 * MINUTE + timedelta(days=1)
    later = decide_tick(again.rollout, a_reading(10), 15 + 24 * 60, traffic(100, 100, 24 * 60))
    assert [one.kind for one in [later.record] if one] == ["reminded"]
    assert len(later.notices) == 1


def test_an_expected_exposure_of_exactly_the_budget_goes_up_and_is_recorded() -> None:
    decision = decide_tick(WIDE, a_reading(10), 15)
    assert decision.move == SetWeight(50, "token-1")
    assert decision.record is not None
    assert "4,000 requests" in decision.record.sentence
    assert "max_bad_requests is 4,000" in decision.notices[0].text


def test_it_goes_up_once_the_traffic_of_the_last_quarter_of_an_hour_is_lower() -> None:
    falling = traffic(100, 10, 20)
    waiting = decide_tick(TIGHT, a_reading(10), 20, falling).rollout
    assert waiting.reason is Reason.OVER_EXPOSURE_BUDGET
    first = next(
        minute
        for minute in range(21, 60)
        if decide_tick(waiting, a_reading(10), minute, falling).move is not None
    )
    assert first == 24  # one quiet minute of 15 is enough: the budget lacks one request


@cases("budgets, weight", {
    "a step's own number is the one that counts": ((1, EXPECTED), 50),
    "and is stricter than that of the policy": ((1_000_000, 1), 10),
})  # fmt: skip
def test_a_step_overrides_the_policy(budgets: tuple[int, int], weight: int) -> None:
    policy, own = budgets
    rollout = at_10(policy, steps=[FIRST, {**SECOND, "max_bad_requests": own}, THIRD])
    assert decide_tick(rollout, a_reading(10), 15).rollout.weight == weight


def test_a_budget_of_one_step_leaves_the_others_alone() -> None:
    steps = [FIRST, SECOND, {**THIRD, "max_bad_requests": 1}]
    assert decide_tick(under(AT_10, steps=steps), a_reading(10), 15).rollout.weight == 50


def test_success_after_the_last_step_needs_no_budget() -> None:
    decision = decide_tick(under(AT_100, max_bad_requests=1), a_reading(100), 35)
    assert decision.rollout.phase is Phase.SUCCEEDED


# --- What it never delays -------------------------------------------------------------------------


def waiting() -> Rollout:
    return decide_tick(TIGHT, a_reading(10), 15).rollout


@cases("weight, measured, phase, move", {
    "a criterion that fails goes back": (10, FAILING, Phase.ROLLING_BACK, LOWER),
    "0% ends it": (0, HEALTHY, Phase.ROLLED_BACK, None),
    "drift pauses": (30, HEALTHY, Phase.PAUSED, None),
})  # fmt: skip
def test_the_live_step_is_judged_as_before(
    weight: int, measured: Measured, phase: Phase, move: object
) -> None:
    decision = decide_tick(waiting(), a_reading(weight), 16, measured)
    assert (decision.rollout.phase, decision.move) == (phase, move)


def test_an_operator_promotes_over_it_and_the_history_says_what_was_accepted() -> None:
    decision = decide_command(waiting(), Verb.PROMOTE, a_reading(10), HEALTHY, reason="a quiet day")
    assert decision.move == SetWeight(50, "token-1")
    assert decision.record is not None
    assert "4,000 requests" in decision.record.sentence
    assert decision.record.cause["verb"] == "promote"


# --- Traffic that is not known --------------------------------------------------------------------


def test_a_gate_that_loses_its_verdict_spends_no_hold_while_the_traffic_is_too_high() -> None:
    breaching = {**traffic(100, 100, 0), "errors:Sum@60": a_series([0] * 15 + [5] + [0] * 44)}
    decision = decide_tick(waiting(), a_reading(10), 19, breaching)
    assert decision.rollout.reason is Reason.OVER_EXPOSURE_BUDGET
    assert decision.move is None


@cases("measured", {"the canary is silent": NO_DATA, "no metric is answered": OUTAGE})
def test_a_canary_that_is_not_seen_any_more_holds_with_a_limit(measured: Measured) -> None:
    held = decide_tick(waiting(), a_reading(10), 16, measured).rollout
    assert held.reason is Reason.ON_HOLD
    assert decide_tick(held, a_reading(10), 37, measured).rollout.phase is Phase.PAUSED


def test_an_unproven_advance_waits_while_its_traffic_is_not_known() -> None:
    rollout = at_10(1_000_000, on_inconclusive="advance")
    after = decide_tick(rollout, a_reading(10), 33, OUTAGE).rollout
    assert after.reason is Reason.OVER_EXPOSURE_BUDGET
    assert "could not be measured" in waits_for(after)


def test_a_partial_answer_lets_nothing_up() -> None:
    partial = series(1, 0, QueryStatus.PARTIAL)
    assert decide_tick(waiting(), a_reading(10), 16, partial).move is None
