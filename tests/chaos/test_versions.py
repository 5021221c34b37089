"""Two versions on one store by turns: every invariant holds, and nothing is decided otherwise."""

from collections.abc import Sequence
from typing import Final

import pytest

from controller.process import logging
from tests.chaos.fault_plan import StoreKind
from tests.chaos.random_plan import draw
from tests.chaos.run import run_plan
from tests.chaos.trace_text import format_trace
from tests.chaos.versions import (
    VersionOf,
    by_turns,
    by_turns_until_the_upgrade,
    run_mixed,
    upgrade,
    upgrade_turn,
)
from tests.goldens.plays import play_of
from tests.support.cases import cases

SEEDS: Final = [
    pytest.param("sqlite", range(4)),
    pytest.param("sqlite", range(4, 1_000), marks=pytest.mark.deep),
    pytest.param("dynamodb", range(60), marks=pytest.mark.deep),
]


@pytest.fixture(autouse=True)
def _no_logs() -> None:
    logging.disable()


@pytest.mark.parametrize(("store", "seeds"), SEEDS)
@cases("version_of, is_upgraded", {
    "without an upgrade": (by_turns, False),
    "until the upgrade": (by_turns_until_the_upgrade, True),
    "also after the upgrade": (by_turns, True),
})  # fmt: skip
def test_every_invariant_holds_with_two_versions_by_turns(
    version_of: VersionOf, is_upgraded: bool, store: StoreKind, seeds: Sequence[int]
) -> None:
    for seed in seeds:
        acts = {upgrade_turn(seed): upgrade} if is_upgraded else {}
        trace = run_mixed(draw(seed, store), version_of, acts)
        assert not trace.violations, format_trace(trace)


@cases("version_of, is_upgraded", {
    "without an upgrade": (by_turns, False),
    "until the upgrade": (by_turns_until_the_upgrade, True),
})  # fmt: skip
def test_two_versions_by_turns_decide_as_one_does(version_of: VersionOf, is_upgraded: bool) -> None:
    for seed in (7, 16, 30):
        plan = draw(seed)
        acts = {upgrade_turn(seed): upgrade} if is_upgraded else {}
        mixed, alone = play_of("", run_mixed(plan, version_of, acts)), play_of("", run_plan(plan))
        assert (mixed.end, mixed.decisions) == (alone.end, alone.decisions)
