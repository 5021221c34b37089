"""Sources of metrics, alarms and counts of log events, and the metrics that CloudWatch lists."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final, Protocol, TypeAlias

from controller.core.observation import AlarmReading, LogQuery, MetricQuery, Series, Span
from controller.core.policy import Metric
from controller.immutable import Immutable

Dimensions: TypeAlias = Mapping[str, str]

# How many queries a source answers in one call.
QUERIES_PER_CALL: Final = 500


class MetricListing(Immutable):
    """The metrics that CloudWatch lists: those of one name, or the existing names instead.

    CloudWatch lists metrics that had data in the last two weeks.
    dimensions: of each metric of that name. names: the existing names, where there is no such
    metric. problem: why there is no list.
    """

    dimensions: Sequence[Dimensions] = ()
    names: Sequence[str] = ()
    problem: str = ""
    missing_right: str = ""


class MetricDirectory(Protocol):
    """Lists the metrics that exist, for a policy that is to be written."""

    def named(self, namespace: str, name: str, dimensions: Dimensions) -> MetricListing:
        """Return the dimensions of the metrics `name` that have these dimensions, and maybe more.

        dimensions: values by name; an empty value stands for any. Never raises for a source that
        does not answer: such a listing has the problem instead.
        """


class MetricCatalogue(Protocol):
    """The metrics that CloudWatch lists, to tell a quiet metric from a misspelled one."""

    def similar(self, metric: Metric) -> MetricListing:
        """Return the listed metrics of the same name; without any, the names of the namespace.

        Never raises for a source that does not answer: such a listing has the problem instead.
        """


class MetricSource(Protocol):
    """Reads metrics."""

    def read(self, queries: Iterable[MetricQuery], span: Span) -> Mapping[MetricQuery, Series]:
        """Return one series per query; without a datapoint it is an empty, complete series.

        Raises MetricsError when the source did not answer at all.
        """


class AlarmSource(Protocol):
    """Reads the states of alarms."""

    def states(self, alarms: Iterable[str]) -> Mapping[str, AlarmReading]:
        """Return the state of each alarm, by the name or ARN that was passed.

        Never raises for a source that does not answer: such a reading has a reason.
        """


class LogSource(Protocol):
    """Counts log events."""

    def count(self, queries: Iterable[LogQuery]) -> Mapping[LogQuery, Series]:
        """Return the number of events that match each query, by minute, up to the number it needs.

        Never raises for a source that does not answer: such a series has an error message.
        """
