"""boto3 clients whose calls have one time limit each, and whose answers are validated.

A socket time-out starts again with every byte, and botocore adds one for each retry. So each call
runs in another thread, and the caller waits for at most the limit. The thread of an abandoned call
sends no further request.

A call is repeated, as often as botocore repeats one after a 500, when its answer cannot be parsed,
does not fit the model of its operation, or lacks what AWS always returns.
"""

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from io import BytesIO
from time import CLOCK_MONOTONIC, clock_gettime
from typing import Any, Final, TypeVar, cast
from uuid import uuid4

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectionClosedError,
    HTTPClientError,
    ReadTimeoutError,
)

from controller.adapters.aws.answer_validation import answer_problem, error_problem
from controller.adapters.aws.request_rates import is_lowering
from controller.immutable import Immutable
from controller.process import workers

PAUSE_S: Final = 0.2  # before the call of an invalid answer is repeated; doubles each time
HURRIED_S: Final = 5.0  # of a read, once another one ran into its limit
MOST_BYTES: Final = 16 * 1024 * 1024  # of one body; AWS sends at most a third of it
MOST_STREAM_BYTES: Final = 64 * 1024  # of a streamed answer, as of Invoke; the rest is not read
# Of a configuration of AppConfig, which is read whole or not at all.
MOST_OF_STREAM: Final = {"GetHostedConfigurationVersion": 4 * 1024 * 1024}
_CHUNK_BYTES: Final = 64 * 1024
_READS: Final = ("BatchGet", "Describe", "Filter", "Get", "List", "Query", "Scan")

T = TypeVar("T")


class CallLimits(Immutable):
    """The limits of a call, in seconds but for `attempts`.

    connect_s, read_s: of one attempt, and of one wait for a byte; total_s: of everything together.
    """

    attempts: int
    connect_s: float
    read_s: float
    total_s: float


class StrangeAnswerError(Exception):
    """An answer that cannot come from AWS, like the page of a proxy.

    problem: what is wrong with it, without any of its content.
    """

    def __init__(self, problem: str = "") -> None:
        super().__init__(problem)
        self.problem = problem

    def __str__(self) -> str:
        return "the answer is not one of AWS" + (f" ({self.problem})" if self.problem else "")


class CallTimeoutError(BotoCoreError):
    """A call was abandoned at its limit; its request may have taken effect."""

    fmt = "no complete answer of {what} within {limit_s:.3g} s"

    def __init__(self, what: str, limit_s: float) -> None:
        super().__init__(what=what, limit_s=limit_s)  # type: ignore[no-untyped-call]


class _AbandonedError(Exception):
    """Ends the thread of an abandoned call, whose caller already has another error."""


@dataclass(slots=True)
class _Call:
    """One call in progress.

    sent: number of its requests so far. waited_s: how long these wait for their turns.
    body: the raw body that is being read. content: the last body that was read to its end.
    """

    abandoned: threading.Event = field(default_factory=threading.Event)
    sent: int = 0
    waited_s: float = 0.0
    body: Any = None
    content: bytes = b""
    result: Any = None
    error: BaseException | None = None

    def abandon(self) -> None:
        """Keep the thread from sending more, and wake it if it waits for more of a body."""
        self.abandoned.set()
        if self.body is not None:
            with suppress(OSError, ValueError, RuntimeError):  # it has ended meanwhile
                self.body.shutdown()


_thread_state = threading.local()


def monotonic_s() -> float:
    """Return the seconds of the monotonic clock; tests with a frozen clock do not change it."""
    return clock_gettime(CLOCK_MONOTONIC)


def pause(length_s: float) -> None:
    """Wait for `length_s` seconds, or until the call of this thread is abandoned.

    That is no part of the time that the call may take.
    """
    call: _Call = getattr(_thread_state, "call", None) or _Call()
    call.waited_s += length_s
    call.abandoned.wait(length_s)


def count_request() -> None:
    """Count a request that this thread is about to send. Raises when its call was abandoned."""
    call: _Call | None = getattr(_thread_state, "call", None)
    if call is None:
        return
    if call.abandoned.is_set():
        raise _AbandonedError
    call.sent += 1


def run_within(limit_s: float, what: str, work: Callable[[], T]) -> T:
    """Return what `work` returns, or raise what it raises.

    what: the service that should answer.
    Raises CallTimeoutError after `limit_s` seconds without those of `pause`, and at once what a
    signal handler raises; in both cases the call is abandoned.
    """
    call = _Call()
    done = threading.Event()

    def run() -> None:
        _thread_state.call = call
        try:
            call.result = work()
        except BaseException as error:  # noqa: BLE001 - raised again in the waiting thread
            call.error = error
        finally:
            _thread_state.call = None
            done.set()

    try:
        workers.run(run)
        end = monotonic_s() + limit_s
        in_time = done.wait(limit_s)
        while not in_time and (left_s := end + call.waited_s - monotonic_s()) > 0:
            in_time = done.wait(left_s)
    except BaseException:
        call.abandon()
        raise
    if not in_time:
        call.abandon()
        raise CallTimeoutError(what, limit_s)
    error, call.error = call.error, None
    if error is not None:
        raise error
    result: T = call.result
    return result


class LimitedClient:
    """A boto3 client whose operations end within `limits`, with a validated answer.

    Everything else (`meta`, `exceptions`) is the client's own. left_s: an upper limit in seconds
    for any call from now on, whatever `limits` say. An operation raises what boto3 raises,
    CallTimeoutError and StrangeAnswerError.

    hurried: a read ran into its limit, so the next ones have HURRIED_S; those that lower traffic
    keep their own limit.
    """

    def __init__(
        self,
        client: Any,
        limits: CallLimits,
        left_s: Callable[[], float] = lambda: float("inf"),
        pause_s: float = PAUSE_S,
    ) -> None:
        self._client, self._limits = client, limits
        self._left_s, self._pause_s = left_s, pause_s
        self.hurried = False
        # The only place in botocore where the size of a body can be limited.
        client._endpoint.http_session = _BoundedSession(client._endpoint.http_session)

    def __getattr__(self, name: str) -> Any:
        attribute = getattr(self._client, name)
        operation = self._client.meta.method_to_api_mapping.get(name)
        return attribute if operation is None else partial(self._call, operation, attribute)

    def _call(self, operation: str, method: Callable[..., Any], /, **request: Any) -> Any:
        limit_s = min(self._limits.total_s, self._left_s())
        may_be_hurried = operation.startswith(_READS) and not is_lowering()
        if may_be_hurried and self.hurried:
            limit_s = min(limit_s, HURRIED_S)
        what = self._client.meta.service_model.service_name
        end = monotonic_s() + limit_s
        try:
            return run_within(
                limit_s, what, lambda: self._call_with_retries(operation, method, request, end)
            )
        except CallTimeoutError:
            self.hurried = self.hurried or may_be_hurried
            raise

    def _call_with_retries(
        self, operation: str, method: Callable[..., Any], request: Mapping[str, Any], end: float
    ) -> Any:
        model = self._client.meta.service_model.operation_model(operation)
        # AWS recognises a repeated write by its token: the same one in every attempt.
        request = {**{name: str(uuid4()) for name in model.idempotent_members}, **request}
        problem = ""
        for attempt in range(self._limits.attempts):
            answer, problem = _attempt(model, method, request, attempt)
            if not problem:
                return answer
            pause_s = self._pause_s * 2**attempt
            if attempt + 1 == self._limits.attempts or monotonic_s() + pause_s >= end:
                break
            _thread_state.call.abandoned.wait(pause_s)
        raise StrangeAnswerError(problem)  # outside of `except`: no context that quotes the answer


def _attempt(
    model: Any, method: Callable[..., Any], request: Mapping[str, Any], previous: int
) -> tuple[Any, str]:
    """Return an answer, and what is wrong with it. previous: the number of attempts before this.

    Raises the errors that AWS answers, and those of a call without an answer.
    """
    sent, _thread_state.call.content = _thread_state.call.sent, b""
    try:
        answer = method(**request)
        if model.has_streaming_output:
            _read_streams(answer, MOST_OF_STREAM.get(model.name, MOST_STREAM_BYTES))
        return answer, answer_problem(model, request, answer, _thread_state.call.content)
    except ClientError as error:
        problem = error_problem(model, error, _thread_state.call.content)
        if not problem:
            # An earlier attempt may have written what makes this one fail.
            metadata: Any = error.response.setdefault("ResponseMetadata", cast("Any", {}))
            metadata["RetryAttempts"] = metadata.get("RetryAttempts", 0) + previous
            raise
    except (BotoCoreError, _AbandonedError):
        raise
    except StrangeAnswerError as error:
        problem = error.problem
    except Exception as error:
        if _thread_state.call.sent == sent:
            raise  # no request was sent, so this is not about an answer
        problem = f"it cannot be parsed: {type(error).__name__}"
    return None, problem


def _read_streams(answer: dict[str, Any], most: int) -> None:
    """Replace each stream in `answer` by its first `most` bytes."""
    for name, value in list(answer.items()):
        if hasattr(value, "read"):
            _thread_state.call.body = getattr(value, "_raw_stream", None)
            content = value.read(most)
            if len(content) < most:
                value.read(1)  # raises when Content-Length announced more
            value.close()
            answer[name] = BytesIO(content)


# --- response bodies ----------------------------------------------------------------------------


class _BoundedSession:
    """The session of botocore's endpoint, which reads no more than MOST_BYTES of an answer."""

    def __init__(self, session: Any) -> None:
        self._session = session

    def __getattr__(self, name: str) -> Any:
        return getattr(self._session, name)

    def send(self, request: Any) -> Any:
        """Return the answer to `request`, read to its end unless the operation streams it."""
        if request.stream_output:
            return self._session.send(request)
        from botocore.awsrequest import AWSResponse

        request.stream_output = True  # so that this class reads the body, and not botocore
        answer = self._session.send(request)
        body = _Body(_read_body(request, answer.raw))
        return AWSResponse(answer.url, answer.status_code, answer.headers, body)


class _Body(BytesIO):
    """A complete body with the interface that botocore reads."""

    def stream(self) -> Iterator[bytes]:
        yield self.read()


def _read_body(request: Any, raw: Any) -> bytes:
    """Return the whole body `raw`; raise as botocore does when the connection breaks."""
    call: _Call = getattr(_thread_state, "call", None) or _Call()
    call.body = raw
    pieces, size = [], 0
    with _botocore_errors(request):
        for piece in raw.stream(_CHUNK_BYTES):
            pieces.append(piece)
            size += len(piece)
            if size > MOST_BYTES:
                raw.close()
                raise StrangeAnswerError(f"it is longer than {MOST_BYTES:,} bytes")
    call.body = None
    call.content = b"".join(pieces)
    return call.content


@contextmanager
def _botocore_errors(request: Any) -> Iterator[None]:
    """Translate errors of urllib3 into those of botocore, as botocore's own session does."""
    from urllib3.exceptions import ProtocolError
    from urllib3.exceptions import ReadTimeoutError as BodyTimeoutError

    url = request.url
    try:
        yield
    except BodyTimeoutError as error:
        raise ReadTimeoutError(endpoint_url=url, error=error) from error
    except ProtocolError as error:
        raise ConnectionClosedError(error=error, request=request, endpoint_url=url) from error
    except (OSError, ValueError) as error:
        raise HTTPClientError(error=error) from error
