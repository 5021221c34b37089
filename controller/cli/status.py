"""The verb `status`: shows the state of rollouts, the reason, and the next action."""

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
from controller.core.policy_snapshot import SnapshotChangedError
from controller.core.rollout import Rollout
from controller.engine import exit_status
from controller.errors import Exit, StoreError, UsageError
from controller.ports.store import Store


@click.command()
@click.argument("rollout", required=False, metavar="[ROLLOUT]")
@click.option("--all", "include_finished", is_flag=True, help="Show finished rollouts, too.")
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
    include_finished: bool,
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
    _check_options(rollout, include_finished, follows)
    form = OutputFormat(as_json, markdown, junit)
    form.check()
    if rollout is None and form.needs_history:
        raise UsageError("--markdown and --junit tell one rollout: say which")
    with options.store_session(store_url) as (store, now):
        if rollout is None:
            rollouts = _show_all(store, now, include_finished, as_json)
        elif follows:
            schedule = PollSchedule(app.wall_clock(), every, now + limit)
            rollouts = [_follow(store, rollout, schedule, wait, watch, form)]
        else:
            stored, digest = load_unverified(store, options.rollout_id(store, rollout))
            _show(store, stored, now, form, changed=digest is not None)
            if digest is not None:
                raise SnapshotChangedError(stored, digest)
            rollouts = [stored]
    if exit_code or follows:
        return exit_status.worst(map(exit_status.of_rollout, rollouts))
    return Exit.DONE


def _check_options(rollout: str | None, include_finished: bool, follows: bool) -> None:
    if not follows:
        follow.reject_poll_options("--wait or --watch")
    if rollout is None and follows:
        raise UsageError("--wait and --watch follow one rollout: say which")
    if rollout is not None and include_finished:
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


def _show_all(store: Store, now: datetime, include_finished: bool, as_json: bool) -> list[Rollout]:
    """Show one rollout as a page, several as a line each; an unreadable one hides no other.

    Raises StoreError after the readable ones were shown, when any could not be read.
    """
    from controller.render.status import overview_lines

    readable, damaged = _load_all(store, store.all() if include_finished else store.active(now))
    if as_json:
        changed = {one.rollout.id for one in damaged if isinstance(one, SnapshotChangedError)}
        rollouts = [_data(one, changed=one.id in changed) for one in readable]
        options.print_json("status", {"rollouts": rollouts})
    elif len(readable) == 1:
        _show(store, readable[0], now, OutputFormat())
    elif readable:
        click.echo("\n".join(map(options.fit_line, overview_lines(readable, now))))
    elif not damaged:
        click.echo("no rollout" if include_finished else "no active rollout")
    if damaged:
        *first, last = damaged
        for error in first:
            click.echo(f"rolloutctl: {error}", err=True)
        raise StoreError(str(last))
    return readable


def _load_all(store: Store, ids: Sequence[str]) -> tuple[list[Rollout], list[StoreError]]:
    readable: list[Rollout] = []
    damaged: list[StoreError] = []
    for rollout_id in ids:
        try:
            readable.append(store.load(rollout_id))
        except SnapshotChangedError as error:
            readable.append(error.rollout)
            damaged.append(error)
        except StoreError as error:
            damaged.append(error)
    return readable, damaged


def _follow(
    store: Store,
    reference: str,
    schedule: PollSchedule,
    wait: bool,
    watch: bool,
    form: OutputFormat,
) -> Rollout:
    """Show a rollout until it is at rest (`wait`) or complete, or time is up; return its state."""
    fetch = partial(store.load, options.rollout_id(store, reference))
    is_done = follow.is_at_rest if wait else _stop_watching
    with follow.rollout_display(schedule.clock, live=watch, off=form.is_document) as show:
        last = follow.follow(fetch, schedule, is_done, show)
    if form.is_document:
        _show(store, last, schedule.clock.now(), form)
    elif form.junit is not None:
        report_files.write_junit_file(form.junit, last, verified_history(store, last))
    return last


def _stop_watching(rollout: Rollout, now: datetime) -> bool:
    return follow.is_complete(rollout, now) or streams.output_lost()
