"""A rehearsal leaves out ticks that can change nothing: it ends as with a tick a minute."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from controller.core.policy import Policy
from controller.policy_file.loader import load
from controller.process import logging
from controller.tools.rehearse.rehearsal import RehearsalOutcome, rehearsal, rehearse
from tests.support.deep_rows import deep_after

POLICIES = Path(__file__).parents[2] / "policies"


@pytest.fixture(autouse=True)
def _silence() -> None:
    logging.disable()


def played(policy: str, scenario: str, *, all_ticks: bool) -> RehearsalOutcome:
    return played_policy(load(POLICIES / f"{policy}.yaml"), scenario, all_ticks=all_ticks)


def played_policy(policy: Policy, scenario: str, *, all_ticks: bool) -> RehearsalOutcome:
    with rehearsal(policy, scenario, 1) as stage:
        return rehearse(
            stage.runner,
            stage.world,
            stage.policy,
            every=timedelta(minutes=1),
            on_tick=lambda _: None,
            all_ticks=all_ticks,
        )


def history(outcome: RehearsalOutcome) -> list[tuple[Any, ...]]:
    """Return what was decided and stored, when and why, without the counts of AWS calls."""
    return [(entry.at, entry.kind, entry.body) for entry in outcome.entries]


@pytest.mark.parametrize(
    ("policy", "scenario"),
    deep_after(
        3,
        [
            pytest.param("execution-api", "error-burst"),
            pytest.param("execution-api", "meddling-human"),
            # Counts errors in windows that are still open.
            pytest.param("gateway-metrics-only", "latency-creep"),
            pytest.param("execution-api", "latency-creep"),
            pytest.param("execution-api", "metrics-outage"),
            pytest.param("gateway-metrics-only", "error-burst"),
        ],
    ),
)
def test_a_rehearsal_ends_as_with_a_tick_a_minute(policy: str, scenario: str) -> None:
    few = played(policy, scenario, all_ticks=False)
    all_ticks = played(policy, scenario, all_ticks=True)
    assert history(few) == history(all_ticks)
    assert (few.rollout.evidence, few.ended) == (all_ticks.rollout.evidence, all_ticks.ended)
    assert few.ticks < all_ticks.ticks


def test_a_series_that_a_later_step_does_not_read_is_not_read_on() -> None:
    """The middle step has no criterion on the latency of the stable path, the first one has."""
    policy = load(POLICIES / "execution-api.yaml")
    first, last = policy.steps[0], policy.steps[-1]
    middle = last.model_copy(update={"weight": 50, "bake": timedelta(hours=2)})
    assert set(first.criteria or ()) - set(middle.criteria or ()) == {"SC-003"}
    steps = (first, middle, last.model_copy(update={"bake": timedelta(hours=1)}))
    changed = policy.model_copy(update={"steps": steps})
    assert played_policy(changed, "healthy", all_ticks=False).status == "succeeded"
