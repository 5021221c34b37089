"""The adapters of `doctor`: the real account, and the configured store."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial

from controller.adapters.aws.clients import Clients
from controller.adapters.clock import SystemClock
from controller.adapters.iam.caller import CallerIdentity, caller_identity
from controller.adapters.iam.simulator import NotSimulatedError, decisions
from controller.adapters.metrics.alarms import CloudWatchAlarms
from controller.adapters.metrics.cloudwatch import CloudWatchMetrics
from controller.adapters.metrics.log_counts import CloudWatchLogCounts
from controller.adapters.metrics.metric_list import MetricList
from controller.adapters.notifiers.sns_subscriptions import Subscribers
from controller.adapters.targets.lambda_env import LambdaEnvTarget
from controller.bootstrap.iam import AwsLocation, Job, iam_policy
from controller.bootstrap.monitoring import deployed, open_stack
from controller.bootstrap.stores import store_at
from controller.core.checks import Check, ok, warn
from controller.core.policy import Policy
from controller.errors import StoreError
from controller.operations.doctor.doctor import Doctor
from controller.operations.doctor.permissions import (
    permissions_check,
    principal_of,
    root_check,
    undetermined_check,
)
from controller.operations.doctor.store import clock_check
from controller.ports.clock import Clock
from controller.ports.store import Store
from controller.process.settings import Settings

__all__ = ["live_doctor"]

_WRITES = ("lambda:UpdateFunctionConfiguration", "writes to the store")


@contextmanager
def live_doctor(settings: Settings, policy: Policy, role: str) -> Iterator[Doctor]:
    """Yield a doctor that checks everything that `policy` needs.

    role: ARN of the role whose permissions are simulated; empty: that of the caller.
    Raises UsageError when there is no region, or no credentials.
    """
    clients, clock = Clients(), SystemClock()
    with _store(settings, clients) as store:
        account = _Account(clients, clock, settings, policy, role)
        yield Doctor(
            policy=policy,
            clock=clock,
            store=store,
            target=LambdaEnvTarget(clients.get("lambda"), policy.target, clock),
            metrics=CloudWatchMetrics(clients.get("cloudwatch")),
            catalogue=MetricList(clients.get("cloudwatch")),
            alarms=CloudWatchAlarms(partial(clients.get, "cloudwatch")),
            logs=CloudWatchLogCounts(partial(clients.get, "logs"), clock),
            subscribers=Subscribers(clients.get("sns")),
            deployed=lambda monitoring: deployed(open_stack(policy.name, clients), monitoring),
            caller_checks=account.caller_checks,
            permission_checks=account.permission_checks,
        )


@contextmanager
def _store(settings: Settings, clients: Clients) -> Iterator[Store | StoreError]:
    """Yield the store, or the error when it cannot be opened, which is one finding of many."""
    with ExitStack() as stack:
        store: Store | StoreError
        try:
            opening = store_at(settings.store, clients, must_exist=True, writes=False)
            store = stack.enter_context(opening)
        except StoreError as error:
            store = error
        yield store


class _Account:
    """Checks of the account: the caller, the clock of AWS, and the permissions of a role."""

    def __init__(
        self, clients: Clients, clock: Clock, settings: Settings, policy: Policy, role: str
    ) -> None:
        self._clients, self._clock = clients, clock
        self._settings, self._policy, self._role = settings, policy, role
        self._caller = CallerIdentity(problem="not asked")

    def caller_checks(self) -> Iterator[Check]:
        """Yield the checks of the caller and of the clock."""
        self._caller = caller_identity(self._clients)
        now = self._clock.now()
        if self._caller.problem:
            yield warn("caller", f"AWS does not say who calls: {self._caller.problem}")
            return
        yield ok("caller", f"{self._caller.arn} in {self._where.region}")
        yield clock_check(now, self._caller.at)

    def permission_checks(self) -> Iterator[Check]:
        """Yield the check of a tick's permissions, as IAM simulates them."""
        if not (self._role or self._caller.arn):
            yield undetermined_check("nobody knows who calls", _WRITES)
            return
        principal = self._role or principal_of(self._caller.arn)
        if not principal:
            yield root_check()
            return
        required = iam_policy([self._policy], self._settings.store, [Job.TICK], self._where)
        try:
            client = self._clients.get("iam")
            yield permissions_check(principal, decisions(client, principal, required["Statement"]))
        except NotSimulatedError as error:
            yield undetermined_check(str(error), _WRITES)

    @property
    def _where(self) -> AwsLocation:
        account = self._caller.arn.split(":")[4] if self._caller.arn else ""
        region = self._clients.get("cloudwatch").meta.region_name
        return AwsLocation.of(account, region)
