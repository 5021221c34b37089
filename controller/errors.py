"""Every error that rolloutctl raises on purpose, and the exit statuses.

    RolloutError                 exit
      PolicyError                   2   the policy is wrong; nothing was changed
      UsageError                    2   the command cannot be executed; nothing was changed
      RolledBackError               4   rolled back, or set to 0% after its success: needs a reason
      MetricsError                  1   measurements could not be read
        MetricsRefusedError         1   CloudWatch refuses this request; it may accept a part of it
      LogsError                     1   log events could not be read
        NoLogGroupError             1   there is no such log group
      DeliveryError                 1   a message did not arrive
        RecipientNotListedError     1   the list of recipients does not allow it; nothing was sent
        MessageRefusedError         1   the channel will never take this message
      TargetError                   1   the weight could not be read or written
        NoAnswerError               1   the target did not answer
        WriteRefusedError           1   writing would lose settings; nothing was written
        WriteConflictError          1   the target changed under the write; nothing was written
        WriteUncertainError         1   no answer: the write may or may not have happened
      PageError                     2   a page could not be written
      MonitoringError               1   a monitoring stack or topic could not be read or changed
      StoreError                    1   rollouts could not be read or saved
        StateConflictError         75   another run saved first; safe to retry
        LeaseHeldError             75   another run has the lease; safe to retry
        StateChangedError           1   the state is not that of the history; nothing was raised
        TargetTakenError            2   another rollout owns the target
        NotOwnerError               1   the rollout does not own its target; nothing was moved
        UnknownRolloutError         2   no rollout has this id
        NoStoreError                2   there is no store at that place
      TickDeadlineError             1   the time of a tick was over before this rollout was visited
      UnexpectedError               1   a fault of rolloutctl, or a damaged record

Missing data is never an error: it is a finding.
"""

import re
from collections.abc import Sequence
from enum import IntEnum
from typing import Any, ClassVar, Final, Self

from controller.immutable import Immutable
from controller.safe_text import printable, printable_block


class Exit(IntEnum):
    """Exit statuses of `rolloutctl`; the README explains each to the on-call engineer."""

    DONE = 0
    INTERNAL = 1
    USAGE = 2
    UNDECIDED = 3
    ROLLED_BACK = 4
    UNCONFIRMED = 5
    DRIFT = 6
    CHECK_FAILED = 7
    BUSY = 75


class RolloutError(Exception):
    """The base of all errors of rolloutctl; `context` is logged as key-values, never parsed.

    The message is one printable line, whatever it quotes; `details` are further lines below it.
    explains_itself: the message says all that can be done, so it is shown without its code.
    """

    exit_status: ClassVar[Exit] = Exit.INTERNAL
    explains_itself: ClassVar[bool] = False

    def __init__(self, message: str, *details: str, **context: object) -> None:
        super().__init__(printable_block([message, *details]))
        self.context = context

    @classmethod
    def code(cls) -> str:
        """Return its code, which is its anchor in docs/troubleshooting.md: `error-no-store`.

        An error of another package has the code of the error that it extends.
        """
        kind = next(one for one in cls.__mro__ if one.__module__.startswith("controller."))
        words = re.findall("[A-Z][a-z]*", kind.__name__.removesuffix("Error"))
        return "-".join(["error", *words]).lower()


class Flaw(Immutable):
    """One mistake in a file, with its position.

    message: what is wrong. path: of the value in the document, like `steps[1].weight`; empty for
    the whole document. line, column: counted from 1; 0 for a mistake of the file as a whole.
    """

    file: str
    message: str
    line: int = 0
    column: int = 0
    path: str = ""

    @property
    def text(self) -> str:
        """The mistake without its position: `steps[1].weight: must be at most 100`."""
        return ": ".join(part for part in (self.path, self.message) if part)

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}:{self.column}" if self.line else self.file
        return printable(f"{place}: {self.text}" if self.text else place)


# More mistakes have a common cause, such as the wrong file.
_MAX_LISTED_FLAWS: Final = 50


def flaw_lines(flaws: Sequence[Flaw]) -> list[str]:
    """Return a line for each of the first mistakes, and one with the number of the others."""
    lines = [str(flaw) for flaw in flaws[:_MAX_LISTED_FLAWS]]
    more = len(flaws) - len(lines)
    return [*lines, f"and {more} more in {flaws[0].file}"] if more else lines


class PolicyError(RolloutError):
    """The policy is wrong; nothing was changed. The message has one line per mistake.

    flaws: the same mistakes with their positions; empty where there is no file.
    """

    exit_status = Exit.USAGE
    explains_itself = True

    def __init__(
        self, message: str, *details: str, flaws: Sequence[Flaw] = (), **context: object
    ) -> None:
        super().__init__(message, *details, **context)
        self.flaws = tuple(flaws)

    @classmethod
    def of(cls, *flaws: Flaw) -> Self:
        """Return the error that lists these mistakes, in their order and as far as people read."""
        first, *others = flaw_lines(flaws)
        return cls(first, *others, flaws=flaws, file=flaws[0].file, mistakes=len(flaws))


class UsageError(RolloutError):
    """The command cannot be executed as given; nothing was changed."""

    exit_status = Exit.USAGE
    explains_itself = True


class RolledBackError(RolloutError):
    """This revision was rolled back, or set to 0% after its success: a retry needs a reason."""

    exit_status = Exit.ROLLED_BACK


class MetricsError(RolloutError):
    """Measurements could not be read at all. denied: the role lacks the right to."""

    denied = False


class MetricsRefusedError(MetricsError):
    """CloudWatch refuses the request; it may accept a part of it."""


class LogsError(RolloutError):
    """Log events could not be read at all, or not completely."""


class NoLogGroupError(LogsError):
    """The log group does not exist: the function has not logged yet, or logs elsewhere."""


class DeliveryError(RolloutError):
    """A message did not arrive, or it is unknown whether it did."""


class RecipientNotListedError(DeliveryError):
    """The list of recipients does not give a policy what its channel or hook uses."""

    @classmethod
    def of(cls, name: str, recipient: str, resources: Sequence[str]) -> Self:
        """Return the error for the policy called `name`. resources: those that are not listed."""
        return cls(
            f"{recipient} was not used: the list of recipients in the store does not give "
            f"{name} the use of {', '.join(resources)}; if it should, add that: "
            "rolloutctl store recipients --set FILE",
            policy=name,
            resources=list(resources),
        )


class MessageRefusedError(DeliveryError):
    """The channel will never take this message; it is not sent there again."""


class TargetError(RolloutError):
    """The weight could not be read or written."""


class NoAnswerError(TargetError):
    """The target did not answer; a retry may succeed."""


class WriteRefusedError(TargetError):
    """Writing would be wrong or would lose settings; nothing was written."""


class WriteConflictError(TargetError):
    """The target changed under the write (409, 412); nothing was written."""


class WriteUncertainError(TargetError):
    """No answer came: the write may or may not have happened."""


class PageError(RolloutError):
    """A page could not be written; what was there before is still there."""

    exit_status = Exit.USAGE


class MonitoringError(RolloutError):
    """The monitoring stack of a policy, or a topic, could not be read or changed."""


class StoreError(RolloutError):
    """Rollouts could not be read or saved."""


def is_record_error(error: StoreError) -> bool:
    """Tell whether `error` is about the record of one rollout, and not about the whole store.

    Such a record is damaged, or has a format that this version does not read.
    """
    return "damaged" in error.context or "format" in error.context


class StateConflictError(StoreError):
    """Another run saved this rollout first; safe to retry."""

    exit_status = Exit.BUSY


class LeaseHeldError(StoreError):
    """Another run has the lease of this rollout; safe to retry.

    stored: the rollout, where the store has read it with the refusal; else None.
    """

    exit_status = Exit.BUSY
    stored: Any = None


class StateChangedError(StoreError):
    """The stored state of a rollout is not the one that its history ends with.

    changed: the names of the fields that differ.
    """

    changed: tuple[str, ...] = ()

    @classmethod
    def of(cls, rollout_id: str, fields: Sequence[str]) -> Self:
        """Return the error for a rollout. fields: the names of what differs."""
        names = ", ".join(fields)
        error = cls(
            f"the stored state of {rollout_id} is not the one that its history ends with "
            f"({names}), so nothing was raised; find out who wrote to the store. A tick puts back "
            "what it can, and pauses the rollout; else roll it back, or restore its record from a "
            "backup",
            rollout=rollout_id,
            fields=names,
        )
        error.changed = tuple(fields)
        return error


class TargetTakenError(StoreError):
    """Another rollout owns the target; the message names it."""

    exit_status = Exit.USAGE


class NotOwnerError(StoreError):
    """A rollout does not own its target, so it moves no traffic; the message names the owner."""

    @classmethod
    def of(cls, rollout_id: str, lock: str, owner: str | None) -> Self:
        """Return the error for a rollout without `lock`. owner: the rollout that has it, if any."""
        held = f"{owner} owns it" if owner else "it has no owner"
        return cls(
            f"{rollout_id} does not own {lock} ({held}), so nothing was moved; only a start takes "
            "a target: find out who wrote this record",
            rollout=rollout_id,
            lock=lock,
            **({"owner": owner} if owner else {}),
        )


class UnknownRolloutError(StoreError):
    """No rollout has this id."""

    exit_status = Exit.USAGE


class NoStoreError(StoreError):
    """There is no store at the given location."""

    exit_status = Exit.USAGE


class TickDeadlineError(RolloutError):
    """The time of a tick was over before this rollout was visited; the next tick begins with it."""


class UnexpectedError(RolloutError):
    """A fault of rolloutctl, or a record that it cannot handle; the problem of one rollout."""
