"""A raise that nobody has seen in force meets a pause: what was live is judged on, until it is."""

from dataclasses import replace
from typing import Any

import pytest

from controller.core.commands import Command, Verb
from controller.core.decision import Alert, Notice, Severity
from controller.core.judge.sealing import evidence_of
from controller.core.observation import Observation, TargetReading, UnreadableTarget
from controller.core.policy import Policy
from controller.core.rollout import Intent, Phase, Reason, Rollout
from controller.errors import UsageError
from controller.operations.verify import settled_window
from tests.core.judge.test_evidence_over_steps import policy as weighed
from tests.core.test_replay import Life, a_life
from tests.core.transitions.test_pending_raise import WORKS, between
from tests.support.rollouts import LADDER, MINUTE, NOON, a_policy, a_reading
from tests.support.three_steps import (
    FIRST_RAISE,
    LATER,
    RAISING,
    UNREADABLE,
    UPDATE_IN_PROGRESS,
    decide_command,
    decide_tick,
)

PAUSED, BACK = Phase.PAUSED, Phase.ROLLING_BACK
MILD = {**WORKS, "min": "50%"}
FIRST, SECOND, LAST = LADDER["steps"]


def gates(first: str, then: str) -> Policy:
    """Return the ladder with a warm-up, and with one criterion in the gate of each of two steps."""
    steps = [{**FIRST, "criteria": [first]}, {**SECOND, "criteria": [then]}, LAST]
    return a_policy(criteria={"works": WORKS, "mild": MILD}, steps=steps, warmup="30m")


STRICT_FIRST, MILD_FIRST = gates("works", "mild"), gates("mild", "works")


def decided(judged: Policy) -> Life:
    """Return a rollout whose raise to 50 % was decided a minute ago, and not written."""
    life = a_life(judged)
    while life.rollout.weight == 10:
        life.tick(a_reading(life.rollout.weight))
    assert life.rollout.reason is Reason.GATE_PASSED
    return life


HOWS: dict[str, Any] = {
    "a person pauses": (Command(Verb.PAUSE), a_reading(10)),
    "a person pauses, and the target cannot be read": (Command(Verb.PAUSE), UNREADABLE),
    "a person pauses while it is on its way": (
        Command(Verb.PAUSE),
        a_reading(50, UPDATE_IN_PROGRESS),
    ),
    "a person sets a weight": (Command(Verb.SET_WEIGHT, "a demo", weight=40), a_reading(10)),
    "another hand sets a weight": (None, a_reading(30)),
    "another hand changes the function": (None, a_reading(10, token="token-9")),
}


def paused(life: Life, how: str) -> Life:
    ask, target = HOWS[how]
    if ask is None:
        life.tick(target)
    else:
        life.ask(ask, target)
    assert life.rollout.phase is PAUSED
    return life


@pytest.fixture(params=HOWS)
def how(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def live(how: str) -> TargetReading:
    return {
        "a person sets a weight": a_reading(40),
        "another hand sets a weight": a_reading(30),
    }.get(how, a_reading(10))


def test_what_is_live_is_judged_by_the_gate_of_its_step_without_a_second_warm_up(how: str) -> None:
    life = paused(decided(STRICT_FIRST), how)
    begin = life.now
    life.errors = between((begin - NOON) / MINUTE, 1000)
    while life.rollout.phase is PAUSED and life.now < begin + 20 * MINUTE:
        life.tick(live(how))
    assert (life.rollout.phase, life.rollout.reason) == (BACK, Reason.GATE_FAILED)
    assert life.now <= begin + 7 * MINUTE
    assert life.replay.consistent


def test_the_gate_of_the_step_to_come_does_not_count_yet(how: str) -> None:
    life = paused(decided(MILD_FIRST), how)
    begin = life.now
    life.errors = between((begin - NOON) / MINUTE, 1000)
    while life.now < begin + 60 * MINUTE:
        assert life.tick(live(how)).rollout.phase is PAUSED
    assert [one.criterion for one in life.rollout.findings] == ["mild"]
    assert life.replay.consistent


def test_what_has_added_up_while_a_raise_waited_goes_on_in_the_pause() -> None:
    life = decided(weighed())
    life.ask(Command(Verb.PAUSE), a_reading(10))
    waits = life.rollout.previous_live
    assert waits is not None
    assert life.rollout.stretches[-2].end <= waits.begin == waits.judged_from
    on_until = life.now + 70 * MINUTE
    while life.now < on_until:
        life.tick(a_reading(10))
    assert life.rollout.fold.through > waits.begin
    assert life.replay.consistent


@pytest.mark.parametrize(
    ("target", "weight"),
    [
        (a_reading(10), 10),
        (a_reading(5), 5),
        (a_reading(30), 10),
        (a_reading(50, UPDATE_IN_PROGRESS), 10),
        (UNREADABLE, 10),
    ],
)
def test_silence_is_held_against_the_weight_that_the_minutes_had(
    target: TargetReading | UnreadableTarget, weight: int
) -> None:
    life = paused(decided(STRICT_FIRST), "a person pauses")
    evidence = evidence_of(life.rollout, Observation(target), life.now + 10 * MINUTE)
    assert evidence is not None
    assert evidence.weight == weight


@pytest.mark.parametrize("then", [STRICT_FIRST, MILD_FIRST], ids=["mild", "strict"])
def test_once_the_raise_is_seen_in_force_its_own_step_is_judged(then: Policy) -> None:
    life = paused(decided(then), "a person pauses")
    sentence = life.rollout.sentence
    life.tick(a_reading(50, UPDATE_IN_PROGRESS))
    assert life.rollout.previous_live is not None
    (notice,) = life.tick(a_reading(50)).notices
    after = life.rollout
    assert notice == Notice(Severity.INFO, f"checkout#1: {after.sentence}")
    assert (after.phase, after.reason, after.previous_live) == (PAUSED, Reason.PAUSED_BY_HAND, None)
    assert (after.settled, after.judged_step, after.tallies) == (life.now, 1, {})
    assert after.sentence == f"{sentence}; meanwhile 50 % came into force"
    assert (after.blocked, life.kinds[-1]) == ("a person", "settled")
    assert life.entries[-1].body["weight_from"] == 50
    begin = life.now
    life.errors = between((begin - NOON) / MINUTE, 1000)
    while life.rollout.phase is PAUSED and life.now < begin + 60 * MINUTE:
        life.tick(a_reading(50))
    assert life.rollout.phase is (BACK if then is MILD_FIRST else PAUSED)
    assert life.replay.consistent


def test_a_bake_that_began_in_a_pause_goes_on_after_it() -> None:
    life = paused(decided(STRICT_FIRST), "a person pauses")
    life.tick(a_reading(50))
    end = life.rollout.bake_end
    life.tick(a_reading(50))
    life.ask(Command(Verb.RESUME), a_reading(50))
    assert (life.rollout.phase, life.rollout.bake_end) == (Phase.PROGRESSING, end)
    assert life.replay.consistent


def test_a_resume_that_sees_the_raise_in_force_first_begins_its_bake() -> None:
    life = paused(decided(STRICT_FIRST), "a person pauses")
    life.ask(Command(Verb.RESUME), a_reading(50))
    assert (life.rollout.settled, life.rollout.previous_live) == (life.now, None)
    assert life.replay.consistent


def test_a_resume_that_keeps_the_weight_before_begins_its_step_anew() -> None:
    life = paused(decided(STRICT_FIRST), "a person pauses")
    life.ask(Command(Verb.RESUME, way="keep"), a_reading(10))
    after = life.rollout
    assert (after.step, after.weight, after.settled, after.previous_live) == (0, 10, life.now, None)
    assert life.replay.consistent


def test_nobody_promotes_what_is_not_live() -> None:
    life = paused(decided(STRICT_FIRST), "a person pauses")
    with pytest.raises(UsageError, match="resume it first"):
        life.ask(Command(Verb.PROMOTE, "limit"), a_reading(10))


def test_a_second_hand_in_the_pause_takes_nothing_from_what_is_judged() -> None:
    life = paused(decided(STRICT_FIRST), "a person pauses")
    waits = life.rollout.previous_live
    life.tick(a_reading(30))
    assert (life.rollout.reason, life.rollout.previous_live) == (Reason.DRIFTED, waits)
    assert life.replay.consistent


def test_a_weight_that_is_put_back_to_what_was_live_is_no_second_drift() -> None:
    life = paused(decided(STRICT_FIRST), "another hand sets a weight")
    for target, told in (
        (a_reading(10), None),
        (a_reading(40), Alert.DRIFT),
        (a_reading(10), None),
    ):
        assert life.tick(target).alert is told
    life.tick(a_reading(50))
    assert life.tick(a_reading(10)).alert is Alert.DRIFT
    assert life.replay.consistent


def test_a_way_back_from_the_pause_knows_what_callers_had() -> None:
    for live, had in (
        (a_reading(10), 10),
        (a_reading(30), 30),
        (a_reading(50, UPDATE_IN_PROGRESS), 10),
        (UNREADABLE, 10),
    ):
        life = paused(decided(STRICT_FIRST), "a person pauses")
        life.ask(Command(Verb.ROLLBACK, "limit"), live)
        assert life.rollout.intent.previous == had


@pytest.mark.parametrize("how", ["a person pauses", "another hand changes the function"])
def test_a_reminder_names_the_weight_that_a_resume_goes_on_from(how: str) -> None:
    """A plain resume is refused until the raise is seen in force; then --keep means nothing."""
    for live, ways in ((10, " with --keep, to go on from 10 %"), (50, "")):
        life = paused(decided(STRICT_FIRST), how)
        life.tick(a_reading(live, token="token-9"))
        (notice,) = life.tick(a_reading(live, token="token-9"), 25 * 60 * MINUTE).notices
        assert f" To go on: rolloutctl resume checkout#1{ways}; to end it:" in notice.text


def test_the_first_raise_leaves_nothing_to_judge() -> None:
    life = a_life(STRICT_FIRST)
    life.ask(Command(Verb.PAUSE), a_reading(0))
    assert (life.rollout.previous_live, life.rollout.settled) == (None, life.now)


def raising(previous: int) -> Rollout:
    return replace(RAISING, intent=Intent(50, previous, "token-1", NOON))


@pytest.mark.parametrize(
    ("before", "target", "waits"),
    [
        pytest.param(raising(10), a_reading(10), True, id="not written"),
        pytest.param(raising(1), a_reading(1), True, id="of the smallest weight there is"),
        pytest.param(raising(10), UNREADABLE, True, id="who knows"),
        pytest.param(raising(10), a_reading(50), False, id="in force already"),
        pytest.param(raising(50), UNREADABLE, False, id="a weight that is kept is no raise"),
    ],
)
def test_what_was_live_is_judged_on_where_a_pause_meets_a_raise(
    before: Rollout, target: TargetReading | UnreadableTarget, waits: bool
) -> None:
    after = decide_command(before, Verb.PAUSE, target).rollout
    assert (after.previous_live is not None, after.settled) == (waits, None if waits else LATER)


def test_another_hand_in_the_first_raise_leaves_nothing_to_wait_for() -> None:
    after = decide_tick(FIRST_RAISE, a_reading(30), 5).rollout
    assert (after.phase, after.previous_live, after.settled) == (PAUSED, None, NOON + 5 * MINUTE)


def test_verify_counts_only_minutes_with_the_weight_that_is_live() -> None:
    life = paused(decided(STRICT_FIRST), "a person pauses")
    rollout, later = life.rollout, life.now + 60 * MINUTE
    known = settled_window(rollout.policy, rollout, a_reading(10), 120, later)
    assert (known.begin, known.weight_known) == (rollout.judged_from, True)
    drifted = replace(rollout, reason=Reason.DRIFTED, seen_weight=30)
    moved = settled_window(rollout.policy, drifted, a_reading(30), 120, later)
    assert moved.begin > int(rollout.since.timestamp())
    assert not settled_window(rollout.policy, drifted, a_reading(50), 120, later).weight_known


def test_verify_counts_from_the_rollback_of_a_raise_that_waited() -> None:
    life = paused(decided(STRICT_FIRST), "a person pauses")
    life.ask(Command(Verb.ROLLBACK, "limit"), a_reading(10))
    life.tick(a_reading(0))
    rollout, later = life.rollout, life.now + 120 * MINUTE
    assert rollout.phase is Phase.ROLLED_BACK
    known = settled_window(rollout.policy, rollout, a_reading(0), 240, later)
    assert known.begin > int(rollout.since.timestamp())
    assert known.weight_known
    assert not settled_window(rollout.policy, rollout, a_reading(10), 240, later).weight_known
