"""Hosts of documents: one in memory, and real ones with TLS, certificates of a throw-away authority and bad manners."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from functools import cache
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from attrs import define, field, frozen
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from twisted.internet import reactor as real_reactor
from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IHostnameResolver
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.ssl import CertificateOptions, PrivateCertificate
from twisted.internet.task import Clock
from twisted.web.http_headers import Headers
from twisted.web.iweb import IAgent, IResponse
from zope.interface import implementer

from tests.certificates import builder, common, pem

reactor: Any = real_reactor
PUBLIC = "93.184.216.34"
PATIENT = 20.0
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"


@implementer(IAgent)
@define(eq=False, slots=False)
class Recording:
    """An agent that sends nothing, and the requests that it was given; the test answers them."""

    uris: list[bytes] = field(factory=list)
    headers: list[Headers] = field(factory=list)
    answers: list[Deferred[IResponse]] = field(factory=list)

    def request(self, method: bytes, uri: bytes, headers: Any = None, bodyProducer: Any = None) -> Deferred[IResponse]:  # noqa: N803
        """Remember it."""
        self.uris.append(uri)
        self.headers.append(headers)
        self.answers.append(Deferred())
        return self.answers[-1]


@frozen
class Authority:
    """Somebody who vouches for certificates."""

    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate

    @classmethod
    @cache
    def made(cls, name: str = "Throw-away") -> Authority:
        """A new one; the same for the same name."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = common(name)
        own = builder(subject, subject, key)
        own = own.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        return cls(key, own.sign(key, hashes.SHA256()))

    def file(self) -> str:
        """A file with its certificate."""
        with tempfile.NamedTemporaryFile(suffix=".pem", delete=False) as made:
            made.write(self.certificate.public_bytes(Encoding.PEM))
        return made.name

    def vouches(self, *names: str, days: tuple[int, int] = (1, 1), called: str = "host") -> CertificateOptions:
        """What a server needs whose certificate has these alternative names.

        :param days: how long ago its time began, and how long it will last.
        """
        file = self.vouches_as_text(*names, days=days, called=called)
        options: CertificateOptions = PrivateCertificate.loadPEM(file).options()
        return options

    def vouches_as_text(self, *names: str, days: tuple[int, int] = (1, 1), called: str = "host") -> bytes:
        """The same, key and certificate, as PEM."""
        key = ec.generate_private_key(ec.SECP256R1())
        made = builder(common(called), self.certificate.subject, key, *days)
        if names:
            made = made.add_extension(x509.SubjectAlternativeName([_general(name) for name in names]), False)
        return pem(key, made.sign(self.key, hashes.SHA256()))


def _general(name: str) -> x509.GeneralName:
    if name.startswith("dns:"):
        return x509.DNSName(name.removeprefix("dns:"))
    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        return x509.DNSName(name)


class Host(Protocol):
    """Sends what the test says when a request has come, or when the connection is made."""

    factory: Hosts
    waiting: Any = None

    def connectionMade(self) -> None:
        """Count."""
        self.factory.open.append(self)
        self.said = b""

    def dataReceived(self, data: bytes) -> None:
        """Answer when the request is complete."""
        self.said += data
        if b"\r\n\r\n" in self.said:
            self.factory.requests.append(self.said)
            self.said = b""
            self.factory.answer(self)

    def connectionLost(self, reason: Any = None) -> None:
        """It is over."""
        self.factory.open.remove(self)
        if self.waiting is not None and self.waiting.active():
            self.waiting.cancel()

    def send(self, data: bytes) -> None:
        """Send."""
        assert self.transport is not None
        self.transport.write(data)

    def goes_on(self, data: bytes, seconds: float = 0.0) -> None:
        """Send it again and again, as long as somebody is there."""
        self.send(data)
        self.waiting = reactor.callLater(seconds, self.goes_on, data, seconds)


class Hosts(Factory):
    """A host: how it answers, and what it was asked."""

    protocol: Any = Host
    noisy = False

    def __init__(self, answer: Callable[[Host], object]) -> None:
        self.answer = answer
        self.requests: list[bytes] = []
        self.open: list[Host] = []
        self.names: list[bytes | None] = []


def document(body: bytes = b"{}", head: bytes = HEAD) -> Callable[[Host], object]:
    """An answer with a body."""
    return lambda host: host.send(head + b"Content-Length: %d\r\n\r\n" % len(body) + body)


@implementer(IHostnameResolver)
@define(eq=False)
class Names:
    """Looks names up as the test says.

    :ivar answers: for each look-up of a name in turn its addresses; the last ones go on; None: never an answer.
    """

    answers: dict[str, list[Sequence[str] | None]]
    asked: list[str] = field(factory=list)
    waiting: list[Any] = field(factory=list)

    def resolveHostName(  # type: ignore[override]  # mypy_zope counts one argument twice
        self, receiver: Any, hostName: str, portNumber: int = 0, *_: Any, **__: Any  # noqa: N803
    ) -> Any:
        """Look one up."""
        self.asked.append(hostName)
        turns = self.answers.get(hostName, [()])
        addresses = turns.pop(0) if len(turns) > 1 else turns[0]
        receiver.resolutionBegan(receiver)
        if addresses is None:
            self.waiting.append(receiver)
            return receiver
        for address in addresses:
            kind = IPv6Address if ":" in address else IPv4Address
            receiver.addressResolved(kind("TCP", address, portNumber))
        receiver.resolutionComplete()
        return receiver


@define(eq=False, slots=False)
class Network:
    """The reactor with a world of its own: its names, and every address leads to the ports that the test opened.

    :ivar called: address and port of each connection that was asked for.
    :ivar ports: of ours, in the place of theirs.
    :ivar clock: of the test: on it ends what would take `PATIENT` seconds or longer.
    """

    nameResolver: Names  # noqa: N815
    ports: dict[int, int] = field(factory=dict)
    called: list[tuple[str, int]] = field(factory=list)
    clock: Clock | None = None

    def callLater(self, seconds: float, *rest: Any, **named: Any) -> Any:
        """Call at a time."""
        of: Any = reactor if self.clock is None or seconds < PATIENT else self.clock
        return of.callLater(seconds, *rest, **named)

    def __getattr__(self, name: str) -> Any:
        return getattr(reactor, name)

    def connectTCP(self, host: str, port: int, *rest: Any, **named: Any) -> Any:
        """Connect to ours."""
        self.called.append((host, port))
        return reactor.connectTCP("127.0.0.1", self.ports.get(port, port), *rest, **named)


def remove(path: str) -> None:
    """Remove a file."""
    Path(path).unlink()
