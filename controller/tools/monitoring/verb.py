"""The verbs of `monitoring`: the CloudFormation stack of a dashboard, alarms and a topic."""

import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import click
from botocore.handlers import json_decode_template_body

from controller.adapters.cloudformation import Stack, as_yaml
from controller.bootstrap.account import AwsAccount, real_account
from controller.cli import options, streams
from controller.cli.call import CommandContext, Result, load_policy
from controller.core.units import count_text
from controller.errors import RolloutError, UsageError
from controller.immutable import Immutable
from controller.ports.monitoring import Change, Deployed
from controller.render.page import lines_page
from controller.tools.monitoring.resources import Monitoring
from controller.tools.monitoring.template import differing_resources, template_of
from controller.tools.monitoring.wanted_stack import desired_monitoring, monitoring_of

_EMAIL: Final = re.compile(r"[^\s@\"<>]{1,64}@[A-Za-z0-9.-]{1,255}")


class MonitoringChange(Immutable):
    """The change of a monitoring stack."""

    policy: str
    """Name of the policy."""
    stack: str
    """Name of the stack."""
    status: str
    """Status of the stack at the end; empty: it was not changed."""
    changes: Sequence[Change]
    """The change of each resource; empty: there is none."""
    notes: Sequence[str]
    """What the operator should know."""


class MonitoringRemoval(Immutable):
    """The removal of a monitoring stack."""

    policy: str
    """Name of the policy."""
    stack: str
    """Name of the stack."""
    removed: bool
    """Whether there was one to remove."""


def _email(text: str) -> str:
    """Return an email address that SNS accepts."""
    if _EMAIL.fullmatch(text) is None:
        raise ValueError(f"{text!r} is no address like oncall@example.com")
    return text


def _deploy_options(verb: Callable[..., Result]) -> Callable[..., int]:
    """Add POLICY, --email, --emit, --store and --json."""
    verb = click.option(
        "--emit",
        type=click.Choice(["cloudformation"]),
        help="Only print the template, for a stack of your own.",
    )(verb)
    verb = click.option(
        "--email",
        "emails",
        type=options.Parsed("address", _email),
        multiple=True,
        metavar="ADDRESS",
        help="Whom the alarms write to, through an SNS topic; may be given more than once. SNS "
        "sends each address a confirmation first. Default: those that the stack has.",
    )(verb)
    verb = click.argument("policy", type=click.Path(path_type=Path))(verb)
    return options.call_options("store", "json")(verb)


@click.group()
def monitoring() -> None:
    """Make a dashboard and alarms for a policy.

    With --email, also an SNS topic for the alarms. All of it is derived from the policy and its
    newest rollout, and is one CloudFormation stack, rolloutctl-POLICY.
    """


@monitoring.command()
@_deploy_options
def plan(call: CommandContext, policy: Path, emails: Sequence[str], emit: str | None) -> Result:
    """Show what `deploy` would change, by a change set that is deleted again. Changes nothing."""
    return _change(call, policy, emails, emit, execute=False)


@monitoring.command()
@_deploy_options
def deploy(call: CommandContext, policy: Path, emails: Sequence[str], emit: str | None) -> Result:
    """Create the stack, or update it, and wait until that is done.

    Safe to run again. Run it again after the start, and whenever the graphs should show newer
    steps.
    """
    return _change(call, policy, emails, emit, execute=True)


@monitoring.command()
@click.argument("policy", type=click.Path(path_type=Path))
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
@options.call_options("json")
def remove(_call: CommandContext, policy: Path, yes: bool) -> Result:
    """Delete the stack, with the dashboard, the alarms and the topic."""
    name = load_policy(policy).name
    stack = open_stack(name)
    existing = stack.find()
    if existing is not None:
        if not yes:
            if not sys.stdin.isatty():
                raise UsageError(
                    "nothing was removed: there is no terminal to confirm on; use --yes"
                )
            click.confirm(
                f"Remove the stack {stack.name}, with all that it made?", abort=True, err=True
            )
        stack.remove(existing)
    outcome = "was not there" if existing is None else "is removed"
    return Result(
        "monitoring-remove",
        data=lambda: MonitoringRemoval(name, stack.name, existing is not None),
        page=lambda: lines_page([f"stack {stack.name} {outcome}"]),
    )


def _change(
    call: CommandContext, policy: Path, emails: Sequence[str], emit: str | None, *, execute: bool
) -> Result:
    desired = _desired(call, policy, emails)
    if emit:
        click.echo(as_yaml(template_of(desired)).rstrip("\n"))
        return Result()
    stack = open_stack(desired.policy)
    existing = stack.find()
    template = template_of(desired, existing.template if existing else {})
    changes, status = stack.change(existing, template, execute=execute)
    for note in desired.notes:
        streams.note(note)
    return Result(
        "monitoring-deploy" if execute else "monitoring-plan",
        data=lambda: MonitoringChange(desired.policy, stack.name, status, changes, desired.notes),
        page=lambda: lines_page(
            [
                *_lines(changes, template["Resources"]),
                *([f"stack {stack.name}: {status}"] if status else []),
            ]
        ),
    )


def _lines(changes: Sequence[Change], resources: Mapping[str, Any]) -> Iterator[str]:
    """Yield a line for each change, with the first sentence of an alarm, and a line that counts."""
    for change in changes:
        yield f"{change.action:<7}  {change.kind} {change.id}"
        description = resources.get(change.id, {}).get("Properties", {}).get("AlarmDescription")
        yield from [f"         {description.partition('. ')[0]}"] if description else []
    yield count_text(len(changes), "change") if changes else "no changes"


def _desired(call: CommandContext, policy: Path, emails: Iterable[str]) -> Monitoring:
    """Return the desired monitoring of a policy file; without a store it shows no rollout."""
    loaded = call.live_policy(policy)
    try:
        with call.store_session(may_be_missing=True) as store:
            return monitoring_of(loaded, store, emails)
    except RolloutError as error:
        streams.note(f"the dashboard shows no rollout: {error}")
        return desired_monitoring(loaded, emails)


# --- The stack on the account ---------------------------------------------------------------------


def open_stack(policy: str, account: AwsAccount | None = None) -> Stack:
    """Return the monitoring stack of a policy, by name, on the account of the AWS variables.

    Raises UsageError when there is no region, or no credentials.
    """
    account = account or real_account()
    client = account.client("cloudformation")
    # Without this, botocore parses a template that an operator wrote as JSON, which its own
    # model declares as text.
    decoding = "after-call.cloudformation.GetTemplate"
    client.meta.events.unregister(decoding, json_decode_template_body)
    return Stack(client, account.clock, policy)


def deployed(stack: Stack, monitoring: Monitoring) -> Deployed | None:
    """Return the deployed stack, compared with `monitoring`; None when there is none.

    Raises MonitoringError and UsageError.
    """
    existing = stack.find()
    if existing is None or existing.empty:
        return None
    template = template_of(monitoring, existing.template)
    arn_prefix = existing.id.partition(":stack/")[0].replace(":cloudformation:", ":sns:")
    topic = f"{arn_prefix}:{stack.name}" if "Topic" in template["Resources"] else ""
    return Deployed(existing.status, differing_resources(template, existing.template), topic)
