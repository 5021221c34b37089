"""Code that is deployed to the function during a rollout is reported, and decides nothing."""

from controller.immutable import replace
from tests.support.core import ConditionKind, Decision, Phase, Severity
from tests.support.recorded_run import RecordedRun, a_run
from tests.support.rollouts import a_reading
from tests.support.three_steps import UNREADABLE

OWN, OTHER = "code-1", "code-2"


def tick(run: RecordedRun, code: str, weight: int = 10) -> Decision:
    """Tick a minute later, where the function has `code`."""
    return run.tick(a_reading(weight, code=code))


def at_10() -> RecordedRun:
    run = a_run()
    tick(run, OWN)
    assert run.rollout.live is not None
    return run


def test_other_code_is_reported_once_and_nothing_is_decided() -> None:
    run = at_10()
    (notice,) = tick(run, OTHER).notices
    assert (notice.severity, notice.kind) == (Severity.WARNING, "released_outside")
    assert "its code is code-2, and checkout#1 rolled out code-1" in notice.text
    assert "rolloutctl rollback checkout#1" in notice.text
    assert run.rollout.conditions[ConditionKind.CHANGED].text == notice.text
    assert (run.rollout.phase, run.rollout.weight) == (Phase.PROGRESSING, 10)
    assert run.kinds[-1] == "released_outside"
    assert tick(run, OTHER).notices == ()
    assert run.replay.consistent


def test_each_code_is_reported_and_the_own_one_ends_the_condition() -> None:
    run = at_10()
    for code in (OTHER, "code-3"):
        (notice,) = tick(run, code).notices
        assert f"its code is {code}" in notice.text
    assert tick(run, OWN).notices == ()
    assert ConditionKind.CHANGED not in run.rollout.conditions
    assert len(tick(run, OTHER).notices) == 1
    assert run.replay.consistent


def test_the_condition_lasts_over_an_advance_and_a_tick_that_cannot_read_the_target() -> None:
    run = at_10()
    tick(run, OTHER)
    known = run.rollout.conditions[ConditionKind.CHANGED]
    run.tick(UNREADABLE)
    run.tick_on(a_reading(10, code=OTHER), 160)
    tick(run, OTHER, weight=100)
    assert run.rollout.weight == 100
    assert run.rollout.conditions[ConditionKind.CHANGED] == known


def test_a_revision_that_was_named_is_compared_by_the_code_at_the_start() -> None:
    run = at_10()
    run.rollout = replace(run.rollout, revision="release-7", code=OWN)
    assert tick(run, OWN).notices == ()
    (notice,) = tick(run, OTHER).notices
    assert "its code is code-2, and checkout#1 rolled out code-1" in notice.text


def test_without_that_code_a_named_revision_cannot_be_compared() -> None:
    run = at_10()
    run.rollout = replace(run.rollout, revision="release-7")
    assert tick(run, OTHER).notices == ()


def test_a_gate_that_fails_rolls_back_all_the_same() -> None:
    run = at_10()
    run.errors = lambda second: 50.0
    run.tick_on(a_reading(10, code=OTHER), 30)
    assert run.rollout.phase is Phase.ROLLING_BACK
    assert run.replay.consistent
