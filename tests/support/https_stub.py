"""A host on loopback that speaks HTTPS, with a certificate of its own, and answers as told."""

import datetime
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


@dataclass(slots=True)
class Request:
    """What arrived."""

    path: str
    headers: dict[str, str]
    body: bytes


Responder = Callable[[BaseHTTPRequestHandler], object]


@dataclass(slots=True)
class Host:
    """The host. answer: what it does with a request that was read; got: all of them."""

    port: int
    answer: Responder
    requests: list[Request] = field(default_factory=list)

    def url(self, path: str = "/hook", name: str = "localhost") -> str:
        return f"https://{name}:{self.port}{path}"


def responds(status: int = 200, body: bytes = b"ok", **headers: str) -> Responder:
    """Answer with this status and body."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name, value)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    return answer


def in_turn(*several: Responder) -> Responder:
    """Answer with one after the other, and the last from then on."""
    left = list(several)

    def answer(handler: BaseHTTPRequestHandler) -> None:
        (left.pop(0) if len(left) > 1 else left[0])(handler)

    return answer


def breaks_off(body: bytes) -> Responder:
    """Announce a whole answer, send all but its last byte, and hang up."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body[:-1])

    return answer


def sends(raw: bytes, *, goodbye: bool) -> Responder:
    """Send these bytes and hang up. goodbye: TLS is closed as it should be, with close_notify."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.wfile.write(raw)
        if goodbye:
            with suppress(OSError):  # the other side need not say it as well
                handler.connection.unwrap()

    return answer


def drips(every_s: float, *, announced: bool = True) -> Responder:
    """Begin an answer, and send a byte of it now and then, for ever.

    announced: the length of the answer; without it, the answer ends with the connection.
    """

    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        if announced:
            handler.send_header("Content-Length", "1000000")
        handler.end_headers()
        while True:
            handler.wfile.write(b".")
            handler.wfile.flush()
            time.sleep(every_s)

    return answer


@contextmanager
def host(certificate: Path, answer: Responder | None = None) -> Iterator[Host]:
    """Yield a host that shows `certificate` (with its key), and stop it afterwards."""
    stage: list[Host] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            length = int(self.headers["Content-Length"])
            request = Request(self.path, dict(self.headers.items()), self.rfile.read(length))
            stage[0].requests.append(request)
            stage[0].answer(self)

        def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
            """Say nothing."""

    class Server(ThreadingHTTPServer):
        daemon_threads = False  # all are waited for, so that no connection outlives its test

        def handle_error(self, request: Any, client_address: Any) -> None:
            """Whoever hangs up is no news."""

    server = Server(("127.0.0.1", 0), Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    server.socket = context.wrap_socket(
        server.socket, server_side=True, do_handshake_on_connect=False
    )
    stage.append(Host(server.server_address[1], answer or responds()))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield stage[0]
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def certificate(folder: Path, name: str = "localhost") -> Path:
    """Write a certificate that `name` has signed for itself, with its key, and return the file."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    file = folder / f"{name}.pem"
    file.write_bytes(
        made.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return file
