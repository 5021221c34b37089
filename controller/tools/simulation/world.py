"""A simulated AWS account: functions, metrics, alarms, logs, traffic and time.

Every call of every fake client goes through `World.call`: the one place for faults, call counts and
interleavings.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Final, TypeAlias, TypeVar, assert_never

from controller.core.policy import Alarm, Policy, TargetSpec
from controller.tools.simulation.clock import VirtualClock
from controller.tools.simulation.fakes.cloudwatch import FakeAlarms, FakeCloudWatch
from controller.tools.simulation.fakes.errors import (
    AwsResponse,
    Proceed,
    apply_outage,
    validation_error,
)
from controller.tools.simulation.fakes.lambda_ import FakeLambda, Function
from controller.tools.simulation.fakes.logs import FakeLogs, publish_events
from controller.tools.simulation.request_draws import TrafficFeed, TrafficModel, WeightTimeline
from controller.tools.simulation.scenario.fault_events import (
    AliasReset,
    AttestationEvent,
    ExternalAction,
    HooksRefuse,
    LastingFault,
    ManualChange,
    Outage,
    RefusedRaises,
    SecondStart,
    StackUpdate,
)
from controller.tools.simulation.scenario.metric_roles import Identity, Role, roles_of
from controller.tools.simulation.scenario.scenario import (
    DEFAULT_START,
    PathModel,
    Scenario,
    TrafficProfile,
    live_since,
    rehearsal_start,
)
from controller.tools.simulation.scenario.timeline import Script, UpdateRules
from controller.tools.simulation.target import SimulatedTarget, simulate

# An actor whose change meets an update in progress tries again after this time.
_RETRY_DELAY = timedelta(seconds=5)


_L = TypeVar("_L", bound=LastingFault)

# Wraps a call: gets service, operation, request, and the call itself, which it may make or not.
CallInterceptor: TypeAlias = Callable[[str, str, Mapping[str, Any], Proceed], AwsResponse]

# The verified caller in a simulated account.
CALLER: Final = {
    "UserId": "AROASIMULATED:operator",
    "Account": "123456789012",
    "Arn": "arn:aws:sts::123456789012:assumed-role/people/operator",
}

_EMPTY_SCENARIO = Scenario(
    name="empty",
    summary="No requests arrive.",
    traffic=TrafficProfile(requests_per_minute=0),
    stable=PathModel(median_ms=100),
    canary=PathModel(median_ms=100),
)


class World:
    """The AWS account of one rollout, in virtual time.

    live_since: since when the canary of `target` has all traffic; None: the scenario's weight.
    probes_per_minute: requests to the canary at every weight, beside the traffic of the scenario.
    scenario: what happens there. lambda_: its functions.
    clock: time passes only by its `sleep` and `advance`.
    calls: how often each (service, operation) was called.
    interceptors: wrap every call, the last one outermost; tests add theirs here.
    """

    def __init__(
        self,
        scenario: Scenario = _EMPTY_SCENARIO,
        *,
        seed: int = 0,
        start: datetime | None = None,
        target: TargetSpec | None = None,
        steps: tuple[int, ...] = (),
        live_since: datetime | None = None,
        probes_per_minute: float = 0.0,
    ) -> None:
        begin = start or scenario.start or DEFAULT_START
        self.clock = VirtualClock(begin)
        self.calls: Counter[tuple[str, str]] = Counter()
        self.scenario = scenario
        self.interceptors: list[CallInterceptor] = [self._apply_outage]
        self._script = Script(scenario, steps, begin, adopted=live_since is not None)
        self._weights = WeightTimeline(scenario.function.weight)
        self._traffic = TrafficModel(self._script, self._weights, seed, probes_per_minute)
        self._roles: Mapping[Identity, Role] = {}
        self._cloudwatch = FakeCloudWatch(self.clock, scenario.publication)
        self._alarms = FakeAlarms(self.clock, self._script)
        self._logs = FakeLogs(self.clock)
        self.lambda_ = FakeLambda(self.clock, self._rules, seed)
        self._target: SimulatedTarget | None = None
        self._has_begun = False
        self._planned = set[int]()  # numbers of external actions
        self._starts, self._attestations = 0, list[AttestationEvent]()
        if target is not None:
            if live_since is not None:
                self._weights.record(100, live_since.timestamp())
            self._target = simulate(target, self)
            self._target.begin(scenario.function.weight, adopted=live_since is not None)
            self._has_begun = True
            self._plan_external_actions(self._target)

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

        Probes that the policy declares are sent to the canary.

        start: first moment of the rehearsal; when left out, one that fits both. adopt: the last
        step's weight is live already, as an application has it that knows no percentage.
        Raises PolicyError for a metric whose role is neither known nor stated in the scenario, for
        a log pattern that the fake does not support, and for a scenario that sets a variable which
        the policy does not name.
        """
        roles = roles_of(policy, scenario.metrics)
        steps = tuple(step.weight for step in policy.steps)
        begin = start or rehearsal_start(policy, scenario)
        world = cls(
            scenario,
            seed=seed,
            start=begin,
            target=policy.target,
            steps=steps,
            live_since=live_since(policy, scenario, begin) if adopt else None,
            probes_per_minute=policy.probes_per_minute or 0.0,
        )
        world._roles = roles
        world._publish()
        publish_events(policy, world._logs, world._traffic, world._script)
        for criterion in policy.criteria.values():
            if isinstance(criterion, Alarm):
                world._alarms.add(criterion.alarm)
        return world

    def client(self, service: str) -> Any:
        """Return a fake of the boto3 client of `service`."""
        return FakeClient(self, service)

    def call(self, service: str, operation: str, request: Mapping[str, Any]) -> AwsResponse:
        """Answer one call as AWS would, through all interceptors.

        Raises what a boto3 client raises, and NotImplementedError for what is not simulated.
        """
        proceed: Proceed = partial(self._operation(service, operation), request)
        self.calls[service, operation] += 1
        for interceptor in self.interceptors:
            proceed = partial(interceptor, service, operation, request, proceed)
        return proceed()

    def add_function(self, name: str, variables: Mapping[str, str]) -> Function:
        """Add a function by name or ARN; its environment is applied at once.

        The returned object may be changed: aliases, snap_start, provisioned, ...
        """
        return self.lambda_.add(name, variables)

    def function(self, name: str) -> Function:
        """Return a function by name or ARN. Raises KeyError when it was not added."""
        return self.lambda_.function(name)

    def set_variables(self, name: str, variables: Mapping[str, str]) -> None:
        """Begin an update from outside rolloutctl: these variables change, the others stay.

        Not counted in `calls`. Raises ClientError as Lambda would, like 409 during an update.
        """
        current = self.lambda_.function(name).variables
        request = {"FunctionName": name, "Environment": {"Variables": {**current, **variables}}}
        self.lambda_.update_function_configuration(request)

    def add_log_event(self, group: str, moment: datetime, message: str) -> None:
        """Add an event to a log group, creating the group if needed; not counted in `calls`."""
        self._logs.add(group, int(moment.timestamp() * 1_000), message)

    @property
    def simulated_target(self) -> SimulatedTarget | None:
        """The target; None in a world that was made without one."""
        return self._target

    def weight_now(self) -> int:
        """Return the percent of traffic that takes the canary now."""
        return self._weights.now()

    def note_weight(self, weight: int) -> None:
        """Record that `weight` percent of traffic take the canary from now on."""
        now_s = self.clock.now().timestamp()
        self._weights.record(weight, now_s)
        self._script.note_weight(weight, now_s)
        self._traffic.forget_from(now_s)
        self._cloudwatch.forget_from(int(now_s))
        self._publish()
        if self._target is not None and self._has_begun:
            self._plan_external_actions(self._target)

    def _plan_external_actions(self, target: SimulatedTarget) -> None:
        """Schedule every external action whose moment has become known; each is scheduled once."""
        for number, moment, act in self._script.external_actions():
            if number not in self._planned:
                self._planned.add(number)
                self.clock.at(moment, partial(self._perform, target, act))

    def _perform(self, target: SimulatedTarget, act: ExternalAction) -> None:
        if target.busy:
            self.clock.at(self.clock.now() + _RETRY_DELAY, partial(self._perform, target, act))
            return
        match act:
            case ManualChange() | StackUpdate() | AliasReset():
                target.perform(act)
            case SecondStart():
                self._starts += 1
            case AttestationEvent():
                self._attestations.append(act)
            case unreachable:
                assert_never(unreachable)

    def hook_refusal(self) -> str | None:
        """Return how hooks refuse now: `refused` or `failed`; None: they allow everything."""
        return next((event.how for event in self._active(HooksRefuse)), None)

    def refuses_raises(self) -> bool:
        """Tell whether Lambda denies every update that raises the weight now."""
        return any(self._active(RefusedRaises))

    def _active(self, kind: type[_L]) -> Iterator[_L]:
        """Yield the events of `kind` that last now."""
        now_s = self.clock.now().timestamp()
        yield from (event for event, _ in self._script.active(kind, now_s))

    @contextmanager
    def ahead(self, moment: datetime) -> Iterator[None]:
        """Let metrics answer as at `moment` if the weight stays. These calls are not counted.

        Nothing of it stays when the weight changes after all: `note_weight` has it drawn again.
        """
        calls, self.calls = self.calls, Counter()
        try:
            with self._cloudwatch.ahead(moment):
                yield
        finally:
            self.calls = calls

    def _publish(self) -> None:
        for identity, role in self._roles.items():
            feed = TrafficFeed(self._traffic, role, identity.namespace)
            self._cloudwatch.publish(identity, feed)

    @property
    def final_after(self) -> timedelta:
        """The age at which the metrics of a minute no longer change."""
        return timedelta(seconds=self.scenario.publication.final_after_s)

    def next_event(self) -> datetime | None:
        """Return when the scenario next begins or ends something; None: never again."""
        return self._script.next_event(self.clock.now())

    def take_starts(self) -> int:
        """Return how many second starts have become due since the last call."""
        due, self._starts = self._starts, 0
        return due

    def take_attestations(self) -> list[AttestationEvent]:
        """Return the attestations that have become due since the last call."""
        due, self._attestations = self._attestations, []
        return due

    def add_alarm(self, name: str) -> None:
        """Add an alarm, OK since a day before the start; a scenario may change its state."""
        self._alarms.add(name)

    def _operation(
        self, service: str, operation: str
    ) -> Callable[[Mapping[str, Any]], AwsResponse]:
        operations: Mapping[tuple[str, str], Callable[[Mapping[str, Any]], AwsResponse]] = {
            ("lambda", "GetFunctionConfiguration"): self.lambda_.get_function_configuration,
            ("lambda", "UpdateFunctionConfiguration"): self.lambda_.update_function_configuration,
            ("lambda", "ListAliases"): self.lambda_.list_aliases,
            (
                "lambda",
                "ListProvisionedConcurrencyConfigs",
            ): self.lambda_.list_provisioned_concurrency_configs,
            ("cloudwatch", "GetMetricData"): self._cloudwatch.get_metric_data,
            ("cloudwatch", "ListMetrics"): self._cloudwatch.list_metrics,
            ("cloudwatch", "PutMetricData"): self._cloudwatch.put_metric_data,
            ("cloudwatch", "DescribeAlarms"): self._alarms.describe_alarms,
            ("logs", "FilterLogEvents"): self._logs.filter_log_events,
            ("sts", "GetCallerIdentity"): lambda _: dict(CALLER),
        }
        if self._target is not None:
            operations = {**operations, **self._target.operations}
        if (service, operation) not in operations:
            raise NotImplementedError(f"{service} {operation} is not simulated")
        return operations[service, operation]

    def _apply_outage(
        self, service: str, operation: str, request: Mapping[str, Any], proceed: Proceed
    ) -> AwsResponse:
        outages = (event.how for event in self._active(Outage) if event.service == service)
        how = next(outages, None)
        return proceed() if how is None else apply_outage(service, operation, how, proceed)

    def _rules(self) -> UpdateRules:
        return self._script.update_rules(self.clock.now().timestamp())


class FakeClient:
    """A boto3 client of one service: its methods, spelled as boto3 spells them."""

    def __init__(self, world: World, service: str) -> None:
        self._world = world
        self._service = service

    def __getattr__(self, method: str) -> Callable[..., AwsResponse]:
        if method.startswith("_"):
            raise AttributeError(method)
        operation = "".join(word.capitalize() for word in method.split("_"))

        def call(**request: Any) -> AwsResponse:
            if none := [name for name, value in request.items() if value is None]:
                raise validation_error(f"Invalid type for parameter {none[0]}, value: None")
            return self._world.call(self._service, operation, request)

        return call
