"""Runs from seeds: every kind of fault occurs in them, and every invariant holds.

A sample of the seeds is played by default, and 3,300 of them with --deep.
"""

from collections.abc import Sequence
from itertools import chain
from typing import Final

import pytest

from benchmarks.chaos import Work, figures
from controller.immutable import replace
from controller.process import logging
from tests.chaos.fault_plan import StoreKind, TargetKind
from tests.chaos.ground_truth import KINDS
from tests.chaos.random_plan import draw
from tests.chaos.run import run_plan, run_seed
from tests.chaos.sample_seeds import SAMPLE, kinds_of, wanted_kinds
from tests.chaos.shrink import shrink
from tests.chaos.trace_text import format_trace
from tests.support.shuffled import Shuffled

# Chunks of a few seconds each, so that several processes share them evenly.
CHUNKS: Final[Sequence[Work]] = (
    *(("sqlite", "lambda-env", range(at, at + 40)) for at in range(0, 2_000, 40)),
    *(("dynamodb", "lambda-env", range(at, at + 5)) for at in range(0, 100, 5)),
    *(("sqlite", "lambda-alias", range(at, at + 40)) for at in range(0, 600, 40)),
    *(("sqlite", "alb-weights", range(at, at + 40)) for at in range(0, 600, 40)),
    *(("sqlite", "appconfig", range(at, at + 40)) for at in range(0, 600, 40)),
)
SHUFFLED: Final = range(40_000, 40_100)
SEVERAL: Final = range(50_000, 50_100)
BROKE_AN_INVARIANT_ONCE: Final = 11_912  # the only one of the first 20,000 on a file


def _named(chunk: Work) -> str:
    store, target, seeds = chunk
    return f"{target}-{store}-{seeds[0]}-{seeds[-1]}"


@pytest.fixture(autouse=True)
def _no_logs() -> None:
    logging.disable()


@pytest.mark.parametrize(
    ("target", "store", "seed"),
    [
        *((*setting, seed) for setting, seeds in SAMPLE.items() for seed in seeds),
        ("lambda-env", "sqlite", BROKE_AN_INVARIANT_ONCE),
    ],
)
def test_every_invariant_holds_whatever_goes_wrong(
    target: TargetKind, store: StoreKind, seed: int
) -> None:
    trace = run_seed(seed, store, target)
    assert not trace.violations, format_trace(shrink(trace, run_plan))
    assert set(SAMPLE[target, store].get(seed, ())) - kinds_of(trace) == set()


@pytest.mark.parametrize("seeds", [SHUFFLED[:4], pytest.param(SHUFFLED, marks=pytest.mark.deep)])
def test_every_invariant_holds_where_work_is_late(
    seeds: Sequence[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """These runs have one active rollout: a seed draws which of its work is late, and no order."""
    for seed in seeds:
        run = Shuffled(seed)
        monkeypatch.setattr("controller.engine.tick.one_by_one", run)
        trace = run_seed(seed, "sqlite", "lambda-env")
        assert not trace.violations, format_trace(trace)
        assert run.late > 0


@pytest.mark.parametrize("seeds", [SEVERAL[:4], pytest.param(SEVERAL, marks=pytest.mark.deep)])
def test_every_invariant_holds_where_a_tick_visits_several_rollouts(seeds: Sequence[int]) -> None:
    for seed in seeds:
        trace = run_plan(replace(draw(seed), neighbours=2))
        assert not trace.violations, format_trace(trace)


@pytest.mark.deep
@pytest.mark.parametrize("chunk", CHUNKS, ids=_named)
def test_every_invariant_holds_in_thousands_of_rollouts(chunk: Work) -> None:
    result = figures(chunk)
    assert result.rollouts == len(chunk[-1])
    assert result.violations.total() == 0, "\n\n".join(result.failing.values())


@pytest.mark.parametrize("target", KINDS)
def test_everything_that_can_go_wrong_does_so_in_the_sample(target: TargetKind) -> None:
    """Each fault at each service; each action, each degradation and each end somewhere."""
    samples = [seeds for (kind, _), seeds in SAMPLE.items() if kind == target]
    assert {*chain(*(kinds for seeds in samples for kinds in seeds.values()))} == (
        wanted_kinds(target)
    )
