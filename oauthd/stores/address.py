"""How the server is reached: a unix socket, TCP, or TLS that checks whom it talks to.

Refuses an address that is neither. What is said over the connection is left to `oauthd.stores.pool`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.endpoints import HostnameEndpoint, UNIXClientEndpoint, wrapClientTLS
from twisted.internet.interfaces import IProtocolFactory, IReactorTCP, IReactorUNIX, IStreamClientEndpoint
from twisted.internet.ssl import Certificate, optionsForClientTLS, trustRootFromCertificates
from twisted.python.failure import Failure
from zope.interface import implementer


@implementer(IStreamClientEndpoint)
class Noting:
    """An endpoint that tells why connecting failed; txredisapi keeps that to itself."""

    def __init__(self, endpoint: IStreamClientEndpoint, note: Callable[[str], None]) -> None:
        self._endpoint = endpoint
        self._note = note

    def __repr__(self) -> str:
        return "the store"  # Twisted logs it at every try

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[Any]:  # noqa: N803 - Twisted's name
        """Connect; see the interface."""
        return self._endpoint.connect(protocolFactory).addErrback(self._failed)

    def _failed(self, failure: Failure) -> Failure:
        if not isinstance(failure.value, CancelledError):
            self._note(f"connecting failed: {type(failure.value).__name__}")
        return failure


def endpoint(
    reactor: Any, host: str | None, port: int | None, path: str | None, tls: bool, ca_file: str | None, timeout: float
) -> IStreamClientEndpoint:
    """The server as an endpoint; `timeout` in seconds is for connecting.

    :raises ValueError: without a path and without host and port; for a `ca_file` that holds no certificates.
    :raises OSError: when `ca_file` cannot be read.
    """
    if path is not None:
        unix: IReactorUNIX = reactor
        return UNIXClientEndpoint(unix, path, timeout=timeout)  # type: ignore[no-untyped-call]
    if host is None or port is None:
        raise ValueError("a store has a host and a port, or a path")
    tcp: IReactorTCP = reactor
    plain = HostnameEndpoint(tcp, host, port, timeout=timeout)
    if not tls:
        return plain
    # txredisapi's own TLS would take any certificate.
    trusted = None if ca_file is None else _trusted(ca_file)
    return wrapClientTLS(optionsForClientTLS(host, trustRoot=trusted), plain)


def _trusted(ca_file: str) -> Any:
    """The authorities in a PEM file, as Twisted takes them."""
    with open(ca_file, "rb") as file:
        found = x509.load_pem_x509_certificates(file.read())
    authorities = [Certificate.loadPEM(one.public_bytes(Encoding.PEM)) for one in found]
    return trustRootFromCertificates(authorities)  # type: ignore[no-untyped-call]
