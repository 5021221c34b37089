"""What one rollout of the shipped policy reads of CloudWatch, with a tick a minute.

    python -m benchmarks.due_ticks [--each]

Plays it through a healthy world to its success, and through the week of its watch. Counted are the
ticks that read metrics, and the metrics that they asked for, at the list price of us-east-1.

--each: visits it at each tick, due or not.
"""

import argparse
import sys
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any, Final

from benchmarks.idle_tick import POLICY
from controller.core.rollout import Phase
from controller.immutable import Immutable
from controller.operations.start import StartRequest, start
from controller.policy_file.loader import load
from controller.process import logging
from controller.tools.rehearse.rehearsal import rehearsal

METRIC_READ: Final = 0.01e-3  # US dollars by GetMetricData
_MINUTE: Final = timedelta(minutes=1)


class Reads(Immutable):
    """The ticks of a stretch, those that visited the rollout, those that read metrics of it, and
    the metrics that they asked for.
    """

    ticks: int = 0
    visits: int = 0
    reads: int = 0
    metrics: int = 0


def counted(*, each: bool) -> tuple[Reads, Reads]:
    """Return what the rollout read until its success, and in its watch."""
    with rehearsal(load(POLICY), "healthy", 1) as stage:
        runner, asked = stage.runner, list[int]()

        def count(
            service: str, _operation: str, request: Mapping[str, Any], proceed: Callable[[], Any]
        ) -> Any:
            if service == "cloudwatch":
                asked.append(len(request["MetricDataQueries"]))
            return proceed()

        rollout = start(runner, StartRequest(stage.policy)).rollout
        stage.world.interceptors.append(count)
        stretches = list[Reads]()
        for is_over in (_has_succeeded, _is_left):
            ticks = visits = reads = 0
            asked.clear()
            while not is_over(runner, rollout.id):
                runner.clock.sleep(_MINUTE)
                before = len(asked)
                visits += len(runner.tick_active(early=each).visits)
                ticks, reads = ticks + 1, reads + (len(asked) > before)
            stretches.append(Reads(ticks, visits, reads, sum(asked)))
        return stretches[0], stretches[1]


def _has_succeeded(runner: Any, rollout_id: str) -> bool:
    return runner.store.load(rollout_id).phase is Phase.SUCCEEDED


def _is_left(runner: Any, _: str) -> bool:
    return not runner.store.active(runner.clock.now())


def table(to_success: Reads, watch: Reads) -> list[str]:
    """Return a Markdown table of both stretches."""
    rows = {"to its success": to_success, "the week after": watch}
    return [
        "| a rollout | ticks | visits | with metric reads | metrics | US dollars |",
        "|---|---:|---:|---:|---:|---:|",
        *(
            f"| {name} | {one.ticks:,} | {one.visits:,} | {one.reads:,} | {one.metrics:,} "
            f"| {one.metrics * METRIC_READ:.2f} |"
            for name, one in rows.items()
        ),
    ]


def main() -> int:
    """Print the figures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--each", action="store_true")
    logging.disable()
    print("\n".join(table(*counted(each=parser.parse_args().each))))
    return 0


if __name__ == "__main__":
    sys.exit(main())
