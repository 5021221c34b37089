"""A rollback is confirmed or pages, and 0 % is guarded briefly and narrowly."""

from dataclasses import replace

import pytest

from controller.core.commands import Ask, Verb, asked
from controller.core.decide import refused
from controller.core.decision import Alert, Decision, Notice, Severity
from controller.core.judge.findings import Finding, Label, Verdict
from controller.core.observation import Observation, Reading, Unreadable
from controller.core.rollout import Reason, Rollout
from controller.core.transitions.rollback import drained
from tests.support.rollouts import ARN, LADDER, MINUTE, NOON, a_policy, reads
from tests.support.three_steps import (
    AT_10,
    BACK,
    DONE,
    FAILED,
    FIRST_RAISE,
    GOING_BACK,
    GONE,
    HOPELESS,
    LOWER,
    MOVING,
    ON_HOLD,
    RAISING,
    SICK,
    ask,
    paused_in_flight,
    tick,
)


@pytest.mark.parametrize(
    ("target", "minute", "critical"),
    [
        pytest.param(reads(10), 5, False, id="within rollback_timeout"),
        pytest.param(reads(10), 5.1, True, id="past rollback_timeout"),
        pytest.param(reads(0, MOVING), 5.1, True, id="past rollback_timeout, still moving"),
        pytest.param(GONE, 5.1, True, id="past rollback_timeout, unreadable"),
        pytest.param(HOPELESS, 0, True, id="hopeless, at once"),
    ],
)
def test_a_rollback_that_is_not_confirmed_pages(
    target: Reading | Unreadable, minute: float, critical: bool
) -> None:
    decision = tick(GOING_BACK, target, minute)
    assert decision.alert is (Alert.ROLLBACK_UNCONFIRMED if critical else None)
    assert [one.severity for one in decision.notices] == [Severity.CRITICAL] * critical
    moment = NOON + minute * MINUTE
    assert (decision.record.at if decision.record else None) == (moment if critical else None)
    assert decision.rollout.reminded == (moment if critical else None)


def test_an_unconfirmed_rollback_ends_every_tick_in_alarm_and_pages_every_quarter_hour() -> None:
    rollout, alarms, pages, entries = GOING_BACK, 0, [], []
    for minute in range(1, 31):
        decision = tick(rollout, reads(10), minute)
        alarms += decision.alert is Alert.ROLLBACK_UNCONFIRMED
        pages += [minute] * len(decision.notices)
        entries += [minute] if decision.record else []
        rollout = decision.rollout
    assert (alarms, pages, entries) == (25, [6, 21], [6])


def test_the_page_says_what_to_write_where() -> None:
    (notice,) = tick(GOING_BACK, reads(10), 6).notices
    assert notice.text == (
        "checkout#1 is NOT rolled back: the target shows NEW_PATH_PERCENTAGE=10. Rolling back "
        "since 2026-11-24 12:00 UTC; set NEW_PATH_PERCENTAGE=0 and NEW_PATH=false by hand on "
        f"{ARN}."
    )


def test_the_page_names_no_boolean_where_the_target_has_none() -> None:
    alone = a_policy(target={**LADDER["target"], "boolean": None})
    (notice,) = tick(replace(GOING_BACK, policy=alone), reads(10), 6).notices
    assert notice.text.endswith(f"; set NEW_PATH_PERCENTAGE=0 by hand on {ARN}.")


def test_the_history_says_when_a_rollback_was_not_confirmed_and_why() -> None:
    decision = tick(GOING_BACK, reads(0, FAILED, detail="no space"), 6)
    assert decision.record is not None
    assert (decision.record.kind, decision.record.reason) == (
        "rollback_unconfirmed", Reason.GATE_FAILED,
    )  # fmt: skip
    assert decision.record.sentence.startswith(
        "checkout#1 is NOT rolled back: the target shows NEW_PATH_PERCENTAGE=0, and its last "
        "update failed: no space."
    )


def test_a_refused_rollback_pages_every_quarter_hour_and_is_recorded_once() -> None:
    """A write that is refused at each tick, from the tick that decides the rollback on."""
    decision = refused(tick(AT_10, reads(10), 7, SICK), "access denied", NOON + 7 * MINUTE)
    kinds, alarms, pages = [decision.record.kind if decision.record else ""], 1, [7]
    for minute in range(8, 43):
        now = NOON + minute * MINUTE
        decision = refused(tick(decision.rollout, reads(10), minute), "access denied", now)
        kinds += [decision.record.kind] if decision.record else []
        alarms += decision.alert is Alert.ROLLBACK_UNCONFIRMED
        pages += [minute] * len(decision.notices)
    assert (kinds, alarms, pages) == (["rolling_back", "rollback_unconfirmed"], 36, [7, 22, 37])


def test_a_refusal_is_told_beside_what_it_stopped() -> None:
    decision = refused(tick(AT_10, reads(10), 7, SICK), "access denied", NOON + 7 * MINUTE)
    assert [one.severity for one in decision.notices] == [Severity.WARNING, Severity.CRITICAL]
    assert decision.notices[1].text == (
        "checkout#1 is NOT rolled back: access denied. Rolling back since 2026-11-24 12:07 UTC; "
        f"set NEW_PATH_PERCENTAGE=0 and NEW_PATH=false by hand on {ARN}."
    )
    assert (decision.move, decision.rollout.blocked) == (LOWER, "access denied")


def test_a_page_that_is_due_anyway_names_the_refusal() -> None:
    late = refused(tick(GOING_BACK, reads(10), 6), "access denied", NOON + 6 * MINUTE)
    assert late.record is not None
    assert [one.text for one in late.notices] == [late.record.sentence]
    assert late.record.sentence.startswith("checkout#1 is NOT rolled back: access denied. ")


def test_a_guard_that_is_refused_pages_once_and_says_that_traffic_is_back() -> None:
    rollout, pages, kinds = BACK, [], []
    for minute in range(1, 15):
        now = NOON + minute * MINUTE
        decision = refused(tick(rollout, reads(10), minute), "access denied", now)
        pages += [one.text for one in decision.notices if one.severity is Severity.CRITICAL]
        kinds += [decision.record.kind] if decision.record else []
        assert decision.alert is Alert.ROLLBACK_UNCONFIRMED
        rollout = decision.rollout
    assert kinds == ["rollback_unconfirmed"] + ["guarding_zero"] * 13
    assert pages == [
        "checkout#1 is NOT at 0 % any more: 10 % came back after the rollback and could not be "
        "lowered: access denied; set NEW_PATH_PERCENTAGE=0 and NEW_PATH=false by hand on "
        f"{ARN}."
    ]


def test_a_rollback_after_a_day_of_reminders_pages_at_once() -> None:
    reminded = replace(ON_HOLD, reminded=NOON + 6 * MINUTE)
    decision = refused(tick(reminded, reads(10), 7, SICK), "access denied", NOON + 7 * MINUTE)
    assert decision.notices[-1].severity is Severity.CRITICAL


def test_a_rollback_of_an_attempt_that_ended_does_not_move_the_end_of_its_exposure() -> None:
    ended = replace(GOING_BACK, exposed_to=NOON - 60 * MINUTE)
    assert tick(ended, reads(0), 2).rollout.exposed_to == NOON - 60 * MINUTE


def test_a_rollback_forgets_what_the_rollout_waited_for() -> None:
    waiting = replace(AT_10, blocked="the bake", since=NOON - 60 * MINUTE)
    after = tick(waiting, reads(10), 7, SICK).rollout
    assert (after.since, after.blocked, after.weight) == (NOON + 7 * MINUTE, "", 0)


def test_a_rollback_ends_the_exposure_and_guards_zero() -> None:
    after = tick(replace(GOING_BACK, blocked="the target"), reads(0), 2).rollout
    assert (after.since, after.exposed_to, after.watch_until, after.blocked) == (
        NOON + 2 * MINUTE, NOON + 2 * MINUTE, NOON + 17 * MINUTE, "",
    )  # fmt: skip


def test_a_success_that_is_rolled_back_is_not_watched_as_a_success_any_more() -> None:
    back = asked(
        DONE, Ask(Verb.ROLLBACK, "by hand"), Observation(reads(100)), NOON + MINUTE
    ).rollout
    assert back.watch_until is None


def test_a_weight_that_comes_back_is_recorded_as_guarded() -> None:
    decision = tick(BACK, reads(10), 14)
    assert decision.record is not None
    assert (decision.record.kind, decision.record.reason) == ("guarding_zero", Reason.GUARDING_ZERO)
    assert decision.record.sentence == (
        "checkout#1: 10 % came back after the rollback; lowering it again"
    )
    assert [one.severity for one in decision.notices] == [Severity.WARNING]


def test_zero_is_not_guarded_against_a_newer_rollout() -> None:
    decision = tick(BACK, reads(10), 14, owns=False)
    assert (decision.move, decision.notices, decision.alert) == (None, (), None)


def test_asking_twice_for_a_rollback_does_not_put_off_its_alarm() -> None:
    again = asked(
        GOING_BACK, Ask(Verb.ROLLBACK, "again"), Observation(reads(10)), NOON + 4 * MINUTE
    ).rollout
    assert tick(again, reads(10), 6).alert is Alert.ROLLBACK_UNCONFIRMED


def test_asking_again_for_a_rollback_that_has_paged_pages_no_sooner() -> None:
    paged = tick(GOING_BACK, reads(10), 6).rollout
    again = asked(
        paged, Ask(Verb.ROLLBACK, "again"), Observation(reads(10)), NOON + 7 * MINUTE
    ).rollout
    late = tick(again, reads(10), 8)
    assert (late.alert, late.notices, late.record) == (Alert.ROLLBACK_UNCONFIRMED, (), None)
    assert len(tick(late.rollout, reads(10), 21).notices) == 1


def drain(verdict: Verdict, label: Label) -> Finding:
    return Finding("drain", verdict, label, 0.0, 0.0, 0, 0, 300, "what became of the requests")


@pytest.mark.parametrize(
    ("found", "severity", "alert"),
    [
        (drain(Verdict.PASS, Label.CONFIRMED), Severity.INFO, None),
        (drain(Verdict.INCONCLUSIVE, Label.UNOBSERVABLE), Severity.INFO, None),
        (drain(Verdict.FAIL, Label.REFUTED), Severity.CRITICAL, Alert.ROLLBACK_UNCONFIRMED),
    ],
    ids=["confirmed", "unobservable", "refuted"],
)
def test_what_became_of_the_requests_is_kept_told_and_recorded(
    found: Finding, severity: Severity, alert: Alert | None
) -> None:
    decision = drained(BACK, found, NOON + 5 * MINUTE)
    assert (decision.rollout, decision.move, decision.alert) == (
        replace(BACK, drain=found), None, alert,
    )  # fmt: skip
    assert decision.notices == (Notice(severity, "checkout#1: what became of the requests"),)
    assert decision.record is not None
    assert (decision.record.kind, decision.record.reason, decision.record.findings) == (
        "drained", Reason.WATCHING, (found,),
    )  # fmt: skip
    assert decision.record.sentence == "what became of the requests"
    assert decision.record.keeps_series


def test_a_drain_that_is_not_known_yet_changes_nothing() -> None:
    assert drained(BACK, None, NOON + 5 * MINUTE) == Decision(BACK)


def test_a_new_rollback_forgets_the_drain_of_the_last() -> None:
    known = replace(BACK, drain=drain(Verdict.FAIL, Label.REFUTED))
    again = asked(
        known, Ask(Verb.ROLLBACK, "again"), Observation(reads(0)), NOON + 4 * MINUTE
    ).rollout
    assert again.drain is None


def test_each_rollback_and_each_guard_tells_anew_that_it_was_refused() -> None:
    """A refused rollback is no reason to be silent about its guard, or the next rollback."""

    def told(decision: Decision, minute: int) -> tuple[Rollout, str, bool]:
        late = refused(decision, "access denied", NOON + minute * MINUTE)
        assert late.record is not None
        pages = late.notices[-1].severity is Severity.CRITICAL
        return late.rollout, late.record.kind, pages

    rollout, *rollback = told(tick(GOING_BACK, reads(10), 1), 1)
    rollout, *guard = told(tick(tick(rollout, reads(0), 2).rollout, reads(10), 3), 3)
    by_hand = asked(
        rollout, Ask(Verb.ROLLBACK, "by hand"), Observation(reads(10)), NOON + 4 * MINUTE
    )
    rollout, *_ = told(by_hand, 4)
    again = refused(tick(rollout, reads(10), 5), "access denied", NOON + 5 * MINUTE).record
    assert rollback == guard == ["rollback_unconfirmed", True]
    assert again is not None
    assert again.kind == "rollback_unconfirmed"


@pytest.mark.parametrize(
    ("rollout", "target", "void"),
    [
        pytest.param(FIRST_RAISE, reads(0), "token-1", id="a first raise that nobody saw yet"),
        pytest.param(paused_in_flight(10), reads(0), "token-1", id="a paused one"),
        pytest.param(RAISING, reads(10), "", id="a later raise: lowering writes in any case"),
        pytest.param(AT_10, reads(10), "", id="a raise that was seen in force"),
        pytest.param(GOING_BACK, reads(10), "", id="none"),
    ],
)
def test_a_rollback_outdates_the_token_of(rollout: Rollout, target: Reading, void: str) -> None:
    """Another run may be about to write it, and at 0 % lowering would leave its token as it is."""
    assert ask(rollout, Verb.ROLLBACK, target).move == replace(LOWER, void=void)
