"""300 stories from seeds: everything goes wrong in them, and every invariant holds all the same."""

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
    # A table costs ten times a file: of its first sixty seeds, twenty that meet every fault.
    *(("dynamodb", range(at, at + 5)) for at in (5, 15, 35, 45)),
    ("sqlite", (11_912,)),  # the one of the first 20,000 that once broke an invariant
)


def _named(chunk: Chunk) -> str:
    store, seeds = chunk
    return f"{store}-{seeds[0]}-{seeds[-1]}"


@pytest.fixture
def played(tmp_path_factory: pytest.TempPathFactory, worker: str) -> RunChunk:
    """Plays a chunk, or returns what came of it where another test process has played it."""
    own = tmp_path_factory.getbasetemp()
    shared = own.parent if worker else own

    def play(chunk: Chunk) -> Figures:
        logging.disable()
        with (shared / f"chaos-{_named(chunk)}.json").open("a+", encoding="utf-8") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            file.seek(0)
            known = file.read()
            if known:
                return _read(known)
            found = figures(chunk)
            file.write(json.dumps({one.name: getattr(found, one.name) for one in fields(found)}))
            return found

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
def test_every_invariant_holds_whatever_goes_wrong(chunk: Chunk, played: RunChunk) -> None:
    found = played(chunk)
    assert found.rollouts == len(chunk[1])
    assert found.violations.total() == 0, "\n\n".join(found.failing.values())


@pytest.fixture
def everything(played: RunChunk) -> Figures:
    """What came of all seeds together."""
    found = Figures()
    for chunk in CHUNKS:
        found.merge(played(chunk))
    return found


def test_everything_that_can_go_wrong_does(everything: Figures) -> None:
    """At each service each kind of fault; each act of others, and each trouble, somewhere."""
    struck = [name.split(": ", 1) for name in everything.faults]
    at_service = {(operation.partition(":")[0], kind) for operation, kind in struck}
    assert sorted(_wanted() - at_service) == []
    # Nobody can tell whether a process is gone before it waits, or while.
    assert any(("clock", _crash(when)) in at_service for when in Timing)
    kinds = {kind for _, kind in struck}
    acts = {kind.partition(": ")[2] for kind in kinds}
    assert sorted({*ActorAction} - acts) == []
    assert sorted({*Degradation} - kinds) == []
    assert [kind for kind in kinds if kind.endswith(" s off")] != []


def _wanted() -> set[tuple[str, str]]:
    ways = {(name.partition(":")[0], way) for name, ways in FAULT_KINDS.items() for way in ways}
    services = {service for service, _ in ways}
    return ways | {(service, _crash(when)) for service in services for when in Timing}


def _crash(when: Timing) -> str:
    return f"crash {when}"


def test_stories_end_in_every_way(everything: Figures) -> None:
    """The middle of a climb is an end only where a person is waited for, or nothing had begun."""
    assert set(everything.ends) == {
        "succeeded",
        "rolled_back",
        "paused",
        "progressing",
        "not started",
    }
