"""The verbs of the group `store`, but `store copy`'s work: each is a page and a document."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from controller.bootstrap.account import real_account
from controller.bootstrap.app import open_store
from controller.cli import options, streams
from controller.cli.call import CommandContext, policy_name
from controller.cli.result import Result
from controller.core import stored_formats
from controller.core.units import count_text
from controller.errors import Exit, UsageError
from controller.immutable import Immutable
from controller.policy_file.rules import load_rules, stored_rules
from controller.ports.json_view import Count
from controller.process import settings
from controller.process.settings import DynamoDbLocation
from controller.render.page import lines_page
from controller.safe_text import printable_block
from controller.tools.store.check import RecordProblem, StoreCheck
from controller.tools.store.compose import make_store, migration
from controller.tools.store.compose import template as template_of
from controller.tools.store.copy import CopiedRollout, CopyOutcome, StoreCopy
from controller.tools.store.recipients_file import load_recipients, recipient_lines
from controller.tools.store.upgrade import StoreUpgrade, UpgradedRollout, UpgradeOutcome


class CheckedStore(Immutable):
    """What is wrong with the records of a store."""

    store: str
    """URL of the store."""
    checked: Count
    """How many records were read."""
    problems: list[RecordProblem]
    """Each problem; empty: nothing is wrong."""


@click.command()
@options.call_options("store", "json")
def check(call: CommandContext) -> Result:
    """Read every record of the store, and name what is wrong with it.

    That includes records that have ended, and active ones that no tick visits. Nothing is written.
    It ends with 1 when something is wrong.
    """
    checked, problems = 0, list[RecordProblem]()
    with call.store_session() as opened:
        for record in StoreCheck(opened, real_account().clock).run():
            checked += 1
            problems += record.problems
            if record.problems and not call.as_json:
                lines = [f"{problem.id}: {problem.text}" for problem in record.problems]
                streams.print_page(lines_page(lines))
    found = count_text(len(problems), "problem") if problems else "nothing is wrong"
    url = call.read_settings().store.url
    return Result(
        "store-check",
        data=lambda: CheckedStore(url, checked, problems),
        page=lambda: lines_page([f"{count_text(checked, 'record')} checked: {found}"]),
        status=Exit.INTERNAL if problems else Exit.DONE,
    )


class UpgradedStore(Immutable):
    """A store in the newest format, and the rollouts in it that ticks visit."""

    store: str
    """URL of the store."""
    format: Count
    """The format of new rollouts; in a dry run, the one that they would get."""
    rollouts: list[UpgradedRollout]
    """Each rollout that ticks visit."""


@click.command()
@options.call_options("store", "dry-run", "json")
def upgrade(call: CommandContext) -> Result:
    """Store rollouts in the newest format, active ones included.

    Older versions of rolloutctl refuse them from then on: install this version everywhere first.
    Until then, all versions use the format that the older ones read.
    """
    url, newest = call.read_settings().store.url, stored_formats.NEWEST
    call.configure_logs(dry_run=call.dry_run)
    with open_store(call.read_settings(), writes=not call.dry_run) as opened:
        upgrader = StoreUpgrade(opened, real_account().clock)
        is_due, items = upgrader.is_due(), upgrader.plan()
        adds = ", ".join(stored_formats.fields_since(newest))
        would = [f"store new rollouts in format {newest}, which adds {adds}"] if is_due else []
        would += [f"store {one.id} in format {newest}" for one in items if _is_upgraded(one)]
        if would and not call.dry_run:
            items = list(upgrader.run(items))
    left = [f"{one.id}: left as it is: {one.why}" for one in items if one.why]
    lines = [f"{one.id}: format {newest}" for one in items if _is_upgraded(one)]
    done = f"new rollouts of {url} get format {newest}"
    lines.append(f"{done}; older versions refuse it" if would else f"{done} already")
    return Result(
        "store-upgrade",
        data=lambda: UpgradedStore(url, newest, items),
        page=lambda: () if call.dry_run else lines_page(lines),
        would=would if call.dry_run else None,
        notes=left,
        status=Exit.INTERNAL if left else Exit.DONE,
    )


def _is_upgraded(item: UpgradedRollout) -> bool:
    return item.outcome is UpgradeOutcome.UPGRADED


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
    body = template_of(location) if is_table or template else None
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


@store.command()
@click.argument("source_url", metavar="FROM")
@click.argument("destination_url", metavar="TO")
@click.argument("rollouts", nargs=-1, metavar="[ROLLOUT]...")
@options.call_options("dry-run", "json")
def copy(
    call: CommandContext, source_url: str, destination_url: str, rollouts: tuple[str, ...]
) -> Result:
    """Copy finished rollouts with their history from the store FROM to the store TO.

    All of them, or those that are named; all attempts of a name go together. Nothing is copied
    while one of them is not finished, or guards 0% after its rollback. FROM stays as it is. What
    was interrupted is finished by the same command.
    """
    call.configure_logs(dry_run=call.dry_run)
    source, destination = map(settings.parse_store_url, (source_url, destination_url))
    names = [policy_name(reference).partition("#")[0] for reference in rollouts]
    finished: list[CopiedRollout] = []
    with migration(source, destination, dry_run=call.dry_run) as migrator:
        left = migrator.left_settings()
        planned = migrator.plan(names)
        if copied := _copied(planned):
            count = count_text(len(copied), "finished rollout")
            streams.note(f"copying {count} to {destination.url}; {source.url} stays as it is")
        for item in [] if call.dry_run else migrator.run(planned):
            finished.append(item)
            if not call.as_json:
                streams.print_page(lines_page([_item_line(item)]))
    items = planned if call.dry_run else finished
    damaged = [one.id for one in planned if one.outcome is CopyOutcome.DAMAGED]
    notes = list[str]()
    if damaged:
        notes.append(f"left in {source.url}: {', '.join(damaged)}; a record cannot be read")
    if "rules" in left:
        notes.append(
            f"note: {destination.url} has no rules, so every valid policy may start there; set "
            f"those of {source.url} there: rolloutctl store rules FILE"
        )
    if "recipients" in left:
        notes.append(
            f"note: {destination.url} has no list of recipients, so its policies may use any "
            f"resource; set that of {source.url} there: rolloutctl store recipients --set FILE"
        )
    copied = _copied(items)
    would = [f"copy {one.id} to {one.store}" for one in copied]
    summary = [] if items else ["no rollout to copy"]
    if copied:
        url = destination.url
        summary = [f"now point every run at it, the schedule too: ROLLOUTCTL_STORE={url}"]
    return Result(
        "store-copy",
        data=lambda: StoreCopy(destination.url, items),
        page=lambda: () if call.dry_run else lines_page(summary),
        would=would if call.dry_run else None,
        notes=notes,
        status=Exit.INTERNAL if damaged else Exit.DONE,
    )


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


def _copied(items: Sequence[CopiedRollout]) -> list[CopiedRollout]:
    return [item for item in items if item.outcome is CopyOutcome.COPIED]


def _item_line(item: CopiedRollout) -> str:
    match item.outcome:
        case CopyOutcome.COPIED:
            return f"{item.id}: copied to {item.store}"
        case CopyOutcome.ALREADY_THERE:
            return f"{item.id}: was in {item.store} already"
        case CopyOutcome.DAMAGED:
            return f"{item.id}: left in {item.store}: {item.why}"
