"""Prints the story of one seed.

    python -m tests.chaos --seed N [--store sqlite|dynamodb]
                          [--target lambda-env|lambda-alias|alb-weights|appconfig|all]

`all` takes the kind of target that the seed draws.

Where an invariant does not hold, the smallest story that shows it follows, and the exit status is
1.
"""

import argparse
import sys
from collections.abc import Sequence

from controller.process import logging
from tests.chaos.ground_truth import KINDS, drawn_kind
from tests.chaos.run import run_plan, run_seed
from tests.chaos.shrink import shrink
from tests.chaos.trace_text import format_trace


def main(arguments: Sequence[str] | None = None) -> int:
    """Print one trace; return 1 when it violates an invariant."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--store", choices=("sqlite", "dynamodb"), default="sqlite")
    parser.add_argument("--target", choices=(*KINDS, "all"), default="lambda-env")
    options = parser.parse_args(arguments)
    logging.disable()
    target = drawn_kind(options.seed) if options.target == "all" else options.target
    trace = run_seed(options.seed, options.store, target)
    sys.stdout.write(f"{format_trace(trace)}\n")
    if not trace.violations:
        return 0
    smallest = shrink(trace, run_plan)
    if smallest is not trace:
        sys.stdout.write(f"\nThe smallest story that shows it:\n\n{format_trace(smallest)}\n")
    return 1


if __name__ == "__main__":
    sys.exit(main())
