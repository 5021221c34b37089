"""The verbs for what watches a policy beside rolloutctl: a dashboard, alarms, a topic."""

import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from controller.cli import options
from controller.errors import Exit, RolloutError, UsageError
from controller.text import page, printable

if TYPE_CHECKING:
    from controller.core.monitoring import Change, Monitoring

_EMAIL: Final = re.compile(r"[^\s@\"<>]{1,64}@[A-Za-z0-9.-]{1,255}")

Command = TypeVar("Command", bound=Callable[..., Any])


class Email(click.ParamType[str]):
    """An address that SNS can write to."""

    name = "address"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        if _EMAIL.fullmatch(value) is None:
            self.fail(f"{value!r} is no address like oncall@example.com", param, ctx)
        return str(value)


def _policy(command: Command) -> Command:
    """Add POLICY, --store and --json."""
    return options.store(
        click.argument("policy", type=click.Path(path_type=Path))(options.as_json(command))
    )


def _making(command: Command) -> Command:
    """Add --email and --emit: whom the alarms tell, and the same as a template."""
    command = click.option(
        "--emit",
        type=click.Choice(["cloudformation"]),
        help="Only print all of it as a template, for a stack of your own.",
    )(command)
    return click.option(
        "--email",
        "emails",
        type=Email(),
        multiple=True,
        metavar="ADDRESS",
        help="Whom the alarms write to, through an SNS topic; may be given more than once. SNS "
        "asks each address first.",
    )(command)


@click.group()
def monitoring() -> None:
    """Make a dashboard and alarms for a policy.

    And with --email a topic that the alarms tell. All of it follows from the policy and its newest
    rollout, is called rolloutctl-POLICY and tagged; nothing else is ever changed or removed.
    """


@monitoring.command()
@_policy
@_making
def plan(
    policy: Path, emails: tuple[str, ...], store_url: str | None, emit: str | None, as_json: bool
) -> int:
    """Show what `deploy` would create, change, leave and remove. Writes nothing.

    `!` is what somebody else made under a name of ours; nothing is deployed then.
    """
    wanted = _wanted(policy, emails, store_url)
    if emit:
        return _print_template(wanted)
    from controller.core.monitoring import changes
    from controller.render.monitoring import plan_data, plan_lines

    account = _account(wanted)
    planned = changes(wanted, account.look(wanted))
    if as_json:
        options.print_json("monitoring-plan", plan_data(wanted, planned))
    else:
        click.echo(page(plan_lines(wanted, planned)))
    return Exit.DONE


@monitoring.command()
@_policy
@_making
def deploy(
    policy: Path, emails: tuple[str, ...], store_url: str | None, emit: str | None, as_json: bool
) -> int:
    """Make what is missing, and change what differs.

    And remove what the policy asks for no longer. Safe to run again: what is as it should be is
    left alone. Run it again after the start, and whenever the graphs should show newer steps.
    """
    wanted = _wanted(policy, emails, store_url)
    if emit:
        return _print_template(wanted)
    from controller.core.monitoring import changes, refused

    account = _account(wanted)
    planned = changes(wanted, account.look(wanted))
    if foreign := list(refused(planned)):
        named = "; ".join(f"{one.kind} {one.name}: {one.why}" for one in foreign)
        raise UsageError(
            f"nothing was touched, for names are taken: {named}; remove or rename what is there, "
            "or rename the policy"
        )
    return _carry_out(account, wanted, planned, as_json, "monitoring-deploy")


@monitoring.command()
@_policy
@click.option("--yes", is_flag=True, help="Do not ask.")
def remove(policy: Path, store_url: str | None, yes: bool, as_json: bool) -> int:
    """Remove the dashboard, the alarms and the topic.

    What carries the tag of POLICY, and nothing else.
    """
    wanted = _wanted(policy, (), store_url)
    from controller.core.monitoring import Action, removals
    from controller.render.monitoring import change_line

    account = _account(wanted)
    planned = removals(wanted, account.look(wanted))
    going = [one for one in planned if one.action is Action.REMOVE]
    if going and not yes:
        click.echo(page(map(change_line, planned)), err=True)
        _ask(len(going))
    return _carry_out(account, wanted, planned, as_json, "monitoring-remove")


def _ask(number: int) -> None:
    if not sys.stdin.isatty():
        raise UsageError("nothing was removed: nobody can be asked here; say --yes")
    click.confirm(f"Remove these {number}?", abort=True, err=True)


def _carry_out(
    account: Any, wanted: "Monitoring", planned: Sequence["Change"], as_json: bool, kind: str
) -> Exit:
    """Do what is planned, and tell each part when it is done: an error may end it at any time."""
    from controller.render.monitoring import change_data, change_line, done_line

    warnings: list[str] = []
    for change in planned:
        warnings += account.carry_out(wanted, change)
        if not as_json:
            click.echo(printable(change_line(change)))
    notes = wanted.notes if kind == "monitoring-deploy" else ()
    for line in (*warnings, *notes):
        click.echo(printable(f"rolloutctl: note: {line}"), err=True)
    if as_json:
        done = [change_data(one) for one in planned]
        options.print_json(kind, {"policy": wanted.policy, "changes": done, "warnings": warnings})
    else:
        click.echo(done_line(planned))
    return Exit.DONE


def _wanted(policy: Path, emails: Sequence[str], store_url: str | None) -> "Monitoring":
    """Return what should watch the policy in the file; without a store, nothing is drawn of one."""
    from controller.core.monitoring import wanted
    from controller.loader import load
    from controller.monitoring import monitoring_of

    known = load(policy)
    try:
        with options.looking(store_url, may_be_missing=True) as (store, _):
            return monitoring_of(known, store, emails)
    except RolloutError as error:
        problem = f"nothing of a rollout is drawn: {error}"
        click.echo(printable(f"rolloutctl: note: {problem}"), err=True)
        return wanted(known, emails)


def _account(wanted: "Monitoring") -> Any:
    from controller.bootstrap.monitoring import account

    return account(wanted.policy)


def _print_template(wanted: "Monitoring") -> Exit:
    from controller.bootstrap.monitoring import template

    click.echo(template(wanted).rstrip("\n"))
    return Exit.DONE
