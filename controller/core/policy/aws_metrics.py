"""What is documented of the metrics of AWS and of the flag: dimensions, units and statistics.

Sources, as published in November 2026 (stored copies; the dimensions of ALB metrics are compared
with the canned metrics of the AWS CDK, which AWS generates from its own definitions):

- AWS/ApplicationELB: "CloudWatch metrics for your Application Load Balancer" (ELB user guide).
- AWS/Lambda: "Types of metrics for Lambda functions", "Viewing metrics for Lambda functions" and,
  for function URLs, "Monitoring Lambda function URLs" (Lambda developer guide).
- AWS/ApiGateway: "Amazon API Gateway dimensions and metrics", "Monitor CloudWatch metrics for HTTP
  APIs in API Gateway" and "Monitor WebSocket API execution with CloudWatch metrics" (API Gateway
  developer guide). Its pages once had `ApiId, Stage, Route` where they have Method and Resource.

- rolloutctl: controller/flag.py, which publishes them from inside an application.

AWS adds metrics: a name that is not here may exist, and only the account can tell.
"""

from collections.abc import Iterable, Iterator
from difflib import get_close_matches
from typing import Final, NamedTuple, TypeAlias

from controller.core.policy.metric import Metric

Names: TypeAlias = frozenset[str]
"""The names of the dimensions of one metric."""


class _Kind(NamedTuple):
    """What the values of a metric are.

    unit: of a value; empty: a count. statistics: those that mean something, where PERCENTILE is any
    percentile; empty: all of them. why: what is wrong with any other one, and which to take.
    """

    unit: str = ""
    statistics: tuple[str, ...] = ()
    why: str = ""


PERCENTILE: Final = "a percentile"
_TIMES: Final = ("Average", "Minimum", "Maximum", "SampleCount", PERCENTILE)
_NO_SUM: Final = "it grows with the number of requests; take Average or a percentile"
_SECONDS: Final = _Kind("s", _TIMES, _NO_SUM)
_MILLISECONDS: Final = _Kind("ms", _TIMES, _NO_SUM)
# A value of 1 for each event, and none without one.
_EVENTS: Final = _Kind("", ("Sum", "SampleCount"), "each event has the value 1; take Sum")
# A value of 0 or 1 for each request, so SampleCount counts requests, and not what happened to them.
_OUTCOMES: Final = _Kind("", ("Sum",), "AWS documents it as a count; take Sum")
_RATES: Final = _Kind(
    "", ("Sum", "Average"), "each request has 0 or 1; take Sum (a count) or Average (a share)"
)
_PER_TARGET: Final = _Kind("", ("Sum",), "AWS calls Sum its only valid statistic; take Sum")
_LEVELS: Final = _Kind("", _TIMES, "it is a level, which does not add up; take Average or Maximum")
_BYTES: Final = _Kind("bytes")
_OTHER: Final = _Kind()


def _sets(*dimensions: str) -> tuple[Names, ...]:
    return tuple(frozenset(dimension.split()) for dimension in dimensions)


_BALANCER: Final = _sets("LoadBalancer", "AvailabilityZone LoadBalancer")
_GROUP: Final = _sets("LoadBalancer TargetGroup", "AvailabilityZone LoadBalancer TargetGroup")
_BARE_GROUP: Final = _sets("TargetGroup", "AvailabilityZone TargetGroup")
_FUNCTION: Final = _sets(
    "", "FunctionName", "FunctionName Resource", "ExecutedVersion FunctionName Resource"
)
_MAPPING: Final = _sets("EventSourceMappingUUID")
_REST: Final = _sets("ApiName", "ApiName Stage", "ApiName Method Resource Stage")
# The namespace of the metrics that controller/flag.py publishes, and its paths.
FLAG: Final = "rolloutctl"
_PATHS: Final = ("canary", "stable")
_FLAG: Final = _sets("Flag Path")
_API_ID: Final = _sets("ApiId", "ApiId Stage", "ApiId Method Resource Stage", "ApiId Route Stage")

_Row: TypeAlias = tuple[_Kind, tuple[Names, ...], str]
_TABLE: Final[dict[str, tuple[_Row, ...]]] = {
    "AWS/ApplicationELB": (
        (
            _EVENTS, _BALANCER,
            "ClientTLSNegotiationErrorCount DesyncMitigationMode_NonCompliant_Request_Count "
            "DroppedInvalidHeaderRequestCount ELBAuthError ELBAuthFailure "
            "ELBAuthRefreshTokenSuccess ELBAuthSuccess ELBAuthUserClaimsSizeExceeded "
            "ForwardedInvalidHeaderRequestCount HTTPCode_ELB_3XX_Count HTTPCode_ELB_4XX_Count "
            "HTTPCode_ELB_500_Count HTTPCode_ELB_502_Count HTTPCode_ELB_503_Count "
            "HTTPCode_ELB_504_Count HTTPCode_ELB_5XX_Count HTTP_Fixed_Response_Count "
            "HTTP_Redirect_Count HTTP_Redirect_Url_Limit_Exceeded_Count "
            "LowReputationPacketsDropped LowReputationRequestsDenied RejectedConnectionCount",
        ),
        (
            _EVENTS, _BALANCER + _GROUP,
            "GrpcRequestCount HTTPCode_Target_2XX_Count HTTPCode_Target_3XX_Count "
            "HTTPCode_Target_4XX_Count HTTPCode_Target_5XX_Count IPv6RequestCount "
            "NonStickyRequestCount RequestCount TargetConnectionErrorCount "
            "TargetTLSNegotiationErrorCount",
        ),
        (_SECONDS, _BALANCER + _GROUP, "TargetResponseTime"),
        (_MILLISECONDS, _BALANCER, "ELBAuthLatency"),
        (_EVENTS, _BARE_GROUP + _GROUP, "LambdaInternalError LambdaUserError"),
        (_PER_TARGET, _BARE_GROUP + _GROUP, "RequestCountPerTarget"),
        (_BYTES, _BALANCER, "IPv6ProcessedBytes LambdaTargetProcessedBytes ProcessedBytes"),
        (
            _OTHER, _BALANCER,
            "ActiveConnectionCount ConsumedLCUs NewConnectionCount PeakLCUs RuleEvaluations",
        ),
        (
            _OTHER, _BALANCER + _GROUP,
            "AnomalousHostCount BYoIPUtilPercentage HealthyStateDNS HealthyStateRouting "
            "MitigatedHostCount UnhealthyRoutingRequestCount UnhealthyStateDNS "
            "UnhealthyStateRouting ZonalShiftedHostCount",
        ),
        (_LEVELS, _BALANCER + _GROUP, "HealthyHostCount UnHealthyHostCount"),
    ),
    "AWS/Lambda": (
        (_EVENTS, _FUNCTION, "Invocations UrlRequestCount"),
        (_RATES, _FUNCTION, "Errors"),
        (
            _OUTCOMES, _FUNCTION,
            "AsyncEventsDropped AsyncEventsReceived DeadLetterErrors DestinationDeliveryFailures "
            "OversizedRecordCount ProvisionedConcurrencyInvocations "
            "ProvisionedConcurrencySpilloverInvocations RecursiveInvocationsDropped Throttles "
            "Url4xxCount Url5xxCount",
        ),
        (
            _MILLISECONDS, _FUNCTION,
            "AsyncEventAge Duration IteratorAge PostRuntimeExtensionsDuration UrlRequestLatency",
        ),
        (
            _LEVELS, _FUNCTION,
            "ClaimedAccountConcurrency ConcurrentExecutions OffsetLag "
            "ProvisionedConcurrencyUtilization ProvisionedConcurrentExecutions "
            "UnreservedConcurrentExecutions",
        ),
        (_OTHER, _FUNCTION, "SignatureValidationErrors"),
        (
            _OTHER, _MAPPING,
            "DeletedEventCount DroppedEventCount FailedInvokeEventCount "
            "FilteredOutEventCount InvokedEventCount OnFailureDestinationDeliveredEventCount "
            "PolledEventCount ProvisionedPollers",
        ),
    ),
    "AWS/ApiGateway": (
        (_RATES, _REST, "4XXError 5XXError CacheHitCount CacheMissCount"),
        (_RATES, _API_ID, "4xx 5xx"),
        (_EVENTS, _REST + _API_ID, "Count"),
        (_EVENTS, _API_ID, "ConnectCount MessageCount"),
        (_OUTCOMES, _API_ID, "ClientError ExecutionError IntegrationError"),
        (_MILLISECONDS, _REST + _API_ID, "IntegrationLatency Latency"),
        (_BYTES, _API_ID, "DataProcessed"),
    ),
    FLAG: ((_OTHER, _FLAG, "Failures Requests"), (_MILLISECONDS, _FLAG, "Duration")),
}  # fmt: skip


class Documented(NamedTuple):
    """What AWS documents about one metric: the kind of its values, and its sets of dimensions."""

    kind: _Kind
    dimensions: tuple[Names, ...]


_DOCUMENTED: Final = {
    (namespace, name): Documented(kind, dimensions)
    for namespace, rows in _TABLE.items()
    for kind, dimensions, names in rows
    for name in names.split()
}

# How people write the units of time.
_TIME_UNITS: Final = {
    word: unit
    for unit, words in {
        "s": "s sec secs second seconds",
        "ms": "ms msec msecs millisecond milliseconds",
        "us": "us µs usec microsecond microseconds",
    }.items()
    for word in words.split()
}


def has_one_publisher(namespace: str) -> bool:
    """Tell whether a service, or the flag, publishes all metrics of `namespace`."""
    return namespace.startswith("AWS/") or namespace in _TABLE


def is_other_service(namespace: str) -> bool:
    """Tell whether AWS has a namespace whose metrics are not known here."""
    return namespace.startswith("AWS/") and namespace not in _TABLE


def documented(metric: Metric) -> Documented | None:
    """Return what AWS documents of `metric`; None where AWS documents no such name."""
    return _DOCUMENTED.get((metric.namespace, metric.name))


def is_documented(metric: Metric) -> bool:
    """Tell whether AWS documents the name of `metric` with its dimensions."""
    known = documented(metric)
    return known is not None and frozenset(metric.dimensions) in known.dimensions


def time_unit(metric: Metric) -> str:
    """Return the unit of time of `metric`, as AWS documents it or the policy states it.

    One of s, ms and us; empty where it is no time, or not known.
    """
    known = documented(metric)
    unit = known.kind.unit if known is not None else metric.unit.strip().lower()
    return _TIME_UNITS.get(unit, "")


def is_in_seconds(metric: Metric) -> bool:
    """Tell whether the value of `metric` is a time that AWS documents in seconds."""
    known = documented(metric)
    return known is not None and known.kind is _SECONDS and metric.statistic != "SampleCount"


def is_share(metric: Metric) -> bool:
    """Tell whether each request has 0 or 1 in `metric`, so that its Average is a share."""
    known = documented(metric)
    return known is not None and known.kind is _RATES


def may_count_requests(metric: Metric) -> bool:
    """Tell whether `metric` may be a number of requests; a level and a mean per target are none."""
    if metric.source is not None:
        return metric.source.counts_requests(metric.name)
    known = documented(metric)
    return known is None or known.kind not in (_LEVELS, _PER_TARGET)


def counts_failures(metric: Metric) -> bool:
    """Tell whether AWS documents `metric` as a count of requests that failed."""
    name = metric.name.lower()
    failed = "5xx" in name or "error" in name or name == "throttles"
    return documented(metric) is not None and failed


def lacks_unanswered(metric: Metric) -> bool:
    """Tell whether `metric` counts failures of a target group without those that had no answer."""
    return metric.name == "HTTPCode_Target_5XX_Count" and "TargetGroup" in metric.dimensions


# --- Mistakes and warnings ------------------------------------------------------------------------


def dimensions_problem(metric: Metric) -> str:
    """Return the problem that AWS has no `metric` with these dimensions; empty: it has, or may."""
    known = documented(metric)
    if metric.namespace == FLAG and (path := metric.dimensions.get("Path", "canary")) not in _PATHS:
        return f"the flag publishes no Path {path}: it has canary and stable"
    if known is None or is_documented(metric):
        return ""
    others = [
        name
        for (namespace, name), one in _DOCUMENTED.items()
        if namespace == metric.namespace and frozenset(metric.dimensions) in one.dimensions
    ]
    similar = nearest_name(metric.name, others, cutoff=0.5)
    return (
        f"{_publisher(metric)} publishes no {metric.name} with the dimensions "
        f"{_text(metric.dimensions)}, only with {' or '.join(map(_text, known.dimensions))}"
        + (f". With {_text(metric.dimensions)} it publishes {similar}" if similar else "")
    )


def warnings(metric: Metric) -> Iterator[tuple[str, str]]:
    """Yield each field of `metric` that is probably wrong by AWS's documentation, and why."""
    known = documented(metric)
    if known is None:
        yield from _unknown_name(metric)
        return
    kind = known.kind
    statistic = metric.statistic if metric.percentile is None else PERCENTILE
    if kind.statistics and statistic not in kind.statistics:
        yield "statistic", f"{metric.statistic} of {metric.name} means nothing: {kind.why}"
    stated = _TIME_UNITS.get(metric.unit.strip().lower(), "")
    if stated and stated != kind.unit:
        counted = f"in {kind.unit}" if kind.unit else "a count"
        yield "unit", f"{metric.namespace} {metric.name} is {counted}, not in {stated}"
    api = metric.dimensions.get("ApiName", "")
    if not api.isascii():
        kept = "".join(filter(str.isascii, api))
        named = f"there it is {kept}" if kept else "the id of the API stands there"
        yield "dimensions", f"API Gateway has only the ASCII characters of ApiName: {named}"


def _unknown_name(metric: Metric) -> Iterator[tuple[str, str]]:
    """Yield what is probably wrong with a name that is not documented, or with its namespace."""
    namespace = _nearest_namespace(metric)
    if namespace:
        yield (
            "namespace",
            f"{_publisher(metric)} documents no {metric.name} in {metric.namespace}; did you mean "
            f"{namespace}?",
        )
    elif metric.namespace in _TABLE:
        similar = nearest_documented(metric)
        hint = f"; did you mean {similar}?" if similar else ""
        yield "name", f"{_publisher(metric)} documents no {metric.name} in {metric.namespace}{hint}"


def _nearest_namespace(metric: Metric) -> str:
    """Return the namespace that was probably meant; empty: the written one, or it is not known.

    That is the same in other capitals, or one of AWS that has the name with these dimensions.
    """
    alike = [one for one in _TABLE if one.lower() == metric.namespace.lower()]
    if not alike and metric.namespace.startswith("AWS/"):
        dimensions = frozenset(metric.dimensions)
        alike = [
            space
            for (space, name), one in _DOCUMENTED.items()
            if name == metric.name and dimensions in one.dimensions
        ]
    return "" if metric.namespace in alike else next(iter(alike), "")


def _publisher(metric: Metric) -> str:
    return "AWS" if metric.namespace.lower().startswith("aws/") else "the flag"


def nearest_documented(metric: Metric) -> str:
    """Return the documented name nearest to that of `metric`; empty where none is near.

    Names that AWS has by the same dimensions come first.
    """
    names = {name: one for (space, name), one in _DOCUMENTED.items() if space == metric.namespace}
    same = [name for name, one in names.items() if frozenset(metric.dimensions) in one.dimensions]
    return nearest_name(metric.name, same) or nearest_name(metric.name, names)


def nearest_name(name: str, names: Iterable[str], cutoff: float = 0.75) -> str:
    """Return the one of `names` closest to `name`: in other case, or without a typing mistake.

    A name that begins with the other one is closest. Empty where none is near.
    """
    lower = {one.lower(): one for one in names if one != name}
    wanted = name.lower()
    longer = [one for one in lower if one.startswith(wanted) or wanted.startswith(one)]
    close = longer or get_close_matches(wanted, lower, 1, cutoff)
    return next((lower[one] for one in close), "")


def _text(dimensions: Iterable[str]) -> str:
    return f"{{{', '.join(sorted(dimensions))}}}"
