"""A whole world in one object: functions, metrics, traffic and time.

Every call of every client goes through `World.call`, so that faults, counts and interleavings have
one place to hang.
"""

from collections import Counter
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import partial
from typing import Any, Final, TypeAlias

from controller.core.policy import Alarm, LambdaEnv, Policy
from controller.simulation.clock import VirtualClock
from controller.simulation.fakes.alarms import FakeAlarms
from controller.simulation.fakes.cloudwatch import FakeCloudWatch
from controller.simulation.fakes.lambda_ import FakeLambda, Function
from controller.simulation.fakes.log_contents import publish_events
from controller.simulation.fakes.logs import FakeLogs
from controller.simulation.fakes.outages import Answer, Proceed, broken
from controller.simulation.operators import People, full_before_rollouts, pair_of, weight_of
from controller.simulation.scenario.fault_events import Attests
from controller.simulation.scenario.first_minute import DEFAULT_START, live_since, start_of
from controller.simulation.scenario.metric_roles import roles_of
from controller.simulation.scenario.path_model import PathBehaviour, Rhythm
from controller.simulation.scenario.scenario import Scenario
from controller.simulation.scenario.script import Script, UpdateRules
from controller.simulation.traffic.traffic import TrafficFeed, TrafficModel, Weights

# What stands around a call: service, operation, request, and the call itself, to make or not.
Layer: TypeAlias = Callable[[str, str, Mapping[str, Any], Proceed], Answer]

# The verified caller in a simulated account.
CALLER: Final = {
    "UserId": "AROASIMULATED:operator",
    "Account": "123456789012",
    "Arn": "arn:aws:sts::123456789012:assumed-role/people/operator",
}

_EMPTY = Scenario(
    name="empty",
    summary="Nobody asks for anything.",
    traffic=Rhythm(requests_per_minute=0),
    stable=PathBehaviour(median_ms=100),
    canary=PathBehaviour(median_ms=100),
)


class World:
    """AWS as one rollout meets it, in virtual time.

    live_since: since when the canary of `target` has all traffic; None: the scenario's weight.
    clock: time passes only by its `sleep` and `advance`.
    calls: how often each (service, operation) was called.
    layers: what stands around every call, the last one outermost; tests add theirs here.
    """

    def __init__(
        self,
        scenario: Scenario = _EMPTY,
        *,
        seed: int = 0,
        start: datetime | None = None,
        target: LambdaEnv | None = None,
        steps: tuple[int, ...] = (),
        live_since: datetime | None = None,
    ) -> None:
        begin = start or scenario.start or DEFAULT_START
        self.clock = VirtualClock(begin)
        self.calls: Counter[tuple[str, str]] = Counter()
        self.layers: list[Layer] = [self._as_planned]
        self._script = Script(scenario, steps, begin, adopted=live_since is not None)
        self._weights = Weights(scenario.function.weight)
        self._traffic = TrafficModel(self._script, self._weights, seed)
        self._cloudwatch = FakeCloudWatch(self.clock, scenario.publication)
        self._alarms = FakeAlarms(self.clock, self._script)
        self._logs = FakeLogs(self.clock)
        self._lambda = FakeLambda(self.clock, self._rules, self._served, seed)
        self._target = target
        self._people: People | None = None
        if target is not None:
            pair = pair_of(target, scenario.function.weight)
            if live_since is not None:
                pair = full_before_rollouts(target)
                self._weights.put(weight_of(target, pair), live_since.timestamp())
            self.add_function(target.function, {**scenario.function.variables, **pair})
            self._people = People(self._script, self.clock, self._lambda, target)
            self._people.plan()

    @classmethod
    def for_policy(
        cls,
        policy: Policy,
        scenario: Scenario,
        *,
        seed: int = 0,
        start: datetime | None = None,
        adopt: bool = False,
    ) -> "World":
        """Return a world that has the target of `policy` and publishes every metric it names.

        start: first moment of the rehearsal; when left out, one that fits both. adopt: the last
        step's weight is live already, as an application has it that knows no percentage.
        Raises PolicyError for a metric of which nobody can guess what it measures, for log events
        that a simulated log does not read, and for a scenario that needs a variable which the
        policy does not name.
        """
        roles = roles_of(policy, scenario.metrics)
        steps = tuple(step.weight for step in policy.steps)
        begin = start or start_of(policy, scenario)
        world = cls(
            scenario,
            seed=seed,
            start=begin,
            target=policy.target,
            steps=steps,
            live_since=live_since(policy, scenario, begin) if adopt else None,
        )
        for identity, role in roles.items():
            world._cloudwatch.publish(identity, TrafficFeed(world._traffic, role))
        publish_events(policy, world._logs, world._traffic, world._script)
        for one in policy.criteria.values():
            if isinstance(one, Alarm):
                world._alarms.add(one.alarm)
        return world

    def client(self, service: str) -> Any:
        """Return what stands for the boto3 client of `service`."""
        return Client(self, service)

    def call(self, service: str, operation: str, request: Mapping[str, Any]) -> Answer:
        """Answer one call as AWS would, through all layers.

        Raises what a boto3 client raises, and NotImplementedError for what is not simulated.
        """
        proceed: Proceed = partial(self._operation(service, operation), request)
        self.calls[service, operation] += 1
        for layer in self.layers:
            proceed = partial(layer, service, operation, request, proceed)
        return proceed()

    def add_function(self, name: str, variables: Mapping[str, str]) -> Function:
        """Add a function by name or ARN; its environment is in force at once.

        The returned object may be changed: aliases, snap_start, provisioned, ...
        """
        function = self._lambda.add(name, variables)
        self._served(function)
        return function

    def function(self, name: str) -> Function:
        """Return a function by name or ARN. Raises KeyError when nobody added it."""
        return self._lambda.function(name)

    def set_variables(self, name: str, variables: Mapping[str, str]) -> None:
        """Begin an update as another hand does: these variables change, the others stay.

        Not counted in `calls`. Raises ClientError as Lambda would, like 409 during an update.
        """
        kept = self._lambda.function(name).variables
        request = {"FunctionName": name, "Environment": {"Variables": {**kept, **variables}}}
        self._lambda.update_function_configuration(request)

    def add_log_event(self, group: str, moment: datetime, message: str) -> None:
        """Add an event to a log group, which is there from now on; not counted in `calls`."""
        self._logs.add(group, int(moment.timestamp() * 1_000), message)

    def weight_now(self) -> int:
        """Return the percent of traffic that takes the canary now."""
        return self._weights.now()

    def hooks_now(self) -> str | None:
        """Return how hooks refuse now: `refused` or `failed`; None: they allow everything."""
        return self._script.hooks(self.clock.now().timestamp())

    def take_starts(self) -> int:
        """Return how many second starts have become due since this was last asked."""
        return 0 if self._people is None else self._people.take_starts()

    def take_words(self) -> list[Attests]:
        """Return what people have said of attestations since this was last asked."""
        return [] if self._people is None else self._people.take_words()

    def add_alarm(self, name: str) -> None:
        """Add an alarm, which has been OK for a while; a scenario may change that."""
        self._alarms.add(name)

    def _operation(self, service: str, operation: str) -> Callable[[Mapping[str, Any]], Answer]:
        known: Mapping[tuple[str, str], Callable[[Mapping[str, Any]], Answer]] = {
            ("lambda", "GetFunctionConfiguration"): self._lambda.get_function_configuration,
            ("lambda", "UpdateFunctionConfiguration"): self._lambda.update_function_configuration,
            ("lambda", "ListAliases"): self._lambda.list_aliases,
            (
                "lambda",
                "ListProvisionedConcurrencyConfigs",
            ): self._lambda.list_provisioned_concurrency_configs,
            ("cloudwatch", "GetMetricData"): self._cloudwatch.get_metric_data,
            ("cloudwatch", "PutMetricData"): self._cloudwatch.put_metric_data,
            ("cloudwatch", "DescribeAlarms"): self._alarms.describe_alarms,
            ("logs", "FilterLogEvents"): self._logs.filter_log_events,
            ("sts", "GetCallerIdentity"): lambda _: dict(CALLER),
        }
        if (service, operation) not in known:
            raise NotImplementedError(f"{service} {operation} is not simulated")
        return known[service, operation]

    def _as_planned(
        self, service: str, operation: str, request: Mapping[str, Any], proceed: Proceed
    ) -> Answer:
        how = self._script.outage(service, self.clock.now().timestamp())
        return proceed() if how is None else broken(service, operation, how, proceed)

    def _rules(self) -> UpdateRules:
        return self._script.update_rules(self.clock.now().timestamp())

    def _served(self, function: Function) -> None:
        if self._target is None or function is not self._lambda.function(self._target.function):
            return
        weight = weight_of(self._target, function.in_force)
        now_s = self.clock.now().timestamp()
        self._weights.put(weight, now_s)
        self._script.begin(weight, now_s)
        if self._people is not None:
            self._people.plan()


class Client:
    """A boto3 client of one service: its methods, spelled as boto3 spells them."""

    def __init__(self, world: World, service: str) -> None:
        self._world = world
        self._service = service

    def __getattr__(self, method: str) -> Callable[..., Answer]:
        if method.startswith("_"):
            raise AttributeError(method)
        operation = "".join(word.capitalize() for word in method.split("_"))

        def call(**request: Any) -> Answer:
            return self._world.call(self._service, operation, request)

        return call
