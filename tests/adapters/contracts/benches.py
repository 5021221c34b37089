"""The implementations for contract suites: the simulation, and an emulator that others wrote.

ministack and moto are independent of this project, so they also test the simulation. Each port has
the one that can show more of its contract.
"""

import io
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, Protocol

from boto3.session import Session
from moto import mock_aws

from controller.adapters.clock import SystemClock
from controller.core.units import from_unix
from controller.immutable import Immutable, field
from controller.ports.clock import Clock
from controller.tools.simulation.world import World
from tests.support.emulator import REGION, WAITER_CONFIG, Emulator
from tests.tools.simulation.worlds import empty_world

Dimensions = tuple[tuple[str, str], ...]


class LambdaBench(Protocol):
    """A Lambda service in which a test sets functions up."""

    @property
    def client(self) -> Any:
        """Return a Lambda client."""

    @property
    def clock(self) -> Clock:
        """Return the clock by which updates take their time."""
        ...

    def add_function(self, name: str, variables: Mapping[str, str]) -> None:
        """Add a function that is ready for a change; without variables it has no environment."""

    def add_alias(self, name: str, alias: str) -> None:
        """Let callers reach a function by an alias."""

    def provision(self, name: str) -> None:
        """Give a function provisioned concurrency."""

    def snap_start(self, name: str) -> None:
        """Switch SnapStart on."""


class SimulatedLambda(Immutable):
    """The simulation; every request and answer is validated by botocore's model."""

    world: World

    @property
    def client(self) -> Any:
        return self.world.client("lambda")

    @property
    def clock(self) -> Clock:
        return self.world.clock

    def add_function(self, name: str, variables: Mapping[str, str]) -> None:
        self.world.add_function(name, variables)

    def add_alias(self, name: str, alias: str) -> None:
        self.world.function(name).aliases.append({"Name": alias, "FunctionVersion": "1"})

    def provision(self, name: str) -> None:
        self.world.function(name).provisioned.append(
            {"RequestedProvisionedConcurrentExecutions": 1}
        )

    def snap_start(self, name: str) -> None:
        self.world.function(name).snap_start = "PublishedVersions"


class EmulatedLambda(Immutable):
    """A real boto3 client on an emulator, in real time."""

    client: Any
    role: str
    clock: Clock = field(default_factory=SystemClock)

    def add_function(self, name: str, variables: Mapping[str, str]) -> None:
        environment = {"Environment": {"Variables": dict(variables)}} if variables else {}
        self.client.create_function(
            FunctionName=name,
            Runtime="python3.12",
            Role=self.role,
            Handler="app.handler",
            Code={"ZipFile": _package()},
            **environment,
        )
        self._wait(name)

    def add_alias(self, name: str, alias: str) -> None:
        version = self.client.publish_version(FunctionName=name)["Version"]
        self.client.create_alias(FunctionName=name, Name=alias, FunctionVersion=version)

    def provision(self, name: str) -> None:
        version = self.client.publish_version(FunctionName=name)["Version"]
        self.client.put_provisioned_concurrency_config(
            FunctionName=name, Qualifier=version, ProvisionedConcurrentExecutions=1
        )

    def snap_start(self, name: str) -> None:
        self.client.update_function_configuration(
            FunctionName=name, SnapStart={"ApplyOn": "PublishedVersions"}
        )
        self._wait(name)

    def _wait(self, name: str) -> None:
        waiter = self.client.get_waiter("function_updated")
        waiter.wait(FunctionName=name, WaiterConfig=WAITER_CONFIG)


class MetricsBench(Immutable):
    """A CloudWatch service. start: a second half an hour ago that begins a period of 5 minutes."""

    client: Any
    start: int

    def put(
        self,
        namespace: str,
        name: str,
        dimensions: Dimensions,
        second: int,
        values: Sequence[float],
    ) -> None:
        """Publish one sample for each of `values` at `second`."""
        self.client.put_metric_data(
            Namespace=namespace,
            MetricData=[
                {
                    "MetricName": name,
                    "Dimensions": [{"Name": key, "Value": value} for key, value in dimensions],
                    "Timestamp": from_unix(second),
                    "Values": list(values),
                    "Counts": [1.0] * len(values),
                }
            ],
        )


def simulated_lambda() -> LambdaBench:
    """Return a simulated Lambda service without functions."""
    return SimulatedLambda(empty_world())


def ministack_lambda(ministack: Emulator, account: str) -> LambdaBench:
    """Return ministack's Lambda service."""
    return EmulatedLambda(ministack.client("lambda", account), f"arn:aws:iam::{account}:role/any")


def simulated_metrics() -> MetricsBench:
    """Return a simulated CloudWatch in which nothing was published."""
    world = empty_world()
    return MetricsBench(world.client("cloudwatch"), _half_an_hour_before(world.clock))


def ministack_metrics(ministack: Emulator, account: str) -> MetricsBench:
    """Return ministack's CloudWatch."""
    client = ministack.client("cloudwatch", account)
    return MetricsBench(client, _half_an_hour_before(SystemClock()))


class LogsBench(Immutable):
    """A service of logs. start: a second half an hour ago that begins a period of 5 minutes.

    put: logs texts into a group, each at unix milliseconds.
    """

    client: Any
    clock: Clock
    start: int
    put: Callable[[str, Sequence[tuple[int, str]]], None]


def simulated_logs() -> LogsBench:
    """Return simulated logs without a group."""
    world = empty_world()

    def put(group: str, events: Sequence[tuple[int, str]]) -> None:
        for stamp_ms, text in events:
            world.add_log_event(group, from_unix(0) + timedelta(milliseconds=stamp_ms), text)

    start = _half_an_hour_before(world.clock)
    return LogsBench(world.client("logs"), world.clock, start, put)


@contextmanager
def moto_logs() -> Iterator[LogsBench]:
    """Yield moto's logs."""
    with mock_aws():
        yield _emulated_logs(Session(region_name=REGION).client("logs"))


def _emulated_logs(client: Any) -> LogsBench:
    def put(group: str, events: Sequence[tuple[int, str]]) -> None:
        client.create_log_group(logGroupName=group)
        client.create_log_stream(logGroupName=group, logStreamName="one")
        client.put_log_events(
            logGroupName=group,
            logStreamName="one",
            logEvents=[{"timestamp": stamp, "message": text} for stamp, text in events],
        )

    clock = SystemClock()
    return LogsBench(client, clock, _half_an_hour_before(clock), put)


def _half_an_hour_before(clock: Clock) -> int:
    return int(clock.now().timestamp()) // 300 * 300 - 1_800


def _package() -> bytes:
    package = io.BytesIO()
    with zipfile.ZipFile(package, "w") as archive:
        archive.writestr("app.py", "def handler(event, context):\n    return None\n")
    return package.getvalue()
