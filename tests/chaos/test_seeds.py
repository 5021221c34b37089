"""300 runs from seeds: every kind of fault occurs in them, and every invariant holds."""

import fcntl
import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import fields
from typing import Final, TypeAlias

import pytest

from benchmarks.chaos import Figures, figures
from controller.process import logging
from tests.chaos.fault_plan import ActorAction, Degradation, StoreKind, Timing
from tests.chaos.faults import FAULT_KINDS

Chunk: TypeAlias = tuple[StoreKind, Sequence[int]]
RunChunk: TypeAlias = Callable[[Chunk], Figures]

# Chunks of a few seconds each, so that several processes share them evenly.
CHUNKS: Final[Sequence[Chunk]] = (
    *(("sqlite", range(at, at + 20)) for at in range(0, 280, 20)),
    # A table costs ten times a file: twenty of its first sixty seeds, which have every fault.
    *(("dynamodb", range(at, at + 5)) for at in (5, 15, 35, 45)),
    ("sqlite", (11_912,)),  # the only one of the first 20,000 that has broken an invariant
)


def _named(chunk: Chunk) -> str:
    store, seeds = chunk
    return f"{store}-{seeds[0]}-{seeds[-1]}"


@pytest.fixture
def run_chunk(tmp_path_factory: pytest.TempPathFactory, worker: str) -> RunChunk:
    """Return a function that runs a chunk, or reads its figures if another test process ran it."""
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if worker else base

    def play(chunk: Chunk) -> Figures:
        logging.disable()
        with (shared / f"chaos-{_named(chunk)}.json").open("a+", encoding="utf-8") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            file.seek(0)
            text = file.read()
            if text:
                return _read(text)
            result = figures(chunk)
            file.write(json.dumps({one.name: getattr(result, one.name) for one in fields(result)}))
            return result

    return play


@pytest.fixture
def worker(request: pytest.FixtureRequest) -> str:
    """The name of this test process among others; empty when it is alone."""
    return str(getattr(request.config, "workerinput", {}).get("workerid", ""))


def _read(text: str) -> Figures:
    data = json.loads(text)
    for name in ("faults", "ends", "violations"):
        data[name] = Counter(data[name])
    return Figures(**data)


@pytest.mark.parametrize("chunk", CHUNKS, ids=_named)
def test_every_invariant_holds_whatever_goes_wrong(chunk: Chunk, run_chunk: RunChunk) -> None:
    result = run_chunk(chunk)
    assert result.rollouts == len(chunk[1])
    assert result.violations.total() == 0, "\n\n".join(result.failing.values())


@pytest.fixture
def all_figures(run_chunk: RunChunk) -> Figures:
    """The figures of all seeds together."""
    result = Figures()
    for chunk in CHUNKS:
        result.merge(run_chunk(chunk))
    return result


def test_everything_that_can_go_wrong_does(all_figures: Figures) -> None:
    """Each kind of fault at each service; each action and each degradation somewhere."""
    injected = [name.split(": ", 1) for name in all_figures.faults]
    at_service = {(operation.partition(":")[0], kind) for operation, kind in injected}
    assert sorted(_wanted() - at_service) == []
    # A crash before a sleep cannot be told from one during it.
    assert any(("clock", _crash(when)) in at_service for when in Timing)
    kinds = {kind for _, kind in injected}
    acts = {kind.partition(": ")[2] for kind in kinds}
    assert sorted({*ActorAction} - acts) == []
    assert sorted({*Degradation} - kinds) == []
    assert [kind for kind in kinds if kind.endswith(" s off")] != []


def _wanted() -> set[tuple[str, str]]:
    kinds = {(name.partition(":")[0], way) for name, kinds in FAULT_KINDS.items() for way in kinds}
    services = {service for service, _ in kinds}
    return kinds | {(service, _crash(when)) for service in services for when in Timing}


def _crash(when: Timing) -> str:
    return f"crash {when}"


def test_runs_end_in_every_way(all_figures: Figures) -> None:
    """`progressing` is an end only of a rollout that waits for an approval."""
    assert set(all_figures.ends) == {
        "succeeded",
        "rolled_back",
        "paused",
        "progressing",
        "not started",
    }
