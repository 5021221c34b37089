"""The group `store`: makes a store, and sets what its owner allows: recipients and rules."""

import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final, assert_never

import click

from controller.bootstrap.account import real_account
from controller.bootstrap.app import open_store
from controller.cli import options
from controller.cli.call import CommandContext, Result
from controller.core import stored_formats
from controller.core.message import ANY_POLICY, RecipientList
from controller.core.policy.model import POLICY_NAME_PATTERN
from controller.errors import PolicyError, UsageError
from controller.immutable import Immutable
from controller.policy_file import yaml_file
from controller.policy_file.mistake import PolicyMistake
from controller.policy_file.rules import load_rules, stored_rules
from controller.process.settings import DynamoDbLocation, SqliteLocation, StoreLocation
from controller.safe_text import printable_block
from controller.tools.store.check import check
from controller.tools.store.copy import copy
from controller.tools.store.upgrade import upgrade


class StoreInit(Immutable):
    """A store that was made, or was there already."""

    store: str
    """URL of the store."""
    made: bool | None
    """Whether it was made; false: it was there already; null: only the template was asked for."""
    template: str | None
    """CloudFormation template of the table; null for a store in a file."""


class PolicyResources(Immutable):
    """The resources that the policies of one name may use."""

    policy: str
    """Name of the policies; `*`: of all."""
    resources: Sequence[str]
    """What they may use: ARNs, or service and resource like `lambda:function:gate`."""


class StoreRecipients(Immutable):
    """The list of recipients of a store: what policies may use to send and to call hooks."""

    store: str
    """URL of the store."""
    recipients: list[PolicyResources] | None
    """The list, after the change if there was one; null: none, policies may use any resource."""


class StoreRules(Immutable):
    """The rules of a store: what its owner requires of policies, and which acts are forbidden."""

    store: str
    """URL of the store."""
    rules: dict[str, Any] | None
    """The rules, after the change if there was one; null: none, every valid policy may start."""


@click.group()
def store() -> None:
    """Make, check, upgrade or copy a store; set its rules."""


store.add_command(check)
store.add_command(upgrade)


@store.command()
@options.SHARED["store"]
@click.option(
    "--template", is_flag=True, help="Only print the CloudFormation of the table; touch nothing."
)
@options.call_options("json")
def init(call: CommandContext, template: bool) -> Result:
    """Make the store; one that is there already stays as it is.

    A SQLite store is a file, a DynamoDB store is a table. The table's CloudFormation is printed
    too, for those who would rather make it with a stack of their own.
    """
    call.configure_logs()
    location = call.read_settings().store
    created = None if template else make_store(location)
    is_table = isinstance(location, DynamoDbLocation)
    body = cloudformation_of(location) if is_table or template else None
    lines = []
    if created is not None:
        message = f"store {location.url} {'is created' if created else 'exists already'}"
        # A comment line, so that stdout stays a valid template.
        lines.append(f"# {message}" if is_table else message)
    if body is not None:
        lines.append(body.rstrip("\n"))
    return Result(
        "store-init",
        data=lambda: StoreInit(location.url, created, body),
        text=lambda: "\n".join(lines),
    )


store.add_command(copy)


@store.command()
@options.SHARED["store"]
@click.option(
    "--set", "file", type=click.Path(path_type=Path), metavar="FILE",
    help="Replace the list by that of a YAML file.",
)  # fmt: skip
@click.option("--remove", is_flag=True, help="Remove it: policies may use any resource again.")
@options.call_options("json")
def recipients(call: CommandContext, file: Path | None, remove: bool) -> Result:
    """Show, replace or remove the list of recipients.

    It says which topics, buses, functions and secrets each policy name may use to send messages and
    to call hooks. With a list, a tick uses nothing else, whatever a stored rollout says. FILE has
    policy names, or "*" for all, with the resources of each.
    """
    if file is not None and remove:
        raise UsageError("--set replaces the list, --remove removes it: give one of them")
    call.configure_logs()
    new = None if file is None else load_recipients(file)
    location = call.read_settings().store
    writes = new is not None or remove
    with open_store(call.read_settings(), writes=writes) as opened:
        if writes:
            opened.set_recipients(new)
        listed = new if writes else opened.recipients()
    done = "set in" if new is not None else "removed from" if remove else "of"
    lines, resources = [f"# list of recipients {done} {location.url}"], None
    if listed is None:
        lines = [f"{lines[0]}: none, policies may use any resource"]
    else:  # as YAML, which can be changed and set again
        lines += recipient_lines(listed)
        resources = [PolicyResources(*item) for item in listed.allowed.items()]
    return Result(
        "store-recipients",
        data=lambda: StoreRecipients(location.url, resources),
        text=lambda: printable_block(lines),
    )


@store.command()
@options.SHARED["store"]
@click.argument("file", required=False, metavar="[FILE]", type=click.Path(path_type=Path))
@click.option("--remove", is_flag=True, help="Remove them: every valid policy may start again.")
@options.call_options("json")
def rules(call: CommandContext, file: Path | None, remove: bool) -> Result:
    """Show, replace or remove the rules of the store's owner.

    A policy that breaks them does not start, and what they forbid is refused: validate --store,
    plan and doctor say so before. With FILE, they are replaced by that file. Active rollouts go on
    with the policy that they started with, and a rollback never reads them.
    """
    if file is not None and remove:
        raise UsageError("FILE replaces the rules, --remove removes them: give one of them")
    call.configure_logs()
    text = None if file is None else load_rules(file)[1]
    location = call.read_settings().store
    writes = text is not None or remove
    with open_store(call.read_settings(), writes=writes) as opened:
        if writes:
            opened.set_rules(text)
        else:
            text = opened.rules()
    done = "set in" if file is not None else "removed from" if remove else "of"
    lines, data = [f"# rules {done} {location.url}"], None
    if text is None:
        lines = [f"{lines[0]}: none, every valid policy may start"]
    else:  # as they were written: to be changed and set again
        lines += text.splitlines()
        data = stored_rules(text).model_dump(mode="json", exclude_none=True)
    return Result(
        "store-rules",
        data=lambda: StoreRules(location.url, data),
        text=lambda: printable_block(lines),
    )


# --- The file of a list of recipients -------------------------------------------------------------


# An ARN, or the service and the resource; a name without a service is that of many resources.
_RESOURCE: Final = re.compile(r"[a-z][a-z0-9-]*:[!-~]{0,2000}[!-9;-~]")
_FORM: Final = (
    "expected an ARN, or how doctor and the error name it: lambda:function:NAME, "
    "events:event-bus/NAME, secretsmanager:secret:NAME, ssm:parameter/NAME, "
    "environment:NAME, kind:NAME"
)


def load_recipients(path: Path) -> RecipientList:
    """Return the list in the file at `path`.

    Raises PolicyError with one `file:line:column: path: problem` line per mistake.
    """
    source = yaml_file.read(path)
    data = source.data
    if flaws := source.flaws(_problems(data)):
        raise PolicyError.of(*flaws)
    assert isinstance(data, dict)  # noqa: S101 - else it has a problem
    return RecipientList({name: tuple(resources) for name, resources in data.items()})


def _problems(data: object) -> Iterator[PolicyMistake]:
    if not isinstance(data, dict):
        text = "expected policy names with lists of resources; {} gives no policy anything"
        yield PolicyMistake((), text)
        return
    for name, resources in data.items():
        if name != ANY_POLICY and not re.fullmatch(POLICY_NAME_PATTERN, str(name)):
            yield PolicyMistake(
                (name,), 'expected the name of a policy, or "*" for all', at_key=True
            )
        if not isinstance(resources, list):
            yield PolicyMistake((name,), "expected a list of resources; [] gives it none")
            continue
        for index, resource in enumerate(resources):
            if not isinstance(resource, str) or _RESOURCE.fullmatch(resource) is None:
                yield PolicyMistake((name, index), _FORM)


def recipient_lines(recipients: RecipientList) -> Iterator[str]:
    """Yield the lines of the file."""
    if not recipients.allowed:
        yield "{}"
    for name, resources in recipients.allowed.items():
        key = name if name.replace("-", "").isalnum() else json.dumps(name)
        yield f"{key}:" if resources else f"{key}: []"
        for resource in resources:
            yield f"  - {resource if _RESOURCE.fullmatch(resource) else json.dumps(resource)}"


# --- A store is made, and described by a template -------------------------------------------------


def make_store(place: StoreLocation) -> bool:
    """Create the store at `place`; return False when it exists.

    Raises StoreError when it cannot be created, or something else is there.
    """
    match place:
        case SqliteLocation():
            from controller.adapters.stores.sqlite import SqliteStore
            from controller.adapters.stores.sqlite.file import store_errors

            with store_errors(place.path, "make the store"):
                new = not place.path.exists()
            with SqliteStore(place.path):
                return new
        case DynamoDbLocation(table=table):
            from controller.adapters.stores.dynamodb import DynamoDbStore
            from controller.adapters.stores.dynamodb.table import create_table

            account = real_account()
            client = account.client("dynamodb")
            if new := create_table(client, table, account.clock):
                DynamoDbStore(client, table).set_format(stored_formats.NEWEST)
            return new
        case unreachable:
            assert_never(unreachable)


def cloudformation_of(place: StoreLocation) -> str:
    """Return the CloudFormation template of the table at `place`. Raises UsageError for a file."""
    if isinstance(place, SqliteLocation):
        raise UsageError(
            f"{place.path} is a file, which no template makes; name a table: "
            "--store dynamodb://TABLE"
        )
    from controller.adapters.stores.dynamodb.table import template

    return template(place.table)
