"""One HTTPS POST to an external host: checked, limited in time and size, never redirected.

IAM: none.

The name is resolved once and the connection made to the address that was checked, so a name that
resolves differently a moment later (DNS rebinding) has no effect. The certificate is verified
against the name. With an egress proxy, the proxy resolves the name, and TLS runs through it to the
host. No message quotes a path or a query, which may be secret.
"""

import socket
import threading
from collections.abc import Collection, Mapping
from time import monotonic
from typing import TYPE_CHECKING, Final

from controller.adapters.http.egress_rules import (
    TunnelError,
    address_refusal,
    name_refusal,
    open_tunnel,
)
from controller.core.units import count_text
from controller.ports.egress import Egress, Proxy

if TYPE_CHECKING:
    from ssl import SSLSocket

    from controller.adapters.http.response import Answer

_PORT: Final = 443
_DIRECT: Final = Egress()


class HttpsError(Exception):
    """There is no answer; the message says why, and names only the host of the URL."""


class NotSentError(HttpsError):
    """The URL, the policy or a setting forbids the request; a retry would not help."""


def post(
    url: str,
    body: bytes,
    headers: Mapping[str, str],
    *,
    within_s: float,
    private: Collection[str] = (),
    egress: Egress = _DIRECT,
) -> "Answer":
    """Return the answer to a POST of `body`; everything ends within `within_s` seconds.

    private: names of hosts that the policy allows to have an address which is not public; `egress`
    has to allow that as well. Raises HttpsError.
    """
    host, port, path = _parts(url)
    if egress.problem:
        raise NotSentError(egress.problem)
    deadline = monotonic() + within_s
    if egress.proxy is None:
        addresses = _resolve(host, port, within_s)
        _raise_refusal(address_refusal(host, addresses, private, egress))
        raw = _connect(host, addresses, port, deadline)
    else:
        _raise_refusal(name_refusal(host, private, egress))
        raw = _connect_through_proxy(egress.proxy, host, port, deadline)
    return _Exchange(_start_tls(raw, host), host, deadline, within_s).run(path, body, headers)


def host_of(url: str) -> str:
    """Return the host of `url`. Raises NotSentError when it is no HTTPS URL."""
    return _parts(url)[0]


def _parts(url: str) -> tuple[str, int, str]:
    from urllib.parse import urlsplit

    try:
        parts = urlsplit(url.strip())
        host, port = parts.hostname, parts.port
    except ValueError:
        raise NotSentError("what should be a URL is none") from None
    if parts.scheme != "https" or not host:
        raise NotSentError("only a URL that begins with https:// and names a host is called")
    if parts.username is not None or parts.fragment or not url.isprintable():
        raise NotSentError(f"the URL of {host} has a user, a fragment or a strange character in it")
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return host, port or _PORT, path


def _resolve(host: str, port: int, within_s: float) -> list[str]:
    """Return the addresses of `host`; in a thread, because the resolver has no time limit."""
    addresses: list[str] = []
    problem: list[str] = []

    def resolve() -> None:
        try:
            answers = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
            addresses.extend(dict.fromkeys(str(one[4][0]) for one in answers))
        except (OSError, UnicodeError) as error:
            problem.append(getattr(error, "strerror", None) or type(error).__name__)

    thread = threading.Thread(target=resolve, daemon=True)
    thread.start()
    thread.join(within_s)
    if not addresses:
        reason = problem[0] if problem else f"no answer within {within_s:g} s"
        raise HttpsError(f"{host} could not be resolved: {reason}")
    return addresses


def _raise_refusal(refusal: str) -> None:
    if refusal:
        raise NotSentError(refusal)


def _connect(host: str, addresses: Collection[str], port: int, deadline: float) -> socket.socket:
    """Return a new TCP connection to the first address that accepts one."""
    reason = "no answer"
    for address in addresses:
        left = deadline - monotonic()
        if left <= 0:
            break
        try:
            return socket.create_connection((address, port), timeout=left)
        except OSError as error:
            reason = error.strerror or type(error).__name__
    raise HttpsError(f"{host} could not be reached: {reason}")


def _connect_through_proxy(proxy: Proxy, host: str, port: int, deadline: float) -> socket.socket:
    """Return a tunnel to `host` through the proxy, whose own address is not checked."""
    try:
        addresses = _resolve(proxy.host, proxy.port, max(0.0, deadline - monotonic()))
        raw = _connect(proxy.host, addresses, proxy.port, deadline)
    except HttpsError as error:
        raise HttpsError(f"the egress proxy {error}") from error
    try:
        open_tunnel(raw, proxy, host, port, deadline)
    except TunnelError as error:
        raw.close()
        raise HttpsError(f"{host} could not be reached: {error}") from error
    raw.settimeout(max(0.001, deadline - monotonic()))
    return raw


def _start_tls(raw: socket.socket, host: str) -> "SSLSocket":
    """Return `raw` wrapped in TLS; the certificate has to be valid for `host`."""
    import ssl

    return ssl.create_default_context().wrap_socket(
        raw,
        server_hostname=host,
        do_handshake_on_connect=False,
        suppress_ragged_eofs=False,  # so a cut connection does not look complete
    )


class _Exchange:
    """One request on a connection, which a timer closes at the deadline."""

    def __init__(
        self, connection: "SSLSocket", host: str, deadline: float, within_s: float
    ) -> None:
        self._connection, self._host, self._within_s = connection, host, within_s
        self._timed_out = False
        self._timer = threading.Timer(max(0.0, deadline - monotonic()), self._cut)
        self._timer.daemon = True

    def _cut(self) -> None:
        """Close the connection from the timer's thread, which ends a pending read."""
        self._timed_out = True
        try:
            socket.socket.shutdown(self._connection, socket.SHUT_RDWR)
        except OSError:
            self._connection.close()

    def run(self, path: str, body: bytes, headers: Mapping[str, str]) -> "Answer":
        from http.client import HTTPException, HTTPSConnection

        from controller.adapters.http.response import LineTrackingResponse, read_answer

        self._timer.start()
        try:
            self._connection.do_handshake()
            exchange = HTTPSConnection(self._host)
            exchange.sock = self._connection
            exchange.response_class = LineTrackingResponse
            exchange.request("POST", path, body, {**headers, "Connection": "close"})
            with exchange.getresponse() as response:
                answer = read_answer(response)
            if self._timed_out:
                raise HttpsError(f"{self._host} {self._timeout_text()}")
            return answer
        except (OSError, HTTPException, ValueError, AttributeError) as error:
            raise HttpsError(f"{self._host} {self._error_text(error)}") from error
        finally:
            self._timer.cancel()
            self._connection.close()

    def _timeout_text(self) -> str:
        return f"gave no whole answer within {count_text(self._within_s, 'second')}"

    def _error_text(self, error: Exception) -> str:
        if self._timed_out or isinstance(error, TimeoutError):  # either may come first
            return self._timeout_text()
        reason = getattr(error, "verify_message", "") or getattr(error, "strerror", "")
        return f"gave no answer: {reason or type(error).__name__}"
