"""A small account in memory: what `init` reads, as its ports answer it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

from controller.adapters.targets.lambda_env_finder import (
    FunctionList,
    FunctionVariables,
    find_variables,
)
from controller.core.observation import MetricQuery, Span
from controller.core.policy import TargetSpec
from controller.core.policy.metric import RequestSource
from controller.core.policy.targets.lambda_env import LambdaEnv
from controller.errors import TargetError, UsageError
from controller.ports.metrics import Dimensions, MetricListing
from controller.ports.target import Chooser, FoundTarget
from controller.tools.init.drafting import AccountView
from controller.tools.init.survey import SourceKind, source_of
from tests.support.core import QueryStatus, Series, TargetReading, UpdateStatus

NOW: Final = datetime(2026, 11, 24, 14, 20, tzinfo=UTC)
FUNCTION: Final = "checkout"
HOUR_S: Final = 3_600
REFUSED: Final = "metrics could not be listed (cloudwatch:ListMetrics): AccessDenied"


@dataclass
class FakeAccount:
    """An account with one function.

    found: a target of another kind that it has; None: only the function.
    traffic: a source, its requests an hour, and for how many hours back it has had them.
    lists, reads: whether CloudWatch may be asked for metrics, and for data. times: whether
    latencies are measured.
    """

    percentages: Mapping[str, str] = field(default_factory=lambda: {"NEW_PATH_PERCENTAGE": "0"})
    booleans: Mapping[str, str] = field(default_factory=dict)
    weight: int | None = 0
    names: Sequence[str] = (FUNCTION,)
    found: FoundTarget | None = None
    traffic: Sequence[tuple[RequestSource, float, int]] = ()
    lists: bool = True
    reads: bool = True
    times: bool = True

    @property
    def view(self) -> AccountView:
        """The account, as `init` reads it."""
        return AccountView(self._find, self, self, NOW)

    def _find(
        self, model: type[TargetSpec], names: Mapping[str, str], chooser: Chooser
    ) -> FoundTarget:
        if model is LambdaEnv:
            return find_variables(self, self._read, names, chooser)
        assert self.found is not None
        assert isinstance(self.found.target, model)
        return self.found

    def functions(self) -> FunctionList:
        return FunctionList(self.names)

    def variables(self, function: str) -> FunctionVariables:
        if function.rpartition(":")[2] not in self.names:
            raise TargetError(f"{function} could not be read: ResourceNotFoundException")
        names = ["API_KEY", *self.percentages, *self.booleans]
        return FunctionVariables(self.percentages, self.booleans, names)

    def _read(self, target: LambdaEnv) -> TargetReading:
        return TargetReading(target.name, self.weight, "", "token", UpdateStatus.SUCCESSFUL)

    def named(self, namespace: str, name: str, dimensions: Dimensions) -> MetricListing:
        if not self.lists:
            return MetricListing(problem=REFUSED)
        found = [
            one.dimensions
            for one, _, _ in self.traffic
            if (one.metrics.namespace, one.metrics.requests) == (namespace, name)
            and all(one.dimensions.get(key, "") == (value or one.dimensions.get(key))
                    for key, value in dimensions.items())
        ]  # fmt: skip
        return MetricListing(found)

    def read(self, queries: Iterable[MetricQuery], span: Span) -> Mapping[MetricQuery, Series]:
        if not self.reads:
            return {query: Series({}, QueryStatus.FORBIDDEN, "not allowed") for query in queries}
        return {query: self._series(query, span) for query in queries}

    def _series(self, query: MetricQuery, span: Span) -> Series:
        for source, requests, hours in self.traffic:
            metric = source.count(source.metrics.requests)
            dimensions = tuple(sorted(metric.dimensions.items()))
            names = {metric.name} | ({source.metrics.latency} if self.times else set())
            if (metric.namespace, dimensions) == (
                query.namespace, query.dimensions,
            ) and query.name in names:  # fmt: skip
                ends = range(span.end - HOUR_S, span.start - 1, -HOUR_S)
                return Series(dict.fromkeys(sorted(ends[:hours]), requests))
        return Series({})


class NoTerminal:
    """A chooser for a process without a terminal: a choice is an error."""

    def choose(self, what: str, option: str, choices: Sequence[str]) -> str:
        raise UsageError(f"{what}: {option}: {', '.join(choices)}")


class Picks:
    """A person who takes the choice with a number. asked: what the questions were about."""

    def __init__(self, *numbers: int) -> None:
        self._numbers, self.asked = list(numbers), list[str]()

    def choose(self, what: str, option: str, choices: Sequence[str]) -> str:
        self.asked.append(what)
        return choices[self._numbers.pop(0)]


def named(kind: str, resource: str = "") -> RequestSource:
    """Return a source by its kind and its resource."""
    return source_of(SourceKind(kind), resource, FUNCTION)


FLAG: Final = named("flag")
STABLE: Final = RequestSource(FLAG.metrics, FLAG.stable)
SHOP: Final = named("rest-api", "Shop")
URL: Final = named("function-url")
ITSELF: Final = named("function")
