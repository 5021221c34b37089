"""The exceptions that botocore raises for AWS errors."""

from botocore.exceptions import ClientError, ParamValidationError, ReadTimeoutError

# HTTP status of each error code that a fake answers with.
STATUS = {
    "AccessDeniedException": 403,
    "InternalFailure": 500,
    "InvalidNextToken": 400,
    "InvalidParameterException": 400,
    "InvalidParameterValueException": 400,
    "PreconditionFailedException": 412,
    "ResourceConflictException": 409,
    "ResourceNotFoundException": 404,
    "ServiceException": 500,
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


def validation_error(report: str) -> ParamValidationError:
    """Return the error that a client raises for an invalid request, before it calls AWS."""
    return ParamValidationError(report=report)


def read_timeout(service: str) -> ReadTimeoutError:
    """Return the error that a client raises when no answer comes."""
    return ReadTimeoutError(endpoint_url=f"https://{service}.example.invalid/")
