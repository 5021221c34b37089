"""The JSON of verbs on the account and the store: what is measured, checked, logged and made."""

from typing import Annotated

from controller.operations.metrics_view import GaugeStatus, Unit
from controller.ports.json_types import Count, Document, Moment, one_of

# --- metrics and logs -----------------------------------------------------------------------------


class Expected(Document):
    """What one criterion expects of a value."""

    criterion: str
    """Id of the criterion."""
    text: str
    """What it expects, as text."""


class GaugeData(Document):
    """One metric, or one criterion on several metrics."""

    title: str
    """Name of the metric with its statistic, or id of the criterion."""
    value: float | None
    """The value over these minutes; null: there are no data, which is never 0."""
    of: Annotated[str, one_of(Unit)]
    """What the value is: a count, the highest minute (level), a share, or an increase."""
    unit: str
    """Unit of the value; empty: it has none."""
    expected: list[Expected]
    """What criteria expect of the value."""
    standing: Annotated[str, one_of(one for one in GaugeStatus if one)] | None
    """The value against what is expected, or why there is none; null: nothing is expected."""
    points: list[float | None]
    """The value of each minute, the oldest first; null: no data."""
    note: str
    """Requests behind a share, or why the metric was not read; empty: nothing to say."""


class MetricsData(Document):
    """The values of the metrics of a policy."""

    policy: str
    """Name of the policy."""
    minutes: Count
    """How many closed minutes the values are about."""
    end: Moment
    """End of the newest of these minutes."""
    gauges: list[GaugeData]
    """Each metric, and each criterion on several metrics."""


class EventCount(Document):
    """How often one event was logged on one path."""

    event: str
    """Name of the event."""
    path: str | None
    """The path, canary or stable; null: the event does not say."""
    count: Count
    """Number of events."""


class LogEventData(Document):
    """One log event."""

    id: str
    """Id of the event in CloudWatch Logs."""
    at: Moment
    """When it was logged."""
    event: str
    """Name of the event."""
    path: str | None
    """The path, canary or stable; null: the event does not say."""
    text: str
    """The event as the function logged it."""


class EventsData(Document):
    """Log events with their counts."""

    counts: list[EventCount]
    """Number of events by name and path."""
    events: list[LogEventData]
    """Each event, the oldest first."""


class LogsData(EventsData):
    """The log events of a function."""

    log_group: str
    """Log group that was read."""
    minutes: Count
    """How many minutes were asked for."""
    end: Moment
    """End of these minutes."""
    stopped: str | None
    """Why later events were not read; null: all were read."""
