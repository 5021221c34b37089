"""The verb `set-weight`: an operator sets the canary weight directly."""

import os
import shlex
from collections.abc import Sequence
from typing import Final

import click

from controller.bootstrap.direct_target import direct_target
from controller.cli import options, streams
from controller.cli.call import CommandContext, Result, is_policy_file, load_policy
from controller.core.observation import UpdateStatus
from controller.core.policy import TargetSpec
from controller.core.words.next_action import ways_out_of_drift
from controller.engine.exit_status import of_weight
from controller.errors import Exit, NoStoreError, UsageError, WriteRefusedError
from controller.immutable import Immutable, picked
from controller.operations.set_weight import SetWeightOutcome, set_without_store
from controller.operations.set_weight import set_weight as set_with_store
from controller.ports.json_view import Percent
from controller.process import signals
from controller.render.page import lines_page

_NO_STORE_WARNING: Final = (
    "without a store it is unknown whether a rollout is active; if there is a store, name it with "
    "--store"
)


class ReadingData(Immutable):
    """The weight of a target, as it was read."""

    weight: Percent | None
    """Percent on the canary; null: the settings contradict each other."""
    variables: str
    """The settings as they stand, for people."""
    update: UpdateStatus
    """Status of the last update of the target."""


class SetWeightData(Immutable):
    """A target after its weight was set."""

    target: str
    """Name of the resource that holds the weight."""
    requested: Percent
    """Percent that the command asked for."""
    applied: bool
    """Whether that percent was read back as applied."""
    written: bool
    """Whether anything was written; false: the weight was applied already."""
    before: ReadingData
    """The weight before."""
    live: ReadingData
    """The weight after."""
    paused: str | None
    """Id of the rollout that was paused for it; null: none was."""
    notes: Sequence[str]
    """What the operator should know."""


@click.command("set-weight")
@click.argument("policy", metavar="POLICY|ROLLOUT")
@click.argument("weight", type=options.Weight(), metavar="1..100")
@click.option(
    "--force", is_flag=True,
    help="Pause the active rollout of the target, record that, and set the weight.",
)  # fmt: skip
@click.option(
    "--reason", type=options.ONE_LINE_TEXT, default="",
    help="Why; recorded where a rollout is paused or a rolled back revision is raised.",
)  # fmt: skip
@options.call_options("by", "store", "dry-run", "json")
def set_weight(call: CommandContext, policy: str, weight: int, force: bool, reason: str) -> Result:
    """Set the weight to 1..100 and read it back.

    It is set in one write. A raise is written once, and only if the target was not changed since
    it was read; a lower weight is tried for five minutes. Refused while a rollout of that target is
    active, unless --force pauses it; `resume` with --keep or --restore continues it. A raise of a
    revision that was rolled back requires --reason. `rollback` sets 0%.

    Ends with 0 when the weight is applied, 3 when it is written and not applied yet, 6 when the
    weight was changed outside rolloutctl meanwhile.
    """
    if weight == 0:
        command = _rollback_command(call, policy, reason)
        raise UsageError(f"set-weight does not set 0%; nothing was written; run: {command}")
    try:
        return _set_with_store(call, policy, weight, force, reason)
    except NoStoreError as error:
        explicit_url = call.store_url or os.environ.get("ROLLOUTCTL_STORE")
        if explicit_url or not is_policy_file(policy):
            raise
        streams.warn(f"{error}; {_NO_STORE_WARNING}")
        call.configure_logs(dry_run=call.dry_run)
        target = load_policy(policy).target
        with signals.defer_signals():
            direct = direct_target(target, dry_run=call.dry_run)
            _check_overwrite(target, direct.overwritten)
            outcome = set_without_store(direct.target, weight, direct.clock)
        return _result(call, outcome, target, weight, direct.would)


def _rollback_command(call: CommandContext, reference: str, reason: str) -> str:
    """Return the rollback command with the same options, which sets 0%."""
    arguments = ["rolloutctl", "rollback", reference]
    arguments += ["--reason", reason] if reason else []
    arguments += ["--by", call.by] if call.by else []
    arguments += ["--store", call.store_url] if call.store_url else []
    arguments += ["--dry-run"] if call.dry_run else []
    arguments += ["--json"] if call.as_json else []
    return shlex.join(arguments)


def _set_with_store(
    call: CommandContext, reference: str, weight: int, force: bool, reason: str
) -> Result:
    with call.app_session() as app:
        if is_policy_file(reference):
            policy = load_policy(reference)
        else:
            store = app.runner.store
            policy = store.load(call.rollout_id(store, reference)).policy
        direct = direct_target(policy.target, dry_run=True)
        _check_overwrite(policy.target, direct.overwritten)
        outcome = set_with_store(app.runner, policy, weight, force=force, reason=reason)
    return _result(call, outcome, policy.target, weight, app.would or [])


def _check_overwrite(target: TargetSpec, overwritten: Sequence[str]) -> None:
    """Raise WriteRefusedError where the write would overwrite a value that is not a weight."""
    if overwritten:
        raise WriteRefusedError(
            f"{' and '.join(overwritten)} of {target.name} would be lost: "
            "the value is no weight, so the policy may name the wrong variable; "
            "nothing was written. If it is the right one, set it in AWS"
        )


# --- result -------------------------------------------------------------------------------------


def _result(
    call: CommandContext,
    outcome: SetWeightOutcome,
    target: TargetSpec,
    weight: int,
    left_out: Sequence[str],
) -> Result:
    """Return the result. left_out: the writes that a dry run left out."""
    for note in outcome.notes:
        streams.note(note)
    lines = [f"{target.name}: {_outcome_text(outcome, weight)}"]
    if (rollout := outcome.paused) is not None:
        lines.append(f"{rollout.id} is {rollout.phase}: {rollout.sentence}")
        may_exceed = outcome.live.may_exceed(rollout.weight)
        ways = ways_out_of_drift(rollout, outcome.live.weight, may_exceed=may_exceed)
        lines += [f"  {way}" for way in ways]
    only_left_out = call.dry_run and outcome.written
    return Result(
        "set-weight",
        data=lambda: SetWeightData(
            target=target.name,
            requested=weight,
            applied=outcome.live.has_applied(weight),
            written=outcome.written,
            before=picked(ReadingData, outcome.before),
            live=picked(ReadingData, outcome.live),
            paused=None if outcome.paused is None else outcome.paused.id,
            notes=outcome.notes,
        ),
        page=lambda: () if only_left_out else lines_page(lines),
        would=left_out if call.dry_run else None,
        status=Exit.DONE if call.dry_run else of_weight(weight, outcome.before, outcome.live),
    )


def _outcome_text(outcome: SetWeightOutcome, weight: int) -> str:
    live = outcome.live
    if not outcome.written:
        return f"{weight}% is applied already, nothing was written: {live.variables}"
    if live.has_applied(weight):
        return f"{weight}% is applied: {live.variables}; before: {outcome.before.variables}"
    detail = f": {live.detail}" if live.detail else ""
    if live.weight == weight:
        return f"{weight}% is written and NOT applied yet, the update is {live.update}{detail}"
    return f"{weight}% is NOT set; the target shows {live.variables}"
