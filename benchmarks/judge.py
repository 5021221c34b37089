"""How often the sequential judge rolls back what is healthy, and how soon what is not.

    python benchmarks/judge.py [--runs 100] [--only GROUP ...] [--row NAME ...] [--traffic N ...]
        [--resume FILE] [--without REFINEMENT] [--due] [--workers N] [--json]

Plays whole rollouts (10% for an hour, 50% for an hour, 100% for a day; no warm-up) of releases
whose truth is known, minute by minute, with the judge's own code and fixed seeds. In columns,
requests a minute on both paths. A delay is in minutes of data since the change for the worse, and
in brackets until a tick has read them. Latency is drawn with its time of day, days and weather.

Held and paused are shares of the same releases, where each step waits until its gate passes.

--row: only the rows with these names. --traffic: only these requests a minute.
--resume: keeps each rollout in a file, and plays only those that are not in it yet, so that a run
may be interrupted, and extended by more rows or runs. A file is of one version of the program.
--without: plays a judge of latencies that lacks one of its refinements.
--due: looks at a rollout only when it is due, as ticks do; a row that differs is a defect.

Ends with 1 when a bar is not met. 100 runs take half an hour of one core.
"""

import argparse
import json
import multiprocessing
import sys
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from math import inf, isfinite
from pathlib import Path
from random import Random
from typing import TypeAlias

from msgspec.structs import asdict

from benchmarks.judging import (
    ablation,
    coarse_figures,
    figures,
    latency_figures,
    plan_figures,
    silence,
    speed,
)
from benchmarks.judging.figures import READ_DELAY, TRAFFIC, Figure
from benchmarks.judging.rollout import End, JudgedRollout, Outcome
from controller.core.stats.binomial import requests_to_prove
from controller.immutable import Immutable

CHUNK = 25
FIGURES = {
    one.what: one for one in (*figures.FIGURES, *latency_figures.FIGURES, *coarse_figures.FIGURES)
}

Work: TypeAlias = tuple[str, str, Sequence[int]]
"""The name of a figure, that of one of its cells, and the seeds of some rollouts."""


class Row(Immutable):
    """One measured cell of one figure. bar: the required value; None: there is none.

    held, paused: the percentages of rollouts that take longer than their bakes, and that are paused
    for an operator in the end; None where a rollout does not wait for its gates.
    """

    group: str
    what: str
    cell: str
    bar: float | None
    measured: float
    unit: str
    runs: int = 0
    at_least: bool = False
    held: float | None = None
    paused: float | None = None

    @property
    def met(self) -> bool:
        """True when the bar is met, or there is none."""
        if self.bar is None:
            return True
        return self.measured >= self.bar if self.at_least else self.measured <= self.bar


def main() -> int:
    """Print the table; return 1 when a bar is not met."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    groups = sorted({one.group for one in FIGURES.values()} | DIRECT_FIGURES.keys())
    parser.add_argument("--runs", type=int, default=100)
    parser.add_argument("--only", choices=groups, nargs="+", default=groups)
    parser.add_argument("--row", choices=FIGURES, nargs="+", default=[], metavar="NAME")
    parser.add_argument("--traffic", type=int, choices=TRAFFIC, nargs="+", default=TRAFFIC)
    parser.add_argument("--resume", type=Path, metavar="FILE")
    parser.add_argument("--without", choices=ablation.REFINEMENTS)
    parser.add_argument("--due", action="store_true")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    begin = time.perf_counter()
    outcomes = _known(options.resume) if options.resume else {}
    cells = [
        (what, cell)
        for what, figure in FIGURES.items()
        if (what in options.row if options.row else figure.group in options.only)
        for cell in figure.cells
        if int(cell.replace(",", "")) in options.traffic
    ]
    for (what, cell, _), more in _played(cells, outcomes, options):
        outcomes.setdefault((what, cell), {}).update(more)
    rows = [
        _row(FIGURES[what], cell, [outcomes[what, cell][seed] for seed in range(options.runs)])
        for what, cell in cells
    ]
    direct = [] if options.row else [one for one in options.only if one in DIRECT_FIGURES]
    rows += [row for group in direct for row in DIRECT_FIGURES[group]()]
    if options.json:
        print(json.dumps([_data(row) for row in rows], indent=2))
    else:
        print("\n".join(_table(rows)))
        print(f"\n{time.perf_counter() - begin:.0f} s")
    return 0 if all(row.met for row in rows) else 1


# --- Rollouts -------------------------------------------------------------------------------------

Known: TypeAlias = dict[tuple[str, str], dict[int, Outcome]]
"""Outcomes by seed, of each cell of a figure."""


def _known(file: Path) -> Known:
    """Return the outcomes that are in `file`; nothing while there is none."""
    known: Known = defaultdict(dict)
    for line in file.read_text().splitlines() if file.exists() else ():
        what, cell, seed, (end, *rest) = json.loads(line)
        known[what, cell][seed] = Outcome(End(end), *rest)
    return known


def _played(
    cells: Sequence[tuple[str, str]], known: Known, options: argparse.Namespace
) -> Iterator[tuple[Work, dict[int, Outcome]]]:
    """Play the rollouts that are not known, row by row, and keep them where that is asked for."""
    work: list[Work] = []
    for what, cell in cells:
        seeds = [one for one in range(options.runs) if one not in known.get((what, cell), ())]
        work += [(what, cell, seeds[at : at + CHUNK]) for at in range(0, len(seeds), CHUNK)]
    with multiprocessing.Pool(options.workers, _prepare, (options.without, options.due)) as pool:
        for number, (one, outcomes) in enumerate(pool.imap_unordered(outcomes_of, work), 1):
            if options.resume:
                lines = (json.dumps([*one[:2], *outcome]) for outcome in outcomes.items())
                with options.resume.open("a") as file:
                    file.write("".join(f"{line}\n" for line in lines))
            if sys.stderr.isatty():
                print(f"\r{number} of {len(work)}", end="", file=sys.stderr)
            yield one, outcomes


def _prepare(without: str | None, due: bool) -> None:
    """Prepare a process for rollouts of another judge, or of one that looks when it is due."""
    if without:
        ablation.leave_out(without)
    JudgedRollout.only_when_due = due


def outcomes_of(work: Work) -> tuple[Work, dict[int, Outcome]]:
    """Return the outcomes of some rollouts of one cell; each rollout has its own seed."""
    what, cell, seeds = work
    figure = FIGURES[what]
    release, worlds = figure.cells[cell].release, f"{figure.worlds or what}/{cell}"
    return work, {seed: figure.play(Random(f"{worlds}/{seed}"), release) for seed in seeds}


def _row(figure: Figure, name: str, outcomes: Sequence[Outcome]) -> Row:
    cell = figure.cells[name]
    measured = figure.measure(cell.release, outcomes)
    held = [one.held for one in outcomes if one.held is not None]
    return Row(
        group=figure.group,
        what=figure.what,
        cell=name,
        bar=cell.bar,
        measured=measured,
        unit=figure.unit,
        runs=len(outcomes),
        at_least=figure.at_least,
        held=100 * sum(one > 0 for one in held) / len(held) if held else None,
        paused=100 * held.count(inf) / len(held) if held else None,
    )


def _proof() -> Iterator[Row]:
    needed = requests_to_prove(0.001)
    yield Row("proof", "requests without a failure that prove 99.9%", "", 3_810, needed, "")


def _silence() -> Iterator[Row]:
    for name, values in silence.CASES.items():
        passed = silence.passes(values)
        yield Row("silence", "gates that pass", name, 0, passed, "of 3")


def _plan() -> Iterator[Row]:
    for what, traffic, times in plan_figures.ratios():
        yield Row("plan", f"minutes of plan, {what}", traffic, 1.2, times, "x")


def _speed() -> Iterator[Row]:
    yield Row("speed", "import of the judge", "", 20, speed.import_ms(), "ms")
    yield Row("speed", "one update of one test", "", 20, speed.update_us(), "µs")
    yield Row("speed", "fold of 26 hours", "", 50, speed.fold_ms(), "ms")


# The figures that need no rollouts, by group.
DIRECT_FIGURES = {"proof": _proof, "plan": _plan, "silence": _silence, "speed": _speed}


def _data(row: Row) -> dict[str, object]:
    measured = row.measured if isfinite(row.measured) else None
    waited = measured + READ_DELAY if row.unit == "min" and measured is not None else None
    return {**asdict(row), "measured": measured, "wall_clock": waited, "met": row.met}


def _table(rows: Sequence[Row]) -> Iterator[str]:
    """Yield the lines of a table in markdown, one for each figure."""
    yield "| figure | cells | bar | measured | held; paused, % | wall clock | met | runs |"
    yield "|---|---|---|---|---|---|---|---|"
    for what in dict.fromkeys(row.what for row in rows):
        cells = [row for row in rows if row.what == what]
        first = cells[0]
        sign = "≥" if first.at_least else "≤"
        has_bar = any(row.bar is not None for row in cells)
        columns = (
            what,
            _joined(row.cell for row in cells),
            f"{sign} {_joined(number_text(row.bar) for row in cells)} {first.unit}"
            if has_bar
            else "",
            f"{_joined(number_text(row.measured) for row in cells)} {first.unit}",
            ""
            if first.held is None
            else f"{_joined(number_text(row.held) for row in cells)}; "
            f"{_joined(number_text(row.paused) for row in cells)}",
            _joined(number_text(row.measured + READ_DELAY) for row in cells)
            if first.unit == "min"
            else "",
            _joined("yes" if row.met else "**no**" for row in cells) if has_bar else "",
            str(first.runs or ""),
        )
        yield f"| {' | '.join(columns)} |"


def _joined(texts: Iterator[str]) -> str:
    values = list(texts)
    return values[0] if len(set(values)) == 1 else " / ".join(values)


def number_text(value: float | None) -> str:
    if value is None:
        return "–"
    return f"{round(value, 2):,g}" if isfinite(value) else "never"


if __name__ == "__main__":
    sys.exit(main())
