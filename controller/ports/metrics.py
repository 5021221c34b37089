"""Where metrics and alarms are read."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from controller.core.observation import AlarmReading, MetricQuery, Series, Span


class MetricSource(Protocol):
    """Where measurements come from."""

    def read(self, queries: Iterable[MetricQuery], span: Span) -> Mapping[MetricQuery, Series]:
        """Return one series per query; no datapoint is an empty, complete series.

        Raises MetricsError when the source did not answer at all.
        """
        ...


class AlarmSource(Protocol):
    """Where alarms stand."""

    def states(self, alarms: Iterable[str]) -> Mapping[str, AlarmReading]:
        """Return how each alarm stands, by the name or ARN that was asked for.

        Never raises for a source that does not answer: such an alarm says so, and why.
        """
        ...


Dimensions: TypeAlias = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class MetricListing:
    """What CloudWatch lists of a metric: those of its name, or the names that there are instead.

    CloudWatch lists what had data in the last two weeks. problem: why there is no list.
    """

    dimensions: Sequence[Dimensions] = ()
    names: Sequence[str] = ()
    problem: str = ""
