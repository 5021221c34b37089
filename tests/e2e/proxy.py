"""A proxy on loopback in front of the emulator: it knows every call, and can stand in its way."""

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager, nullcontext
from dataclasses import dataclass, field
from email.message import Message
from enum import Enum, auto
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Final
from urllib.parse import urlsplit

LIMIT_S: Final = 60.0  # of every wait for a call, and of every call that is held

_LAMBDA: Final = {"GET": "GetFunctionConfiguration", "PUT": "UpdateFunctionConfiguration"}
_PER_HOP: Final = frozenset({"connection", "keep-alive", "transfer-encoding", "content-length"})


@dataclass(frozen=True, slots=True)
class Call:
    """One call to AWS, or one more try of it: all tries have the same `invocation`."""

    operation: str
    invocation: str
    body: bytes


Wanted = Callable[[Call], bool]


def named(operation: str) -> Wanted:
    """Return what tells whether a call is of `operation`."""
    return lambda call: call.operation == operation


class Way(Enum):
    """What becomes of a call that was caught."""

    ON = auto()
    NOT_MADE = auto()  # it never arrives, and its connection breaks
    NOT_ANSWERED = auto()  # it is carried out, and then its connection breaks


@dataclass(slots=True)
class Trap:
    """Catches the first call that is `wanted`, and lets all others pass.

    botocore gives a try up after ten seconds and makes another one; the newest is the call.
    """

    wanted: Wanted
    way: Way = Way.ON
    call: Call | None = None
    caught: threading.Event = field(default_factory=threading.Event)
    freed: threading.Event = field(default_factory=threading.Event)
    gone: threading.Event = field(default_factory=threading.Event)

    def wait(self) -> None:
        """Wait until the call is there. Raises TimeoutError when it does not come."""
        _wait(self.caught, "no call was caught")

    def free(self, way: Way = Way.ON) -> None:
        """Let the call go its way, and wait until it has."""
        self.way = way
        self.freed.set()
        if self.caught.is_set():
            _wait(self.gone, "the call that was freed did not go its way")

    def catches(self, call: Call) -> bool:
        """Tell whether this is the call, or one more try of it while it is held."""
        if self.call is None:
            caught = self.wanted(call)
        else:
            caught = call.invocation == self.call.invocation and not self.freed.is_set()
        if caught:
            self.call = call
            self.caught.set()
        return caught

    @contextmanager
    def held(self, call: Call) -> Iterator[Way]:
        """Hold a call that was caught until it is freed, and yield which way it goes then."""
        if not self.freed.wait(LIMIT_S) or call is not self.call:
            yield Way.NOT_MADE
            return
        try:
            yield self.way
        finally:
            self.gone.set()


@dataclass(slots=True)
class Proxy:
    """Passes calls on to `upstream`; `calls` are those that were, `endpoint` is its own URL."""

    upstream: str
    endpoint: str = ""
    calls: list[Call] = field(default_factory=list)
    _traps: list[Trap] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @contextmanager
    def holding(self, wanted: Wanted) -> Iterator[Trap]:
        """Hold the first call that is `wanted` until it is freed, or this is left."""
        trap = Trap(wanted)
        self._traps.append(trap)
        try:
            yield trap
        finally:
            trap.free(trap.way)

    def lose_answer(self, wanted: Wanted) -> Trap:
        """Carry the first call out that is `wanted`, and break its connection then."""
        trap = Trap(wanted)
        trap.free(Way.NOT_ANSWERED)
        self._traps.append(trap)
        return trap

    @contextmanager
    def way_of(self, call: Call) -> Iterator[Way]:
        """Yield which way `call` goes, once that is known."""
        with self._lock:
            trap = next((trap for trap in self._traps if trap.catches(call)), None)
        with nullcontext(Way.ON) if trap is None else trap.held(call) as way:
            if way is not Way.NOT_MADE:
                self.calls.append(call)
            yield way


def _wait(event: threading.Event, otherwise: str) -> None:
    if not event.wait(LIMIT_S):
        raise TimeoutError(f"{otherwise} within {LIMIT_S:.0f} s")


@contextmanager
def running(upstream: str) -> Iterator[Proxy]:
    """Yield a proxy in front of `upstream` (a URL), and stop it afterwards."""
    proxy = Proxy(upstream)

    class Handler(_Handler):
        front = proxy

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        proxy.endpoint = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield proxy
        finally:
            server.shutdown()
            thread.join(LIMIT_S)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"  # connections are kept, as botocore expects
    front: Proxy

    def _pass_on(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        operation = _operation(self.command, self.path, self.headers)
        call = Call(operation, self.headers.get("amz-sdk-invocation-id", ""), body)
        answer = None
        with self.front.way_of(call) as way:
            if way is not Way.NOT_MADE:
                answer = self._ask(body)
        if answer is None or way is Way.NOT_ANSWERED:
            self.close_connection = True
            return
        try:
            self._answer(*answer)
        except ConnectionError:  # whoever asked was killed meanwhile
            self.close_connection = True

    do_GET = do_PUT = do_POST = do_DELETE = _pass_on  # noqa: N815 - http.server spells them so

    def _ask(self, body: bytes) -> tuple[int, Mapping[str, str], bytes]:
        upstream = urlsplit(self.front.upstream)
        with closing(HTTPConnection(upstream.netloc, timeout=LIMIT_S)) as connection:
            headers = {name: value for name, value in self.headers.items() if _is_passed(name)}
            connection.request(self.command, self.path, body, headers)
            answer = connection.getresponse()
            return answer.status, dict(answer.getheaders()), answer.read()

    def _answer(self, status: int, headers: Mapping[str, str], content: bytes) -> None:
        self.send_response_only(status)
        for name, value in headers.items():
            if _is_passed(name):
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


def _is_passed(header: str) -> bool:
    return header.lower() not in _PER_HOP


def _operation(command: str, path: str, headers: Message) -> str:
    if target := headers.get("X-Amz-Target", ""):
        return target.partition(".")[2]
    last = urlsplit(path).path.rpartition("/")[2]
    return _LAMBDA.get(command, command) if last == "configuration" else f"{command} {last}"
