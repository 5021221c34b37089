"""How rolloutctl judges beside its peers: on the same traces, by default and tuned.

    python benchmarks/peers.py [--runs 200] [--workers N] [--write]

Plays whole rollouts of releases whose truth is known, in four worlds and at three rates, past the
models of benchmarks/peer_models/. Each peer is played with its default, and tuned for each rate
until at most 1 % of the releases with 0.05 % failures are rolled back over 26 hours. --write stores
the figures there (figures.json), and generates the tables of docs/decision-quality.md.
"""

import argparse
import json
import multiprocessing
from pathlib import Path
from typing import Final

from benchmarks.peer_models.figures import RATES, Cell, cells
from benchmarks.peer_models.picture import PICTURE, picture
from benchmarks.peer_models.tables import stored, write_tables

FILE: Final = Path(__file__).with_name("peer_models") / "figures.json"


def main() -> None:
    """Print or write the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    work = [(rpm, options.runs) for rpm in RATES]
    with multiprocessing.Pool(options.workers) as pool:
        found = [cell for part in pool.imap(_cells, work, 1) for cell in part]
    text = json.dumps({"runs": options.runs, "cells": [one._asdict() for one in found]}, indent=0)
    if options.write:
        FILE.write_text(text + "\n")
        write_tables()
        PICTURE.write_text(picture(stored()))
    else:
        print(text)


def _cells(work: tuple[int, int]) -> list[Cell]:
    return list(cells(*work))


if __name__ == "__main__":
    main()
