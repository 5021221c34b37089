"""Shrinking keeps only the faults that are needed for the violation."""

import pytest

from controller.immutable import replace
from tests.chaos.fault_plan import (
    ActorAction,
    CallFault,
    Fault,
    FaultPlan,
    InjectionPoint,
    Interleaving,
    Timing,
)
from tests.chaos.invariants import Violation
from tests.chaos.random_plan import draw
from tests.chaos.shrink import MOST_TRIES, shrink
from tests.chaos.trace import Trace
from tests.tools.simulation.worlds import START

NOISE = tuple(CallFault(InjectionPoint(minute, "store:save"), "conflict") for minute in range(11))
ONE = CallFault(InjectionPoint(3, "lambda:UpdateFunctionConfiguration"), "409")
INNER = CallFault(InjectionPoint(0, "store:load"), "store down")
OTHER = Interleaving(
    InjectionPoint(5), Timing.BEFORE, ActorAction.TICK, waits=40, faults=(INNER, ONE)
)
BARE = replace(OTHER, waits=0, faults=())


class FakeSimulation:
    """A simulation in which a plan breaks an invariant when it has all of `needs`.

    An interleaving of the plan may have more faults and a longer wait than the needed one.
    """

    def __init__(self, *needs: Fault) -> None:
        self.needs, self.played = needs, 0

    def __call__(self, plan: FaultPlan) -> Trace:
        self.played += 1
        broken = all(any(_like(need, fault) for fault in plan.faults) for need in self.needs)
        violations = [Violation("one-owner", START, "tick 3", "did it")] if broken else []
        return Trace(plan, (), (), violations, {}, 0, 0, None)


def _like(need: Fault, fault: Fault) -> bool:
    if isinstance(need, Interleaving) and isinstance(fault, Interleaving):
        return set(need.faults) <= set(fault.faults) and need.waits <= fault.waits
    return need == fault


@pytest.mark.parametrize(
    ("needs", "left"),
    [
        pytest.param((ONE,), (ONE,), id="one fault of many"),
        pytest.param((ONE, NOISE[4]), (NOISE[4], ONE), id="two that are far apart"),
        pytest.param((BARE,), (BARE,), id="what others do, without waiting or trouble of theirs"),
        pytest.param(
            (replace(BARE, faults=(INNER,)),), (replace(BARE, faults=(INNER,)),),
            id="and with that of their troubles which it takes",
        ),
        pytest.param((), (), id="nothing at all has to go wrong"),
    ],
)  # fmt: skip
def test_only_needed_faults_are_left(needs: tuple[Fault, ...], left: tuple[Fault, ...]) -> None:
    play = FakeSimulation(*needs)
    trace = play(replace(draw(1), faults=(*NOISE[:6], ONE, OTHER, *NOISE[6:])))
    smallest = shrink(trace, play)
    assert sorted(map(str, smallest.plan.faults)) == sorted(map(str, left))
    assert play.played < MOST_TRIES


def test_a_trace_without_violations_is_left_as_it_is() -> None:
    play = FakeSimulation(ONE)
    trace = play(replace(draw(1), faults=NOISE))
    assert shrink(trace, play) is trace
    assert play.played == 1


def test_another_invariant_is_no_reason_to_leave_a_fault_out() -> None:
    def play(plan: FaultPlan) -> Trace:
        name = "one-owner" if ONE in plan.faults else "no-return"
        broken = [Violation(name, START, "tick 3", "did it")]
        return Trace(plan, (), (), broken, {}, 0, 0, None)

    smallest = shrink(play(replace(draw(1), faults=(*NOISE, ONE))), play)
    assert smallest.plan.faults == (ONE,)
