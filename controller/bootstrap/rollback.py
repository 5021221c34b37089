"""Rolling back by bare names: without a policy, and without any store."""

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

from pydantic import ValidationError

from controller.adapters.aws.clients import Clients
from controller.adapters.dry_run import DryRunTarget, Journal
from controller.adapters.stores.sqlite.targets_file import KnownTarget as KnownTarget
from controller.adapters.stores.sqlite.targets_file import read_targets
from controller.adapters.targets.lambda_env import LambdaEnvTarget
from controller.bootstrap.app import wall_clock
from controller.core.observation import TargetReading
from controller.core.policy import LambdaEnv
from controller.core.policy.check.wording import message
from controller.engine.direct_write import lower_and_confirm, rollback_command
from controller.engine.isolation import problem_of
from controller.errors import TargetError, UsageError, WriteRefusedError
from controller.process.settings import SqliteLocation, StoreLocation

# So long a rollback insists before it looks for its record, which insists again.
FIRST_WITHIN: Final = timedelta(seconds=8)


@dataclass(frozen=True, slots=True)
class RollbackResult:
    """What became of a bare rollback: confirmed, what the target shows, what a dry run would do.

    doubts: why the variables may be the wrong ones. commands: what lowers those, too, that were
    left on and look as if they belonged to them.
    """

    confirmed: bool
    shown: str
    dry_run_lines: list[str]
    warnings: list[str] = field(default_factory=list)
    commands: list[str] = field(default_factory=list)


def bare_target(function: str, percentage: str, boolean: str | None) -> LambdaEnv:
    """Return a target from bare names. Raises UsageError when a name cannot be one."""
    if percentage == boolean:
        raise UsageError(
            f"--percentage and --boolean both name {percentage}: they are two variables; leave "
            "--boolean out where the application has only one"
        )
    try:
        return LambdaEnv(
            kind="lambda-env", function=function, percentage=percentage, boolean=boolean
        )
    except ValidationError as error:
        wrong = "; ".join(f"--{item['loc'][0]}: {message(item)}" for item in error.errors())
        raise UsageError(f"this names no target: {wrong}") from error


@dataclass(frozen=True, slots=True)
class FirstWrite:
    """What the first write of a rollback came to, which is made before any store is opened.

    before: the weight that was live; None: unknown. shown: its variables. problem: why 0 % was
    not written; empty when it was.
    """

    before: int | None = None
    shown: str = ""
    problem: str = ""


def write_zero_first(known: KnownTarget) -> FirstWrite:
    """Write 0 % to a target by its names alone, once, and return what came of it; never raises.

    It is written where 0 % stands too: a first raise that is on its way fits no more then. Names
    that do not fit the function are left to the record of the rollout, which has the right ones.
    """
    try:
        real = LambdaEnvTarget(Clients().get("lambda"), known.target, wall_clock())
        before = real.read()
        _check_identity(before, known)
        if foreign := [doubt.text for doubt in real.name_warnings() if doubt.foreign]:
            return FirstWrite(problem="; ".join(foreign))
        real.lower_to_zero(
            FIRST_WITHIN, void=before.token, check=lambda found: _check_identity(found, known)
        )
    except Exception as error:  # noqa: BLE001 - what comes next tries again, and longer
        return FirstWrite(problem=str(problem_of(error, known.target.function, "lowering")))
    return FirstWrite(before.weight, before.shown)


def _check_identity(reading: TargetReading, known: KnownTarget) -> None:
    """Raise WriteRefusedError when another account or region answers than that of the rollout."""
    if known.identity and reading.identity != known.identity:
        raise WriteRefusedError(
            f"these credentials reach {reading.identity}, but the rollout is on {known.identity}; "
            "nothing is written: use credentials for that account and region, and run it again"
        )


def lower_without_store(
    known: KnownTarget, *, typed: bool, dry_run: bool, force: bool = False
) -> RollbackResult:
    """Set the target of `known` to 0 % without any store, and read it back.

    typed: a person gave the names by hand, who may have mistyped or forgotten one. UsageError then
    when they are not on the function or hold something else, unless `force`; and what looks as if
    it belonged to them and is left on makes it unconfirmed. Raises WriteRefusedError when another
    account or region answers than that of the rollout, or the names cannot be those of a weight,
    and TargetError when it cannot be lowered or read.
    """
    target = known.target
    clock = wall_clock()
    real = LambdaEnvTarget(Clients().get("lambda"), target, clock)
    journal = Journal()
    opened = DryRunTarget(real, target.function, journal) if dry_run else real
    doubts: _NameWarnings | None = None
    try:
        _check_identity(real.read(), known)
        doubts = _name_warnings(real, target, typed=typed, force=force)
    except WriteRefusedError:
        raise
    except TargetError:  # lowering tries longer, and says what is wrong
        pass
    reading = lower_and_confirm(opened, clock, lambda found: _check_identity(found, known))
    if doubts is None:
        doubts = _name_warnings(real, target, typed=typed, force=force)
    confirmed = reading.has_applied(0) and not (typed and doubts.commands)
    return RollbackResult(confirmed, reading.shown, journal.lines, doubts.texts, doubts.commands)


@dataclass(frozen=True, slots=True)
class _NameWarnings:
    texts: list[str]
    commands: list[str]


def _name_warnings(
    opened: LambdaEnvTarget, target: LambdaEnv, *, typed: bool, force: bool
) -> _NameWarnings:
    """Return what is doubtful about the names of `target`.

    Raises UsageError for names that look mistyped, WriteRefusedError for those of a policy that
    cannot hold a weight, and TargetError when it cannot be read.
    """
    texts, commands, mistyped, foreign = list[str](), list[str](), False, False
    for doubt in opened.name_warnings():
        text = doubt.text
        if doubt.left_on:
            commands.append(rollback_command(target.model_copy(update={"boolean": doubt.left_on})))
            text += f"; if it does: {commands[-1]}"
        texts.append(text)
        mistyped = mistyped or (typed and doubt.mistaken)
        foreign = foreign or (not typed and doubt.foreign)
    if mistyped and not force:
        raise UsageError(f"nothing was lowered: {'; '.join(texts)}")
    if foreign:
        raise WriteRefusedError(f"nothing was lowered: {'; '.join(texts)}; check the policy")
    return _NameWarnings(texts, commands)


def recorded_target(place: StoreLocation, given: str) -> KnownTarget | None:
    """Return what the store at `place` has left beside it about a rollout, if anything.

    given: an id, or a name, which stands for its newest attempt. A table leaves nothing beside it.
    """
    if not isinstance(place, SqliteLocation):
        return None
    known = read_targets(place.path)
    if given in known:
        return known[given]
    attempts = {
        int(attempt): rollout_id
        for rollout_id in known
        for name, _, attempt in [rollout_id.rpartition("#")]
        if name == given and attempt.isascii() and attempt.isdecimal()
    }
    return known[attempts[max(attempts)]] if attempts else None
