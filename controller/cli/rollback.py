"""The verb `rollback`: sends all traffic back to the stable path, with or without a store."""

from collections.abc import Sequence
from contextlib import suppress
from typing import Final, Literal

import click

from controller.bootstrap.rollback_without_store import (
    FirstWrite,
    KnownTarget,
    RollbackResult,
    bare_target,
    lower_without_store,
    policy_target,
    recorded_target,
    rollback_options,
    would_take_out,
    write_zero_first,
)
from controller.cli import options, streams
from controller.cli.call import CommandContext, Result, is_policy_file, load_policy
from controller.core.rollout import Phase, Rollout
from controller.engine import exit_status
from controller.engine.isolation import problem_of
from controller.engine.time_limits import LOAD_LIMIT
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
from controller.immutable import Immutable, picked
from controller.ports.store import Store
from controller.process import signals
from controller.render.page import lines_page
from controller.render.rollout_data import VisitData, visit_data
from controller.render.rollout_page import rollout_page
from controller.render.rollout_texts import REQUESTED

# What a tick does about a rollback that could not be recorded.
_UNRECORDED_HINT: Final = (
    "within five minutes after the store works again, a tick finds 0% and ends the rollout "
    "(reason found_at_zero); to record your reason, run the same command again then"
)
_DAMAGED_HINT: Final = (
    "the record of the rollout stays as it is, and no tick decides anything from it: restore the "
    "store from a backup; the next tick then finds 0% and ends the rollout"
)
# The rollback commands that need no store, for an incident in which the store is down as well.
_STORELESS_HINT: Final = (
    "without a store: rolloutctl rollback POLICY.yaml, or rolloutctl rollback with the names of "
    "the target (rolloutctl rollback --help)"
)

# Set in a context when the kinds of other packages are loaded.
_INSTALLED: Final = f"{__name__}.installed"


class RollbackData(VisitData):
    """The rollout after a rollback that went through the store."""

    recorded: bool
    """Whether the history has the rollback."""
    warnings: Sequence[str]
    """What should be looked at."""


class RequestedRollbackData(Immutable):
    """A rollback that is left to the next tick of the rollout."""

    rollout: str
    """Id of the rollout."""
    requested: bool
    """Whether the store has the request; false where the rollout goes back already."""


class BareRollbackData(Immutable):
    """A target after a rollback without a store."""

    target: str
    """Name of the resource that holds the weight."""
    confirmed: bool
    """Whether 0% was read back as applied."""
    variables: str
    """What holds the weight as it was read back, or why it was not."""
    recorded: Literal[False]
    """No history has the rollback."""
    warnings: list[str]
    """Why the names of the target may be wrong."""


class _RollbackCommand(click.Command):
    """A command whose options include the bare names of the kinds of target.

    Those of other packages are loaded when an option is unknown without them: a fault in such a
    package must not delay the rollback of another target.
    """

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        try:
            return super().parse_args(ctx, [*args])
        except click.NoSuchOption:
            ctx.meta[_INSTALLED] = True
            return super().parse_args(ctx, args)

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        params = super().get_params(ctx)
        names = rollback_options(installed=ctx.meta.get(_INSTALLED, False))
        bare = [click.Option([f"--{name.name}"], help=name.help) for name in names]
        return [params[0], *bare, *params[1:]]


@click.command(cls=_RollbackCommand)
@click.argument("rollout", required=False, metavar="[ROLLOUT|POLICY]")
@click.option(
    "--force",
    is_flag=True,
    help="With bare names: write 0% also where what they name is missing or has other values.",
)
@click.option(
    "--reason",
    type=options.ONE_LINE_TEXT,
    default=REQUESTED,
    show_default=True,
    help="Recorded in the history.",
)
@click.option(
    "--request",
    is_flag=True,
    help="Leave it to the next tick, which is all that a role of iam --for lower-only may do.",
)
@options.call_options("by", "store", "dry-run", "json")
def rollback(
    call: CommandContext,
    rollout: str | None,
    force: bool,
    reason: str,
    request: bool,
    **names: str | None,
) -> Result:
    """Set the weight to 0% and read it back.

    Regardless of locks and verdicts. Takes a rollout, a policy file, or bare names: the options
    below that begin with the kind of the target they name. Where the names of the target are known
    without the store, 0% is written before the store is opened.
    """
    given = {name: value for name, value in names.items() if value is not None}
    if given and rollout is not None:
        raise UsageError("name either a rollout or a target, not both")
    bare = bare_target(given) if given else None
    if request:
        if bare is not None or rollout is None:
            raise UsageError("--request is about a rollout: name it")
        return _request(call, rollout, "no reason given" if reason == REQUESTED else reason)
    if bare is not None:
        return _lower_without_record(call, KnownTarget(bare, ""), typed=True, force=force)
    if force:
        raise UsageError("--force is for bare names: give it with the names of a target")
    if rollout is None:
        raise UsageError("name a rollout, a policy file, or the names of a target")
    return _to_zero(call, rollout, reason or REQUESTED)


def _request(call: CommandContext, reference: str, reason: str) -> Result:
    """Leave the rollback of an open rollout to its next tick. Raises StoreError, UsageError."""
    with call.store_session() as store:
        rollout = store.load(call.rollout_id(store, reference))
        if rollout.final:
            raise UsageError(
                f"{rollout.id} is {rollout.phase}: a request is for a rollout that is not over"
            )
        is_new = rollout.phase is not Phase.ROLLING_BACK
        if is_new and not call.dry_run:
            store.request_rollback(rollout.id, f"{reason} (request of {call.read_settings().by})")
    text = f"{rollout.id}: the rollback is requested; the tick that visits it next carries it out"
    would = [f"request the rollback of {rollout.id}"]
    if not is_new:
        text, would = f"{rollout.id} is rolling back already", []
    return Result(
        "rollback",
        data=lambda: RequestedRollbackData(rollout.id, is_new and not call.dry_run),
        page=lambda: () if call.dry_run else lines_page([text]),
        would=would if call.dry_run else None,
    )


def _to_zero(call: CommandContext, reference: str, reason: str) -> Result:
    """Roll back the rollout of `reference`, where possible before the store is opened.

    The target is known from a policy file, or from the target file next to an SQLite store. Then
    0% is written whatever the store raises.
    Raises PolicyError, and RolloutError where the target is not known without the store.
    """
    known_target = _target_without_store(call, reference)
    first_write = FirstWrite()
    if known_target is not None and not call.dry_run:
        first_write = _lower_before_record(call, known_target)
    taken_out = first_write.taken_out
    if known_target is not None and call.dry_run:
        taken_out = would_take_out(known_target)
    if taken_out:
        streams.warn(taken_out)
    try:
        return _roll_back_in_store(call, reference, reason, first_write)
    except Exception as error:
        problem = problem_of(error, reference, "recording the rollback of")
        if known_target is None:
            problem.add_note(_STORELESS_HINT)
            raise problem from error
        streams.message(f"the rollback is not recorded: {problem}")
        result = _lower_without_record(call, known_target)
        if result.status is Exit.DONE and not call.dry_run:
            _print_record_hint(problem)
        return result


def _print_record_hint(problem: RolloutError) -> None:
    """Print what the next tick does about an unrecorded rollback, if the store has its rollout."""
    if isinstance(problem, UnknownRolloutError | NoStoreError):
        return
    damaged = isinstance(problem, StoreError) and is_record_error(problem)
    streams.message(_DAMAGED_HINT if damaged else _UNRECORDED_HINT)


def _target_without_store(call: CommandContext, reference: str) -> KnownTarget | None:
    """Return the target of `reference` as far as it is known without a store; None: it is not.

    Raises PolicyError for a policy file that cannot be used.
    """
    if is_policy_file(reference):
        try:
            policy = load_policy(reference)
        except PolicyError as error:
            error.add_note(_STORELESS_HINT)
            raise
        place = None
        with suppress(UsageError):  # as below
            place = call.read_settings().store
        return policy_target(place, policy)
    with suppress(UsageError):  # reported when the store is opened
        return recorded_target(call.read_settings().store, reference)
    return None


def _lower_before_record(call: CommandContext, known_target: KnownTarget) -> FirstWrite:
    """Write 0% to `known_target`, and print the result before the store is opened."""
    call.configure_logs()
    with signals.defer_signals():
        first_write = write_zero_first(known_target)
    name = known_target.target.name
    if first_write.problem:
        streams.message(f"0% is not written yet: {first_write.problem}")
    else:
        done = f"0% is written to {name} (before: {first_write.variables})"
        if first_write.before == 0:
            done = f"{name} had 0% already ({first_write.variables}); 0% is written again"
        streams.message(f"{done}; recording it now")
    return first_write


def _roll_back_in_store(
    call: CommandContext, reference: str, reason: str, first_write: FirstWrite
) -> Result:
    with call.app_session() as app:
        app.runner.limit_calls(LOAD_LIMIT)
        rollout_id = call.rollout_id(app.runner.store, reference)
        visit = app.runner.roll_back(rollout_id, reason, first_write.before)
        warnings = _other_owner_warnings(app.runner.store, visit.rollout)
        warnings += [visit.problem] if visit.saved and visit.problem else []
    status = exit_status.of_rollback(visit)
    for warning in warnings:
        streams.warn(warning)
    if not visit.saved:
        state = "is" if status is Exit.DONE else "is NOT yet"
        streams.message(f"0% {state} applied, but it could not be recorded: {visit.problem}")
        if status is Exit.DONE:
            streams.message(_UNRECORDED_HINT)

    repeated = f"{visit.rollout.id} was rolled back already"
    if visit.saved and not call.dry_run:
        done = "written and recorded" if first_write.written else "recorded"
        repeated += f"; 0% was {done} again"

    return Result(
        "rollback",
        data=lambda: picked(
            RollbackData, visit_data(visit), recorded=visit.saved, warnings=warnings
        ),
        page=lambda: rollout_page(visit.rollout),
        notes=[repeated] if visit.repeated else [],
        would=app.would,
        status=Exit.DONE if call.dry_run else status,
    )


def _other_owner_warnings(store: Store, rollout: Rollout) -> list[str]:
    """Return a warning for each other rollout that owns a lock of the target by now."""
    with suppress(StoreError):  # 0% is applied, and the owner makes no difference
        owners = {store.owner(lock) for lock in rollout.locks} - {None, rollout.id}
        return [
            f"{rollout.id} does not own {rollout.target} any more: the weight belonged to {owner}"
            for owner in sorted(map(str, owners))
        ]
    return []


def _lower_without_record(
    call: CommandContext, known_target: KnownTarget, *, typed: bool = False, force: bool = False
) -> Result:
    call.configure_logs(dry_run=call.dry_run)
    try:
        with signals.defer_signals():
            lowered = lower_without_store(
                known_target, typed=typed, dry_run=call.dry_run, force=force
            )
    except TargetError as error:
        lowered = RollbackResult(confirmed=False, variables=str(error), dry_run_lines=[])
    for warning in lowered.warnings:
        streams.warn(warning)
    name = known_target.target.name
    outcome = "0% is applied" if lowered.confirmed else "NOT confirmed"
    lines = [f"{name}: {outcome}: {lowered.variables}"]
    if not lowered.confirmed:
        lines += [f"to lower both: {command}" for command in lowered.commands]
    return Result(
        "rollback",
        data=lambda: BareRollbackData(
            name, lowered.confirmed, lowered.variables, recorded=False, warnings=lowered.warnings
        ),
        page=lambda: () if lowered.dry_run_lines else lines_page(lines),
        would=lowered.dry_run_lines if call.dry_run else None,
        status=Exit.DONE if lowered.confirmed or lowered.dry_run_lines else Exit.UNCONFIRMED,
    )
