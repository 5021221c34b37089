"""What the runner needs from the outside, in our words; adapters translate."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol, TypeAlias

from controller.core.effects import Notice
from controller.core.history import Entry
from controller.core.log_events import LogEvent
from controller.core.observation import (
    AlarmReading,
    LogQuery,
    Query,
    Reading,
    Series,
    Span,
)
from controller.core.policy import LambdaEnv
from controller.core.rollout import Rollout


class Target(Protocol):
    """What holds the weight."""

    def read(self) -> Reading:
        """Return the weight as it stands.

        Raises TargetError when the target does not answer, and WriteRefusedError when it answers
        without the settings that a later write would have to keep.
        """
        ...

    def shift_to(self, weight: int, token: str) -> None:
        """Write `weight` once, only if the target still carries `token`.

        Raises WriteRefusedError or WriteConflictError (nothing was written), or
        WriteUncertainError (no answer).
        """
        ...

    def lower_to_zero(
        self,
        within: timedelta,
        *,
        void: str = "",
        check: Callable[[Reading], object] | None = None,
    ) -> None:
        """Write weight 0 over whatever stands there, trying until it is accepted.

        void: while the target carries this token, 0 is written even where it stands; a raise under
        it is refused from then on. check: is shown what stands there before each write, and what it
        raises ends the matter.
        Raises WriteRefusedError at once when writing would lose settings, TargetError when
        `within` is over.
        """
        ...


@dataclass(frozen=True, slots=True)
class Obstacle:
    """Why a change of this target may not reach traffic; `fatal` when it certainly does not."""

    fatal: bool
    text: str


class Reachability(Protocol):
    """Whether a change of the target reaches traffic, asked once before a start."""

    def obstacles(self) -> Sequence[Obstacle]:
        """Return what is in the way, worst first; what could not be checked is an obstacle too."""
        ...


class OpenTarget(Target, Reachability, Protocol):
    """A target with both faces."""


Targets: TypeAlias = Callable[[LambdaEnv], OpenTarget]
"""Opens a target by what a policy says of it."""


class MetricSource(Protocol):
    """Where measurements come from."""

    def read(self, queries: Iterable[Query], span: Span) -> Mapping[Query, Series]:
        """Return one series per query; no datapoint is an empty, complete series.

        Raises MetricsError when the source did not answer at all.
        """
        ...


class LogSource(Protocol):
    """Where log events are counted."""

    def count(self, queries: Iterable[LogQuery]) -> Mapping[LogQuery, Series]:
        """Return how many events match each query, by minute, or as many as are enough.

        Never raises for a source that does not answer: such a series says so, and why.
        """
        ...


class AlarmSource(Protocol):
    """Where alarms stand."""

    def states(self, alarms: Iterable[str]) -> Mapping[str, AlarmReading]:
        """Return how each alarm stands, by the name or ARN that was asked for.

        Never raises for a source that does not answer: such an alarm says so, and why.
        """
        ...


class LogReader(Protocol):
    """Where log events are read, with their text."""

    def pages(
        self, group: str, pattern: str, start: datetime, end: datetime
    ) -> Iterable[Sequence[LogEvent]]:
        """Yield the events from `start` to `end`, oldest first; a page may be empty and not last.

        pattern: of a filter; an empty one matches every event. Raises LogsError on the way.
        """
        ...


class StateStore(Protocol):
    """Keeps rollouts and their history; state and history are written together or not at all.

    A lease keeps runs from doing the same work at once. It is no protection: that is the version,
    which lets one of two saves through, whoever holds the lease and whatever the clocks say.
    """

    def create(
        self,
        rollout: Rollout,
        entries: Sequence[Entry],
        locks: Sequence[str],
        *,
        hold: datetime | None = None,
    ) -> None:
        """Add a rollout and take the locks of its target; locks of final rollouts are taken over.

        A final rollout that loses one lock loses them all: it watches no target in part. One that
        was moved unfinished keeps them here, because another store drives its target.
        hold: until when this run alone has it; None: nobody does.
        Raises TargetTakenError with the owner's id, StateConflictError when the id exists.
        """
        ...

    def acquire(self, rollout_id: str, now: datetime, until: datetime) -> Rollout:
        """Return the rollout, which this run alone has until it saves, releases, or `until` passes.

        A lease that is over at `now` is taken from its holder, whose saves fail from then on. So is
        one that ends later than twice the length asked for: a clock that was wrong has given it.
        Raises LeaseHeldError while another run has it, UnknownRolloutError, StoreError.
        """
        ...

    def release(self, rollout_id: str) -> None:
        """Let other runs in, if this one still has the rollout. Raises StoreError."""
        ...

    def load(self, rollout_id: str) -> Rollout:
        """Return the rollout, whoever has it. Raises UnknownRolloutError, StoreError."""
        ...

    def save(
        self, rollout: Rollout, entries: Sequence[Entry], *, hold: datetime | None = None
    ) -> Rollout:
        """Write `rollout` and append `entries` if its version is still the stored one.

        The lease ends with it, or goes on until `hold`. A run that never acquired the rollout may
        save it all the same, and takes the lease from whoever has it.

        Returns the rollout with its new version. Raises StateConflictError when another run saved
        it, or took the lease over, and UnknownRolloutError when it was never created.
        """
        ...


class Catalogue(Protocol):
    """Finds rollouts in a store."""

    def active(self, now: datetime) -> Sequence[str]:
        """Return the ids that a tick must visit, oldest first: not closed, or still watched."""
        ...

    def retired(self) -> Sequence[str]:
        """Return the ids of unfinished rollouts that another store drives now, oldest first."""
        ...

    def all(self) -> Sequence[str]:
        """Return the ids of all rollouts, oldest first."""
        ...

    def of_name(self, name: str) -> Sequence[str]:
        """Return the ids of all rollouts called `name`, first attempt first."""
        ...

    def history(self, rollout_id: str) -> Sequence[Entry]:
        """Return all entries of a rollout, first one first. Raises UnknownRolloutError."""
        ...


class Ownership(Protocol):
    """Who holds a target."""

    def owner(self, lock: str) -> str | None:
        """Return the id of the rollout that holds `lock`."""
        ...

    def exposures(self, target: str) -> Sequence[tuple[str, datetime, datetime | None]]:
        """Return id, begin and end (None: still) of weight above 0 of each rollout of `target`."""
        ...


class Archive(Protocol):
    """Takes in what another store kept."""

    def receive(self, rollout: Rollout, entries: Sequence[Entry], locks: Sequence[str]) -> None:
        """Add a rollout that ran in another store, with its whole history and the locks it holds.

        Nobody sees it before all of it is there; what an interrupted call left is made use of.
        Raises what `create` raises.
        """
        ...


class Store(StateStore, Catalogue, Ownership, Archive, Protocol):
    """All faces of a store."""


class Notifier(Protocol):
    """Tells people."""

    def notify(self, rollout: Rollout, notice: Notice) -> None:
        """Deliver `notice`, or raise: the runner logs a failure and goes on."""
        ...


class Clock(Protocol):
    """The one source of time."""

    def now(self) -> datetime:
        """Return the current moment, UTC-aware."""
        ...

    def sleep(self, length: timedelta) -> None:
        """Wait for `length`; less when the process is asked to end meanwhile."""
        ...
