"""The verbs `start` and `retry`."""

from collections.abc import Callable, Sequence
from functools import wraps
from pathlib import Path
from typing import Any

import click

from controller.bootstrap.app import App
from controller.cli import options
from controller.cli.call import Call, is_policy_file, load_policy
from controller.cli.operator_verbs import REQUIRED_REASON
from controller.cli.result import Result
from controller.immutable import Immutable, picked
from controller.operations.start.start import StartRequest, StartResult
from controller.operations.start.start import retry as start_again
from controller.operations.start.start import start as start_rollout
from controller.render.page import Page, Tone, paragraph
from controller.render.rollout_line import RolloutData, rollout_data
from controller.render.rollout_page import rollout_page


class StartData(RolloutData):
    """The rollout that was started, or is active already."""

    new: bool
    """Whether this command started it; false: it was active already, and nothing changed."""
    warnings: Sequence[str]
    """What is allowed and should be looked at."""


class StartOptions(Immutable):
    """What one command line gave for the options of a start, which `start` and `run` share."""

    revision: str | None
    version: str | None
    adopt: bool
    despite: tuple[str, ...]
    reason: str

    def request(self, policy: Path, *, attach: bool = False) -> StartRequest:
        """Return the request to start the policy in a file. Raises PolicyError and UsageError."""
        return StartRequest(
            load_policy(policy, self.version),
            self.revision,
            adopt=self.adopt,
            attach=attach,
            despite=self.despite,
            despite_reason=self.reason,
        )


def start_options(verb: Callable[..., int]) -> Callable[..., int]:
    """Add the policy and the options of a start to a verb, which gets them as `chosen`."""

    @wraps(verb)
    def invoke(**given: Any) -> int:
        chosen = StartOptions(**{name: given.pop(name) for name in StartOptions.__struct_fields__})
        return verb(chosen=chosen, **given)

    for option in (
        options.DESPITE_REASON,
        options.DESPITE,
        options.ADOPT,
        options.CANARY_VERSION,
        options.REVISION,
        click.argument("policy", type=click.Path(path_type=Path)),
    ):
        invoke = option(invoke)
    return invoke


def start_warnings(started: StartResult) -> Page:
    """Return a paragraph for each warning of a start."""
    return [paragraph(f"warning: {one}", Tone.WAITING) for one in started.warnings]


@click.command()
@start_options
@options.call_options("by", "store", "dry-run", "json")
def start(call: Call, policy: Path, chosen: StartOptions) -> Result:
    """Start a rollout and return at once.

    Everything is checked first; then the first weight is set, or with --adopt the live one is
    taken over. Ticks take it from there. A check that fails refuses the start, unless --despite
    names it.
    """
    request = chosen.request(policy)
    with call.app_session(create=True) as app:
        started = start_rollout(app.runner, request)
    return _result("start", app, started)


@click.command()
@click.argument("rollout", metavar="ROLLOUT|POLICY")
@options.ADOPT
@REQUIRED_REASON
@options.DESPITE
@options.call_options("by", "store", "dry-run", "json")
def retry(call: Call, rollout: str, adopt: bool, reason: str, despite: tuple[str, ...]) -> Result:
    """Start a rolled back revision again.

    A new attempt with the same revision, after all the checks of a start. Its policy is the one
    that the rollout had; with a policy file, the one in the file.
    """
    policy = load_policy(rollout) if is_policy_file(rollout) else None
    with call.app_session() as app:
        rollout_id = call.rollout_id(app.runner.store, rollout)
        started = start_again(app.runner, rollout_id, reason, policy, adopt=adopt, despite=despite)
    return _result("retry", app, started)


def _result(kind: str, app: App, started: StartResult) -> Result:
    rollout = started.rollout

    def page() -> Page:
        notes = list(start_warnings(started))
        if not started.created:
            notes.append(paragraph(f"{rollout.id} is {rollout.phase} already; nothing changed"))
        return [*notes, *rollout_page(rollout)]

    return Result(
        kind,
        lambda: picked(
            StartData, rollout_data(rollout), new=started.created, warnings=started.warnings
        ),
        page,
        would=app.journal.lines if app.journal else None,
    )
