"""The operator's verbs: pause, resume, promote, approve, ack, attest and retry.

Each prints the status of the rollout afterwards, and ends with 0. A command that the phase does not
allow changes nothing, names the commands that are allowed, and ends with 2. A command ends with 75
when another run holds the lease for too long.
"""

from collections.abc import Callable

import click

from controller.cli import options
from controller.core.commands import Command, DriftResolution, Verb
from controller.engine.execute import Visit
from controller.errors import Exit, UsageError
from controller.text import printable


def _command_options(command: Callable[..., int]) -> Callable[..., int]:
    """Add the argument and the options that these verbs share."""
    shared = (options.by, options.store, options.dry_run, options.as_json)
    for option in reversed(shared):
        command = option(command)
    return click.argument("rollout", metavar="ROLLOUT|POLICY")(command)


def _require_reason(_context: click.Context, _option: click.Parameter, reason: str) -> str:
    if not reason:
        raise click.BadParameter("say why: it is written into the history")
    return reason


_reason = click.option(
    "--reason", type=options.OneLineText(), default="", help="Why; written into the history."
)
_required_reason = click.option(
    "--reason",
    type=options.OneLineText(),
    required=True,
    callback=_require_reason,
    help="Why; written into the history. Needed.",
)


@click.command()
@_reason
@_command_options
def pause(
    rollout: str, reason: str, by: str | None, store_url: str | None, dry_run: bool, as_json: bool
) -> int:
    """Stop going up, until somebody resumes.

    Traffic stays where it is and is judged on: a criterion that fails still rolls it back. A raise
    that is on its way may still arrive; it is not tried again.
    """
    return _send_command(rollout, Command(Verb.PAUSE, reason), by, store_url, dry_run, as_json)


@click.command()
@click.option("--restore", is_flag=True, help="Take a raised weight back to what was asked for.")
@click.option("--keep", is_flag=True, help="Go on with the live weight that another hand set.")
@_reason
@_command_options
def resume(
    rollout: str,
    restore: bool,
    keep: bool,
    reason: str,
    by: str | None,
    store_url: str | None,
    dry_run: bool,
    as_json: bool,
) -> int:
    """Go on after a pause.

    Where nobody moved the weight, the bake goes on with what was measured. Otherwise the step
    begins anew, and the weight has to be put back before, taken back (--restore, never up), or
    kept (--keep).
    """
    if restore and keep:
        raise UsageError("give either --restore or --keep, not both")
    resolution: DriftResolution = "restore" if restore else "keep" if keep else ""
    return _send_command(
        rollout, Command(Verb.RESUME, reason, resolution), by, store_url, dry_run, as_json
    )


@click.command()
@_required_reason
@_command_options
def promote(
    rollout: str, reason: str, by: str | None, store_url: str | None, dry_run: bool, as_json: bool
) -> int:
    """Take the next step now, or be done after the last.

    Skips the rest of a bake or an inconclusive gate; never a criterion that fails, a freeze or a
    missing approval.
    """
    return _send_command(rollout, Command(Verb.PROMOTE, reason), by, store_url, dry_run, as_json)


@click.command()
@_reason
@_command_options
def approve(
    rollout: str, reason: str, by: str | None, store_url: str | None, dry_run: bool, as_json: bool
) -> int:
    """Let the next step be taken once its turn comes.

    For a step that the policy says `approval: required` of; ahead of time, or when it waits.
    """
    return _send_command(rollout, Command(Verb.APPROVE, reason), by, store_url, dry_run, as_json)


@click.command()
@click.option(
    "--note",
    type=options.OneLineText(),
    default="",
    help="What you know; written into the history.",
)
@_command_options
def ack(
    rollout: str, note: str, by: str | None, store_url: str | None, dry_run: bool, as_json: bool
) -> int:
    """Say that you have seen what is critical; it is not told again.

    Changes nothing else: a rollback that is not confirmed is tried on, and its ticks end with 5.
    What is critical for another reason is told anew.
    """
    return _send_command(rollout, Command(Verb.ACK, note), by, store_url, dry_run, as_json)


@click.command()
@click.argument("rollout", metavar="ROLLOUT|POLICY")
@click.argument("criterion")
@click.option("--refuse", is_flag=True, help="Say no: where it gates, the next tick rolls back.")
@click.option(
    "--note",
    type=options.OneLineText(),
    required=True,
    callback=_require_reason,
    help="What was seen; written into the history. Needed.",
)
@options.by
@options.store
@options.dry_run
@options.as_json
def attest(
    rollout: str,
    criterion: str,
    refuse: bool,
    note: str,
    by: str | None,
    store_url: str | None,
    dry_run: bool,
    as_json: bool,
) -> int:
    """Sign what no measurement shows, or refuse to.

    For a criterion of `kind: attestation`. A signature is for the rest of the rollout, whatever
    its step; said again, it changes nothing. The newest word of a person counts.
    """
    command = Command(Verb.ATTEST, note, criterion=criterion, refuse=refuse)
    return _send_command(rollout, command, by, store_url, dry_run, as_json)


@click.command()
@click.option("--adopt", is_flag=True, help="Begin at the step whose weight is live; move nothing.")
@_required_reason
@_command_options
def retry(
    rollout: str,
    adopt: bool,
    reason: str,
    by: str | None,
    store_url: str | None,
    dry_run: bool,
    as_json: bool,
) -> int:
    """Start once more what was rolled back.

    A new attempt with the same revision, after all the checks of a start. Its policy is the one
    that the rollout had; with a policy file, the one in the file.
    """
    from controller.cli.start import print_start
    from controller.operations.start.start import retry as start_again

    policy = options.load_policy(rollout) if options.is_policy_file(rollout) else None
    with options.app_session(store_url, dry_run=dry_run, by=by, ask_caller=True) as app:
        rollout_id = options.rollout_id(app.runner.store, rollout)
        started = start_again(app.runner, rollout_id, reason, policy, adopt=adopt)
        dry_run_lines = None if app.journal is None else app.journal.lines
    print_start("retry", started, dry_run_lines, as_json=as_json)
    return Exit.DONE


def _send_command(
    reference: str,
    command: Command,
    by: str | None,
    store_url: str | None,
    dry_run: bool,
    as_json: bool,
) -> int:
    with options.app_session(store_url, dry_run=dry_run, by=by, ask_caller=True) as app:
        rollout_id = options.rollout_id(app.runner.store, reference)
        visit = app.runner.run_command(rollout_id, command)
        dry_run_lines = None if app.journal is None else app.journal.lines
    _print(visit, command.verb, dry_run_lines, as_json)
    return Exit.DONE


def _print(visit: Visit, verb: Verb, dry_run_lines: list[str] | None, as_json: bool) -> None:
    from controller.render.status import rollout_text, visit_data

    if not visit.saved:  # the command was saved; what was observed after it was not
        problem = f"the next tick records what could not be recorded now: {visit.problem}"
        click.echo(printable(f"rolloutctl: warning: {problem}"), err=True)
    if as_json:
        data = visit_data(visit)
        if dry_run_lines is not None:
            data = {**data, "would": dry_run_lines}
        options.print_json(verb, data)
        return
    click.echo(rollout_text(visit.rollout))
    if dry_run_lines is not None:
        options.print_dry_run(dry_run_lines)
