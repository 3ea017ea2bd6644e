"""The whole server with its fast lane, and connections on which a test says exactly what it wants.

Memory counts: what the server changes is told to its cache, which is proven by the test, for two seconds at a time.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from twisted.internet import reactor
from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock, deferLater
from twisted.internet.testing import StringTransportWithDisconnection

from oauthd import surface
from oauthd.config import Settings
from oauthd.metrics import LaneCounts
from oauthd.stores.cache import Cache
from oauthd.web.fastlane import Lane, LaneChannel
from oauthd.web.site import Site
from tests.server import App, Server, ServerCase
from tests.wire import HERE, basic, encoded

INTROSPECT = "/oauth2/introspect"
TOKEN = "/oauth2/token"
_DATE = re.compile(rb"(?<=\r\nDate: )[^\r]*")
_LENGTH = re.compile(rb"(?<=\r\nContent-Length: )[0-9]+")
TURNS = 20000  # of the reactor, that an answer may take


def request(
    target: str,
    form: Mapping[str, str] | bytes,
    app: App | tuple[str, str] | None = None,
    headers: Iterable[tuple[str, str]] = (),
    length: str | None = None,
) -> bytes:
    """A POST as clients send it; `headers` come after the usual ones."""
    body = form if isinstance(form, bytes) else encoded(form).encode()
    pair = app.basic if isinstance(app, App) else app
    fields = [
        ("Host", "localhost:8000"),
        *([("Authorization", basic(*pair))] if pair else []),
        ("Content-Type", "application/x-www-form-urlencoded"),
        ("Content-Length", str(len(body)) if length is None else length),
        *headers,
    ]
    head = "".join(f"{name}: {value}\r\n" for name, value in fields)
    return f"POST {target} HTTP/1.1\r\n{head}\r\n".encode("latin-1") + body


def cut(data: bytes) -> list[bytes]:
    """The whole answers at the beginning of a stream, each with its date blotted out."""
    found: list[bytes] = []
    while True:
        head, end, rest = data.partition(b"\r\n\r\n")
        length = _LENGTH.search(head + b"\r\n")
        size = int(length[0]) if length else 0
        if not end or len(rest) < size:
            return found
        found.append(_DATE.sub(b"then", head) + end + rest[:size])
        data = rest[size:]


def json_of(answer: bytes) -> bytes:
    """The body of an answer."""
    return answer.partition(b"\r\n\r\n")[2]


def status(answer: bytes) -> int:
    """The status of an answer."""
    return int(answer.split(b" ", 2)[1])


async def until(condition: Callable[[], bool]) -> None:
    """Let the reactor turn until something holds."""
    for _ in range(TURNS):
        if condition():
            return
        await turn()
    raise AssertionError("it never came")


def turn() -> Deferred[None]:
    """Let the reactor turn once."""
    return deferLater(reactor, 0)


class Line:
    """A connection in memory to a site."""

    def __init__(self, site: Site, source: str = HERE) -> None:
        peer = IPv4Address("TCP", source, 40000)
        self.transport = StringTransportWithDisconnection(IPv4Address("TCP", HERE, 8000), peer)
        channel: Any = site.buildProtocol(peer)
        self.channel: LaneChannel = channel
        self.transport.protocol = channel
        channel.makeConnection(self.transport)
        self._taken = 0

    @property
    def answers(self) -> list[bytes]:
        """All that came and was not taken."""
        return cut(self.transport.value())[self._taken :]

    def say(self, *chunks: bytes) -> None:
        """Send, packet by packet."""
        for chunk in chunks:
            if self.transport.connected:
                self.channel.dataReceived(chunk)

    async def take(self, count: int = 1) -> list[bytes]:
        """The next answers, of which no more may be there; fewer where the connection ends."""
        await until(lambda: len(self.answers) >= count or not self.transport.connected)
        found = self.answers
        if len(found) > count:
            raise AssertionError(f"{len(found)} answers where {count} were asked for")
        self._taken += len(found)
        return found

    async def ask(self, *chunks: bytes) -> bytes:
        """Send one request and take its answer."""
        self.say(*chunks)
        [answer] = await self.take()
        return answer


class LaneCase(ServerCase):
    """A server whose memory counts."""

    async def prepare(self) -> None:
        """Forget what other tests left, prove, and build a site whose timers stand still."""
        self.accesses: list[tuple[str, str, int]] = []
        listening(self, self.server)
        self.timers: Any = Clock()
        self.site = self.new_site(self.timers)
        self.counts.hits = self.counts.inactive = self.counts.misses = self.counts.issued = self.counts.learned = 0
        self.prove()

    def new_site(self, timers: Any, settings: Settings | None = None) -> Site:
        """A site over the server, with a lane of its own."""

        def access(method: str, path: str, status: int, seconds: float) -> None:
            self.accesses.append((method, path, status))

        return surface.site(self.server.application, settings or self.server.settings, timers, access)

    @property
    def cache(self) -> Cache:
        """The memory of the server."""
        return self.server.application.world.cache

    @property
    def lane(self) -> Lane:
        """What connections share."""
        assert self.site.lane is not None
        return self.site.lane

    @property
    def counts(self) -> LaneCounts:
        """What the lane counts."""
        return self.lane.counts

    @property
    def told(self) -> tuple[int, int, int, int]:
        """How often the lane answered: hits, inactive ones, misses, tokens."""
        return self.counts.hits, self.counts.inactive, self.counts.misses, self.counts.issued

    def prove(self) -> None:
        """From now on memory counts for two seconds."""
        self.cache.prove(self.server.clock.seconds())

    def advance(self, seconds: float) -> None:
        """Let time go by, in which the proof goes on."""
        self.server.clock.advance(seconds)
        self.prove()

    def line(self, source: str = HERE) -> Line:
        """A new connection."""
        return Line(self.site, source)

    async def machine_token(self, app: App, **form: str) -> str:
        """An access token of a client for itself."""
        answer = await self.server.token(app, "client_credentials", **form)
        found: str = answer.json()["access_token"]
        return found

    async def taught(self, *requests: bytes, line: Line | None = None) -> Line:
        """A connection on which requests were sent until the lane knows them."""
        line = line or self.line()
        for one in requests:
            for _ in range(3):
                told = sum(self.told)
                await line.ask(one)
            if sum(self.told) == told:
                raise AssertionError("nothing was learned")
        return line


def listening(case: ServerCase, server: Server) -> None:
    """Let the server's memory be empty, and hear of what the server changes, until the end of the test.

    Servers are used again by other tests, which do not tell their memory anything: it must not count there.
    """
    forget(server)
    case.addCleanup(forget, server)
    server.store._store.changed[:] = [server.application.world.cache.changed]


def forget(server: Server) -> None:
    """From now on nothing counts that the server remembers."""
    cache = server.application.world.cache
    cache.flush()
    while cache.sweep():
        pass
