"""The verb `tick`."""

import re
from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING

import click

from controller.cli import options
from controller.core.policy.model import POLICY_NAME_PATTERN
from controller.engine import telemetry
from controller.engine.exit_status import DONE_WHEN_SCHEDULED
from controller.engine.tick import TickResult
from controller.errors import Exit, RolloutError, UsageError
from controller.process import logging
from controller.text import printable

if TYPE_CHECKING:
    from controller.bootstrap.app import App

log = logging.logger()


@click.command()
@click.argument("rollouts", nargs=-1, metavar="[ROLLOUT]...")
@click.option(
    "--policy",
    "policies",
    multiple=True,
    metavar="NAME",
    help="Only rollouts of this policy; may be given more than once, or as NAME,NAME.",
)
@click.option(
    "--scheduled",
    is_flag=True,
    help="For schedulers: end with 0 unless somebody should look (maps 75 to 0).",
)
@options.store
@options.dry_run
@options.as_json
def tick(
    rollouts: tuple[str, ...],
    policies: tuple[str, ...],
    scheduled: bool,
    store_url: str | None,
    dry_run: bool,
    as_json: bool,
) -> int:
    """Look, decide, act and record, once.

    Visits every active rollout, or those that are named, or with --policy those of some policies:
    a role that is bound to these needs no more. A policy without a rollout is no error. Without a
    store it ends with 2, on a schedule too: a mistyped path must not pass for a quiet day.
    """
    names = _policy_names(policies)
    if rollouts and names:
        raise UsageError("--policy visits whatever its policies have: leave ROLLOUT out")
    with options.app_session(store_url, dry_run=dry_run) as app:
        store, clock = app.runner.store, app.runner.clock
        start_time = clock.now()
        try:
            if rollouts:
                rollout_ids = [options.rollout_id(store, reference) for reference in rollouts]
                result = app.runner.tick(rollout_ids)
            else:
                result = app.runner.tick_active(names)
        except RolloutError as error:
            if error.exit_status is Exit.USAGE:
                raise
            log.error("tick_failed", problem=str(error))  # no tick_ended: no rollout was visited
            raise
        _log_tick_end(app, result, clock.now() - start_time)
    _print_tick(result, None if app.journal is None else app.journal.lines, as_json)
    return Exit.DONE if scheduled and result.status in DONE_WHEN_SCHEDULED else result.status


def _policy_names(policies: Sequence[str]) -> Sequence[str]:
    """Return the policy names given by --policy, as names or policy files, without duplicates."""
    references = [one.strip() for value in policies for one in value.split(",")]
    names = [options.policy_name(one) for one in references if one]
    for name in names:
        if re.fullmatch(POLICY_NAME_PATTERN, name) is None:
            raise UsageError(f"--policy is the name of a policy, not {name!r}")
    if policies and not names:
        raise UsageError("--policy names no policy")
    return tuple(dict.fromkeys(names))


def _log_tick_end(app: "App", result: TickResult, duration: timedelta) -> None:
    summary = telemetry.tick_summary(result, duration, app.clients.calls, app.metrics.lag)
    metrics = telemetry.embedded_metrics(summary, app.namespace, app.runner.clock.now())
    log.info("tick_ended", **summary, **metrics)


def _print_tick(result: TickResult, dry_run_lines: list[str] | None, as_json: bool) -> None:
    from controller.render.status import skip_data, skip_line, visit_data, visit_line

    if as_json:
        rollouts = [visit_data(visit) for visit in result.visits]
        rollouts += [skip_data(skip) for skip in result.skips]
        data: dict[str, object] = {"rollouts": rollouts}
        if dry_run_lines is not None:
            data["would"] = dry_run_lines
        options.print_json("tick", data)
        return
    for visit in result.visits:
        click.echo(printable(visit_line(visit)))
    for skip in result.skips:
        click.echo(printable(skip_line(skip)))
    if not (result.visits or result.skips):
        click.echo("no active rollout")
    if dry_run_lines is not None:
        options.print_dry_run(dry_run_lines)
