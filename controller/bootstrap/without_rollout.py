"""Adapters for verbs on one target without a rollout: set-weight, metrics, logs, verify."""

from collections.abc import Sequence
from dataclasses import dataclass

from controller.adapters.aws.clients import Clients
from controller.adapters.dry_run import DryRunTarget, Journal
from controller.adapters.metrics.cloudwatch import CloudWatchMetrics
from controller.adapters.metrics.log_events import CloudWatchLogEvents, default_group, group_of
from controller.adapters.targets.lambda_env import LambdaEnvTarget
from controller.core.policy import LambdaEnv, Policy
from controller.errors import LogsError
from controller.operations.log_tail import Tail
from controller.operations.verify import Verifier
from controller.ports.clock import Clock
from controller.ports.logs import FLAG_CHECK, LogReader
from controller.ports.metrics import MetricSource
from controller.ports.target import InspectableTarget


@dataclass(frozen=True, slots=True)
class DirectTarget:
    """One target on the real account. overwritten: variables that a write would destroy."""

    target: InspectableTarget
    overwritten: Sequence[str]
    journal: Journal


def direct_target(target: LambdaEnv, clock: Clock, *, dry_run: bool) -> DirectTarget:
    """Return `target` for direct writes. Raises TargetError when it cannot be read."""
    real, journal = LambdaEnvTarget(Clients().get("lambda"), target, clock), Journal()
    writable = DryRunTarget(real, target.function, journal) if dry_run else real
    return DirectTarget(writable, real.foreign_values(), journal)


def metric_source() -> MetricSource:
    """Return the source of metrics."""
    return CloudWatchMetrics(Clients().get("cloudwatch"))


@dataclass(frozen=True, slots=True)
class FunctionLogs:
    """The log group of a function. warning: why it may be another group; empty: it is certain."""

    reader: LogReader
    group: str
    warning: str = ""


def function_logs(policy: Policy) -> FunctionLogs:
    """Return the log group of the function of `policy`, from the policy, else from Lambda."""
    clients, function = Clients(), policy.target.function
    reader = CloudWatchLogEvents(lambda: clients.get("logs"))
    if policy.verify_rollback is not None and policy.verify_rollback.log_group:
        return FunctionLogs(reader, policy.verify_rollback.log_group)
    try:
        return FunctionLogs(reader, group_of(clients.get("lambda"), function))
    except LogsError as error:
        return FunctionLogs(reader, default_group(function), str(error))


def verifier(policy: Policy, clock: Clock) -> Verifier:
    """Return a verifier with the target, metrics and logs of `policy`."""
    target = LambdaEnvTarget(Clients().get("lambda"), policy.target, clock)
    logs = function_logs(policy)
    tail = Tail(logs.reader, clock, logs.group, f'"{FLAG_CHECK}"')
    return Verifier(policy, target, metric_source(), tail, logs.warning)
