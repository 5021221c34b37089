"""Runs from seeds: every kind of fault occurs in them, and every invariant holds.

A sample of the seeds is played by default, and 2,100 of them with --deep.
"""

from collections.abc import Sequence
from itertools import chain
from typing import Final, TypeAlias

import pytest

from benchmarks.chaos import figures
from controller.process import logging
from tests.chaos.fault_plan import StoreKind
from tests.chaos.run import run_plan, run_seed
from tests.chaos.sample_seeds import SAMPLE, kinds_of, wanted_kinds
from tests.chaos.shrink import shrink
from tests.chaos.trace_text import format_trace

Chunk: TypeAlias = tuple[StoreKind, Sequence[int]]

# Chunks of a few seconds each, so that several processes share them evenly.
CHUNKS: Final[Sequence[Chunk]] = (
    *(("sqlite", range(at, at + 40)) for at in range(0, 2_000, 40)),
    *(("dynamodb", range(at, at + 5)) for at in range(0, 100, 5)),
)
BROKE_AN_INVARIANT_ONCE: Final = 11_912  # the only one of the first 20,000 on a file


def _named(chunk: Chunk) -> str:
    store, seeds = chunk
    return f"{store}-{seeds[0]}-{seeds[-1]}"


@pytest.fixture(autouse=True)
def _no_logs() -> None:
    logging.disable()


@pytest.mark.parametrize(
    ("store", "seed"),
    [
        *((store, seed) for store, seeds in SAMPLE.items() for seed in seeds),
        ("sqlite", BROKE_AN_INVARIANT_ONCE),
    ],
)
def test_every_invariant_holds_whatever_goes_wrong(store: StoreKind, seed: int) -> None:
    trace = run_seed(seed, store)
    assert not trace.violations, format_trace(shrink(trace, run_plan))
    assert set(SAMPLE[store].get(seed, ())) - kinds_of(trace) == set()


@pytest.mark.deep
@pytest.mark.parametrize("chunk", CHUNKS, ids=_named)
def test_every_invariant_holds_in_thousands_of_rollouts(chunk: Chunk) -> None:
    result = figures(chunk)
    assert result.rollouts == len(chunk[1])
    assert result.violations.total() == 0, "\n\n".join(result.failing.values())


def test_everything_that_can_go_wrong_does_so_in_the_sample() -> None:
    """Each fault at each service; each action, each degradation and each end somewhere."""
    assert {*chain(*(kinds for seeds in SAMPLE.values() for kinds in seeds.values()))} == (
        wanted_kinds()
    )
