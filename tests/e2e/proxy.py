"""A proxy on loopback in front of the emulator: it records every call, and injects faults."""

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
from tests.e2e.held_calls import LIMIT_S, Spoiler, Spoils, Trap, Way

_PER_HOP: Final = frozenset({"connection", "keep-alive", "transfer-encoding", "content-length"})
_RESET: Final = struct.pack("ii", 1, 0)  # SO_LINGER: close with a reset


@dataclass(slots=True)
class Proxy:
    """Forwards calls to `upstream`; `endpoint` is the URL of the proxy.

    calls: those that were forwarded. tries: all that arrived. statuses: the operation and the HTTP
    status of each answer, in order. spoilers: what injects faults. ended: set when the proxy stops.
    """

    upstream: str
    endpoint: str = ""
    calls: list[Call] = field(default_factory=list)
    tries: list[Call] = field(default_factory=list)
    statuses: list[tuple[str, int]] = field(default_factory=list)
    _traps: list[Trap] = field(default_factory=list)
    spoilers: list[Spoils] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    ended: threading.Event = field(default_factory=threading.Event)

    @contextmanager
    def holding(self, wanted: Wanted) -> Iterator[Trap]:
        """Hold the first call that is `wanted` until it is released, or the context ends."""
        trap = Trap(wanted)
        self._traps.append(trap)
        try:
            yield trap
        finally:
            trap.free(trap.way)

    def spoil(self, wanted: Wanted, faults: Iterable[Fault]) -> Spoiler:
        """Inject the next of `faults` into each call that is `wanted`, until none is left."""
        spoiler = Spoiler(wanted, iter(faults))
        self.spoilers.append(spoiler)
        return spoiler

    def lose_answer(self, wanted: Wanted) -> Spoiler:
        """Forward the first call that is `wanted`, and close its connection before the answer."""
        return self.spoil(wanted, [answer_lost])

    def answers_to(self, operation: str) -> list[int]:
        """Return the HTTP statuses of the answers to calls of `operation`, in order."""
        return [status for name, status in self.statuses if name == operation]

    def fault_of(self, call: Call) -> Fault | None:
        """Record `call`, and return the fault to inject; None when it is forwarded."""
        with self._lock:
            self.tries.append(call)
            found = (spoiler.fault_of(call) for spoiler in self.spoilers)
            return next((fault for fault in found if fault is not None), None)

    @contextmanager
    def way_of(self, call: Call) -> Iterator[Way]:
        """Yield the outcome of `call`, once it is decided; a held call waits here."""
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
    protocol_version = "HTTP/1.1"  # keep-alive, as botocore expects
    disable_nagle_algorithm = True  # or the body waits 40 ms for the acknowledged headers
    front: Proxy

    def _handle_call(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.call = call_of(self.command, self.path, self.headers, body)
        try:
            fault = self.front.fault_of(self.call)
            if fault is None:
                self._serve_call()
            else:
                fault(self)
        except ConnectionError:  # the client was killed, or has timed out
            self.close_connection = True

    do_GET = do_PUT = do_POST = do_DELETE = _handle_call  # noqa: N815 - http.server spells them so

    def _serve_call(self) -> None:
        reply = None
        with self.front.way_of(self.call) as way:
            if way is not Way.NOT_MADE:
                reply = self._forward_upstream()
        if reply is None:
            never_made(self)
        elif way is Way.NOT_ANSWERED:
            self.cut()
        else:
            self.answer(reply)

    # --- exchange -------------------------------------------------------------------------------

    def carry_out(self) -> Reply:
        """Forward the call to the emulator, and return its answer."""
        self.front.calls.append(self.call)
        return self._forward_upstream()

    def answer(self, reply: Reply, *, length: int | None = None) -> None:
        """Send `reply` to the client, with this Content-Length."""
        self.front.statuses.append((self.call.operation, reply.status))
        self.send_response_only(reply.status)
        for name, value in reply.headers.items():
            if _is_passed(name):
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(reply.content) if length is None else length))
        self.end_headers()
        self.wfile.write(reply.content)

    def drip(self, reply: Reply, seconds: float) -> None:
        """Send `reply` a byte at a time, with `seconds` between two bytes."""
        stream, self.wfile = self.wfile, BytesIO()
        try:
            self.answer(reply)
            content = self.wfile.getvalue()
        finally:
            self.wfile = stream
        for byte in content:
            self.wfile.write(bytes([byte]))
            if self.front.ended.wait(seconds):
                break

    def hold(self) -> None:
        """Send nothing until the client has closed the connection, or the proxy stops."""
        self.close_connection = True
        while not self.front.ended.wait(0.05):
            readable, _, _ = select.select([self.connection], [], [], 0)
            if readable:  # no more requests follow, so the client has closed it
                return

    def cut(self, *, reset: bool = False) -> None:
        """Close the connection, or reset it."""
        self.close_connection = True
        if reset:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)

    def _forward_upstream(self) -> Reply:
        upstream = urlsplit(self.front.upstream)
        with closing(HTTPConnection(upstream.netloc, timeout=LIMIT_S)) as connection:
            headers = {name: value for name, value in self.headers.items() if _is_passed(name)}
            connection.request(self.command, self.path, self.call.body, headers)
            answer = connection.getresponse()
            return Reply(answer.status, dict(answer.getheaders()), answer.read())


def _is_passed(header: str) -> bool:
    return header.lower() not in _PER_HOP
