"""How rolloutctl judges beside its peers: on the same traces, by default and tuned.

    python benchmarks/peers.py [--runs 200] [--latency-runs 100] [--workers N] [--write]

Plays whole rollouts of releases whose truth is known, which fail or are slower, at three rates past
the models of benchmarks/peer_models/. Each peer is played with its default, and tuned for each rate
until at most 1% of the healthy releases of the steady world are rolled back over 26 hours. --write
stores the figures there (figures.json), and generates the tables of decision-quality.md.
"""

import argparse
import multiprocessing

from benchmarks.peer_models.figures import ERRORS, LATENCY, RATES, Cell, cells
from benchmarks.peer_models.picture import PICTURE, picture
from benchmarks.peer_models.tables import figures_text, stored, write_figures, write_tables


def main() -> None:
    """Print or write the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--latency-runs", type=int, default=100)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    runs = {ERRORS: options.runs, LATENCY: options.latency_runs}
    work = [(measure, rpm, count) for measure, count in runs.items() for rpm in RATES]
    with multiprocessing.Pool(options.workers) as pool:
        found = [cell for part in pool.imap(_cells, work, 1) for cell in part]
    if options.write:
        write_figures(found)
        write_tables()
        PICTURE.write_text(picture(stored()))
    else:
        print(figures_text(found))


def _cells(work: tuple[str, int, int]) -> list[Cell]:
    return list(cells(*work))


if __name__ == "__main__":
    main()
