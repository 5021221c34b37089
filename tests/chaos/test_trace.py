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
from tests.chaos.chaos import chaos
from tests.chaos.event_log import Ended, Saved, Wrote
from tests.chaos.fault_plan import (
    Act,
    Broken,
    Crash,
    Fault,
    Meanwhile,
    Skew,
    Spell,
    Spot,
    Trouble,
    When,
)
from tests.chaos.faults import DONE_500, LATE, LOST, UNSENT, WAYS
from tests.chaos.random_plan import draw
from tests.chaos.sample_plans import SAVE, WRITE, plot
from tests.chaos.trace import Line, Story
from tests.chaos.trace_text import story_text

HERE = [(name, how) for name, hows in WAYS.items() for how in hows if "dynamodb" not in name]
OF_A_START = ("store:create", "store:of_name")


@pytest.fixture(autouse=True)
def _silent() -> None:
    logging.silence()


def play(*faults: Fault) -> Story:
    """Return the story of a healthy world in which only `faults` go wrong."""
    story = chaos(plot(*faults))
    assert story.violations == ()
    return story


def lines(story: Story, by: str) -> list[str]:
    """Return what one process did and met."""
    return [line.what for line in story.lines if line.by == by]


def weights(story: Story) -> list[tuple[str, int | None]]:
    """Return who wrote which weights, in order."""
    return [(one.by, one.weight_after) for one in story.happenings if isinstance(one, Wrote)]


def digest(story: Story) -> str:
    """Return what stands for everything that happened in a story."""
    text = f"{story_text(story)}\n{story.lines!r}\n{story.happenings!r}\n{story.struck!r}"
    return hashlib.sha256(text.encode()).hexdigest()


# --- the same story -------------------------------------------------------------------------------

ELSEWHERE = """
from controller.process import logging
from tests.chaos.chaos import chaos
from tests.chaos.random_plan import draw
from tests.chaos.test_trace import digest
logging.silence()
print(" ".join(digest(chaos(draw(seed))) for seed in range(3, 9)))
"""


def test_the_same_seed_is_the_same_story_in_another_process_too() -> None:
    here = [digest(chaos(draw(seed))) for seed in range(3, 9)]
    environment = {**os.environ, "PYTHONHASHSEED": "4711"}
    ended = subprocess.run(
        [sys.executable, "-c", ELSEWHERE], cwd=Path(__file__).parents[2], env=environment,
        capture_output=True, text=True, check=True, timeout=120,
    )  # fmt: skip
    assert ended.stdout.split() == here
    assert len(set(here)) == len(here)


def test_without_faults_nothing_strikes_and_the_rollout_succeeds() -> None:
    story = play()
    assert (story.end, story.struck, weights(story)) == (
        "succeeded", {}, [("start 0", 10), ("tick 5", 100)],
    )  # fmt: skip
    assert story.steps > 80


# --- where faults strike --------------------------------------------------------------------------


@pytest.mark.parametrize(("operation", "how"), HERE, ids=lambda name: name)
def test_each_call_breaks_in_each_of_its_ways_and_the_rollout_goes_on(
    operation: str, how: str
) -> None:
    spot = Spot(0 if operation in OF_A_START else 1, operation)
    busy = Meanwhile(Spot(1, "store:acquire"), When.BEFORE, Act.TAKE_LEASE)
    needed = [busy] if operation == "store:load" else []  # only what is not free is just loaded
    story = play(Broken(spot, how, 20 if how == LATE else 0), *needed)
    assert story.struck[f"{operation}: {how}"] == 1
    assert story.end == "succeeded"


@pytest.mark.parametrize(
    ("fault", "first", "second"),
    [
        (Crash(Spot(1, WRITE), When.BEFORE), None, ("tick 7", 100)),
        (Crash(Spot(1, WRITE), When.AFTER), ("tick 5", 100), None),
        (Crash(Spot(1, WRITE), When.DURING, late=0), ("tick 5", 100), None),
        (Crash(Spot(1, WRITE), When.DURING, late=20), ("tick 5", 100), None),
        (Broken(Spot(1, WRITE), UNSENT), None, ("tick 6", 100)),
        (Broken(Spot(1, WRITE), LATE, late=20), ("tick 5", 100), None),
        (Broken(Spot(1, WRITE), LOST), ("tick 5", 100), None),
        (Broken(Spot(1, WRITE), DONE_500), ("tick 5", 100), None),
        (Broken(Spot(1, WRITE), "409"), None, ("tick 6", 100)),
    ],
    ids=str,
)
def test_a_raise_is_written_once_whatever_becomes_of_its_call(
    fault: Fault, first: tuple[str, int] | None, second: tuple[str, int] | None
) -> None:
    """By the tick that decided it, where the call arrived; else by the next."""
    story = play(fault)
    assert weights(story) == [one for one in (("start 0", 10), first, second) if one]


def test_what_arrives_late_arrives_when_it_says() -> None:
    story = play(Broken(Spot(1, WRITE), LATE, late=20))
    (when,) = (one.at for one in story.happenings if isinstance(one, Wrote) and one.by == "tick 5")
    assert f"{when:%T}" == "09:05:20"


def test_a_fault_strikes_at_the_same_place_without_the_others() -> None:
    others = [Broken(Spot(2, SAVE), "conflict"), Crash(Spot(3, "", 2), When.BEFORE)]
    alone, last = Crash(Spot(6, "", 1), When.AFTER), "1 store:acquire"
    for faults in ([alone], [*others, alone]):
        story = play(*faults)
        struck = [line for line in story.lines if line.what == "! crash after"]
        assert [(line.by, line.where) for line in struck] == [("tick 6", last)]


def test_a_clock_is_wrong_in_the_process_that_it_belongs_to() -> None:
    story = play(Skew(4, 120))
    saves = [one for one in story.happenings if isinstance(one, Saved) and one.by == "tick 4"]
    assert {f"{one.after.updated:%T}" for one in saves} <= {"09:06:00", "09:06:03"}
    assert {f"{one.at:%T}" for one in saves} <= {"09:04:00", "09:04:03"}
    assert saves


@pytest.mark.parametrize("trouble", Trouble)
def test_trouble_that_lasts_strikes_and_passes(trouble: Trouble) -> None:
    story = play(Spell(4, 100, trouble))
    assert {name.rpartition(": ")[2] for name in story.struck} == {str(trouble)}
    struck = [f"{line.at:%T}" for line in story.lines if line.what == f"! {trouble}"]
    assert "09:04:00" <= min(struck) <= max(struck) <= "09:05:40"
    assert story.end in ("succeeded", "paused", "rolled_back")


# --- who comes in between -------------------------------------------------------------------------


@pytest.mark.parametrize("act", Act)
def test_others_act_while_a_process_waits(act: Act) -> None:
    fault = Meanwhile(Spot(3, SAVE), When.BEFORE, act, weight=5)
    assert play(fault).struck == {f"{SAVE}: before it: {act}": 1}


def test_ticks_that_are_due_come_in_between_while_a_process_waits() -> None:
    story = play(Meanwhile(Spot(3, WRITE), When.BEFORE, Act.TICK, waits=150))
    ended = [one.by for one in story.happenings if isinstance(one, Ended)]
    between = ended.index("tick 4") + 1
    assert ended[between : between + 4] == ["tick 6", "tick 7", "another tick in tick 5", "tick 5"]
    assert weights(story)[-1] == ("tick 7", 100)
    assert story.end == "succeeded"


def test_who_comes_in_between_has_trouble_of_its_own() -> None:
    inner = Broken(Spot(0, "store:active"), "store down")
    story = play(Meanwhile(Spot(3, "", 0), When.BEFORE, Act.TICK, faults=(inner,)))
    assert lines(story, "another tick in tick 3") == ["! store down", "ends with 1"]


def test_what_a_person_starts_while_a_tick_waits_is_not_for_that_tick_to_lower() -> None:
    story = play(
        Meanwhile(Spot(2, "store:active"), When.AFTER, Act.DEPLOY),
        Meanwhile(Spot(3, "people:notify"), When.BEFORE, Act.RETRY),
    )
    assert [one for one in story.struck if one.endswith(Act.RETRY)]
    assert (story.rollout.id if story.rollout else "", story.end) == ("orders#2", "succeeded")


def test_a_rollback_by_hand_of_what_is_over_takes_its_successor_down_too() -> None:
    again = Meanwhile(Spot(0, "store:load"), When.AFTER, Act.RETRY)
    story = play(
        Meanwhile(Spot(2, "store:active"), When.AFTER, Act.DEPLOY),
        Meanwhile(Spot(5, "store:active"), When.BEFORE, Act.ROLLBACK, faults=(again,)),
    )
    assert [by for by, weight in weights(story) if weight == 0] == [
        "deploy", "rollback in tick 5",
    ]  # fmt: skip
    assert story.end == "rolled_back"


# --- what is told ---------------------------------------------------------------------------------


def test_an_error_that_nobody_planned_is_a_violation(monkeypatch: pytest.MonkeyPatch) -> None:
    def mistaken(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(Runner, "_ticked", mistaken)
    story = chaos(plot())
    assert story.violations[0].invariant == "nothing-escapes"
    assert "ZeroDivisionError" in story_text(story)


def test_a_violation_is_told_at_the_very_step_with_the_command_that_shows_it_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def settled(rollout: Rollout, *_: object) -> Decision:
        return Decision(replace(rollout, step=5))

    monkeypatch.setattr("controller.core.transitions.settled", settled)
    # or the next load would refuse the state
    monkeypatch.setattr("controller.core.codec.problem_of", lambda _: "")
    text = story_text(chaos(plot()))
    assert "VIOLATES step-by-step" in text
    assert text.endswith("once more: python -m tests.chaos --seed 1")


def test_a_line_says_what_is_in_force_and_what_the_function_shows() -> None:
    story = play()
    raised: Line = next(line for line in story.lines if line.what == "writes 0 % > 10 %")
    assert (raised.by, raised.weight, raised.shown) == ("start 0", 0, 10)
    assert "0 > 10 %" in story_text(story)
    assert "21 invariants held after" in story_text(story)


def test_every_entry_of_the_history_is_told() -> None:
    story = play(Broken(Spot(3, WRITE), "409"))
    kept: list[Entry] = [
        entry for one in story.happenings if isinstance(one, Saved) for entry in one.entries
    ]
    assert [entry.kind for entry in kept] == [
        "started", "settled", "advanced", "write_again", "settled", "succeeded",
    ]  # fmt: skip
