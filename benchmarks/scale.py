"""How long a tick over many rollouts takes, and what it costs.

    python -m benchmarks.scale [--rollouts 100 300 1000] [--latency-ms 50] [--accounts 4]
                               [--at-once 16] [--ticks 1] [--with hung stuck denied hostile sick]

Each rollout follows the shipped policy, with its own function and metrics, 40 minutes into its
first bake: 20 metric queries each. A server in another process answers DynamoDB, Lambda and
CloudWatch after the latency. Lambda allows 15 requests a second in an account; with --accounts,
the functions are in as many, and this process may send as many times more.

--ticks: processes that tick at the same time. --with: one rollout of each kind among them: a
function that does not answer, a lease that the table does not answer, a function that may not be
read, a metric that CloudWatch refuses, and a canary that fails. Processor time is that of the
ticking process, start-up included. It ticks as the stack does, and prints no JSON: `--json` takes
another 1 to 2 ms a rollout.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final
from urllib.request import Request, urlopen

from controller.adapters.aws.clients import Clients
from controller.adapters.stores.dynamodb import DynamoDbStore
from controller.adapters.stores.sqlite import SqliteStore
from controller.core.policy import Policy
from controller.core.repeated_state import digest_of_state, repeated_state
from controller.core.rollout import Rollout
from controller.immutable import replace
from controller.operations.start import StartRequest, start
from controller.policy_file.loader import load
from controller.process import logging
from controller.tools.simulation.scenario.scenario import load_scenario
from controller.tools.simulation.world import World
from tests.support.stage import a_runner

ROOT: Final = Path(__file__).resolve().parents[1]
POLICY: Final = ROOT / "policies" / "execution-api.yaml"
BAKED: Final = timedelta(minutes=40)
KINDS: Final = ("hung", "stuck", "denied", "hostile", "sick")
TICK: Final = """
import sys
from controller.adapters.aws import request_rates
from controller.immutable import replace
rate = request_rates.RATES["lambda"]
request_rates.RATES = {**request_rates.RATES, "lambda": replace(rate, a_second=15 * ACCOUNTS)}
sys.argv = ["rolloutctl", "tick", "--scheduled", "--early"]
from controller.__main__ import main
sys.exit(main())
"""


def main() -> int:
    """Print the figures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rollouts", type=int, nargs="+", default=[100, 300, 1_000])
    parser.add_argument("--latency-ms", type=float, default=50)
    parser.add_argument("--accounts", type=int, default=4)
    parser.add_argument("--at-once", type=int, default=16)
    parser.add_argument("--ticks", type=int, default=1)
    parser.add_argument("--with", dest="kinds", nargs="*", choices=KINDS, default=[])
    options = parser.parse_args()
    logging.disable()
    with serving() as server:
        made = 0
        model = baking()
        for number in options.rollouts:
            seed(server, model, range(made, number), options.accounts, options.kinds)
            made = number
            control(server, latency_s=options.latency_ms / 1_000)
            for figures in run(server, options.ticks, options.accounts, options.at_once):
                print(json.dumps({"rollouts": number, **figures}), flush=True)
            print(json.dumps(control(server, latency_s=0)), flush=True)
    return 0


def run(server: str, ticks: int, accounts: int, at_once: int) -> Iterator[dict[str, Any]]:
    """Tick, in several processes at once, and yield the figures of each."""
    environment = environment_of(server) | {"ROLLOUTCTL_CALLS_AT_ONCE": str(at_once)}
    command = [sys.executable, "-c", TICK.replace("ACCOUNTS", str(accounts))]
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        logs = [Path(folder) / f"{number}.log" for number in range(ticks)]
        processes = []
        for log in logs:
            with log.open("w") as errors:
                processes.append(
                    subprocess.Popen(
                        command,
                        env=environment,
                        cwd=ROOT,
                        stdout=subprocess.DEVNULL,
                        stderr=errors,
                    )
                )
        for process, log in zip(processes, logs, strict=True):
            _, status, used = os.wait4(process.pid, 0)
            yield {
                "exit": os.waitstatus_to_exitcode(status),
                "wall_s": round(time.monotonic() - began, 1),
                "cpu_s": round(used.ru_utime + used.ru_stime, 2),
                "mib": used.ru_maxrss // 1_024,
                **_outcomes(log.read_text()),
            }


def _outcomes(log: str) -> dict[str, int]:
    """Return how many rollouts a tick visited, did not reach, and left to others."""
    lines = [json.loads(line) for line in log.splitlines() if line.startswith("{")]
    events = Counter(line["event"] for line in lines)
    done = [line for line in lines if line["event"] == "tick_completed" and "phase" in line]
    return {
        "visited": len(done),
        "rolled_back": sum("roll" in line["phase"] for line in done),
        "not_reached": events["not_reached"],
        "busy": events["tick_lost"],
        "unreadable": events["target_unreadable"],
        "blind": events["metrics_unavailable"],
    }


# --- the account ----------------------------------------------------------------------------------


@contextmanager
def serving() -> Iterator[str]:
    """Yield the address of a server, which ends with the context."""
    command = [sys.executable, "-m", "benchmarks.scale_server", "0"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield process.stdout.readline().strip()
        finally:
            process.terminate()


def environment_of(server: str) -> dict[str, str]:
    """Return the environment of a process that works on the table of `server`."""
    aws = {
        "AWS_ENDPOINT_URL": server,
        "AWS_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE",
        "AWS_SECRET_ACCESS_KEY": "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
        "ROLLOUTCTL_STORE": "dynamodb://rollouts",
        "ROLLOUTCTL_BY": "benchmark",
    }
    return {**os.environ, **aws}


def control(server: str, **wanted: Any) -> dict[str, float]:
    """Change the account, and return what was called since the last call of this."""
    request = Request(f"{server}/control", json.dumps(wanted).encode(), method="POST")  # noqa: S310
    with urlopen(request, timeout=60) as answer:  # noqa: S310 - it is on loopback
        report: dict[str, float] = json.loads(answer.read())
    return report


def seed(server: str, model: Rollout, numbers: range, accounts: int, kinds: Sequence[str]) -> None:
    """Add rollouts like `model` to the table of the server, each with its function."""
    os.environ.update(environment_of(server))
    store, functions = DynamoDbStore(Clients().get("dynamodb"), "rollouts"), {}
    for number in numbers:
        kind = kinds[number] if number < len(kinds) else "sound"
        rollout = like(model, f"{kind}-{number}", f"{kind}-{number}-{number % accounts}")
        store.create(rollout, [], rollout.locks)
        weight = {"USE_API_GATEWAY_PERCENTAGE": str(rollout.weight), "USE_API_GATEWAY": "false"}
        functions[f"{kind}-{number}-{number % accounts}"] = weight
    control(server, functions=functions)


def baking() -> Rollout:
    """Return a rollout of the shipped policy that has baked for a while until now."""
    policy = load(POLICY)
    began = datetime.now(UTC).replace(second=0, microsecond=0) - BAKED
    world = World.for_policy(policy, load_scenario("healthy"), seed=1, start=began)
    with (
        tempfile.TemporaryDirectory() as folder,
        SqliteStore(Path(folder) / "rollouts.db", durable=False) as store,
    ):
        runner = a_runner(world, store)
        rollout = start(runner, StartRequest(policy)).rollout
        while world.clock.now() < datetime.now(UTC) - timedelta(minutes=2):
            world.clock.advance(timedelta(minutes=1))
            rollout = runner.visit(rollout.id).rollout
    return rollout


def like(model: Rollout, name: str, function: str) -> Rollout:
    """Return a rollout like `model` of another policy, with its own function and metrics."""
    snapshot = json.loads(model.policy.snapshot())
    old = snapshot["target"]["function"]
    text = json.dumps({**snapshot, "name": name}).replace(old, function)
    text = text.replace('"dimensions": {', f'"dimensions": {{"Of": "{function}", ')
    policy = Policy.model_validate_json(text)
    rollout = replace(
        model,
        id=f"{name}#1",
        policy=policy,
        digest=policy.digest(),
        target=model.target.replace(old, function),
        outbox=(),
        version=1,
    )
    return replace(rollout, state_digest=digest_of_state(repeated_state(rollout)))


if __name__ == "__main__":
    sys.exit(main())
