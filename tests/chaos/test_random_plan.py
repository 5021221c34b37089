"""Plots that are drawn: the same ones on every machine, sound, and calm in time."""

from collections.abc import Iterator
from datetime import timedelta
from functools import cache

import pytest

from controller.core.policy import Policy
from tests.chaos.fault_plan import (
    FAULTS_END,
    TICKS,
    ActorAction,
    CallFault,
    ClockSkew,
    Crash,
    Degradation,
    DegradationWindow,
    Fault,
    FaultPlan,
    Interleaving,
    StoreKind,
)
from tests.chaos.faults import FAULT_KINDS
from tests.chaos.random_plan import draw
from tests.simulation.worlds import MINUTE

SEEDS = range(300)
STORES: list[StoreKind] = ["sqlite", "dynamodb"]


@cache
def plots(store: StoreKind = "sqlite") -> list[FaultPlan]:
    """Return what is drawn of all seeds."""
    return [draw(seed, store) for seed in SEEDS]


def faults(store: StoreKind = "sqlite") -> Iterator[Fault]:
    """Yield all faults of all seeds, those of who comes in between too."""
    waiting = [fault for plot in plots(store) for fault in plot.faults]
    while waiting:
        fault = waiting.pop()
        waiting += fault.faults if isinstance(fault, Interleaving) else ()
        yield fault


def minute_of(fault: Fault) -> int:
    """Return the first minute in which a fault may strike."""
    match fault:
        case ClockSkew(tick=minute) | DegradationWindow(minute=minute):
            return minute
        case _:
            return fault.spot.tick


def longest(policy: Policy) -> timedelta:
    """Return how long a policy takes that is held up by nothing but its own waits."""
    parts = (
        step.bake + policy.warmup_of(index) + policy.max_hold_of(index) + policy.settle + MINUTE
        for index, step in enumerate(policy.steps)
    )
    return sum(parts, timedelta())


@pytest.mark.parametrize("store", STORES)
def test_the_same_seed_is_the_same_plot(store: StoreKind) -> None:
    assert [draw(seed, store) for seed in range(20)] == [draw(seed, store) for seed in range(20)]


def test_another_store_has_the_same_policy_and_world() -> None:
    one, other = draw(7), draw(7, "dynamodb")
    assert (one.policy, one.scenario) == (other.policy, other.scenario)


def test_what_goes_wrong_goes_wrong_early_enough_for_all_to_come_to_rest() -> None:
    assert {minute_of(fault) for fault in faults()} == set(range(FAULTS_END))
    assert max(longest(plot.policy) for plot in plots()) < (TICKS - FAULTS_END) * MINUTE


@pytest.mark.parametrize(("store", "service"), [("sqlite", "store"), ("dynamodb", "dynamodb")])
def test_every_way_to_break_a_call_is_drawn_and_those_of_another_store_are_not(
    store: StoreKind, service: str
) -> None:
    drawn = {
        (fault.spot.operation, fault.how) for fault in faults(store) if isinstance(fault, CallFault)
    }
    here = {service, "lambda", "cloudwatch", "people"}
    ways = {(name, how) for name, hows in FAULT_KINDS.items() for how in hows}
    assert drawn == {way for way in ways if way[0].partition(":")[0] in here}


def test_everything_that_others_do_is_drawn_and_every_trouble() -> None:
    drawn = list(faults())
    assert {fault.act for fault in drawn if isinstance(fault, Interleaving)} == set(ActorAction)
    assert {fault.degradation for fault in drawn if isinstance(fault, DegradationWindow)} == set(
        Degradation
    )
    assert {type(fault) for fault in drawn} == {
        CallFault,
        Crash,
        Interleaving,
        ClockSkew,
        DegradationWindow,
    }


def test_policies_differ_in_all_that_they_can_say() -> None:
    policies = [plot.policy for plot in plots()]
    assert {one.on_inconclusive for one in policies} == {"pause", "rollback", "advance"}
    assert {one.on_drift_up for one in policies} == {"pause", "rollback"}
    assert {one.target.boolean is None for one in policies} == {True, False}
    assert {one.freeze is None for one in policies} == {True, False}
    assert {one.needs_approval(len(one.steps) - 1) for one in policies} == {True, False}
    assert {len(one.steps) for one in policies} == {1, 2, 3}
