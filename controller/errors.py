"""Every error this package raises on purpose, and the exit statuses.

    RolloutError                 exit
      PolicyError                   2   the policy is wrong; nothing was touched
      UsageError                    2   the command cannot be carried out; nothing was touched
      RolledBackError               4   rolled back, or taken back after its success: needs a reason
      MetricsError                  1   measurements could not be read
        MetricsRefusedError         1   CloudWatch does not take this request; another one it may
      LogsError                     1   log events could not be read
        NoLogGroupError             1   there is no such log group
      DeliveryError                 1   a message did not arrive
      TargetError                   1   traffic could not be read or moved
        WriteRefusedError           1   writing would lose something; nothing was written
        WriteConflictError          1   the target changed under the write; nothing was written
        WriteUncertainError         1   no answer: the write may or may not have happened
      MonitoringError               1   a stack or a topic that watches could not be read or changed
      StoreError                    1   rollouts could not be read or saved
        StateConflictError         75   another run saved first; safe to run again
        LeaseHeldError             75   another run has the rollout; safe to run again
        TargetTakenError            2   another rollout owns the target
        UnknownRolloutError         2   no rollout has this id
        NoStoreError                2   there is no store at that place
      NotReachedError               1   a tick's time was over before this rollout's turn
      UnexpectedError               1   a fault of this program, or a damaged record

Absence of data is never an error: it is a finding.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import ClassVar, Self

from controller.text import printable, printable_block


class Exit(IntEnum):
    """Exit statuses of `rolloutctl`; the README explains each to the person on call."""

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
    """Base of the hierarchy; `context` is logged as key-values, never parsed.

    The message is one printable line, whatever it quotes; `below` it stand lines of a list.
    """

    exit_status: ClassVar[Exit] = Exit.INTERNAL

    def __init__(self, message: str, *details: str, **context: object) -> None:
        super().__init__(printable_block([message, *details]))
        self.context = context


@dataclass(frozen=True, slots=True)
class Flaw:
    """One mistake in a file, and the place where it was written.

    line, column: counted from 1; 0 where it is about the file as a whole.
    """

    file: str
    text: str
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}:{self.column}" if self.line else self.file
        return printable(f"{place}: {self.text}" if self.text else place)


class PolicyError(RolloutError):
    """The policy is wrong; nothing was touched. The message has one line per mistake.

    flaws: the same mistakes with their places, as far as there is a file.
    """

    exit_status = Exit.USAGE

    def __init__(
        self, message: str, *details: str, flaws: Sequence[Flaw] = (), **context: object
    ) -> None:
        super().__init__(message, *details, **context)
        self.flaws = tuple(flaws)

    @classmethod
    def of(cls, *flaws: Flaw) -> Self:
        """Return the error that tells these mistakes, in their order."""
        first, *others = map(str, flaws)
        return cls(first, *others, flaws=flaws, file=flaws[0].file, mistakes=len(flaws))


class UsageError(RolloutError):
    """The command cannot be carried out as asked; nothing was touched."""

    exit_status = Exit.USAGE


class RolledBackError(RolloutError):
    """This revision was rolled back, or taken back to 0 after its success: it needs a reason."""

    exit_status = Exit.ROLLED_BACK


class MetricsError(RolloutError):
    """Measurements could not be read at all."""


class MetricsRefusedError(MetricsError):
    """CloudWatch does not take what was asked; without a part of it, it may."""


class LogsError(RolloutError):
    """Log events could not be read at all, or not to their end."""


class NoLogGroupError(LogsError):
    """There is no such log group: the function has not logged yet, or logs elsewhere."""


class DeliveryError(RolloutError):
    """A message did not arrive, or nobody can say whether it did."""


class TargetError(RolloutError):
    """Traffic could not be read or moved."""


class WriteRefusedError(TargetError):
    """Writing would be wrong or would lose something; nothing was written."""


class WriteConflictError(TargetError):
    """The target changed under the write (409, 412); nothing was written."""


class WriteUncertainError(TargetError):
    """No answer came: the write may or may not have happened."""


class MonitoringError(RolloutError):
    """The stack that watches a policy, or a topic, could not be read or changed."""


class StoreError(RolloutError):
    """Rollouts could not be read or saved."""


def is_record_error(error: StoreError) -> bool:
    """Tell whether `error` is about the record of one rollout, and not about the whole store.

    That record is damaged, or has another schema.
    """
    return "damaged" in error.context or "schema" in error.context


class StateConflictError(StoreError):
    """Another run saved this rollout first; safe to run again."""

    exit_status = Exit.BUSY


class LeaseHeldError(StoreError):
    """Another run has this rollout at the moment; safe to run again."""

    exit_status = Exit.BUSY


class TargetTakenError(StoreError):
    """Another rollout owns the target; it is named in the message."""

    exit_status = Exit.USAGE


class UnknownRolloutError(StoreError):
    """No rollout has this id."""

    exit_status = Exit.USAGE


class NoStoreError(StoreError):
    """There is no store at the place that was named."""

    exit_status = Exit.USAGE


class TickDeadlineError(RolloutError):
    """The time of a tick was over before this rollout's turn; the next tick begins with it."""


class UnexpectedError(RolloutError):
    """A fault of this program, or of a record that it was not made for; one rollout's problem."""
