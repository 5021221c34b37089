"""The routed targets of end-to-end tests, a row for each kind, and one rollout of any of them.

A row says how the target is made in an account, how a policy names it, and what counts its canary.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from tests.adapters.contracts import benches, routing_benches
from tests.adapters.contracts.routing import RoutingBench
from tests.e2e.on_call import Answer
from tests.e2e.program import Program
from tests.support.emulator import Emulator

MINUTE: Final = timedelta(minutes=1)
ROLLOUT: Final = "routed"
ROUNDS: Final = 40  # the limit of a rollout, which needs a dozen ticks
REQUESTS_A_MINUTE: Final = 200

_POLICY: Final = """\
version: 1
name: routed
target: {target}
metrics:
  requests: {{namespace: {namespace}, name: {requests}, statistic: Sum, dimensions: &canary {dimensions}}}
  errors: {{namespace: {namespace}, name: {errors}, statistic: Sum, dimensions: *canary}}
criteria:
  works: {{kind: success_rate, total: requests, failures: [errors], min: 99%}}
steps: [{{weight: 10, bake: 2m}}, {{weight: 50, bake: 2m}}, {{weight: 100, bake: 2m}}]
warmup: 0s
evaluation_delay: 2m
max_hold: 4h
"""  # noqa: E501 - YAML


@dataclass(frozen=True, slots=True)
class Kind:
    """A row.

    make: returns the target in an account, all requests on the stable path. target: as a policy
    writes it. namespace, requests, errors: of the metrics that count its canary, by `dimensions` as
    the policy writes them, and by `measured` as AWS does. bare: what `rollback` takes without a
    policy, and where the canary has all requests.
    """

    make: Callable[[Emulator, str], RoutingBench]
    target: str
    namespace: str
    requests: str
    errors: str
    dimensions: str
    measured: Mapping[str, str]
    bare: tuple[str, ...]

    @property
    def policy(self) -> str:
        """The YAML of a policy of this target."""
        return _POLICY.format(
            target=self.target,
            namespace=self.namespace,
            requests=self.requests,
            errors=self.errors,
            dimensions=self.dimensions,
        )


def _alias(emulator: Emulator, account: str) -> RoutingBench:
    return routing_benches.alias_in(benches.ministack_lambda(emulator, account))


_CANARY: Final = '{FunctionName: handler, Resource: "handler:live", ExecutedVersion: "${canary}"}'

KINDS: Final[Mapping[str, Kind]] = {
    "lambda-alias": Kind(
        make=_alias,
        target="{kind: lambda-alias, function: handler, alias: live}",
        namespace="AWS/Lambda",
        requests="Invocations",
        errors="Errors",
        dimensions=_CANARY,
        measured={"FunctionName": "handler", "Resource": "handler:live", "ExecutedVersion": "2"},
        bare=("--function", "handler", "--alias", "live", "--stable", "1"),
    ),
}


@dataclass(slots=True)
class Routed:
    """One target in an account of the emulator, its policy, and the program with a moved clock.

    keys: the variables of a role that the program acts as; empty: the account itself.
    """

    kind: Kind
    emulator: Emulator
    number: str
    folder: Path
    now: datetime = field(default_factory=lambda: datetime.now(UTC))
    keys: Mapping[str, str] = field(default_factory=dict)
    bench: RoutingBench = field(init=False)
    policy: Path = field(init=False)
    beside: Mapping[str, Any] = field(init=False)

    def __post_init__(self) -> None:
        self.bench = self.kind.make(self.emulator, self.number)
        self.beside = self.bench.beside()
        self.policy = self.folder / "routed.yaml"
        self.policy.write_text(self.kind.policy)

    @property
    def program(self) -> Program:
        """The program in this account, whose clock starts at `now`."""
        environment = {
            **self.emulator.environment(self.number),
            "ROLLOUTCTL_STORE": f"sqlite:///{self.folder / 'rollouts.db'}",
            "ROLLOUTCTL_BY": "oncall",
            **self.keys,
        }
        return Program(environment).at(self.now)

    def run(self, *arguments: str | Path) -> Answer:
        """Run one command."""
        return self.program.run(*arguments)

    def start(self, *options: str) -> None:
        """Start the policy, which must succeed."""
        answer = self.run("start", self.policy, *options)
        assert answer.status == 0, answer.err

    def serve(self, minutes: int, *, failing: int = 0) -> None:
        """Let the canary serve for some minutes; failing: how many requests of each minute fail."""
        dimensions = [{"Name": name, "Value": value} for name, value in self.kind.measured.items()]
        first = self.now.replace(second=0, microsecond=0)
        works = REQUESTS_A_MINUTE - failing
        counted = {self.kind.requests: {1.0: REQUESTS_A_MINUTE}, self.kind.errors: {0.0: works}}
        counted[self.kind.errors] |= {1.0: failing} if failing else {}
        data = [
            {
                "MetricName": name,
                "Dimensions": dimensions,
                "Timestamp": first + number * MINUTE,
                "Values": list(counts),
                "Counts": [float(count) for count in counts.values()],
            }
            for number in range(minutes)
            for name, counts in counted.items()
        ]
        cloudwatch = self.emulator.client("cloudwatch", self.number)
        cloudwatch.put_metric_data(Namespace=self.kind.namespace, MetricData=data)
        self.now += minutes * MINUTE

    def tick(self, minutes: int = 6, *, failing: int = 0, serving: bool = True) -> Answer:
        """Serve, and tick once. serving: False while the canary has no request."""
        if serving:
            self.serve(minutes, failing=failing)
        else:
            self.now += minutes * MINUTE
        return self.run("tick", "--json")

    def reach(self, weight: int) -> None:
        """Tick a healthy canary until its weight is `weight`."""
        for _ in range(ROUNDS):
            if round(self.bench.weight()) == weight:
                return
            assert self.tick().status == 0
        raise AssertionError(f"{weight} % is not reached")

    def finish(self, *, failing: int = 0) -> list[int]:
        """Tick until the rollout has ended; return the weights that the service had meanwhile."""
        weights = [round(self.bench.weight())]
        for _ in range(ROUNDS):
            answer = self.tick(failing=failing)
            assert answer.status == 0
            weights.append(round(self.bench.weight()))
            (rollout,) = answer.data["rollouts"]
            if rollout["phase"] in ("succeeded", "rolled_back"):
                return list(dict.fromkeys(weights))
        raise AssertionError(f"the rollout has not ended: {self.status()}")

    def status(self) -> dict[str, Any]:
        """Return what `status --json` says."""
        return self.run("status", ROLLOUT, "--json").data

    def kinds(self) -> list[str]:
        """Return the kinds of the transitions, without the hourly evidence."""
        history = self.run("history", ROLLOUT, "--json").data
        assert history["chain_valid"]
        return [one["kind"] for one in history["entries"] if one["kind"] != "evidence"]
