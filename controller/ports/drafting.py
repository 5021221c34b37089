"""How a target is found in an account for `init`, before there is a policy."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Protocol

from controller.core.policy import TargetSpec
from controller.core.policy.kind_registry import KindError
from controller.core.policy.targets import TARGETS
from controller.immutable import Immutable
from controller.ports.account import Account


class Chooser(Protocol):
    """Asks a person to choose."""

    def choose(self, what: str, option: str, choices: Sequence[str]) -> str:
        """Return one of `choices`, which are more than one.

        option: gives the answer on the command line. Raises UsageError without a terminal.
        """


def one_of(chooser: Chooser, what: str, option: str, choices: Sequence[str]) -> str:
    """Return the only one of `choices`, or the one that `chooser` takes."""
    return choices[0] if len(choices) == 1 else chooser.choose(what, option, choices)


class FoundTarget(Immutable):
    """A target as an account has it.

    target: as the policy is to name it. weight: the live one; None: unclear. live: the target with
    what a start would find now; None: the same. notes: what to know, and what is in the way of a
    start.
    """

    target: TargetSpec
    weight: int | None
    live: TargetSpec | None = None
    notes: Sequence[str] = ()


class Finder(Protocol):
    """The function that a kind of target names in `drafted_by`."""

    def __call__(self, account: Account, names: Mapping[str, str], chooser: Chooser) -> FoundTarget:
        """Return the target that `names` name, and what the account has for the rest.

        names: options of `init`, by name, each of them checked. What several candidates fit is
        asked. Raises UsageError when a name is missing and cannot be found, or there is a choice
        and no terminal to ask on; TargetError when the target cannot be read.
        """


def drafted_kinds() -> dict[str, type[TargetSpec]]:
    """Return the kinds that `init` drafts a policy for, with their models."""
    models: dict[str, type[TargetSpec]] = {}
    for kind in TARGETS.names():
        with suppress(KindError):  # of a package that cannot be used here
            models[kind] = TARGETS.model(kind)
    return {kind: model for kind, model in models.items() if model.drafted_by}
