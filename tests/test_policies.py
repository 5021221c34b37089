"""Shipped policies, proven: a healthy world ends at 100, a sick one at 0, a silent one waits."""

from datetime import timedelta
from pathlib import Path

import pytest

from controller import bootstrap, events
from controller.loader import load
from controller.rehearsal import Outcome, rehearse

POLICIES = sorted((Path(__file__).parents[1] / "policies").glob("*.yaml"))
SEEDS = (1, 2, 3)
SICK = ("error-burst", "latency-creep")
# Ticks five minutes apart: a day of bake in a second, and no gate is judged differently.
EVERY = timedelta(minutes=5)


@pytest.fixture(autouse=True)
def _silence() -> None:
    events.silence()


def played(policy: Path, scenario: str, seed: int, every: timedelta = EVERY) -> Outcome:
    with bootstrap.rehearsal(load(policy), scenario, seed) as stage:
        return rehearse(
            stage.runner, stage.world, stage.policy, every=every, on_tick=lambda rollout: None
        )


def test_there_are_policies_to_prove() -> None:
    assert POLICIES


shipped = pytest.mark.parametrize("policy", POLICIES, ids=lambda path: path.stem)
seeds = pytest.mark.parametrize("seed", SEEDS)


@shipped
@seeds
def test_a_healthy_world_ends_at_100(policy: Path, seed: int) -> None:
    outcome = played(policy, "healthy", seed)
    ladder = tuple(step.weight for step in load(policy).steps)
    assert (outcome.status, outcome.final_weight) == ("succeeded", 100)
    assert outcome.weights == ladder
    assert outcome.rollout.label == "not refuted"


@shipped
@seeds
@pytest.mark.parametrize("scenario", SICK)
def test_a_sick_world_ends_at_0(policy: Path, seed: int, scenario: str) -> None:
    outcome = played(policy, scenario, seed)
    assert (outcome.status, outcome.final_weight) == ("rolled_back", 0)
    assert outcome.rollout.reason == "gate_failed"


@shipped
@seeds
@pytest.mark.parametrize("scenario", ["silent", "quiet"])
def test_a_world_without_enough_requests_never_advances(
    policy: Path, seed: int, scenario: str
) -> None:
    outcome = played(policy, scenario, seed)
    first = load(policy).steps[0].weight
    assert (outcome.status, outcome.final_weight) == ("paused", first)
    assert outcome.weights == (first,)


@shipped
@seeds
def test_a_weight_that_a_person_moved_is_left_to_that_person(policy: Path, seed: int) -> None:
    outcome = played(policy, "meddling-human", seed)
    assert (outcome.status, outcome.final_weight) == ("paused", 75)
    assert outcome.calls["lambda:UpdateFunctionConfiguration"] == 1


@shipped
@seeds
@pytest.mark.parametrize("scenario", ["metrics-outage", "slow-lambda"])
def test_trouble_of_aws_delays_a_healthy_world_and_does_not_end_it(
    policy: Path, seed: int, scenario: str
) -> None:
    outcome = played(policy, scenario, seed)
    assert (outcome.status, outcome.final_weight) == ("succeeded", 100)


@shipped
def test_a_whole_day_with_a_tick_a_minute_ends_like_one_with_fewer_ticks(policy: Path) -> None:
    often = played(policy, "healthy", 1, timedelta(minutes=1))
    seldom = played(policy, "healthy", 1)
    assert (often.status, often.weights) == (seldom.status, seldom.weights)
    assert often.ticks > 24 * 60
