"""One HTTPS request to a host outside: checked, bounded in every way, and never redirected.

IAM: none.

The name is resolved once and the connection made to the address that was checked, so that a name
that resolves differently a moment later leads nowhere else. The certificate is verified against the
name. No proxy is asked. No message quotes a path or a query: they may be secret.
"""

import socket
import threading
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from time import monotonic
from typing import TYPE_CHECKING, Final

from controller.core.units import count_text

if TYPE_CHECKING:
    from ipaddress import IPv4Address, IPv6Address
    from ssl import SSLSocket

# So much of an answer is read; the rest is left where it is.
MOST_ANSWER: Final = 16_384
_PORT: Final = 443
# IPv6 addresses that stand for an IPv4 address behind a translator.
_TRANSLATED: Final = "64:ff9b::/96"


class HttpsError(Exception):
    """No answer came, or none was asked for: why, in words that name the host alone."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a host answered: its status, and the beginning of the body."""

    status: int
    body: bytes


def post(
    url: str,
    body: bytes,
    headers: Mapping[str, str],
    *,
    within_s: float,
    private: Collection[str] = (),
) -> Answer:
    """Return the answer to a POST of `body`, all of it within `within_s` seconds.

    private: names of hosts that may have an address which is not public. Raises HttpsError.
    """
    host, port, path = _parts(url)
    deadline = monotonic() + within_s
    addresses = _resolved(host, port, within_s)
    if host not in private:
        _check_public(host, addresses)
    connection = _connected(host, addresses, port, deadline)
    return _Exchange(connection, host, deadline, within_s).run(path, body, headers)


def host_of(url: str) -> str:
    """Return the host that `url` names. Raises HttpsError when it is no HTTPS URL."""
    return _parts(url)[0]


def _parts(url: str) -> tuple[str, int, str]:
    from urllib.parse import urlsplit

    try:
        parts = urlsplit(url.strip())
        host, port = parts.hostname, parts.port
    except ValueError:
        raise HttpsError("what should be a URL is none") from None
    if parts.scheme != "https" or not host:
        raise HttpsError("only a URL that begins with https:// and names a host is asked")
    if parts.username is not None or parts.fragment or not url.isprintable():
        raise HttpsError(f"the URL of {host} has a user, a fragment or a strange character in it")
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return host, port or _PORT, path


def _resolved(host: str, port: int, within_s: float) -> list[str]:
    """Return the addresses of `host`; the system's resolver knows no limit, so a thread asks it."""
    found: list[str] = []
    problem: list[str] = []

    def ask() -> None:
        try:
            answers = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
            found.extend(dict.fromkeys(str(one[4][0]) for one in answers))
        except (OSError, UnicodeError) as error:
            problem.append(getattr(error, "strerror", None) or type(error).__name__)

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(within_s)
    if not found:
        why = problem[0] if problem else f"no answer within {within_s:g} s"
        raise HttpsError(f"{host} could not be resolved: {why}")
    return found


def _check_public(host: str, addresses: Collection[str]) -> None:
    """Raise HttpsError when any address is one that only this network, or this machine, knows."""
    for address in addresses:
        if not _is_public(address):
            raise HttpsError(
                f"{host} has the address {address}, which is not public; where that is meant, the "
                "policy has to allow the host by its name"
            )


def _is_public(address: str) -> bool:
    from ipaddress import IPv6Address, ip_address, ip_network

    one: IPv4Address | IPv6Address = ip_address(address.partition("%")[0])
    if isinstance(one, IPv6Address):
        inner = one.ipv4_mapped or one.sixtofour
        if one in ip_network(_TRANSLATED):
            inner = _last_four(one)
        if inner is not None:
            return _is_public(str(inner))
    return one.is_global and not one.is_multicast


def _last_four(address: "IPv6Address") -> "IPv4Address":
    from ipaddress import IPv4Address

    return IPv4Address(int(address) & 0xFFFF_FFFF)


def _connected(host: str, addresses: Collection[str], port: int, deadline: float) -> "SSLSocket":
    """Return a connection to the first address that takes one; nothing was said on it yet."""
    import ssl

    context = ssl.create_default_context()
    why = "no answer"
    for address in addresses:
        left = deadline - monotonic()
        if left <= 0:
            break
        try:
            raw = socket.create_connection((address, port), timeout=left)
        except OSError as error:
            why = error.strerror or type(error).__name__
            continue
        return context.wrap_socket(raw, server_hostname=host, do_handshake_on_connect=False)
    raise HttpsError(f"{host} could not be reached: {why}")


class _Exchange:
    """One request on a connection, which is cut when its time is over."""

    def __init__(
        self, connection: "SSLSocket", host: str, deadline: float, within_s: float
    ) -> None:
        self._connection, self._host, self._within_s = connection, host, within_s
        self._late = False
        self._timer = threading.Timer(max(0.0, deadline - monotonic()), self._cut)
        self._timer.daemon = True

    def _cut(self) -> None:
        """End the exchange from another thread: whoever waits for a byte gets none any more."""
        self._late = True
        try:
            socket.socket.shutdown(self._connection, socket.SHUT_RDWR)
        except OSError:
            self._connection.close()

    def run(self, path: str, body: bytes, headers: Mapping[str, str]) -> Answer:
        from http.client import HTTPException, HTTPSConnection

        self._timer.start()
        try:
            self._connection.do_handshake()
            exchange = HTTPSConnection(self._host)
            exchange.sock = self._connection
            exchange.request("POST", path, body, {**headers, "Connection": "close"})
            with exchange.getresponse() as answer:
                body = answer.read(MOST_ANSWER)
                if self._late:  # without a length, a connection that was cut looks like an end
                    raise HttpsError(f"{self._host} {self._too_late()}")
                if answer.length and len(body) < MOST_ANSWER:  # more was announced
                    raise HttpsError(f"{self._host} broke off in the middle of its answer")
                return Answer(answer.status, body)
        except (OSError, HTTPException, ValueError, AttributeError) as error:
            raise HttpsError(f"{self._host} {self._why(error)}") from error
        finally:
            self._timer.cancel()
            self._connection.close()

    def _too_late(self) -> str:
        return f"gave no whole answer within {count_text(self._within_s, 'second')}"

    def _why(self, error: Exception) -> str:
        if self._late or isinstance(error, TimeoutError):  # whichever of both was first
            return self._too_late()
        reason = getattr(error, "verify_message", "") or getattr(error, "strerror", "")
        return f"gave no answer: {reason or type(error).__name__}"
