"""The rules for calls of hosts outside AWS: hooks and webhooks."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from controller.immutable import Immutable

if TYPE_CHECKING:
    from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network


@dataclass(frozen=True, slots=True)
class Proxy:
    """The proxy for hooks and webhooks. credentials: `user:password`, or empty; a secret."""

    host: str
    port: int
    credentials: str = field(default="", repr=False)


class Egress(Immutable):
    """How hooks and webhooks leave this network, as the operator configured it.

    private_names, private_networks: the hosts that need no public address, if the policy names them
    as well. proxy: None: requests go directly. problem: the error of a wrong variable, which stops
    all hooks and webhooks; else empty.
    """

    private_names: frozenset[str] = frozenset()
    private_networks: tuple["IPv4Network | IPv6Network", ...] = ()
    proxy: Proxy | None = None
    problem: str = ""

    def allows(self, host: str, address: "IPv4Address | IPv6Address | None") -> bool:
        """Tell whether `host` may have the private `address`. address: None: unknown."""
        return host in self.private_names or (
            address is not None and any(address in network for network in self.private_networks)
        )
