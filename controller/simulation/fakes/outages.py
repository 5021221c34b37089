"""What a planned outage makes of a call."""

from collections.abc import Callable
from typing import Any, TypeAlias

from controller.simulation.fakes.errors import lost, refusal

Answer: TypeAlias = dict[str, Any]
Proceed: TypeAlias = Callable[[], Answer]

_REFUSED = {
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


def broken(service: str, operation: str, how: str, proceed: Proceed) -> Answer:
    """Return or raise what a call meets while its service is broken in the way of `how`.

    The words for `how` are those of the scenario's outages.
    """
    if (service, how) in _REFUSED:
        code, message = _REFUSED[service, how]
        raise refusal(operation, code, message)
    match how:
        case "timeout":
            raise lost(service)
        case "lost_response":
            answer = proceed()
            if operation.startswith(("Update", "Put")):
                raise lost(service)
            return answer
        case _:
            return _degraded(proceed(), how)


def _degraded(answer: Answer, how: str) -> Answer:
    """Return the answer with its results cut down: partial ones lose their newer half."""
    for result in answer.get("MetricDataResults", ()):
        kept = len(result["Values"]) // 2 if how == "partial" else 0
        older = sorted(range(len(result["Values"])), key=result["Timestamps"].__getitem__)[:kept]
        keep = sorted(older)
        result["Timestamps"] = [result["Timestamps"][index] for index in keep]
        result["Values"] = [result["Values"][index] for index in keep]
        result["StatusCode"] = _STATUS[how]
        result["Messages"] = [{"Code": _STATUS[how], "Value": "This is a simulated outage."}]
    answer.pop("NextToken", None)
    return answer
