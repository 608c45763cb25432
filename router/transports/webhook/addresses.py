"""Which addresses webhooks may be posted to: public ones, and the allowed networks."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

from router.conf import conf

Address = IPv4Address | IPv6Address

#: Beside what the standard library calls global: it passes addresses that carry an
#: IPv4 address inside (NAT64, 6to4, `::127.0.0.1`), and knows each list of IANA only
#: as of its release.
DENIED = tuple(
    ip_network(text)
    for text in (
        "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16",
        "172.16.0.0/12", "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24",
        "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24",
        "224.0.0.0/4", "240.0.0.0/4",
        "::/96", "::ffff:0:0/96", "::ffff:0:0:0/96", "64:ff9b::/96",
        "64:ff9b:1::/48", "100::/64", "2001::/23", "2001:db8::/32", "2002::/16",
        "3fff::/20", "5f00::/16", "fc00::/7", "fe80::/10", "fec0::/10", "ff00::/8",
    )
)  # fmt: skip


class AddressRefused(OSError):
    """Webhooks are not posted to this address."""


def parse(text: str) -> Address | None:
    """The address that this text is, an IPv4 address in IPv6's clothes unwrapped; None
    when it is none."""
    try:
        address = ip_address(text)
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address


def is_allowed(address: Address) -> bool:
    """Whether it is in one of `ROUTER["WEBHOOK_ALLOWED_NETWORKS"]`."""
    return any(address in network for network in conf().webhook_allowed_networks)


def is_public(address: Address) -> bool:
    """Whether it is on the internet, and nothing but that."""
    return (
        address.is_global
        and not address.is_multicast
        and not any(address in network for network in DENIED)
    )


def address_problem(text: str, *, is_plain: bool) -> str | None:
    """Why nothing is posted to this address; None when it may be.

    Without TLS (`is_plain`) only the allowed networks are reached. The address itself
    is not named: where a name leads must not be learned from the refusal.
    """
    address = parse(text)
    if address is None:
        return "The address cannot be read."
    if is_allowed(address) or (is_public(address) and not is_plain):
        return None
    if is_plain:
        return (
            "The address is reached with https only: it is in none of the networks "
            "that WEBHOOK_ALLOWED_NETWORKS lists."
        )
    return (
        "The address is not a public one, and in none of the networks that "
        "WEBHOOK_ALLOWED_NETWORKS lists."
    )
