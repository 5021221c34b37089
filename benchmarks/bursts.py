"""Of the healthy releases with bursts that are rolled back: which keep the objective all day.

    python benchmarks/bursts.py --resume FILE

FILE: what `judge.py --only bursts --resume FILE` has kept. The failures of each of its releases are
drawn again, for all 26 hours, whatever the judge did.
"""

import argparse
import json
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from random import Random

from benchmarks.judge import FIGURES, number_text
from benchmarks.judging.policy import OBJECTIVE, POLICY
from benchmarks.judging.rollout import End
from benchmarks.judging.world import World
from controller.core.policy import SuccessRate


def failed_share(what: str, cell: str, seed: int) -> float:
    """Return the share of the canary's requests that fail in all steps of a rollout."""
    world = World(Random(f"{what}/{cell}/{seed}"), FIGURES[what].cells[cell].release)
    minutes = [
        world.minute(step.weight)
        for step in POLICY.steps
        for _ in range(int(step.bake.total_seconds()) // 60)
    ]
    return sum(one.failed for one in minutes) / sum(one.requests for one in minutes)


def rows(file: Path) -> Iterator[str]:
    """Yield the table of a file that `judge.py` has kept."""
    criterion = POLICY.criteria[OBJECTIVE]
    assert isinstance(criterion, SuccessRate)
    # By release and traffic, whether each one keeps the objective, and is rolled back.
    ended: dict[tuple[str, str], list[tuple[bool, bool]]] = defaultdict(list)
    for line in file.read_text().splitlines():
        what, cell, seed, (end, *_) = json.loads(line)
        if FIGURES[what].group == "bursts":
            keeps = failed_share(what, cell, seed) <= 1 - criterion.min
            ended[what, cell].append((keeps, end == End.ROLLED_BACK))
    yield "| figure | requests a minute | runs | that keep it | rolled back of these | of others |"
    yield "|---|---|---|---|---|---|"
    for (what, cell), all_ in ended.items():
        kept = [rolled_back for keeps, rolled_back in all_ if keeps]
        lost = [rolled_back for keeps, rolled_back in all_ if not keeps]
        shares = [f"{number_text(100 * sum(one) / max(1, len(one)))}%" for one in (kept, lost)]
        yield f"| {what} | {cell} | {len(all_)} | {len(kept)} | {' | '.join(shares)} |"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--resume", type=Path, required=True, metavar="FILE")
    for text in rows(parser.parse_args().resume):
        print(text)
