"""A bug planted into the product is found by the invariant that it breaks, and by its story."""

import pytest

from controller.process import logging
from tests.chaos.chaos import chaos
from tests.chaos.invariants import ALL
from tests.chaos.planted_bugs import PLANTED, Planted


@pytest.fixture(autouse=True)
def _silence() -> None:
    logging.silence()


@pytest.mark.parametrize("planted", PLANTED, ids=lambda one: one.name)
def test_a_planted_bug_is_found(planted: Planted, monkeypatch: pytest.MonkeyPatch) -> None:
    planted.plant(monkeypatch)
    violations = chaos(planted.plot()).violations
    assert planted.invariant.name in {one.invariant for one in violations}


@pytest.mark.parametrize("planted", PLANTED, ids=lambda one: one.name)
def test_without_the_bug_the_same_story_holds(planted: Planted) -> None:
    assert chaos(planted.plot()).violations == ()


def test_every_invariant_finds_a_planted_bug() -> None:
    assert {one.invariant for one in PLANTED} == set(ALL)
