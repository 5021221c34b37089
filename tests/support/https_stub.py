"""An HTTPS host on loopback, with its own certificate, that answers as a test configures it."""

import datetime
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


@dataclass(slots=True)
class Request:
    """A request that arrived."""

    path: str
    headers: dict[str, str]
    body: bytes


Responder = Callable[[BaseHTTPRequestHandler], object]


@dataclass(slots=True)
class Host:
    """The host. answer: responds to a request. requests: all of them."""

    port: int
    answer: Responder
    requests: list[Request] = field(default_factory=list)

    def url(self, path: str = "/hook", name: str = "localhost") -> str:
        return f"https://{name}:{self.port}{path}"


def responds(status: int = 200, body: bytes = b"ok", **headers: str) -> Responder:
    """Return a responder with this status and body."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name, value)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    return answer


def in_turn(*several: Responder) -> Responder:
    """Return a responder that uses one after the other, and the last one from then on."""
    remaining = list(several)

    def answer(handler: BaseHTTPRequestHandler) -> None:
        (remaining.pop(0) if len(remaining) > 1 else remaining[0])(handler)

    return answer


def breaks_off(body: bytes) -> Responder:
    """Return a responder that sends all but the last byte of its answer, and closes."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body[:-1])

    return answer


def sends(raw: bytes, *, goodbye: bool) -> Responder:
    """Return a responder that sends `raw` and closes. goodbye: TLS ends with close_notify."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.wfile.write(raw)
        if goodbye:
            with suppress(OSError):  # the client need not answer close_notify
                handler.connection.unwrap()

    return answer


def drips(every_s: float, *, announced: bool = True) -> Responder:
    """Return a responder that sends an endless answer, a byte every `every_s` seconds.

    announced: with a Content-Length; without it, the answer ends with the connection.
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
    """Yield a host with `certificate` (and its key), and stop it afterwards."""
    hosts: list[Host] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            length = int(self.headers["Content-Length"])
            request = Request(self.path, dict(self.headers.items()), self.rfile.read(length))
            hosts[0].requests.append(request)
            hosts[0].answer(self)

        def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
            """Log nothing."""

    class Server(ThreadingHTTPServer):
        daemon_threads = False  # the server joins them, so that no connection outlives its test

        def handle_error(self, request: Any, client_address: Any) -> None:
            """Ignore clients that close the connection."""

    server = Server(("127.0.0.1", 0), Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    server.socket = context.wrap_socket(
        server.socket, server_side=True, do_handshake_on_connect=False
    )
    hosts.append(Host(server.server_address[1], answer or responds()))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield hosts[0]
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def certificate(folder: Path, name: str = "localhost") -> Path:
    """Write a self-signed certificate of a name or an address with its key; return the file."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    signed = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([_alternative(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    file = folder / f"{name}.pem"
    file.write_bytes(
        signed.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return file


def _alternative(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        return x509.DNSName(name)
