"""Adapters for verbs on one target without a rollout: set-weight, metrics, logs, verify."""

from collections.abc import Sequence

from controller.adapters.dry_run import DryRunLog, dry_run_target
from controller.adapters.metrics.logs import CloudWatchLogEvents
from controller.bootstrap.account import real_account
from controller.core.policy import Policy, TargetSpec
from controller.errors import LogsError
from controller.flag import EVENT
from controller.immutable import Immutable
from controller.operations.log_tail import Tail
from controller.operations.verify import Verifier
from controller.ports.clock import Clock
from controller.ports.logs import LogReader
from controller.ports.target import InspectableTarget


class DirectTarget(Immutable):
    """One target on the real account. overwritten: variables that a write would destroy.

    would: the writes that a dry run leaves out.
    """

    target: InspectableTarget
    clock: Clock
    overwritten: Sequence[str]
    would: Sequence[str]


def direct_target(target: TargetSpec, *, dry_run: bool) -> DirectTarget:
    """Return `target` for direct writes. Raises TargetError when it cannot be read."""
    account, journal = real_account(), DryRunLog()
    real = account.open(target)
    writable = dry_run_target(real, target, journal) if dry_run else real
    return DirectTarget(writable, account.clock, real.foreign_values(), journal.lines)


class ApplicationLogs(Immutable):
    """The log group of a target. warning: why it may be another group; empty: it is certain."""

    reader: LogReader
    group: str
    warning: str = ""


def application_logs(policy: Policy) -> ApplicationLogs:
    """Return the log group of the target of `policy`, from the policy, else as it is configured.

    Raises UsageError when the target has none.
    """
    account, target = real_account(), policy.target
    reader = CloudWatchLogEvents(lambda: account.client("logs"))
    if policy.verify_rollback is not None and policy.verify_rollback.log_group:
        return ApplicationLogs(reader, policy.verify_rollback.log_group)
    try:
        return ApplicationLogs(reader, account.open(target).log_group())
    except LogsError as error:
        return ApplicationLogs(reader, target.log_group, str(error))


def verifier(policy: Policy) -> Verifier:
    """Return a verifier with the target and metrics of `policy`, and the logs if it has any."""
    account, tail, warning = real_account(), None, ""
    if policy.target.log_group or policy.verify_rollback is not None:
        logs = application_logs(policy)
        tail = Tail(logs.reader, account.clock, logs.group, f'"{EVENT}"')
        warning = logs.warning
    return Verifier(policy, account.open(policy.target), account.metrics(), tail, warning)
