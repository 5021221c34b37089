"""The verbs of people: stop, go on, go up now, let a step be taken, try once more.

Each prints where the rollout stands then, and ends with 0. One that does not fit changes nothing,
says what fits instead, and ends with 2; 75 when another run has the rollout for too long.
"""

from collections.abc import Callable

import click

from controller.cli import options
from controller.core.commands import Ask, Verb, Way
from controller.engine.execute import Visit
from controller.errors import Exit, UsageError
from controller.text import printable


def _steering(command: Callable[..., int]) -> Callable[..., int]:
    """Add what all verbs of people take."""
    shared = (options.by, options.store, options.dry_run, options.as_json)
    for option in reversed(shared):
        command = option(command)
    return click.argument("rollout", metavar="ROLLOUT|POLICY")(command)


def _said(_context: click.Context, _option: click.Parameter, reason: str) -> str:
    if not reason:
        raise click.BadParameter("say why: it is written into the history")
    return reason


_reason = click.option(
    "--reason", type=options.OneLine(), default="", help="Why; written into the history."
)
_needed_reason = click.option(
    "--reason",
    type=options.OneLine(),
    required=True,
    callback=_said,
    help="Why; written into the history. Needed.",
)


@click.command()
@_reason
@_steering
def pause(
    rollout: str, reason: str, by: str | None, store_url: str | None, dry_run: bool, as_json: bool
) -> int:
    """Stop going up, until somebody resumes.

    Traffic stays where it is and is judged on: a criterion that fails still rolls it back. A raise
    that is on its way may still arrive; it is not tried again.
    """
    return _asked(rollout, Ask(Verb.PAUSE, reason), by, store_url, dry_run, as_json)


@click.command()
@click.option("--restore", is_flag=True, help="Take a raised weight back to what was asked for.")
@click.option("--keep", is_flag=True, help="Go on with the live weight that another hand set.")
@_reason
@_steering
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
    way: Way = "restore" if restore else "keep" if keep else ""
    return _asked(rollout, Ask(Verb.RESUME, reason, way), by, store_url, dry_run, as_json)


@click.command()
@_needed_reason
@_steering
def promote(
    rollout: str, reason: str, by: str | None, store_url: str | None, dry_run: bool, as_json: bool
) -> int:
    """Take the next step now, or be done after the last.

    Skips the rest of a bake or an inconclusive gate; never a criterion that fails, a freeze or a
    missing approval.
    """
    return _asked(rollout, Ask(Verb.PROMOTE, reason), by, store_url, dry_run, as_json)


@click.command()
@_reason
@_steering
def approve(
    rollout: str, reason: str, by: str | None, store_url: str | None, dry_run: bool, as_json: bool
) -> int:
    """Let the next step be taken once its turn comes.

    For a step that the policy says `approval: required` of; ahead of time, or when it waits.
    """
    return _asked(rollout, Ask(Verb.APPROVE, reason), by, store_url, dry_run, as_json)


@click.command()
@click.option(
    "--note", type=options.OneLine(), default="", help="What you know; written into the history."
)
@_steering
def ack(
    rollout: str, note: str, by: str | None, store_url: str | None, dry_run: bool, as_json: bool
) -> int:
    """Say that you have seen what is critical; it is not told again.

    Changes nothing else: a rollback that is not confirmed is tried on, and its ticks end with 5.
    What is critical for another reason is told anew.
    """
    return _asked(rollout, Ask(Verb.ACK, note), by, store_url, dry_run, as_json)


@click.command()
@click.argument("rollout", metavar="ROLLOUT|POLICY")
@click.argument("criterion")
@click.option("--refuse", is_flag=True, help="Say no: where it gates, the next tick rolls back.")
@click.option(
    "--note",
    type=options.OneLine(),
    required=True,
    callback=_said,
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
    ask = Ask(Verb.ATTEST, note, criterion=criterion, refuse=refuse)
    return _asked(rollout, ask, by, store_url, dry_run, as_json)


@click.command()
@click.option("--adopt", is_flag=True, help="Begin at the step whose weight is live; move nothing.")
@_needed_reason
@_steering
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
    from controller.cli.start_tick import print_started
    from controller.operations.start.start import retry as start_again

    policy = options.load_policy(rollout) if options.is_policy_file(rollout) else None
    with options.opened(store_url, dry_run=dry_run, by=by, person=True) as app:
        found = options.rollout_id(app.runner.store, rollout)
        started = start_again(app.runner, found, reason, policy, adopt=adopt)
        would = None if app.journal is None else app.journal.lines
    print_started("retry", started, would, as_json=as_json)
    return Exit.DONE


def _asked(
    given: str, ask: Ask, by: str | None, store_url: str | None, dry_run: bool, as_json: bool
) -> int:
    with options.opened(store_url, dry_run=dry_run, by=by, person=True) as app:
        found = options.rollout_id(app.runner.store, given)
        visit = app.runner.ask(found, ask)
        would = None if app.journal is None else app.journal.lines
    _print(visit, ask.verb, would, as_json)
    return Exit.DONE


def _print(visit: Visit, verb: Verb, would: list[str] | None, as_json: bool) -> None:
    from controller.render.status import rollout_text, visit_data

    if not visit.saved:  # what was asked for is; what was seen of it afterwards is not
        problem = f"the next tick records what could not be recorded now: {visit.problem}"
        click.echo(printable(f"rolloutctl: warning: {problem}"), err=True)
    if as_json:
        data = visit_data(visit)
        options.print_json(verb, data if would is None else {**data, "would": would})
        return
    click.echo(rollout_text(visit.rollout))
    if would is not None:
        options.print_journal(would)
