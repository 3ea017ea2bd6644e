"""TLS with hosts that we connect to: the store, and whoever has a document that a client names.

Service identity as RFC 9525 has it: the alternative names of a certificate count, and nothing else. Twisted's own check
(`optionsForClientTLS`) takes a certificate in which no name can be read, because it has none or a malformed one, for a
good one: its error is logged inside OpenSSL's callback, and the answer of the chain check stands. Here whatever is
wrong refuses the certificate.
"""

# mypy: allow-untyped-calls

from __future__ import annotations

from ipaddress import ip_address
from pathlib import Path
from typing import Any

from attrs import define
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from OpenSSL.SSL import VERIFY_FAIL_IF_NO_PEER_CERT, VERIFY_PEER, Connection
from service_identity.cryptography import verify_certificate_hostname, verify_certificate_ip_address
from twisted.internet.interfaces import IOpenSSLClientConnectionCreator
from twisted.internet.ssl import Certificate, CertificateOptions, platformTrust, trustRootFromCertificates
from zope.interface import implementer


def options(ca_file: str | None = None) -> CertificateOptions:
    """What certificates are checked with; to be made once, for reading the system's authorities takes milliseconds.

    :param ca_file: path of the authorities (PEM) to check against; None: the system's.
    :raises ValueError: when it holds no certificates, or something else.
    :raises OSError: when it cannot be read.
    """
    if ca_file is None:
        return CertificateOptions(trustRoot=platformTrust())
    found = x509.load_pem_x509_certificates(Path(ca_file).read_bytes())
    authorities = [Certificate.loadPEM(one.public_bytes(Encoding.PEM)) for one in found]
    return CertificateOptions(trustRoot=trustRootFromCertificates(authorities))


@implementer(IOpenSSLClientConnectionCreator)
@define(eq=False)
class Named:
    """TLS with a host of this name, in SNI and in its certificate.

    :ivar host: a name in ASCII, or an IP address without brackets.
    """

    options: CertificateOptions
    host: str

    def clientConnectionForTLS(self, tlsProtocol: Any) -> Connection:  # noqa: N802, N803
        """A connection before its handshake."""
        connection = Connection(self.options.getContext(), None)
        connection.set_verify(VERIFY_PEER | VERIFY_FAIL_IF_NO_PEER_CERT, self._judge)
        if not self._is_address():
            connection.set_tlsext_host_name(self.host.encode("ascii"))  # RFC 6066 section 3: names alone
        return connection

    def _is_address(self) -> bool:
        try:
            ip_address(self.host)
        except ValueError:
            return False
        return True

    def _judge(self, connection: Connection, certificate: Any, error: int, depth: int, good: int) -> bool:
        """Called by OpenSSL for each certificate of the chain, the host's own last."""
        if not good or depth:
            return bool(good)
        try:
            verify = verify_certificate_ip_address if self._is_address() else verify_certificate_hostname
            verify(certificate.to_cryptography(), self.host)
        except Exception:  # a doubt is a refusal
            return False
        return True
