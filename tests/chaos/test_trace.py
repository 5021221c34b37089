"""Plots that are played: faults strike where they say, others come in between, all is seen."""

import hashlib
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from controller.core.decision import Decision
from controller.core.history import Entry
from controller.core.rollout import Rollout
from controller.engine.tick import Runner
from controller.process import logging
from tests.chaos.event_log import EnvironmentWrite, ProcessEnd, RolloutSave
from tests.chaos.fault_plan import (
    ActorAction,
    CallFault,
    ClockSkew,
    Crash,
    Degradation,
    DegradationWindow,
    Fault,
    InjectionPoint,
    Interleaving,
    Timing,
)
from tests.chaos.faults import DONE_500, FAULT_KINDS, LATE, REQUEST_LOST, RESPONSE_LOST
from tests.chaos.random_plan import draw
from tests.chaos.run import run_plan
from tests.chaos.sample_plans import SAVE, WRITE, sample_plan
from tests.chaos.trace import Trace, TraceLine
from tests.chaos.trace_text import format_trace

SQLITE_CASES = [
    (name, how) for name, hows in FAULT_KINDS.items() for how in hows if "dynamodb" not in name
]
OF_A_START = ("store:create", "store:of_name")


@pytest.fixture(autouse=True)
def _silent() -> None:
    logging.disable()


def simulate(*faults: Fault) -> Trace:
    """Return the story of a healthy world in which only `faults` go wrong."""
    story = run_plan(sample_plan(*faults))
    assert story.violations == ()
    return story


def lines(trace: Trace, by: str) -> list[str]:
    """Return what one process did and met."""
    return [line.what for line in trace.lines if line.by == by]


def weights(trace: Trace) -> list[tuple[str, int | None]]:
    """Return who wrote which weights, in order."""
    return [(one.by, one.weight_after) for one in trace.events if isinstance(one, EnvironmentWrite)]


def digest(trace: Trace) -> str:
    """Return what stands for everything that happened in a story."""
    text = f"{format_trace(trace)}\n{trace.lines!r}\n{trace.events!r}\n{trace.fault_counts!r}"
    return hashlib.sha256(text.encode()).hexdigest()


# --- the same story -------------------------------------------------------------------------------

SUBPROCESS_SCRIPT = """
from controller.process import logging
from tests.chaos.chaos import chaos
from tests.chaos.random_plan import draw
from tests.chaos.test_trace import digest
logging.silence()
print(" ".join(digest(chaos(draw(seed))) for seed in range(3, 9)))
"""


def test_the_same_seed_is_the_same_story_in_another_process_too() -> None:
    here = [digest(run_plan(draw(seed))) for seed in range(3, 9)]
    environment = {**os.environ, "PYTHONHASHSEED": "4711"}
    ended = subprocess.run(
        [sys.executable, "-c", SUBPROCESS_SCRIPT], cwd=Path(__file__).parents[2], env=environment,
        capture_output=True, text=True, check=True, timeout=120,
    )  # fmt: skip
    assert ended.stdout.split() == here
    assert len(set(here)) == len(here)


def test_without_faults_nothing_strikes_and_the_rollout_succeeds() -> None:
    story = simulate()
    assert (story.end, story.fault_counts, weights(story)) == (
        "succeeded", {}, [("start 0", 10), ("tick 5", 100)],
    )  # fmt: skip
    assert story.steps > 80


# --- where faults strike --------------------------------------------------------------------------


@pytest.mark.parametrize(("operation", "how"), SQLITE_CASES, ids=lambda name: name)
def test_each_call_breaks_in_each_of_its_ways_and_the_rollout_goes_on(
    operation: str, how: str
) -> None:
    spot = InjectionPoint(0 if operation in OF_A_START else 1, operation)
    busy = Interleaving(InjectionPoint(1, "store:acquire"), Timing.BEFORE, ActorAction.TAKE_LEASE)
    needed = [busy] if operation == "store:load" else []  # only what is not free is just loaded
    story = simulate(CallFault(spot, how, 20 if how == LATE else 0), *needed)
    assert story.fault_counts[f"{operation}: {how}"] == 1
    assert story.end == "succeeded"


@pytest.mark.parametrize(
    ("fault", "first", "second"),
    [
        (Crash(InjectionPoint(1, WRITE), Timing.BEFORE), None, ("tick 7", 100)),
        (Crash(InjectionPoint(1, WRITE), Timing.AFTER), ("tick 5", 100), None),
        (Crash(InjectionPoint(1, WRITE), Timing.DURING, late=0), ("tick 5", 100), None),
        (Crash(InjectionPoint(1, WRITE), Timing.DURING, late=20), ("tick 5", 100), None),
        (CallFault(InjectionPoint(1, WRITE), REQUEST_LOST), None, ("tick 6", 100)),
        (CallFault(InjectionPoint(1, WRITE), LATE, late=20), ("tick 5", 100), None),
        (CallFault(InjectionPoint(1, WRITE), RESPONSE_LOST), ("tick 5", 100), None),
        (CallFault(InjectionPoint(1, WRITE), DONE_500), ("tick 5", 100), None),
        (CallFault(InjectionPoint(1, WRITE), "409"), None, ("tick 6", 100)),
    ],
    ids=str,
)
def test_a_raise_is_written_once_whatever_becomes_of_its_call(
    fault: Fault, first: tuple[str, int] | None, second: tuple[str, int] | None
) -> None:
    """By the tick that decided it, where the call arrived; else by the next."""
    story = simulate(fault)
    assert weights(story) == [one for one in (("start 0", 10), first, second) if one]


def test_what_arrives_late_arrives_when_it_says() -> None:
    story = simulate(CallFault(InjectionPoint(1, WRITE), LATE, late=20))
    (when,) = (
        one.at for one in story.events if isinstance(one, EnvironmentWrite) and one.by == "tick 5"
    )
    assert f"{when:%T}" == "09:05:20"


def test_a_fault_strikes_at_the_same_place_without_the_others() -> None:
    others = [
        CallFault(InjectionPoint(2, SAVE), "conflict"),
        Crash(InjectionPoint(3, "", 2), Timing.BEFORE),
    ]
    alone, last = Crash(InjectionPoint(6, "", 1), Timing.AFTER), "1 store:acquire"
    for faults in ([alone], [*others, alone]):
        story = simulate(*faults)
        struck = [line for line in story.lines if line.what == "! crash after"]
        assert [(line.by, line.where) for line in struck] == [("tick 6", last)]


def test_a_clock_is_wrong_in_the_process_that_it_belongs_to() -> None:
    story = simulate(ClockSkew(4, 120))
    saves = [one for one in story.events if isinstance(one, RolloutSave) and one.by == "tick 4"]
    assert {f"{one.after.updated:%T}" for one in saves} <= {"09:06:00", "09:06:03"}
    assert {f"{one.at:%T}" for one in saves} <= {"09:04:00", "09:04:03"}
    assert saves


@pytest.mark.parametrize("trouble", Degradation)
def test_trouble_that_lasts_strikes_and_passes(trouble: Degradation) -> None:
    story = simulate(DegradationWindow(4, 100, trouble))
    assert {name.rpartition(": ")[2] for name in story.fault_counts} == {str(trouble)}
    struck = [f"{line.at:%T}" for line in story.lines if line.what == f"! {trouble}"]
    assert "09:04:00" <= min(struck) <= max(struck) <= "09:05:40"
    assert story.end in ("succeeded", "paused", "rolled_back")


# --- who comes in between -------------------------------------------------------------------------


@pytest.mark.parametrize("act", ActorAction)
def test_others_act_while_a_process_waits(act: ActorAction) -> None:
    fault = Interleaving(InjectionPoint(3, SAVE), Timing.BEFORE, act, weight=5)
    assert simulate(fault).fault_counts == {f"{SAVE}: before it: {act}": 1}


def test_ticks_that_are_due_come_in_between_while_a_process_waits() -> None:
    story = simulate(
        Interleaving(InjectionPoint(3, WRITE), Timing.BEFORE, ActorAction.TICK, waits=150)
    )
    ended = [one.by for one in story.events if isinstance(one, ProcessEnd)]
    between = ended.index("tick 4") + 1
    assert ended[between : between + 4] == ["tick 6", "tick 7", "another tick in tick 5", "tick 5"]
    assert weights(story)[-1] == ("tick 7", 100)
    assert story.end == "succeeded"


def test_who_comes_in_between_has_trouble_of_its_own() -> None:
    inner = CallFault(InjectionPoint(0, "store:active"), "store down")
    story = simulate(
        Interleaving(InjectionPoint(3, "", 0), Timing.BEFORE, ActorAction.TICK, faults=(inner,))
    )
    assert lines(story, "another tick in tick 3") == ["! store down", "ends with 1"]


def test_what_a_person_starts_while_a_tick_waits_is_not_for_that_tick_to_lower() -> None:
    story = simulate(
        Interleaving(InjectionPoint(2, "store:active"), Timing.AFTER, ActorAction.DEPLOY),
        Interleaving(InjectionPoint(3, "people:notify"), Timing.BEFORE, ActorAction.RETRY),
    )
    assert [one for one in story.fault_counts if one.endswith(ActorAction.RETRY)]
    assert (story.rollout.id if story.rollout else "", story.end) == ("orders#2", "succeeded")


def test_a_rollback_by_hand_of_what_is_over_takes_its_successor_down_too() -> None:
    again = Interleaving(InjectionPoint(0, "store:load"), Timing.AFTER, ActorAction.RETRY)
    story = simulate(
        Interleaving(InjectionPoint(2, "store:active"), Timing.AFTER, ActorAction.DEPLOY),
        Interleaving(
            InjectionPoint(5, "store:active"), Timing.BEFORE, ActorAction.ROLLBACK, faults=(again,)
        ),
    )
    assert [by for by, weight in weights(story) if weight == 0] == [
        "deploy", "rollback in tick 5",
    ]  # fmt: skip
    assert story.end == "rolled_back"


# --- what is told ---------------------------------------------------------------------------------


def test_an_error_that_nobody_planned_is_a_violation(monkeypatch: pytest.MonkeyPatch) -> None:
    def mistaken(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(Runner, "_run_tick", mistaken)
    story = run_plan(sample_plan())
    assert story.violations[0].invariant == "nothing-escapes"
    assert "ZeroDivisionError" in format_trace(story)


def test_a_violation_is_told_at_the_very_step_with_the_command_that_shows_it_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def settled(rollout: Rollout, *_: object) -> Decision:
        return Decision(replace(rollout, step=5))

    monkeypatch.setattr("controller.core.transitions.confirm_applied", settled)
    # or the next load would refuse the state
    monkeypatch.setattr("controller.core.codec.first_contradiction", lambda _: "")
    text = format_trace(run_plan(sample_plan()))
    assert "VIOLATES step-by-step" in text
    assert text.endswith("once more: python -m tests.chaos --seed 1")


def test_a_line_says_what_is_in_force_and_what_the_function_shows() -> None:
    story = simulate()
    raised: TraceLine = next(line for line in story.lines if line.what == "writes 0 % > 10 %")
    assert (raised.by, raised.weight, raised.shown) == ("start 0", 0, 10)
    assert "0 > 10 %" in format_trace(story)
    assert "21 invariants held after" in format_trace(story)


def test_every_entry_of_the_history_is_told() -> None:
    story = simulate(CallFault(InjectionPoint(3, WRITE), "409"))
    kept: list[Entry] = [
        entry for one in story.events if isinstance(one, RolloutSave) for entry in one.entries
    ]
    assert [entry.kind for entry in kept] == [
        "started", "settled", "advanced", "write_again", "settled", "succeeded",
    ]  # fmt: skip
