"""Verbs that move a rollout on: start it, tick it, run it to its end."""

from datetime import timedelta
from pathlib import Path

import click

from controller.cli import options
from controller.core.effects import Alert
from controller.core.rollout import Phase, Rollout
from controller.errors import Exit, UsageError
from controller.runner import Visit


@click.command()
@click.argument("policy", type=Path)
@click.option("--revision", help="What is rolled out; default: the function's CodeSha256.")
@click.option("--retry", is_flag=True, help="Start a revision again that was rolled back.")
@click.option("--reason", help="Why it is tried again; needed with --retry.")
@options.store
@options.dry_run
@options.as_json
def start(
    policy: Path,
    revision: str | None,
    retry: bool,
    reason: str | None,
    store_url: str | None,
    dry_run: bool,
    as_json: bool,
) -> int:
    """Start the rollout of POLICY and return at once; ticks take it from there."""
    from controller.loader import load
    from controller.render.status import rollout_data, rollout_text
    from controller.start import Request
    from controller.start import start as start_rollout

    request = Request(load(policy), revision, _retry_reason(retry, reason))
    with options.opened(store_url, dry_run=dry_run) as app:
        started = start_rollout(app.runner, request)
        for warning in started.warnings:
            click.echo(f"warning: {warning}", err=True)
        if as_json:
            data = {"created": started.created, **rollout_data(started.rollout)}
            if app.journal is not None:
                data["would"] = app.journal.lines
            options.print_json("start", data)
            return Exit.DONE
        if not started.created:
            click.echo(f"{started.rollout.id} is {started.rollout.phase} already; nothing changed")
        click.echo(rollout_text(started.rollout))
        if app.journal is not None:
            options.print_journal(app.journal.lines)
    return Exit.DONE


def _retry_reason(retry: bool, reason: str | None) -> str | None:
    if retry and not reason:
        raise UsageError("--retry needs --reason: it is written into the history")
    if reason and not retry:
        raise UsageError("--reason says why something is tried again; give it with --retry")
    return reason


@click.command()
@click.argument("rollouts", nargs=-1, metavar="[ROLLOUT]...")
@click.option(
    "--scheduled",
    is_flag=True,
    help="For schedulers: end with 0 unless somebody should look (maps 3, 4 and 75 to 0).",
)
@options.store
@options.dry_run
@options.as_json
def tick(
    rollouts: tuple[str, ...],
    scheduled: bool,
    store_url: str | None,
    dry_run: bool,
    as_json: bool,
) -> int:
    """Visit every active rollout once, or those that are named: look, decide, act, record."""
    from controller.render.status import rollout_data, rollout_line

    with options.opened(store_url, dry_run=dry_run) as app:
        store = app.runner.store
        if rollouts:
            ids = [options.rollout_id(store, given) for given in rollouts]
        else:
            ids = list(store.active(app.runner.clock.now()))
        visits = app.runner.tick(ids)
        journal = app.journal
    status = _tick_status(visits)
    if scheduled and status in (Exit.UNDECIDED, Exit.ROLLED_BACK, Exit.BUSY):
        status = Exit.DONE
    if as_json:
        data: dict[str, object] = {
            "rollouts": [
                {
                    **rollout_data(visit.rollout),
                    "busy": visit.busy,
                    "alerts": [str(alert) for alert in visit.alerts],
                }
                for visit in visits
            ]
        }
        if journal is not None:
            data["would"] = journal.lines
        options.print_json("tick", data)
        return status
    for visit in visits:
        lost = "another run was faster; nothing changed by this one: " if visit.busy else ""
        click.echo(f"{lost}{rollout_line(visit.rollout)}")
    if not visits:
        click.echo("no active rollout")
    if journal is not None:
        options.print_journal(journal.lines)
    return status


def _tick_status(visits: list[Visit]) -> Exit:
    """Return the worst of what the visits ask for: 5, then 6, then 75, else 0."""
    alerts = {alert for visit in visits for alert in visit.alerts}
    if Alert.ROLLBACK_UNCONFIRMED in alerts:
        return Exit.UNCONFIRMED
    if Alert.DRIFT in alerts:
        return Exit.DRIFT
    return Exit.BUSY if any(visit.busy for visit in visits) else Exit.DONE


@click.command()
@click.argument("policy", type=Path)
@click.option("--revision", help="What is rolled out; default: the function's CodeSha256.")
@click.option(
    "--every", type=options.Duration(), default="1m", show_default=True, help="Time between ticks."
)
@click.option(
    "--for", "limit", type=options.Duration(), default="48h", show_default=True,
    help="Stop watching after this long; the rollout itself goes on with other ticks.",
)  # fmt: skip
@options.store
@options.dry_run
@options.as_json
def run(
    policy: Path,
    revision: str | None,
    every: timedelta,
    limit: timedelta,
    store_url: str | None,
    dry_run: bool,
    as_json: bool,
) -> int:
    """Start POLICY if needed, then tick until it ends, pauses, or --for is over."""
    from controller.loader import load
    from controller.render.status import rollout_data, rollout_line
    from controller.start import Request
    from controller.start import start as start_rollout
    from controller.walk import resting, walk

    with options.opened(store_url, dry_run=dry_run) as app:
        runner = app.runner
        until = runner.clock.now() + limit
        rollout = start_rollout(runner, Request(load(policy), revision)).rollout
        shown = ""
        alerts: set[Alert] = set()
        for visit in walk(runner, rollout, every=every, until=until, done=resting):
            rollout = visit.rollout
            alerts.update(visit.alerts)
            line = rollout_line(rollout)
            if not as_json and line != shown:
                click.echo(line)
                shown = line
    if as_json:
        options.print_json("run", rollout_data(rollout))
    elif not shown:
        click.echo(rollout_line(rollout))
    return _run_status(rollout, alerts)


def _run_status(rollout: Rollout, alerts: set[Alert]) -> Exit:
    match rollout.phase:
        case Phase.SUCCEEDED:
            return Exit.DONE
        case Phase.ROLLED_BACK:
            return Exit.ROLLED_BACK
        case Phase.ROLLING_BACK:
            return Exit.UNCONFIRMED
        case Phase.PROGRESSING | Phase.PAUSED:
            return Exit.DRIFT if Alert.DRIFT in alerts else Exit.UNDECIDED
