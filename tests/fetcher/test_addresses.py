"""Whom a server may call that calls whatever it is told to."""

from twisted.trial.unittest import SynchronousTestCase

from oauthd.fetcher.addresses import is_public

PUBLIC = (
    "1.1.1.1", "8.8.8.8", "93.184.216.34", "172.15.255.255", "172.32.0.1", "192.167.255.255", "223.255.255.255",
    "100.63.255.255", "100.128.0.1", "2606:4700:4700::1111", "2001:4860:4860::8888", "2a00:1450:4001:800::200e",
)  # fmt: skip
OTHERS = {
    "this network": ("0.0.0.0", "0.1.2.3"),
    "private": ("10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1", "fc00::1", "fd12:3456:789a::1"),
    "shared by a carrier": ("100.64.0.1", "100.127.255.255"),
    "loopback": ("127.0.0.1", "127.255.255.254", "::1"),
    "link-local": ("169.254.169.254", "169.254.0.1", "fe80::1", "fe80::1%eth0", "febf::1"),
    "site-local": ("fec0::1",),
    "protocol assignments": ("192.0.0.1", "192.0.0.170", "2001::1", "2001:2::1", "2001:10::1"),
    "documentation": ("192.0.2.1", "198.51.100.1", "203.0.113.1", "2001:db8::1", "3fff::1"),
    "benchmarks": ("198.18.0.1", "198.19.255.255"),
    "relays of 6to4": ("192.88.99.1",),
    "multicast": ("224.0.0.1", "239.255.255.250", "ff02::1", "ff0e::1"),
    "reserved": ("240.0.0.1", "255.255.255.255", "4000::1", "::2", "100::1"),
    "unspecified": ("0.0.0.0", "::"),
    "IPv4-mapped": ("::ffff:127.0.0.1", "::ffff:8.8.8.8", "::ffff:0:8.8.8.8"),
    "IPv4-compatible": ("::127.0.0.1", "::8.8.8.8"),
    "NAT64": ("64:ff9b::7f00:1", "64:ff9b::808:808", "64:ff9b:1::a00:1"),
    "6to4": ("2002:7f00:1::1", "2002:808:808::1"),
    "Teredo": ("2001:0:4136:e378:8000:63bf:3fff:fdd2",),
    "ISATAP": ("2606:4700::5efe:a00:1", "2606:4700::200:5efe:a00:1"),
    "hosts of clouds": ("168.63.129.16",),
    "no address": ("", "example", "1.2.3", "127.1", "0x7f000001", "010.0.0.1"),
}


class AddressTests(SynchronousTestCase):
    """`is_public` by the registries."""

    def test_public(self) -> None:
        """Addresses that everybody can reach are public, those beside the borders of others too."""
        self.assertEqual([one for one in PUBLIC if not is_public(one)], [])

    def test_others(self) -> None:
        """No address of any special purpose is public, whatever form it has."""
        self.assertEqual([(kind, one) for kind, all_ in OTHERS.items() for one in all_ if is_public(one)], [])
