"""A rollback is confirmed or pages, and a weight that comes back is lowered for a short time."""

from controller.immutable import replace
from tests.sentences import decision_text
from tests.support.cases import cases
from tests.support.core import (
    Alert,
    Condition,
    ConditionKind,
    Decision,
    Measured,
    Reason,
    Rollout,
    Severity,
    Target,
    TargetReading,
    Verb,
    waits_for,
)
from tests.support.rollouts import MINUTE, NOON, a_reading, with_state
from tests.support.three_steps import (
    AFTER_ROLLBACK,
    AT_10,
    DURING_ROLLBACK,
    FAILING,
    FIRST_RAISE,
    HEALTHY,
    LOWER,
    LOWER_BY_OPERATOR,
    NO_DATA,
    ON_HOLD,
    OUTAGE,
    RAISING,
    UNREADABLE,
    UNREADABLE_FOR_GOOD,
    UPDATE_FAILED,
    UPDATE_IN_PROGRESS,
    a_rollout_paused_in_flight,
    decide_command,
    decide_tick,
    refused_write,
)


@cases("target, minute, critical", {
    "within rollback_timeout": (a_reading(10), 5, False),
    "past rollback_timeout": (a_reading(10), 5.1, True),
    "past rollback_timeout, still moving": (a_reading(0, UPDATE_IN_PROGRESS), 5.1, True),
    "past rollback_timeout, unreadable": (UNREADABLE, 5.1, True),
    "hopeless, at once": (UNREADABLE_FOR_GOOD, 0, True),
})  # fmt: skip
def test_a_rollback_that_is_not_confirmed_pages(
    target: Target, minute: float, critical: bool
) -> None:
    decision = decide_tick(DURING_ROLLBACK, target, minute)
    assert decision.alert is (Alert.ROLLBACK_UNCONFIRMED if critical else None)
    assert [notice.severity for notice in decision.notices] == [Severity.CRITICAL] * critical
    moment = NOON + minute * MINUTE
    assert (decision.record.at if decision.record else None) == (moment if critical else None)
    condition = decision.rollout.conditions[ConditionKind.UNCONFIRMED]
    assert (condition.critical, condition.announced) == (critical, moment if critical else None)


def test_the_history_says_when_a_rollback_was_not_confirmed_and_why() -> None:
    decision = decide_tick(DURING_ROLLBACK, a_reading(0, UPDATE_FAILED, detail="no space"), 6)
    assert decision.record is not None
    assert (decision.record.kind, decision.record.reason) == (
        "rollback_unconfirmed", Reason.GATE_FAILED,
    )  # fmt: skip
    assert "no space" in decision.record.sentence


def test_a_refused_rollback_pages_every_quarter_hour_and_is_recorded_once() -> None:
    """A write that is refused at each tick, from the tick that decides the rollback on."""
    decision = refused_write(decide_tick(AT_10, a_reading(10), 7, FAILING), 7)
    kinds, alarms, pages = [decision.record.kind if decision.record else ""], 1, [7]
    for minute in range(8, 43):
        decision = refused_write(decide_tick(decision.rollout, a_reading(10), minute), minute)
        kinds += [decision.record.kind] if decision.record else []
        alarms += decision.alert is Alert.ROLLBACK_UNCONFIRMED
        pages += [minute] * len(decision.notices)
    assert (kinds, alarms, pages) == (["rolling_back", "rollback_unconfirmed"], 36, [7, 22, 37])


def test_a_rollback_that_has_paged_says_what_it_waits_for_now() -> None:
    """Its target could not be read for good, which pages at once; then it can be read again."""
    paged = decide_tick(DURING_ROLLBACK, UNREADABLE_FOR_GOOD, 1).rollout
    assert UNREADABLE_FOR_GOOD.reason in waits_for(paged)
    after = decide_tick(paged, a_reading(10), 2).rollout
    assert UNREADABLE_FOR_GOOD.reason not in waits_for(after)
    assert "the target shows NEW_PATH_PERCENTAGE=10" in waits_for(after)


def test_a_rollback_after_a_day_of_reminders_pages_at_once() -> None:
    told = Condition(NOON, "too few samples", announced=NOON + 6 * MINUTE)
    reminded = ON_HOLD.with_condition(ConditionKind.PAUSED, told)
    decision = refused_write(decide_tick(reminded, a_reading(10), 7, FAILING), 7)
    assert decision.notices[-1].severity is Severity.CRITICAL


def test_a_rollback_forgets_what_the_rollout_waited_for() -> None:
    waiting = AT_10.with_condition(ConditionKind.BLOCKED, Condition(NOON, "frozen"))
    waiting = with_state(waiting, since=NOON - 60 * MINUTE)
    after = decide_tick(waiting, a_reading(10), 7, FAILING).rollout
    assert (after.since, after.conditions, after.weight) == (NOON + 7 * MINUTE, {}, 0)


def test_the_weight_of_a_newer_rollout_is_not_lowered() -> None:
    decision = decide_tick(AFTER_ROLLBACK, a_reading(10), 14, owns=False)
    assert (decision.move, decision.notices, decision.alert) == (None, (), None)


def test_asking_twice_for_a_rollback_does_not_put_off_its_alarm() -> None:
    again = decide_command(DURING_ROLLBACK, Verb.ROLLBACK, a_reading(10), minute=4).rollout
    assert decide_tick(again, a_reading(10), 6).alert is Alert.ROLLBACK_UNCONFIRMED


def leak_checked(measured: Measured) -> Decision:
    """Return the decision of the tick that learns what became of the requests."""
    failed = decide_tick(AT_10, a_reading(10), 7, FAILING).rollout
    rollout = decide_tick(failed, a_reading(0), 8).rollout
    for minute in range(9, 23):
        decision = decide_tick(rollout, a_reading(0), minute, measured)
        rollout = decision.rollout
        if rollout.leak_check is not None:
            return decision
        assert (decision.record, decision.notices) == (None, ())
    raise AssertionError("the leak check never ended")


def test_each_rollback_and_each_guard_reports_anew_that_it_was_refused() -> None:
    """A refused rollback silences neither its guard nor the next rollback."""

    def refused(decision: Decision, minute: int) -> tuple[Rollout, str, bool]:
        late = refused_write(decision, minute)
        assert late.record is not None
        pages = late.notices[-1].severity is Severity.CRITICAL
        return late.rollout, late.record.kind, pages

    rollout, *rollback = refused(decide_tick(DURING_ROLLBACK, a_reading(10), 1), 1)
    rollout, *guard = refused(
        decide_tick(decide_tick(rollout, a_reading(0), 2).rollout, a_reading(10), 3), 3
    )
    by_hand = decide_command(rollout, Verb.ROLLBACK, a_reading(10), minute=4)
    rollout, *_ = refused(by_hand, 4)
    again = refused_write(decide_tick(rollout, a_reading(10), 5), 5).record
    assert rollback == guard == ["rollback_unconfirmed", True]
    assert again is not None
    assert again.kind == "rollback_unconfirmed"


@cases("rollout, target, void", {
    "a first raise that is pending": (FIRST_RAISE, a_reading(0), "token-1"),
    "a paused one": (a_rollout_paused_in_flight(10), a_reading(0), "token-1"),
    "a later raise: lowering writes in any case": (RAISING, a_reading(10), ""),
    "a raise that was seen in force": (AT_10, a_reading(10), ""),
    "none": (DURING_ROLLBACK, a_reading(10), ""),
})  # fmt: skip
def test_a_rollback_outdates_in_every_tick_the_token_of(
    rollout: Rollout, target: TargetReading, void: str
) -> None:
    """Another run may be about to write it, and at 0% lowering would leave its token as it is."""
    decision = decide_command(rollout, Verb.ROLLBACK, target)
    assert decision.move == replace(LOWER_BY_OPERATOR, outdated_token=void)
    assert decide_tick(decision.rollout, UNREADABLE, 2).move == replace(LOWER, outdated_token=void)


def texts() -> dict[str, str]:
    """Return what people read of rollbacks that are refused, or whose requests are known."""
    failing = decide_tick(AT_10, a_reading(10), 7, FAILING)
    decisions = {
        "a rollback that was refused as it was decided": refused_write(failing, 7),
        "a rollback that was refused later":
            refused_write(decide_tick(DURING_ROLLBACK, a_reading(10), 6), 6),
        "a guard that was refused":
            refused_write(decide_tick(AFTER_ROLLBACK, a_reading(10), 1), 1),
        "requests that left": leak_checked(NO_DATA),
        "requests that nothing shows": leak_checked(OUTAGE),
        "requests that go on": leak_checked(HEALTHY),
    }  # fmt: skip
    return {claim: decision_text(decision) for claim, decision in decisions.items()}
