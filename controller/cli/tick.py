"""The verb `tick`: one tick, or one after the other until the process is stopped."""

import gc
import re
from collections.abc import Sequence
from datetime import timedelta
from typing import NoReturn

import click

from controller.bootstrap.account import real_account, write_page
from controller.bootstrap.app import App
from controller.cli import options, streams
from controller.cli.call import CommandContext, Result, policy_name, report
from controller.core.policy.model import POLICY_NAME_PATTERN
from controller.core.visit_order import Shard
from controller.engine import telemetry
from controller.engine.exit_status import DONE_WHEN_SCHEDULED
from controller.engine.slices import TickResult
from controller.errors import Exit, RolloutError, UsageError
from controller.immutable import Immutable, replace
from controller.ports.json_view import Count
from controller.process import logging, settings, signals
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


class Selection(Immutable):
    """Which rollouts a tick visits: those of `ids`, or every active one of some policies.

    policies: their names; empty: all. shard: the part of the active rollouts; None: all of them.
    early: also active rollouts that are not due yet.
    """

    ids: Sequence[str] = ()
    policies: Sequence[str] = ()
    shard: Shard | None = None
    early: bool = False


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
    "--shard",
    type=options.Parsed("shard", Shard.parse),  # 2/3 is the second of three
    metavar="I/N",
    help="Only part I of N of the rollouts; the other parts need ticks as well.",
)
@click.option(
    "--every",
    type=options.DURATION,
    metavar="DURATION",
    help="Tick at this interval until the process is stopped: 1m.",
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
    shard: Shard | None,
    every: timedelta | None,
    scheduled: bool,
    early: bool,
) -> Result:
    """Run one reconcile pass: observe, decide, execute, record.

    Visits every active rollout that is due: as soon as something can change, and after five minutes
    at the latest. Or those that are named, due or not; or with --policy those of some policies: for
    a role that is bound to these. A policy without a rollout is no error. Without a store it ends
    with 2, on a schedule too: a mistyped path must not look like a day without rollouts.
    """
    selection = Selection(rollouts, policy_names(policies), shard, early)
    if rollouts and (selection.policies or shard):
        raise UsageError("--policy and --shard visit all rollouts of theirs: leave ROLLOUT out")
    if every is not None:
        if call.as_json:
            raise UsageError("--every prints the result of each tick: leave --json out")
        _tick_every(every, call, selection, scheduled)
    return _ticked_once(call, selection, scheduled)


def _tick_every(
    every: timedelta, call: CommandContext, selection: Selection, scheduled: bool
) -> NoReturn:
    """Run a tick at each interval; one that takes longer is followed at once by the next.

    Each is what a new process would be: with new clients, settings and another run id. A store
    that does not answer is logged, and the next tick tries again. Raises UsageError.
    """
    clock = real_account().clock
    due = clock.now()
    while True:
        try:
            report(_ticked_once(call, selection, scheduled), call)
        except RolloutError as error:
            if error.exit_status is Exit.USAGE:
                raise
            streams.error(str(error), error.code())
        gc.collect()  # the clients of this tick, which are cycles
        now = clock.now()
        due = max(due + every, now)
        signals.wait(clock, due - now)


def _ticked_once(call: CommandContext, selection: Selection, scheduled: bool) -> Result:
    with call.app_session(ask_caller=False) as app:
        ids = [call.rollout_id(app.runner.store, one) for one in selection.ids]
        ticked = run_tick(app, replace(selection, ids=ids))
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
        early = "to visit now: rolloutctl tick --early"
        lines.append(f"{later} active {rollouts} not due yet; {early}")
    return lines or ["no active rollout"]


def run_tick(app: App, selection: Selection, *, must_exist: bool = True) -> TickResult:
    """Run one tick of `app`, log its summary, and write the status page.

    must_exist: an id that no rollout has is an UnknownRolloutError, and nothing is changed; else it
        is a skip of the result. Raises StoreError when the active rollouts cannot be listed.
    """
    clock = app.runner.clock
    start_time = clock.now()
    try:
        if selection.ids:
            ticked = app.runner.tick(selection.ids, must_exist=must_exist)
        else:
            ticked = app.runner.tick_active(
                selection.policies, selection.shard, early=selection.early
            )
    except RolloutError as error:
        if error.exit_status is not Exit.USAGE:
            log.error("tick_failed", problem=str(error))  # no tick_ended: nothing was visited
        raise
    duration, clients = clock.now() - start_time, app.clients
    summary = telemetry.tick_summary(
        ticked, duration, clients.calls, clients.throttled, app.metrics.lag
    )
    metrics = telemetry.embedded_metrics(summary, app.namespace, clock.now())
    log.info("tick_ended", **summary, **metrics)
    if app.status_page:
        refresh_status_page(app, selection.policies)
    return ticked


def policy_names(policies: Sequence[str]) -> Sequence[str]:
    """Return the policy names given by --policy, as names or policy files, without duplicates."""
    references = [one.strip() for value in policies for one in value.split(",")]
    names = [policy_name(reference) for reference in references if reference]
    for name in names:
        if re.fullmatch(POLICY_NAME_PATTERN, name) is None:
            raise UsageError(f"--policy is the name of a policy, not {name!r}")
    if policies and not names:
        raise UsageError("--policy names no policy")
    return tuple(dict.fromkeys(names))


def refresh_status_page(app: App, names: Sequence[str]) -> None:
    """Write the page of all rollouts, or of `names`; whatever is wrong with it stops no tick."""
    try:
        from controller.render.html.status import status_page  # Jinja2: for pages alone

        place, now = settings.parse_page_place(app.status_page), app.runner.clock.now()
        write_page(place, status_page(app.runner.store, now, place, names), app.clients)
    except Exception as error:  # noqa: BLE001 - the rollouts of this tick are done
        log.error("status_page_failed", problem=str(error) or type(error).__name__)
