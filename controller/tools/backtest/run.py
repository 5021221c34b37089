"""All starts of a backtest, played by as many processes as there are processors."""

import gc
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from multiprocessing import get_context
from typing import Final

from controller.tools.backtest.outcome import NotCounted, Outcome, Run
from controller.tools.backtest.play import BacktestPlayer, BacktestSetup, possible_starts

Progress = Callable[[int, int], object]
"""Starts that were played, and how many there are."""

# Starts that one process plays at a time. Neighbours share most of what is measured.
_CHUNK: Final = 48
# Fewer starts than this are played sooner than other processes begin.
_MIN_STARTS_FOR_PROCESSES: Final = 300


def run_backtest(
    setup: BacktestSetup, apart: timedelta, on_progress: Progress, processes: int | None = None
) -> Outcome:
    """Return the outcome of every start, `apart` from each other.

    processes: how many play them; None: as many as there are processors.
    """
    return play_starts(setup, possible_starts(setup, apart), on_progress, processes)


def play_starts(
    setup: BacktestSetup, starts: Sequence[int], on_progress: Progress, processes: int | None = None
) -> Outcome:
    """Return the outcome of `starts`, in their order."""
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
