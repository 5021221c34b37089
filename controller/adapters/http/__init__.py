"""One HTTPS POST to an external host: checked, limited in time and size, never redirected.

Calls to AWS do not go through here. IAM: none.

The name is resolved once and the connection made to the address that was checked, so a name that
resolves differently a moment later (DNS rebinding) has no effect. The certificate is verified
against the name. With an egress proxy, the proxy resolves the name, and TLS runs through it to the
host. No message quotes a path or a query, which may be secret.

A private host has to be allowed twice: by the policy, which names it, and by the operator of the
calling process. Without a proxy, every address of the host is checked. A proxy resolves the name
itself, so with one only the name can be checked.
"""

import re
import socket
import threading
from collections.abc import Collection, Mapping
from time import monotonic
from typing import TYPE_CHECKING, Final

from controller.core.units import count_text
from controller.ports.account import Egress, Proxy
from controller.process.settings import EGRESS_PROXY, PRIVATE_HOSTS

if TYPE_CHECKING:
    from ssl import SSLSocket

    from controller.adapters.http.response import HttpAnswer

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
    most_bytes: int = 0,
) -> "HttpAnswer":
    """Return the answer to a POST of `body`; everything ends within `within_s` seconds.

    most_bytes: of the answer; 0: what an answer to a message or a question may have.
    private: names of hosts that the policy allows to have an address which is not public; `egress`
    has to allow that as well. Raises HttpsError.
    """
    host, port, path = _parts(url)
    if egress.problem:
        raise NotSentError(egress.problem)
    deadline = monotonic() + within_s
    if egress.proxy is None:
        addresses = _resolve(host, port, within_s)
        _check_addresses(host, addresses, private, egress)
        raw = _connect(host, addresses, port, deadline)
    else:
        _check_name(host, private, egress)
        raw = _connect_through_proxy(egress.proxy, host, port, deadline)
    exchange = _Exchange(_start_tls(raw, host), host, deadline, within_s)
    return exchange.run(port, path, body, headers, most_bytes)


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
            addresses.extend(dict.fromkeys(str(answer[4][0]) for answer in answers))
        except (OSError, UnicodeError) as error:
            problem.append(getattr(error, "strerror", None) or type(error).__name__)

    thread = threading.Thread(target=resolve, daemon=True)
    thread.start()
    thread.join(within_s)
    if not addresses:
        reason = problem[0] if problem else f"no answer within {within_s:g} s"
        raise HttpsError(f"{host} could not be resolved: {reason}")
    return addresses


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
        _open_tunnel(raw, proxy, host, port, deadline)
    except _TunnelError as error:
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

    def run(
        self, port: int, path: str, body: bytes, headers: Mapping[str, str], most_bytes: int
    ) -> "HttpAnswer":
        from http.client import HTTPException, HTTPSConnection

        from controller.adapters.http.response import (
            MAX_RESPONSE_BYTES,
            LineTrackingResponse,
            read_answer,
        )

        self._timer.start()
        try:
            self._connection.do_handshake()
            # Without the port, http.client takes the last group of an IPv6 address for it.
            exchange = HTTPSConnection(self._host, port)
            exchange.sock = self._connection
            exchange.response_class = LineTrackingResponse
            exchange.request("POST", path, body, {**headers, "Connection": "close"})
            with exchange.getresponse() as response:
                answer = read_answer(response, most_bytes or MAX_RESPONSE_BYTES)
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


# --- egress rules, and the proxy -----------------------------------------------------------------

# Names of the local network: RFC 6761, 6762 (and its appendix G), 8375, the one that ICANN
# reserves, and the services of a Kubernetes cluster. None of them is a top-level domain.
LOCAL_SUFFIXES: Final = (
    *("localhost", "local", "localdomain", "home.arpa", "svc"),
    *("internal", "intranet", "private", "corp", "home", "lan"),
)
_HOST_CHARACTERS: Final = re.compile(r"[A-Za-z0-9._:-]+")

# Bytes of a proxy's answer before the tunnel is open.
MOST_HEAD: Final = 8_192


class _TunnelError(Exception):
    """The proxy opened no tunnel; the message says why, and follows the name of the host."""


def _check_addresses(
    host: str, addresses: Collection[str], private: Collection[str], egress: Egress
) -> None:
    """Raise NotSentError where `host` may not be called at these addresses.

    private: the private hosts that the policy names. Every address has to be allowed.
    """
    from controller.adapters.http.addresses import effective_address, is_public

    for address in addresses:
        if is_public(address):
            continue
        if host not in private or not egress.allows(host, effective_address(address)):
            raise NotSentError(
                f"{host} has the address {address}, which is not public; {_advice(host, private)}"
            )


def _check_name(host: str, private: Collection[str], egress: Egress) -> None:
    """Raise NotSentError where `host` may not be requested from a proxy.

    An address literal is checked as an address, in every spelling that a resolver accepts. A name
    is refused when it belongs to the local network by its suffix.
    """
    if not _HOST_CHARACTERS.fullmatch(host):
        raise NotSentError(f"{host} has a character that must not be sent to a proxy")
    if literal := _ip_literal(host):
        _check_addresses(host, [literal], private, egress)
        return
    name = host.rstrip(".").lower()
    local = "." not in name or any(f".{name}".endswith(f".{end}") for end in LOCAL_SUFFIXES)
    if local and not (host in private and egress.allows(host, None)):
        raise NotSentError(
            f"{host} is the name of a host that is not public; {_advice(host, private)}"
        )


def _advice(host: str, private: Collection[str]) -> str:
    if host in private:
        return f"the policy names the host, and {PRIVATE_HOSTS} has to allow it as well"
    return f"where that is meant, the policy has to name the host, and {PRIVATE_HOSTS} to allow it"


def _ip_literal(host: str) -> str:
    """Return the address that `host` spells, without a look-up; empty when it is a name."""
    from ipaddress import ip_address

    try:
        return str(ip_address(host))
    except ValueError:
        pass
    try:  # 127.1, 0x7f000001 and 2130706433 are 127.0.0.1 to a resolver
        return socket.inet_ntoa(socket.inet_aton(host.rstrip(".")))
    except OSError:
        return ""


def _open_tunnel(
    connection: socket.socket, proxy: Proxy, host: str, port: int, deadline: float
) -> None:
    """Open a tunnel to `host` through the proxy at the end of `connection`. Raises _TunnelError.

    deadline: in seconds of the monotonic clock. Errors quote only the status of the proxy's answer.
    """
    status = 0
    try:
        connection.settimeout(max(0.001, deadline - monotonic()))
        connection.sendall(_connect_request(proxy, host, port))
        status = _connect_status(connection, deadline)
    except TimeoutError:
        raise _TunnelError("the egress proxy gave no answer in time") from None
    except OSError as error:
        raise _TunnelError(f"the egress proxy: {error.strerror or type(error).__name__}") from None
    if not 200 <= status < 300:
        meaning = f"; it wants other credentials in {EGRESS_PROXY}" if status == 407 else ""
        raise _TunnelError(f"the egress proxy answered {status or 'in no HTTP'}{meaning}")


def _connect_request(proxy: Proxy, host: str, port: int) -> bytes:
    name = f"[{host}]" if ":" in host else host
    lines = [f"CONNECT {name}:{port} HTTP/1.1", f"Host: {name}:{port}"]
    if proxy.credentials:
        from base64 import b64encode

        credentials = b64encode(proxy.credentials.encode()).decode()
        lines.append(f"Proxy-Authorization: Basic {credentials}")
    return "\r\n".join([*lines, "", ""]).encode("ascii")


def _connect_status(connection: socket.socket, deadline: float) -> int:
    """Return the status of the proxy's answer; 0 when it is no HTTP.

    Read byte by byte, because everything after the empty line belongs to TLS.
    """
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        left = deadline - monotonic()
        if left <= 0:
            raise TimeoutError
        connection.settimeout(left)
        byte = connection.recv(1)
        if not byte or len(head) > MOST_HEAD:
            return 0
        head += byte
    words = head.split(b"\r\n")[0].split(b" ", 2)
    valid = len(words) > 1 and words[0].startswith(b"HTTP/1.") and words[1].isdigit()
    return int(words[1]) if valid and len(words[1]) == 3 else 0
