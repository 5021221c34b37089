"""A rehearsal with a budget of bad requests: it waits for less traffic, and for nothing else."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from controller.operations.recorded.exposure import recorded_exposure
from controller.testing import Rehearsal, rehearse
from tests.support.core import Entry, Phase
from tests.support.parsed import parse
from tests.support.stage import SHORT_POLICY
from tests.tools.simulation.worlds import MINUTE

# An outage is found in one window of a minute, final two minutes later, taken back within one more.
LASTS = 1 + 2 + 1
STEPS = [
    {"weight": 10, "bake": "10m"},
    {"weight": 50, "bake": "10m"},
    {"weight": 100, "bake": "10m"},
]
WORKS = {**SHORT_POLICY["criteria"]["works"], "min": "80%"}
SCENARIO = """
name: falling
summary: Traffic falls to a tenth two hours after the start.
traffic: {requests_per_minute: 1000}
stable: {median_ms: 100}
canary: {median_ms: 100, server_errors: 0.2%}
events:
  - {kind: traffic, at: {after: 2h}, times: 0.1}
"""


@pytest.fixture
def falling(tmp_path: Path) -> str:
    """The file of a world whose traffic falls."""
    file = tmp_path / "falling.yaml"
    file.write_text(SCENARIO)
    return str(file)


def played(scenario: str, every: timedelta = MINUTE, **parts: Any) -> Rehearsal:
    policy = {**SHORT_POLICY, "criteria": {"works": WORKS}, "steps": STEPS, **parts}
    return rehearse(parse(policy), scenario, every=every)


def story(rehearsal: Rehearsal) -> list[tuple[str, str]]:
    """Return when what happened."""
    entries: list[Entry] = list(rehearsal.outcome.entries)
    return [(f"{entry.at - rehearsal.outcome.started}", entry.kind) for entry in entries]


def test_a_small_budget_holds_at_high_traffic_and_goes_on_once_it_falls(falling: str) -> None:
    rehearsal = played(falling, max_bad_requests=500 * LASTS - 100)
    kinds = [kind for _, kind in story(rehearsal)]
    assert rehearsal.phase == Phase.SUCCEEDED
    assert rehearsal.weights == (10, 50, 100)
    assert kinds[:3] == ["started", "applied", "blocked"]
    blocked, advanced = (
        next(entry for entry in rehearsal.outcome.entries if entry.kind == kind)
        for kind in ("blocked", "advanced")
    )
    begin = rehearsal.outcome.started
    assert (blocked.at - begin).total_seconds() < 30 * 60
    assert (advanced.at - begin).total_seconds() > 120 * 60
    assert blocked.body["reason"] == "over_exposure_budget"
    assert "max_bad_requests is 1,900" in blocked.body["sentence"]


def test_traffic_that_never_falls_ends_a_rehearsal_after_a_day(falling: str) -> None:
    rehearsal = played(falling, 10 * MINUTE, max_bad_requests=1)
    assert (rehearsal.phase, rehearsal.weights) == (Phase.PROGRESSING, (10,))
    assert [kind for _, kind in story(rehearsal)][-1] == "reminded"


def test_an_outage_costs_what_was_expected_of_it(falling: str) -> None:
    Path(falling).write_text(
        SCENARIO + "  - {kind: errors, at: {step: 2, after: 0s}, server_errors: 100%}\n"
    )
    rehearsal = played(falling, max_bad_requests=500 * LASTS + 200)
    cost = recorded_exposure(rehearsal.outcome.rollout, rehearsal.outcome.entries)
    assert [step.weight for step in cost.steps] == [10, 50]
    begin, end = (
        next(
            entry.at
            for entry in rehearsal.outcome.entries
            if entry.kind == kind and entry.seq > after
        )
        for kind, after in (("applied", 3), ("rolled_back", 0))
    )
    assert (end - begin).total_seconds() <= LASTS * 60 + 60
    assert 500 <= cost.steps[1].failures <= 500 * LASTS
    assert cost.recorded_to is not None
    assert begin < cost.recorded_to < end  # the minutes after the last datapoint are in no entry


def test_what_was_served_is_counted_by_step_and_what_is_expected_by_the_last_traffic(
    falling: str,
) -> None:
    rehearsal = played(falling, 10 * MINUTE, max_bad_requests=1)
    cost = recorded_exposure(rehearsal.outcome.rollout, rehearsal.outcome.entries)
    (step,) = cost.steps
    assert (step.weight, step.budget, step.criterion) == (10, 1, "works")
    assert (cost.requests, cost.failures) == (step.requests, step.failures)
    assert cost.failures / cost.requests == pytest.approx(0.002, rel=0.3)
    assert cost.excess == 0  # a success rate of 80% allows more
    assert cost.expected is not None
    assert cost.expected.per_minute == pytest.approx(100, rel=0.2)
    assert cost.expected.exceeds
