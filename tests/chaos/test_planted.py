"""A planted bug is found by the invariant that it breaks, and its plan alone breaks none."""

import pytest

from controller.process import logging
from tests.chaos.invariants import ALL
from tests.chaos.planted_bug import PlantedBug
from tests.chaos.planted_bugs import PLANTED_BUGS
from tests.chaos.run import run_plan


@pytest.fixture(autouse=True)
def _no_logs() -> None:
    logging.disable()


@pytest.mark.parametrize("planted", PLANTED_BUGS, ids=lambda one: one.name)
def test_a_planted_bug_is_found(planted: PlantedBug, monkeypatch: pytest.MonkeyPatch) -> None:
    planted.plant(monkeypatch)
    violations = run_plan(planted.plan()).violations
    assert planted.invariant.name in {violation.invariant for violation in violations}


# Some bugs are shown by the same run.
PLANS = {repr(bug.plan()): bug for bug in PLANTED_BUGS}.values()


@pytest.mark.parametrize("planted", PLANS, ids=lambda one: one.name)
def test_without_the_bug_the_same_plan_breaks_nothing(planted: PlantedBug) -> None:
    assert run_plan(planted.plan()).violations == ()


def test_every_invariant_finds_a_planted_bug() -> None:
    assert {bug.invariant for bug in PLANTED_BUGS} == set(ALL)
