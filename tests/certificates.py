"""Certificates: self-made ones, and those of authorities that are made for one test."""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta
from urllib.parse import quote

from attrs import frozen
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from twisted.internet.ssl import PrivateCertificate

Key = ec.EllipticCurvePrivateKey


@frozen
class Pair:
    """A client's key and certificate, and what it sends along.

    :ivar field: the certificate as RFC 9440 writes it; `escaped`: as nginx does.
    """

    key: Key
    certificate: x509.Certificate
    chain: tuple[x509.Certificate, ...] = ()

    @classmethod
    def self_made(cls, name: str) -> Pair:
        """One that nobody vouches for."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name.from_rfc4514_string(name)
        return cls(key, builder(subject, subject, key).sign(key, hashes.SHA256()))

    @property
    def der(self) -> bytes:
        """The certificate."""
        return self.certificate.public_bytes(Encoding.DER)

    @property
    def field(self) -> str:
        """As RFC 9440 writes it."""
        return f":{base64.b64encode(self.der).decode()}:"

    @property
    def escaped(self) -> str:
        """As nginx writes it."""
        return quote(self.certificate.public_bytes(Encoding.PEM).decode(), safe="")


@frozen
class Issuer:
    """An authority.

    :ivar chain: what its clients send along: itself and those above, but for the root.
    """

    key: Key
    certificate: x509.Certificate
    chain: tuple[x509.Certificate, ...] = ()

    @classmethod
    def root(cls, name: str) -> Issuer:
        """One that vouches for itself."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = common(name)
        made = builder(subject, subject, key).add_extension(x509.BasicConstraints(True, None), critical=True)
        return cls(key, made.sign(key, hashes.SHA256()))

    @property
    def pem(self) -> bytes:
        """Its certificate."""
        return self.certificate.public_bytes(Encoding.PEM)

    def authority(self, name: str) -> Issuer:
        """An authority below it."""
        key = ec.generate_private_key(ec.SECP256R1())
        below = builder(common(name), self.certificate.subject, key)
        made = below.add_extension(x509.BasicConstraints(True, None), critical=True).sign(self.key, hashes.SHA256())
        return Issuer(key, made, (made, *self.chain))

    def issue(
        self, name: str, days: tuple[int, int] = (1, 1), server: bool = False, chain: bool = True
    ) -> Pair:
        """A client's certificate.

        :param days: how long ago its time began, and how long it will last.
        :param server: is it for servers alone?
        :param chain: does the client send along what stands between?
        """
        key = ec.generate_private_key(ec.SECP256R1())
        use = ExtendedKeyUsageOID.SERVER_AUTH if server else ExtendedKeyUsageOID.CLIENT_AUTH
        made = builder(common(name), self.certificate.subject, key, *days)
        made = made.add_extension(x509.ExtendedKeyUsage([use]), critical=False)
        made = made.add_extension(x509.BasicConstraints(False, None), critical=True)
        return Pair(key, made.sign(self.key, hashes.SHA256()), self.chain if chain else ())


def self_signed() -> PrivateCertificate:
    """A server's key and certificate, for localhost, which it has made itself."""
    key, subject = ec.generate_private_key(ec.SECP256R1()), common("localhost")
    certificate = (
        builder(subject, subject, key)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    loaded: PrivateCertificate = PrivateCertificate.loadPEM(pem(key, certificate))
    return loaded


def pem(key: Key, certificate: x509.Certificate) -> bytes:
    """A key and its certificate as one file has them."""
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return private + certificate.public_bytes(Encoding.PEM)


def common(name: str) -> x509.Name:
    """A name that has nothing but a common name."""
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def builder(
    subject: x509.Name, issuer: x509.Name, key: Key, ago: int = 1, lasts: int = 1
) -> x509.CertificateBuilder:
    """What every certificate has.

    :param ago: days since its time began.
    :param lasts: days to its end.
    """
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=ago))
        .not_valid_after(now + timedelta(days=lasts))
    )
