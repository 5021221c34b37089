"""The kinds of faults of an external call, by its operation, and their injection."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from botocore.exceptions import ClientError

from controller.errors import LeaseHeldError, RolloutError, StateConflictError, StoreError
from controller.tools.simulation.fakes.errors import apply_outage, client_error, read_timeout
from controller.tools.simulation.fakes.metric_request import next_token
from tests.chaos.fault_plan import Degradation
from tests.chaos.process import STORE, ExternalCall, Proceed

RESPONSE_LOST: Final = "answer lost"
REQUEST_LOST: Final = "never arrived"
LATE: Final = "late"  # the caller times out, and the call arrives afterwards
DONE_500: Final = "500 although done"

_WRITE_KINDS: Final = (RESPONSE_LOST, REQUEST_LOST, LATE, "500", DONE_500)
_DATA_KINDS: Final = (
    "partial",
    "internal_error",
    "forbidden",
    "empty",
    "behind",
    "pages out of order",
)
_STORE_WRITE_KINDS: Final = ("store down", "disk full", "conflict")

FAULT_KINDS: Final[Mapping[str, tuple[str, ...]]] = {
    "lambda:GetFunctionConfiguration": ("429", "500", REQUEST_LOST),
    "lambda:UpdateFunctionConfiguration": ("409", "412", "429", *_WRITE_KINDS),
    "lambda:GetAlias": ("429", "500", REQUEST_LOST),
    "lambda:UpdateAlias": ("409", "412", "429", *_WRITE_KINDS),
    "lambda:GetProvisionedConcurrencyConfig": ("429", "500", REQUEST_LOST),
    "elbv2:DescribeRules": ("throttled", "500", REQUEST_LOST),
    "elbv2:DescribeListeners": ("throttled", "500", REQUEST_LOST),
    "elbv2:DescribeTargetHealth": ("throttled", "500", REQUEST_LOST, "unhealthy"),
    "elbv2:ModifyRule": ("throttled", *_WRITE_KINDS),
    "elbv2:ModifyListener": ("throttled", *_WRITE_KINDS),
    "appconfig:ListDeployments": ("throttled", "500", REQUEST_LOST),
    "appconfig:GetHostedConfigurationVersion": ("throttled", "500", REQUEST_LOST),
    "appconfig:GetDeploymentStrategy": ("throttled", "500", REQUEST_LOST),
    "appconfig:CreateHostedConfigurationVersion": ("409", "throttled", *_WRITE_KINDS),
    "appconfig:StartDeployment": ("409", "throttled", *_WRITE_KINDS),
    "cloudwatch:GetMetricData": ("throttled", "500", REQUEST_LOST, *_DATA_KINDS),
    "dynamodb:GetItem": ("throttled", "500", REQUEST_LOST),
    "dynamodb:Query": ("throttled", "500", REQUEST_LOST),
    "dynamodb:UpdateItem": ("throttled", "met another", *_WRITE_KINDS),
    "dynamodb:TransactWriteItems": ("throttled", "met another", *_WRITE_KINDS),
    "store:visits": ("store down",),
    "store:load": ("store down",),
    "store:of_name": ("store down",),
    "store:owns": ("store down",),
    "store:acquire": ("lease held", *_STORE_WRITE_KINDS),
    "store:create": _STORE_WRITE_KINDS,
    "store:save": _STORE_WRITE_KINDS,
    "store:release": ("store down", "disk full"),
    "people:notify": ("fails",),
}

_CODES: Final[Mapping[tuple[str, str], str]] = {
    ("lambda", "409"): "ResourceConflictException",
    ("lambda", "412"): "PreconditionFailedException",
    ("lambda", "429"): "TooManyRequestsException",
    ("lambda", "500"): "ServiceException",
    ("elbv2", "throttled"): "Throttling",
    ("elbv2", "500"): "InternalFailure",
    ("appconfig", "409"): "ConflictException",
    ("appconfig", "throttled"): "ThrottlingException",
    ("appconfig", "500"): "InternalServerException",
    ("cloudwatch", "throttled"): "Throttling",
    ("cloudwatch", "500"): "InternalFailure",
    ("dynamodb", "throttled"): "ThrottlingException",
    ("dynamodb", "500"): "InternalServerError",
    ("dynamodb", "met another"): "TransactionConflictException",
}
# HTTP statuses of DynamoDB's codes; those of the simulated services are known to `client_error`.
_STATUS: Final[Mapping[str, int]] = {
    "InternalServerError": 500,
    "TransactionConflictException": 400,
}

_STORE_ERRORS: Final[Mapping[str, Callable[[str], RolloutError]]] = {
    "store down": StoreError,
    "disk full": StoreError,
    "conflict": StateConflictError,
    "lease held": LeaseHeldError,
}


class NotifierDownError(Exception):
    """A notice cannot be shown."""


def can_occur(how: str, call: ExternalCall) -> bool:
    """Tell whether `call` can have a fault of the kind `how`."""
    return how in FAULT_KINDS.get(operation_name(call), ())


def operation_name(call: ExternalCall) -> str:
    """Return service and operation as a fault plan spells them."""
    return f"{call.service}:{call.operation}"


def inject(how: str, call: ExternalCall, proceed: Proceed) -> Any:
    """Return or raise the result of `call` under a fault of the kind `how`.

    A `late` call only times out here; the injector makes it later.
    """
    if how in _STORE_ERRORS:
        raise _STORE_ERRORS[how](f"chaos: {how}")
    match how:
        case "fails":
            raise NotifierDownError
        case "answer lost":
            proceed()
            raise read_timeout(call.service)
        case "never arrived" | "late":
            raise read_timeout(call.service)
        case "500 although done":
            proceed()
            raise _error("500", call)
        case "empty" | "behind" | "pages out of order" | "unhealthy":
            return _distort(how, proceed())
        case "partial" | "internal_error" | "forbidden":
            return apply_outage(call.service, call.operation, how, proceed)
        case _:
            raise _error(how, call)


_DEGRADATION_KINDS: Final[Mapping[tuple[Degradation, str], str]] = {
    (Degradation.TARGET, "lambda"): "500",
    (Degradation.TARGET, "elbv2"): "500",
    (Degradation.TARGET, "appconfig"): "500",
    (Degradation.METRICS, "cloudwatch"): "500",
    (Degradation.PARTIAL, "cloudwatch"): "partial",
    (Degradation.STORE, STORE): "store down",
    (Degradation.STORE, "dynamodb"): "500",
    (Degradation.FULL, STORE): "disk full",
    (Degradation.FULL, "dynamodb"): "throttled",
}
# Degradations that the simulated Lambda applies itself, and the calls that they affect.
_SIMULATED_BY_LAMBDA: Final[Mapping[Degradation, str]] = {
    Degradation.KMS: "lambda:GetFunctionConfiguration",
    Degradation.SLOW: "lambda:UpdateFunctionConfiguration",
    Degradation.FAILED: "lambda:UpdateFunctionConfiguration",
}
_STORE_WRITES: Final = frozenset(
    {"acquire", "create", "save", "release", "UpdateItem", "TransactWriteItems"}
)


def fault_kind_of(degradation: Degradation, call: ExternalCall) -> str | None:
    """Return the kind of fault that `degradation` causes in `call`; None when it causes none.

    Empty: the simulated service applies it itself.
    """
    if degradation in _SIMULATED_BY_LAMBDA:
        return "" if _SIMULATED_BY_LAMBDA[degradation] == operation_name(call) else None
    if degradation is Degradation.FULL and not _is_store_write(call):
        return None
    return _DEGRADATION_KINDS.get((degradation, call.service))


def _is_store_write(call: ExternalCall) -> bool:
    return call.operation in _STORE_WRITES


def _error(how: str, call: ExternalCall) -> ClientError:
    code = _CODES[call.service, how]
    return client_error(call.operation, code, f"chaos: {how}", status=_STATUS.get(code))


def _without_healthy_target(answer: dict[str, Any]) -> dict[str, Any]:
    unhealthy = {"State": "unhealthy", "Reason": "Target.FailedHealthChecks"}
    targets = answer["TargetHealthDescriptions"]
    return {
        "TargetHealthDescriptions": [{**target, "TargetHealth": unhealthy} for target in targets]
    }


# How many minutes of data are missing at the end: more than any policy waits for.
_MINUTES_BEHIND: Final = 5


def _distort(how: str, answer: dict[str, Any]) -> dict[str, Any]:
    """Return an answer that is sound in its form.

    Metric data claim to be complete and are not, or have their pages out of order; the targets of a
    group are not healthy.
    """
    if how == "unhealthy":
        return _without_healthy_target(answer)
    for result in answer["MetricDataResults"]:
        points = list(zip(result["Timestamps"], result["Values"], strict=True))
        if how == "empty":
            points = []
        elif how == "behind":
            points = points[: max(0, len(points) - _MINUTES_BEHIND)]
        else:  # the newer half, newest first; the next page has everything
            points = points[len(points) // 2 :][::-1]
            result["StatusCode"] = "PartialData"
        result["Timestamps"] = [stamp for stamp, _ in points]
        result["Values"] = [value for _, value in points]
    if how == "pages out of order":
        answer["NextToken"] = next_token(0)
    return answer
