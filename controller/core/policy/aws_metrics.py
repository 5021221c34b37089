"""What AWS documents of the metrics of its services: their dimensions, units and statistics.

Sources, as published in November 2026 (stored copies; the dimensions of ALB metrics are compared
with the canned metrics of the AWS CDK, which AWS generates from its own definitions):

- AWS/ApplicationELB: "CloudWatch metrics for your Application Load Balancer" (ELB user guide).
- AWS/Lambda: "Types of metrics for Lambda functions", "Viewing metrics for Lambda functions" and,
  for function URLs, "Monitoring Lambda function URLs" (Lambda developer guide).
- AWS/ApiGateway: "Amazon API Gateway dimensions and metrics", "Monitor CloudWatch metrics for HTTP
  APIs in API Gateway" and "Monitor WebSocket API execution with CloudWatch metrics" (API Gateway
  developer guide). Its pages once had `ApiId, Stage, Route` where they have Method and Resource.

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
_BYTES: Final = _Kind("bytes")
_OTHER: Final = _Kind()


def _sets(*dimensions: str) -> tuple[Names, ...]:
    return tuple(frozenset(one.split()) for one in dimensions)


_BALANCER: Final = _sets("LoadBalancer", "AvailabilityZone LoadBalancer")
_GROUP: Final = _sets("LoadBalancer TargetGroup", "AvailabilityZone LoadBalancer TargetGroup")
_BARE_GROUP: Final = _sets("TargetGroup", "AvailabilityZone TargetGroup")
_FUNCTION: Final = _sets(
    "", "FunctionName", "FunctionName Resource", "ExecutedVersion FunctionName Resource"
)
_MAPPING: Final = _sets("EventSourceMappingUUID")
_REST: Final = _sets("ApiName", "ApiName Stage", "ApiName Method Resource Stage")
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
            "AnomalousHostCount BYoIPUtilPercentage HealthyHostCount HealthyStateDNS "
            "HealthyStateRouting MitigatedHostCount UnHealthyHostCount "
            "UnhealthyRoutingRequestCount UnhealthyStateDNS UnhealthyStateRouting "
            "ZonalShiftedHostCount",
        ),
    ),
    "AWS/Lambda": (
        (_EVENTS, _FUNCTION, "Invocations UrlRequestCount"),
        (
            _OUTCOMES, _FUNCTION,
            "AsyncEventsDropped AsyncEventsReceived DeadLetterErrors DestinationDeliveryFailures "
            "Errors OversizedRecordCount ProvisionedConcurrencyInvocations "
            "ProvisionedConcurrencySpilloverInvocations RecursiveInvocationsDropped Throttles "
            "Url4xxCount Url5xxCount",
        ),
        (
            _MILLISECONDS, _FUNCTION,
            "AsyncEventAge Duration IteratorAge PostRuntimeExtensionsDuration UrlRequestLatency",
        ),
        (
            _OTHER, _FUNCTION,
            "ClaimedAccountConcurrency ConcurrentExecutions OffsetLag "
            "ProvisionedConcurrencyUtilization ProvisionedConcurrentExecutions "
            "SignatureValidationErrors UnreservedConcurrentExecutions",
        ),
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
}  # fmt: skip


class Documented(NamedTuple):
    """What AWS documents of one metric: what its values are, and by which dimensions it has it."""

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


# --- Mistakes and warnings ------------------------------------------------------------------------


def dimensions_problem(metric: Metric) -> str:
    """Return that AWS has no such metric by the dimensions of `metric`; empty: it does, or may."""
    known = documented(metric)
    if known is None or is_documented(metric):
        return ""
    others = [
        name
        for (namespace, name), one in _DOCUMENTED.items()
        if namespace == metric.namespace and frozenset(metric.dimensions) in one.dimensions
    ]
    similar = nearest_name(metric.name, others, cutoff=0.5)
    return (
        f"AWS publishes no {metric.name} with the dimensions {_text(metric.dimensions)}; it has "
        f"{', '.join(map(_text, known.dimensions))}"
        + (f"; with {_text(metric.dimensions)} there is {similar}" if similar else "")
    )


def warnings(metric: Metric) -> Iterator[tuple[str, str]]:
    """Yield each field of `metric` that is probably wrong, and why, by what AWS documents."""
    known = documented(metric)
    if known is None:
        if similar := nearest_documented(metric):
            text = f"AWS documents no {metric.name} in {metric.namespace}; did you mean {similar}?"
            yield "name", text
        return
    kind = known.kind
    statistic = metric.statistic if metric.percentile is None else PERCENTILE
    if kind.statistics and statistic not in kind.statistics:
        yield "statistic", f"{metric.statistic} of {metric.name} means nothing: {kind.why}"
    stated = _TIME_UNITS.get(metric.unit.strip().lower(), "")
    if stated and stated != kind.unit:
        counted = f"in {kind.unit}" if kind.unit else "a count"
        yield "unit", f"{metric.namespace} {metric.name} is {counted}, and not in {stated}"


def nearest_documented(metric: Metric) -> str:
    """Return the documented name nearest to that of `metric`; empty where none is near.

    Names that AWS has by the same dimensions come first.
    """
    names = {name: one for (space, name), one in _DOCUMENTED.items() if space == metric.namespace}
    same = [name for name, one in names.items() if frozenset(metric.dimensions) in one.dimensions]
    return nearest_name(metric.name, same) or nearest_name(metric.name, names)


def nearest_name(name: str, names: Iterable[str], cutoff: float = 0.75) -> str:
    """Return the one of `names` closest to `name`: other letters' case, or a typing mistake.

    A name that begins with the other one is closest. Empty where none is near.
    """
    lower = {one.lower(): one for one in names if one != name}
    wanted = name.lower()
    longer = [one for one in lower if one.startswith(wanted) or wanted.startswith(one)]
    close = longer or get_close_matches(wanted, lower, 1, cutoff)
    return next((lower[one] for one in close), "")


def _text(dimensions: Iterable[str]) -> str:
    return f"{{{', '.join(sorted(dimensions))}}}"
