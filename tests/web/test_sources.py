"""Who called, with and without proxies between."""

from ipaddress import ip_network

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.internet.interfaces import IAddress
from twisted.trial.unittest import SynchronousTestCase

from oauthd.protocol.messages import Connection, Headers
from oauthd.web.client_certificates import Certificates, ProxyHeader
from oauthd.web.sources import Sources
from tests.certificates import Pair

TRUSTED = (ip_network("10.0.0.0/8"), ip_network("2001:db8::/32"), ip_network("127.0.0.1/32"))


def at(host: str) -> IAddress:
    """A TCP address."""
    return IPv6Address("TCP", host, 1) if ":" in host else IPv4Address("TCP", host, 1)


def seen(
    peer: IAddress | str,
    *pairs: tuple[str, str],
    listener: IAddress | str = "192.0.2.1",
    tls: bool = False,
    unix: bool = False,
) -> Connection:
    """What is made of a connection by a server behind `TRUSTED`."""
    ends = [at(end) if isinstance(end, str) else end for end in (peer, listener)]
    return Sources(TRUSTED, unix).connection(ends[0], ends[1], tls, Headers(pairs))


def forwarded(peer: str, *values: str) -> str:
    """The source of a request with those X-Forwarded-For fields."""
    return seen(peer, *(("x-forwarded-for", value) for value in values)).source


class Certificate(SynchronousTestCase):
    """What is told of the caller's certificate in a header; TLS has tests with handshakes elsewhere."""

    def told(self, peer: IAddress | str, unix: bool) -> bytes:
        """What is believed."""
        header = ProxyHeader("client-cert", vouches=True)
        sources = Sources(TRUSTED, unix, Certificates(None, header))
        end = at(peer) if isinstance(peer, str) else peer
        found = sources.connection(end, at("192.0.2.1"), False, Headers((("client-cert", self.pair.field),)))
        self.assertEqual(found.vouched, bool(found.certificate))
        return found.certificate

    def test_who_is_believed(self) -> None:
        """A trusted proxy is, and one on a unix socket where that is set; nobody else."""
        self.pair = Pair.self_made("CN=app")
        self.assertEqual(self.told("10.0.0.1", False), self.pair.der)
        self.assertEqual(self.told(UNIXAddress(None), True), self.pair.der)
        self.assertEqual(self.told(UNIXAddress(None), False), b"")
        self.assertEqual(self.told("203.0.113.9", True), b"")


class ForwardedFor(SynchronousTestCase):
    """The source address."""

    def test_only_a_trusted_peer_is_believed(self) -> None:
        """What anybody else forwards is ignored."""
        self.assertEqual(forwarded("203.0.113.9", "198.51.100.1"), "203.0.113.9")
        self.assertEqual(forwarded("10.0.0.1", "198.51.100.1"), "198.51.100.1")
        self.assertEqual(forwarded("10.0.0.1"), "10.0.0.1")

    def test_the_rightmost_stranger_counts(self) -> None:
        """Trusted hops are passed from the right; what stands left of the first stranger is the caller's own text."""
        self.assertEqual(forwarded("10.0.0.1", "1.1.1.1, 198.51.100.1, 10.9.9.9"), "198.51.100.1")
        self.assertEqual(forwarded("10.0.0.1", "1.1.1.1", "198.51.100.1", "10.9.9.9,10.8.8.8"), "198.51.100.1")
        self.assertEqual(forwarded("10.0.0.1", "nonsense, 198.51.100.1"), "198.51.100.1")
        self.assertEqual(forwarded("10.0.0.1", "10.0.0.2, 10.0.0.3"), "10.0.0.2")

    def test_what_is_malformed_counts_as_not_sent(self) -> None:
        """Where the hop that counts is no address, the peer is the source."""
        for value in (
            "unknown",
            "",
            "198.51.100.1, nonsense",
            "198.51.100.1,",
            "1.2.3",
            "[::1",
            "1.2.3.4:5:6",
            "_hidden",
        ):
            self.assertEqual(forwarded("10.0.0.1", value), "10.0.0.1", value)

    def test_spellings_of_one_address_are_one_source(self) -> None:
        """Ports, brackets, zones, letter case and IPv4 within IPv6 do not make another caller."""
        self.assertEqual(forwarded("10.0.0.1", "198.51.100.1:4711"), "198.51.100.1")
        self.assertEqual(forwarded("10.0.0.1", "[2001:DB9::0:1]:4711"), "2001:db9::1")
        self.assertEqual(forwarded("10.0.0.1", "::ffff:198.51.100.1"), "198.51.100.1")
        self.assertEqual(forwarded("::ffff:10.0.0.1", "198.51.100.1"), "198.51.100.1")
        self.assertEqual(forwarded("2001:db8::9", "fe80::1%eth0"), "fe80::1")
        self.assertEqual(forwarded("::ffff:203.0.113.9"), "203.0.113.9")

    def test_the_way_back_is_bounded(self) -> None:
        """At most 32 hops are looked at, so a list of thousands costs no more."""
        self.assertEqual(forwarded("10.0.0.1", ", ".join(["198.51.100.1", *["10.0.0.2"] * 32])), "10.0.0.2")

    def test_unix_sockets(self) -> None:
        """A peer on a unix socket has no address, and is believed only where a setting says so."""
        pair = ("x-forwarded-for", "198.51.100.1")
        peer = UNIXAddress(None)
        self.assertEqual(seen(peer, pair, listener=UNIXAddress("/run/a")), Connection())
        self.assertEqual(seen(peer, pair, listener=UNIXAddress("/run/a"), unix=True).source, "198.51.100.1")

    @given(st.lists(st.text()), st.lists(st.text()))
    def test_any_text_is_read(self, hops: list[str], protocols: list[str]) -> None:
        """Whatever is forwarded gives a source and never fails."""
        pairs = [("x-forwarded-for", hop) for hop in hops] + [("x-forwarded-proto", each) for each in protocols]
        self.assertNotEqual(seen("10.0.0.1", *pairs).source, "")


class ForwardedProto(SynchronousTestCase):
    """Whether TLS protected the way."""

    def test_a_trusted_proxy_says_so(self) -> None:
        """Only a trusted peer can say that TLS ended before us, or did not."""
        self.assertTrue(seen("10.0.0.1", ("x-forwarded-proto", "HTTPS")).secure)
        self.assertFalse(seen("10.0.0.1", ("x-forwarded-proto", "http"), tls=True).secure)
        self.assertFalse(seen("203.0.113.9", ("x-forwarded-proto", "https")).secure)
        self.assertTrue(seen("203.0.113.9", ("x-forwarded-proto", "http"), tls=True).secure)

    def test_proxies_that_agree(self) -> None:
        """Several values count when they are all the same."""
        self.assertTrue(seen("10.0.0.1", ("x-forwarded-proto", "https, https")).secure)
        for said in ("https, http", "http, https", "wss", "", "https,"):
            self.assertFalse(seen("10.0.0.1", ("x-forwarded-proto", said)).secure, said)
            self.assertTrue(seen("10.0.0.1", ("x-forwarded-proto", said), tls=True).secure, said)


class Local(SynchronousTestCase):
    """Whether a request comes from this machine and through nobody."""

    def test_both_ends_are_loopback(self) -> None:
        """Listener and peer must both be loopback addresses."""
        self.assertTrue(seen("127.0.0.5", listener="127.0.0.1").local)
        self.assertTrue(seen("::1", listener="::1").local)
        self.assertTrue(seen("::ffff:127.0.0.1", listener="::ffff:127.0.0.1").local)
        self.assertFalse(seen("127.0.0.1", listener="192.0.2.1").local)
        self.assertFalse(seen("192.0.2.1", listener="127.0.0.1").local)
        self.assertFalse(seen(UNIXAddress(None), listener=UNIXAddress("/run/a"), unix=True).local)

    def test_any_sign_of_a_proxy_ends_it(self) -> None:
        """A forwarding header, trusted or not and in either spelling, shows that somebody else may have called."""
        for name in (
            "forwarded",
            "via",
            "x-real-ip",
            "x-forwarded-for",
            "x-forwarded-host",
            "x_forwarded_for",
            "x-forwarded",
        ):
            for peer in ("127.0.0.1", "127.0.0.5"):
                self.assertFalse(seen(peer, (name, ""), listener="127.0.0.1").local, name)
        self.assertTrue(seen("127.0.0.1", ("x-request-id", "via"), listener="127.0.0.1").local)
