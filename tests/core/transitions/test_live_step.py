"""A raise that waits: the step whose weight is live keeps its gate until another one is seen.

One table: whatever the raise waits for, a canary that fails at the live weight is rolled back as
soon as its gate says so, and a healthy one waits on.
"""

from collections.abc import Callable
from datetime import timedelta

import pytest

from controller.immutable import Immutable
from tests.support.cases import cases
from tests.support.core import (
    Command,
    Decision,
    Live,
    Observation,
    Phase,
    Policy,
    Reason,
    SetWeight,
    SetZero,
    Target,
    Verb,
    WriteFailed,
    decide,
)
from tests.support.recorded_run import WEIGHED, RecordedRun, a_run, errors_between
from tests.support.rollouts import LADDER, MINUTE, NOON, a_policy, a_reading
from tests.support.three_steps import UNREADABLE, UPDATE_IN_PROGRESS

STAYS, BACK, PAUSED = Phase.PROGRESSING, Phase.ROLLING_BACK, Phase.PAUSED
DENIED = "lambda:UpdateFunctionConfiguration was refused: AccessDeniedException"
PATIENT = timedelta(hours=1)  # no raise of these tests waits for so long
# The raise to 50% is decided at 12:16.
FREEZE = a_policy(freeze={"zone": "UTC", "daily": [{"from": "12:17", "to": "15:00"}]}).freeze
FIRST, SECOND, LAST = LADDER["steps"]
LITERAL = a_policy()
JUDGES = cases("judged", {"literal": LITERAL, "adding up": WEIGHED})
# Two bad minutes fail, and their data are final two minutes later.
FAILS_WITHIN = 7 * MINUTE


class Wait(Immutable):
    """What a raise waits for.

    target: what each tick sees. phase, reason: of a healthy rollout that waits for it.
    begin: what happens a minute after the decision, before those ticks.
    frozen: a freeze has begun since the decision.
    """

    target: Target
    phase: Phase
    reason: Reason
    begin: Callable[[RecordedRun], object] = lambda run: None
    frozen: bool = False


def pause(run: RecordedRun) -> Decision:
    return run.command(Command(Verb.PAUSE), a_reading(10))


def pause_before_it_is_in_force(run: RecordedRun) -> Decision:
    return run.command(Command(Verb.PAUSE), a_reading(50, UPDATE_IN_PROGRESS))


def set_weight(run: RecordedRun) -> Decision:
    return run.command(Command(Verb.SET_WEIGHT, "a demo", weight=40), a_reading(10))


WAITS = {
    "its write is refused": Wait(a_reading(10), STAYS, Reason.WRITE_RETRIED),
    "its update is in progress": Wait(a_reading(50, UPDATE_IN_PROGRESS), STAYS, Reason.WAITING),
    "another update is in progress": Wait(a_reading(10, UPDATE_IN_PROGRESS), STAYS, Reason.WAITING),
    "the target cannot be read": Wait(UNREADABLE, STAYS, Reason.TARGET_UNREADABLE),
    "a freeze": Wait(a_reading(10), STAYS, Reason.FROZEN, frozen=True),
    "a freeze, and the target cannot be read": Wait(
        UNREADABLE,
        STAYS,
        Reason.TARGET_UNREADABLE,
        lambda run: run.tick(a_reading(10)),
        frozen=True,
    ),
    "an operator pauses": Wait(a_reading(10), PAUSED, Reason.PAUSED_BY_HAND, pause),
    "an operator pauses, and the target cannot be read": Wait(
        UNREADABLE, PAUSED, Reason.PAUSED_BY_HAND, pause
    ),
    "an operator pauses while its update is in progress": Wait(
        a_reading(50, UPDATE_IN_PROGRESS),
        PAUSED,
        Reason.PAUSED_BY_HAND,
        pause_before_it_is_in_force,
    ),
    "an operator sets a weight": Wait(a_reading(40), PAUSED, Reason.DRIFTED, set_weight),
    "the weight drifts": Wait(a_reading(30), PAUSED, Reason.DRIFTED),
    "the function is changed": Wait(
        a_reading(10, token="token-9"), PAUSED, Reason.RAISE_UNCERTAIN
    ),
}  # fmt: skip

# Waits that end with `shift_timeout`.
LIMITED = (
    "its write is refused",
    "its update is in progress",
    "another update is in progress",
    "the target cannot be read",
)
WITHOUT_LIMIT = tuple(name for name in WAITS if name not in LIMITED)

ALL_WAITS = pytest.mark.parametrize("name", WAITS)


def waiting(judged: Policy, name: str, limit: timedelta = PATIENT) -> RecordedRun:
    """Return a rollout at 10% whose raise to 50% was decided, and waits for `name`."""
    wait = WAITS[name]
    freeze = FREEZE if wait.frozen else None
    run = a_run(judged.model_copy(update={"shift_timeout": limit, "freeze": freeze}))
    for _ in range(60):
        if isinstance(run.tick(a_reading(10)).move, SetWeight):
            break
    assert (run.rollout.reason, run.rollout.weight) == (Reason.GATE_PASSED, 50)
    refuse(run)
    wait.begin(run)
    return run


def refuse(run: RecordedRun) -> None:
    """Let Lambda refuse the raise that was just saved, as the tick records it."""
    failed = WriteFailed(Decision(run.rollout), DENIED, saved=True)
    failure = decide(run.rollout, failed, run.now)
    if failure.record is not None:
        run.record(failure, Observation(a_reading(10)))


def wait_on(run: RecordedRun, name: str, minutes: float, every: timedelta = MINUTE) -> None:
    """Tick for so many minutes, or until the rollout is rolled back; every raise is refused."""
    end = run.now + minutes * MINUTE
    while run.now < end and run.rollout.phase in (STAYS, PAUSED):
        if isinstance(run.tick(WAITS[name].target, every).move, SetWeight):
            refuse(run)


# --- The live step fails --------------------------------------------------------------------------


@JUDGES
@ALL_WAITS
def test_a_canary_that_fails_while_a_raise_waits_is_rolled_back(judged: Policy, name: str) -> None:
    run = waiting(judged, name)
    begin = run.now
    run.errors = errors_between((begin - NOON) / MINUTE, 1000)
    wait_on(run, name, 30)
    after = run.rollout
    assert (after.phase, after.reason) == (BACK, Reason.GATE_FAILED)
    assert run.now <= begin + FAILS_WITHIN
    assert [finding.criterion for finding in after.evidence.findings if finding.fails] == ["works"]
    assert run.replay.consistent


@ALL_WAITS
def test_a_tick_that_comes_late_judges_before_it_does_anything_else(name: str) -> None:
    run = waiting(LITERAL, name)
    wait_on(run, name, 2)
    run.errors = errors_between((run.now - NOON) / MINUTE, 1000)
    decision = run.tick(WAITS[name].target, 20 * MINUTE)
    assert (decision.rollout.reason, decision.move) == (Reason.GATE_FAILED, SetZero(MINUTE))


@ALL_WAITS
def test_the_gate_is_that_of_the_live_step(name: str) -> None:
    works = LADDER["criteria"]["works"]
    gates = [{**FIRST, "criteria": ["works"]}, {**SECOND, "criteria": ["mild"]}, LAST]
    criteria = {"works": works, "mild": {**works, "min": "50%"}}
    run = waiting(a_policy(criteria=criteria, steps=gates), name)
    begin = run.now
    run.errors = errors_between((begin - NOON) / MINUTE, 1000)
    wait_on(run, name, 30)
    assert run.rollout.reason is Reason.GATE_FAILED
    assert run.now <= begin + FAILS_WITHIN


# --- The live step is healthy ---------------------------------------------------------------------


@JUDGES
@pytest.mark.parametrize("name", WITHOUT_LIMIT)
def test_a_raise_that_a_freeze_or_a_pause_holds_back_has_no_limit(
    judged: Policy, name: str
) -> None:
    run = waiting(judged, name, limit=10 * MINUTE)
    wait_on(run, name, 25)
    assert (run.rollout.phase, run.rollout.weight) == (WAITS[name].phase, 50)


# --- Steps are judged one after the other ---------------------------------------------------------


@pytest.mark.parametrize("name", LIMITED)
def test_a_bad_minute_of_the_wait_is_none_of_the_next_step(name: str) -> None:
    """Two bad minutes in a row fail: the last one at 10% and the first one at 50% do not."""
    run = waiting(LITERAL, name)
    wait_on(run, name, 5)
    at = (run.now - NOON) / MINUTE
    run.errors = errors_between(at, at + 4)  # one minute of it at 10%, the rest warms 50% up
    run.tick(a_reading(50, token="token-9"))
    run.tick_on(a_reading(50, token="token-9"), 8)
    assert (run.rollout.phase, run.rollout.judged_step) == (STAYS, 1)
    assert run.replay.consistent


# --- The raise is in force ------------------------------------------------------------------------


def count_of_errors(most: int) -> dict[str, object]:
    return {
        "kind": "threshold",
        "judge": "threshold",
        "metric": "errors",
        "max": most,
        "window": "1m",
    }


# With five times the requests, five times the errors are allowed.
COUNTED = a_policy(
    metrics={"errors": LADDER["metrics"]["errors"]},
    criteria={"at-10": count_of_errors(10), "at-50": count_of_errors(50)},
    steps=[
        {**FIRST, "criteria": ["at-10"]},
        *({**step, "criteria": ["at-50"]} for step in (SECOND, LAST)),
    ],
)


@cases("pauses", {"progressing": False, "paused": True})
def test_a_criterion_of_the_step_before_alone_judges_no_minute_after_the_raise(
    pauses: bool,
) -> None:
    """The run is gone after its write, and the next tick comes a quarter of an hour later."""
    run = a_run(COUNTED)
    run.errors = lambda second: 4.0
    while not isinstance(run.tick(a_reading(10)).move, SetWeight):
        pass
    raised = run.now.timestamp()
    run.errors = lambda second: 4.0 if second < raised else 20.0
    if pauses:
        run.command(Command(Verb.PAUSE), a_reading(50, UPDATE_IN_PROGRESS))
    run.tick(a_reading(50), 15 * MINUTE)
    assert run.rollout.position == Live(1, 50, run.now)
    assert run.replay.consistent
