"""A proxy on loopback in front of the emulator: it knows every call, and can stand in its way."""

import select
import socket
import struct
import threading
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager, nullcontext
from dataclasses import dataclass, field
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from typing import Final
from urllib.parse import urlsplit

from tests.e2e.calls import Call, Reply, Wanted, call_of
from tests.e2e.faults import Fault, answer_lost, never_made
from tests.e2e.held_calls import LIMIT_S, Spoiler, Trap, Way

_PER_HOP: Final = frozenset({"connection", "keep-alive", "transfer-encoding", "content-length"})
_RESET: Final = struct.pack("ii", 1, 0)  # SO_LINGER: close without a farewell


@dataclass(slots=True)
class Proxy:
    """Passes calls on to `upstream`; `endpoint` is its own URL.

    calls: those that were passed on. tries: everything that arrived. statuses: what was answered,
    beside each operation, in the order of the answers. ended: is set when the proxy is stopped.
    """

    upstream: str
    endpoint: str = ""
    calls: list[Call] = field(default_factory=list)
    tries: list[Call] = field(default_factory=list)
    statuses: list[tuple[str, int]] = field(default_factory=list)
    _traps: list[Trap] = field(default_factory=list)
    _spoilers: list[Spoiler] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    ended: threading.Event = field(default_factory=threading.Event)

    @contextmanager
    def holding(self, wanted: Wanted) -> Iterator[Trap]:
        """Hold the first call that is `wanted` until it is freed, or this is left."""
        trap = Trap(wanted)
        self._traps.append(trap)
        try:
            yield trap
        finally:
            trap.free(trap.way)

    def spoil(self, wanted: Wanted, faults: Iterable[Fault]) -> Spoiler:
        """Let each call that is `wanted` meet the next of `faults`, as long as there are any."""
        spoiler = Spoiler(wanted, iter(faults))
        self._spoilers.append(spoiler)
        return spoiler

    def lose_answer(self, wanted: Wanted) -> Spoiler:
        """Carry the first call out that is `wanted`, and break its connection then."""
        return self.spoil(wanted, [answer_lost])

    def answers_to(self, operation: str) -> list[int]:
        """Return the HTTP statuses that calls of `operation` were answered with, in order."""
        return [status for name, status in self.statuses if name == operation]

    def fault_of(self, call: Call) -> Fault | None:
        """Return what `call` meets here; None when it is passed on."""
        with self._lock:
            self.tries.append(call)
            found = (spoiler.fault_of(call) for spoiler in self._spoilers)
            return next((fault for fault in found if fault is not None), None)

    @contextmanager
    def way_of(self, call: Call) -> Iterator[Way]:
        """Yield which way `call` goes, once that is known."""
        with self._lock:
            trap = next((trap for trap in self._traps if trap.catches(call)), None)
        with nullcontext(Way.ON) if trap is None else trap.held(call) as way:
            if way is not Way.NOT_MADE:
                self.calls.append(call)
            yield way


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
            proxy.ended.set()
            server.shutdown()
            thread.join(LIMIT_S)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"  # connections are kept, as botocore expects
    front: Proxy

    def _pass_on(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.call = call_of(self.command, self.path, self.headers, body)
        try:
            fault = self.front.fault_of(self.call)
            if fault is None:
                self._as_usual()
            else:
                fault(self)
        except ConnectionError:  # whoever asked was killed meanwhile, or waited no longer
            self.close_connection = True

    do_GET = do_PUT = do_POST = do_DELETE = _pass_on  # noqa: N815 - http.server spells them so

    def _as_usual(self) -> None:
        reply = None
        with self.front.way_of(self.call) as way:
            if way is not Way.NOT_MADE:
                reply = self._ask()
        if reply is None:
            never_made(self)
        elif way is Way.NOT_ANSWERED:
            self.cut()
        else:
            self.answer(reply)

    # --- what a fault may do --------------------------------------------------------------------

    def carry_out(self) -> Reply:
        """Let the emulator do what is asked, and return what it answers."""
        self.front.calls.append(self.call)
        return self._ask()

    def answer(self, reply: Reply, *, length: int | None = None) -> None:
        """Send `reply` to whoever asked, and say that it has this length."""
        self.front.statuses.append((self.call.operation, reply.status))
        self.send_response_only(reply.status)
        for name, value in reply.headers.items():
            if _is_passed(name):
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(reply.content) if length is None else length))
        self.end_headers()
        self.wfile.write(reply.content)

    def drip(self, reply: Reply, seconds: float) -> None:
        """Send `reply` a byte at a time, with so many seconds between two bytes."""
        stream, self.wfile = self.wfile, BytesIO()
        try:
            self.answer(reply)
            whole = self.wfile.getvalue()
        finally:
            self.wfile = stream
        for byte in whole:
            self.wfile.write(bytes([byte]))
            if self.front.ended.wait(seconds):
                break

    def hold(self) -> None:
        """Say nothing until the client is gone, or the proxy ends."""
        self.close_connection = True
        while not self.front.ended.wait(0.05):
            readable, _, _ = select.select([self.connection], [], [], 0)
            if readable:  # nothing more is asked on it, so it is at its end
                return

    def cut(self, *, reset: bool = False) -> None:
        """Break the connection, politely or not."""
        self.close_connection = True
        if reset:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)

    def _ask(self) -> Reply:
        upstream = urlsplit(self.front.upstream)
        with closing(HTTPConnection(upstream.netloc, timeout=LIMIT_S)) as connection:
            headers = {name: value for name, value in self.headers.items() if _is_passed(name)}
            connection.request(self.command, self.path, self.call.body, headers)
            answer = connection.getresponse()
            return Reply(answer.status, dict(answer.getheaders()), answer.read())


def _is_passed(header: str) -> bool:
    return header.lower() not in _PER_HOP
