"""Fault plans that are run: faults occur at their points, actors act in between, all is traced."""

import hashlib
import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from controller.engine.tick import Runner
from controller.immutable import replace
from controller.process import logging
from tests.chaos.event_log import ProcessEnd, RolloutSave, TargetWrite
from tests.chaos.fault_plan import (
    ActorAction,
    CallFault,
    ClockSkew,
    Crash,
    Degradation,
    DegradationWindow,
    Fault,
    FaultPlan,
    InjectionPoint,
    Interleaving,
    TargetKind,
    Timing,
)
from tests.chaos.faults import DONE_500, FAULT_KINDS, LATE, REQUEST_LOST, RESPONSE_LOST
from tests.chaos.ground_truth import KINDS
from tests.chaos.random_plan import draw
from tests.chaos.run import run_plan
from tests.chaos.sample_plans import (
    CANARY_ERRORS,
    MEASURE,
    READ,
    SAVE,
    WRITE,
    alias_plan,
    flag_plan,
    interleaving,
    rule_plan,
    sample_plan,
)
from tests.chaos.trace import Trace, TraceLine
from tests.chaos.trace_text import format_trace

PLANS: Mapping[TargetKind, Callable[..., FaultPlan]] = {
    "lambda-env": sample_plan,
    "lambda-alias": alias_plan,
    "alb-weights": rule_plan,
    "appconfig": flag_plan,
}
# Each call of a process with a SQLite file, by target; the calls of the others with one alone.
CASES = [
    (target, name, how)
    for target, plan in PLANS.items()
    for name, hows in FAULT_KINDS.items()
    for how in hows
    if name in KINDS[target].calls(plan().policy.target)
    or (target == "lambda-env" and name.startswith(("store", "cloudwatch", "people")))
]
START_OPERATIONS = (
    ("lambda-alias", "lambda:GetFunctionConfiguration"),
    ("lambda-env", "store:create"),
    ("lambda-env", "store:of_name"),
)


@pytest.fixture(autouse=True)
def _silent() -> None:
    logging.disable()


def simulate(*faults: Fault, target: TargetKind = "lambda-env") -> Trace:
    """Return the trace of a healthy world with these faults and no others."""
    trace = run_plan(PLANS[target](*faults))
    assert trace.violations == ()
    return trace


def lines(trace: Trace, by: str) -> list[str]:
    """Return what one process did, and its faults."""
    return [line.what for line in trace.lines if line.by == by]


def weights(trace: Trace) -> list[tuple[str, int | None]]:
    """Return who wrote which weights, in order."""
    return [
        (event.by, event.weight_after) for event in trace.events if isinstance(event, TargetWrite)
    ]


def digest(trace: Trace) -> str:
    """Return a digest of the whole trace."""
    text = f"{format_trace(trace)}\n{trace.lines!r}\n{trace.events!r}\n{trace.fault_counts!r}"
    return hashlib.sha256(text.encode()).hexdigest()


# --- determinism ----------------------------------------------------------------------------------

SUBPROCESS_SCRIPT = """
from controller.process import logging
from tests.chaos.run import run_plan
from tests.chaos.ground_truth import KINDS
from tests.chaos.random_plan import draw
from tests.chaos.test_trace import digest
logging.disable()
print(" ".join(digest(run_plan(draw(seed))) for seed in range(3, 5)))
"""


def test_the_same_seed_gives_the_same_trace_in_another_process_too() -> None:
    here = [digest(run_plan(draw(seed))) for seed in range(3, 5)]
    environment = {**os.environ, "PYTHONHASHSEED": "4711"}
    process = subprocess.run(
        [sys.executable, "-c", SUBPROCESS_SCRIPT], cwd=Path(__file__).parents[2], env=environment,
        capture_output=True, text=True, check=True, timeout=120,
    )  # fmt: skip
    assert process.stdout.split() == here
    assert len(set(here)) == len(here)


def test_without_faults_none_is_injected_and_the_rollout_succeeds() -> None:
    trace = simulate()
    assert (trace.end, trace.fault_counts, weights(trace)) == (
        "succeeded", {}, [("start 0", 10), ("tick 5", 100)],
    )  # fmt: skip
    assert trace.steps > 80


# --- several rollouts in a tick -------------------------------------------------------------------

KILLED_IN_A_SLICE = [
    ("store:acquire", Timing.AFTER),
    (READ, Timing.AFTER),
    (MEASURE, Timing.AFTER),
    (SAVE, Timing.AFTER),  # before the write of a raise
    (WRITE, Timing.AFTER),  # before the save of a rollback
    ("store:release", Timing.BEFORE),
]


@pytest.mark.parametrize(("operation", "when"), KILLED_IN_A_SLICE)
@pytest.mark.parametrize("events", [(), (CANARY_ERRORS,)], ids=["healthy", "failing"])
def test_ticks_that_are_killed_in_a_slice_leave_every_rollout_sound(
    operation: str, when: Timing, events: Sequence[dict[str, Any]]
) -> None:
    """Up to three ticks in a row, of which another tick meets the first."""
    crashes = [Crash(InjectionPoint(tick, operation), when) for tick in (4, 5, 6)]
    meanwhile = interleaving(4, operation, ActorAction.TICK)
    trace = run_plan(replace(sample_plan(meanwhile, *crashes, events=events), neighbours=2))
    assert trace.violations == ()
    assert trace.fault_counts[f"{operation}: crash {when}"] > 0
    assert trace.end == ("rolled_back" if events else "succeeded")


# --- faults ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(("target", "operation", "how"), CASES)
def test_each_call_breaks_in_each_of_its_ways_and_the_rollout_goes_on(
    target: TargetKind, operation: str, how: str
) -> None:
    point = InjectionPoint(0 if (target, operation) in START_OPERATIONS else 1, operation)
    busy = Interleaving(InjectionPoint(1, "store:acquire"), Timing.BEFORE, ActorAction.TAKE_LEASE)
    needed = (
        [busy] if operation == "store:load" else []
    )  # a rollout is only loaded when its lease is held
    trace = simulate(CallFault(point, how, 20 if how == LATE else 0), *needed, target=target)
    assert trace.fault_counts[f"{operation}: {how}"] == 1
    assert trace.end == "succeeded"


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
    """By the tick that decided it if its call arrived, else by the next one."""
    trace = simulate(fault)
    assert weights(trace) == [one for one in (("start 0", 10), first, second) if one]


def test_what_arrives_late_arrives_when_it_says() -> None:
    trace = simulate(CallFault(InjectionPoint(1, WRITE), LATE, late=20))
    (when,) = (
        event.at
        for event in trace.events
        if isinstance(event, TargetWrite) and event.by == "tick 5"
    )
    assert f"{when:%T}" == "09:05:20"


def test_a_fault_occurs_at_the_same_point_without_the_others() -> None:
    others = [
        CallFault(InjectionPoint(2, SAVE), "conflict"),
        Crash(InjectionPoint(3, "", 2), Timing.BEFORE),
    ]
    alone, last = Crash(InjectionPoint(6, "", 1), Timing.AFTER), "1 store:acquire"
    for faults in ([alone], [*others, alone]):
        trace = simulate(*faults)
        injected = [line for line in trace.lines if line.what == "! crash after"]
        assert [(line.by, line.where) for line in injected] == [("tick 6", last)]


def test_a_clock_is_wrong_in_the_process_that_it_belongs_to() -> None:
    trace = simulate(ClockSkew(4, 120))
    saves = [
        event for event in trace.events if isinstance(event, RolloutSave) and event.by == "tick 4"
    ]
    assert {f"{save.after.updated:%T}" for save in saves} <= {"09:06:00", "09:06:03"}
    assert {f"{save.at:%T}" for save in saves} <= {"09:04:00", "09:04:03"}
    assert saves


@pytest.mark.parametrize("degradation", Degradation)
def test_a_degradation_begins_and_ends(degradation: Degradation) -> None:
    trace = simulate(DegradationWindow(4, 100, degradation))
    assert {name.rpartition(": ")[2] for name in trace.fault_counts} == {str(degradation)}
    injected = [f"{line.at:%T}" for line in trace.lines if line.what == f"! {degradation}"]
    assert "09:04:00" <= min(injected) <= max(injected) <= "09:05:40"
    assert trace.end in ("succeeded", "paused", "rolled_back")


# --- actors ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("act", ActorAction)
def test_others_act_while_a_process_waits(act: ActorAction) -> None:
    fault = Interleaving(InjectionPoint(3, SAVE), Timing.BEFORE, act, weight=5)
    assert simulate(fault).fault_counts == {f"{SAVE}: before it: {act}": 1}


def test_ticks_that_are_due_come_in_between_while_a_process_waits() -> None:
    trace = simulate(
        Interleaving(InjectionPoint(3, WRITE), Timing.BEFORE, ActorAction.TICK, waits=150)
    )
    processes = [event.by for event in trace.events if isinstance(event, ProcessEnd)]
    between = processes.index("tick 4") + 1
    assert processes[between : between + 4] == [
        "tick 6",
        "tick 7",
        "another tick in tick 5",
        "tick 5",
    ]
    assert weights(trace)[-1] == ("tick 7", 100)
    assert trace.end == "succeeded"


def test_an_actor_has_faults_of_its_own() -> None:
    inner = CallFault(InjectionPoint(0, "store:visits"), "store down")
    trace = simulate(
        Interleaving(InjectionPoint(3, "", 0), Timing.BEFORE, ActorAction.TICK, faults=(inner,))
    )
    assert lines(trace, "another tick in tick 3") == ["! store down", "ends with 1"]


def test_what_a_person_starts_while_a_tick_waits_is_not_for_that_tick_to_lower() -> None:
    trace = simulate(
        Interleaving(InjectionPoint(2, "store:visits"), Timing.AFTER, ActorAction.DEPLOY),
        Interleaving(InjectionPoint(3, "people:notify"), Timing.BEFORE, ActorAction.RETRY),
    )
    assert [count for count in trace.fault_counts if count.endswith(ActorAction.RETRY)]
    assert (trace.rollout.id if trace.rollout else "", trace.end) == ("orders#2", "succeeded")


def test_a_rollback_by_hand_of_what_is_over_takes_its_successor_down_too() -> None:
    again = Interleaving(InjectionPoint(0, "store:load"), Timing.AFTER, ActorAction.RETRY)
    trace = simulate(
        Interleaving(InjectionPoint(2, "store:visits"), Timing.AFTER, ActorAction.DEPLOY),
        Interleaving(
            InjectionPoint(5, "store:visits"), Timing.BEFORE, ActorAction.ROLLBACK, faults=(again,)
        ),
    )
    assert [by for by, weight in weights(trace) if weight == 0] == [
        "deploy", "rollback in tick 5",
    ]  # fmt: skip
    assert trace.end == "rolled_back"


# --- text -----------------------------------------------------------------------------------------


def test_an_unexpected_error_is_a_violation(monkeypatch: pytest.MonkeyPatch) -> None:
    def failing_tick(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(Runner, "_tick", failing_tick)
    trace = run_plan(sample_plan())
    assert trace.violations[0].invariant == "nothing-escapes"
    assert "ZeroDivisionError" in format_trace(trace)


def test_a_line_says_what_is_in_force_and_what_the_function_shows() -> None:
    trace = simulate()
    raised: TraceLine = next(line for line in trace.lines if line.what == "writes 0% > 10%")
    assert (raised.by, raised.weight, raised.shown) == ("start 0", 0, 10)
    assert "0 > 10%" in format_trace(trace)
    assert "22 invariants held after" in format_trace(trace)
