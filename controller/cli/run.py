"""The verb `run`: starts a rollout if needed, and ticks it until it ends or pauses."""

import shlex
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path

import click

from controller.cli import follow, options, streams
from controller.cli.call import Call
from controller.cli.result import Result
from controller.cli.start import StartOptions, start_options, start_warnings
from controller.core.decision import Alert
from controller.core.rollout import Rollout
from controller.engine import exit_status
from controller.engine.execute import Visit
from controller.engine.loop import is_idle, run_ticks
from controller.engine.tick import Runner
from controller.errors import Exit
from controller.immutable import picked, replace
from controller.operations.start.start import StartResult, start
from controller.render.rollout_line import RolloutData, rollout_data


class RunData(RolloutData):
    """The rollout when `run` ended."""

    warnings: Sequence[str]
    """What the start allowed and should be looked at."""


@click.command()
@start_options
@click.option(
    "--interval", type=options.Duration(), default="1m", show_default=True,
    help="Time between ticks.",
)  # fmt: skip
@click.option(
    "--timeout", type=options.Duration(), default="48h", show_default=True,
    help="Stop after this long; the rollout then waits for other ticks.",
)  # fmt: skip
@options.call_options("by", "store", "dry-run", "json")
def run(
    call: Call, policy: Path, chosen: StartOptions, interval: timedelta, timeout: timedelta
) -> Result:
    """Start if needed, then tick until it ends or pauses.

    A rollout of POLICY that is active is ticked, whatever its revision is, unless --revision names
    another one. When --timeout is over, one last tick follows. On a terminal, the view is live.
    Ends with 6 after drift (the weight was changed outside rolloutctl), unless the rollout
    succeeded or was rolled back. A dry run shows the first writes, and ends there.
    """
    request = chosen.request(policy, attach=True)
    with call.app_session(create=True) as app:
        clock = app.runner.clock
        until = clock.now() + timeout
        started = start(app.runner, request)
        if started.warnings and not call.as_json:
            streams.print_page(start_warnings(started))
        with follow.rollout_display(clock, live=not call.dry_run, off=call.as_json) as show:
            if call.dry_run:
                last = _first_visit(app.runner, started)
            else:
                last = _tick_to_end(app.runner, started.rollout, interval, until, show)
            show(last.rollout)
        if not (call.dry_run or is_idle(last.rollout)):
            command = shlex.join(["rolloutctl", "run", str(policy)])
            streams.message(follow.ticked_until_text(timeout, last.rollout, command))

    return Result(
        "run",
        data=lambda: picked(RunData, rollout_data(last.rollout), warnings=started.warnings),
        would=app.journal.lines if app.journal else None,
        status=Exit.DONE if call.dry_run else exit_status.of_run(last),
    )


def _first_visit(runner: Runner, started: StartResult) -> Visit:
    """Return the first visit of a run: the start, or a tick of the rollout that is active."""
    if started.created:
        return Visit(started.rollout)
    return runner.visit(started.rollout.id)


def _tick_to_end(
    runner: Runner, rollout: Rollout, interval: timedelta, until: datetime, show: follow.Show
) -> Visit:
    """Tick `rollout` until it is idle or time is up; return the last visit, with all alerts."""
    show(rollout)
    last, alerts = Visit(rollout), set[Alert]()
    for last in run_ticks(runner, rollout, every=interval, until=until, done=is_idle):
        alerts.update(last.alerts)
        show(last.rollout)
    return replace(last, alerts=tuple(alerts))
