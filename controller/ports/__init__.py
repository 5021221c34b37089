"""What the runner needs from the outside, in our words; adapters translate."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Protocol, TypeAlias

from controller.core.checks import Obstacle
from controller.core.effects import Notice
from controller.core.observation import AlarmReading, LogQuery, Query, Reading, Series, Span
from controller.core.policy import LambdaEnv
from controller.core.rollout import Rollout
from controller.ports.stores import (
    Archive,
    Catalogue,
    Exposure,
    Holder,
    Ownership,
    StateStore,
    Store,
)

if TYPE_CHECKING:
    from controller.core.log_events import LogEvent

__all__ = [
    "AlarmSource",
    "Archive",
    "Catalogue",
    "Clock",
    "Exposure",
    "Holder",
    "LogReader",
    "LogSource",
    "MetricSource",
    "Notifier",
    "Obstacle",
    "OpenTarget",
    "Ownership",
    "Reachability",
    "StateStore",
    "Store",
    "Target",
    "Targets",
]


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
    ) -> Iterable[Sequence["LogEvent"]]:
        """Yield the events from `start` to `end`, oldest first; a page may be empty and not last.

        pattern: of a filter; an empty one matches every event. Raises LogsError on the way.
        """
        ...


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
