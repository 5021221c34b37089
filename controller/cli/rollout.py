"""Verbs that move a rollout on: start it, tick it, run it to its end."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import click

from controller.carrying import Visit
from controller.cli import options
from controller.core.effects import Alert
from controller.core.rollout import Phase, Rollout
from controller.errors import Exit, UsageError
from controller.runner import Runner


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
    """Start a rollout and return at once.

    Everything is checked first; then the first weight is set. Ticks take it from there.
    """
    from controller.loader import load
    from controller.render.status import rollout_data, rollout_text
    from controller.start import Request
    from controller.start import start as start_rollout

    request = Request(load(policy), revision, _retry_reason(retry, reason))
    with options.opened(store_url, dry_run=dry_run, create=True) as app:
        started = start_rollout(app.runner, request)
        if as_json:
            data = {
                **rollout_data(started.rollout),
                "new": started.created,
                "warnings": list(started.warnings),
            }
            if app.journal is not None:
                data["would"] = app.journal.lines
            options.print_json("start", data)
            return Exit.DONE
        for warning in started.warnings:
            click.echo(f"warning: {warning}")
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
    """Look, decide, act and record, once.

    Visits every active rollout, or those that are named. Without a store it ends with 2, on a
    schedule too: a mistyped path must not pass for a quiet day.
    """
    with options.opened(store_url, dry_run=dry_run) as app:
        store = app.runner.store
        if rollouts:
            ids = [options.rollout_id(store, given) for given in rollouts]
        else:
            ids = list(store.active(app.runner.clock.now()))
        visits = app.runner.tick(ids)
    _print_visits(visits, None if app.journal is None else app.journal.lines, as_json)
    status = _tick_status(visits)
    return Exit.DONE if scheduled and status in _FINE_ON_A_SCHEDULE else status


_FINE_ON_A_SCHEDULE = frozenset({Exit.UNDECIDED, Exit.ROLLED_BACK, Exit.BUSY})


def _print_visits(visits: Sequence[Visit], would: list[str] | None, as_json: bool) -> None:
    from controller.render.status import visit_data, visit_line

    if as_json:
        data: dict[str, object] = {"rollouts": [visit_data(visit) for visit in visits]}
        if would is not None:
            data["would"] = would
        options.print_json("tick", data)
        return
    for visit in visits:
        click.echo(visit_line(visit))
    if not visits:
        click.echo("no active rollout")
    if would is not None:
        options.print_journal(would)


def _tick_status(visits: Sequence[Visit]) -> Exit:
    """Return the worst of what the visits ask for: 5, 1, 6, 75, else 0."""
    alerts = {alert for visit in visits for alert in visit.alerts}
    if Alert.ROLLBACK_UNCONFIRMED in alerts:
        return Exit.UNCONFIRMED
    if any(visit.problem for visit in visits):
        return Exit.INTERNAL
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
    """Start if needed, then tick until it ends or pauses.

    Or until --for is over. Ends with 6 when another hand moved the weight while it watched, and it
    neither succeeded nor was rolled back. A dry run shows what would be done first, and ends there.
    """
    from controller.loader import load
    from controller.render.status import rollout_data
    from controller.start import Request
    from controller.start import start as start_rollout

    show = _Shown(quiet=as_json)
    with options.opened(store_url, dry_run=dry_run, create=True) as app:
        until = app.runner.clock.now() + limit
        started = start_rollout(app.runner, Request(load(policy), revision))
        if not dry_run:
            last = _watch(app.runner, started.rollout, every, until, show)
        elif started.created:
            last = Visit(started.rollout)
        else:
            (last,) = app.runner.tick([started.rollout.id])
        show(last.rollout)
    would = {} if app.journal is None else {"would": app.journal.lines}
    if as_json:
        options.print_json("run", {**rollout_data(last.rollout), **would})
    elif app.journal is not None:
        options.print_journal(app.journal.lines)
    return Exit.DONE if dry_run else _run_status(last)


def _watch(
    runner: Runner,
    rollout: Rollout,
    every: timedelta,
    until: datetime,
    show: Callable[[Rollout], None],
) -> Visit:
    """Tick `rollout` until it rests or time is up; return the last visit, with all alerts."""
    from controller.walk import resting, walk

    show(rollout)
    last, alerts = Visit(rollout), set[Alert]()
    for last in walk(runner, rollout, every=every, until=until, done=resting):
        alerts.update(last.alerts)
        show(last.rollout)
    return replace(last, alerts=tuple(alerts))


class _Shown:
    """Prints where a rollout stands, whenever that reads differently from the last time."""

    def __init__(self, *, quiet: bool) -> None:
        self._quiet, self._last = quiet, ""

    def __call__(self, rollout: Rollout) -> None:
        from controller.render.status import rollout_line

        line = rollout_line(rollout)
        if not self._quiet and line != self._last:
            click.echo(line)
        self._last = line


def _run_status(last: Visit) -> Exit:
    match last.rollout.phase:
        case Phase.ROLLING_BACK:
            return Exit.UNCONFIRMED
        case _ if last.problem:
            return Exit.INTERNAL
        case Phase.SUCCEEDED:
            return Exit.DONE
        case Phase.ROLLED_BACK:
            return Exit.ROLLED_BACK
        case Phase.PROGRESSING | Phase.PAUSED:
            return Exit.DRIFT if Alert.DRIFT in last.alerts else Exit.UNDECIDED
