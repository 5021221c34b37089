"""What an operator can do with a rollout now: the verbs that its phase allows, as commands."""

from collections.abc import Collection
from enum import StrEnum
from typing import Final

import click

from controller.cli import VERBS, command_of
from controller.core.commands import allowed_verbs
from controller.core.events import Verb
from controller.core.policy import Attestation
from controller.core.rollout import Rollout
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


# What a command takes between the rollout and its reason.
_ARGUMENTS: Final = {Verb.ATTEST: " CRITERION", Verb.SET_WEIGHT: " WEIGHT"}


class Act(Immutable):
    """One thing that can be done. command: the whole command line.

    option: the name of its reason, without dashes; required: whether it takes none without one.
    has_button: whether this dashboard may do it.
    """

    verb: Verb
    summary: str
    command: str
    option: str
    required: bool
    has_button: bool


def acts_of(rollout: Rollout, allowed: Collection[Button], suffix: str = "") -> list[Act]:
    """Return what can be done with `rollout` now. suffix: of each command, such as the store."""
    names = set(map(str, allowed))
    return [
        _act(rollout, verb, str(verb) in names, suffix)
        for verb in allowed_verbs(rollout)
        if _has_use(rollout, verb)
    ]


def _has_use(rollout: Rollout, verb: Verb) -> bool:
    """Tell whether the policy of `rollout` has something that `verb` is for."""
    if verb is Verb.APPROVE:
        step = rollout.step + 1
        needed = not rollout.is_last_step and rollout.policy.needs_approval(step)
        return needed and rollout.approved != step
    if verb is Verb.ATTEST:
        return any(isinstance(one, Attestation) for one in rollout.policy.criteria.values())
    return True


def _act(rollout: Rollout, verb: Verb, has_button: bool, suffix: str) -> Act:
    option = _reason_option(verb)
    command = f"rolloutctl {verb} {rollout.id}{_ARGUMENTS.get(verb, '')} {option.opts[0]} TEXT"
    _, summary = VERBS[verb]
    name = option.opts[0].removeprefix("--")
    return Act(verb, summary, f"{command}{suffix}", name, option.required, has_button)


def reason_of(verb: Verb, text: str) -> str:
    """Return `text` as the command of `verb` takes it for a reason. Raises UsageError."""
    option = _reason_option(verb)
    default = option.default if isinstance(option.default, str) else ""
    try:
        context = click.Context(command_of(verb))
        return str(option.process_value(context, text or None) or default)
    except click.BadParameter as error:
        raise UsageError(f"{verb} was refused: {error.format_message()}") from error
    except click.MissingParameter as error:
        raise UsageError(f"{verb} was refused: say why; it is recorded in the history") from error


def _reason_option(verb: Verb) -> click.Option:
    """Return the option of the command that takes a reason, by its name there."""
    options = [one for one in command_of(verb).params if isinstance(one, click.Option)]
    return next(one for one in options if one.name == "reason")
