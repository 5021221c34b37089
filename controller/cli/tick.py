"""The verb `tick`."""

import re
from collections.abc import Sequence

import click

from controller.bootstrap.app import App
from controller.cli import options
from controller.cli.call import CommandContext, policy_name
from controller.cli.result import Result
from controller.core.policy.model import POLICY_NAME_PATTERN
from controller.engine import telemetry
from controller.engine.exit_status import DONE_WHEN_SCHEDULED
from controller.engine.outcomes import TickResult
from controller.errors import Exit, RolloutError, UsageError
from controller.immutable import Immutable
from controller.ports.json_view import Count
from controller.process import logging, settings
from controller.render.page import lines_page
from controller.render.rollout_data import SkipData, VisitData, skip_data, visit_data
from controller.render.rollout_texts import skip_line, visit_line

log = logging.logger()


class TickData(Immutable):
    """What one tick did."""

    rollouts: list[VisitData | SkipData]
    """Each rollout of the tick, the visited ones first."""
    later: Count
    """How many further rollouts are not due yet; a later tick visits them."""


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
    help="For schedulers: end with 0 unless an operator is needed (maps 75 to 0).",
)
@click.option(
    "--early", is_flag=True, help="Also rollouts that are not due yet, as when an alarm asks."
)
@options.call_options("store", "dry-run", "json")
def tick(
    call: CommandContext,
    rollouts: tuple[str, ...],
    policies: tuple[str, ...],
    scheduled: bool,
    early: bool,
) -> Result:
    """Run one reconcile pass: observe, decide, execute, record.

    Visits every active rollout that is due: as soon as something can change, and after five minutes
    at the latest. Or those that are named, due or not; or with --policy those of some policies: for
    a role that is bound to these. A policy without a rollout is no error. Without a store it ends
    with 2, on a schedule too: a mistyped path must not look like a day without rollouts.
    """
    names = _policy_names(policies)
    if rollouts and names:
        raise UsageError("--policy visits all rollouts of its policies: leave ROLLOUT out")
    with call.app_session(ask_caller=False) as app:
        store, clock = app.runner.store, app.runner.clock
        start_time = clock.now()
        try:
            if rollouts:
                rollout_ids = [call.rollout_id(store, reference) for reference in rollouts]
                ticked = app.runner.tick(rollout_ids)
            else:
                ticked = app.runner.tick_active(names, early=early)
        except RolloutError as error:
            if error.exit_status is Exit.USAGE:
                raise
            log.error("tick_failed", problem=str(error))  # no tick_ended: no rollout was visited
            raise
        duration, calls = clock.now() - start_time, app.clients.calls
        summary = telemetry.tick_summary(ticked, duration, calls, app.metrics.lag)
        metrics = telemetry.embedded_metrics(summary, app.namespace, app.runner.clock.now())
        log.info("tick_ended", **summary, **metrics)
        if app.status_page:
            _refresh_status_page(app, names)
    done = scheduled and ticked.status in DONE_WHEN_SCHEDULED
    return Result(
        "tick",
        data=lambda: TickData(
            [*map(visit_data, ticked.visits), *map(skip_data, ticked.skips)], len(ticked.later)
        ),
        page=lambda: lines_page(_lines(ticked)),
        would=app.would,
        status=Exit.DONE if done else ticked.status,
    )


def _lines(ticked: TickResult) -> list[str]:
    """Return what the tick did in lines, and how many rollouts it left to a later one."""
    lines = [*map(visit_line, ticked.visits), *map(skip_line, ticked.skips)]
    if later := len(ticked.later):
        rollouts = "rollout is" if later == 1 else "rollouts are"
        lines.append(f"{later} active {rollouts} not due yet; now: rolloutctl tick --early")
    return lines or ["no active rollout"]


def _policy_names(policies: Sequence[str]) -> Sequence[str]:
    """Return the policy names given by --policy, as names or policy files, without duplicates."""
    references = [one.strip() for value in policies for one in value.split(",")]
    names = [policy_name(reference) for reference in references if reference]
    for name in names:
        if re.fullmatch(POLICY_NAME_PATTERN, name) is None:
            raise UsageError(f"--policy is the name of a policy, not {name!r}")
    if policies and not names:
        raise UsageError("--policy names no policy")
    return tuple(dict.fromkeys(names))


def _refresh_status_page(app: App, names: Sequence[str]) -> None:
    """Write the page of all rollouts, or of `names`; whatever is wrong with it stops no tick."""
    try:
        from controller.cli.status_page import write_status_page  # Jinja2: for pages alone

        place, now = settings.parse_page_place(app.status_page), app.runner.clock.now()
        write_status_page(app.runner.store, now, place, app.clients, names)
    except Exception as error:  # noqa: BLE001 - the rollouts of this tick are done
        log.error("status_page_failed", problem=str(error) or type(error).__name__)
