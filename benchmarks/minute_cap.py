"""What the cap on the requests of a minute is worth: figures of a latency at several caps.

    python benchmarks/minute_cap.py [--runs 60] [--workers N]

A minute of a latency criterion counts as no more requests than the cap. The worlds are those of
`benchmarks/judge.py` at 6,000 requests a minute; in the quiet ones latency varies by chance alone.
60 runs take about ten minutes of one core.
"""

import argparse
import multiprocessing
from collections import defaultdict
from collections.abc import Iterator, Sequence
from math import inf
from random import Random
from typing import Final

from benchmarks.judge import number_text
from benchmarks.judging import figures, latency_figures
from benchmarks.judging.figures import Cell, Figure, delay, share
from benchmarks.judging.rollout import End, Outcome
from benchmarks.judging.world import Release
from controller.core.judge.criteria import latency_increase_tail

CAPS: Final = (150, 300, 600, 1_200, inf)
_RPM: Final = 6_000
CELL: Final = f"{_RPM:,}"
CHUNK: Final = 20
_LATE: Final = 8 * 60
_CHOSEN: Final = (
    "latency +10%",
    "latency +10%, from minute 30 of the step on",
    "+20%, 6 h into 100%",
    "+50%, 6 h into 100%",
    "creep to +20% in 12 h of 100%",
    "rolled back, canary x 2 for 3 min twice a day",
    "rolled back, canary +30% for 5 min after a raise",
    "false rollback, latency +3%",
    "false rollback, bursts 2 a day x 2 min x 3%",
    "promoted, latency +0%",
    "promoted, latency +10%",
)


def _quiet(what: str, measured: str, release: Release) -> Figure:
    """Return a figure of a quiet world. measured: `min` for a delay, `%` for false rollbacks."""
    cells = {CELL: Cell(release, None)}
    measure = delay if measured == "min" else share(End.ROLLED_BACK)
    return Figure("quiet", f"{what}, quiet", cells, measure, measured)


FIGURES: Final[Sequence[Figure]] = [
    *(
        one
        for what in _CHOSEN
        for one in (*figures.FIGURES, *latency_figures.FIGURES)
        if one.what == what
    ),
    _quiet("latency +10%", "min", Release(_RPM, slower=0.1)),
    _quiet("+20%, 6 h into 100%", "min", Release(_RPM, slower=0.2, since=_LATE)),
    _quiet("rolled back, canary x 2 for 3 min twice a day", "%", Release(_RPM, blip=3)),
    _quiet("rolled back, canary +30% for 5 min after a raise", "%", Release(_RPM, cold=5)),
    _quiet("false rollback, latency +3%", "%", Release(_RPM, slower=0.03)),
]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=60)
    parser.add_argument("--workers", type=int, default=1)
    options = parser.parse_args()
    chunks = [range(at, min(at + CHUNK, options.runs)) for at in range(0, options.runs, CHUNK)]
    work = [(index, cap, one) for index in range(len(FIGURES)) for cap in CAPS for one in chunks]
    outcomes: dict[tuple[int, float], list[Outcome]] = defaultdict(list)
    with multiprocessing.Pool(options.workers) as pool:
        for index, cap, some in pool.imap_unordered(_outcomes_of, work):
            outcomes[index, cap] += some
    print("\n".join(_table(outcomes, options.runs)))


def _outcomes_of(work: tuple[int, float, Sequence[int]]) -> tuple[int, float, list[Outcome]]:
    """Return the outcomes of some rollouts of one figure at one cap, with the seeds of judge.py."""
    index, cap, seeds = work
    figure = FIGURES[index]
    latency_increase_tail.MAX_EFFECTIVE_REQUESTS = cap
    release = figure.cells[CELL].release
    return (
        index,
        cap,
        [figure.play(Random(f"{figure.what}/{CELL}/{seed}"), release) for seed in seeds],
    )


def _table(outcomes: dict[tuple[int, float], list[Outcome]], runs: int) -> Iterator[str]:
    """Yield the lines of a table in markdown, a column for each cap."""
    caps = " | ".join("none" if one == inf else f"{one:,}" for one in CAPS)
    yield f"| figure, {runs} runs each | unit | {caps} |"
    yield f"|---|---|{'---|' * len(CAPS)}"
    for index, figure in enumerate(FIGURES):
        release = figure.cells[CELL].release
        cells = [number_text(figure.measure(release, outcomes[index, cap])) for cap in CAPS]
        yield f"| {figure.what} | {figure.unit} | {' | '.join(cells)} |"


if __name__ == "__main__":
    main()
