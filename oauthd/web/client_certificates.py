"""The certificate of a caller: shown in the TLS connection that ends here, or written into a header by a proxy.

RFC 8705 section 2: what counts is that the caller has proved to hold the key, which the handshake sees to. A peer that
is a trusted proxy is not the caller: of such a connection the certificate, if any, is the proxy's own and counts for
nothing, and only its header does. From everybody else the header is ignored (RFC 9440 section 4).

Whether a trusted authority has issued it is OpenSSL's to say (RFC 8705 section 7.5), against authorities that were set
for this alone. No revocation list is asked. It is judged of a header at each request, since a proxy sends those of many
callers through one connection; of a handshake once, and again while the connection lasts, for certificates end.
"""

# mypy: allow-untyped-calls

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from attrs import define, field, frozen
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from OpenSSL.crypto import X509, X509Store, X509StoreContext, X509StoreContextError, X509StoreFlags
from OpenSSL.SSL import VERIFY_PEER

from oauthd.protocol.certificates import Form, from_header, is_for_clients, read
from oauthd.protocol.messages import Headers

MOST_OF_A_CHAIN = 8  # intermediate certificates that are looked at
AGAIN = 60.0
"""Seconds after which the certificate of a connection that is still open is judged anew: it costs 0.2 ms."""


@define(eq=False)
class Shown:
    """What the peer of a connection has shown in TLS.

    :ivar der: its certificate; empty for none.
    :ivar chain: the intermediate ones that came along.
    :ivar vouched: has a trusted authority issued it? None: nobody has asked yet.
    :ivar judged: when that was found out.
    """

    der: bytes = b""
    chain: Sequence[X509] = field(default=(), repr=False)
    vouched: bool | None = None
    judged: float = 0.0


NOTHING = Shown(vouched=False)


def _no_time() -> float:
    return 0.0


class Authorities:
    """Those whose certificates show names.

    :param pem: their own certificates.
    :raises ValueError: it holds none, or something else.
    """

    def __init__(self, pem: bytes) -> None:
        found = x509.load_pem_x509_certificates(pem)
        self._store = X509Store()
        for one in found:
            self._store.add_cert(X509.from_cryptography(one))
        # Each of them counts by itself: who trusts an intermediate one need not trust all that its root has issued.
        self._store.set_flags(X509StoreFlags.PARTIAL_CHAIN)

    @classmethod
    def from_file(cls, path: str) -> Authorities:
        """From a file.

        :raises ValueError: it holds no certificates, or something else.
        :raises OSError: it cannot be read.
        """
        return cls(Path(path).read_bytes())

    def vouch(self, der: bytes, chain: Sequence[X509] = ()) -> bool:
        """Has one of them issued it, directly or not, is it valid now, and is it for clients?

        :param chain: certificates that may stand between.
        """
        certificate = read(der)
        if certificate is None or not is_for_clients(der):
            return False
        try:
            X509StoreContext(
                self._store, X509.from_cryptography(certificate), list(chain)[:MOST_OF_A_CHAIN]
            ).verify_certificate()
        except X509StoreContextError:
            return False
        return True


@frozen
class ProxyHeader:
    """How trusted proxies tell of a client's certificate.

    :ivar name: of the field, in lower case.
    :ivar vouches: do they pass on only certificates of authorities that are trusted?
    """

    name: str
    form: Form = "rfc9440"
    vouches: bool = False

    def certificate(self, headers: Headers) -> bytes:
        """The certificate that was told of; empty for none. RFC 9440 section 2.2: more than one are none."""
        values = [value for name, value in headers.pairs if name == self.name]
        return from_header(values[0], self.form) if len(values) == 1 else b""


@frozen
class Certificates:
    """What makes a caller's certificate of what came.

    :ivar authorities: those that clients of `tls_client_auth` have theirs from; None for none.
    :ivar header: None: proxies do not tell.
    :ivar clock: seconds, of any beginning; without it what was judged once holds as long as its connection.
    """

    authorities: Authorities | None = None
    header: ProxyHeader | None = None
    clock: Callable[[], float] = _no_time

    def of_peer(self, shown: Shown) -> tuple[bytes, bool]:
        """The certificate of a caller that connects itself, and whether somebody vouches for it."""
        now = self.clock()
        if shown.vouched is None or not 0 <= now - shown.judged < AGAIN:
            shown.vouched, shown.judged = self._vouch(shown.der, shown.chain), now
        return shown.der, shown.vouched

    def of_proxy(self, headers: Headers) -> tuple[bytes, bool]:
        """The certificate that a trusted proxy tells of, and whether somebody vouches for it."""
        der = self.header.certificate(headers) if self.header is not None else b""
        if not der or self.header is None:
            return b"", False
        return der, self.header.vouches or self._vouch(der, ())

    def _vouch(self, der: bytes, chain: Sequence[X509]) -> bool:
        return self.authorities is not None and bool(der) and self.authorities.vouch(der, chain)


def shown_by(transport: Any) -> Shown:
    """What the peer has shown; nothing where TLS does not end here, or nobody has asked."""
    if not asks(transport):
        return NOTHING
    connection = transport.getHandle()
    certificate = connection.get_peer_certificate()
    if certificate is None:
        return NOTHING
    der = certificate.to_cryptography().public_bytes(Encoding.DER)
    if read(der) is None:
        return NOTHING
    return Shown(der, tuple(connection.get_peer_cert_chain() or ()))


def asks(transport: Any) -> bool:
    """Is the peer asked for a certificate in the handshake?"""
    if not hasattr(transport, "getPeerCertificate"):
        return False
    return bool(transport.getHandle().get_verify_mode() & VERIFY_PEER)
