"""Where the requests of a function are counted, and what these metrics show: traffic, and whose."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from functools import partial
from typing import Final

from controller import flag
from controller.core.judge.series import query
from controller.core.observation import QueryStatus, Span
from controller.core.policy import Metric, TargetSpec
from controller.core.policy.metric import RequestMetrics, RequestSource
from controller.core.policy.targets.alb_weights import TARGET_GROUP
from controller.core.policy.targets.appconfig import FLAG_METRICS
from controller.core.policy.targets.lambda_alias import THROTTLED
from controller.core.units import floor_to
from controller.errors import MetricsError
from controller.immutable import Immutable
from controller.ports import api_gateway
from controller.ports.metrics import Dimensions, MetricDirectory, MetricSource
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
    FLAG_METRICS,
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
        form = ",".join(names).upper()
        raise ValueError(f"{kind} is named by its {' and '.join(names)}: --resource {form}")
    return RequestSource(FAMILIES[kind], dict(zip(names, values, strict=True)))


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
        elif {**one, "Path": flag.CANARY} not in listed:  # at 0% only the stable path has data
            yield {**one, "Path": flag.CANARY}


# --- What the metrics show ------------------------------------------------------------------------

HOUR_S: Final = 3_600
_DAY_HOURS: Final = 24
MAX_BASELINE_DAYS: Final = 7  # a week has every hour of every weekday
_LOOKBACK: Final = timedelta(days=MAX_BASELINE_DAYS)
# A source with requests in so many of the last 24 hours, at 0%, serves other callers as well. The
# few requests of a person who tries the new path do not make it so.
STEADY_HOURS: Final = 6
# CloudWatch's datapoints of the last minutes may still change.
_DELAY: Final = timedelta(minutes=5)


class CountedPaths(StrEnum):
    """Whose requests a source counts."""

    CANARY = "canary"
    BOTH = "both"


class Survey(Immutable):
    """What is known of the traffic.

    counts: whose requests the source counts. steady_hours: in how many of the last 24 hours it had
    requests, where it was measured. per_minute: requests a minute on both paths, on average over
    the last 24 hours; None: unknown. baseline_days: whole days before now in which the latency of
    the stable path was measured, at most a week.
    problem: why nothing was measured; empty: it was.
    """

    counts: CountedPaths
    steady_hours: int | None = None
    per_minute: float | None = None
    baseline_days: int = 0
    problem: str = ""


def measure(
    metrics: MetricSource, source: RequestSource, target: TargetSpec, weight: int, now: datetime
) -> Survey:
    """Return what the metrics of `source`, and of the function itself, show of the last week.

    weight: the live one. Raises MetricsError when none can be read.
    """
    end = floor_to(now - _DELAY, HOUR_S)
    span = Span(end - int(_LOOKBACK.total_seconds()), end)
    queries = {
        name: query(one.resolved(target.values), one.statistic, HOUR_S)
        for name, one in _counts(source, target)
    }
    answers = metrics.read(queries.values(), span)
    for answer in answers.values():
        if answer.status is not QueryStatus.COMPLETE:
            raise MetricsError(f"requests cannot be counted: {answer.message or answer.status}")
    hours = {  # the newest hour first
        name: [
            answers[one].points.get(at, 0.0)
            for at in range(span.end - HOUR_S, span.start - 1, -HOUR_S)
        ]
        for name, one in queries.items()
    }
    own = hours.get("own", [])
    steady = sum(requests > 0 for requests in own[:_DAY_HOURS]) if own else None
    counts = counts_of(source, steady or 0, weight)
    if "stable" in hours:
        both = [left + right for left, right in zip(own, hours["stable"], strict=True)]
        latency = hours["latency"]
    else:
        both = own if counts is CountedPaths.BOTH else hours["both"]
        latency = hours["own latency" if counts is CountedPaths.BOTH and own else "latency"]
        latency = latency if weight == 0 else []
    per_minute = sum(both[:_DAY_HOURS]) / (_DAY_HOURS * 60)
    rounded = float(f"{per_minute:.2g}")  # one day differs from another by more than that
    return Survey(counts, steady, rounded or None, _days_with_traffic(latency))


def counts_of(source: RequestSource, steady_hours: int, weight: int) -> CountedPaths:
    """Return whose requests `source` counts, by its kind and by its traffic at weight 0."""
    is_shared = not source.stable and weight == 0 and steady_hours >= STEADY_HOURS
    return CountedPaths.BOTH if source.metrics.both or is_shared else CountedPaths.CANARY


def _counts(source: RequestSource, target: TargetSpec) -> Iterator[tuple[str, Metric]]:
    """Yield the counts of requests by path: the `own` ones of `source`, `stable`, or `both`.

    Beside them those of the latencies that a draft would compare with.
    """
    requests = source.metrics.requests
    if source.whole:  # each path has metrics of its own only while there is a weight
        yield "both", source.count(requests, source.whole)
        yield "latency", _samples(source, source.whole)
        return
    yield "own", source.count(requests)
    if source.stable:
        yield "stable", source.count(requests, source.stable)
        yield "latency", _samples(source, source.stable)
    else:
        itself = function_source(target.short_name)
        yield "both", itself.count(itself.metrics.requests)
        yield "latency", _samples(itself, itself.dimensions)
        yield "own latency", _samples(source, source.dimensions)


def _samples(source: RequestSource, dimensions: Mapping[str, str]) -> Metric:
    """Return how many latencies were measured."""
    latency = source.count(source.metrics.latency, dimensions)
    return latency.model_copy(update={"statistic": "SampleCount"})


def _days_with_traffic(hours: Sequence[float]) -> int:
    """Return how many days back from now have requests, without a gap.

    The first counts with two hours, of which one is whole: a start takes more than half an hour of
    the stable path. An earlier day that had few would only lengthen the window.
    """
    days = 0
    while sum(requests > 0 for requests in hours[days * _DAY_HOURS : (days + 1) * _DAY_HOURS]) >= (
        STEADY_HOURS if days else 2
    ):
        days += 1
    return days


def unmeasured(source: RequestSource, problem: str) -> Survey:
    """Return what is known of `source` by its kind alone; a day of the stable path is assumed."""
    return Survey(counts_of(source, 0, 0), None, None, 1, problem)
