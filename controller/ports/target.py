"""The target of a rollout: what holds the weight, and whether a change of it reaches traffic.

The last part is how a target is found in an account for `init`, before there is a policy.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import timedelta
from typing import Final, Protocol, TypeAlias

from controller.core.observation import TargetReading, UnreadableTarget
from controller.core.policy import Policy, TargetSpec
from controller.core.policy.kind_registry import KindError
from controller.core.policy.targets import TARGETS
from controller.core.rollout import Rollout
from controller.errors import TargetError, UsageError, WriteRefusedError
from controller.immutable import Immutable
from controller.ports.account import Account


class Obstacle(Immutable):
    """A reason why a change of a target may not reach traffic.

    fatal: the change certainly does not reach it. unread: unknown, because the service that knows
    did not answer. remedy: what to do about a fatal one.
    """

    fatal: bool
    text: str
    unread: bool = False
    remedy: str = "until that is changed, the weight has no effect"


class NameWarning(Immutable):
    """Why 0% in the settings of a target may not be 0% of traffic.

    mistaken: the name is probably wrong: there is no such setting (and no other one of the target
    sets a weight), or its value has the wrong type and would be overwritten.
    foreign: the same, and certain: no rollout can have left the setting like this.
    left_on: the setting that may still send all traffic to the canary; empty: none.
    command: the rollback that lowers it as well; empty: none.
    """

    text: str
    mistaken: bool = False
    foreign: bool = False
    left_on: str = ""
    command: str = ""


def unreadable(error: TargetError) -> UnreadableTarget:
    """Return why a target cannot be read, from the error of its `read`."""
    return UnreadableTarget(str(error), permanent=isinstance(error, WriteRefusedError))


ReadingCheck: TypeAlias = Callable[[TargetReading], object]
"""Gets the reading before each write; an exception of it ends the attempts."""


class Target(Protocol):
    """Holds the weight of a rollout, such as the environment variable of a Lambda function."""

    def read(self) -> TargetReading:
        """Return the current weight.

        Raises TargetError when the target does not answer, and WriteRefusedError when its answer
        lacks the settings that a later write would have to keep.
        """

    def shift_to(self, weight: int, token: str) -> None:
        """Write `weight` once, only if the target still has `token`.

        Raises WriteRefusedError or WriteConflictError (nothing was written), or
        WriteUncertainError (no answer).
        """

    def lower_to_zero(
        self, within: timedelta, *, outdated_token: str = "", check: ReadingCheck | None = None
    ) -> None:
        """Write weight 0 over any other weight, trying again until it is accepted.

        outdated_token: the token of a raise to outdate: while the target has it, 0 is written even
            where the weight is 0 already, and a raise under this token is refused from then on.
        Raises WriteRefusedError at once when writing would lose settings, TargetError when
        `within` is over.
        """


class InspectableTarget(Target, Protocol):
    """A target that can be read, written and checked before a start."""

    def obstacles(self) -> Sequence[Obstacle]:
        """Return what keeps a change from traffic, worst first.

        A check that could not be made is an obstacle too.
        """

    def resolved(self, earlier: TargetSpec | None) -> TargetSpec:
        """Return the target with what its policy leaves to the account.

        Only called where `TargetSpec.unresolved` is true. earlier: the target of the newest rollout
        of the policy. Raises UsageError where there is nothing to roll out, and what `read` raises.
        """
        raise UsageError("the policy of this kind of target leaves nothing to the account")

    def check_lowering(self) -> None:
        """Raise WriteRefusedError where 0% would be refused by what the target shows.

        Raises what `read` raises.
        """
        return

    def foreign_values(self) -> Sequence[str]:
        """Return the settings whose values are no weight and would be overwritten.

        Raises what `read` raises.
        """
        return ()

    def name_warnings(self) -> Sequence[NameWarning]:
        """Return why the names of the settings may be wrong. Raises what `read` raises."""
        return ()

    def encryption_key(self) -> str:
        """Return the ARN of the customer managed key of its settings; empty without one.

        Raises TargetError when AWS does not answer.
        """
        return ""

    def log_group(self) -> str:
        """Return the CloudWatch log group that the application logs to.

        Raises UsageError when the target has none, LogsError when AWS does not say.
        """
        raise UsageError(
            "this kind of target has no log group: name one in `verify_rollback.log_group`"
        )


class ObservedTarget(InspectableTarget, Protocol):
    """A target that is only read: something else moves its weight, and rolloutctl answers."""

    def shift_to(self, weight: int, token: str) -> None:
        """Raise WriteRefusedError: only an operator's command comes here."""
        raise WriteRefusedError(f"{weight}% was not set: {_OBSERVED}")

    def lower_to_zero(
        self, within: timedelta, *, outdated_token: str = "", check: ReadingCheck | None = None
    ) -> None:
        """Raise WriteRefusedError: only an operator's command comes here."""
        raise WriteRefusedError(f"0% was not set: {_OBSERVED}")

    def obstacles(self) -> Sequence[Obstacle]:
        """Return none: nothing is written here."""
        return ()


_OBSERVED: Final = "rolloutctl only observes this kind of target; set it where its weight is moved"

TargetFactory: TypeAlias = Callable[[TargetSpec], InspectableTarget]


def resolve_policy(policy: Policy, targets: TargetFactory, newest: Rollout | None = None) -> Policy:
    """Return `policy` with what it leaves to the account: as a start now would store it.

    newest: the newest rollout of the policy, which may know a version that the account no longer
        shows.
    Raises UsageError where the account has nothing to roll out, and what `Target.read` raises.
    """
    target = policy.target
    if target.unresolved:
        target = targets(target).resolved(None if newest is None else newest.policy.target)
    return policy.resolved(target)


# --- Before there is a policy ---------------------------------------------------------------------


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
