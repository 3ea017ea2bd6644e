"""Whom we may call: addresses that are reachable from everywhere, and nobody who answers only because it is we who ask.

The special-purpose registries of IANA (RFC 6890) as Python knows them, and in addition every form of IPv6 that carries
an IPv4 address in it, which a translator or a tunnel on the way would make of it: IPv4-mapped and -compatible (RFC 4291
section 2.5.5), NAT64 (RFC 6052, RFC 8215), 6to4 (RFC 3056), Teredo (RFC 4380) and ISATAP (RFC 5214).
"""

from __future__ import annotations

from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address

_OTHERS_4 = tuple(
    map(
        IPv4Network,
        (
            "0.0.0.0/8", "100.64.0.0/10", "169.254.0.0/16", "192.0.0.0/24", "192.88.99.0/24", "198.18.0.0/15",
            "224.0.0.0/4", "240.0.0.0/4",
            "168.63.129.16/32",  # the host of an Azure machine: a public address that only its guests reach
        ),
    )
)  # fmt: skip
_GLOBAL_6 = IPv6Network("2000::/3")  # all that IANA has given out for unicast so far
_OTHERS_6 = tuple(
    map(
        IPv6Network,
        (
            "2001::/23",  # protocol assignments, Teredo among them
            "2001:db8::/32", "2002::/16", "3fff::/20",
        ),
    )
)  # fmt: skip
_ISATAP = (0x00005EFE, 0x02005EFE)  # the upper half of the interface identifier


def is_public(text: str) -> bool:
    """Is it the address of somebody whom everybody may call?

    :param text: an IPv4 or IPv6 address, without brackets.
    """
    try:
        address = ip_address(text)
    except ValueError:
        return False  # also an address with a zone: that is a link's
    # Python's tables differ between its releases; those above hold in any case.
    if not address.is_global or address.is_multicast:
        return False
    if isinstance(address, IPv6Address):
        if address not in _GLOBAL_6 or any(address in network for network in _OTHERS_6):
            return False
        return (int(address) >> 32) & 0xFFFFFFFF not in _ISATAP
    return not any(address in network for network in _OTHERS_4)
