"""Where the requests of a target are counted: the names of the metrics, and their dimensions."""

from collections.abc import Mapping
from typing import NamedTuple

from controller.core.policy.metric import Metric
from controller.immutable import Immutable, field


class RequestMetrics(NamedTuple):
    """The metrics of one service that count requests.

    kind: how `init --metrics` calls it. requests, failures, client_errors, latency: names of
    metrics; an empty one does not exist. dimensions: exactly those of a metric. named_by: those
    that tell one resource from another. unit: of the latency. zero: whether failures are published
    only when there are any. both: whether it counts every request, on whatever path. paths: how it
    counts each path by itself, in a sentence; empty: it does not.
    successes: what counts the answers that are no failures, by a name for it, where failures are
    not all that fails.
    refused: what counts requests, on any path, that failures do not count, with refused_by as its
    dimensions and refused_text as its meaning; empty: there is no such count.
    """

    kind: str
    title: str
    namespace: str
    requests: str
    failures: str
    client_errors: str
    latency: str
    dimensions: tuple[str, ...]
    named_by: tuple[str, ...] = ()
    unit: str = "ms"
    zero: bool = False
    both: bool = False
    paths: str = ""
    successes: tuple[tuple[str, str], ...] = ()
    refused: str = ""
    refused_by: tuple[str, ...] = ()
    refused_text: str = ""


class RequestSource(Immutable):
    """One place that counts requests.

    dimensions: of the canary, where each path is counted by itself. stable: of the stable path;
    empty: it is not counted by itself. whole: of both paths together, where the metrics of the
    canary end at 100 %; empty: they go on.
    """

    metrics: RequestMetrics
    dimensions: Mapping[str, str] = field(default_factory=dict)
    stable: Mapping[str, str] = field(default_factory=dict)
    whole: Mapping[str, str] = field(default_factory=dict)

    @property
    def resource(self) -> str:
        """What `--resource` calls it: the values of its dimensions; empty for an unnamed one."""
        named_by = self.metrics.named_by
        return ",".join(self.dimensions[one] for one in named_by if one in self.dimensions)

    @property
    def title(self) -> str:
        """The source for people: `API Gateway (REST) checkout`."""
        return f"{self.metrics.title} {self.resource}".rstrip()

    @property
    def refusing(self) -> Mapping[str, str]:
        """The dimensions of what counts refused requests."""
        return {name: self.dimensions[name] for name in self.metrics.refused_by}

    def count(self, name: str, dimensions: Mapping[str, str] | None = None) -> Metric:
        """Return the metric `name` as a count; dimensions: of a path, by default the canary."""
        return Metric(
            namespace=self.metrics.namespace,
            name=name,
            statistic="Sum",
            dimensions=dict(self.dimensions if dimensions is None else dimensions),
        )
