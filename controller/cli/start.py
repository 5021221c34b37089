"""The verbs `start`, `retry` and `run`, which starts a rollout if needed and ticks it."""

import shlex
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from functools import wraps
from pathlib import Path
from typing import Any, Final

import click

from controller.bootstrap.app import App
from controller.cli import follow, options, streams
from controller.cli.call import CommandContext, Result, is_policy_file, load_policy
from controller.cli.operator_verbs import REQUIRED_REASON
from controller.core.decision import Alert
from controller.core.rollout import Phase, Rollout
from controller.core.units import format_duration
from controller.engine import exit_status
from controller.engine.execute import TickOutcome
from controller.engine.tick import Runner, is_idle, run_ticks
from controller.errors import Exit
from controller.immutable import picked, replace
from controller.operations.start import StartRequest, StartResult
from controller.operations.start import retry as start_again
from controller.operations.start import start as start_rollout
from controller.render.page import Page, Tone, paragraph
from controller.render.rollout_data import RolloutData, rollout_data
from controller.render.rollout_page import rollout_page
from controller.render.rollout_texts import weight_text


class StartData(RolloutData):
    """The rollout that was started, or is active already."""

    new: bool
    """Whether this command started it; false: it was active already, and nothing changed."""
    warnings: Sequence[str]
    """What is allowed and should be looked at."""


_REVISION: Final = click.option(
    "--revision",
    type=options.EXACT_TEXT,
    help="What is rolled out; default: the function's CodeSha256, or the version.",
)
_ADOPT: Final = click.option(
    "--adopt", is_flag=True, help="Take over the live weight and begin at its step; write nothing."
)


def _start_options(verb: Callable[..., int]) -> Callable[..., int]:
    """Add the policy and the options of a start to a verb, which gets them as its `request`."""

    @wraps(verb)
    def invoke(*, policy: Path, version: str | None, **given: Any) -> int:
        names = ("revision", "adopt", "despite", "fix", "reason")
        chosen = {name: given.pop(name) for name in names}
        request = StartRequest(load_policy(policy, version), file=policy, **chosen)
        return verb(request=request, **given)

    for option in (
        options.START_REASON,
        options.FIX,
        options.DESPITE,
        _ADOPT,
        options.CANARY_VERSION,
        _REVISION,
        click.argument("policy", type=click.Path(path_type=Path)),
    ):
        invoke = option(invoke)
    return invoke


def _warnings(started: StartResult) -> Page:
    """Return a paragraph for each warning of a start."""
    return [paragraph(f"warning: {warning}", Tone.WAITING) for warning in started.warnings]


@click.command()
@_start_options
@options.call_options("by", "store", "dry-run", "json")
def start(call: CommandContext, request: StartRequest) -> Result:
    """Start a rollout and return at once.

    Everything is checked first; then the first weight is set, or with --adopt the live one is
    taken over. Ticks take it from there. A check that fails refuses the start, unless --despite
    names it. With --fix, what is red already refuses nothing and does not gate until it is green;
    what gets worse rolls back.
    """
    with call.app_session(create=True) as app:
        started = start_rollout(app.runner, request)
    return _result("start", app, started)


@click.command()
@click.argument("rollout", metavar="ROLLOUT|POLICY")
@_ADOPT
@REQUIRED_REASON
@options.DESPITE
@options.FIX
@options.call_options("by", "store", "dry-run", "json")
def retry(
    call: CommandContext,
    rollout: str,
    adopt: bool,
    reason: str,
    despite: tuple[str, ...],
    fix: bool,
) -> Result:
    """Start a rolled back revision again.

    A new attempt with the same revision, after all the checks of a start. Its policy is the one
    that the rollout had; with a policy file, the one in the file.
    """
    file = Path(rollout) if is_policy_file(rollout) else None
    policy = None if file is None else load_policy(file)
    with call.app_session() as app:
        rollout_id = call.rollout_id(app.runner.store, rollout)
        started = start_again(
            app.runner, rollout_id, reason, policy,
            adopt=adopt, despite=despite, fix=fix, file=file,
        )  # fmt: skip
    return _result("retry", app, started)


def _result(kind: str, app: App, started: StartResult) -> Result:
    rollout = started.rollout

    def page() -> Page:
        notes = list(_warnings(started))
        if not started.created:
            notes.append(paragraph(f"{rollout.id} is {rollout.phase} already; nothing changed"))
        return [*notes, *rollout_page(rollout)]

    return Result(
        kind,
        lambda: picked(
            StartData, rollout_data(rollout), new=started.created, warnings=started.warnings
        ),
        page,
        would=app.would,
    )


class RunData(RolloutData):
    """The rollout when `run` ended."""

    warnings: Sequence[str]
    """What the start allowed and should be looked at."""


@click.command()
@_start_options
@options.tick_interval
@click.option(
    "--timeout", type=options.DURATION, default="48h", show_default=True,
    help="Stop after this long; the rollout then waits for other ticks.",
)  # fmt: skip
@options.call_options("by", "store", "dry-run", "json")
def run(
    call: CommandContext, request: StartRequest, interval: timedelta, timeout: timedelta
) -> Result:
    """Start if needed, then tick until it ends or pauses.

    A rollout of POLICY that is active is ticked, whatever its revision is, unless --revision names
    another one. When --timeout is over, one last tick follows. On a terminal, the view is live;
    elsewhere a line follows each change, and --verbose adds the log of each tick.
    Ends with 6 after drift (the weight was changed outside rolloutctl), unless the rollout
    succeeded or was rolled back. A dry run shows the first writes, and ends there.
    """
    with call.app_session(create=True, quiet=not call.as_json) as app:
        clock = app.runner.clock
        until = clock.now() + timeout
        started = start_rollout(app.runner, replace(request, attach=True))
        if started.warnings and not call.as_json:
            streams.print_page(_warnings(started))
        with follow.rollout_display(
            clock, app.runner.store, live=not call.dry_run, off=call.as_json
        ) as show:
            if not call.dry_run:
                last = _tick_to_end(app.runner, started.rollout, interval, until, show)
            elif started.created:
                last = TickOutcome(started.rollout)
            else:
                last = app.runner.visit(started.rollout.id)
            show(last.rollout)
        if not (call.dry_run or is_idle(last.rollout)):
            streams.message(_time_is_up_text(timeout, last.rollout, request))

    return Result(
        "run",
        data=lambda: picked(RunData, rollout_data(last.rollout), warnings=started.warnings),
        would=app.would,
        status=Exit.DONE if call.dry_run else exit_status.of_run(last),
    )


def _tick_to_end(
    runner: Runner, rollout: Rollout, interval: timedelta, until: datetime, show: follow.Show
) -> TickOutcome:
    """Tick `rollout` until it is idle or time is up; return the last visit, with all alerts."""
    show(rollout)
    last, alerts = TickOutcome(rollout), set[Alert]()
    for last in run_ticks(runner, rollout, every=interval, until=until, done=is_idle):
        alerts.update(last.alerts)
        show(last.rollout)
    return replace(last, alerts=tuple(alerts))


def _time_is_up_text(limit: timedelta, rollout: Rollout, request: StartRequest) -> str:
    """Return how `rollout` stands when its ticks end, and what does not happen without them."""
    command = shlex.join(["rolloutctl", "run", str(request.file)])
    undone = "it keeps its weight, nothing judges it and nothing rolls it back"
    if rollout.phase is Phase.ROLLING_BACK:
        undone = "nothing checks that 0% is applied"
    return (
        f"ticked for {format_duration(limit)} and stopped before {rollout.id} paused or ended; it "
        f"is {rollout.phase} at {weight_text(rollout)}; until another tick runs, {undone}; unless "
        f"a schedule of ticks is set up, run: {command}"
    )
