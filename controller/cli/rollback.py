"""The verb `rollback`: sends all traffic back to the stable path, with or without a store."""

import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from controller.cli import options
from controller.core.policy import TargetSpec
from controller.core.rollout import Rollout
from controller.engine import exit_status
from controller.engine.isolation import problem_of
from controller.engine.limits import LOAD_LIMIT
from controller.errors import (
    Exit,
    NoStoreError,
    PolicyError,
    RolloutError,
    StoreError,
    TargetError,
    UnknownRolloutError,
    UsageError,
    is_record_error,
)
from controller.ports.store import Ownership
from controller.process import logging, settings, signals
from controller.text import printable

if TYPE_CHECKING:
    from controller.bootstrap.rollback import FirstWrite, KnownTarget

_DEFAULT_REASON: Final = "asked for by a person"
# What the next tick does about a rollback that could not be recorded.
_UNRECORDED_HINT: Final = (
    "when the store works again, the next tick finds 0 % and ends the rollout (reason "
    "found_at_zero); to record your reason, run the same command again then"
)
_DAMAGED_HINT: Final = (
    "the record of the rollout stays as it is, and no tick decides anything from it: restore the "
    "store from a backup; the next tick then finds 0 % and ends the rollout"
)
# The rollback commands that need no store, for an incident in which the store is down as well.
_STORELESS_HINT: Final = (
    "without a store: rolloutctl rollback POLICY.yaml, or "
    "rolloutctl rollback --function F --percentage K [--boolean B]"
)


@click.command()
@click.argument("rollout", required=False, metavar="[ROLLOUT|POLICY]")
@click.option("--function", help="Without a rollout: the Lambda function to set to 0 %.")
@click.option("--percentage", help="Without a rollout: the variable that holds the weight.")
@click.option("--boolean", help="Without a rollout: the variable that is true at 100.")
@click.option(
    "--force",
    is_flag=True,
    help="With bare names: write 0 % over variables that are not there, or hold something else.",
)
@click.option(
    "--reason",
    type=options.OneLineText(),
    default=_DEFAULT_REASON,
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
    force: bool,
    reason: str,
    by: str | None,
    store_url: str | None,
    dry_run: bool,
    as_json: bool,
) -> int:
    """Set the weight to 0 % and read it back.

    Whatever locks and verdicts say. Takes a rollout, a policy file, or bare names:
    --function F --percentage K [--boolean B]. Where the names of the function and its variables
    are known without the store, 0 % is written before the store is opened.
    """
    bare = _bare_target(rollout, function, percentage, boolean)
    if force and bare is None:
        raise UsageError("--force is about bare names: give it with --function and --percentage")
    if bare is None and rollout is not None:
        return _to_zero(rollout, reason, by, store_url, dry_run, as_json)
    if bare is None:
        raise UsageError("name a rollout, a policy file, or --function and --percentage")
    from controller.bootstrap.rollback import KnownTarget

    return _lower_without_record(KnownTarget(bare, ""), dry_run, as_json, typed=True, force=force)


def _to_zero(
    reference: str, reason: str, by: str | None, store_url: str | None, dry_run: bool, as_json: bool
) -> int:
    """Roll back the rollout of `reference`, where possible before the store is opened.

    The function and its variables are known from a policy file, or from the target file next to an
    SQLite store. Then 0 % is written whatever the store raises. Returns the exit status.
    Raises PolicyError, and RolloutError where the target is not known without the store.
    """
    known_target = _target_without_store(reference, store_url)
    first_write = None if known_target is None or dry_run else _lower_before_record(known_target)
    try:
        return _roll_back_in_store(
            reference, reason or _DEFAULT_REASON, by, store_url, dry_run, as_json, first_write
        )
    except Exception as error:
        problem = problem_of(error, reference, "recording the rollback of")
        if known_target is None:
            problem.args = (f"{problem}; {_STORELESS_HINT}",)
            raise problem from error
        click.echo(f"rolloutctl: the rollback is not recorded: {problem}", err=True)
        status = _lower_without_record(known_target, dry_run, as_json)
        if status is Exit.DONE and not dry_run:
            _print_record_hint(problem)
        return status


def _print_record_hint(problem: RolloutError) -> None:
    """Print what the next tick does about an unrecorded rollback, if the store has its rollout."""
    if isinstance(problem, UnknownRolloutError | NoStoreError):
        return
    damaged = isinstance(problem, StoreError) and is_record_error(problem)
    hint = _DAMAGED_HINT if damaged else _UNRECORDED_HINT
    click.echo(f"rolloutctl: {hint}", err=True)


def _target_without_store(reference: str, store_url: str | None) -> "KnownTarget | None":
    """Return the target of `reference` as far as it is known without a store; None: it is not.

    Raises PolicyError for a policy file that cannot be used.
    """
    from controller.bootstrap.rollback import KnownTarget, recorded_target

    if options.is_policy_file(reference):
        try:
            return KnownTarget(_target_of(Path(reference)), "")
        except PolicyError as error:
            head, *details = str(error).splitlines()
            raise PolicyError(head, *details, _STORELESS_HINT, flaws=error.flaws) from error
    with suppress(UsageError):  # reported when the store is opened
        return recorded_target(settings.read(os.environ, store_url).store, reference)
    return None


def _lower_before_record(known_target: "KnownTarget") -> "FirstWrite":
    """Write 0 % to `known_target`, and print the result before the store is opened."""
    from controller.bootstrap.rollback import write_zero_first

    logging.configure()
    with signals.defer_signals():
        first_write = write_zero_first(known_target)
    function = known_target.target.name
    if first_write.problem:
        message = f"0 % is not written yet: {first_write.problem}"
    else:
        message = (
            f"0 % is written to {function} (it showed {first_write.shown} before); recording it now"
        )
    click.echo(f"rolloutctl: {message}", err=True)
    return first_write


def _bare_target(
    rollout: str | None, function: str | None, percentage: str | None, boolean: str | None
) -> TargetSpec | None:
    if function is None and percentage is None and boolean is None:
        return None
    if rollout is not None:
        raise UsageError("name either a rollout or a function, not both")
    if function is None or percentage is None:
        raise UsageError("a bare rollback needs both --function and --percentage")
    from controller.bootstrap.rollback import bare_target

    return bare_target(function, percentage, boolean)


def _target_of(policy: Path) -> TargetSpec:
    from controller.policy_file.loader import load

    return load(policy).target


def _roll_back_in_store(
    reference: str,
    reason: str,
    by: str | None,
    store_url: str | None,
    dry_run: bool,
    as_json: bool,
    first_write: "FirstWrite | None",
) -> int:
    from controller.render.status import rollout_text, visit_data

    with options.app_session(store_url, dry_run=dry_run, by=by, ask_caller=True) as app:
        app.runner.limit_calls(LOAD_LIMIT)
        rollout_id = options.rollout_id(app.runner.store, reference)
        before = None if first_write is None else first_write.before
        visit = app.runner.roll_back(rollout_id, reason, before)
        dry_run_lines = [] if app.journal is None else app.journal.lines
        warnings = _other_owner_warnings(app.runner.store, visit.rollout)
        warnings += [visit.problem] if visit.saved and visit.problem else []
    for warning in warnings:
        click.echo(printable(f"rolloutctl: warning: {warning}"), err=True)
    if not visit.saved:
        state = "is" if exit_status.of_rollback(visit) is Exit.DONE else "is NOT yet"
        problem = f"0 % {state} in force, but it could not be recorded: {visit.problem}"
        click.echo(f"rolloutctl: {problem}", err=True)
        if exit_status.of_rollback(visit) is Exit.DONE:
            click.echo(f"rolloutctl: {_UNRECORDED_HINT}", err=True)
    if as_json:
        data = {**visit_data(visit), "recorded": visit.saved, "warnings": warnings}
        options.print_json("rollback", {**data, "would": dry_run_lines} if dry_run else data)
    else:
        click.echo(rollout_text(visit.rollout))
        if dry_run:
            options.print_dry_run(dry_run_lines)
    return Exit.DONE if dry_run else exit_status.of_rollback(visit)


def _other_owner_warnings(store: Ownership, rollout: Rollout) -> list[str]:
    """Return a warning for each other rollout that owns a lock of the target by now."""
    with suppress(StoreError):  # 0 % is applied, and the owner makes no difference
        owners = {store.owner(lock) for lock in rollout.locks} - {None, rollout.id}
        return [
            f"{rollout.id} does not own {rollout.target} any more: this was the traffic of {owner}"
            for owner in sorted(map(str, owners))
        ]
    return []


def _lower_without_record(
    known_target: "KnownTarget",
    dry_run: bool,
    as_json: bool,
    *,
    typed: bool = False,
    force: bool = False,
) -> Exit:
    from controller.bootstrap.rollback import RollbackResult, lower_without_store

    logging.configure(dry_run=dry_run)
    try:
        with signals.defer_signals():
            result = lower_without_store(known_target, typed=typed, dry_run=dry_run, force=force)
    except TargetError as error:
        if dry_run:
            raise
        result = RollbackResult(confirmed=False, shown=str(error), dry_run_lines=[])
    for warning in result.warnings:
        click.echo(f"rolloutctl: warning: {warning}", err=True)
    if as_json:
        data = {
            "function": known_target.target.name,
            "confirmed": result.confirmed,
            "shown": result.shown,
            "recorded": False,
            "warnings": result.warnings,
        }
        options.print_json("rollback", {**data, "would": result.dry_run_lines} if dry_run else data)
    elif dry_run:
        options.print_dry_run(result.dry_run_lines)
    else:
        state = "0 % is in force" if result.confirmed else "NOT confirmed"
        click.echo(printable(f"{known_target.target.name}: {state}: {result.shown}"))
        for command in [] if result.confirmed else result.commands:
            click.echo(f"to lower both: {command}")
    return Exit.DONE if result.confirmed or dry_run else Exit.UNCONFIRMED
