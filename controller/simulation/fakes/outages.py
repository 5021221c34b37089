"""What a planned outage makes of a call."""

from collections.abc import Callable
from typing import Any, TypeAlias

from controller.simulation.fakes.errors import client_error, read_timeout

AwsResponse: TypeAlias = dict[str, Any]
Proceed: TypeAlias = Callable[[], AwsResponse]

_ERROR_CODES = {
    ("cloudwatch", "error"): ("InternalFailure", "The request processing has failed."),
    ("cloudwatch", "throttle"): ("Throttling", "Rate exceeded"),
    ("cloudwatch", "denied"): ("AccessDeniedException", "not authorized to perform this action"),
    ("logs", "throttle"): ("ThrottlingException", "Rate exceeded"),
    ("logs", "denied"): ("AccessDeniedException", "not authorized to perform this action"),
    ("lambda", "error"): (
        "ServiceException",
        "An error occurred and the request cannot be processed.",
    ),
    ("lambda", "throttle"): ("TooManyRequestsException", "Rate exceeded"),
    ("lambda", "denied"): ("AccessDeniedException", "not authorized to perform this action"),
}

_STATUS = {"partial": "PartialData", "internal_error": "InternalError", "forbidden": "Forbidden"}


def apply_outage(service: str, operation: str, outage: str, proceed: Proceed) -> AwsResponse:
    """Return or raise what a call meets while its service is broken in the way of `outage`.

    The words for `outage` are those of the scenario's outages.
    """
    if (service, outage) in _ERROR_CODES:
        code, message = _ERROR_CODES[service, outage]
        raise client_error(operation, code, message)
    match outage:
        case "timeout":
            raise read_timeout(service)
        case "lost_response":
            answer = proceed()
            if operation.startswith(("Update", "Put")):
                raise read_timeout(service)
            return answer
        case _:
            return _degrade(proceed(), outage)


def _degrade(answer: AwsResponse, outage: str) -> AwsResponse:
    """Return the answer with its results cut down: partial ones lose their newer half."""
    for result in answer.get("MetricDataResults", ()):
        kept = len(result["Values"]) // 2 if outage == "partial" else 0
        older = sorted(range(len(result["Values"])), key=result["Timestamps"].__getitem__)[:kept]
        keep = sorted(older)
        result["Timestamps"] = [result["Timestamps"][index] for index in keep]
        result["Values"] = [result["Values"][index] for index in keep]
        result["StatusCode"] = _STATUS[outage]
        result["Messages"] = [{"Code": _STATUS[outage], "Value": "This is a simulated outage."}]
    answer.pop("NextToken", None)
    return answer
