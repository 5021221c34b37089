"""boto3 clients with explicit limits, made once and only when needed; AWS errors in our words.

AWS_PROFILE, AWS_ENDPOINT_URL and the usual credential variables are honoured by boto3 itself;
AWS_REGION is mapped here, because boto3 reads only AWS_DEFAULT_REGION.
"""

import os
from collections.abc import Mapping
from typing import Any, Final

from botocore.exceptions import BotoCoreError, ClientError

from controller.errors import UsageError

CONNECT_S: Final = 3
READ_S: Final = 10
ATTEMPTS: Final = 4  # in all; botocore alone retries throttling, 5xx and broken connections

AWS_ERRORS: Final = (BotoCoreError, ClientError)


class Clients:
    """The clients of one process, in one region of one account."""

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        self._environment = environment
        self._session: Any = None
        self._clients: dict[str, Any] = {}

    def get(self, service: str) -> Any:
        """Return the client of `service`, the same one each time.

        Raises UsageError when no region is named, or the profile does not exist.
        """
        if service not in self._clients:
            self._clients[service] = self._make(service)
        return self._clients[service]

    def _make(self, service: str) -> Any:
        from boto3.session import Session
        from botocore.config import Config

        region = self._environment.get("AWS_REGION") or self._environment.get("AWS_DEFAULT_REGION")
        config = Config(
            retries={"mode": "standard", "total_max_attempts": ATTEMPTS},
            connect_timeout=CONNECT_S,
            read_timeout=READ_S,
            tcp_keepalive=True,
        )
        try:
            if self._session is None:
                self._session = Session(region_name=region)
            return self._session.client(service, config=config)
        except BotoCoreError as error:
            raise UsageError(
                f"no AWS client for {service}: {error}; set AWS_REGION, and AWS_PROFILE or "
                "credentials"
            ) from error


def code_of(error: Exception) -> str:
    """Return AWS's code for `error`, or the name of a failure that has none (a time-out)."""
    if isinstance(error, ClientError):
        return str(error.response.get("Error", {}).get("Code", "Unknown"))
    return type(error).__name__


def status_of(error: Exception) -> int:
    """Return the HTTP status of `error`; 0 when no answer came."""
    if isinstance(error, ClientError):
        return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
    return 0


_ADVICE: Final = {
    "AccessDeniedException": "grant the action to this role",
    "AccessDenied": "grant the action to this role",
    "ResourceNotFoundException": "check the function's name, the region and the account",
    "ExpiredTokenException": "the credentials have expired; log in again",
    "ExpiredToken": "the credentials have expired; log in again",
    "UnrecognizedClientException": "the credentials are not valid in this region or account",
    "InvalidClientTokenId": "the credentials are not valid",
    "NoCredentialsError": "there are no credentials; set AWS_PROFILE or give the task a role",
    "TooManyRequestsException": "the account's API limit is reached; it is tried again",
    "ThrottlingException": "the account's API limit is reached; it is tried again",
    "EndpointConnectionError": "AWS cannot be reached from here",
    "ConnectTimeoutError": "AWS cannot be reached from here",
    "ReadTimeoutError": "AWS did not answer in time",
}


def told(action: str, error: Exception) -> str:
    """Return one sentence: which call failed, AWS's own words, and what to do now."""
    code = code_of(error)
    words = str(error)
    if isinstance(error, ClientError):
        words = str(error.response.get("Error", {}).get("Message", "")) or words
    advice = _ADVICE.get(code)
    return f"{action}: {code}: {words}" + (f"; {advice}" if advice else "")
