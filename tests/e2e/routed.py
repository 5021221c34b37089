"""The routed targets of end-to-end tests, a row for each kind, and one rollout of any of them.

A row says how the target is made in an account, how a policy names it, and what counts its canary.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from boto3.session import Session

from controller.core.policy.targets.alb_weights import AlbWeights
from controller.core.policy.targets.appconfig import AppConfigFlag
from controller.immutable import Immutable, replace
from controller.immutable import field as immutable_field
from tests.adapters.contracts import alb_benches, appconfig_benches, benches, routing_benches
from tests.adapters.contracts.routing import RoutingBench
from tests.e2e.on_call import Answer
from tests.e2e.program import Program
from tests.support import moto_http
from tests.support.emulator import REGION, Emulator

MINUTE: Final = timedelta(minutes=1)
ROLLOUT: Final = "routed"
ROUNDS: Final = 100  # the limit of a rollout, which needs a dozen ticks
REQUESTS_A_MINUTE: Final = 200

_POLICY: Final = """\
version: 1
name: routed
target: {target}
metrics:
  requests: {{namespace: {namespace}, name: {requests}, statistic: Sum, dimensions: &canary {dimensions}}}
  errors: {{namespace: {namespace}, name: {errors}, statistic: Sum, missing: zero, dimensions: *canary}}
criteria:
  works: {{kind: success_rate, total: requests, failures: [errors], min: 99%}}
steps:
  - {{weight: 10, bake: 2m}}
  - {{weight: 50, bake: 2m}}
  - {{weight: 100, bake: 2m}}
warmup: 0s
shift_timeout: 1h  # a test kills tick after tick
evaluation_delay: 2m
max_hold: 4h
"""  # noqa: E501 - YAML
# Where AWS counts no version at 100%, that step judges the metrics of the whole.
_AT_100: Final = """\
  live_requests: {{namespace: {namespace}, name: {requests}, statistic: Sum, counts: both, dimensions: &live {whole}}}
  live_errors: {{namespace: {namespace}, name: {errors}, statistic: Sum, missing: zero, counts: both, dimensions: *live}}
criteria:
  works-alone: {{kind: success_rate, total: live_requests, failures: [live_errors], min: 99%}}
"""  # noqa: E501 - YAML


class Kind(Immutable):
    """A row.

    make: returns the target in an account, all requests on the stable path. target: as a policy
    writes it. namespace, requests, errors: of the metrics that count its canary, by `dimensions` as
    the policy writes them, and by `measured` as AWS does. whole: the dimensions of both paths,
    where those of the canary end at 100%. bare: what `rollback` takes without a
    policy, and where the canary has all requests. drafted: what `init` takes. revision:
    options of `start`, where the target names no revision. names: what stands in these texts for
    names that the account gives.
    environment: further variables of a process.
    """

    make: Callable[[Emulator, str], RoutingBench]
    target: str
    namespace: str
    requests: str
    errors: str
    dimensions: str
    measured: Mapping[str, str]
    bare: tuple[str, ...]
    drafted: tuple[str, ...]
    revision: tuple[str, ...] = ()
    names: Callable[[RoutingBench], Mapping[str, str]] = lambda _bench: {}
    environment: Callable[[], Mapping[str, str]] = dict
    whole: Mapping[str, str] = immutable_field(default_factory=dict)

    def named(self, bench: RoutingBench) -> "Kind":
        """Return the row with the names that the account of `bench` has given."""

        def put(text: str) -> str:
            for word, name in self.names(bench).items():
                text = text.replace(word, name)
            return text

        measured = {name: put(value) for name, value in self.measured.items()}
        bare, drafted = (tuple(map(put, one)) for one in (self.bare, self.drafted))
        return replace(self, target=put(self.target), measured=measured, bare=bare, drafted=drafted)

    @property
    def policy(self) -> str:
        """The YAML of a policy of this target."""
        text = _POLICY
        if self.whole:
            text = text.replace("criteria:\n", _AT_100).replace("2m}}", "2m, criteria: [works]}}")
            text = text.replace(
                "100, bake: 2m, criteria: [works]", "100, bake: 2m, criteria: [works-alone]"
            )
        return text.format(
            target=self.target,
            namespace=self.namespace,
            requests=self.requests,
            errors=self.errors,
            dimensions=self.dimensions,
            whole=json.dumps(dict(self.whole)),
        )


def _alias(emulator: Emulator, account: str) -> RoutingBench:
    return routing_benches.alias_in(benches.ministack_lambda(emulator, account))


def _rule(_emulator: Emulator, _account: str) -> RoutingBench:
    """Return a rule of moto's: ministack keeps no weights of target groups."""
    moto_http.empty()
    session = Session("testing", "testing", region_name=REGION)
    ec2, elb = (session.client(one, endpoint_url=moto_http.endpoint()) for one in ("ec2", "elbv2"))
    return alb_benches.on_moto(ec2, elb, alb_benches.RULE)


def _names_of_rule(bench: RoutingBench) -> Mapping[str, str]:
    target = bench.target
    assert isinstance(target, AlbWeights)
    arns = {"RULE": target.rule, "STABLE": target.stable, "CANARY": target.canary}
    return {**arns, **{f"the {name}": value for name, value in target.values.items()}}


def _flag(emulator: Emulator, account: str) -> RoutingBench:
    return appconfig_benches.in_ministack(emulator, account)


def _names_of_flag(bench: RoutingBench) -> Mapping[str, str]:
    target = bench.target
    assert isinstance(target, AppConfigFlag)
    return {
        "ENVIRONMENT": target.environment,
        "PROFILE": target.profile,
        "STRATEGY": target.strategy,
    }


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
        drafted=("--function", "handler", "--alias", "live"),
        whole={"FunctionName": "handler", "Resource": "handler:live"},
    ),
    "alb-weights": Kind(
        make=_rule,
        target='{kind: alb-weights, rule: "RULE", stable: "STABLE", canary: "CANARY"}',
        namespace="AWS/ApplicationELB",
        requests="RequestCount",
        errors="HTTPCode_Target_5XX_Count",
        dimensions='{LoadBalancer: "${load_balancer}", TargetGroup: "${canary}"}',
        measured={"LoadBalancer": "the load_balancer", "TargetGroup": "the canary"},
        bare=("--rule", "RULE", "--stable", "STABLE", "--canary", "CANARY"),
        drafted=("--rule", "RULE"),
        revision=("--revision", "green-1"),
        names=_names_of_rule,
        environment=lambda: {"AWS_ENDPOINT_URL_ELASTIC_LOAD_BALANCING_V2": moto_http.endpoint()},
    ),
    "appconfig": Kind(
        make=_flag,
        target='{kind: appconfig, environment: "ENVIRONMENT", profile: "PROFILE", flag: checkout, '
        'strategy: "STRATEGY"}',
        namespace="rolloutctl",
        requests="Requests",
        errors="Failures",
        dimensions="{Flag: checkout, Path: canary}",
        measured={"Flag": "checkout", "Path": "canary"},
        bare=(
            "--environment",
            "ENVIRONMENT",
            "--profile",
            "PROFILE",
            "--flag",
            "checkout",
            "--strategy",
            "STRATEGY",
        ),
        drafted=(
            "--environment",
            "ENVIRONMENT",
            "--profile",
            "PROFILE",
            "--function",
            "checkout",
            "--strategy",
            "STRATEGY",
        ),
        revision=("--revision", "new-1"),
        names=_names_of_flag,
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
        self.kind = self.kind.named(self.bench)
        self.beside = self.bench.beside()
        self.policy = self.folder / "routed.yaml"
        self.policy.write_text(self.kind.policy)

    @property
    def program(self) -> Program:
        """The program in this account, whose clock starts at `now`."""
        environment = {
            **self.emulator.environment(self.number),
            **self.kind.environment(),
            "ROLLOUTCTL_STORE": f"sqlite:///{self.folder / 'rollouts.db'}",
            "ROLLOUTCTL_BY": "oncall",
            **self.keys,
        }
        return Program(environment).at(self.now)

    def run(self, *arguments: str | Path) -> Answer:
        """Run one command."""
        return self.program.run(*arguments)

    def try_start(self, *options: str) -> Answer:
        """Start the policy, or be refused."""
        return self.run("start", self.policy, *self.kind.revision, *options)

    def start(self, *options: str) -> None:
        """Start the policy, which must succeed."""
        answer = self.try_start(*options)
        assert answer.status == 0, answer.err

    def serve(self, minutes: int, *, failing: int = 0) -> None:
        """Let the canary serve for some minutes; failing: how many requests of each minute fail."""
        measured = [self.kind.measured, *([self.kind.whole] if self.kind.whole else [])]
        first = self.now.replace(second=0, microsecond=0)
        works = REQUESTS_A_MINUTE - failing
        counted = {self.kind.requests: {1.0: REQUESTS_A_MINUTE}, self.kind.errors: {0.0: works}}
        counted[self.kind.errors] |= {1.0: failing} if failing else {}
        data = [
            {
                "MetricName": name,
                "Dimensions": [{"Name": key, "Value": value} for key, value in one.items()],
                "Timestamp": first + number * MINUTE,
                "Values": list(counts),
                "Counts": [float(count) for count in counts.values()],
            }
            for number in range(minutes)
            for name, counts in counted.items()
            for one in measured
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
        raise AssertionError(f"{weight}% is not reached")

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
