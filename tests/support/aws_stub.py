"""An endpoint on loopback that answers AWS calls as a test configures it, byte by byte."""

import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from socketserver import StreamRequestHandler, ThreadingTCPServer
from typing import Any, TypeAlias

JSON = "application/x-amz-json-1.1"
SECRET = "hunter2-and-more"

Responder: TypeAlias = Callable[["Endpoint", socket.socket], None]


@dataclass(slots=True)
class Endpoint:
    """The endpoint. answers: one responder for each request; the last one is used from then on.

    requests: the bodies that arrived. closed: set when the endpoint stops.
    """

    url: str
    answers: list[Responder] = field(default_factory=list)
    requests: list[bytes] = field(default_factory=list)
    closed: threading.Event = field(default_factory=threading.Event)

    def next_answer(self, body: bytes) -> Responder:
        self.requests.append(body)
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


def head(length: int, status: int = 200, kind: str = JSON) -> bytes:
    """Return the head of an answer, as AWS sends it."""
    lines = [
        f"HTTP/1.1 {status} {HTTPStatus(status).phrase}",
        f"Content-Type: {kind}",
        f"Content-Length: {length}",
        "x-amzn-RequestId: 11111111-2222-3333-4444-555555555555",
        "Date: Mon, 02 Jun 2025 12:00:00 GMT",
    ]
    return "\r\n".join([*lines, "", ""]).encode()


def responds(content: bytes, status: int = 200, kind: str = JSON) -> Responder:
    """Return a responder that answers with `content`."""

    def answer(_endpoint: Endpoint, connection: socket.socket) -> None:
        connection.sendall(head(len(content), status, kind) + content)

    return answer


def captive_portal(_endpoint: Endpoint, connection: socket.socket) -> None:
    """Answer as a captive portal does, without a request id."""
    html = b"<html>Please log in</html>"
    lines = f"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: {len(html)}\r\n\r\n"
    connection.sendall(lines.encode() + html)


def breaks_off(content: bytes) -> Responder:
    """Return a responder that announces more than `content`, and closes after it."""

    def answer(_endpoint: Endpoint, connection: socket.socket) -> None:
        connection.sendall(head(len(content) + 10) + content)
        connection.shutdown(socket.SHUT_RDWR)

    return answer


def hangs(endpoint: Endpoint, _connection: socket.socket) -> None:
    """Accept the request and never answer."""
    endpoint.closed.wait()


def hangs_after_the_head(endpoint: Endpoint, connection: socket.socket) -> None:
    """Send the head of an answer, and never its body."""
    connection.sendall(head(100))
    endpoint.closed.wait()


def drips(content: bytes, every_s: float) -> Responder:
    """Return a responder that sends `content`, head and body, a byte at a time."""

    def answer(endpoint: Endpoint, connection: socket.socket) -> None:
        for byte in content:
            connection.sendall(bytes([byte]))
            if endpoint.closed.wait(every_s):
                return

    return answer


def drips_its_body(every_s: float) -> Responder:
    """Return a responder that sends the head at once, and the body a byte at a time."""

    def answer(endpoint: Endpoint, connection: socket.socket) -> None:
        connection.sendall(head(100_000))
        drips(b" " * 100_000, every_s)(endpoint, connection)

    return answer


def floods(endpoint: Endpoint, connection: socket.socket) -> None:
    """Send an endless body, as fast as it is read."""
    connection.sendall(head(10**12))
    while not endpoint.closed.is_set():
        connection.sendall(b" " * 1_000_000)


@contextmanager
def endpoint() -> Iterator[Endpoint]:
    """Yield an endpoint, and stop it afterwards."""

    class Handler(StreamRequestHandler):
        def handle(self) -> None:
            with suppress(OSError):
                while line := self.rfile.readline():
                    length = 0
                    while (line := self.rfile.readline()) not in (b"\r\n", b""):
                        name, _, value = line.partition(b":")
                        if name.lower() == b"content-length":
                            length = int(value)
                    answer = running.next_answer(self.rfile.read(length))
                    answer(running, self.connection)

    class Server(ThreadingTCPServer):
        daemon_threads = True

        def handle_error(self, request: Any, client_address: Any) -> None:
            """A client that hangs up is no error."""

    with Server(("127.0.0.1", 0), Handler) as server:
        server.block_on_close = False
        running = Endpoint(f"http://127.0.0.1:{server.server_address[1]}")
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield running
        finally:
            running.closed.set()
            server.shutdown()
            thread.join()


# Answers that no AWS service gives.
GARBAGE: Mapping[str, Responder] = {
    "null": responds(b"null"),
    "a list": responds(b"[1, 2]"),
    "a string": responds(b'"%s"' % SECRET.encode()),
    "a number": responds(b"42"),
    "no UTF-8": responds(b"\xff\xfe\x00" + SECRET.encode()),
    "cut off": responds(b'{"FunctionArn": "%s' % SECRET.encode()),
    "too deep": responds(b'{"a":' * 100_000),
    "HTML": responds(b"<html>Please log in</html>", kind="text/html"),
    "a page": captive_portal,
    "a redirect": responds(b"", status=302, kind="text/html"),
    "a page that forbids": responds(b"<html>No.</html>", status=403, kind="text/html"),
    "an error of a list": responds(b"[]", status=400),
    "an error of null": responds(b"null", status=500),
}
