"""The ways in which the call of one crossing can go wrong, by its operation."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from botocore.exceptions import ClientError

from controller.errors import LeaseHeldError, RolloutError, StateConflictError, StoreError
from controller.simulation.fakes.errors import lost, refusal
from controller.simulation.fakes.metric_query import next_token
from controller.simulation.fakes.outages import broken
from tests.chaos.fault_plan import Trouble
from tests.chaos.process import STORE, Crossing, Proceed

LOST: Final = "answer lost"
UNSENT: Final = "never arrived"
LATE: Final = "late"  # a time-out, and the call arrives after it
DONE_500: Final = "500 although done"

_WRITE: Final = (LOST, UNSENT, LATE, "500", DONE_500)
_DATA: Final = ("partial", "internal_error", "forbidden", "empty", "behind", "pages out of order")
_STORE_WRITE: Final = ("store down", "disk full", "conflict")

WAYS: Final[Mapping[str, tuple[str, ...]]] = {
    "lambda:GetFunctionConfiguration": ("429", "500", UNSENT),
    "lambda:UpdateFunctionConfiguration": ("409", "412", "429", *_WRITE),
    "cloudwatch:GetMetricData": ("throttled", "500", UNSENT, *_DATA),
    "dynamodb:GetItem": ("throttled", "500", UNSENT),
    "dynamodb:Query": ("throttled", "500", UNSENT),
    "dynamodb:UpdateItem": ("throttled", "met another", *_WRITE),
    "dynamodb:TransactWriteItems": ("throttled", "met another", *_WRITE),
    "store:active": ("store down",),
    "store:load": ("store down",),
    "store:of_name": ("store down",),
    "store:owns": ("store down",),
    "store:acquire": ("lease held", *_STORE_WRITE),
    "store:create": _STORE_WRITE,
    "store:save": _STORE_WRITE,
    "store:release": ("store down", "disk full"),
    "people:notify": ("fails",),
}

_CODES: Final[Mapping[tuple[str, str], str]] = {
    ("lambda", "409"): "ResourceConflictException",
    ("lambda", "412"): "PreconditionFailedException",
    ("lambda", "429"): "TooManyRequestsException",
    ("lambda", "500"): "ServiceException",
    ("cloudwatch", "throttled"): "Throttling",
    ("cloudwatch", "500"): "InternalFailure",
    ("dynamodb", "throttled"): "ThrottlingException",
    ("dynamodb", "500"): "InternalServerError",
    ("dynamodb", "met another"): "TransactionConflictException",
}
# HTTP statuses of DynamoDB's codes; those of the simulated services are known to `refusal`.
_STATUS: Final[Mapping[str, int]] = {
    "InternalServerError": 500,
    "TransactionConflictException": 400,
}

_REFUSED: Final[Mapping[str, Callable[[str], RolloutError]]] = {
    "store down": StoreError,
    "disk full": StoreError,
    "conflict": StateConflictError,
    "lease held": LeaseHeldError,
}


class DeafError(Exception):
    """Nobody can be told anything."""


def fits(how: str, crossing: Crossing) -> bool:
    """Tell whether the call of `crossing` can go wrong in the way of `how`."""
    return how in WAYS.get(operation(crossing), ())


def operation(crossing: Crossing) -> str:
    """Return service and operation as a plot spells them."""
    return f"{crossing.service}:{crossing.operation}"


def answered(how: str, crossing: Crossing, proceed: Proceed) -> Any:
    """Return what a call that goes wrong in this way answers, or raise it; `late` is `UNSENT`."""
    if how in _REFUSED:
        raise _REFUSED[how](f"chaos: {how}")
    match how:
        case "fails":
            raise DeafError
        case "answer lost":
            proceed()
            raise lost(crossing.service)
        case "never arrived" | "late":
            raise lost(crossing.service)
        case "500 although done":
            proceed()
            raise _error("500", crossing)
        case "empty" | "behind" | "pages out of order":
            return _bent(how, proceed())
        case "partial" | "internal_error" | "forbidden":
            return broken(crossing.service, crossing.operation, how, proceed)
        case _:
            raise _error(how, crossing)


_SPELLS: Final[Mapping[tuple[Trouble, str], str]] = {
    (Trouble.LAMBDA, "lambda"): "500",
    (Trouble.METRICS, "cloudwatch"): "500",
    (Trouble.PARTIAL, "cloudwatch"): "partial",
    (Trouble.STORE, STORE): "store down",
    (Trouble.STORE, "dynamodb"): "500",
    (Trouble.FULL, STORE): "disk full",
    (Trouble.FULL, "dynamodb"): "throttled",
}
# What the simulated Lambda itself does while it lasts, and the calls that meet it.
_BY_ITSELF: Final[Mapping[Trouble, str]] = {
    Trouble.KMS: "lambda:GetFunctionConfiguration",
    Trouble.SLOW: "lambda:UpdateFunctionConfiguration",
    Trouble.FAILED: "lambda:UpdateFunctionConfiguration",
}
_WRITING: Final = frozenset(
    {"acquire", "create", "save", "release", "UpdateItem", "TransactWriteItems"}
)


def way_of(trouble: Trouble, crossing: Crossing) -> str | None:
    """Return the way in which `trouble` breaks the call of `crossing`; None when it does not.

    Empty: the simulated service does it by itself.
    """
    if trouble in _BY_ITSELF:
        return "" if _BY_ITSELF[trouble] == operation(crossing) else None
    if trouble is Trouble.FULL and not _writes(crossing):
        return None
    return _SPELLS.get((trouble, crossing.service))


def _writes(crossing: Crossing) -> bool:
    return crossing.operation in _WRITING


def _error(how: str, crossing: Crossing) -> ClientError:
    code = _CODES[crossing.service, how]
    return refusal(crossing.operation, code, f"chaos: {how}", status=_STATUS.get(code))


# Minutes that a late CloudWatch is behind, beyond what any policy waits for.
_BEHIND: Final = 5


def _bent(how: str, answer: dict[str, Any]) -> dict[str, Any]:
    """Return metric data that is complete by its own word, or comes in pages of a strange order."""
    for result in answer["MetricDataResults"]:
        points = list(zip(result["Timestamps"], result["Values"], strict=True))
        if how == "empty":
            points = []
        elif how == "behind":
            points = points[: max(0, len(points) - _BEHIND)]
        else:  # the newer half, newest first; the next page has everything
            points = points[len(points) // 2 :][::-1]
            result["StatusCode"] = "PartialData"
        result["Timestamps"] = [stamp for stamp, _ in points]
        result["Values"] = [value for _, value in points]
    if how == "pages out of order":
        answer["NextToken"] = next_token(0)
    return answer
