"""The verb `set-weight`: an operator sets the canary weight directly."""

import os
import shlex
from collections.abc import Sequence
from typing import Final

import click

from controller.cli import options
from controller.core.observation import TargetReading
from controller.core.policy import TargetSpec
from controller.engine.exit_status import of_weight
from controller.errors import Exit, NoStoreError, UsageError, WriteRefusedError
from controller.operations.set_weight import SetWeightOutcome, set_without_store
from controller.operations.set_weight import set_weight as set_with_store
from controller.process import logging, signals
from controller.text import printable

_NO_STORE_WARNING: Final = (
    "nobody can say whether a rollout is active, so none is asked; if rollouts are kept elsewhere, "
    "name that with --store"
)


@click.command("set-weight")
@click.argument("policy", metavar="POLICY|ROLLOUT")
@click.argument("weight", type=click.IntRange(0, 100), metavar="1..100")
@click.option(
    "--force", is_flag=True,
    help="Pause the active rollout that owns the target, write that down, and set the weight.",
)  # fmt: skip
@click.option(
    "--reason", type=options.OneLineText(), default="",
    help="Why; written into the history where a rollout is paused.",
)  # fmt: skip
@options.by
@options.store
@options.dry_run
@options.as_json
def set_weight(
    policy: str,
    weight: int,
    force: bool,
    reason: str,
    by: str | None,
    store_url: str | None,
    dry_run: bool,
    as_json: bool,
) -> int:
    """Set the weight by hand and read it back.

    Both variables are set in one write. A raise is written once, under what was read; a lower
    weight is tried for five minutes. An active rollout of that target is left alone unless --force
    is given; `resume` with --keep or --restore goes on afterwards. `rollback` sets 0 %.

    Ends with 0 when the weight is in force, 3 when it is written and not in force yet, 6 when
    another hand set another one meanwhile.
    """
    if weight == 0:
        command = _rollback(policy, reason, by, store_url, dry_run, as_json)
        raise UsageError(f"set-weight does not set 0 %; nothing was written; run: {command}")
    try:
        outcome, target, dry_run_lines = _set_with_store(
            policy, weight, force, reason, by, store_url, dry_run
        )
    except NoStoreError as error:
        explicit_url = store_url or os.environ.get("ROLLOUTCTL_STORE")
        if explicit_url or not options.is_policy_file(policy):
            raise
        click.echo(f"rolloutctl: warning: {error}; {_NO_STORE_WARNING}", err=True)
        outcome, target, dry_run_lines = _set_without_store(policy, weight, dry_run)
    _print(outcome, target, weight, dry_run_lines if dry_run else None, as_json)
    return Exit.DONE if dry_run else of_weight(weight, outcome.before, outcome.live)


def _rollback(
    reference: str, reason: str, by: str | None, store_url: str | None, dry_run: bool, as_json: bool
) -> str:
    """Return the rollback command with the same options, which sets 0 %."""
    arguments = ["rolloutctl", "rollback", reference]
    arguments += ["--reason", reason] if reason else []
    arguments += ["--by", by] if by else []
    arguments += ["--store", store_url] if store_url else []
    arguments += ["--dry-run"] if dry_run else []
    arguments += ["--json"] if as_json else []
    return shlex.join(arguments)


def _set_with_store(
    reference: str,
    weight: int,
    force: bool,
    reason: str,
    by: str | None,
    store_url: str | None,
    dry_run: bool,
) -> tuple[SetWeightOutcome, TargetSpec, list[str]]:
    from controller.bootstrap.without_rollout import direct_target

    with options.app_session(store_url, dry_run=dry_run, by=by, ask_caller=True) as app:
        policy = options.policy_of(app.runner.store, reference)
        _check_overwrite(policy.target, direct_target(policy.target, dry_run=True).overwritten)
        outcome = set_with_store(app.runner, policy, weight, force=force, reason=reason)
        return outcome, policy.target, [] if app.journal is None else app.journal.lines


def _set_without_store(
    policy: str, weight: int, dry_run: bool
) -> tuple[SetWeightOutcome, TargetSpec, list[str]]:
    from controller.bootstrap.without_rollout import direct_target

    logging.configure(dry_run=dry_run)
    target = options.load_policy(policy).target
    with signals.defer_signals():
        direct = direct_target(target, dry_run=dry_run)
        _check_overwrite(target, direct.overwritten)
        return set_without_store(direct.target, weight, direct.clock), target, direct.journal.lines


def _check_overwrite(target: TargetSpec, overwritten: Sequence[str]) -> None:
    """Raise WriteRefusedError where the write would overwrite a value that is not a weight."""
    if overwritten:
        raise WriteRefusedError(
            f"{' and '.join(overwritten)} of {target.name} would be lost: "
            "what it holds is no weight, so the policy may name the wrong variable; "
            "nothing was written. If it is the right one, set it by hand"
        )


# --- result -------------------------------------------------------------------------------------


def _print(
    outcome: SetWeightOutcome,
    target: TargetSpec,
    weight: int,
    dry_run_lines: list[str] | None,
    as_json: bool,
) -> None:
    for note in outcome.notes:
        click.echo(printable(f"rolloutctl: note: {note}"), err=True)
    if as_json:
        data = _outcome_data(outcome, target, weight)
        if dry_run_lines is not None:
            data["would"] = dry_run_lines
        options.print_json("set-weight", data)
        return
    if dry_run_lines is not None and outcome.written:
        options.print_dry_run(dry_run_lines)
        return
    click.echo(printable(f"{target.name}: {_outcome_text(outcome, weight)}"))
    if outcome.paused is not None:
        rollout = outcome.paused
        click.echo(
            f"{rollout.id} is {rollout.phase}: {rollout.sentence}; "
            f"to go on: rolloutctl resume {rollout.id} with --keep or --restore; "
            f"to end it: rolloutctl rollback {rollout.id}"
        )


def _outcome_text(outcome: SetWeightOutcome, weight: int) -> str:
    live = outcome.live
    if not outcome.written:
        return f"{weight} % is in force already, nothing was written: {live.shown}"
    if live.has_applied(weight):
        return f"{weight} % is in force: {live.shown}; before: {outcome.before.shown}"
    detail = f": {live.detail}" if live.detail else ""
    if live.weight == weight:
        return f"{weight} % is written and NOT in force, the update is {live.update}{detail}"
    return f"{weight} % is NOT set; it shows {live.shown}"


def _outcome_data(outcome: SetWeightOutcome, target: TargetSpec, weight: int) -> dict[str, object]:
    return {
        "function": target.name,
        "asked": weight,
        "in_force": outcome.live.has_applied(weight),
        "written": outcome.written,
        "before": _reading_data(outcome.before),
        "live": _reading_data(outcome.live),
        "paused": None if outcome.paused is None else outcome.paused.id,
        "notes": list(outcome.notes),
    }


def _reading_data(reading: TargetReading) -> dict[str, object]:
    return {"weight": reading.weight, "shown": reading.shown, "update": str(reading.update)}
