"""Whole rollouts under faults drawn from seeds: how many, what struck, and what did not hold.

    python benchmarks/chaos.py [--seeds 20000] [--first 0] [--workers N]
                               [--store sqlite|dynamodb|both]
                               [--target lambda-env|lambda-alias|alb-weights|all] [--json]

Each seed is one story (see `tests/chaos`): the real runner, adapters and store in a simulated
world, with invariants checked after every step. With DynamoDB, moto stands for it, in this process,
and the same seed has other faults: those of its calls. `both` plays each seed twice.
`--target all` plays each seed with the kind of target that it draws.
Every seed that breaks an invariant is shown with its smallest story. Ends with 1 when one does.
Ctrl-C or SIGTERM ends it with what there is.
"""

import argparse
import json
import multiprocessing
import os
import signal
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, Literal, TypeAlias

from controller.process import logging
from tests.chaos.fault_plan import StoreKind, TargetKind
from tests.chaos.ground_truth import KINDS, drawn_kind
from tests.chaos.run import run_plan, run_seed
from tests.chaos.shrink import shrink
from tests.chaos.trace import Trace
from tests.chaos.trace_text import format_trace

CHUNK: Final = 20

Work: TypeAlias = tuple[StoreKind, TargetKind | Literal["all"], Sequence[int]]
"""Some seeds, the store and the target with which they are run; all: that of each seed."""


@dataclass(slots=True)
class Figures:
    """The figures of some seeds. failing: the smallest trace of each seed with a violation."""

    rollouts: int = 0
    targets: Counter[str] = field(default_factory=Counter)
    steps: int = 0
    ticks: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    ends: Counter[str] = field(default_factory=Counter)
    violations: Counter[str] = field(default_factory=Counter)
    failing: dict[str, str] = field(default_factory=dict)

    def add(self, trace: Trace, smallest: Trace) -> None:
        """Add one trace. smallest: the shrunk one, if it has violations."""
        kind = trace.plan.policy.target.kind
        self.rollouts += 1
        self.targets[kind] += 1
        self.steps += trace.steps
        self.ticks += trace.ticks
        self.faults.update(trace.fault_counts)
        self.ends[trace.end] += 1
        self.violations.update({one.invariant: 1 for one in trace.violations})
        if trace.violations:
            self.failing[f"{kind} {trace.plan.store} {trace.plan.seed}"] = format_trace(smallest)

    def merge(self, other: "Figures") -> None:
        """Add the figures of other seeds."""
        self.rollouts += other.rollouts
        self.targets += other.targets
        self.steps += other.steps
        self.ticks += other.ticks
        self.faults += other.faults
        self.ends += other.ends
        self.violations += other.violations
        self.failing |= other.failing


def figures(work: Work) -> Figures:
    """Run some seeds, and return their figures."""
    store, target, seeds = work
    total = Figures()
    for seed in seeds:
        trace = run_seed(seed, store, drawn_kind(seed) if target == "all" else target)
        total.add(trace, shrink(trace, run_plan))
    return total


def _prepare_worker() -> None:
    """Prepare a worker: no logs, and SIGINT is left to the process that started it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    logging.disable()


def main() -> int:
    """Print the figures; return 1 when an invariant was violated."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=20_000)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--store", choices=("sqlite", "dynamodb", "both"), default="sqlite")
    parser.add_argument("--target", choices=(*KINDS, "all"), default="lambda-env")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    stores: Sequence[StoreKind] = (
        ("sqlite", "dynamodb") if options.store == "both" else (options.store,)
    )
    seeds = range(options.first, options.first + options.seeds)
    work: list[Work] = [
        (store, options.target, seeds[at : at + CHUNK])
        for store in stores
        for at in range(0, len(seeds), CHUNK)
    ]
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    begin = time.perf_counter()
    total = Figures()
    with multiprocessing.Pool(options.workers, _prepare_worker) as pool:
        try:
            for part in pool.imap_unordered(figures, work):
                total.merge(part)
                if sys.stderr.isatty():
                    print(f"\r{total.rollouts} rollouts", end="", file=sys.stderr)
        except KeyboardInterrupt:
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            print("\nstopped; this is what came of the seeds so far", file=sys.stderr)
    show(total, time.perf_counter() - begin, as_json=options.json)
    return 1 if total.violations else 0


def show(total: Figures, seconds: float, *, as_json: bool) -> None:
    """Print the figures of all seeds."""
    data = {
        "rollouts": total.rollouts,
        "targets": dict(sorted(total.targets.items())),
        "rate_per_s": round(total.rollouts / seconds, 1),
        "seconds": round(seconds, 1),
        "steps": total.steps,
        "ticks": total.ticks,
        "struck": total.faults.total(),
        "ends": dict(sorted(total.ends.items())),
        "violations": total.violations.total(),
    }
    if as_json:
        faults, failing = dict(sorted(total.faults.items())), dict(sorted(total.failing.items()))
        print(json.dumps({**data, "faults": faults, "failing": failing}, indent=2))
        return
    for name, value in data.items():
        print(f"{name:12} {value}")
    print("faults by kind")
    for name, number in sorted(total.faults.items()):
        print(f"  {number:7}  {name}")
    for name, text in sorted(total.failing.items()):
        print(f"\n=== {name}\n{text}")


if __name__ == "__main__":
    sys.exit(main())
