"""The verb `doctor`: checks everything that a rollout needs before it starts."""

import re
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Final

import click

from controller.cli import options
from controller.cli.call import CommandContext, load_policy
from controller.cli.result import Result
from controller.cli.streams import Progress
from controller.cli.verify import checks_page
from controller.core.message import Severity
from controller.core.policy import Policy
from controller.errors import TargetError, UsageError
from controller.immutable import Immutable
from controller.operations.checks import Check, any_failed, exit_status
from controller.tools.doctor.compose import live_channel_tests, live_doctor

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
