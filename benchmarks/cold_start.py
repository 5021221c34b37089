"""How long a cold tick takes, as a multiple of its floor: boto3 that makes the calls of the tick.

    python -m benchmarks.cold_start [--runs 15] [--whole-models] [--imports] [--json]

A tick is a process that is started for it. Here one visits one rollout in a table, on an emulator
on loopback, by turns with `cold_start_floor.py`: a process that makes the same calls with the same
requests, and does nothing with the answers. Both are measured in processor time, which a busy
machine disturbs least, and on the clock; the ratio is taken pair by pair. One pair before them is
not counted: it writes the bytecode that the others read.

The tick finds botocore's models as the image has them: cut to the operations that the program calls
(deploy/cut_models.py). --whole-models: it finds them as `pip install` leaves them, which the floor
always does. --imports prints what importing takes longest in a tick, by itself and with what it
imports.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import botocore

from deploy.cut_models import cut_models
from tests.e2e.account import POLICY, Account
from tests.e2e.program import Program
from tests.support import emulator

TICK: Final = ("-m", "controller", "tick", "--scheduled", "--early")
# A tick that writes its calls to a file. Its writes carry no condition, so that they can be
# repeated: the rollout is then again as that tick left it.
RECORDED_TICK: Final = """
import pickle, re, sys
from pathlib import Path
from botocore import xform_name
from botocore.client import BaseClient
from controller.__main__ import main

calls, make = [], BaseClient._make_api_call

def repeatable(request):
    used = set(re.findall("[:#]\\w+", request.get("UpdateExpression", "")))
    if not used:
        return request
    request = {key: one for key, one in request.items() if key != "ConditionExpression"}
    for part in ("ExpressionAttributeNames", "ExpressionAttributeValues"):
        request[part] = {key: one for key, one in request[part].items() if key in used}
    return request

def recorded(client, operation, request):
    service = client.meta.service_model.service_name
    calls.append((service, xform_name(operation), repeatable(request)))
    return make(client, operation, request)

BaseClient._make_api_call = recorded
path = Path(sys.argv.pop(1))
status = main()
path.write_bytes(pickle.dumps(calls))
sys.exit(status)
"""
ROOT: Final = Path(__file__).resolve().parents[1]
BOTOCORE: Final = Path(botocore.__file__).parent
SHOWN: Final = 25
STARTED_BEFORE: Final = timedelta(minutes=20)  # so that there are complete minutes to judge


def main() -> int:
    """Print the figures; return 1 when something that was run did not end well."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=15)
    parser.add_argument("--whole-models", action="store_true")
    parser.add_argument("--imports", action="store_true")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with _with_a_rollout() as environment, tempfile.TemporaryDirectory() as folder:
        ticking = dict(environment)
        if not options.whole_models:
            shutil.copytree(BOTOCORE, Path(folder) / "botocore")
            cut_models(Path(folder) / "botocore" / "data", ROOT / "controller")
            ticking["PYTHONPATH"] = folder
        if options.imports:
            print("\n".join(_imports(ticking)))
            return 0
        result = figures(ticking, environment, Path(folder) / "calls", options.runs)
    if options.json:
        print(json.dumps(result, indent=2))
        return 0
    for measure, one in result.items():
        print(f"{measure}: {one['ratio']:.2f} times the floor", end="")
        print(f" ({one['tick']:.0f} ms against {one['floor']:.0f} ms)")
    return 0


def figures(
    ticking: Mapping[str, str], environment: Mapping[str, str], calls: Path, runs: int
) -> dict[str, dict[str, float]]:
    """Return the medians in ms and of the ratios, for processor time and wall-clock time.

    ticking: the environment of the tick; environment: that of the floor. calls: where the calls of
    the tick are recorded.
    """
    arguments = ("-c", RECORDED_TICK, str(calls), *TICK[2:])
    _measure_process(arguments, ticking)
    floor = ("-m", "benchmarks.cold_start_floor", str(calls))
    pairs = [
        (_measure_process(TICK, ticking), _measure_process(floor, environment))
        for _ in range(runs + 1)
    ][1:]
    return {
        measure: {
            "tick": statistics.median(tick[which] for tick, _ in pairs),
            "floor": statistics.median(floor[which] for _, floor in pairs),
            "ratio": statistics.median(tick[which] / floor[which] for tick, floor in pairs),
        }
        for which, measure in enumerate(("processor time", "on the clock"))
    }


def _measure_process(
    arguments: Sequence[str], environment: Mapping[str, str]
) -> tuple[float, float]:
    """Run a process; return its processor time and its wall-clock time, in ms."""
    started = time.perf_counter()
    with subprocess.Popen(
        [sys.executable, *arguments],
        env=dict(environment),
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    took = time.perf_counter() - started
    assert process.returncode == 0, f"{arguments} ended with {process.returncode}"
    return (used.ru_utime + used.ru_stime) * 1_000, took * 1_000


def _imports(environment: Mapping[str, str]) -> Iterator[str]:
    """Yield the modules whose own code takes longest to import, by `-X importtime`."""
    report = subprocess.run(
        [sys.executable, "-X", "importtime", *TICK],
        env=dict(environment),
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stderr
    lines = [line.split("|") for line in report.splitlines() if line.startswith("import time:")][1:]
    rows = [
        (int(own_us.rpartition(":")[2]), int(total_us), name) for own_us, total_us, name in lines
    ]
    yield f"{sum(own_us for own_us, _, _ in rows) / 1_000:.0f} ms in {len(rows)} modules"
    for own_us, total_us, name in sorted(rows, reverse=True)[:SHOWN]:
        yield f"{own_us / 1_000:7.1f} {total_us / 1_000:7.1f}  {name.rstrip()}"


@contextmanager
def _with_a_rollout() -> Iterator[Mapping[str, str]]:
    """Yield the environment of a tick that finds one rollout in a table, with data to judge."""
    with (
        tempfile.TemporaryDirectory() as folder,
        emulator.running_emulator(Path(folder)) as running,
    ):
        account, now = Account.of(running, "100000000001"), datetime.now(UTC)
        account.create()
        account.call_directly(now - timedelta(hours=27), now)
        environment = {
            **running.environment(account.number),
            "PATH": os.environ.get("PATH", os.defpath),
            "AWS_DEFAULT_REGION": emulator.REGION,  # for the floor: boto3 alone reads no other name
            "ROLLOUTCTL_STORE": "dynamodb://rollouts",
        }
        started = now - STARTED_BEFORE
        program = Program(environment).at(started)
        for arguments in (["store", "init"], ["start", str(POLICY)]):
            answer = program.run(*arguments)
            assert answer.status == 0, answer.err
        account.call_gateway(started, now)
        yield environment


if __name__ == "__main__":
    sys.exit(main())
