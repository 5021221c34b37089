"""The verbs for what watches a policy beside rolloutctl: a dashboard, alarms, a topic."""

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
    """An address that SNS can write to."""

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
    found = stack.find()
    if found is not None:
        if not yes:
            _confirm(stack.name)
        stack.remove(found)
    if as_json:
        done = {"policy": name, "stack": stack.name, "removed": found is not None}
        options.print_json("monitoring-remove", done)
    else:
        click.echo(f"stack {stack.name} {'was not there' if found is None else 'is removed'}")
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
    from controller.bootstrap.monitoring import as_yaml, document, open_stack

    wanted = _desired(policy, emails, store_url)
    if emit:
        click.echo(as_yaml(document(wanted)).rstrip("\n"))
        return Exit.DONE
    stack = open_stack(wanted.policy)
    found = stack.find()
    template = document(wanted, found.template if found else {})
    changes, status = stack.change(found, template, execute=execute)
    for note in wanted.notes:
        _note(note)
    if as_json:
        listed = [{"action": one.action, "id": one.id, "type": one.kind} for one in changes]
        done = {"policy": wanted.policy, "stack": stack.name, "status": status, "changes": listed}
        options.print_json(kind, {**done, "notes": list(wanted.notes)})
    else:
        click.echo(printable_block(_lines(changes, template["Resources"])))
        if status:
            click.echo(f"stack {stack.name}: {status}")
    return Exit.DONE


def _lines(changes: Sequence["Change"], resources: Mapping[str, Any]) -> Iterator[str]:
    """Yield a line for each change, with the first sentence of an alarm, and a sum."""
    for one in changes:
        yield f"{one.action:<7}  {one.kind} {one.id}"
        said = resources.get(one.id, {}).get("Properties", {}).get("AlarmDescription")
        yield from [f"         {said.partition('. ')[0]}"] if said else []
    yield count_text(len(changes), "change") if changes else "no changes"


def _desired(policy: Path, emails: Iterable[str], store_url: str | None) -> "Monitoring":
    """Return what should watch the policy in the file; without a store, nothing is drawn of one."""
    from controller.operations.monitoring.desired import monitoring_of, wanted
    from controller.policy_file.loader import load

    known = load(policy)
    try:
        with options.store_session(store_url, may_be_missing=True) as (store, _):
            return monitoring_of(known, store, emails)
    except RolloutError as error:
        _note(f"the dashboard shows no rollout: {error}")
        return wanted(known, emails)


def _note(text: str) -> None:
    click.echo(printable(f"rolloutctl: note: {text}"), err=True)
