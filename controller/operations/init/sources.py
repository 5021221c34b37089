"""Where the requests of a function can be counted: kinds of sources, and their metrics."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, NamedTuple

from controller import flag
from controller.core.policy import Metric
from controller.ports import api_gateway
from controller.ports.metrics import Dimensions, MetricDirectory
from controller.text import first_unprintable, has_workflow_command


class SourceKind(StrEnum):
    """Where requests are counted."""

    FLAG = "flag"
    REST_API = "rest-api"
    HTTP_API = "http-api"
    LOAD_BALANCER = "load-balancer"
    FUNCTION_URL = "function-url"
    FUNCTION = "function"


class _Family(NamedTuple):
    """The metrics of a kind: a namespace, and names for requests, failures and latency.

    dimensions: exactly those that its metrics have. unit: of the latency. zero: whether failures
    are published only when there are any.
    """

    title: str
    namespace: str
    requests: str
    failures: str
    client_errors: str
    latency: str
    dimensions: tuple[str, ...]
    unit: str = "ms"
    zero: bool = False


LAMBDA: Final = "AWS/Lambda"

FAMILIES: Final[Mapping[SourceKind, _Family]] = {
    SourceKind.FLAG: _Family(
        "the flag", flag.NAMESPACE, "Requests", "Failures", "", "Duration", ("Path",)
    ),
    SourceKind.REST_API: _Family(
        "API Gateway (REST)", api_gateway.NAMESPACE, api_gateway.REQUESTS,
        api_gateway.SERVER_ERRORS[0], api_gateway.CLIENT_ERRORS[0], api_gateway.LATENCY,
        ("ApiName",),
    ),
    SourceKind.HTTP_API: _Family(
        "API Gateway (HTTP)", api_gateway.NAMESPACE, api_gateway.REQUESTS,
        api_gateway.SERVER_ERRORS[1], api_gateway.CLIENT_ERRORS[1], api_gateway.LATENCY,
        ("ApiId",),
    ),
    SourceKind.LOAD_BALANCER: _Family(
        "load balancer", "AWS/ApplicationELB", "RequestCount", "HTTPCode_Target_5XX_Count",
        "HTTPCode_Target_4XX_Count", "TargetResponseTime", ("LoadBalancer", "TargetGroup"),
        unit="s", zero=True,
    ),
    SourceKind.FUNCTION_URL: _Family(
        "function URL", LAMBDA, "UrlRequestCount", "Url5xxCount", "Url4xxCount",
        "UrlRequestLatency", ("FunctionName",), zero=True,
    ),
    SourceKind.FUNCTION: _Family(
        "the function itself", LAMBDA, "Invocations", "Errors", "", "Duration", ("FunctionName",),
    ),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Source:
    """One place that counts requests.

    dimensions: of the flag those of the canary.
    """

    kind: SourceKind
    dimensions: Mapping[str, str] = field(default_factory=dict)

    @property
    def family(self) -> _Family:
        """The metrics of its kind."""
        return FAMILIES[self.kind]

    @property
    def resource(self) -> str:
        """What `--resource` calls it: the values of its dimensions; empty for an unnamed flag."""
        names = ("Flag",) if self.kind is SourceKind.FLAG else self.family.dimensions
        return ",".join(self.dimensions[one] for one in names if one in self.dimensions)

    @property
    def title(self) -> str:
        """The source for people: `API Gateway (REST) checkout`."""
        return f"{self.family.title} {self.resource}".rstrip()

    @property
    def is_function(self) -> bool:
        """Whether it counts every request of the function, on whatever path."""
        return self.kind in (SourceKind.FUNCTION_URL, SourceKind.FUNCTION)

    @property
    def stable_dimensions(self) -> Mapping[str, str]:
        """The dimensions of the stable path, which only the flag counts by itself."""
        return {**self.dimensions, "Path": flag.STABLE}

    def metric(self, name: str, *, stable: bool = False) -> Metric:
        """Return the metric `name` of it, as a count."""
        return Metric(
            namespace=self.family.namespace,
            name=name,
            statistic="Sum",
            dimensions=dict(self.stable_dimensions if stable else self.dimensions),
        )


def source_of(kind: SourceKind, resource: str, function: str) -> Source:
    """Return the source that `--metrics` and `--resource` name.

    function: its bare name. Raises ValueError when `resource` does not fit the kind.
    """
    if kind is SourceKind.FLAG:
        named = {"Flag": resource} if resource else {}
        return Source(kind, {"Path": flag.CANARY, **named})
    names = FAMILIES[kind].dimensions
    if names == ("FunctionName",):
        return Source(kind, {"FunctionName": resource or function})
    values = resource.split(",")
    if len(values) != len(names) or not all(map(is_printable_value, values)):
        raise ValueError(f"{kind} is named by its {' and '.join(names)}: --resource {_form(names)}")
    return Source(kind, dict(zip(names, values, strict=True)))


def _form(names: Iterable[str]) -> str:
    return ",".join(f"{name.upper()}" for name in names)


def is_printable_value(value: str) -> bool:
    """Tell whether a policy file may hold `value`."""
    return bool(value) and not first_unprintable(value) and not has_workflow_command(value)


@dataclass(frozen=True, slots=True)
class Found:
    """The sources that have had data in the last two weeks. problem: why they are not known."""

    sources: tuple[Source, ...] = ()
    problem: str = ""


def find_sources(directory: MetricDirectory, function: str) -> Found:
    """Return the sources of the account that may count the requests of `function`, by its name.

    The metrics of the function itself are there in any case, and are not listed.
    """
    found: list[Source] = []
    for kind, family in FAMILIES.items():
        if kind is SourceKind.FUNCTION:
            continue
        own = {"FunctionName": function} if kind is SourceKind.FUNCTION_URL else {}
        wanted = own or {family.dimensions[0]: ""}
        listing = directory.named(family.namespace, family.requests, wanted)
        if listing.problem:
            return Found(tuple(found), listing.problem)
        found += (Source(kind, dict(one)) for one in _usable(kind, listing.dimensions))
    return Found(tuple(found))


def _usable(kind: SourceKind, listed: Iterable[Dimensions]) -> Iterator[Dimensions]:
    """Yield the dimensions of each resource once: CloudWatch lists finer ones as well."""
    wanted = set(FAMILIES[kind].dimensions)
    for one in sorted(listed, key=lambda each: sorted(each.items())):
        names = set(one) - ({"Flag"} if kind is SourceKind.FLAG else set())
        if names != wanted or not all(map(is_printable_value, one.values())):
            continue
        if kind is not SourceKind.FLAG or one["Path"] == flag.CANARY:
            yield one
        elif {**one, "Path": flag.CANARY} not in listed:  # at 0 % only the stable path has data
            yield {**one, "Path": flag.CANARY}
