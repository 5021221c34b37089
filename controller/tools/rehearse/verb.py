"""The verb `rehearse`: runs a whole policy in a simulated world, in seconds."""

from datetime import timedelta
from importlib.resources import files
from itertools import count
from pathlib import Path

import click
from click.shell_completion import CompletionItem

from controller.cli import options
from controller.cli.call import CommandContext, load_policy
from controller.cli.result import Result
from controller.cli.streams import Progress
from controller.core.rollout import Rollout
from controller.core.units import clock_text
from controller.engine.exit_status import of_rehearsal
from controller.errors import Exit
from controller.ports.metrics import MetricSource
from controller.process import logging, settings
from controller.render.pipeline import junit_text
from controller.tools.rehearse.compose import rehearsal
from controller.tools.rehearse.page import outcome_data, outcome_markdown, outcome_page
from controller.tools.rehearse.rehearsal import RehearsalOutcome
from controller.tools.rehearse.rehearsal import rehearse as play

_SHOW_EVERY = 10  # ticks between two updates of the progress line


def _complete_scenarios(
    _context: click.Context, _parameter: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Return the shipped scenarios that begin like `incomplete`, and leave files to the shell.

    Only file names are read: to import the simulation would delay every key press.
    """
    shipped = files("controller.tools.simulation") / "scenarios"
    names = sorted(one.name.removesuffix(".yaml") for one in shipped.iterdir())
    matches = [CompletionItem(name) for name in names if name.startswith(incomplete)]
    # The file item comes first: Click's bash script drops the items before it.
    return [CompletionItem(incomplete, type="file"), *matches]


@click.command()
@click.argument("policy", type=click.Path(path_type=Path))
@click.option(
    "--scenario", default="healthy", show_default=True, metavar="NAME|FILE",
    shell_complete=_complete_scenarios,
    help="A shipped scenario, or a file like them.",
)  # fmt: skip
@click.option("--seed", type=int, default=1, show_default=True, help="Seed of the random noise.")
@click.option(
    "--requests-per-minute", "per_minute", type=options.RequestRate(), metavar="N",
    help="The request rate, both paths together. Default: that of the scenario.",
)  # fmt: skip
@options.tick_interval
@click.option(
    "--expect",
    type=click.Choice(["succeeded", "rolled_back", "paused"]),
    help="End with 0 when it ends like this, and with 7 when not.",
)
@click.option(
    "--adopt",
    is_flag=True,
    help="The canary has 100% at the start, and the rollout takes it over.",
)
@click.option(
    "--approve",
    is_flag=True,
    help="Approve each step that waits for approval, and sign each attestation that gates. "
    "Default: neither.",
)
@click.option(
    "--store",
    "store_url",
    metavar="URL",
    help="Keep the rollout in this empty store, sqlite:///FILE or dynamodb://TABLE.",
)
@options.report_option("rollout")
@options.call_options("markdown", "junit", "json")
def rehearse(
    call: CommandContext,
    policy: Path,
    scenario: str,
    seed: int,
    per_minute: float | None,
    interval: timedelta,
    expect: str | None,
    adopt: bool,
    approve: bool,
    report_place: settings.PageLocation | None,
) -> Result:
    """Run a whole rollout of POLICY in a simulation.

    It goes through the real runner, the real adapters and a real store, in virtual time. The store
    is in memory unless --store names one. The account is not read. `plan --live` checks
    whether its metrics, alarms and logs exist.
    """
    if call.verbose:
        call.configure_logs()
    else:
        logging.disable()
    location = settings.parse_store_url(call.store_url) if call.store_url else None
    with (
        rehearsal(
            load_policy(policy), scenario, seed, store=location, adopt=adopt, per_minute=per_minute
        ) as stage,
        Progress(wanted=not call.verbose) as progress,
    ):
        ticks = count(1)

        def show(rollout: Rollout) -> None:
            if next(ticks) % _SHOW_EVERY == 1:
                at = clock_text(rollout.updated)
                progress.show(f"{at}  {rollout.weight}%  {rollout.sentence}")

        outcome = play(
            stage.runner,
            stage.world,
            stage.policy,
            every=interval,
            on_tick=show,
            adopt=adopt,
            approve=approve,
        )
        if report_place is not None:
            _write_report(outcome, scenario, stage.runner.observer.metrics, report_place)
    status = of_rehearsal(outcome.status, expect)
    return Result(
        "rehearse",
        data=lambda: outcome_data(outcome, scenario, seed),
        page=lambda: outcome_page(outcome, scenario, seed),
        markdown=lambda: outcome_markdown(outcome, scenario, seed),
        junit=lambda: junit_text(outcome.rollout, outcome.entries, expect),
        notes=[f"expected {expect}, but it ended {outcome.status}"]
        if status is Exit.CHECK_FAILED
        else [],
        status=status,
    )


def _write_report(
    outcome: RehearsalOutcome, scenario: str, metrics: MetricSource, place: settings.PageLocation
) -> None:
    """Write the report of a rehearsal; its latencies are read from the simulated world."""
    from controller.bootstrap.account import write_page  # Jinja2: for pages alone
    from controller.tools.report.compose import report_of
    from controller.tools.report.html import report_html
    from controller.tools.report.report import RolloutHistory

    report = report_of(RolloutHistory(outcome.rollout, outcome.entries), outcome.ended, metrics)
    write_page(place, report_html(report, scenario=scenario))
