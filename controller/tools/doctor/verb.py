"""The verb `doctor`: checks everything that a rollout needs before it starts.

The checks of the account are here: the caller, the local clock, and the permissions of a role.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

import click

from controller.adapters.iam import (
    CallerIdentity,
    NotSimulatedError,
    caller_identity,
    decisions,
)
from controller.adapters.notifiers.sns import Subscribers
from controller.bootstrap.account import AwsAccount, real_account, store_at
from controller.cli import options
from controller.cli.call import CommandContext, Result, load_policy
from controller.cli.streams import Progress
from controller.cli.verify import checks_page
from controller.core.message import Severity
from controller.core.policy import Policy
from controller.core.policy.field_types import AwsLocation
from controller.errors import NoStoreError, StoreError, TargetError, UsageError
from controller.immutable import Immutable
from controller.operations.checks import Check, any_failed, exit_status, fail, ok, warn
from controller.operations.live_checks import LiveChecks
from controller.ports.store import Exposure, Exposures, Store
from controller.process.settings import Settings
from controller.tools.doctor import Doctor, channel_tests
from controller.tools.iam import Job, aws_location, iam_policy
from controller.tools.monitoring.verb import deployed, open_stack

_WRITING: Final = re.compile(r"(?!dynamodb:)[a-z]+:(Update|Modify)\w+")
_ROLE_ARN: Final = re.compile(r"arn:[a-z-]+:iam::\d{12}:(role|user)/[A-Za-z0-9+=,.@_/-]+")


class DoctorData(Immutable):
    """Whether everything that a policy needs is there."""

    policy: str
    """Name of the policy."""
    failed: bool
    """Whether at least one check failed."""
    checks: Sequence[Check]
    """Each check."""


@click.command()
@click.argument("policy", type=click.Path(path_type=Path))
@click.option(
    "--role",
    metavar="ARN",
    default="",
    help="Whose permissions to check: the role of the scheduled task. Default: the caller's.",
)
@click.option(
    "--test-message",
    "severity",
    type=click.Choice([str(one) for one in Severity]),
    help="Check only the channels: send each a message of this severity that says TEST.",
)
@options.call_options("store", "json")
def doctor(call: CommandContext, policy: Path, role: str, severity: str | None) -> Result:
    """Check everything that POLICY needs; write nothing.

    Metrics and their dimensions, the function and its callers, the schedule, the clock, the alarms
    and their subscriptions, and the permissions of the role. A line each: ok, warn or FAIL, and
    what to do. Ends with 7 when one fails.
    """
    if role and _ROLE_ARN.fullmatch(role) is None:
        raise UsageError(f"--role is the ARN of a role or a user: arn:aws:iam::...; not {role!r}")
    if role and severity:
        raise UsageError("--test-message is sent with your own rights; leave out --role")
    call.configure_logs()
    loaded = load_policy(policy) if severity else _policy(call, policy)
    config = call.read_settings()
    if config.egress.problem:
        raise UsageError(config.egress.problem)
    checks: list[Check] = []
    with Progress() as progress, ExitStack() as stack:
        if severity:
            progress.show("sending test messages")
            found = live_channel_tests(config, loaded, Severity(severity))
        else:
            progress.show("reading the account")
            found = stack.enter_context(live_doctor(config, loaded, role, policy)).checks()
        for check in found:
            checks.append(check)
            progress.show(f"{len(checks)} checks done, the last one: {check.what}")

    return Result(
        "doctor",
        data=lambda: DoctorData(loaded.name, any_failed(checks), checks),
        page=lambda: checks_page(checks),
        status=exit_status(checks),
    )


def _policy(call: CommandContext, reference: Path) -> Policy:
    """Return the policy as a start would store it; as it is where the target's check fails."""
    try:
        return call.live_policy(reference)
    except (TargetError, UsageError):
        return load_policy(reference)


# --- The real account, and the configured store ---------------------------------------------------


@contextmanager
def live_doctor(settings: Settings, policy: Policy, role: str, file: Path) -> Iterator[Doctor]:
    """Yield a doctor that checks everything that `policy`, which was read in `file`, needs.

    role: ARN of the role whose permissions are simulated; empty: that of the caller.
    Raises UsageError when there is no region, or no credentials.
    """
    account = real_account()
    with _store(settings, account) as store:
        checks, alarms = _AccountChecks(account, settings, policy, role), account.alarms()
        # When the target had a weight: never where no store is there yet, unknown where it fails.
        exposures = None if isinstance(store, StoreError) else store
        live = LiveChecks(
            policy=policy,
            target=account.open(policy.target),
            metrics=account.metrics(),
            exposures=_NoRollouts() if isinstance(store, NoStoreError) else exposures,
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


class _NoRollouts(Exposures):
    """A store that is not there yet: no rollout ever had a weight."""

    def exposures(self, target: str, locks: Sequence[str]) -> Sequence[Exposure]:
        """Return none."""
        return ()


class _AccountChecks:
    """The checks that need the account: the caller, the clock, and the permissions of a role."""

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
            yield self._undetermined_check("the AWS caller is unknown")
            return
        principal = self._role or principal_of(self._caller.arn)
        if not principal:
            yield warn(
                "permissions",
                "not checked: these are credentials of the root user, not of the schedule's role",
                "name the role: --role ARN",
            )
            return
        try:
            client = self._account.client("iam")
            yield permissions_check(principal, decisions(client, principal, self._required))
        except NotSimulatedError as error:
            yield self._undetermined_check(str(error))

    @property
    def _required(self) -> Sequence[Mapping[str, Any]]:
        """The statements of the role of a tick."""
        document = iam_policy([self._policy], self._settings.store, [Job.TICK], self._where)
        statements: Sequence[Mapping[str, Any]] = document["Statement"]
        return statements

    def _undetermined_check(self, reason: str) -> Check:
        """Return a warning that permissions are unknown until used: some are tried only by writing.

        reason: why IAM could not simulate them.
        """
        actions = {action for one in self._required for action in one["Action"]}
        writes = [*sorted(filter(_WRITING.fullmatch, actions)), "writes to the store"]
        return warn(
            "permissions",
            f"not checked ({reason}): whether {' and '.join(writes)} are allowed shows only when "
            "they are used",
            "compare the role with rolloutctl iam POLICY --for tick",
        )

    @property
    def _where(self) -> AwsLocation:
        account = self._caller.arn.split(":")[4] if self._caller.arn else ""
        region = self._account.client("cloudwatch").meta.region_name
        return aws_location(account, region)


# --- Clock ----------------------------------------------------------------------------------------

# The Date header has whole seconds, and a response takes some time.
CLOCK_TOLERANCE: Final = timedelta(seconds=5)
# At 30 s, half of each evaluated minute belongs to another minute.
CLOCK_SKEW_LIMIT: Final = timedelta(seconds=30)


def clock_check(local: datetime, aws: datetime | None) -> Check:
    """Return the check of the local clock against that of AWS.

    aws: time of a response; None when no response had a Date header.
    """
    if aws is None:
        return warn("clock", "not checked: no answer of AWS had a date", "run again")
    skew = local - aws
    side = "ahead of" if skew > timedelta() else "behind"
    if abs(skew) <= CLOCK_TOLERANCE:
        return ok("clock", "agrees with the clock of AWS")
    text = f"{abs(skew).total_seconds():.0f} s {side} that of AWS"
    remedy = "let the time service of this machine run (chrony, NTP), and run again"
    is_small = abs(skew) <= CLOCK_SKEW_LIMIT
    return warn("clock", text, remedy) if is_small else fail("clock", text, remedy)


# --- Permissions, by IAM's policy simulator -------------------------------------------------------

_SESSION: Final = re.compile(r"arn:([a-z-]+):sts::(\d{12}):assumed-role/([^/]+)/.+")
_ROOT: Final = re.compile(r"arn:[a-z-]+:iam::\d{12}:root")


def principal_of(caller: str) -> str:
    """Return the ARN of the user or role whose policies apply to `caller`; empty: the root user.

    The ARN of a session lacks the path of its role: a role with a path has to be named.
    """
    if _ROOT.fullmatch(caller):
        return ""
    session = _SESSION.fullmatch(caller)
    return caller if session is None else f"arn:{session[1]}:iam::{session[2]}:role/{session[3]}"


def permissions_check(principal: str, decisions: Mapping[tuple[str, str], str]) -> Check:
    """Return the check that `principal` may do every action.

    decisions: the decision of IAM's simulator for each action and resource.
    """
    denied = sorted(
        {action for (action, _), decision in decisions.items() if decision != "allowed"}
    )
    action_count = len({action for action, _ in decisions})
    if not denied:
        text = f"{principal} may do all {action_count} actions of a tick, as IAM simulates it"
        return ok("permissions", text)
    return fail(
        "permissions",
        f"{principal} may not do {', '.join(denied)}",
        "grant it: rolloutctl iam POLICY --for tick prints the policy of that role",
    )
