"""Drawn fault plans: the same on every machine, valid, and without faults near the end."""

from collections.abc import Iterator
from datetime import timedelta
from functools import cache

import pytest

from controller.core.policy.criteria import CRITERIA
from tests.chaos.fault_plan import (
    FAULTS_END,
    TICKS,
    CallFault,
    ClockSkew,
    DegradationWindow,
    Fault,
    FaultPlan,
    Interleaving,
    StoreKind,
    TargetKind,
)
from tests.chaos.faults import FAULT_KINDS
from tests.chaos.ground_truth import KINDS, drawn_kind
from tests.chaos.ground_truth.lambda_env import LambdaEnvTruth
from tests.chaos.random_plan import draw
from tests.support.core import Policy
from tests.tools.simulation.worlds import MINUTE

SEEDS = range(300)
STORES: list[StoreKind] = ["sqlite", "dynamodb"]


@cache
def plans(store: StoreKind = "sqlite") -> list[FaultPlan]:
    """Return the plans of all seeds."""
    return [draw(seed, store) for seed in SEEDS]


def faults(store: StoreKind = "sqlite") -> Iterator[Fault]:
    """Yield all faults of all seeds, including those of actors."""
    pending = [fault for plan in plans(store) for fault in plan.faults]
    while pending:
        fault = pending.pop()
        pending += fault.faults if isinstance(fault, Interleaving) else ()
        yield fault


def minute_of(fault: Fault) -> int:
    """Return the first minute in which a fault may occur."""
    match fault:
        case ClockSkew(tick=minute) | DegradationWindow(minute=minute):
            return minute
        case _:
            return fault.point.tick


def longest(policy: Policy) -> timedelta:
    """Return the longest time that a policy takes by its own durations."""
    parts = (
        step.bake
        + policy.warmup_of(index)
        + policy.longest_hold_of(index)
        + policy.evaluation_delay
        + MINUTE
        for index, step in enumerate(policy.steps)
    )
    return sum(parts, timedelta())


@pytest.mark.parametrize("store", STORES)
def test_the_same_seed_gives_the_same_plan(store: StoreKind) -> None:
    assert [draw(seed, store) for seed in range(20)] == [draw(seed, store) for seed in range(20)]


def test_another_store_has_the_same_policy_and_world() -> None:
    one, other = draw(7), draw(7, "dynamodb")
    assert (one.policy, one.scenario) == (other.policy, other.scenario)


def test_faults_occur_early_enough_for_every_rollout_to_come_to_rest() -> None:
    assert {minute_of(fault) for fault in faults()} == set(range(FAULTS_END))
    assert max(longest(plan.policy) for plan in plans()) < (TICKS - FAULTS_END) * MINUTE


@pytest.mark.parametrize(("store", "service"), [("sqlite", "store"), ("dynamodb", "dynamodb")])
def test_every_kind_of_call_fault_is_drawn_and_those_of_another_store_are_not(
    store: StoreKind, service: str
) -> None:
    drawn = {
        (fault.point.operation, fault.how)
        for fault in faults(store)
        if isinstance(fault, CallFault)
    }
    env = LambdaEnvTruth.calls(plans()[0].policy.target)
    here = (*env, f"{service}:", "cloudwatch:", "people:")
    ways = {(name, how) for name, hows in FAULT_KINDS.items() for how in hows}
    assert drawn == {way for way in ways if way[0].startswith(here)}


@pytest.mark.parametrize("target", KINDS)
def test_the_calls_of_a_target_meet_each_of_their_faults(target: TargetKind) -> None:
    """No call is drawn that only another target has, such as that of a rule at a listener."""
    services = tuple(f"{kind.service}:" for kind in KINDS.values())
    drawn, wanted = set[tuple[str, str]](), set[tuple[str, str]]()
    for plan in (draw(seed, target=target) for seed in SEEDS):
        calls = KINDS[target].calls(plan.policy.target)
        own = {(name, how) for name in calls for how in FAULT_KINDS[name]}
        faults = [fault for fault in plan.faults if isinstance(fault, CallFault)]
        met = {(fault.point.operation, fault.how) for fault in faults}
        met = {one for one in met if one[0].startswith(services)}
        assert met <= own
        drawn, wanted = drawn | met, wanted | own
    assert drawn == wanted


def test_every_kind_of_target_is_drawn() -> None:
    assert {drawn_kind(seed) for seed in range(30)} == set(KINDS)


def test_policies_differ_in_all_that_they_can_say() -> None:
    policies = [plan.policy for plan in plans()]
    assert {policy.on_inconclusive for policy in policies} == {"pause", "rollback", "advance"}
    assert {policy.on_drift_up for policy in policies} == {"pause", "rollback"}
    assert {len(policy.target.settings(0)) == 1 for policy in policies} == {True, False}
    assert {policy.freeze is None for policy in policies} == {True, False}
    assert {policy.needs_approval(len(policy.steps) - 1) for policy in policies} == {True, False}
    assert {len(policy.steps) for policy in policies} == {1, 2, 3}


# Kinds that no plan draws: faults of an account do not tell them from those that are drawn. They
# are played once each in tests/engine/test_criterion_kinds.py.
NOT_DRAWN = {"threshold", "share", "burn_rate", "alarm", "log_events", "attestation"}


def test_each_kind_of_criterion_is_drawn_or_named_as_left_out() -> None:
    drawn = {one.kind for plan in plans() for one in plan.policy.criteria.values()}
    assert not drawn & NOT_DRAWN
    unknown = set(CRITERIA.built_in) - drawn - NOT_DRAWN
    assert not unknown, (
        f"no plan draws {', '.join(sorted(unknown))}: draw it in tests/chaos/random_policy.py, by "
        "a chance of another stream than `chance` so that recorded seeds stay, or add it to "
        "NOT_DRAWN and to KINDS of tests/engine/test_criterion_kinds.py"
    )
