"""Public IP addresses, by a fixed table of special-purpose ranges. IAM: none.

The `is_global` of ipaddress differs between versions of Python, and calls some ranges public that
lead into a private network. The table follows IANA's registries of special-purpose addresses
(2025). Single reachable addresses inside a range of protocol assignments count as not public.
"""

from functools import cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final

NOT_PUBLIC: Final = {
    "0.0.0.0/8": "this network",
    "10.0.0.0/8": "private",
    "100.64.0.0/10": "shared, behind a carrier's NAT",
    "127.0.0.0/8": "loopback",
    "169.254.0.0/16": "link-local; metadata of an instance or a task",
    "172.16.0.0/12": "private",
    "192.0.0.0/24": "protocol assignments",
    "192.0.2.0/24": "documentation",
    "192.88.99.0/24": "relays of 6to4, withdrawn",
    "192.168.0.0/16": "private",
    "198.18.0.0/15": "benchmarks",
    "198.51.100.0/24": "documentation",
    "203.0.113.0/24": "documentation",
    "224.0.0.0/4": "multicast",
    "240.0.0.0/4": "reserved, and broadcast",
    "::/96": "unspecified, loopback, IPv4-compatible",
    "::ffff:0:0:0/96": "IPv4-translated (RFC 2765)",
    "64:ff9b:1::/48": "translation inside a network",
    "100::/64": "discard",
    "100:0:0:1::/64": "dummy prefix",
    "2001::/23": "protocol assignments, Teredo and ORCHID among them",
    "2001:db8::/32": "documentation",
    "3fff::/20": "documentation",
    "5f00::/16": "segment routing",
    "fc00::/7": "unique local",
    "fe80::/10": "link-local",
    "fec0::/10": "site-local",
    "ff00::/8": "multicast",
}
# All public IPv6 addresses are in this range: IANA has assigned nothing outside it.
PUBLIC_IPV6: Final = "2000::/3"
# IPv6 ranges with an embedded IPv4 address: the number of bits that follow it.
IPV4_EMBEDDINGS: Final = {"::ffff:0:0/96": 0, "64:ff9b::/96": 0, "2002::/16": 80}


def is_public(address: str) -> bool:
    """Tell whether `address` belongs to the public internet; False for other text."""
    try:
        effective = effective_address(address)
    except ValueError:
        return False
    if isinstance(effective, IPv6Address) and effective not in _network(PUBLIC_IPV6):
        return False
    return not any(effective in _network(text) for text in NOT_PUBLIC)


def effective_address(address: str) -> IPv4Address | IPv6Address:
    """Return the parsed address, or the IPv4 address embedded in it. Raises ValueError."""
    parsed = ip_address(address.partition("%")[0])  # "%" begins the name of an interface
    for text, trailing_bits in IPV4_EMBEDDINGS.items():
        if isinstance(parsed, IPv6Address) and parsed in _network(text):
            return IPv4Address(int(parsed) >> trailing_bits & 0xFFFF_FFFF)
    return parsed


@cache
def _network(text: str) -> IPv4Network | IPv6Network:
    return ip_network(text)
