"""The observation of a tick: the target, and the series, alarms and hook answers of its criteria.

Series are keyed by unix seconds at the start of each period, as CloudWatch stamps them.
"""

from collections.abc import Mapping
from enum import StrEnum

from controller.core.policy.sources import SourceSpec
from controller.core.units import Real
from controller.immutable import Immutable, field


class UpdateStatus(StrEnum):
    """The status of the last configuration update of a target."""

    SUCCESSFUL = "successful"
    IN_PROGRESS = "in_progress"
    FAILED = "failed"


class TargetReading(Immutable):
    """The state of the target, as it answered.

    identity: the globally unique name of the target (a function ARN); the lock is on it.
    weight: percent on the canary; None when no clear weight can be read.
    variables: the variables as they stand, for people.
    token: changes with every change of the target; a raise is conditional on it.
    code: digest of the code that runs; the default revision of a rollout.
    detail: why an update failed, or is still in progress; empty otherwise.
    may_be_full: no clear weight can be read, and it may be 100%.
    others: what gets requests and is neither path, for people; empty: nothing does.
    """

    identity: str
    weight: int | None
    variables: str
    token: str
    update: UpdateStatus
    code: str = ""
    detail: str = ""
    may_be_full: bool = False
    others: str = ""

    def has_applied(self, weight: int) -> bool:
        """Tell whether `weight` is applied: it was read back, and the update is finished."""
        return self.weight == weight and self.update is UpdateStatus.SUCCESSFUL

    def may_exceed(self, weight: int) -> bool:
        """Tell whether the weight is above `weight`, or may be."""
        return self.may_be_full or (self.weight is not None and self.weight > weight)


class UnreadableTarget(Immutable):
    """The target did not answer, or answered without its environment."""

    reason: str
    permanent: bool = False
    """True when no later write can succeed either: the environment itself cannot be read."""


def weight_of(target: TargetReading | UnreadableTarget) -> int | None:
    """Return the weight that `target` has; None when it is unknown."""
    return target.weight if isinstance(target, TargetReading) else None


class QueryStatus(StrEnum):
    """How complete a series is."""

    COMPLETE = "complete"
    PARTIAL = "partial"
    ERROR = "error"
    FORBIDDEN = "forbidden"


class MetricQuery(Immutable):
    """One metric, one statistic, one period. source: None: CloudWatch."""

    namespace: str
    name: str
    statistic: str
    period_s: int
    dimensions: tuple[tuple[str, str], ...] = ()
    source: SourceSpec | None = None

    @property
    def place(self) -> str:
        """Where it is, for people: its namespace in CloudWatch, or its source."""
        return self.namespace if self.source is None else self.source.display_name


class Series(Immutable):
    """Datapoints by start of period; a period without traffic has none.

    Log events are a series, too: the count of each minute that has any.
    """

    points: Mapping[int, float] = field(default_factory=dict)
    status: QueryStatus = QueryStatus.COMPLETE
    message: str = ""


class Span(Immutable):
    """A half-open interval in unix seconds: `start` is included, `end` is not."""

    start: int
    end: int


class LogQuery(Immutable):
    """A query for the events of one log group that match a filter pattern.

    pattern: an empty one matches every event.
    limit: how many events have to be counted; whether there are more is not queried.
    """

    group: str
    pattern: str
    span: Span
    limit: int


class Consent(StrEnum):
    """The answer of a hook to a start or an advance."""

    GIVEN = "given"
    REFUSED = "refused"
    FAILED = "failed"


class HookAnswer(Immutable):
    """The result of calling a hook.

    message: the reason, in one line; may be empty where consent was given.
    """

    consent: Consent
    message: str = ""


class AlarmState(StrEnum):
    """The state of an alarm in CloudWatch, or why it is unknown."""

    OK = "ok"
    ALARM = "alarm"
    INSUFFICIENT_DATA = "insufficient_data"
    MISSING = "missing"
    UNREAD = "unread"


class AlarmReading(Immutable):
    """The state of one alarm, as it was read.

    since: when the alarm entered this state, unix seconds; 0 where that is unknown.
    reason: CloudWatch's reason for the state; or why the alarm could not be read.
    """

    state: AlarmState
    since: int = 0
    reason: str = ""


class Observation(Immutable):
    """Everything that one tick observed of one rollout.

    series: by the keys of `judge.gate.query_plan`; empty when nothing was queried.
    owns_target: False once a newer rollout holds the target's lock.
    alarms: by the name or ARN that the policy gives them; empty when it names none.
    hooks: the answers of hooks, by their addresses; empty when none was called.
    fix: what was red at the start, as the store has it in an item apart from the rollout; None: it
        has none, or the rollout was not started as a fix.
    """

    target: TargetReading | UnreadableTarget
    series: Mapping[str, Series] = field(default_factory=dict)
    owns_target: bool = True
    alarms: Mapping[str, AlarmReading] = field(default_factory=dict)
    hooks: Mapping[str, HookAnswer] = field(default_factory=dict)
    fix: Mapping[str, Real | None] | None = None

    @property
    def measured(self) -> bool:
        """True when something else than the target was read."""
        return bool(self.series or self.alarms)
