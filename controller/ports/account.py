"""The AWS account and the way to other hosts, as an adapter of a target or a channel sees them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from controller.core.policy import SecretReference
from controller.immutable import Immutable
from controller.ports.clock import Clock

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


class Account(Protocol):
    """One AWS account, real or simulated.

    clock: the time. egress: the rules for calls of hosts outside AWS. status_page_url: where people
    open the page of all rollouts.
    """

    @property
    def clock(self) -> Clock:
        """The source of time, also of every pause."""

    @property
    def egress(self) -> Egress:
        """How hosts outside AWS are reached, and which ones."""

    @property
    def status_page_url(self) -> str:
        """The https URL of the page of all rollouts, for a link; empty: there is none."""

    def client(self, service: str) -> Any:
        """Return the boto3 client of `service`; its calls end with the time of the tick.

        Raises UsageError when there is no region or no credentials.
        """

    def lowering_client(self, service: str) -> Any:
        """Return a client of `service` that the time of a tick does not limit: it lowers traffic.

        Raises UsageError as `client` does.
        """

    def single_try(self, service: str, read_s: float) -> Any:
        """Return a client of `service` that tries once, and waits `read_s` seconds for the answer.

        Raises UsageError as `client` does.
        """

    def jitter(self, low: float, high: float) -> float:
        """Return a number between `low` and `high`, for a pause; a rehearsal repeats its own."""

    def signed(
        self, service: str, region: str, url: str, body: bytes, headers: Mapping[str, str]
    ) -> Mapping[str, str]:
        """Return the headers of a POST to `service` of AWS, signed with its credentials.

        Raises UsageError as `client` does.
        """

    def read_secret(self, reference: SecretReference) -> str:
        """Return the secret that a policy names. Raises DeliveryError."""
