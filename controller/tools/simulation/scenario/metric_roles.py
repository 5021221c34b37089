"""Metric roles: which path and measure of the simulated traffic each metric stands for."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Final, NamedTuple

from pydantic import Field

from controller.core.policy import Criterion, Metric, Policy
from controller.core.policy.aws_metrics import time_unit
from controller.core.policy.comparison import Increase, Level, Ratio
from controller.core.policy.field_types import Model
from controller.core.policy.metric_uses import Reference, known_counts
from controller.errors import PolicyError
from controller.flag import NAMESPACE
from controller.ports import api_gateway


class TrafficPath(StrEnum):
    """The path of a request: stable or canary; both, for a metric of all requests."""

    STABLE = "stable"
    CANARY = "canary"
    BOTH = "both"


class Measure(StrEnum):
    """What a metric measures about the requests of a path."""

    REQUESTS = "requests"
    SUCCESSES = "successes"
    REDIRECTS = "redirects"
    CLIENT_ERRORS = "client_errors"
    SERVER_ERRORS = "server_errors"
    FAILURES = "failures"
    DIED = "died"
    HUNG = "hung"
    RAISED = "raised"
    THROTTLED = "throttled"
    ABORTED = "aborted"
    BAD_GATEWAYS = "bad_gateways"
    UNANSWERED = "unanswered"
    LATENCY = "latency"
    INTEGRATION_LATENCY = "integration_latency"


class Role(Model):
    """The path and the measure of one metric."""

    path: TrafficPath = Field(description="Whose requests: canary, stable or both.")
    measure: Measure = Field(
        description="requests, latency, integration_latency, or how requests ended: successes, "
        "redirects, client_errors, server_errors, failures (errors of both kinds), died, hung, "
        "raised, throttled, aborted, bad_gateways (502: died, raised, throttled) or unanswered "
        "(those and hung)."
    )


class Identity(NamedTuple):
    """The identity of a metric in CloudWatch: namespace, name and all dimensions."""

    namespace: str
    name: str
    dimensions: tuple[tuple[str, str], ...]

    @classmethod
    def of(cls, metric: Metric) -> "Identity":
        """Return the identity of a policy's metric."""
        return cls(metric.namespace, metric.name, tuple(sorted(metric.dimensions.items())))

    @classmethod
    def of_request(cls, namespace: str, metric: Mapping[str, Any]) -> "Identity":
        """Return the identity of a metric as a request to CloudWatch has it."""
        dimensions = ((one["Name"], one["Value"]) for one in metric.get("Dimensions", ()))
        return cls(namespace, metric["MetricName"], tuple(sorted(dimensions)))


# The end of a namespace that stands for a source whose times are in seconds.
_SECONDS: Final = " in seconds"


def as_cloudwatch(policy: Policy) -> Policy:
    """Return the policy with every metric in CloudWatch, which a simulated account has."""
    metrics = {}
    for name, metric in policy.metrics.items():
        if metric.source is not None:
            in_seconds = time_unit(metric) == "s" or "_seconds" in metric.name
            namespace = metric.source.kind + (_SECONDS if in_seconds else "")
            metric = metric.model_copy(update={"source": None, "namespace": namespace})
        metrics[name] = metric
    return policy.model_copy(update={"metrics": metrics})


def is_in_seconds(namespace: str) -> bool:
    """Tell whether the times of a namespace are in seconds, and not in milliseconds."""
    return namespace == LOAD_BALANCER or namespace.endswith(_SECONDS)


LOAD_BALANCER: Final = "AWS/ApplicationELB"
LAMBDA: Final = "AWS/Lambda"

_MEASURES = {
    api_gateway.NAMESPACE: {
        api_gateway.REQUESTS: Measure.REQUESTS,
        **dict.fromkeys(api_gateway.CLIENT_ERRORS, Measure.CLIENT_ERRORS),
        **dict.fromkeys(api_gateway.SERVER_ERRORS, Measure.SERVER_ERRORS),
        api_gateway.LATENCY: Measure.LATENCY,
        api_gateway.INTEGRATION_LATENCY: Measure.INTEGRATION_LATENCY,
    },
    LAMBDA: {
        "Invocations": Measure.REQUESTS,
        "Throttles": Measure.THROTTLED,
        "Errors": Measure.SERVER_ERRORS,
        "Duration": Measure.LATENCY,
        "UrlRequestCount": Measure.REQUESTS,
        "Url4xxCount": Measure.CLIENT_ERRORS,
        "Url5xxCount": Measure.SERVER_ERRORS,
        "UrlRequestLatency": Measure.LATENCY,
    },
    LOAD_BALANCER: {
        "RequestCount": Measure.REQUESTS,
        "HTTPCode_Target_2XX_Count": Measure.SUCCESSES,
        "HTTPCode_Target_3XX_Count": Measure.REDIRECTS,
        "HTTPCode_Target_4XX_Count": Measure.CLIENT_ERRORS,
        "HTTPCode_Target_5XX_Count": Measure.SERVER_ERRORS,
        "TargetResponseTime": Measure.LATENCY,
        "TargetConnectionErrorCount": Measure.DIED,
        "LambdaUserError": Measure.RAISED,
        "HTTPCode_ELB_4XX_Count": Measure.ABORTED,
        "HTTPCode_ELB_5XX_Count": Measure.UNANSWERED,
        "HTTPCode_ELB_502_Count": Measure.BAD_GATEWAYS,
        "HTTPCode_ELB_504_Count": Measure.HUNG,
    },
    NAMESPACE: {
        "Requests": Measure.REQUESTS,
        "Failures": Measure.FAILURES,
        "Duration": Measure.LATENCY,
    },
}

_FLAG_DIMENSIONS = {"Flag", "Path"}


def roles_of(policy: Policy, stated: Mapping[str, Role]) -> dict[Identity, Role]:
    """Return the role of each metric of `policy`; `stated` roles override inferred ones.

    The path is the one that the policy says or implies (`Policy.counts`), unless the dimensions of
    the metric tell another one. The measure follows from the name of the metric, or from what the
    criteria use it for.

    Raises PolicyError with one line for each metric whose role cannot be inferred, and for each
    name in `stated` that the policy does not have.
    """
    problems = [
        f"metrics.{name}: the policy has no such metric, but {', '.join(policy.metrics)}"
        for name in stated
        if name not in policy.metrics
    ]
    used = _used_measures(policy)
    roles: dict[Identity, Role] = {}
    for name, metric in policy.metrics.items():
        identity = Identity.of(metric)
        role = stated.get(name) or _inferred_role(policy, name, used.get(identity))
        if role is None:
            problems.append(_unknown_metric_text(name, metric))
        elif roles.setdefault(identity, role) != role:
            other = roles[identity]
            problems.append(
                f"metrics.{name}: the same CloudWatch metric measures {other.measure} of "
                f"{other.path} under another name; say the same role for both"
            )
    if problems:
        raise PolicyError(*problems)
    for metric in policy.metrics.values():  # `start` reads these before the canary has traffic
        at_zero = Role(path=TrafficPath.BOTH, measure=roles[Identity.of(metric)].measure)
        roles.setdefault(Identity.of(policy.target.at_zero(metric)), at_zero)
    return roles


def _inferred_role(policy: Policy, name: str, used: Measure | None) -> Role | None:
    metric = policy.metrics[name]
    measure = _MEASURES.get(metric.namespace, {}).get(metric.name)
    known = known_counts(policy.target, metric)
    if metric.namespace != NAMESPACE:
        measure = measure or used
    elif known is None or metric.dimensions.keys() != _FLAG_DIMENSIONS:
        return None  # no flag publishes it
    if measure is None:
        return None
    return Role(path=TrafficPath(known or policy.counts[name]), measure=measure)


def _used_measures(policy: Policy) -> dict[Identity, Measure]:
    """Return what each metric measures by its uses, where all of them say the same."""
    uses: dict[Identity, set[Measure]] = {}
    for criterion in policy.criteria.values():
        for reference in criterion.references:
            metric = policy.metrics[reference.metric]
            measure = _used_as(criterion, reference, metric)
            if measure is not None:
                uses.setdefault(Identity.of(metric), set()).add(measure)
    return {identity: next(iter(use)) for identity, use in uses.items() if len(use) == 1}


def _used_as(criterion: Criterion, named: Reference, metric: Metric) -> Measure | None:
    """Return what a metric that `criterion` names measures; None: its use does not tell."""
    if named.use.measures:
        return Measure(named.use.measures)
    if metric.percentile is not None or time_unit(metric):
        return Measure.LATENCY
    first = next(iter(criterion.comparisons), None)
    match first and first.measured:
        case Increase():
            return Measure.LATENCY
        case Level(counts="requests") | Ratio(counts="requests"):
            return Measure.REQUESTS
        case Ratio(whole=whole) if named.metric in whole:
            return Measure.REQUESTS
        case Ratio():
            return Measure.FAILURES if first and first.is_maximum else Measure.SUCCESSES
        case _:
            return None


def _unknown_metric_text(name: str, metric: Metric) -> str:
    likely = Measure.LATENCY if metric.percentile is not None else Measure.REQUESTS
    return (
        f"metrics.{name}: it is unknown what {metric.namespace} {metric.name} measures; say it "
        f"in the scenario, like `metrics: {{{name}: {{path: canary, measure: {likely}}}}}` (path: "
        f"{', '.join(TrafficPath)}; measure: {', '.join(Measure)})"
    )
