"""Client certificates in real handshakes: at a listener of one process, at one that a worker adopts, behind a proxy."""

from __future__ import annotations

import tempfile
from datetime import datetime, timedelta
from ipaddress import ip_network
from pathlib import Path
from typing import Any

from OpenSSL.crypto import X509, PKey
from twisted.internet import reactor as real_reactor
from twisted.internet.endpoints import TCP4ClientEndpoint, connectProtocol, wrapClientTLS
from twisted.internet.ssl import Certificate, CertificateOptions, TLSVersion
from twisted.internet.task import Clock, deferLater
from twisted.trial.unittest import SynchronousTestCase, TestCase

from oauthd.protocol.messages import Connection
from oauthd.runtime.listening import Door, adopt, bind
from oauthd.web.client_certificates import AGAIN, Authorities, Certificates, ProxyHeader, Shown
from oauthd.web.sources import Sources
from tests.certificates import Issuer, Pair, self_signed
from tests.web.edge import Wire, edge

reactor: Any = real_reactor
GET = b"GET /things/1 HTTP/1.1\r\nHost: a\r\n%b\r\n"
HERE = (ip_network("127.0.0.1/32"),)


class ListenerCase(TestCase):
    """A case with a TLS listener that asks for certificates."""

    workers = 1

    def setUp(self) -> None:
        """Write the listener's own certificate into files."""
        own = self_signed()
        folder = Path(tempfile.mkdtemp())
        self.own = folder / "own.pem"
        self.own.write_bytes(own.dumpPEM() + b"\n" + own.privateKey.dump(1))
        self.root = Certificate.loadPEM(own.dumpPEM())
        self.authority = Issuer.root("Corporation")
        self.wires: list[Wire] = []

    def listen(self, certificates: Certificates, trusted: Any = (), asks: bool = True) -> None:
        """Open the listener before a site that believes these."""
        self.built = edge(reactor, sources=Sources(trusted, False, certificates))
        door = Door()
        text = f"ssl:0:interface=127.0.0.1:privateKey={self.own}:certKey={self.own}"
        bound = bind(reactor, text, door, self.workers, asks)
        self.listening = [bound]
        if self.workers > 1:
            number = bound.ports[0].fileno()
            self.listening.append(adopt(reactor, text, number, bound.files, door, bound.asks))
        door.site = self.built.site
        self.port = bound.ports[0].getHost().port
        self.listening[-1].open()
        for other in bound.ports[1:]:
            other.socket.close()  # the other worker's, which nobody serves
        self.addCleanup(self._close)

    async def shown(self, pair: Pair | None = None, *headers: tuple[str, str]) -> Connection:
        """What the endpoint is told of a caller with this certificate."""
        more: dict[str, Any] = {}
        if pair is not None:
            more = {
                "privateKey": PKey.from_cryptography_key(pair.key),
                "certificate": X509.from_cryptography(pair.certificate),
                "extraCertChain": [X509.from_cryptography(one) for one in pair.chain],
            }
        options: Any = CertificateOptions(trustRoot=self.root, **more)
        wire: Wire = await connectProtocol(
            wrapClientTLS(options, TCP4ClientEndpoint(reactor, "127.0.0.1", self.port)), Wire()
        )
        self.wires.append(wire)
        wire.send(GET % b"".join(f"{name}: {value}\r\n".encode() for name, value in headers))
        [answer] = await wire.take(1)
        self.assertEqual(answer.status, 200)
        return self.built.recorded.requests[-1].connection

    async def _close(self) -> None:
        for one in self.listening:
            await one.close()
        for wire in self.wires:
            if not wire.closed:
                wire.hang_up()
        while self.built.site.channels or not all(wire.closed for wire in self.wires):
            await deferLater(reactor, 0.002)

    def corporate(self) -> Certificates:
        """What believes the corporation's authority."""
        return Certificates(Authorities(self.authority.pem))


class SuiteTests(ListenerCase):
    """FAPI 2.0 Security Profile section 5.2.2: TLS 1.2 with suites that BCP 195 recommends (RFC 9325 section 4.2)."""

    async def handshake(self, suite: str) -> str:
        """The suite that a client of TLS 1.2 is served with that can do this one; "" where it is not served."""
        options: Any = CertificateOptions(trustRoot=self.root, lowerMaximumSecurityTo=TLSVersion.TLSv1_2)
        options.getContext().set_cipher_list(suite.encode())
        target = wrapClientTLS(options, TCP4ClientEndpoint(reactor, "127.0.0.1", self.port))
        wire: Wire = await connectProtocol(target, Wire())
        self.wires.append(wire)
        transport: Any = wire.transport
        wire.send(GET % b"")
        await wire.until(lambda: wire.closed or bool(wire.received))
        return str(transport.getHandle().get_cipher_name()) if wire.received else ""

    async def test_good(self) -> None:
        """With one of those a client is served, and each of them is one."""
        self.listen(self.corporate(), asks=False)
        for suite in ("ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-ECDSA-AES256-GCM-SHA384"):
            self.assertEqual(await self.handshake(suite), suite)

    async def test_weak(self) -> None:
        """With CBC, or half an authentication tag, there is no connection."""
        self.listen(self.corporate(), asks=False)
        for suite in ("ECDHE-ECDSA-AES128-SHA", "ECDHE-ECDSA-AES256-SHA384", "ECDHE-ECDSA-AES256-CCM8"):
            self.assertEqual(await self.handshake(suite), "", suite)


class AdoptedSuiteTests(SuiteTests):
    """The same at a listener that a worker adopts."""

    workers = 2


class HandshakeTests(ListenerCase):
    """RFC 8705 section 2: the handshake proves the key; section 2.1: a chain proves names."""

    async def test_none_is_needed(self) -> None:
        """Who shows no certificate is served all the same."""
        self.listen(self.corporate())
        found = await self.shown()
        self.assertEqual((found.certificate, found.vouched, found.secure), (b"", False, True))

    async def test_self_made(self) -> None:
        """A certificate that its holder has made is taken, and nobody vouches for it (sections 2.2 and 4)."""
        self.listen(self.corporate())
        pair = Pair.self_made("CN=app")
        found = await self.shown(pair)
        self.assertEqual((found.certificate, found.vouched), (pair.der, False))

    async def test_an_authority(self) -> None:
        """For one of an authority that was set it vouches, with an intermediate authority between, too."""
        self.listen(self.corporate())
        pair = self.authority.issue("app")
        found = await self.shown(pair)
        self.assertEqual((found.certificate, found.vouched), (pair.der, True))
        between = self.authority.authority("Department")
        self.assertTrue((await self.shown(between.issue("app"))).vouched)
        self.assertFalse((await self.shown(between.issue("app", chain=False))).vouched)

    async def test_an_intermediate_authority_alone(self) -> None:
        """Where only an intermediate authority was set, it vouches and its root does not."""
        between = self.authority.authority("Department")
        self.listen(Certificates(Authorities(between.pem)))
        self.assertTrue((await self.shown(between.issue("app"))).vouched)
        self.assertFalse((await self.shown(self.authority.issue("app"))).vouched)

    async def test_nobody_vouches(self) -> None:
        """Not for one of another authority of that name, one out of its time, for servers, or issued by a client."""
        self.listen(self.corporate())
        other = Issuer.root("Corporation")
        app = self.authority.issue("app")
        wrong = {
            "another authority of that name": other.issue("app"),
            "expired": self.authority.issue("app", days=(10, -1)),
            "not yet valid": self.authority.issue("app", days=(-1, 10)),
            "for servers": self.authority.issue("app", server=True),
            "of one that is no authority": Issuer(app.key, app.certificate, (app.certificate,)).issue("other"),
        }
        for why, pair in wrong.items():
            found = await self.shown(pair)
            self.assertEqual((found.certificate, found.vouched), (pair.der, False), why)

    async def test_no_authority(self) -> None:
        """Without authorities nobody vouches for anybody."""
        self.listen(Certificates())
        self.assertFalse((await self.shown(self.authority.issue("app"))).vouched)

    async def test_not_asked(self) -> None:
        """A listener that does not ask is shown nothing."""
        self.listen(self.corporate(), asks=False)
        found = await self.shown(self.authority.issue("app"))
        self.assertEqual((found.certificate, found.vouched), (b"", False))

    async def test_headers_of_strangers(self) -> None:
        """A header from anybody but a trusted proxy is ignored, with a certificate in TLS and without (RFC 9440)."""
        self.listen(Certificates(Authorities(self.authority.pem), ProxyHeader("client-cert", vouches=True)))
        victim, own = self.authority.issue("victim"), Pair.self_made("CN=app")
        found = await self.shown(None, ("Client-Cert", victim.field))
        self.assertEqual((found.certificate, found.vouched), (b"", False))
        found = await self.shown(own, ("Client-Cert", victim.field))
        self.assertEqual((found.certificate, found.vouched), (own.der, False))


class AdoptedTests(HandshakeTests):
    """The same at a listener that a worker adopts."""

    workers = 2


class ProxyTests(ListenerCase):
    """A trusted proxy between, which speaks TLS with us and may have a certificate of its own."""

    def setUp(self) -> None:
        """Certificates of clients."""
        super().setUp()
        self.client = self.authority.issue("app")

    async def test_told(self) -> None:
        """The proxy's header is the caller's certificate; the proxy's own counts for nothing."""
        self.listen(Certificates(None, ProxyHeader("client-cert", vouches=True)), HERE)
        proxy = self.authority.issue("proxy")
        found = await self.shown(proxy, ("Client-Cert", self.client.field))
        self.assertEqual((found.certificate, found.vouched), (self.client.der, True))
        found = await self.shown(proxy)
        self.assertEqual((found.certificate, found.vouched), (b"", False))

    async def test_checked_here(self) -> None:
        """Where the proxy does not vouch, authorities that were set do."""
        self.listen(Certificates(Authorities(self.authority.pem), ProxyHeader("client-cert")), HERE)
        self.assertTrue((await self.shown(None, ("Client-Cert", self.client.field))).vouched)
        self.assertFalse((await self.shown(None, ("Client-Cert", Pair.self_made("CN=app").field))).vouched)

    async def test_other_forms(self) -> None:
        """A name and a form of one's own are read, and no others."""
        self.listen(Certificates(None, ProxyHeader("x-ssl-client-cert", "pem")), HERE)
        escaped = self.client.escaped
        self.assertEqual((await self.shown(None, ("X-SSL-Client-Cert", escaped))).certificate, self.client.der)
        for header in (("Client-Cert", self.client.field), ("X-Ssl-Client-Cert", self.client.field),
                       ("X_Ssl_Client_Cert", escaped), ("X-Client-Cert", escaped)):  # fmt: skip
            self.assertEqual((await self.shown(None, header)).certificate, b"", header[0])

    async def test_many_callers_through_one_connection(self) -> None:
        """A proxy's connection is no caller: each request has the certificate that its own header tells of, or none."""
        self.listen(Certificates(Authorities(self.authority.pem), ProxyHeader("client-cert")), HERE)
        stranger = Pair.self_made("CN=app")
        await self.shown(self.authority.issue("proxy"), ("Client-Cert", self.client.field))
        [wire] = self.wires
        for field, told in (
            (stranger.field, (stranger.der, False)),
            (self.client.field, (self.client.der, True)),
            ("", (b"", False)),
            (stranger.field, (stranger.der, False)),
        ):
            wire.send(GET % (f"Client-Cert: {field}\r\n".encode() if field else b""))
            await wire.take(1)
            found = self.built.recorded.requests[-1].connection
            self.assertEqual((found.certificate, found.vouched), told)

    async def test_twice(self) -> None:
        """Two fields are none (RFC 9440 section 2.2): one of them may be the client's own."""
        self.listen(Certificates(None, ProxyHeader("client-cert", vouches=True)), HERE)
        field = ("Client-Cert", self.client.field)
        self.assertEqual((await self.shown(None, field, field)).certificate, b"")

    async def test_malformed(self) -> None:
        """What is malformed is no certificate, and no error."""
        self.listen(Certificates(None, ProxyHeader("client-cert", vouches=True)), HERE)
        found = await self.shown(None, ("Client-Cert", ":AAAA:"))
        self.assertEqual((found.certificate, found.vouched), (b"", False))


class JudgedAgainTests(SynchronousTestCase):
    """Connections that stay open for longer than what they were opened with is good for."""

    def test_a_certificate_ends(self) -> None:
        """Nobody vouches any more for one whose time is over, a minute later at most; before it costs nothing."""
        issuer, clock = Issuer.root("Corporation"), Clock()
        authorities = Authorities(issuer.pem)
        certificates = Certificates(authorities, clock=clock.seconds)
        shown = Shown(issuer.issue("app").der)
        self.assertTrue(certificates.of_peer(shown)[1])
        authorities._store.set_time(datetime.now() + timedelta(days=2))
        clock.advance(AGAIN - 1)
        self.assertTrue(certificates.of_peer(shown)[1])
        clock.advance(1)
        self.assertFalse(certificates.of_peer(shown)[1])


class AuthoritiesTests(TestCase):
    """Files of authorities."""

    def test_what_is_none(self) -> None:
        """A file without certificates, or that cannot be read, is told of."""
        self.assertRaises(ValueError, Authorities, b"")
        self.assertRaises(ValueError, Authorities, b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
        self.assertRaises(OSError, Authorities.from_file, "/nonexistent/ca.pem")

    def test_what_is_no_certificate(self) -> None:
        """Nobody vouches for what is no certificate."""
        self.assertFalse(Authorities(Issuer.root("a").pem).vouch(b"nothing"))

    def test_several(self) -> None:
        """Each authority of a file vouches."""
        both = Issuer.root("a"), Issuer.root("b")
        authorities = Authorities(b"".join(one.pem for one in both))
        self.assertEqual([authorities.vouch(one.issue("app").der) for one in both], [True, True])
