"""The exceptions that botocore raises for AWS errors, and the outages of a scenario."""

import re
from collections.abc import Callable
from typing import Any, TypeAlias

from botocore.exceptions import ClientError, ParamValidationError, ReadTimeoutError

# HTTP status of each error code that a fake answers with.
STATUS = {
    "AccessDeniedException": 403,
    "BadRequestException": 400,
    "ConflictException": 409,
    "InternalFailure": 500,
    "InternalServerException": 500,
    "InvalidNextToken": 400,
    "InvalidParameterException": 400,
    "InvalidParameterValueException": 400,
    "PreconditionFailedException": 412,
    "ResourceConflictException": 409,
    "ResourceNotFoundException": 404,
    "ServiceException": 500,
    "ServiceQuotaExceededException": 402,
    "Throttling": 400,
    "ThrottlingException": 400,
    "TooManyRequestsException": 429,
    "ValidationError": 400,
}


def client_error(
    operation: str, code: str, message: str, *, status: int | None = None
) -> ClientError:
    """Return the error that a client raises when AWS answers `operation` with `code`.

    status: HTTP status; without it the one of STATUS, or 400.
    """
    return ClientError(
        {
            "Error": {"Code": code, "Message": message},
            "ResponseMetadata": {
                "HTTPStatusCode": status or STATUS.get(code, 400),
                "RequestId": "00000000-0000-4000-8000-000000000000",
                "HTTPHeaders": {},
                "RetryAttempts": 0,
                "HostId": "",
            },
        },
        operation,
    )


def outdated_revision(operation: str) -> ClientError:
    """Return the error of a write under a RevisionId that is not the latest."""
    message = (
        "The Revision Id provided does not match the latest Revision Id. Call the "
        "GetFunction/GetAlias API to retrieve the latest Revision Id"
    )
    return client_error(operation, "PreconditionFailedException", message)


def validation_error(report: str) -> ParamValidationError:
    """Return the error that a client raises for an invalid request, before it calls AWS."""
    return ParamValidationError(report=report)


def read_timeout(service: str) -> ReadTimeoutError:
    """Return the error that a client raises when no answer comes."""
    return ReadTimeoutError(endpoint_url=f"https://{service}.example.invalid/")


def page_offset(token: str | None, form: str, error: ClientError) -> int:
    """Return where the page of `token` begins, 0 without one; raise `error` for another `form`."""
    if token is None:
        return 0
    match = re.fullmatch(form, token)
    if match is None:
        raise error
    return int(match[1])


# --- Outages --------------------------------------------------------------------------------------

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
    """Return or raise the result of a call during an outage.

    outage: its kind, as the scenario's outages spell it in `how`.
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
    """Return the answer with fewer results: partial ones lose their newer half, others all."""
    for result in answer.get("MetricDataResults", ()):
        kept_count = len(result["Values"]) // 2 if outage == "partial" else 0
        oldest = sorted(range(len(result["Values"])), key=result["Timestamps"].__getitem__)[
            :kept_count
        ]
        kept_indices = sorted(oldest)
        result["Timestamps"] = [result["Timestamps"][index] for index in kept_indices]
        result["Values"] = [result["Values"][index] for index in kept_indices]
        result["StatusCode"] = _STATUS[outage]
        result["Messages"] = [{"Code": _STATUS[outage], "Value": "This is a simulated outage."}]
    answer.pop("NextToken", None)
    return answer
