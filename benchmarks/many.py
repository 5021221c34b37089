"""How long `status` takes over many rollouts in a table, and how much memory.

    python -m benchmarks.many [--rollouts 1000] [--latency-ms 50] [--rounds 3] [--options=--json]

The rollouts and the server are those of benchmarks/scale.py.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from typing import Any

from benchmarks import scale
from controller.process import logging


def main() -> int:
    """Print the figures of each round, and the calls of all."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rollouts", type=int, default=1_000)
    parser.add_argument("--latency-ms", type=float, default=50)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--options", default="", help="of `status`, in one word")
    options = parser.parse_args()
    logging.disable()
    with scale.serving() as server:
        scale.seed(server, scale.baking(), range(options.rollouts), 4, [])
        scale.control(server, latency_s=options.latency_ms / 1_000)
        for _ in range(options.rounds):
            figures = run(server, options.options.split())
            print(json.dumps({**figures, **scale.control(server)}), flush=True)
    return 0


def run(server: str, options: Sequence[str]) -> dict[str, Any]:
    """Run `status` once, and return its figures."""
    command = [sys.executable, "-m", "controller", "status", *options]
    began = time.monotonic()
    environment = scale.environment_of(server)
    with subprocess.Popen(
        command, env=environment, cwd=scale.ROOT, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        printed = process.stdout.read()
        _, status, used = os.wait4(process.pid, 0)
    return {
        "exit": os.waitstatus_to_exitcode(status),
        "wall_s": round(time.monotonic() - began, 2),
        "cpu_s": round(used.ru_utime + used.ru_stime, 2),
        "mib": used.ru_maxrss // 1_024,
        "lines": printed.count(b"\n"),
    }


if __name__ == "__main__":
    sys.exit(main())
