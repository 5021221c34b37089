"""The verb that shows where rollouts stand."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import click

from controller.bootstrap import app
from controller.cli import follow, options, report_files, streams
from controller.cli.follow import PollSchedule
from controller.cli.history import load_unverified, verified_history
from controller.cli.report_files import OutputFormat
from controller.core.rollout import Rollout
from controller.core.snapshot import SnapshotChangedError
from controller.engine import exit_status
from controller.errors import Exit, StoreError, UsageError
from controller.ports.store import Store


@click.command()
@click.argument("rollout", required=False, metavar="[ROLLOUT]")
@click.option("--all", "finished_too", is_flag=True, help="Show finished rollouts, too.")
@click.option(
    "--wait", is_flag=True, help="Wait until ROLLOUT pauses or ends; the exit status says which."
)
@click.option(
    "--watch", is_flag=True,
    help="Show ROLLOUT live until it has ended; in lines where that cannot be drawn.",
)  # fmt: skip
@follow.poll_options
@click.option(
    "--exit-code", is_flag=True,
    help="End with 3 while undecided, 4 when rolled back, 5 while that is not confirmed, 6 when "
    "another hand moved the weight.",
)  # fmt: skip
@options.store
@report_files.report_options
@options.as_json
def status(
    rollout: str | None,
    finished_too: bool,
    wait: bool,
    watch: bool,
    limit: timedelta,
    every: timedelta,
    exit_code: bool,
    store_url: str | None,
    markdown: bool,
    junit: Path | None,
    as_json: bool,
) -> int:
    """Show where rollouts stand, why, and what is next.

    ROLLOUT is an id, a name or a policy file; without it, every active rollout is shown, the most
    urgent first. --wait and --watch only look into the store: something else has to tick. They end
    as `run` does.
    """
    follows = wait or watch
    _check_options(rollout, finished_too, follows)
    form = OutputFormat(as_json, markdown, junit)
    form.check()
    if rollout is None and form.needs_history:
        raise UsageError("--markdown and --junit tell one rollout: say which")
    with options.store_session(store_url) as (store, now):
        if rollout is None:
            shown = _show_all(store, now, finished_too, as_json)
        elif follows:
            pace = PollSchedule(app.wall_clock(), every, now + limit)
            shown = [_follow(store, rollout, pace, wait, watch, form)]
        else:
            found, digest = load_unverified(store, options.rollout_id(store, rollout))
            _show(store, found, now, form, changed=digest is not None)
            if digest is not None:
                raise SnapshotChangedError(found, digest)
            shown = [found]
    if exit_code or follows:
        return exit_status.worst(map(exit_status.of_rollout, shown))
    return Exit.DONE


def _check_options(rollout: str | None, finished_too: bool, follows: bool) -> None:
    if not follows:
        follow.reject_poll_options("--wait or --watch")
    if rollout is None and follows:
        raise UsageError("--wait and --watch follow one rollout: say which")
    if rollout is not None and finished_too:
        raise UsageError("--all shows every rollout: leave ROLLOUT out")


def _show(
    store: Store, rollout: Rollout, now: datetime, form: OutputFormat, *, changed: bool = False
) -> None:
    """Show one rollout. changed: its policy is not the one of the start."""
    from controller.render.status import rollout_text

    entries = verified_history(store, rollout) if form.needs_history else ()
    if form.junit is not None:
        report_files.write_junit_file(form.junit, rollout, entries)
    if form.as_json:
        options.print_json("status", _data(rollout, changed=changed))
    elif form.markdown:
        from controller.render.markdown import rollout_markdown

        click.echo(rollout_markdown(rollout, entries, now))
    else:
        click.echo(rollout_text(rollout, now))


def _data(rollout: Rollout, *, changed: bool) -> dict[str, Any]:
    from controller.render.status import rollout_data

    return {**rollout_data(rollout), "policy_changed": changed}


def _show_all(store: Store, now: datetime, finished_too: bool, as_json: bool) -> list[Rollout]:
    """Show a page of one rollout, a line each of many. What cannot be read hides no other.

    Raises StoreError, when all others were shown.
    """
    from controller.render.status import overview_lines

    shown, damaged = _load_all(store, store.all() if finished_too else store.active(now))
    if as_json:
        changed = {one.rollout.id for one in damaged if isinstance(one, SnapshotChangedError)}
        rollouts = [_data(one, changed=one.id in changed) for one in shown]
        options.print_json("status", {"rollouts": rollouts})
    elif len(shown) == 1:
        _show(store, shown[0], now, OutputFormat())
    elif shown:
        click.echo("\n".join(map(options.fit_line, overview_lines(shown, now))))
    elif not damaged:
        click.echo("no rollout" if finished_too else "no active rollout")
    if damaged:
        *first, last = damaged
        for error in first:
            click.echo(f"rolloutctl: {error}", err=True)
        raise StoreError(str(last))
    return shown


def _load_all(store: Store, ids: Sequence[str]) -> tuple[list[Rollout], list[StoreError]]:
    shown: list[Rollout] = []
    damaged: list[StoreError] = []
    for one in ids:
        try:
            shown.append(store.load(one))
        except SnapshotChangedError as error:
            shown.append(error.rollout)
            damaged.append(error)
        except StoreError as error:
            damaged.append(error)
    return shown, damaged


def _follow(
    store: Store,
    reference: str,
    schedule: PollSchedule,
    wait: bool,
    watch: bool,
    form: OutputFormat,
) -> Rollout:
    """Show a rollout until it rests, or is over and quiet, or time is up; return it as it stood."""
    look = partial(store.load, options.rollout_id(store, reference))
    over = follow.is_at_rest if wait else _stop_watching
    with follow.rollout_display(schedule.clock, live=watch, off=form.is_document) as show:
        last = follow.follow(look, schedule, over, show)
    if form.is_document:
        _show(store, last, schedule.clock.now(), form)
    elif form.junit is not None:
        report_files.write_junit_file(form.junit, last, verified_history(store, last))
    return last


def _stop_watching(rollout: Rollout, now: datetime) -> bool:
    return follow.is_complete(rollout, now) or streams.output_lost()
