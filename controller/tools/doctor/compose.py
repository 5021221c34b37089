"""The adapters of `doctor`: the real account, and the configured store."""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final

from controller.adapters.iam.caller import (
    CallerIdentity,
    NotSimulatedError,
    caller_identity,
    decisions,
)
from controller.adapters.notifiers.sns import Subscribers
from controller.bootstrap.account import AwsAccount, real_account
from controller.bootstrap.stores import store_at
from controller.core.message import Severity
from controller.core.policy import Policy
from controller.core.policy.aws_location import AwsLocation
from controller.errors import NoStoreError, StoreError
from controller.operations.checks import Check, ok, warn
from controller.operations.live_checks.live_checks import LiveChecks
from controller.ports.store import Exposure, Exposures, Store
from controller.process.settings import Settings
from controller.tools.doctor.account import (
    clock_check,
    permissions_check,
    principal_of,
    root_check,
    undetermined_check,
)
from controller.tools.doctor.channels import channel_tests
from controller.tools.doctor.checks import Doctor
from controller.tools.iam.policy_document import Job, aws_location, iam_policy
from controller.tools.monitoring.compose import deployed, open_stack

__all__ = ["live_channel_tests", "live_doctor"]

_WRITING: Final = re.compile(r"(?!dynamodb:)[a-z]+:(Update|Modify)\w+")


@contextmanager
def live_doctor(settings: Settings, policy: Policy, role: str, file: Path) -> Iterator[Doctor]:
    """Yield a doctor that checks everything that `policy`, which was read in `file`, needs.

    role: ARN of the role whose permissions are simulated; empty: that of the caller.
    Raises UsageError when there is no region, or no credentials.
    """
    account = real_account()
    with _store(settings, account) as store:
        checks = _AccountChecks(account, settings, policy, role)
        alarms = account.alarms()
        live = LiveChecks(
            policy=policy,
            target=account.open(policy.target),
            metrics=account.metrics(),
            exposures=_exposures(store),
            catalogue=account.metric_list(),
            alarms=alarms,
            logs=account.log_counts(),
        )
        yield Doctor(
            live=live,
            clock=account.clock,
            store=store,
            alarms=alarms,
            subscribers=Subscribers(account.client("sns")),
            deployed=lambda monitoring: deployed(open_stack(policy.name, account), monitoring),
            caller_checks=checks.caller_checks,
            permission_checks=checks.permission_checks,
            file=file,
        )


def live_channel_tests(settings: Settings, policy: Policy, severity: Severity) -> Iterator[Check]:
    """Send a test message of `severity` to each channel of `policy`, and yield a check for each.

    Reads no store.
    """
    account = real_account(settings.egress, status_page_url=settings.status_page_url)
    return channel_tests(policy, severity, account, account.clock.now(), settings.by)


@contextmanager
def _store(settings: Settings, account: AwsAccount) -> Iterator[Store | StoreError]:
    """Yield the store, or the error when it cannot be opened, which is one finding of many."""
    with ExitStack() as stack:
        store: Store | StoreError
        try:
            opening = store_at(settings.store, account, must_exist=True, writes=False)
            store = stack.enter_context(opening)
        except StoreError as error:
            store = error
        yield store


def _exposures(store: Store | StoreError) -> Exposures | None:
    """Return what tells when a target had a weight; None: unknown, the store cannot be read."""
    if isinstance(store, NoStoreError):
        return _NoRollouts()
    return None if isinstance(store, StoreError) else store


class _NoRollouts(Exposures):
    """A store that is not there yet: no rollout ever had a weight."""

    def exposures(self, target: str, locks: Sequence[str]) -> Sequence[Exposure]:
        """Return none."""
        return ()


class _AccountChecks:
    """Checks of the account: the caller, the clock of AWS, and the permissions of a role."""

    def __init__(self, account: AwsAccount, settings: Settings, policy: Policy, role: str) -> None:
        self._account = account
        self._settings, self._policy, self._role = settings, policy, role
        self._caller = CallerIdentity(problem="not read")

    def caller_checks(self) -> Iterator[Check]:
        """Yield the checks of the caller and of the clock."""
        self._caller = caller_identity(self._account.clients)
        now = self._account.clock.now()
        if self._caller.problem:
            yield warn("caller", f"AWS does not say who calls: {self._caller.problem}")
            return
        yield ok("caller", f"{self._caller.arn} in {self._where.region}")
        yield clock_check(now, self._caller.at)

    def permission_checks(self) -> Iterator[Check]:
        """Yield the check of a tick's permissions, as IAM simulates them."""
        if not (self._role or self._caller.arn):
            yield undetermined_check("the AWS caller is unknown", self._writes)
            return
        principal = self._role or principal_of(self._caller.arn)
        if not principal:
            yield root_check()
            return
        try:
            client = self._account.client("iam")
            yield permissions_check(principal, decisions(client, principal, self._required))
        except NotSimulatedError as error:
            yield undetermined_check(str(error), self._writes)

    @property
    def _required(self) -> Sequence[Mapping[str, Any]]:
        """The statements of the role of a tick."""
        document = iam_policy([self._policy], self._settings.store, [Job.TICK], self._where)
        statements: Sequence[Mapping[str, Any]] = document["Statement"]
        return statements

    @property
    def _writes(self) -> Sequence[str]:
        """What of that is tried only by writing."""
        actions = {action for one in self._required for action in one["Action"]}
        return [*sorted(filter(_WRITING.fullmatch, actions)), "writes to the store"]

    @property
    def _where(self) -> AwsLocation:
        account = self._caller.arn.split(":")[4] if self._caller.arn else ""
        region = self._account.client("cloudwatch").meta.region_name
        return aws_location(account, region)
