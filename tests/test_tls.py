"""Certificates of hosts that we connect to. How they fare in real handshakes stands in the tests of the fetcher."""

from __future__ import annotations

import tempfile
from ipaddress import ip_address
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from OpenSSL.crypto import X509
from twisted.internet.ssl import CertificateOptions
from twisted.trial.unittest import SynchronousTestCase

from oauthd.tls import Named, options
from tests.protocol.test_certificates import certificate


class NameTests(SynchronousTestCase):
    """RFC 9525 section 6."""

    def judged(self, host: str, *names: x509.GeneralName, good: int = 1, depth: int = 0, **more: Any) -> bool:
        """Is a certificate with these alternative names good for the host?"""
        shown = X509.from_cryptography(x509.load_der_x509_certificate(certificate(names=names, **more)))
        unused: Any = None
        return Named(CertificateOptions(), host)._judge(unused, shown, 0, depth, good)

    def test_names(self) -> None:
        """A name is good for itself, a wildcard for one label, an address for itself."""
        self.assertTrue(self.judged("app.example", x509.DNSName("other.example"), x509.DNSName("app.example")))
        self.assertTrue(self.judged("a.app.example", x509.DNSName("*.app.example")))
        self.assertTrue(self.judged("192.0.2.1", x509.IPAddress(ip_address("192.0.2.1"))))
        self.assertFalse(self.judged("a.b.app.example", x509.DNSName("*.app.example")))
        self.assertFalse(self.judged("app.example", x509.IPAddress(ip_address("192.0.2.1"))))
        self.assertFalse(self.judged("192.0.2.1", x509.DNSName("app.example")))

    def test_no_name(self) -> None:
        """A certificate without alternative names, or with some that cannot be read, is good for nobody."""
        self.assertFalse(self.judged("app.example"))
        self.assertFalse(self.judged("app.example", x509.DNSName("192.0.2.1"), x509.DNSName("app.example")))
        self.assertFalse(self.judged("app.example", extension=b"\x30\x03\x82\x05a"))

    def test_the_chain_comes_first(self) -> None:
        """A name helps nobody whose chain is not good, and those above the host's own have none to show."""
        self.assertFalse(self.judged("app.example", x509.DNSName("app.example"), good=0))
        self.assertTrue(self.judged("app.example", depth=1))
        self.assertFalse(self.judged("app.example", depth=1, good=0))


class AuthoritiesTests(SynchronousTestCase):
    """Files of authorities."""

    def test_what_is_none(self) -> None:
        """A file that cannot be read or holds no certificate is told at once."""
        self.assertRaises(OSError, options, "/nonexistent/ca.pem")
        for content in (b"", b"nothing\n", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"):
            with tempfile.NamedTemporaryFile() as file:
                file.write(content)
                file.flush()
                self.assertRaises(ValueError, options, file.name)

    def test_several(self) -> None:
        """All certificates of a file count."""
        with tempfile.NamedTemporaryFile() as file:
            for name in ("a", "b"):
                der = certificate((x509.NameOID.COMMON_NAME, name))
                file.write(x509.load_der_x509_certificate(der).public_bytes(Encoding.PEM))
            file.flush()
            self.assertIsNotNone(options(file.name).getContext())
