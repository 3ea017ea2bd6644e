"""The connection to whoever has a document: to exactly the address that was looked at, and only where that is public.

A name is resolved once. If one of its addresses is not public none is called, and those that were looked at are the
ones that the connection is made to; TLS (name in SNI and certificate) and the Host field keep the name. So a name that
answers differently the second time has nobody to answer. No proxy of the environment is used: Twisted's agent knows
none.

What a host sends is counted below TLS, headers and handshake included, and every connection ends after a time, whatever
those above it do.
"""

# mypy: allow-untyped-calls

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from attrs import define, field
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import HostnameEndpoint, wrapClientTLS
from twisted.internet.interfaces import (
    IAddress,
    IHostnameResolver,
    IHostResolution,
    IProtocolFactory,
    IReactorPluggableNameResolver,
    IResolutionReceiver,
    IStreamClientEndpoint,
)
from twisted.internet.protocol import Protocol, connectionDone
from twisted.internet.ssl import CertificateOptions
from twisted.protocols.policies import ProtocolWrapper, WrappingFactory
from twisted.python.failure import Failure
from twisted.web.client import URI, Agent
from twisted.web.http_headers import Headers
from twisted.web.iweb import IAgent, IAgentEndpointFactory, IBodyProducer, IResponse
from zope.interface import implementer

from oauthd.config import FetchSettings
from oauthd.fetcher.addresses import is_public
from oauthd.fetcher.refusal import BUSY, FetchRefused
from oauthd.tls import Named, options

MOST_ADDRESSES = 4  # of a name; the first are tried
MOST_LOOKUPS = 5  # at once: half of the threads that look names up for everybody
LOOKUPS_OF_STRANGERS = 3  # of these; the others are for hosts that an administrator has let in
ROOM = 65536  # bytes that a host may send besides the document: handshake, certificates, headers
PATIENCE = 1.0  # seconds that a connection may last longer than a fetch


@implementer(IAgent)
class Outward:
    """The agent that calls public hosts, and those that the settings open.

    :ivar of_strangers: the same for hosts that strangers name, who must leave room for the names of others.
    :raises ValueError: for a file of authorities that holds none.
    :raises OSError: for one that cannot be read.
    """

    def __init__(self, reactor: Any, settings: FetchSettings) -> None:
        self._opened = settings.open_hosts
        public = options()
        inner = public if settings.ca_file is None else options(settings.ca_file)
        lookups = _Lookups()

        def agent(most: int) -> IAgent:
            doors = _Doors(
                reactor, reactor.nameResolver, settings.open_hosts, public, inner,
                settings.limit + ROOM, settings.timeout + PATIENCE, lookups, most,
            )  # fmt: skip
            made: IAgent = Agent.usingEndpointFactory(reactor, doors)
            return made

        self._agent = agent(MOST_LOOKUPS)
        self.of_strangers = agent(LOOKUPS_OF_STRANGERS)

    def request(
        self, method: bytes, uri: bytes, headers: Headers | None = None, bodyProducer: IBodyProducer | None = None  # noqa: N803
    ) -> Deferred[IResponse]:
        """Send a request."""
        sent: Deferred[IResponse] = self._agent.request(method, uri, headers, bodyProducer)
        return sent


@define(eq=False)
class _Lookups:
    """How many names are being looked up, for whomever."""

    number: int = 0


@implementer(IAgentEndpointFactory)
@define(eq=False)
class _Doors:
    """Makes the way to each host.

    :ivar public: what certificates of public hosts are checked with.
    :ivar inner: the same for hosts that were opened.
    :ivar most: bytes that a connection may bring.
    :ivar longest: seconds that it may last.
    :ivar lookups: those of all ways.
    :ivar most_lookups: how many there may be before this way must wait.
    """

    reactor: Any
    resolver: IHostnameResolver
    opened: Collection[str]
    public: CertificateOptions
    inner: CertificateOptions
    most: int
    longest: float
    lookups: _Lookups
    most_lookups: int

    def endpointForURI(self, uri: URI) -> IStreamClientEndpoint:  # noqa: N802
        """The way to one host."""
        if uri.scheme != b"https":
            raise FetchRefused("is not at an https URL")
        host = uri.host.decode("ascii").strip("[]")
        opened = host in self.opened
        plain = HostnameEndpoint(_Looking(self, opened), host, uri.port, self.longest)
        named = Named(self.inner if opened else self.public, host)
        return wrapClientTLS(named, _Measured(self.reactor, plain, self.most, self.longest))


@implementer(IReactorPluggableNameResolver, IHostnameResolver)
@define(eq=False)
class _Looking:
    """The reactor as the endpoint of one connection sees it: names are looked up as ever, and their addresses judged.

    :ivar opened: may the host be anywhere?
    """

    doors: _Doors
    opened: bool

    def __getattr__(self, name: str) -> Any:
        return getattr(self.doors.reactor, name)

    @property
    def nameResolver(self) -> IHostnameResolver:  # noqa: N802
        """Itself."""
        return self

    def installNameResolver(self, resolver: IHostnameResolver) -> IHostnameResolver:  # noqa: N802
        """Not to be had."""
        raise NotImplementedError

    def resolveHostName(  # noqa: N802
        self,
        resolutionReceiver: IResolutionReceiver,  # noqa: N803
        hostName: str,  # noqa: N803
        portNumber: int = 0,  # noqa: N803
        addressTypes: Sequence[type[IAddress]] | None = None,  # noqa: N803
        transportSemantics: str = "TCP",  # noqa: N803
    ) -> IHostResolution:
        """Look a name up; nobody is found where one of the addresses is not public.

        :raises FetchRefused: when too many are being looked up: a slow one keeps a thread long after we gave up.
        """
        if self.doors.lookups.number >= self.doors.most_lookups:
            raise FetchRefused(BUSY, "names are looked up slowly", passing=True)
        self.doors.lookups.number += 1
        judging = _Judging(resolutionReceiver, self.doors, self.opened)
        return self.doors.resolver.resolveHostName(judging, hostName, portNumber)


@implementer(IResolutionReceiver)
@define(eq=False)
class _Judging:
    """Hands the addresses of a name on if all of them may be called."""

    receiver: IResolutionReceiver
    doors: _Doors
    opened: bool
    found: list[IAddress] = field(factory=list, init=False)

    def resolutionBegan(self, resolutionInProgress: IHostResolution) -> None:  # noqa: N802, N803
        """It began."""
        self.receiver.resolutionBegan(resolutionInProgress)

    def addressResolved(self, address: IAddress) -> None:  # noqa: N802
        """One was found."""
        self.found.append(address)

    def resolutionComplete(self) -> None:  # noqa: N802
        """All were found."""
        self.doors.lookups.number -= 1
        # One that is not public among them is no mistake of a public host: it is an answer for others, or a trap.
        if self.opened or all(is_public(getattr(address, "host", "")) for address in self.found):
            for address in self.found[:MOST_ADDRESSES]:
                self.receiver.addressResolved(address)
        self.receiver.resolutionComplete()


@implementer(IStreamClientEndpoint)
@define(eq=False)
class _Measured:
    """A way on which so many bytes come back, and no more, and none after a time."""

    reactor: Any
    inner: HostnameEndpoint
    most: int
    longest: float

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[Any]:  # noqa: N803
        """Connect."""
        factory = _Meters(self.reactor, protocolFactory, self.most, self.longest)
        made: Deferred[Any] = self.inner.connect(factory)
        return made.addCallback(lambda meter: meter.wrappedProtocol)


class _Meter(ProtocolWrapper):
    """Counts the bytes of one connection."""

    transport: Any

    received = 0
    ending: Any = None

    def connectionMade(self) -> None:  # noqa: N802
        self.ending = self.factory.reactor.callLater(self.factory.longest, self.transport.abortConnection)
        super().connectionMade()

    def dataReceived(self, data: bytes) -> None:  # noqa: N802
        self.received += len(data)
        if self.received > self.factory.most:
            self.transport.abortConnection()
        else:
            super().dataReceived(data)

    def connectionLost(self, reason: Failure = connectionDone) -> None:  # noqa: N802
        if self.ending is not None and self.ending.active():
            self.ending.cancel()
        super().connectionLost(reason)


class _Meters(WrappingFactory):
    """Makes the meter of each connection."""

    protocol = _Meter
    noisy = False

    def __init__(self, reactor: Any, inner: Any, most: int, longest: float) -> None:
        super().__init__(inner)
        self.reactor, self.most, self.longest = reactor, most, longest


@implementer(IAgent)
@define(eq=False)
class Uncoded:
    """An agent that takes no compressed answer and no cookies: what treq adds to each request is taken away."""

    agent: IAgent

    def request(
        self, method: bytes, uri: bytes, headers: Headers | None = None, bodyProducer: IBodyProducer | None = None  # noqa: N803
    ) -> Deferred[IResponse]:
        """Send a request."""
        headers = Headers() if headers is None else headers.copy()
        headers.setRawHeaders(b"accept-encoding", [b"identity"])
        headers.removeHeader(b"cookie")
        return self.agent.request(method, uri, headers, bodyProducer).addCallback(_uncoded)


def _uncoded(response: IResponse) -> IResponse:
    """Refuse an encoded answer before anybody decodes it: a few bytes of it can be gigabytes."""
    response.headers.removeHeader(b"set-cookie")
    codings = [value.strip().lower() for value in response.headers.getRawHeaders(b"content-encoding", [])]
    if any(coding != b"identity" for coding in codings):
        response.deliverBody(Away())
        raise FetchRefused("was answered with a Content-Encoding that was not asked for")
    response.headers.removeHeader(b"content-encoding")
    return response


class Away(Protocol):
    """Hangs up on whoever sends a body."""

    def connectionMade(self) -> None:  # noqa: N802
        """Hang up."""
        assert self.transport is not None  # noqa: S101
        self.transport.loseConnection()
