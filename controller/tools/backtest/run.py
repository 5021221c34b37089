"""All starts of a backtest, by as many processes as processors; and again, with wider bounds."""

import gc
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from math import inf
from multiprocessing import get_context
from typing import Any, Final

from controller.core.policy import Criterion, Policy
from controller.core.policy.comparison import Ratio
from controller.immutable import Immutable, replace
from controller.ports.json_view import Count
from controller.tools.backtest.outcome import NotCounted, Outcome, Run
from controller.tools.backtest.play import BacktestPlayer, BacktestSetup, possible_starts

Progress = Callable[[int, int], object]
"""Starts that were played, and how many there are."""

# Starts that one process plays at a time. Neighbours share most of what is measured.
_CHUNK: Final = 48
# Fewer starts than this are played sooner than other processes begin.
_MIN_STARTS_FOR_PROCESSES: Final = 300


def run_backtest(setup: BacktestSetup, apart: timedelta, on_progress: Progress) -> Outcome:
    """Return the outcome of every start, `apart` from each other."""
    return play_starts(setup, possible_starts(setup, apart), on_progress)


def play_starts(
    setup: BacktestSetup, starts: Sequence[int], on_progress: Progress, processes: int | None = None
) -> Outcome:
    """Return the outcome of `starts`, in their order.

    processes: how many play them; None: as many as there are processors.
    """
    ends: list[Run | NotCounted] = []
    for chunk in _chunks(setup, starts, processes or os.cpu_count() or 1):
        ends += chunk
        on_progress(len(ends), len(starts))
    return Outcome.of(ends)


def _chunks(
    setup: BacktestSetup, starts: Sequence[int], processes: int
) -> Iterator[Sequence[Run | NotCounted]]:
    chunks = [starts[first : first + _CHUNK] for first in range(0, len(starts), _CHUNK)]
    if processes == 1 or len(starts) < _MIN_STARTS_FOR_PROCESSES:
        player = BacktestPlayer(setup)
        yield from ([player.play(start) for start in chunk] for chunk in chunks)
        return
    # A spawned process has no thread or lock of this one. Leaving the block ends them all.
    with get_context("spawn").Pool(processes, _begin, (setup, gc.get_threshold())) as pool:
        yield from pool.imap(_play, chunks)


_SETUPS: Final[list[BacktestSetup]] = []
_PLAYERS: Final[list[BacktestPlayer]] = []


def _begin(setup: BacktestSetup, gc_threshold: tuple[int, int, int]) -> None:
    """Begin a process: Ctrl-C is for its parent, which ends it.

    gc_threshold: how often it looks for garbage in cycles, as its parent does.

    A pool replaces a process that fails here, without end. So nothing is worked out yet.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    gc.set_threshold(*gc_threshold)
    _SETUPS[:] = [setup]


def _play(starts: Sequence[int]) -> list[Run | NotCounted]:
    if not _PLAYERS:
        _PLAYERS.append(BacktestPlayer(_SETUPS[0]))
    return [_PLAYERS[0].play(start) for start in starts]


# --- Wider bounds ---------------------------------------------------------------------------------

# How much wider a bound is tried to be: its allowance times these.
_FACTORS: Final = (1.25, 1.5, 2.0, 3.0, 5.0, 10.0, 20.0)
# Starts that were rolled back and are tried again with each bound; more take minutes.
_MAX_TRIED: Final = 120


class BoundChange(Immutable):
    """One bound as it is, and as it would have held."""

    criterion: str
    """Id of the criterion."""
    field: str
    """Key of the bound in the policy, such as min."""
    before: float | str
    """The bound as the policy has it."""
    after: float | str
    """The bound that would have held."""


class Suggestion(Immutable):
    """Bounds with which no more starts would have been rolled back than asked for."""

    changes: Sequence[BoundChange]
    """What changes in the policy."""
    rolled_back_rate: float
    """The share of all starts that would have been rolled back, estimated."""
    tried: Count
    """Rolled back starts that were played again with these bounds."""


def wider_bounds(setup: BacktestSetup, outcome: Outcome, max_rate: float) -> Suggestion | None:
    """Return bounds with which at most `max_rate` of the starts would be rolled back.

    The criterion that rolled back most is widened first. A start that was not rolled back is taken
    not to be with a wider bound. None where no bound holds.
    """
    back = [run.start for run in outcome.runs if run.ending == "rolled_back"]
    tried = back[:: -(-len(back) // _MAX_TRIED)]
    allowed = max_rate * len(outcome.runs) / len(back)
    before, policy, found = setup.subject.policy, setup.subject.policy, outcome
    for _ in policy.criteria:
        causes = found.causes()
        as_before = (one for one in causes if policy.criteria[one] == before.criteria[one])
        name = next(as_before, None)
        if name is None:
            return None
        for factor in _FACTORS:
            wider = _wider(before.criteria[name], factor)
            if wider is None:
                break
            criteria = {**policy.criteria, name: wider}
            policy = policy.model_copy(update={"criteria": criteria})
            subject = replace(setup.subject, policy=policy)
            found = play_starts(replace(setup, subject=subject), tried, lambda *_: None)
            if found.rolled_back_rate <= allowed:
                rate = found.rolled_back_rate * len(back) / len(outcome.runs)
                return Suggestion(_changes(before, policy), rate, len(tried))
            if found.causes().get(name, 0) <= allowed * len(tried):
                break  # the rest has other causes
    return None


def _wider(criterion: Criterion, factor: float) -> Criterion | None:
    """Return `criterion` with an allowance `factor` times as wide; None where it has none."""
    one = next(iter(criterion.comparisons), None)
    if one is None or not one.field:
        return None
    bound, wider = getattr(criterion, one.field), None
    if isinstance(one.measured, Ratio) and one.measured.judges_failures:
        failures = (1 - bound) * factor
        wider = 1 - failures if 0 < failures < 1 else None
    elif not one.is_maximum:
        wider = bound / factor if bound > 0 else None
    else:
        most = 1.0 if isinstance(one.measured, Ratio) else inf
        wider = min(bound * factor, most)
        wider = wider if wider > bound else None
    if wider is None:
        return None
    rounded = float(f"{wider:.4g}") if wider < 0.9 else round(wider, 6)
    return criterion.model_copy(update={one.field: rounded})


def _changes(before: Policy, after: Policy) -> list[BoundChange]:
    changes: list[BoundChange] = []
    for name, criterion in after.criteria.items():
        old: dict[str, Any] = before.criteria[name].model_dump(mode="json")
        new: dict[str, Any] = criterion.model_dump(mode="json")
        changes += [
            BoundChange(name, key, _bound(old[key]), _bound(value))
            for key, value in new.items()
            if value != old[key]
        ]
    return changes


def _bound(value: object) -> float | str:
    return value if isinstance(value, int | float) else str(value)
