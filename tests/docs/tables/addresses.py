"""The table of public addresses: for the page of hooks, and for tests on every Python version."""

from collections.abc import Sequence

from controller.adapters.http.addresses import IPV4_EMBEDDINGS, NOT_PUBLIC
from controller.immutable import Immutable

YES, NO, INNER = "yes", "no", "as the IPv4 address in it"


class Range(Immutable):
    """A range of addresses; public, not_public: sample addresses in it, with its ends."""

    network: str
    is_what: str
    verdict: str
    public: Sequence[str] = ()
    not_public: Sequence[str] = ()


# The first and the last address of each range that is not public.
_ENDS = {
    "0.0.0.0/8": ("0.0.0.0", "0.255.255.255"),  # noqa: S104 - an address to refuse
    "10.0.0.0/8": ("10.0.0.0", "10.255.255.255"),
    "100.64.0.0/10": ("100.64.0.0", "100.127.255.255"),
    "127.0.0.0/8": ("127.0.0.0", "127.255.255.255"),
    "169.254.0.0/16": ("169.254.0.0", "169.254.169.254", "169.254.170.2", "169.254.255.255"),
    "172.16.0.0/12": ("172.16.0.0", "172.31.255.255"),
    "192.0.0.0/24": ("192.0.0.0", "192.0.0.9", "192.0.0.170", "192.0.0.255"),
    "192.0.2.0/24": ("192.0.2.0", "192.0.2.255"),
    "192.88.99.0/24": ("192.88.99.0", "192.88.99.255"),
    "192.168.0.0/16": ("192.168.0.0", "192.168.255.255"),
    "198.18.0.0/15": ("198.18.0.0", "198.19.255.255"),
    "198.51.100.0/24": ("198.51.100.0", "198.51.100.255"),
    "203.0.113.0/24": ("203.0.113.0", "203.0.113.255"),
    "224.0.0.0/4": ("224.0.0.0", "239.255.255.255"),
    "240.0.0.0/4": ("240.0.0.0", "255.255.255.255"),
    "::/96": ("::", "::1", "::a9fe:a9fe", "::8.8.8.8", "::ffff:ffff"),
    "::ffff:0:0:0/96": ("::ffff:0:0:0", "::ffff:0:8.8.8.8", "::ffff:0:ffff:ffff"),
    "64:ff9b:1::/48": ("64:ff9b:1::", "64:ff9b:1:ffff:ffff:ffff:ffff:ffff"),
    "100::/64": ("100::", "100::ffff:ffff:ffff:ffff"),
    "100:0:0:1::/64": ("100:0:0:1::", "100::1:ffff:ffff:ffff:ffff"),
    "2001::/23": ("2001::", "2001:0:4136:e378::1", "2001:1::1", "2001:20::1", "2001:1ff:ffff::"),
    "2001:db8::/32": ("2001:db8::", "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff"),
    "3fff::/20": ("3fff::", "3fff:fff:ffff:ffff:ffff:ffff:ffff:ffff"),
    "5f00::/16": ("5f00::", "5f00:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
    "fc00::/7": ("fc00::", "fd00:ec2::254", "fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
    "fe80::/10": ("fe80::1%eth0", "fe80::", "febf:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
    "fec0::/10": ("fec0::", "feff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
    "ff00::/8": ("ff02::1", "ff0e::1", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
}

_INNER = {
    "::ffff:0:0/96": (
        "IPv4-mapped",
        ("::ffff:8.8.8.8",),
        ("::ffff:169.254.169.254", "::ffff:7f00:1", "::ffff:10.0.0.1"),
    ),
    "64:ff9b::/96": (
        "NAT64",
        ("64:ff9b::8.8.8.8",),
        ("64:ff9b::a9fe:a9fe", "64:ff9b::10.0.0.1"),
    ),
    "2002::/16": (
        "6to4",
        ("2002:808:808::1",),
        ("2002:a9fe:a9fe::1", "2002:a00:1::1", "2002:7f00:1::", "2002:a00:1:808:808::"),
    ),
}

RANGES: Sequence[Range] = (
    *(Range(network, what, NO, (), _ENDS[network]) for network, what in NOT_PUBLIC.items()),
    *(
        Range(network, _INNER[network][0], INNER, *_INNER[network][1:])
        for network in IPV4_EMBEDDINGS
    ),
    Range(
        "the rest of IPv4",
        "the public internet",
        YES,
        (
            "1.0.0.0", "8.8.8.8", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0",
            "128.0.0.0", "172.15.255.255", "172.32.0.0", "192.0.1.0", "192.31.196.1",
            "192.167.255.255", "192.169.0.0", "198.17.255.255", "198.20.0.0", "223.255.255.255",
        ),
    ),
    Range(
        "the rest of `2000::/3`",
        "the public internet",
        YES,
        (
            "2001:200::", "2001:db7:ffff::1", "2001:db9::", "2003::", "2600:1f18::1",
            "2620:4f:8000::1", "2a00:1450::1", "3ffe:ffff::1", "3fff:1000::",
        ),
    ),
    Range(
        "the rest of IPv6",
        "not given out",
        NO,
        (),
        (
            "::1:0:0", "::fffe:8.8.8.8", "64:ff9a::8.8.8.8", "64:ff9b:0:1::", "100:0:0:2::",
            "200::1", "1fff::1", "4000::", "5eff::1", "fbff::1",
        ),
    ),
)  # fmt: skip


def addresses() -> list[list[str]]:
    """Return the table of ranges."""
    return [
        ["range", "what it is", "public"],
        *([_range_text(one), one.is_what, one.verdict] for one in RANGES),
    ]


def _range_text(row: Range) -> str:
    return f"`{row.network}`" if "/" in row.network and " " not in row.network else row.network
