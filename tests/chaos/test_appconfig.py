"""An `appconfig` rollout that is killed, or met by another tick, at each of its calls."""

from collections.abc import Mapping
from typing import Any

import pytest

from controller.process import logging
from tests.chaos.fault_plan import ActorAction, Crash, Fault, InjectionPoint, Timing
from tests.chaos.ground_truth.appconfig import AppConfigTruth
from tests.chaos.run import run_plan
from tests.chaos.sample_plans import CANARY_ERRORS, flag_plan, interleaving
from tests.chaos.trace import Trace
from tests.support.deep_rows import deep_after

CALLS = (*AppConfigTruth.calls(flag_plan().policy.target), "store:save", "cloudwatch:GetMetricData")
WORLDS: Mapping[str, tuple[Mapping[str, Any], ...]] = {
    "succeeded": (),
    "rolled_back": (CANARY_ERRORS,),
}


@pytest.fixture(autouse=True)
def _silent() -> None:
    logging.disable()


def ended(fault: Fault, end: str) -> Trace:
    """Return the trace of one fault, in a world where a rollout without it ends like this."""
    trace = run_plan(flag_plan(fault, events=[dict(one) for one in WORLDS[end]]))
    assert trace.violations == ()
    assert trace.end == end
    return trace


@pytest.mark.parametrize("end", WORLDS)
@pytest.mark.parametrize("when", Timing)
@pytest.mark.parametrize("operation", CALLS)
def test_a_kill_at_any_call_of_a_tick_changes_no_end(
    operation: str, when: Timing, end: str
) -> None:
    trace = ended(Crash(InjectionPoint(1, operation), when), end)
    assert any("crash" in fault for fault in trace.fault_counts)


@pytest.mark.parametrize("end", WORLDS)
@pytest.mark.parametrize("when", [Timing.BEFORE, Timing.AFTER])
@pytest.mark.parametrize("operation", CALLS)
def test_a_second_tick_at_any_call_of_a_tick_changes_no_end(
    operation: str, when: Timing, end: str
) -> None:
    trace = ended(interleaving(1, operation, ActorAction.TICK, when=when), end)
    assert any("another tick" in fault for fault in trace.fault_counts)


@pytest.mark.parametrize("operation", deep_after(2, CALLS))
@pytest.mark.parametrize("weight", [0, 70])
def test_what_a_person_deploys_at_any_call_is_kept(operation: str, weight: int) -> None:
    fault = interleaving(1, operation, ActorAction.SET_WEIGHT, weight=weight)
    trace = run_plan(flag_plan(fault))
    assert trace.violations == ()
    assert trace.end in ("paused", "rolled_back", "succeeded")
