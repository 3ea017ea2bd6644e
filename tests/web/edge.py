"""The edge as it runs, with endpoints that record what reaches them; and a client that sends bytes as they are."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from attrs import define, field
from twisted.internet import reactor as _reactor
from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.endpoints import TCP4ClientEndpoint, connectProtocol
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IReactorTime
from twisted.internet.protocol import Protocol
from twisted.internet.task import deferLater
from twisted.internet.testing import StringTransportWithDisconnection
from twisted.python.failure import Failure
from twisted.trial.unittest import TestCase

from oauthd.endpoints.interface import Endpoint
from oauthd.protocol.errors import TEMPORARILY_UNAVAILABLE
from oauthd.protocol.messages import Request, Response, json_response
from oauthd.web.application import Edge, Front, build
from oauthd.web.channel import Channel, Limits
from oauthd.web.errors import Errors
from oauthd.web.routes import Delivery, Route
from oauthd.web.shield import Shield
from oauthd.web.site import Site
from oauthd.web.sources import Sources

reactor: Any = _reactor
_CLOSED = Failure(ConnectionDone())


class StoreAway(Exception):
    """Stands for the exception of a lower layer that the edge is told of."""


ROUTES = (
    Route(("/token", "/tokens"), {"POST": "record"}, cors=True),
    Route(("/things",), {"GET": "record", "POST": "record"}),
    Route(("/things/<name>",), {"GET": "record", "PUT": "record"}),
    Route(("/page",), {"GET": "record"}, Delivery.PAGE),
    Route(("/answer",), {"GET": "answer", "POST": "answer"}),
)


def page(status: int, code: str, description: str) -> Response:
    """An error page, as plain as can be."""
    return Response(status, (("Content-Type", "text/html"),), f"<p>{code}: {description}</p>".encode())


@define
class Recorded:
    """What reached the endpoints, and what the access log was told."""

    requests: list[Request] = field(factory=list)
    accesses: list[tuple[str, str, int]] = field(factory=list)

    async def record(self, request: Request) -> Response:
        """Record a request and answer with what was read."""
        self.requests.append(request)
        return json_response({"path": request.path, "form": list(request.form), "query": list(request.query)})

    def access(self, method: str, route: str, status: int, seconds: float) -> None:
        """Record a line of the access log."""
        self.accesses.append((method, route, status))


@define
class Built:
    """An edge in parts."""

    recorded: Recorded
    shield: Shield
    front: Front
    site: Site


def edge(
    clock: IReactorTime,
    answer: Endpoint | None = None,
    limits: Limits | None = None,
    sources: Sources | None = None,
    seconds: float = 10.0,
) -> Built:
    """Build an edge over `ROUTES`; `answer` serves /answer."""
    recorded = Recorded()
    errors = Errors(page, {StoreAway: TEMPORARILY_UNAVAILABLE})
    shield = Shield(clock, errors.unheard, seconds)
    endpoints: Mapping[str, Endpoint] = {"record": recorded.record, "answer": answer or recorded.record}
    front = build(ROUTES, endpoints, Edge(errors, sources or Sources(), shield, recorded.access, clock))
    return Built(recorded, shield, front, Site(front, shield, clock, limits, recorded.access))


@define
class Answer:
    """One response off the wire."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes

    def header(self, name: str) -> str | None:
        """The only field of that name."""
        values = [value for key, value in self.headers if key == name]
        assert len(values) <= 1, f"{name} was sent {len(values)} times"
        return values[0] if values else None

    def json(self) -> Any:
        """The body."""
        return json.loads(self.body)


def answers(data: bytes, head_only: bool = False) -> list[Answer]:
    """Cut a stream into its responses; what is not complete raises ValueError."""
    found = []
    while data:
        head, end, data = data.partition(b"\r\n\r\n")
        if not end:
            raise ValueError("an incomplete head")
        line, *lines = head.decode("latin-1").split("\r\n")
        headers = [(name.lower(), value.strip()) for name, _, value in (each.partition(":") for each in lines)]
        length = 0 if head_only else int(dict(headers).get("content-length", "0"))
        if len(data) < length:
            raise ValueError("an incomplete body")
        found.append(Answer(int(line.split()[1]), headers, data[:length]))
        data = data[length:]
    return found


class Wire(Protocol):
    """A client that says exactly what it is told to."""

    def __init__(self) -> None:
        self.received = b""
        self.closed = False
        self.reason: type[BaseException] | None = None
        self._changed: list[Deferred[None]] = []

    def connectionMade(self) -> None:
        """Let no bytes wait for others."""
        self.transport.setTcpNoDelay(True)  # type: ignore[union-attr]

    def dataReceived(self, data: bytes) -> None:
        """Keep it."""
        self.received += data
        self._change()

    def connectionLost(self, reason: Failure = _CLOSED) -> None:
        """The server closed, or we did."""
        self.closed, self.reason = True, reason.type
        self._change()

    def send(self, data: bytes) -> None:
        """Write."""
        assert self.transport is not None
        self.transport.write(data)

    def hang_up(self) -> None:
        """Close without waiting."""
        self.transport.abortConnection()  # type: ignore[union-attr]

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait for the bytes or the close that make the condition true."""
        while not condition():
            changed: Deferred[None] = Deferred()
            self._changed.append(changed)
            await changed

    async def end(self) -> list[Answer]:
        """Everything up to the close."""
        await self.until(lambda: self.closed)
        return answers(self.received)

    async def take(self, count: int) -> list[Answer]:
        """The next `count` responses, of which nothing may follow."""

        def complete() -> bool:
            try:
                return len(answers(self.received)) >= count
            except ValueError:
                return False

        await self.until(lambda: complete() or self.closed)
        taken, self.received = answers(self.received), b""
        return taken

    def _change(self) -> None:
        changed, self._changed = self._changed, []
        for each in changed:
            each.callback(None)


class Listening(TestCase):
    """A case with an edge on a real port."""

    def listen(self, **options: Any) -> Built:
        """Build an edge and open its port."""
        self.built = edge(reactor, **options)
        self.port = reactor.listenTCP(0, self.built.site, interface="127.0.0.1")
        self.addCleanup(self._close)
        self.wires: list[Wire] = []
        return self.built

    def endpoint(self) -> TCP4ClientEndpoint:
        """The way to the port."""
        return TCP4ClientEndpoint(reactor, "127.0.0.1", self.port.getHost().port)

    async def wire(self) -> Wire:
        """A new connection."""
        found: Wire = await connectProtocol(self.endpoint(), Wire())
        self.wires.append(found)
        return found

    async def say(self, data: bytes) -> list[Answer]:
        """Send bytes on a connection of their own; what was answered until its end."""
        wire = await self.wire()
        wire.send(data)
        return await wire.end()

    async def until(self, condition: Callable[[], bool]) -> None:
        """Let the reactor turn until something holds; the time-out of the test is the limit."""
        while not condition():
            await deferLater(reactor, 0.001)

    async def _close(self) -> None:
        await maybeDeferred(self.port.stopListening)  # None when it is stopped already
        for wire in self.wires:
            if not wire.closed:
                wire.hang_up()
        await self.until(lambda: not self.built.site.channels and all(wire.closed for wire in self.wires))


def connected(site: Site) -> tuple[Channel, StringTransportWithDisconnection]:
    """A channel on a transport in memory, for tests in which a fake clock runs."""
    peer = IPv4Address("TCP", "192.0.2.7", 4711)
    channel = site.buildProtocol(peer)
    assert isinstance(channel, Channel)
    transport: Any = StringTransportWithDisconnection(IPv4Address("TCP", "192.0.2.1", 80), peer)
    transport.protocol = channel
    channel.makeConnection(transport)
    return channel, transport


def waiting() -> tuple[list[Deferred[Response]], Callable[[Request], Awaitable[Response]]]:
    """An endpoint whose answers the test gives, and the list of those it is waiting for."""
    pending: list[Deferred[Response]] = []

    async def answer(request: Request) -> Response:
        mine: Deferred[Response] = Deferred()
        pending.append(mine)
        return await mine

    return pending, answer
