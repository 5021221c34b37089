"""The verb `rehearse`: runs a whole policy in a simulated world, in seconds."""

import sys
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Self

import click

from controller.bootstrap.rehearse import rehearsal
from controller.cli import completion, options, streams
from controller.cli.call import Call, load_policy
from controller.cli.result import Result
from controller.core.rollout import Rollout
from controller.core.units import clock_text
from controller.engine.exit_status import of_rehearsal
from controller.errors import Exit
from controller.operations.rehearse import rehearse as play
from controller.process import logging, settings
from controller.render.junit import junit_text
from controller.render.markdown import outcome_markdown
from controller.render.rehearsal import outcome_data, outcome_page
from controller.text import printable

_SHOW_EVERY = 30  # ticks between two updates of the progress line


@click.command()
@click.argument("policy", type=click.Path(path_type=Path))
@click.option(
    "--scenario", default="healthy", show_default=True, metavar="NAME|FILE",
    shell_complete=completion.complete_scenarios,
    help="A shipped scenario, or a file like them.",
)  # fmt: skip
@click.option("--seed", type=int, default=1, show_default=True, help="Seed of the random noise.")
@click.option(
    "--every", type=options.Duration(), default="1m", show_default=True, help="Time between ticks."
)
@click.option(
    "--expect",
    type=click.Choice(["succeeded", "rolled_back", "paused"]),
    help="End with 0 when it ends like this, and with 7 when not.",
)
@click.option(
    "--adopt",
    is_flag=True,
    help="The canary has 100 % at the start, and the rollout takes it over.",
)
@click.option(
    "--approve",
    is_flag=True,
    help="Approve each step as soon as it waits for it. Default: no approval.",
)
@click.option(
    "--store",
    "store_url",
    metavar="URL",
    help="Keep the rollout in this empty store, sqlite:///FILE or dynamodb://TABLE.",
)
@click.option("--verbose", is_flag=True, help="Show the log of every tick on stderr, too.")
@options.call_options("markdown", "junit", "json")
def rehearse(
    call: Call,
    policy: Path,
    scenario: str,
    seed: int,
    every: timedelta,
    expect: str | None,
    adopt: bool,
    approve: bool,
    verbose: bool,
) -> Result:
    """Run a whole rollout of POLICY in a simulation.

    It goes through the real runner, the real adapters and a real store, in virtual time. The store
    is a temporary file unless --store names one.
    """
    if verbose:
        logging.configure()
    else:
        logging.disable()
    location = settings.parse_store_url(call.store_url) if call.store_url else None
    progress = _Progress(visible=sys.stderr.isatty() and not (verbose or call.is_document))
    with (
        rehearsal(load_policy(policy), scenario, seed, store=location, adopt=adopt) as stage,
        progress,
    ):
        outcome = play(
            stage.runner,
            stage.world,
            stage.policy,
            every=every,
            on_tick=progress.tick,
            adopt=adopt,
            approve=approve,
        )
    status = of_rehearsal(outcome.status, expect)
    return Result(
        "rehearse",
        data=lambda: outcome_data(outcome, scenario, seed),
        page=lambda: outcome_page(outcome, scenario, seed),
        markdown=lambda: outcome_markdown(outcome, scenario, seed),
        junit=lambda: junit_text(outcome.rollout, outcome.entries, expect),
        notes=_notes(status, expect, outcome.status),
        status=status,
    )


def _notes(status: Exit, expected: str | None, ended: str) -> Sequence[str]:
    return [f"expected {expected}, but it ended {ended}"] if status is Exit.CHECK_FAILED else []


class _Progress:
    """A progress line on stderr, erased when the rehearsal ends."""

    def __init__(self, *, visible: bool) -> None:
        self._visible, self._ticks = visible, 0

    def __enter__(self) -> Self:
        return self

    def tick(self, rollout: Rollout) -> None:
        self._ticks += 1
        if self._visible and self._ticks % _SHOW_EVERY == 0:
            text = f"{clock_text(rollout.updated)}  {rollout.weight:>3} %  {rollout.reason}"
            self._draw(f"\r{printable(text):<60}")

    def __exit__(self, *_: object) -> None:
        if self._visible:
            self._draw(f"\r{'':<60}\r")

    @staticmethod
    def _draw(text: str) -> None:
        click.echo(text, file=streams.unfiltered_stream(sys.stderr), nl=False)
