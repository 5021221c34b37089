"""The verb `run`: starts a rollout if needed, and ticks it until it ends or pauses."""

from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import click

from controller.cli import follow, options
from controller.core.decision import Alert
from controller.core.rollout import Rollout
from controller.engine import exit_status
from controller.engine.execute import Visit
from controller.engine.tick import Runner
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
@click.option(
    "--adopt", is_flag=True, help="Begin at the step whose weight is live already; move nothing."
)
@click.option(
    "--every", type=options.Duration(), default="1m", show_default=True, help="Time between ticks."
)
@click.option(
    "--for", "limit", type=options.Duration(), default="48h", show_default=True,
    help="Stop after this long; the rollout itself goes on with other ticks.",
)  # fmt: skip
@options.by
@options.store
@options.dry_run
@options.as_json
def run(
    policy: Path,
    revision: str | None,
    adopt: bool,
    every: timedelta,
    limit: timedelta,
    by: str | None,
    store_url: str | None,
    dry_run: bool,
    as_json: bool,
) -> int:
    """Start if needed, then tick until it ends or pauses.

    Or until --for is over; the last tick is then. On a terminal with rich, the view is live. Ends
    with 6 when another hand moved the weight while it watched, and it neither succeeded nor was
    rolled back. A dry run shows what would be done first, and ends there.
    """
    from controller.operations.start.start import StartRequest, start
    from controller.policy_file.loader import load
    from controller.render.status import rollout_data

    request = StartRequest(load(policy), revision, adopt=adopt)
    with options.app_session(
        store_url, dry_run=dry_run, create=True, by=by, ask_caller=True
    ) as app:
        until = app.runner.clock.now() + limit
        started = start(app.runner, request)
        if not as_json:
            for warning in started.warnings:
                click.echo(printable(f"warning: {warning}"))
        with follow.rollout_display(app.runner.clock, live=not dry_run, off=as_json) as show:
            if dry_run:
                last = _first_visit(app.runner, started)
            else:
                last = _tick_to_end(app.runner, started.rollout, every, until, show)
            show(last.rollout)
    if as_json:
        data = {**rollout_data(last.rollout), "warnings": list(started.warnings)}
        if app.journal is not None:
            data["would"] = app.journal.lines
        options.print_json("run", data)
    elif app.journal is not None:
        options.print_dry_run(app.journal.lines)
    return Exit.DONE if dry_run else exit_status.of_run(last)


def _first_visit(runner: Runner, started: "StartResult") -> Visit:
    """Return the first visit of a run: the start, or a tick of the rollout that is active."""
    if started.created:
        return Visit(started.rollout)
    return runner.visit(started.rollout.id)


def _tick_to_end(
    runner: Runner, rollout: Rollout, every: timedelta, until: datetime, show: follow.Show
) -> Visit:
    """Tick `rollout` until it is idle or time is up; return the last visit, with all alerts."""
    from controller.engine.loop import is_idle, run_ticks

    show(rollout)
    last, alerts = Visit(rollout), set[Alert]()
    for last in run_ticks(runner, rollout, every=every, until=until, done=is_idle):
        alerts.update(last.alerts)
        show(last.rollout)
    return replace(last, alerts=tuple(alerts))
