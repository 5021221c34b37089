"""What an operator can do with a rollout now: the verbs that its phase allows, as commands."""

from collections.abc import Collection
from enum import StrEnum
from typing import Final

import click

from controller.cli import VERBS, command_of
from controller.core.commands import allowed_verbs
from controller.core.events import Verb
from controller.core.policy import Attestation
from controller.core.rollout import Phase, Rollout
from controller.errors import UsageError
from controller.immutable import Immutable


class Button(StrEnum):
    """The verbs that can have a button; any other is typed on a terminal.

    The first three never let more traffic onto the canary.
    """

    ROLLBACK = "rollback"
    PAUSE = "pause"
    ACK = "ack"
    RESUME = "resume"
    PROMOTE = "promote"
    APPROVE = "approve"


_LABELS: Final = {"rollback": "roll back", "ack": "acknowledge"}
# What a command takes between the rollout and its reason.
_ARGUMENTS: Final = {"attest": " CRITERION", "set-weight": " WEIGHT"}


class Act(Immutable):
    """One thing that can be done. command: the whole command line.

    option: the name of its reason, without dashes; required: whether it takes none without one.
    has_button: whether this dashboard may do it.
    """

    verb: str
    label: str
    summary: str
    command: str
    option: str
    required: bool
    has_button: bool


def acts_of(rollout: Rollout, allowed: Collection[Button], suffix: str = "") -> list[Act]:
    """Return what can be done with `rollout` now. suffix: of each command, such as the store."""
    verbs = [str(verb) for verb in allowed_verbs(rollout) if _has_use(rollout, verb)]
    if rollout.phase is Phase.ROLLED_BACK:
        verbs.append("retry")
    names = set(map(str, allowed))
    return [_act(rollout, verb, verb in names, suffix) for verb in verbs]


def _has_use(rollout: Rollout, verb: Verb) -> bool:
    """Tell whether the policy of `rollout` has something that `verb` is for."""
    if verb is Verb.APPROVE:
        step = rollout.step + 1
        needed = not rollout.is_last_step and rollout.policy.needs_approval(step)
        return needed and rollout.approved != step
    if verb is Verb.ATTEST:
        return any(isinstance(one, Attestation) for one in rollout.policy.criteria.values())
    return True


def _act(rollout: Rollout, verb: str, has_button: bool, suffix: str) -> Act:
    option, (_, summary) = _reason_option(verb), VERBS[verb]
    command = f"rolloutctl {verb} {rollout.id}{_ARGUMENTS.get(verb, '')} {option.opts[0]} TEXT"
    return Act(
        verb=verb,
        label=_LABELS.get(verb, verb).capitalize(),
        summary=summary,
        command=f"{command}{suffix}",
        option=_name(option),
        required=option.required,
        has_button=has_button,
    )


def reason_of(verb: str, text: str) -> str:
    """Return `text` as the command of `verb` takes it for a reason. Raises UsageError."""
    option = _reason_option(verb)
    try:
        given = option.process_value(click.Context(command_of(verb)), text)
        return str(given or option.default)
    except click.BadParameter as error:
        raise UsageError(f"{verb} was refused: its {_name(option)} {error.message}") from error


def _reason_option(verb: str) -> click.Option:
    """Return the option of the command that takes a reason, by its name there."""
    options = [one for one in command_of(verb).params if isinstance(one, click.Option)]
    return next(one for one in options if one.name == "reason")


def _name(option: click.Option) -> str:
    return option.opts[0].removeprefix("--")
