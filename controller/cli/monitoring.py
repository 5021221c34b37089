"""The verbs of `monitoring`: the CloudFormation stack of a dashboard, alarms and a topic."""

import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from controller.cli import options
from controller.core.units import count_text
from controller.errors import Exit, RolloutError, UsageError
from controller.text import printable, printable_block

if TYPE_CHECKING:
    from controller.operations.monitoring.resources import Monitoring
    from controller.ports.monitoring import Change

_EMAIL: Final = re.compile(r"[^\s@\"<>]{1,64}@[A-Za-z0-9.-]{1,255}")

Command = TypeVar("Command", bound=Callable[..., Any])


class Email(click.ParamType[str]):
    """An email address that SNS accepts."""

    name = "address"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        if _EMAIL.fullmatch(value) is None:
            self.fail(f"{value!r} is no address like oncall@example.com", param, ctx)
        return str(value)


def _deploy_options(command: Command) -> Command:
    """Add POLICY, --email, --emit, --store and --json."""
    command = click.option(
        "--emit",
        type=click.Choice(["cloudformation"]),
        help="Only print the template, for a stack of your own.",
    )(command)
    command = click.option(
        "--email",
        "emails",
        type=Email(),
        multiple=True,
        metavar="ADDRESS",
        help="Whom the alarms write to, through an SNS topic; may be given more than once. SNS "
        "asks each address first. Default: those that the stack has.",
    )(command)
    command = click.argument("policy", type=click.Path(path_type=Path))(command)
    return options.store(options.as_json(command))


@click.group()
def monitoring() -> None:
    """Make a dashboard and alarms for a policy.

    And with --email a topic that the alarms tell. All of it follows from the policy and its newest
    rollout, and is one CloudFormation stack, rolloutctl-POLICY.
    """


@monitoring.command()
@_deploy_options
def plan(**given: Any) -> int:
    """Show what `deploy` would change, by a change set that is deleted again. Changes nothing."""
    return _change("monitoring-plan", execute=False, **given)


@monitoring.command()
@_deploy_options
def deploy(**given: Any) -> int:
    """Create the stack, or update it, and wait until that is done.

    Safe to run again. Run it again after the start, and whenever the graphs should show newer
    steps.
    """
    return _change("monitoring-deploy", execute=True, **given)


@monitoring.command()
@click.argument("policy", type=click.Path(path_type=Path))
@click.option("--yes", is_flag=True, help="Do not ask.")
@options.as_json
def remove(policy: Path, yes: bool, as_json: bool) -> int:
    """Delete the stack, with the dashboard, the alarms and the topic."""
    from controller.bootstrap.monitoring import open_stack
    from controller.policy_file.loader import load

    name = load(policy).name
    stack = open_stack(name)
    existing = stack.find()
    if existing is not None:
        if not yes:
            _confirm(stack.name)
        stack.remove(existing)
    if as_json:
        result = {"policy": name, "stack": stack.name, "removed": existing is not None}
        options.print_json("monitoring-remove", result)
    else:
        click.echo(f"stack {stack.name} {'was not there' if existing is None else 'is removed'}")
    return Exit.DONE


def _confirm(stack: str) -> None:
    if not sys.stdin.isatty():
        raise UsageError("nothing was removed: there is no terminal to ask on; give --yes")
    click.confirm(f"Remove the stack {stack}, with all that it made?", abort=True, err=True)


def _change(
    kind: str,
    *,
    execute: bool,
    policy: Path,
    emails: Sequence[str],
    store_url: str | None,
    emit: str | None,
    as_json: bool,
) -> Exit:
    from controller.bootstrap.monitoring import as_yaml, open_stack, template_of

    desired = _desired(policy, emails, store_url)
    if emit:
        click.echo(as_yaml(template_of(desired)).rstrip("\n"))
        return Exit.DONE
    stack = open_stack(desired.policy)
    existing = stack.find()
    template = template_of(desired, existing.template if existing else {})
    changes, status = stack.change(existing, template, execute=execute)
    for note in desired.notes:
        _note(note)
    if as_json:
        change_items = [{"action": one.action, "id": one.id, "type": one.kind} for one in changes]
        result = {
            "policy": desired.policy,
            "stack": stack.name,
            "status": status,
            "changes": change_items,
        }
        options.print_json(kind, {**result, "notes": list(desired.notes)})
    else:
        click.echo(printable_block(_lines(changes, template["Resources"])))
        if status:
            click.echo(f"stack {stack.name}: {status}")
    return Exit.DONE


def _lines(changes: Sequence["Change"], resources: Mapping[str, Any]) -> Iterator[str]:
    """Yield a line for each change, with the first sentence of an alarm, and a line that counts."""
    for change in changes:
        yield f"{change.action:<7}  {change.kind} {change.id}"
        description = resources.get(change.id, {}).get("Properties", {}).get("AlarmDescription")
        yield from [f"         {description.partition('. ')[0]}"] if description else []
    yield count_text(len(changes), "change") if changes else "no changes"


def _desired(policy: Path, emails: Iterable[str], store_url: str | None) -> "Monitoring":
    """Return the desired monitoring of a policy file; without a store it shows no rollout."""
    from controller.operations.monitoring.desired import desired_monitoring, monitoring_of
    from controller.policy_file.loader import load

    loaded = load(policy)
    try:
        with options.store_session(store_url, may_be_missing=True) as (store, _):
            return monitoring_of(loaded, store, emails)
    except RolloutError as error:
        _note(f"the dashboard shows no rollout: {error}")
        return desired_monitoring(loaded, emails)


def _note(text: str) -> None:
    click.echo(printable(f"rolloutctl: note: {text}"), err=True)
