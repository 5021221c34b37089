"""A rollback that a role which may only lower has requested: the next tick carries it out."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from controller.core.transitions.rollback import LOWER_TIMEOUT_PER_TICK
from controller.errors import Exit
from controller.ports.store import Store
from tests.engine.test_isolation import FailingWrites
from tests.support.core import Command, Phase, Reason, Verb, replay
from tests.support.stage import PatchedStore, Stage, open_stage
from tests.tools.simulation.worlds import FUNCTION, MINUTE

WHY = "checkout looks broken (request of bot)"


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    """Yield a healthy stage at 10%."""
    with open_stage(tmp_path) as stage:
        stage.start()
        stage.tick_until(10)
        yield stage


def request(stage: Stage, **why: str) -> None:
    """Let the store of `stage` have requests, by the names of the policies."""
    store: Store = stage.store
    requests = {f"{name}#1": text for name, text in why.items()}

    def with_requests(locks: Any, ids: Any) -> tuple[Mapping[str, str | None], Mapping[str, str]]:
        return store.owners(locks), {one: requests[one] for one in ids if one in requests}

    stage.use_store(PatchedStore(store, owners_and_requests=with_requests))


def tick(stage: Stage) -> None:
    stage.world.clock.advance(MINUTE)
    result = stage.runner.tick_active(early=True)
    assert result.status == Exit.DONE


def test_the_next_tick_carries_a_request_out_and_its_history_says_whose_it_is(
    stage: Stage,
) -> None:
    request(stage, orders=WHY)
    tick(stage)
    assert stage.variables["PERCENTAGE"] == "0"
    assert (stage.rollout.phase, stage.rollout.reason) == (
        Phase.ROLLED_BACK,
        Reason.ROLLBACK_REQUESTED,
    )
    entries = stage.store.history("orders#1")
    assert WHY in [entry.body["sentence"] for entry in entries]
    assert replay(stage.rollout, entries).consistent


def test_a_request_is_carried_out_once(stage: Stage) -> None:
    request(stage, orders=WHY)
    tick(stage)
    entries = len(stage.store.history("orders#1"))
    for _ in range(3):
        tick(stage)
    kinds = [entry.kind for entry in stage.store.history("orders#1")[entries:]]
    assert "rolling_back" not in kinds


def test_a_request_for_another_rollout_moves_nothing(stage: Stage) -> None:
    request(stage, shop=WHY)
    tick(stage)
    assert stage.variables["PERCENTAGE"] != "0"
    assert stage.rollout.phase is Phase.PROGRESSING


def test_a_request_also_ends_a_pause(stage: Stage) -> None:
    stage.runner.run_command("orders#1", Command(Verb.PAUSE))
    request(stage, orders=WHY)
    tick(stage)
    assert stage.variables["PERCENTAGE"] == "0"


def test_a_request_whose_write_fails_takes_no_longer_than_a_tick_may(stage: Stage) -> None:
    request(stage, orders=WHY)
    stage.world.interceptors.append(FailingWrites([FUNCTION]))
    began = stage.world.clock.now()
    stage.runner.tick_active(early=True)
    assert stage.world.clock.now() - began <= 2 * LOWER_TIMEOUT_PER_TICK
    assert stage.rollout.phase is Phase.ROLLING_BACK
