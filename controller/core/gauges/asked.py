"""Which metrics are shown: those of the policy, and of an API also what a person looks at first."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Final, TypeAlias

from controller.core.judge.queries import query
from controller.core.observation import Query, Span
from controller.core.policy import Metric, Policy, Threshold, Traffic
from controller.core.units import MINUTE_S, floor_to

# So far back a look goes at most; what is counted over longer is not held against its bound.
MINUTES: Final = 180

COUNTED: Final = frozenset({"Sum", "SampleCount"})

_Key: TypeAlias = tuple[str, str, str, tuple[tuple[str, str], ...]]

_API: Final = "AWS/ApiGateway"
# HTTP APIs go by ApiId, and spell these two differently from REST APIs.
_ERRORS: Final = {False: ("4XXError", "5XXError"), True: ("4xx", "5xx")}


@dataclass(frozen=True, slots=True)
class Shown:
    """One metric with one statistic, minute by minute.

    name: what the policy calls it; empty for what is asked beside it. alias: what it calls the
    same metric with whatever statistic.
    """

    name: str
    alias: str
    metric: Metric

    @property
    def title(self) -> str:
        """What a person calls it: `latency p95`."""
        return f"{self.name or self.alias} {self.metric.statistic}"

    @property
    def counted(self) -> bool:
        """True for what adds up over minutes."""
        return self.metric.statistic in COUNTED

    @property
    def query(self) -> Query:
        """What is asked of CloudWatch."""
        return query(self.metric, self.metric.statistic, MINUTE_S)


def shown_of(policy: Policy) -> list[Shown]:
    """Return what is shown of `policy`, in its order, every series once.

    Of an API that are its requests, 4XX, 5XX, latency p50, p95, p99 and integration latency p95,
    whatever of it the policy names.
    """
    names = {_key(metric): name for name, metric in policy.metrics.items()}
    aliases = {_key(metric, ""): name for name, metric in policy.metrics.items()}
    found: dict[_Key, Shown] = {}
    for metric in policy.metrics.values():
        for one in (*_beside(metric), metric):
            alias = aliases.get(_key(one, ""), one.name)
            found.setdefault(_key(one), Shown(names.get(_key(one), ""), alias, one))
    return list(found.values())


def span_of(policy: Policy, minutes: int, now: datetime) -> Span:
    """Return the closed minutes that are read: the newest `minutes`, or what a bound counts over.

    With those before them that a bound from below counts instead of what may still grow.
    """
    counting = (one for one in policy.criteria.values() if isinstance(one, Threshold | Traffic))
    wanted = [minutes, *(int(one.over.total_seconds()) // MINUTE_S for one in counting)]
    longest = max(number for number in wanted if number <= MINUTES) + young(policy)
    end = floor_to(now, MINUTE_S)
    return Span(end - longest * MINUTE_S, end)


def young(policy: Policy) -> int:
    """Return how many of the newest minutes may still grow."""
    return -int(-policy.settle.total_seconds() // MINUTE_S)


def _key(metric: Metric, statistic: str | None = None) -> _Key:
    dimensions = tuple(sorted(metric.dimensions.items()))
    known = metric.statistic if statistic is None else statistic
    return metric.namespace, metric.name, known, dimensions


def _beside(metric: Metric) -> Iterator[Metric]:
    if metric.namespace != _API:
        return
    for name in ("Count", *_ERRORS["ApiId" in metric.dimensions]):
        yield _alike(metric, name, "Sum", "")
    for statistic in ("p50", "p95", "p99"):
        yield _alike(metric, "Latency", statistic, "ms")
    yield _alike(metric, "IntegrationLatency", "p95", "ms")


def _alike(metric: Metric, name: str, statistic: str, unit: str) -> Metric:
    return Metric(
        namespace=metric.namespace,
        name=name,
        statistic=statistic,
        dimensions=metric.dimensions,
        unit=unit,
    )
