"""Egress rules: which hosts may be called, by address or name, and the proxy tunnel. IAM: none.

A private host has to be allowed twice: by the policy, which names it, and by the operator of the
calling process. Without a proxy, every address of the host is checked. A proxy resolves the name
itself, so with one only the name can be checked.
"""

import re
import socket
from collections.abc import Collection
from time import monotonic
from typing import Final

from controller.ports.egress import Egress, Proxy
from controller.process.settings import EGRESS_PROXY, PRIVATE_HOSTS

# Names of the local network: RFC 6761, 6762 (and its appendix G), 8375, the one that ICANN
# reserves, and the services of a Kubernetes cluster. None of them is a top-level domain.
LOCAL_SUFFIXES: Final = (
    *("localhost", "local", "localdomain", "home.arpa", "svc"),
    *("internal", "intranet", "private", "corp", "home", "lan"),
)
_HOST_CHARACTERS: Final = re.compile(r"[A-Za-z0-9._:-]+")

# Bytes of a proxy's answer before the tunnel is open.
MOST_HEAD: Final = 8_192


class TunnelError(Exception):
    """The proxy opened no tunnel; the message says why, and follows the name of the host."""


def address_refusal(
    host: str, addresses: Collection[str], private: Collection[str], egress: Egress
) -> str:
    """Return why `host` may not be called at these addresses; empty when it may.

    private: the private hosts that the policy names. Every address has to be allowed.
    """
    from controller.adapters.http.addresses import effective_address, is_public

    for address in addresses:
        if is_public(address):
            continue
        if host not in private or not egress.allows(host, effective_address(address)):
            return (
                f"{host} has the address {address}, which is not public; {_advice(host, private)}"
            )
    return ""


def name_refusal(host: str, private: Collection[str], egress: Egress) -> str:
    """Return why `host` may not be requested from a proxy; empty when it may.

    An address literal is checked as an address, in every spelling that a resolver accepts. A name
    is refused when it belongs to the local network by its suffix.
    """
    if not _HOST_CHARACTERS.fullmatch(host):
        return f"{host} has a character that must not be sent to a proxy"
    if literal := _ip_literal(host):
        return address_refusal(host, [literal], private, egress)
    name = host.rstrip(".").lower()
    local = "." not in name or any(f".{name}".endswith(f".{end}") for end in LOCAL_SUFFIXES)
    if not local or (host in private and egress.allows(host, None)):
        return ""
    return f"{host} is the name of a host that is not public; {_advice(host, private)}"


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


def open_tunnel(
    connection: socket.socket, proxy: Proxy, host: str, port: int, deadline: float
) -> None:
    """Open a tunnel to `host` through the proxy at the end of `connection`. Raises TunnelError.

    deadline: in seconds of the monotonic clock. Errors quote only the status of the proxy's answer.
    """
    status = 0
    try:
        connection.settimeout(max(0.001, deadline - monotonic()))
        connection.sendall(_request(proxy, host, port))
        status = _status(connection, deadline)
    except TimeoutError:
        raise TunnelError("the egress proxy gave no answer in time") from None
    except OSError as error:
        raise TunnelError(f"the egress proxy: {error.strerror or type(error).__name__}") from None
    if not 200 <= status < 300:
        meaning = f"; it wants other credentials in {EGRESS_PROXY}" if status == 407 else ""
        raise TunnelError(f"the egress proxy answered {status or 'in no HTTP'}{meaning}")


def _request(proxy: Proxy, host: str, port: int) -> bytes:
    name = f"[{host}]" if ":" in host else host
    lines = [f"CONNECT {name}:{port} HTTP/1.1", f"Host: {name}:{port}"]
    if proxy.credentials:
        from base64 import b64encode

        credentials = b64encode(proxy.credentials.encode()).decode()
        lines.append(f"Proxy-Authorization: Basic {credentials}")
    return "\r\n".join([*lines, "", ""]).encode("ascii")


def _status(connection: socket.socket, deadline: float) -> int:
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
