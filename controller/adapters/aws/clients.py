"""boto3 clients with explicit limits, made once and only when needed; AWS errors as sentences.

`limited_client.py` enforces the limits. How long a tick waits for what it asked side by side is in
`engine/time_limits.py`. AWS_PROFILE, AWS_ENDPOINT_URL and the usual credential variables are
honoured by boto3 itself; AWS_REGION is mapped here, because boto3 reads only AWS_DEFAULT_REGION.
"""

import re
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from math import inf
from typing import Any, Final, Protocol

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    NoCredentialsError,
    ParamValidationError,
    PartialCredentialsError,
    UnauthorizedSSOTokenError,
)

from controller.adapters.aws.limited_client import (
    PAUSE_S,
    CallLimits,
    CallTimeoutError,
    LimitedClient,
    count_request,
    monotonic_s,
    pause,
    run_within,
)
from controller.adapters.aws.limited_client import StrangeAnswerError as StrangeAnswerError
from controller.adapters.aws.request_rates import RequestRates, is_lowering
from controller.errors import UsageError
from controller.safe_text import printable

# The services that rolloutctl itself calls. The image has botocore's models of no other one.
SERVICES: Final = (
    "appconfig",
    "cloudformation",
    "cloudwatch",
    "dynamodb",
    "elbv2",
    "events",
    "iam",
    "lambda",
    "logs",
    "s3",
    "secretsmanager",
    "sns",
    "ssm",
    "sts",
)

CONNECTIONS: Final = 64  # that stay open to a service, for as many calls at a time

CONNECT_S: Final = 3
READ_S: Final = 10
ATTEMPTS: Final = 4  # in total; botocore retries after throttling, 5xx and broken connections
TOTAL_S: Final = 20  # of a call with all its attempts, pauses and the answer
# Calls that no decision waits for: short limits.
SHORT_LIMITS: Final[Mapping[str, CallLimits]] = {
    "sts": CallLimits(1, 1, 2, 3),  # the caller's ARN; the record of a rollback waits for it
    "logs": CallLimits(2, 3, 5, 10),  # counts of log events; the next tick asks again
    "sns": CallLimits(2, 2, 3, 6),  # a message; the next tick retries, also the three below
    "events": CallLimits(2, 2, 3, 6),
    "secretsmanager": CallLimits(2, 2, 3, 6),
    "ssm": CallLimits(2, 2, 3, 6),
    "s3": CallLimits(2, 2, 3, 6),  # a page; the next tick writes it again
}
FLOOR_S: Final = 3.0  # every call may take so long, whatever `Clients.limit_calls` left


# Everything that a call can raise.
AWS_ERRORS: Final = (BotoCoreError, ClientError, StrangeAnswerError)


class ClientSource(Protocol):
    """Makes the clients of one account; `Clients` and the one of a simulated world do."""

    def get(self, service: str, *, lowers: bool = False) -> Any:
        """Return the client of `service`. lowers: the time of a tick does not limit its calls."""

    def single_try(self, service: str, read_s: float) -> Any:
        """Return a client that tries once, and waits `read_s` seconds for the answer."""

    def credentials(self) -> Any:
        """Return the credentials of botocore that the clients sign with."""


class Clients:
    """The clients of one process, in one region of one account, for all of its threads.

    calls: requests to AWS so far, by service; each attempt counts. throttled: those that AWS
    refused because of a rate limit. limits: by service, instead of the usual ones. floor_s: as
    FLOOR_S. pause_s: before the call of an invalid answer is repeated.
    """

    def __init__(
        self,
        limits: Mapping[str, CallLimits] = SHORT_LIMITS,
        floor_s: float = FLOOR_S,
        pause_s: float = PAUSE_S,
    ) -> None:
        self.calls: Counter[str] = Counter()
        self.throttled = 0
        self._limits, self._floor_s, self._pause_s = limits, floor_s, pause_s
        self._end = float("inf")
        self._session: Any = None
        self._clients: dict[tuple[str, bool], Any] = {}
        self._making, self._counting = threading.RLock(), threading.Lock()
        self._rates = RequestRates(monotonic_s, pause)

    def limit_calls(self, length: timedelta) -> None:
        """End every call by `length` from now, but give each at least `floor_s` seconds.

        Calls of a client that lowers traffic keep their own limits. Reads have their whole limit
        again, whatever took too long before.
        """
        self._end = monotonic_s() + length.total_seconds()
        with self._making:
            for client in self._clients.values():
                client.hurried = False

    def get(self, service: str, *, lowers: bool = False) -> Any:
        """Return the client of `service`, the same one each time.

        lowers: its calls lower traffic, and `limit_calls` does not end them.
        Raises UsageError when there is no region or no credentials, or a variable is wrong.
        """
        with self._making:  # a session makes one client at a time
            if (service, lowers) not in self._clients:
                limits = self._limits.get(service) or CallLimits(
                    ATTEMPTS, CONNECT_S, READ_S, TOTAL_S
                )
                left_s = (lambda: inf) if lowers else self._left_s
                self._clients[service, lowers] = self._make(service, limits, left_s)
            return self._clients[service, lowers]

    def single_try(self, service: str, read_s: float) -> Any:
        """Return a new client that tries once and waits `read_s` seconds for a whole answer.

        Raises UsageError as `get` does.
        """
        limits = CallLimits(1, min(CONNECT_S, read_s), read_s, read_s)
        with self._making:
            return self._make(service, limits, self._left_s)

    def credentials(self) -> Any:
        """Return the credentials that the clients sign with. Raises UsageError as `get` does."""
        with self._making:
            return self._opened().get_credentials()

    def _opened(self) -> Any:
        from controller.adapters.aws.session import open_session

        if self._session is None:
            # Credentials may come over the network.
            self._session = run_within(TOTAL_S, "the source of the credentials", open_session)
            self._session.events.register("before-send", self._count_request)
            self._session.events.register("response-received", self._count_throttled)
        return self._session

    def _make(self, service: str, limits: CallLimits, left_s: Callable[[], float]) -> Any:
        from botocore.config import Config

        config = Config(
            retries={"mode": "standard", "total_max_attempts": limits.attempts},
            connect_timeout=limits.connect_s,
            read_timeout=limits.read_s,
            max_pool_connections=CONNECTIONS,
            tcp_keepalive=True,
            # Both have all of a request in its body, and refuse the same ones. CloudWatch says
            # which of 500 queries; an item has so many attributes that to look takes a tenth of a
            # call. Others have names in the path: an empty one would call another operation.
            parameter_validation=service not in ("cloudwatch", "dynamodb"),
        )
        try:
            client = self._opened().client(service, config=config)
            client.meta.events.register_first("before-send", self._wait_for_turn)
        except (BotoCoreError, ValueError) as error:  # a wrong AWS_ENDPOINT_URL is a ValueError
            raise UsageError(
                f"there is no AWS client for {service}: {error}; check the AWS_ variables and the "
                "profile"
            ) from error
        return LimitedClient(client, limits, left_s, self._pause_s)

    def _left_s(self) -> float:
        return max(self._floor_s, self._end - monotonic_s())

    def _wait_for_turn(self, event_name: str, **_: Any) -> None:
        service, operation = event_name.split(".")[1:3]
        self._rates.wait(service, operation, lowers=is_lowering())

    def _count_request(self, event_name: str, **_: Any) -> None:
        count_request()  # raises in the thread of an abandoned call, which sends nothing
        with self._counting:
            self.calls[event_name.split(".")[1]] += 1

    def _count_throttled(self, parsed_response: Mapping[str, Any] | None, **_: Any) -> None:
        code = (parsed_response or {}).get("Error", {}).get("Code")
        with self._counting:
            self.throttled += code in _THROTTLING_CODES


# --- listings -----------------------------------------------------------------------------------

# How Lambda asks for the next page, and answers where it is.
MARKERS: Final = ("Marker", "NextMarker")


def pages(
    call: Callable[..., Mapping[str, Any]],
    most: int,
    token: tuple[str, str] = ("NextToken", "NextToken"),
    /,
    **request: Any,
) -> Iterator[Mapping[str, Any]]:
    """Yield the pages of a listing, `most` at most; an empty page may not be the last one.

    token: what the request and the answer call the place of the next page. Raises what boto3 does.
    """
    asked, answered = token
    for _ in range(most):
        page = call(**request)
        yield page
        if not page.get(answered):
            return
        request[asked] = page[answered]


# --- errors -------------------------------------------------------------------------------------

_CONFLICT_STATUSES: Final = (409, 412)
_THROTTLING_CODES: Final = frozenset(
    {
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "Throttling",
        "ThrottlingException",
        "TooManyRequestsException",
    }
)
# These fail before a request is sent; every other failure without an answer is transient.
_LOCAL_ERRORS: Final = (
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
    """Tell whether the resource had changed or was busy, so that this call wrote nothing."""
    return _status_of(error) in _CONFLICT_STATUSES


def is_transient(error: Exception) -> bool:
    """Tell whether a retry may succeed: after a conflict, throttling, a 5xx or no answer."""
    if not isinstance(error, ClientError):
        return not isinstance(error, _LOCAL_ERRORS)
    status = _status_of(error)
    return (
        status >= 500 or status in (*_CONFLICT_STATUSES, 429) or code_of(error) in _THROTTLING_CODES
    )


def _status_of(error: Exception) -> int:
    """Return the HTTP status of `error`; 0 when no answer came."""
    if isinstance(error, ClientError):
        return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
    return 0


_WITHHELD: Final = "the message is left out, because it may quote other variables"
# With these AWS names the caller, the function or its own state, and never quotes a value.
_SAFE_STATUSES: Final = frozenset({403, 404, *_CONFLICT_STATUSES, 429, *range(500, 600)})


def redact(error: Exception, variables: Mapping[str, str]) -> Exception:
    """Return `error`, or one without its message where that may quote the refused `variables`.

    AWS and botocore quote a whole environment, spelt as JSON or as Python, cut off or not ("Value
    '{NAME=secret}' at 'environment' failed to ..."), so no search for values would find them all.
    A proxy may quote it too: botocore takes its whole page as the message, its status as the code.
    It may also answer as AWS does, with a status and a code at which AWS quotes nothing: then a
    message stays only where nothing of the variables is found in it.
    """
    if isinstance(error, ParamValidationError):
        return ParamValidationError(report=_WITHHELD)
    if not isinstance(error, ClientError):
        return error
    code, parts = code_of(error), dict(error.response)
    metadata: Any = parts.pop("ResponseMetadata", {})
    words = f"{_message_of(error)}\n{parts}"
    is_code = re.fullmatch(r"[A-Za-z0-9.]{1,64}", code) is not None
    safe = _status_of(error) in _SAFE_STATUSES and is_code and not code.isdigit()
    if safe and not may_quote(words, variables):
        return error
    answer: Any = {
        "Error": {"Code": code if is_code else "Unknown", "Message": _WITHHELD},
        "ResponseMetadata": metadata,
    }
    return ClientError(answer, error.operation_name)


_LOG_IN_ADVICE: Final = "the credentials have expired; log in again"
_GRANT_ADVICE: Final = "grant the action to this role"
THROTTLED_ADVICE: Final = "the account's limit for such calls is reached; run again in a moment"
_UNREACHABLE_ADVICE: Final = (
    "AWS cannot be reached from here; check the network and AWS_ENDPOINT_URL"
)
MOST_MESSAGE: Final = 1_000  # characters; botocore takes the whole page of a proxy as the message
_KEY_ADVICE: Final = (
    "give this role kms:Encrypt, kms:Decrypt and kms:CreateGrant on the function's key, and look "
    "whether the key is enabled"
)
_NAME_ADVICE: Final = "check the name, the region and the account"
_RETRY_ADVICE: Final = "run again"
_ADVICE: Final = {
    "AccessDenied": _GRANT_ADVICE,
    "AccessDeniedException": _GRANT_ADVICE,
    "ConflictException": "another deployment is in progress or was made meanwhile; run again",
    "AuthorizationError": _GRANT_ADVICE,  # the code that SNS uses
    CallTimeoutError.__name__: _RETRY_ADVICE,
    "ConnectTimeoutError": _UNREACHABLE_ADVICE,
    "EndpointConnectionError": _UNREACHABLE_ADVICE,
    "ExpiredToken": _LOG_IN_ADVICE,
    "ExpiredTokenException": _LOG_IN_ADVICE,
    "InvalidClientTokenId": "the credentials are not valid; log in again",
    "ListenerNotFound": _NAME_ADVICE,
    "NoCredentialsError": "there are no credentials; set AWS_PROFILE or give the task a role",
    "KMSAccessDeniedException": _KEY_ADVICE,
    "KMSDisabledException": _KEY_ADVICE,
    "KMSInvalidStateException": _KEY_ADVICE,
    "KMSNotFoundException": _KEY_ADVICE,
    "ReadTimeoutError": _RETRY_ADVICE,
    "ResourceConflictException": "another change is in progress; run again in a moment",
    "ResourceNotFoundException": _NAME_ADVICE,
    "RuleNotFound": _NAME_ADVICE,
    "ServiceQuotaExceededException": "a quota of the account is used up",
    "StrangeAnswerError": "check AWS_ENDPOINT_URL and any proxy, and run again",
    "TargetGroupNotFound": _NAME_ADVICE,
    "TransactionInProgressException": "the same write is still on its way; run again in a moment",
    "UnauthorizedSSOTokenError": _LOG_IN_ADVICE,
    "UnrecognizedClientException": "the credentials are not valid in this region or account",
}


def is_denied(error: Exception) -> bool:
    """Tell whether IAM refused the call: the role lacks the right."""
    return _ADVICE.get(code_of(error)) == _GRANT_ADVICE


def error_text(action: str, error: Exception) -> str:
    """Return one sentence: the failed call, the message of AWS, and what to do now."""
    words = str(error)
    if isinstance(error, ClientError):
        words = _message_of(error) or "AWS gives no reason"
    words = f"{words[:MOST_MESSAGE]}..." if len(words) > MOST_MESSAGE else words.rstrip(".")
    return printable(f"{action}: {code_of(error)}: {words}; {_advice(error)}")


def _message_of(error: ClientError) -> str:
    """Return the message of AWS; empty where it sends none, or a null."""
    return str(error.response.get("Error", {}).get("Message") or "")


def _advice(error: Exception) -> str:
    code = code_of(error)
    if (
        isinstance(error, ClientError)
        and error.operation_name.endswith("FunctionConfiguration")
        and is_denied(error)
        and "kms:" in _message_of(error)  # Lambda uses the key with the rights of this role
    ):
        return _KEY_ADVICE
    if code in _THROTTLING_CODES:
        return THROTTLED_ADVICE
    if code in _ADVICE:
        return _ADVICE[code]
    if is_transient(error):
        return "it may pass; run again in a moment"
    return "check the request and the AWS_ variables"


# --- Variables of a request in the words of a refusal ---------------------------------------------

# The search errs on the safe side: words that share as much as _PIECE letters or digits in a row
# with a value count as a quote. ARNs do not, as AWS names the caller and the function by them,
# unless one is in a value.
_PIECE: Final = 8  # letters and digits in a row, of a value that is cut off or spelt otherwise
_SHORT: Final = 4  # characters; a shorter value counts only as a whole word

_ARN: Final = re.compile(r"arn:aws[\w-]*:\w+:[\w-]*:\d*:[\w:/.-]+")  # ends before `,` and `=`
_BASE64: Final = re.compile(r"[A-Za-z0-9_-]{6,}")


def may_quote(text: str, variables: Mapping[str, str]) -> bool:
    """Tell whether `text` may have the name of a variable, a value, or a piece of one.

    Escapes of JSON, Python, URLs and HTML, base64, and values that are cut off are seen through.
    """
    own = "\n".join(variables.values())
    words = _ARN.sub(lambda arn: arn[0] if arn[0] in own else "", text)
    pieces = {piece for variable in variables.values() for piece in _pieces(variable)}
    return any(name in reading for reading in _readings(text) for name in variables) or any(
        any(_has(reading, variable) for variable in variables.values())
        or not pieces.isdisjoint(_pieces(reading))
        for reading in _readings(words)
    )


def _has(text: str, value: str) -> bool:
    if len(value) >= _SHORT:
        return value in text
    return bool(value) and re.search(rf"(?<!\w){re.escape(value)}(?!\w)", text) is not None


def _pieces(text: str) -> Iterator[str]:
    """Yield all letters and digits of `text` that follow each other, in groups of _PIECE."""
    plain = re.sub(r"[\W_]", "", text)
    return (plain[at : at + _PIECE] for at in range(len(plain) - _PIECE + 1))


def _readings(text: str) -> Iterator[str]:
    """Yield `text` as it is, without its escapes, and what it may have in base64."""
    from base64 import urlsafe_b64decode
    from html import unescape
    from urllib.parse import unquote_plus

    yield text
    yield unescape(unquote_plus(text))
    for one in _BASE64.findall(text.translate(str.maketrans("+/", "-_"))):
        whole = one[:-1] if len(one) % 4 == 1 else one
        yield urlsafe_b64decode(f"{whole}==").decode(errors="replace")
