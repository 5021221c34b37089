"""What a tick saw: the target's weight, and the series its criteria need.

Series are keyed by unix seconds at the start of each period, as CloudWatch stamps them.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class UpdateStatus(StrEnum):
    """Where the target's last change of configuration stands."""

    SUCCESSFUL = "successful"
    IN_PROGRESS = "in_progress"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class TargetReading:
    """The target as it answered.

    identity: what the target is in the whole world (a function ARN); the lock is on it.
    weight: percent on the canary; None when its variables contradict each other.
    shown: the variables as they stand, for people.
    token: changes with every change of the target; a raise is conditional on it.
    code: digest of the code that runs; the default revision of a rollout.
    detail: why an update failed, or is still moving; empty otherwise.
    may_be_full: the variables contradict each other, and one of them may mean 100 %.
    """

    identity: str
    weight: int | None
    shown: str
    token: str
    update: UpdateStatus
    code: str = ""
    detail: str = ""
    may_be_full: bool = False

    def has_applied(self, weight: int) -> bool:
        """Tell whether `weight` is in force: read back, and the update is finished."""
        return self.weight == weight and self.update is UpdateStatus.SUCCESSFUL


@dataclass(frozen=True, slots=True)
class UnreadableTarget:
    """The target did not answer, or answered without its environment."""

    reason: str
    permanent: bool = False
    """True when no later write can help either: the environment itself cannot be read."""


def weight_of(target: TargetReading | UnreadableTarget) -> int | None:
    """Return the weight that `target` shows; None when nobody knows."""
    return target.weight if isinstance(target, TargetReading) else None


class QueryStatus(StrEnum):
    """How complete a series is."""

    COMPLETE = "complete"
    PARTIAL = "partial"
    ERROR = "error"
    FORBIDDEN = "forbidden"


@dataclass(frozen=True, slots=True)
class MetricQuery:
    """One metric, one statistic, one period."""

    namespace: str
    name: str
    statistic: str
    period_s: int
    dimensions: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Series:
    """Datapoints by start of period; a period without traffic has none.

    Log events are one too: how many there were, by each minute that had any.
    """

    points: Mapping[int, float] = field(default_factory=dict)
    answer: QueryStatus = QueryStatus.COMPLETE
    message: str = ""


@dataclass(frozen=True, slots=True)
class Span:
    """A half-open stretch of time in unix seconds, `start` included, `end` not."""

    start: int
    end: int


@dataclass(frozen=True, slots=True)
class LogQuery:
    """The events of one log group that match a filter pattern; an empty one matches every event.

    limit: how many have to be counted; whether there are more is not asked for.
    """

    group: str
    pattern: str
    span: Span
    limit: int


class Consent(StrEnum):
    """What a hook says to what it was asked about."""

    GIVEN = "given"
    REFUSED = "refused"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class HookAnswer:
    """What came of asking a hook. said: why, in one line; may be empty where it was given."""

    consent: Consent
    said: str = ""


class AlarmState(StrEnum):
    """What CloudWatch says of an alarm, or why it says nothing."""

    OK = "ok"
    ALARM = "alarm"
    INSUFFICIENT_DATA = "insufficient_data"
    MISSING = "missing"
    UNREAD = "unread"


@dataclass(frozen=True, slots=True)
class AlarmReading:
    """One alarm as it stands.

    since: when it came into this state, unix seconds; 0 where nobody says so.
    reason: CloudWatch's own for the state; or why the alarm could not be read.
    """

    state: AlarmState
    since: int = 0
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Observation:
    """Everything one tick saw of one rollout.

    series: by the keys of `judge.needs`; empty when nothing was asked.
    alarms: by the name or ARN that the policy gives them; empty when it names none.
    owns_target: False once a newer rollout holds the target's lock.
    hooks: what hooks answered, by their addresses; empty when nobody asked them.
    """

    target: TargetReading | UnreadableTarget
    series: Mapping[str, Series] = field(default_factory=dict)
    owns_target: bool = True
    alarms: Mapping[str, AlarmReading] = field(default_factory=dict)
    hooks: Mapping[str, HookAnswer] = field(default_factory=dict)
