"""The verb that must work when little else does: all traffic back to stable, now."""

from contextlib import suppress
from pathlib import Path
from typing import Final

import click

from controller import events, stopping
from controller.carrying import Visit
from controller.cli import options
from controller.core.effects import Alert
from controller.core.policy import LambdaEnv
from controller.core.rollout import Phase, Rollout
from controller.errors import Exit, StoreError, TargetError, UsageError
from controller.ports import Ownership
from controller.text import printable

_ASKED: Final = "asked for by a person"
# What works without the store, for whoever meets one that does not work at the worst moment.
_WITHOUT: Final = (
    "without a store: rolloutctl rollback POLICY.yaml, or "
    "rolloutctl rollback --function F --percentage K [--boolean B]"
)


@click.command()
@click.argument("rollout", required=False, metavar="[ROLLOUT|POLICY]")
@click.option("--function", help="Without a rollout: the Lambda function to set to 0 %.")
@click.option("--percentage", help="Without a rollout: the variable that holds the weight.")
@click.option("--boolean", help="Without a rollout: the variable that is true at 100.")
@click.option(
    "--reason",
    type=options.OneLine(),
    default=_ASKED,
    show_default=True,
    help="Written into the history.",
)
@options.by
@options.store
@options.dry_run
@options.as_json
def rollback(
    rollout: str | None,
    function: str | None,
    percentage: str | None,
    boolean: str | None,
    reason: str,
    by: str | None,
    store_url: str | None,
    dry_run: bool,
    as_json: bool,
) -> int:
    """Set the weight to 0 % and read it back.

    Whatever locks and verdicts say. Takes a rollout, a policy file, or bare names:
    --function F --percentage K [--boolean B].
    """
    bare = _bare_target(rollout, function, percentage, boolean)
    if bare is None and rollout is not None:
        return to_zero(rollout, reason, by, store_url, dry_run, as_json)
    if bare is None:
        raise UsageError("name a rollout, a policy file, or --function and --percentage")
    return _unrecorded(bare, dry_run, as_json, typed=True)


def to_zero(
    given: str, reason: str, by: str | None, store_url: str | None, dry_run: bool, as_json: bool
) -> int:
    """Roll back the rollout that `given` means; a policy file without one, or without a store, too.

    Returns the exit status. Raises StoreError and UsageError for anything but a file.
    """
    try:
        return _recorded(given, reason or _ASKED, by, store_url, dry_run, as_json)
    except (StoreError, UsageError) as error:
        if not options.is_policy_file(given):
            raise type(error)(f"{error}; {_WITHOUT}", **error.context) from error
        click.echo(f"rolloutctl: {error}; rolling back without a record", err=True)
        return _unrecorded(_target_of(Path(given)), dry_run, as_json)


def _bare_target(
    rollout: str | None, function: str | None, percentage: str | None, boolean: str | None
) -> LambdaEnv | None:
    if function is None and percentage is None and boolean is None:
        return None
    if rollout is not None:
        raise UsageError("name either a rollout or a function, not both")
    if function is None or percentage is None:
        raise UsageError("a bare rollback needs both --function and --percentage")
    from controller.bootstrap.bare import bare_target

    return bare_target(function, percentage, boolean)


def _target_of(policy: Path) -> LambdaEnv:
    from controller.loader import load

    return load(policy).target


def _recorded(
    given: str, reason: str, by: str | None, store_url: str | None, dry_run: bool, as_json: bool
) -> int:
    from controller.render.status import rollout_text, visit_data

    with options.opened(store_url, dry_run=dry_run, by=by, person=True) as app:
        found = options.rollout_id(app.runner.store, given)
        visit = app.runner.roll_back(found, reason)
        lines = [] if app.journal is None else app.journal.lines
        warnings = _of_another(app.runner.store, visit.rollout)
    for warning in warnings:
        click.echo(printable(f"rolloutctl: warning: {warning}"), err=True)
    if not visit.saved:
        word = "is" if _confirmed(visit) else "is NOT yet"
        problem = f"0 % {word} in force, but it could not be recorded: {visit.problem}"
        click.echo(f"rolloutctl: {problem}", err=True)
    if as_json:
        data = {**visit_data(visit), "warnings": warnings}
        options.print_json("rollback", {**data, "would": lines} if dry_run else data)
    else:
        click.echo(rollout_text(visit.rollout))
        if dry_run:
            options.print_journal(lines)
    return Exit.DONE if dry_run else _status(visit)


def _of_another(store: Ownership, rollout: Rollout) -> list[str]:
    """Return a warning when the traffic that went back was not that of `rollout` any more."""
    with suppress(StoreError):  # 0 % is in force whoever owns it
        owners = {store.owner(lock) for lock in rollout.locks} - {None, rollout.id}
        return [
            f"{rollout.id} does not own {rollout.target} any more: this was the traffic of {owner}"
            for owner in sorted(map(str, owners))
        ]
    return []


def _status(visit: Visit) -> Exit:
    return Exit.DONE if _confirmed(visit) else Exit.UNCONFIRMED


def _confirmed(visit: Visit) -> bool:
    rolled_back = visit.rollout.phase is Phase.ROLLED_BACK
    return rolled_back and Alert.ROLLBACK_UNCONFIRMED not in visit.alerts


def _unrecorded(target: LambdaEnv, dry_run: bool, as_json: bool, *, typed: bool = False) -> int:
    from controller.bootstrap.bare import Lowered, lower_bare

    events.configure(dry_run=dry_run)
    try:
        with stopping.held_together():
            result = lower_bare(target, typed=typed, dry_run=dry_run)
    except TargetError as error:
        if dry_run:
            raise
        result = Lowered(confirmed=False, shown=str(error), would=[])
    for doubt in result.doubts:
        click.echo(f"rolloutctl: warning: {doubt}", err=True)
    if as_json:
        data = {
            "function": target.function,
            "confirmed": result.confirmed,
            "shown": result.shown,
            "warnings": result.doubts,
        }
        options.print_json("rollback", {**data, "would": result.would} if dry_run else data)
    elif dry_run:
        options.print_journal(result.would)
    else:
        word = "0 % is in force" if result.confirmed else "NOT confirmed"
        click.echo(printable(f"{target.function}: {word}: {result.shown}"))
        for command in [] if result.confirmed else result.commands:
            click.echo(f"to lower both: {command}")
    return Exit.DONE if result.confirmed or dry_run else Exit.UNCONFIRMED
