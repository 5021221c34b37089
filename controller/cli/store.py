"""The verbs `store init` and `store copy`; `store check` is in a module of its own."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from controller.bootstrap import app
from controller.bootstrap.copy_store import migration
from controller.cli import options, streams
from controller.cli.call import Call, policy_name
from controller.cli.result import Result
from controller.cli.store_check import check
from controller.core.units import count_text
from controller.errors import Exit
from controller.operations.copy_store import CopyOutcome, MigrationItem
from controller.process import settings
from controller.process.settings import DynamoDbLocation
from controller.render.page import lines_page

if TYPE_CHECKING:
    from controller.render.outputs.account import CopiedRollout, StoreCopyData, StoreInitData


@click.group()
def store() -> None:
    """Make a store, check it, or copy finished rollouts to another."""


store.add_command(check)


@store.command()
@options.SHARED["store"]
@click.option(
    "--template", is_flag=True, help="Only print the CloudFormation of the table; touch nothing."
)
@options.call_options("json")
def init(call: Call, template: bool) -> Result:
    """Make the store; one that is there already stays as it is.

    A SQLite store is a file, a DynamoDB store is a table. The table's CloudFormation is printed
    too, for those who would rather make it with a stack of their own.
    """
    call.configure_logs()
    location = call.read_settings().store
    created = None if template else app.make_store(location)
    is_table = isinstance(location, DynamoDbLocation)
    body = app.template(location) if is_table or template else None
    lines = []
    if created is not None:
        message = f"store {location.url} {'is created' if created else 'exists already'}"
        # A comment line, so that stdout stays a valid template.
        lines.append(f"# {message}" if is_table else message)
    if body is not None:
        lines.append(body.rstrip("\n"))

    def data() -> "StoreInitData":
        return {"store": location.url, "made": created, "template": body}

    return Result(
        "store-init",
        data=data,
        text=lambda: "\n".join(lines),
    )


@store.command()
@click.argument("source_url", metavar="FROM")
@click.argument("destination_url", metavar="TO")
@click.argument("rollouts", nargs=-1, metavar="[ROLLOUT]...")
@options.call_options("dry-run", "json")
def copy(call: Call, source_url: str, destination_url: str, rollouts: tuple[str, ...]) -> Result:
    """Copy finished rollouts with their history from the store FROM to the store TO.

    All of them, or those that are named; all attempts of a name go together. Nothing is copied
    while one of them is not finished, or guards 0 % after its rollback. FROM stays as it is. What
    was interrupted is finished by the same command.
    """
    call.configure_logs(dry_run=call.dry_run)
    source, destination = map(settings.parse_store_url, (source_url, destination_url))
    names = [policy_name(reference).partition("#")[0] for reference in rollouts]
    finished: list[MigrationItem] = []
    with migration(source, destination, dry_run=call.dry_run) as migrator:
        planned = migrator.plan(names)
        if copied := _copied(planned):
            count = count_text(len(copied), "finished rollout")
            streams.note(f"copying {count} to {destination.url}; {source.url} stays as it is")
        for item in [] if call.dry_run else migrator.run(planned):
            finished.append(item)
            if not call.as_json:
                streams.print_page(lines_page([_item_line(item)]))
    items = planned if call.dry_run else finished
    damaged = [one.rollout_id for one in planned if one.outcome is CopyOutcome.DAMAGED]
    problem = f"left in {source.url}: {', '.join(damaged)}; a record cannot be read"
    copied = _copied(items)
    would = [f"copy {one.rollout_id} to {one.url}" for one in copied]

    def data() -> "StoreCopyData":
        return {"to": destination.url, "rollouts": list(map(_item_data, items))}

    return Result(
        "store-copy",
        data=data,
        page=lambda: () if call.dry_run else lines_page(_summary(items, destination.url)),
        would=would if call.dry_run else None,
        notes=[problem] if damaged else [],
        status=Exit.INTERNAL if damaged else Exit.DONE,
    )


def _copied(items: Sequence[MigrationItem]) -> list[MigrationItem]:
    return [one for one in items if one.outcome is CopyOutcome.COPIED]


def _summary(items: Sequence[MigrationItem], url: str) -> list[str]:
    if _copied(items):
        return [f"now point every run at it, the schedule too: ROLLOUTCTL_STORE={url}"]
    return [] if items else ["no rollout to copy"]


def _item_data(item: MigrationItem) -> "CopiedRollout":
    return {
        "id": item.rollout_id,
        "outcome": str(item.outcome),
        "store": item.url,
        "why": item.why,
    }


def _item_line(item: MigrationItem) -> str:
    match item.outcome:
        case CopyOutcome.COPIED:
            return f"{item.rollout_id}: copied to {item.url}"
        case CopyOutcome.ALREADY_THERE:
            return f"{item.rollout_id}: was in {item.url} already"
        case CopyOutcome.DAMAGED:
            return f"{item.rollout_id}: left in {item.url}: {item.why}"
