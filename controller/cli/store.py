"""The verbs `store init` and `store copy`."""

import os
from collections.abc import Sequence

import click

from controller.cli import options
from controller.errors import Exit, StoreError
from controller.operations.copy_store import CopyOutcome, MigrationItem
from controller.process import logging, settings
from controller.process.settings import DynamoDbLocation
from controller.text import printable


@click.group()
def store() -> None:
    """Make a store, or copy finished rollouts to another."""


@store.command()
@options.store
@click.option(
    "--template", is_flag=True, help="Only print the CloudFormation of the table; touch nothing."
)
@options.as_json
def init(store_url: str | None, template: bool, as_json: bool) -> int:
    """Make the store; one that is there already stays as it is.

    A SQLite store is a file, a DynamoDB store is a table. The table's CloudFormation is printed
    too, for those who would rather make it with a stack of their own.
    """
    from controller.bootstrap import app

    logging.configure()
    location = settings.read(os.environ, store_url).store
    created = None if template else app.make_store(location)
    is_table = isinstance(location, DynamoDbLocation)
    text = app.template(location) if is_table or template else None
    if as_json:
        options.print_json("store-init", {"store": location.url, "made": created, "template": text})
        return Exit.DONE
    if created is not None:
        message = f"{location.url}: {'made' if created else 'was there already'}"
        # A comment line, so that stdout stays a valid template.
        click.echo(f"# {message}" if is_table else message)
    if text is not None:
        click.echo(text.rstrip("\n"))
    return Exit.DONE


@store.command()
@click.argument("source_url", metavar="FROM")
@click.argument("destination_url", metavar="TO")
@click.argument("rollouts", nargs=-1, metavar="[ROLLOUT]...")
@options.dry_run
@options.as_json
def copy(
    source_url: str, destination_url: str, rollouts: tuple[str, ...], dry_run: bool, as_json: bool
) -> int:
    """Copy finished rollouts with their history from the store FROM to the store TO.

    All of them, or those that are named; all attempts of a name go together. Nothing is copied
    while one of them is not finished, or guards 0 % after its rollback. FROM stays as it is. What
    was interrupted is finished by the same command.
    """
    from controller.bootstrap.copy_store import migration

    logging.configure(dry_run=dry_run)
    source, destination = map(settings.parse_store_url, (source_url, destination_url))
    names = [options.policy_name(reference).partition("#")[0] for reference in rollouts]
    finished: list[MigrationItem] = []
    with migration(source, destination, dry_run=dry_run) as migrator:
        planned = migrator.plan(names)
        for item in [] if dry_run else migrator.run(planned):
            finished.append(item)
            if not as_json:
                click.echo(printable(_item_line(item)))
    _print_summary(planned if dry_run else finished, destination.url, dry_run, as_json)
    damaged = [one.rollout_id for one in planned if one.outcome is CopyOutcome.DAMAGED]
    if damaged:
        raise StoreError(f"left in {source.url}: {', '.join(damaged)}; a record cannot be read")
    return Exit.DONE


def _print_summary(items: Sequence[MigrationItem], url: str, dry_run: bool, as_json: bool) -> None:
    copied = [one for one in items if one.outcome is CopyOutcome.COPIED]
    dry_run_lines = [f"copy {one.rollout_id} to {one.url}" for one in copied]
    if as_json:
        rollouts = [
            {
                "id": one.rollout_id,
                "outcome": str(one.outcome),
                "store": one.url,
                **({"why": one.why} if one.why else {}),
            }
            for one in items
        ]
        data = {"to": url, "rollouts": rollouts}
        options.print_json("store-copy", {**data, "would": dry_run_lines} if dry_run else data)
    elif dry_run:
        options.print_dry_run(dry_run_lines)
    elif copied:
        click.echo(f"now let every run use it, the schedule's too: ROLLOUTCTL_STORE={url}")
    elif not items:
        click.echo("no rollout to copy")


def _item_line(item: MigrationItem) -> str:
    match item.outcome:
        case CopyOutcome.COPIED:
            return f"{item.rollout_id}: copied to {item.url}"
        case CopyOutcome.ALREADY_THERE:
            return f"{item.rollout_id}: was in {item.url} already"
        case CopyOutcome.DAMAGED:
            return f"{item.rollout_id}: left in {item.url}: {item.why}"
