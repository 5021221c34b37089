"""boto3 clients with explicit limits, made once and only when needed; AWS errors in our words.

AWS_PROFILE, AWS_ENDPOINT_URL and the usual credential variables are honoured by boto3 itself;
AWS_REGION is mapped here, because boto3 reads only AWS_DEFAULT_REGION.
"""

import os
from collections import Counter
from typing import Any, Final, Literal, TypeAlias

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    NoCredentialsError,
    ParamValidationError,
    PartialCredentialsError,
    UnauthorizedSSOTokenError,
)

from controller.errors import UsageError
from controller.text import printable

# All that this program asks. The image has the models of no other service.
Service: TypeAlias = Literal[
    "cloudwatch", "dynamodb", "events", "iam", "lambda", "logs", "secretsmanager", "sns", "sts"
]

CONNECT_S: Final = 3
READ_S: Final = 10
ATTEMPTS: Final = 4  # in all; botocore alone retries throttling, 5xx and broken connections
# Good to know, and nothing waits for it: asked briefly. Attempts, seconds to connect, to read.
BRIEF: Final = {
    "sts": (1, 1, 2),  # who is calling; a rollback may wait for it
    "logs": (2, 3, 5),  # whether requests left the canary; the next tick asks again
    "sns": (2, 2, 3),  # who is told; the next tick tries again, as of the two below
    "events": (2, 2, 3),
    "secretsmanager": (2, 2, 3),
}


class StrangeAnswerError(Exception):
    """Something answered that is not AWS; botocore takes a proxy's page as an empty answer."""

    def __str__(self) -> str:
        return "what answered is not AWS"


# Whatever comes of a call, beside an answer.
AWS_ERRORS: Final = (BotoCoreError, ClientError, StrangeAnswerError)


class Clients:
    """The clients of one process, in one region of one account.

    calls: requests to AWS so far, by service; each attempt is one.
    """

    def __init__(self) -> None:
        self.calls: Counter[str] = Counter()
        self._session: Any = None
        self._clients: dict[str, Any] = {}

    def get(self, service: Service) -> Any:
        """Return the client of `service`, the same one each time.

        Raises UsageError when there is no region or no credentials, or a variable is wrong.
        """
        if service not in self._clients:
            self._clients[service] = self._make(service)
        return self._clients[service]

    def patient(self, service: Service, read_s: float) -> Any:
        """Return a new client that tries once and waits `read_s` seconds for an answer.

        Raises UsageError as `get` does.
        """
        return self._make(service, (1, min(CONNECT_S, read_s), read_s))

    def _make(self, service: Service, limits: tuple[int, float, float] | None = None) -> Any:
        from botocore.config import Config

        limits = limits or BRIEF.get(service, (ATTEMPTS, CONNECT_S, READ_S))
        attempts, connect_s, read_s = limits
        config = Config(
            retries={"mode": "standard", "total_max_attempts": attempts},
            connect_timeout=connect_s,
            read_timeout=read_s,
            tcp_keepalive=True,
        )
        try:
            if self._session is None:
                self._session = _session()
                self._session.events.register("before-send", self._count)
            return self._session.client(service, config=config)
        except (BotoCoreError, ValueError) as error:  # a wrong AWS_ENDPOINT_URL is a ValueError
            raise UsageError(
                f"there is no AWS client for {service}: {error}; check the AWS_ variables and the "
                "profile"
            ) from error

    def _count(self, event_name: str, **_: Any) -> None:
        self.calls[event_name.split(".")[1]] += 1


def _session() -> Any:
    from boto3.session import Session

    session = Session(region_name=os.environ.get("AWS_REGION") or None)
    if session.region_name is None:
        raise UsageError("no AWS region is named: set AWS_REGION, or a region in the profile")
    if session.get_credentials() is None:
        raise UsageError(
            "there are no AWS credentials: log in and set AWS_PROFILE, or give the task a role"
        )
    return session


# --- what went wrong ----------------------------------------------------------------------------

_CONFLICT_STATUSES: Final = (409, 412)
_THROTTLED: Final = frozenset(
    {
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "Throttling",
        "ThrottlingException",
        "TooManyRequestsException",
    }
)
# Known without asking AWS; whatever else keeps an answer from coming may pass.
_OURS: Final = (
    NoCredentialsError,
    ParamValidationError,
    PartialCredentialsError,
    UnauthorizedSSOTokenError,
)


def code_of(error: Exception) -> str:
    """Return AWS's code for `error`, or the name of a failure that has none (a time-out)."""
    if isinstance(error, ClientError):
        return str(error.response.get("Error", {}).get("Code", "Unknown"))
    return type(error).__name__


def is_conflict(error: Exception) -> bool:
    """Tell whether the resource was changed or busy: nothing was written by this very call."""
    return _status_of(error) in _CONFLICT_STATUSES


def is_passing(error: Exception) -> bool:
    """Tell whether the same call may work a moment later: conflict, throttling, 5xx, no answer."""
    if not isinstance(error, ClientError):
        return not isinstance(error, _OURS)
    status = _status_of(error)
    return status >= 500 or status in (*_CONFLICT_STATUSES, 429) or code_of(error) in _THROTTLED


def _status_of(error: Exception) -> int:
    """Return the HTTP status of `error`; 0 when no answer came."""
    if isinstance(error, ClientError):
        return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
    return 0


_WITHHELD: Final = "what was said is left out, because it may quote other variables"
# With these AWS speaks of who asks, of the function's name, or of its own state; never of a value.
_UNQUOTING: Final = frozenset({403, 404, *_CONFLICT_STATUSES, 429, *range(500, 600)})


def without_quotes(error: Exception) -> Exception:
    """Return `error`, or one without its words where AWS or botocore quote what they refuse.

    They quote a whole environment, spelt as JSON or as Python, cut off or not ("Value
    '{NAME=secret}' at 'environment' failed to ..."), so no search for values would find them all.
    So may a proxy, whose whole page botocore takes for a message, and its status for a code.
    """
    if isinstance(error, ParamValidationError):
        return ParamValidationError(report=_WITHHELD)
    if not isinstance(error, ClientError):
        return error
    if _status_of(error) in _UNQUOTING and not code_of(error).isdigit():
        return error
    metadata = error.response.get("ResponseMetadata", {})
    answer: Any = {
        "Error": {"Code": code_of(error), "Message": _WITHHELD},
        "ResponseMetadata": metadata,
    }
    return ClientError(answer, error.operation_name)


_LOG_IN: Final = "the credentials have expired; log in again"
_GRANT: Final = "grant the action to this role"
SLOW_DOWN: Final = "the account's limit for such calls is reached; run again in a moment"
_UNREACHABLE: Final = "AWS cannot be reached from here; check the network and AWS_ENDPOINT_URL"
_ADVICE: Final = {
    "AccessDenied": _GRANT,
    "AccessDeniedException": _GRANT,
    "AuthorizationError": _GRANT,  # as SNS says it
    "ConnectTimeoutError": _UNREACHABLE,
    "EndpointConnectionError": _UNREACHABLE,
    "ExpiredToken": _LOG_IN,
    "ExpiredTokenException": _LOG_IN,
    "InvalidClientTokenId": "the credentials are not valid; log in again",
    "NoCredentialsError": "there are no credentials; set AWS_PROFILE or give the task a role",
    "ReadTimeoutError": "AWS did not answer in time; run again",
    "ResourceConflictException": "another change is in progress; run again in a moment",
    "ResourceNotFoundException": "check the name, the region and the account",
    "StrangeAnswerError": _UNREACHABLE,
    "TransactionInProgressException": "the same write is still on its way; run again in a moment",
    "UnauthorizedSSOTokenError": _LOG_IN,
    "UnrecognizedClientException": "the credentials are not valid in this region or account",
}


def told(action: str, error: Exception) -> str:
    """Return one sentence: which call failed, AWS's own words, and what to do now."""
    words = str(error)
    if isinstance(error, ClientError):
        words = str(error.response.get("Error", {}).get("Message", "")) or words
    return printable(f"{action}: {code_of(error)}: {words.rstrip('.')}; {_advice(error)}")


def _advice(error: Exception) -> str:
    code = code_of(error)
    if code in _THROTTLED:
        return SLOW_DOWN
    if code in _ADVICE:
        return _ADVICE[code]
    if is_passing(error):
        return "it may pass; run again in a moment"
    return "check what was asked for, and the AWS_ variables"
