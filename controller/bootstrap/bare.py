"""Rolling back by bare names: without a policy, and without any store."""

from contextlib import suppress
from dataclasses import dataclass, field

from pydantic import ValidationError

from controller.adapters.aws import Clients
from controller.adapters.dry_run import DryRunTarget, Journal
from controller.adapters.lambda_env import LambdaEnvTarget
from controller.bootstrap import wall_clock
from controller.by_hand import command, lower_and_confirm
from controller.core.policy import LambdaEnv
from controller.core.policy.wording import message
from controller.errors import TargetError, UsageError


@dataclass(frozen=True, slots=True)
class Lowered:
    """What became of a bare rollback: confirmed, what the target shows, what a dry run would do.

    doubts: why the variables may be the wrong ones. commands: what lowers those, too, that were
    left on and look as if they belonged to them.
    """

    confirmed: bool
    shown: str
    would: list[str]
    doubts: list[str] = field(default_factory=list)
    commands: list[str] = field(default_factory=list)


def bare_target(function: str, percentage: str, boolean: str | None) -> LambdaEnv:
    """Return a target from bare names. Raises UsageError when a name cannot be one."""
    try:
        return LambdaEnv(
            kind="lambda-env", function=function, percentage=percentage, boolean=boolean
        )
    except ValidationError as error:
        wrong = "; ".join(f"--{item['loc'][0]}: {message(item)}" for item in error.errors())
        raise UsageError(f"this names no target: {wrong}") from error


def lower_bare(target: LambdaEnv, *, typed: bool, dry_run: bool) -> Lowered:
    """Set `target` to 0 % without any store, and read it back for as long as that may take.

    typed: a person gave the names by hand, who may have mistyped or forgotten one. UsageError then
    when they are not on the function; and what looks as if it belonged to them and is left on makes
    it unconfirmed. Raises TargetError when it cannot be lowered or read.
    """
    clock = wall_clock()
    real = LambdaEnvTarget(Clients().get("lambda"), target, clock)
    journal = Journal()
    opened = DryRunTarget(real, target.function, journal) if dry_run else real
    doubts: _Doubts | None = None
    with suppress(TargetError):  # lowering tries longer, and says what is wrong
        doubts = _doubts(real, target, typed=typed)
    reading = lower_and_confirm(opened, clock)
    if doubts is None:
        doubts = _doubts(real, target, typed=typed)
    confirmed = reading.stands_at(0) and not (typed and doubts.commands)
    return Lowered(confirmed, reading.shown, journal.lines, doubts.texts, doubts.commands)


@dataclass(frozen=True, slots=True)
class _Doubts:
    texts: list[str]
    commands: list[str]


def _doubts(opened: LambdaEnvTarget, target: LambdaEnv, *, typed: bool) -> _Doubts:
    """Return what is doubtful about the names of `target`. Raises as `lower_bare` says."""
    texts, commands, refused = list[str](), list[str](), False
    for doubt in opened.doubts():
        text = doubt.text
        if doubt.left_on:
            commands.append(command(target.model_copy(update={"boolean": doubt.left_on})))
            text += f"; if it does: {commands[-1]}"
        texts.append(text)
        refused = refused or doubt.mistaken
    if typed and refused:
        raise UsageError(f"nothing was lowered: {'; '.join(texts)}")
    return _Doubts(texts, commands)
