"""The verb `start`."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from controller.cli import options
from controller.errors import Exit
from controller.text import printable

if TYPE_CHECKING:
    from controller.operations.start.start import StartResult


@click.command()
@click.argument("policy", type=click.Path(path_type=Path))
@click.option(
    "--revision",
    type=options.ExactText(),
    help="What is rolled out; default: the function's CodeSha256.",
)
@click.option("--adopt", is_flag=True, help="Begin at the step whose weight is live; move nothing.")
@options.by
@options.store
@options.dry_run
@options.as_json
def start(
    policy: Path,
    revision: str | None,
    adopt: bool,
    by: str | None,
    store_url: str | None,
    dry_run: bool,
    as_json: bool,
) -> int:
    """Start a rollout and return at once.

    Everything is checked first; then the first weight is set, or with --adopt the live one is
    taken over. Ticks take it from there.
    """
    from controller.operations.start.start import StartRequest
    from controller.operations.start.start import start as start_rollout
    from controller.policy_file.loader import load

    request = StartRequest(load(policy), revision, adopt=adopt)
    with options.app_session(
        store_url, dry_run=dry_run, create=True, by=by, ask_caller=True
    ) as app:
        started = start_rollout(app.runner, request)
        dry_run_lines = None if app.journal is None else app.journal.lines
    print_start("start", started, dry_run_lines, as_json=as_json)
    return Exit.DONE


def print_start(
    verb: str, started: "StartResult", dry_run_lines: list[str] | None, *, as_json: bool
) -> None:
    """Print the started rollout, and in a dry run the writes that were not made."""
    from controller.render.status import rollout_data, rollout_text

    rollout = started.rollout
    if as_json:
        warnings = list(started.warnings)
        data = {**rollout_data(rollout), "new": started.created, "warnings": warnings}
        if dry_run_lines is not None:
            data["would"] = dry_run_lines
        options.print_json(verb, data)
        return
    for warning in started.warnings:
        click.echo(printable(f"warning: {warning}"))
    if not started.created:
        click.echo(f"{rollout.id} is {rollout.phase} already; nothing changed")
    click.echo(rollout_text(rollout))
    if dry_run_lines is not None:
        options.print_dry_run(dry_run_lines)
