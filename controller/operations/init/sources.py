"""Where the requests of a function can be counted: kinds of sources, and their metrics."""

from collections.abc import Iterable, Iterator, Mapping
from enum import StrEnum
from functools import partial
from typing import Final

from controller import flag
from controller.core.policy.request_source import RequestMetrics, RequestSource
from controller.core.policy.targets.alb_weights import TARGET_GROUP
from controller.core.policy.targets.lambda_alias import THROTTLED
from controller.immutable import Immutable
from controller.ports import api_gateway
from controller.ports.metrics import Dimensions, MetricDirectory
from controller.safe_text import first_unprintable, has_workflow_command


class SourceKind(StrEnum):
    """Where requests are counted."""

    FLAG = "flag"
    REST_API = "rest-api"
    HTTP_API = "http-api"
    LOAD_BALANCER = "load-balancer"
    FUNCTION_URL = "function-url"
    FUNCTION = "function"


LAMBDA: Final = "AWS/Lambda"

_ALL: Final = (
    RequestMetrics(
        SourceKind.FLAG, "the flag", flag.NAMESPACE, "Requests", "Failures", "", "Duration",
        ("Flag", "Path"), named_by=("Flag",), paths="The flag measures at the caller, each path by "
        "itself (counts: canary, counts: stable).",
    ),
    RequestMetrics(
        SourceKind.REST_API, "API Gateway (REST)", api_gateway.NAMESPACE, api_gateway.REQUESTS,
        api_gateway.SERVER_ERRORS[0], api_gateway.CLIENT_ERRORS[0], api_gateway.LATENCY,
        ("ApiName",), named_by=("ApiName",),
    ),
    RequestMetrics(
        SourceKind.HTTP_API, "API Gateway (HTTP)", api_gateway.NAMESPACE, api_gateway.REQUESTS,
        api_gateway.SERVER_ERRORS[1], api_gateway.CLIENT_ERRORS[1], api_gateway.LATENCY,
        ("ApiId",), named_by=("ApiId",),
    ),
    TARGET_GROUP,
    RequestMetrics(
        SourceKind.FUNCTION_URL, "function URL", LAMBDA, "UrlRequestCount", "Url5xxCount",
        "Url4xxCount", "UrlRequestLatency", ("FunctionName",), named_by=("FunctionName",),
        zero=True, both=True,
    ),
    RequestMetrics(
        SourceKind.FUNCTION, "the function itself", LAMBDA, "Invocations", "Errors", "", "Duration",
        ("FunctionName",), named_by=("FunctionName",), both=True,
        refused="Throttles", refused_by=("FunctionName",), refused_text=THROTTLED,
    ),
)  # fmt: skip
FAMILIES: Final[Mapping[SourceKind, RequestMetrics]] = {SourceKind(one.kind): one for one in _ALL}


def flag_source(dimensions: Mapping[str, str]) -> RequestSource:
    """Return the flag whose canary has these dimensions."""
    stable = {**dimensions, "Path": flag.STABLE}
    return RequestSource(FAMILIES[SourceKind.FLAG], dimensions, stable)


def function_source(function: str) -> RequestSource:
    """Return the metrics of the function itself; function: its bare name."""
    return RequestSource(FAMILIES[SourceKind.FUNCTION], {"FunctionName": function})


def source_of(kind: SourceKind, resource: str, function: str) -> RequestSource:
    """Return the source that `--metrics` and `--resource` name.

    function: its bare name. Raises ValueError when `resource` does not fit the kind.
    """
    if kind is SourceKind.FLAG:
        return flag_source({"Flag": resource or function, "Path": flag.CANARY})
    names = FAMILIES[kind].dimensions
    if names == ("FunctionName",):
        return RequestSource(FAMILIES[kind], {"FunctionName": resource or function})
    values = resource.split(",")
    if len(values) != len(names) or not all(map(is_printable_value, values)):
        raise ValueError(f"{kind} is named by its {' and '.join(names)}: --resource {_form(names)}")
    return RequestSource(FAMILIES[kind], dict(zip(names, values, strict=True)))


def _form(names: Iterable[str]) -> str:
    return ",".join(f"{name.upper()}" for name in names)


def is_printable_value(value: str) -> bool:
    """Tell whether a policy file may hold `value`."""
    return bool(value) and not first_unprintable(value) and not has_workflow_command(value)


class Found(Immutable):
    """The sources that have had data in the last two weeks. problem: why they are not known."""

    sources: tuple[RequestSource, ...] = ()
    problem: str = ""


def find_sources(directory: MetricDirectory, function: str) -> Found:
    """Return the sources of the account that may count the requests of `function`, by its name.

    The metrics of the function itself are there in any case, and are not listed.
    """
    found: list[RequestSource] = []
    for kind, family in FAMILIES.items():
        if kind is SourceKind.FUNCTION:
            continue
        own = {"FunctionName": function} if kind is SourceKind.FUNCTION_URL else {}
        wanted = own or {family.dimensions[0]: ""}
        listing = directory.named(family.namespace, family.requests, wanted)
        if listing.problem:
            return Found(tuple(found), listing.problem)
        made = flag_source if kind is SourceKind.FLAG else partial(RequestSource, family)
        found += (made(dict(one)) for one in _usable(kind, listing.dimensions))
    return Found(tuple(found))


def _usable(kind: SourceKind, listed: Iterable[Dimensions]) -> Iterator[Dimensions]:
    """Yield the dimensions of each resource once: CloudWatch lists finer ones as well."""
    wanted = set(FAMILIES[kind].dimensions)
    for one in sorted(listed, key=lambda each: sorted(each.items())):
        if set(one) != wanted or not all(map(is_printable_value, one.values())):
            continue
        if kind is not SourceKind.FLAG or one["Path"] == flag.CANARY:
            yield one
        elif {**one, "Path": flag.CANARY} not in listed:  # at 0 % only the stable path has data
            yield {**one, "Path": flag.CANARY}
