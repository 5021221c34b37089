"""Notices that are not transitions: a new hold, the summary of a long bake, repeated pages."""

from datetime import timedelta

import pytest

from controller.immutable import replace
from tests.sentences import decision_text
from tests.support.cases import cases
from tests.support.core import (
    Condition,
    ConditionKind,
    Decision,
    Notice,
    Phase,
    Policy,
    Rollout,
    Severity,
    UnreadableTarget,
    UsageError,
    Verb,
    next_action,
)
from tests.support.rollouts import LADDER, MINUTE, NOON, a_policy, a_reading
from tests.support.three_steps import (
    AFTER_ROLLBACK,
    AT_10,
    DURING_ROLLBACK,
    HEALTHY,
    NO_DATA,
    TOO_FEW_REQUESTS,
    UNREADABLE,
    at_weight,
    decide_command,
    decide_tick,
    refused_write,
    under,
)

CHANNELS = [{"kind": "eventbridge"}]
# A page is repeated so often, for so long; 0% is guarded for so long after a rollback.
REPEAT_FOR, GUARD = timedelta(days=1), 15 * MINUTE


def with_channel(rollout: Rollout, **parts: object) -> Rollout:
    """Return `rollout` with a policy that has a channel."""
    return under(rollout, notify=CHANNELS, **parts)


def kinds(decision: Decision) -> list[str]:
    return [notice.kind for notice in decision.notices]


def critical(decision: Decision) -> list[Notice]:
    return [notice for notice in decision.notices if notice.severity is Severity.CRITICAL]


# --- Holds ----------------------------------------------------------------------------------------


def test_a_hold_is_reported_when_it_begins_and_not_again() -> None:
    first = decide_tick(AT_10, a_reading(10), 16, TOO_FEW_REQUESTS)
    assert [(notice.severity, notice.kind) for notice in first.notices] == [
        (Severity.WARNING, "on_hold")
    ]
    assert first.rollout.conditions[ConditionKind.BLOCKED].announced == NOON + 16 * MINUTE
    assert decide_tick(first.rollout, a_reading(10), 17, TOO_FEW_REQUESTS).notices == ()


# --- Summaries ------------------------------------------------------------------------------------

LONG = [*LADDER["steps"][:2], {"weight": 100, "bake": "24h"}]


def summaries(policy: Policy, minutes: range) -> list[int]:
    """Return the minutes of ticks at 100% that say how it goes."""
    rollout, summary_minutes = at_weight(100, policy=policy), []
    for minute in minutes:
        decision = decide_tick(rollout, a_reading(100), minute, HEALTHY)
        rollout = decision.rollout
        if "summary" in kinds(decision):
            summary_minutes.append(minute)
    return summary_minutes


def test_a_long_bake_at_100_says_how_it_goes_once_an_hour() -> None:
    policy = a_policy(notify=CHANNELS, steps=LONG)
    assert summaries(policy, range(1, 110)) == [60]
    assert summaries(policy, range(1, 110, 7)) == [64]


@cases("parts, minutes", {
    "no channel": ({}, []),
    "switched off": ({"notify": CHANNELS, "summary_every": "0s"}, []),
    "more often": ({"notify": CHANNELS, "summary_every": "30m"}, [30, 60, 90]),
})  # fmt: skip
def test_a_policy_sets_the_period_of_summaries(
    parts: dict[str, object], minutes: list[int]
) -> None:
    assert summaries(a_policy(steps=LONG, **parts), range(1, 110)) == minutes


def summary(**parts: object) -> Decision:
    """Return the decision of a tick after an hour at 100%."""
    policy = a_policy(notify=CHANNELS, steps=LONG, **parts)
    return decide_tick(at_weight(100, policy=policy, updated=NOON), a_reading(100), 61, HEALTHY)


WORKS = LADDER["criteria"]["works"]


# --- Pages ----------------------------------------------------------------------------------------


def drifted() -> Decision:
    """Return the decision on a weight that was raised outside rolloutctl, a minute after noon."""
    decision = decide_tick(with_channel(AT_10), a_reading(70), 1)
    assert critical(decision)
    return decision


def later(rollout: Rollout, minutes: float, weight: int = 70) -> Decision:
    after = (rollout.updated - NOON) / MINUTE + minutes
    return decide_tick(rollout, a_reading(weight), after)


def ack(rollout: Rollout, note: str = "") -> Decision:
    after = (rollout.updated - NOON) / MINUTE + 1
    return decide_command(rollout, Verb.ACK, a_reading(70), reason=note, minute=after)


def test_a_page_is_repeated_until_it_is_acknowledged() -> None:
    rollout = drifted().rollout
    pages = []
    for minute in range(1, 46):
        decision = later(rollout, 1)
        rollout = decision.rollout
        pages += [(minute, one.kind) for one in critical(decision)]
    assert pages == [(15, "repeated"), (30, "repeated"), (45, "repeated")]
    rollout = ack(rollout).rollout
    assert not [minute for minute in range(60) if critical(later(rollout, minute))]


def test_a_command_of_an_operator_delays_no_repeat() -> None:
    steps = [dict(LADDER["steps"][0]), {**LADDER["steps"][1], "approval": "required"}]
    rollout = decide_tick(
        with_channel(AT_10, steps=[*steps, LADDER["steps"][2]]), a_reading(70), 1
    ).rollout
    assert not critical(decide_command(rollout, Verb.APPROVE, a_reading(70), minute=15))
    assert critical(decide_command(rollout, Verb.APPROVE, a_reading(70), minute=16))


def test_who_acknowledges_is_recorded_with_a_note() -> None:
    decision = ack(drifted().rollout, "Anna is on it")
    assert decision.record is not None
    assert (decision.record.kind, decision.record.phase_to) == ("acknowledged", Phase.PAUSED)
    assert "Anna is on it" in decision.record.sentence
    assert decision.record.cause == {"verb": "ack", "reason": "Anna is on it", "way": ""}
    assert [notice.text for notice in decision.notices] == [
        f"checkout#1: {decision.record.sentence}"
    ]
    assert [notice.severity for notice in decision.notices] == [Severity.INFO]
    assert decision.move is None


@cases("rollout", {
    "nothing is critical": with_channel(AT_10),
    "it was acknowledged": ack(drifted().rollout).rollout,
    "the policy has no channel": decide_tick(AT_10, a_reading(70), 1).rollout,
})  # fmt: skip
def test_an_acknowledgement_of_nothing_is_refused(rollout: Rollout) -> None:
    with pytest.raises(UsageError):
        ack(rollout)


def test_a_pause_that_an_operator_ended_pages_no_more() -> None:
    rollout = decide_command(
        drifted().rollout, Verb.RESUME, a_reading(70), HEALTHY, way="keep", minute=5
    ).rollout
    assert rollout.phase is Phase.PROGRESSING
    assert later(rollout, 1).rollout.conditions == {}
    assert not [minute for minute in (1, 20, 40) if critical(later(rollout, minute))]


def stuck() -> Rollout:
    """Return a rollback that its target has refused for too long, and that has paged."""
    decision = decide_tick(with_channel(DURING_ROLLBACK), UNREADABLE, 6)
    assert kinds(decision) == ["rollback_unconfirmed"]
    return decision.rollout


def requests_that_go_on() -> Rollout:
    """Return a rollback whose canary still gets requests six minutes after noon."""
    return decide_tick(with_channel(AFTER_ROLLBACK), a_reading(0), 6, HEALTHY).rollout


def test_a_rollback_that_is_stuck_pages_on_and_not_after_an_acknowledgement() -> None:
    rollout = stuck()
    assert critical(decide_tick(rollout, UNREADABLE, 21))
    acknowledged = ack(rollout).rollout
    decision = decide_tick(acknowledged, UNREADABLE, 22)
    assert not critical(decision)
    assert decision.alert is not None  # the tick's exit status is another matter


def test_what_is_critical_again_is_one_page_with_the_newest_text() -> None:
    first = stuck()
    decision = decide_tick(first, UnreadableTarget("the function is gone"), 21)
    (notice,) = critical(decision)
    before = first.conditions[ConditionKind.UNCONFIRMED]
    assert notice.text != before.text
    now = replace(before, text=notice.text, announced=NOON + 21 * MINUTE)
    assert decision.rollout.conditions == {ConditionKind.UNCONFIRMED: now}


def test_something_else_that_is_critical_pages_after_an_acknowledgement() -> None:
    """Requests went on after the rollback; then its weight comes back, and is not lowered."""
    acknowledged = ack(requests_that_go_on()).rollout
    assert not critical(decide_tick(acknowledged, a_reading(0), 14))
    refused = refused_write(decide_tick(acknowledged, a_reading(10), 14), 14)
    assert [one.kind for one in critical(refused)] == ["rollback_unconfirmed"]


def test_a_rollback_that_is_confirmed_after_all_pages_no_more() -> None:
    rollout = decide_tick(stuck(), a_reading(0), 7).rollout
    assert rollout.phase is Phase.ROLLED_BACK
    assert not critical(decide_tick(rollout, a_reading(0), 20, NO_DATA))
    assert rollout.watch_until == NOON + 7 * MINUTE + GUARD


def test_a_refused_rollback_pages_for_a_day_and_lowers_no_longer_than_its_guard() -> None:
    rollout = with_channel(AFTER_ROLLBACK)
    paged = refused_write(decide_tick(rollout, a_reading(10), 3), 3).rollout
    assert paged.watch_until == NOON + 3 * MINUTE + REPEAT_FOR
    assert "rolloutctl ack checkout#1" in next_action(paged).text
    assert next_action(paged).at == paged.watch_until
    end = GUARD / MINUTE
    assert decide_tick(paged, a_reading(10), end - 1).move is not None
    assert decide_tick(paged, a_reading(10), end).move is None
    late = decide_tick(paged, a_reading(10), 40)
    assert late.move is None
    assert [one.kind for one in critical(late)] == ["repeated"]
    assert ack(late.rollout).rollout.watch_until == NOON + GUARD


@cases("minute", {"in the guard": 5, "after it": 40})
def test_a_weight_that_is_taken_back_in_the_end_pages_no_more(minute: float) -> None:
    """Lambda refuses to lower a weight that came back, once; then 0% is read back."""
    rollout = with_channel(AFTER_ROLLBACK)
    paged = refused_write(decide_tick(rollout, a_reading(10), 3), 3).rollout
    lowered = decide_tick(paged, a_reading(10), 4).rollout
    ended = decide_tick(lowered, a_reading(0), minute, NO_DATA)
    assert [(notice.severity, notice.text) for notice in ended.notices] == [
        (Severity.INFO, "checkout#1: 0% is applied again (read back from handler)")
    ]
    assert (ended.rollout.conditions, ended.rollout.watch_until) == ({}, NOON + GUARD)
    assert not decide_tick(ended.rollout, a_reading(0), minute + 1, NO_DATA).notices


def test_0_percent_that_is_read_does_not_end_the_page_of_requests_that_go_on() -> None:
    paged = requests_that_go_on()
    assert decide_tick(paged, a_reading(0), 7).rollout.conditions == paged.conditions


def test_a_rollback_without_a_leak_check_yet_is_watched_as_ever() -> None:
    page = Condition(NOON, "access denied", announced=NOON, critical=True)
    rollout = with_channel(AFTER_ROLLBACK).with_condition(ConditionKind.UNCONFIRMED, page)
    after = decide_tick(rollout, UNREADABLE, 1).rollout
    assert (after.leak_check, after.watch_until) == (None, NOON + GUARD)


def test_a_rollout_that_is_visited_longer_for_its_messages_repeats_nothing_any_more() -> None:
    """Otherwise a channel that is down for good would get repeats, and cause visits, for good."""
    paged = requests_that_go_on()
    last = REPEAT_FOR / MINUTE + 6
    assert [one.kind for one in critical(decide_tick(paged, a_reading(0), last - 1))] == [
        "repeated"
    ]
    assert not critical(decide_tick(paged, a_reading(0), last))


def texts() -> dict[str, str]:
    """Return what people read of each notice."""
    refused = refused_write(decide_tick(with_channel(AFTER_ROLLBACK), a_reading(10), 3), 3)
    decisions = {
        "a summary of two criteria": summary(criteria={"works": WORKS, "steady": WORKS}),
        "a summary before anything is judged": summary(warmup="2h"),
        "a repeated page": later(drifted().rollout, 15),
        "an acknowledgement": ack(drifted().rollout),
        "an acknowledgement with a note": ack(drifted().rollout, "Anna is on it"),
        "a page of a rollout that is over": refused,
    }
    return {claim: decision_text(decision) for claim, decision in decisions.items()}
