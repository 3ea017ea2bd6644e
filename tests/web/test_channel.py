"""Limits of time and number on connections: by a fake clock where time is what matters, else on real sockets."""

from __future__ import annotations

from io import BytesIO
from typing import Any

from twisted.internet import ssl
from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import UNIXClientEndpoint, connectProtocol, wrapClientTLS
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import INegotiated
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from oauthd.protocol.messages import Request, Response
from oauthd.web.channel import Channel, Limits
from tests.certificates import self_signed
from tests.web.edge import Built, Listening, Wire, answers, connected, edge, reactor, waiting

GET = b"GET /things HTTP/1.1\r\nHost: a\r\n\r\n"
LIMITS = Limits(head_seconds=10, body_seconds=20, idle_seconds=60, linger_seconds=2, abort_seconds=15)


class LargerBodies(SynchronousTestCase):
    """Some paths take larger bodies than others, and few of them at a time."""

    def setUp(self) -> None:
        """A site on which /things takes a hundred octets, one at a time; other paths take ten."""
        limits = Limits(body=10, larger={b"/things": 100}, most_larger=1)
        self.built = edge(Clock(), limits=limits)

    def post(self, target: bytes, body: bytes, announced: int | None = None) -> tuple[Channel, list[int]]:
        """Send this much of a request; the connection, and the statuses that came."""
        channel, transport = connected(self.built.site)
        length = len(body) if announced is None else announced
        channel.dataReceived(b"POST %b HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%b" % (target, length, body))
        return channel, [answer.status for answer in answers(transport.value())]

    def chunked(self, target: bytes, chunks: int) -> list[int]:
        """Send chunks of ten octets."""
        channel, transport = connected(self.built.site)
        channel.dataReceived(b"POST %b HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" % target)
        channel.dataReceived(b"A\r\n0123456789\r\n" * chunks + b"0\r\n\r\n")
        return [answer.status for answer in answers(transport.value())]

    def test_by_path(self) -> None:
        """The limit is that of the path, whatever its query; no other path has it."""
        for target, size, status in (
            (b"/things", 100, 200), (b"/things?a=b", 100, 200), (b"/things", 101, 413), (b"/token", 10, 200),
            (b"/token", 11, 413), (b"/things/x", 11, 413), (b"//things", 11, 413), (b"/things%20", 11, 413),
        ):  # fmt: skip
            self.assertEqual(self.post(target, b"x" * size)[1], [status], (target, size))
            self.assertEqual(self.built.site.larger, set())

    def test_chunks(self) -> None:
        """The same for a body that does not say how long it is."""
        for target, chunks, status in (
            (b"/things", 10, 200), (b"/things", 11, 413), (b"/token", 1, 200), (b"/token", 2, 413),
        ):  # fmt: skip
            self.assertEqual(self.chunked(target, chunks), [status], (target, chunks))

    def test_few_at_a_time(self) -> None:
        """While as many are under way as may be, a further one is 503; a small one is read as ever."""
        first, told = self.post(b"/things", b"x", 100)
        self.assertEqual(told, [])
        self.assertEqual(self.post(b"/things", b"x" * 11)[1], [503])
        self.assertEqual(self.chunked(b"/things", 2), [503])
        self.assertEqual(self.post(b"/things", b"x" * 10)[1], [200])
        first.dataReceived(b"x" * 99)
        self.assertEqual(self.post(b"/things", b"x" * 11)[1], [200])

    def test_who_hangs_up(self) -> None:
        """A connection that goes away in the middle makes room for another."""
        first, _ = self.post(b"/things", b"x", 100)
        first.connectionLost(Failure(ConnectionDone()))
        self.assertEqual(self.post(b"/things", b"x" * 11)[1], [200])


class Deadlines(SynchronousTestCase):
    """Time runs by a fake clock."""

    def setUp(self) -> None:
        """One connection."""
        self.clock = Clock()
        self.built = edge(self.clock, limits=LIMITS)
        self.channel, self.transport = connected(self.built.site)

    def trickle(self, data: bytes, seconds: float) -> None:
        """Send one byte a second."""
        for start in range(int(seconds)):
            self.channel.dataReceived(data[start : start + 1])
            self.clock.advance(1)

    def told(self) -> list[int]:
        """The statuses answered so far."""
        return [answer.status for answer in answers(self.transport.value())]

    def test_a_head_that_takes_for_ever(self) -> None:
        """Ten seconds after its first byte a head is refused, however often another byte came."""
        self.trickle(GET, 9)
        self.assertEqual(self.told(), [])
        self.trickle(GET[9:], 1)
        self.assertEqual(self.told(), [408])
        self.assertEqual(self.built.recorded.requests, [])

    def test_a_body_that_takes_for_ever(self) -> None:
        """Twenty seconds after its head a body is refused, however often another byte came."""
        self.channel.dataReceived(b"POST /token HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n")
        self.trickle(b"a" * 100, 19)
        self.assertEqual(self.told(), [])
        self.trickle(b"a", 1)
        self.assertEqual(self.told(), [408])
        self.assertEqual(self.built.recorded.requests, [])

    def test_a_slow_head_leaves_the_body_its_time(self) -> None:
        """The time of the body begins with the end of the head."""
        self.channel.dataReceived(b"POST /token HTTP/1.1\r\n")
        self.clock.advance(9)
        self.channel.dataReceived(b"Host: a\r\nContent-Length: 100\r\n\r\n")
        self.clock.advance(19)
        self.assertEqual(self.told(), [])
        self.clock.advance(1)
        self.assertEqual(self.told(), [408])

    def test_each_request_has_its_own_time(self) -> None:
        """A complete request ends its deadline, and what has arrived of the next one has another."""
        self.channel.dataReceived(GET[:5])
        self.clock.advance(9)
        self.channel.dataReceived(GET[5:] + GET[:5])
        self.clock.advance(9)
        self.assertEqual(self.told(), [200])
        self.clock.advance(1)
        self.assertEqual(self.told(), [200, 408])

    def test_a_request_sent_while_another_is_answered(self) -> None:
        """The time of a pipelined request begins when it is read, not while it waits for the one before."""
        pending, answer = waiting()
        self.built = edge(self.clock, answer, LIMITS, seconds=99)
        self.channel, self.transport = connected(self.built.site)
        self.channel.dataReceived(b"GET /answer HTTP/1.1\r\nHost: a\r\n\r\n" + GET[:5])
        self.clock.advance(50)
        self.assertEqual(self.told(), [])
        pending[0].callback(Response(200))
        self.clock.advance(9)
        self.assertEqual(self.told(), [200])
        self.clock.advance(1)
        self.assertEqual(self.told(), [200, 408])

    def test_idle_connections(self) -> None:
        """A connection on which nothing is sent is closed after a minute, without a word."""
        self.channel.dataReceived(GET)
        self.clock.advance(59)
        self.assertTrue(self.transport.connected)
        self.clock.advance(1)
        self.assertFalse(self.transport.connected)
        self.assertEqual(self.told(), [200])

    def test_a_refused_connection_ends(self) -> None:
        """Who was refused and does not close is closed after the time to read it, or by sending too much."""
        self.channel.dataReceived(b"GET /things HTTP/1.1\r\n\r\n")
        self.clock.advance(1)
        self.channel.dataReceived(b"a")
        self.assertTrue(self.transport.connected)
        self.clock.advance(1)
        self.assertFalse(self.transport.connected)
        channel, transport = connected(self.built.site)
        channel.dataReceived(b"GET /things HTTP/1.1\r\n\r\n")
        channel.dataReceived(b"a" * LIMITS.chunked)
        self.assertTrue(transport.connected)
        channel.dataReceived(b"a")
        self.assertFalse(transport.connected)

    def test_no_timer_stays_behind(self) -> None:
        """Whatever a connection was doing when it was lost, no timer of it is left."""
        for data in (
            b"",
            GET[:5],
            GET,
            b"GET / HTTP/1.1\r\n\r\n",
            b"POST /token HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n",
        ):
            channel, transport = connected(self.built.site)
            channel.dataReceived(data)
            transport.loseConnection()
        self.transport.loseConnection()
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.assertEqual(self.built.site.channels, set())

    def test_a_client_that_reads_nothing_is_cut(self) -> None:
        """A connection that is to be closed and whose peer takes nothing is cut."""
        cut: list[bool] = []
        self.patch(self.transport, "loseConnection", lambda: None)
        self.patch(self.transport, "abortConnection", lambda: cut.append(True))
        self.channel.dataReceived(GET.replace(b"Host", b"Connection: close\r\nHost"))
        self.clock.advance(14)
        self.assertEqual(cut, [])
        self.clock.advance(1)
        self.assertEqual(cut, [True])
        self.channel.connectionLost(None)  # type: ignore[arg-type]

    def test_nothing_is_answered_while_the_peer_reads_nothing(self) -> None:
        """Pipelined requests wait when the transport is full, without a deadline, and go on when it is not."""
        answered: list[Request] = []

        async def answer(request: Request) -> Response:
            answered.append(request)
            channel.pauseProducing()  # as the transport does in a write that fills it
            return Response(200)

        channel, transport = connected(edge(self.clock, answer, LIMITS).site)
        channel.dataReceived(b"GET /answer HTTP/1.1\r\nHost: a\r\n\r\n" * 3 + GET[:5])
        for served in (1, 2, 3):
            self.assertEqual((len(answered), transport.producerState), (served, "paused"))
            self.clock.advance(50)
            channel.resumeProducing()
        self.assertEqual(transport.producerState, "producing")
        self.assertEqual([each.status for each in answers(transport.value())], [200] * 3)
        self.clock.advance(10)
        self.assertEqual([each.status for each in answers(transport.value())], [200] * 3 + [408])

    def test_bodies_stay_in_memory(self) -> None:
        """A body is never written to a file, chunked or not."""
        for length in (b"Content-Length: 65536", b"Transfer-Encoding: chunked"):
            channel, _ = connected(self.built.site)
            channel.dataReceived(b"POST /token HTTP/1.1\r\nHost: a\r\n" + length + b"\r\n\r\n")
            self.assertIsInstance(channel.requests[-1].content, BytesIO)

    def test_idle_tells_whether_something_is_under_way(self) -> None:
        """A channel is idle before, between and after requests, and at no other time."""
        pending, answer = waiting()
        self.built = edge(self.clock, answer, LIMITS)
        channel, _ = connected(self.built.site)
        self.assertTrue(channel.idle)
        channel.dataReceived(b"GET /an")
        self.assertEqual((channel.idle, channel.reading), (False, True))
        channel.dataReceived(b"swer HTTP/1.1\r\n")
        self.assertEqual((channel.idle, channel.reading), (False, True))
        channel.dataReceived(b"Host: a\r\n\r\n")
        self.assertEqual((channel.idle, channel.reading), (False, False))
        pending[0].callback(Response(200))
        self.assertEqual((channel.idle, channel.reading), (True, False))
        channel.dataReceived(b"\r\n")
        self.assertTrue(channel.idle)
        channel.dataReceived(b"a\r\n\r\n")
        self.assertEqual((channel.idle, channel.reading), (False, False))


class Connections(Listening):
    """On real sockets."""

    async def test_their_number_is_limited(self) -> None:
        """A connection beyond the limit is cut at once, those before it work on, and room that was made is used."""
        self.listen(limits=Limits(connections=2))
        first, second = await self.wire(), await self.wire()
        first.send(GET)
        second.send(GET)
        await first.take(1)
        await second.take(1)
        third = await self.wire()
        self.assertEqual(await third.end(), [])
        first.send(GET)
        self.assertEqual([answer.status for answer in await first.take(1)], [200])
        second.hang_up()
        await self.until(lambda: len(self.built.site.channels) == 1)
        fourth = await self.wire()
        fourth.send(GET)
        self.assertEqual([answer.status for answer in await fourth.take(1)], [200])

    async def test_unread_answers_stop_the_reading(self) -> None:
        """While a client sends requests and reads no answers, the memory it can take is bounded."""
        big = Response(200, (), b"a" * 200000)
        served: list[Request] = []

        async def answer(request: Request) -> Response:
            served.append(request)
            return big

        self.listen(answer=answer)
        wire = await self.wire()
        wire.transport.pauseProducing()  # type: ignore[union-attr]
        wire.send(b"GET /answer HTTP/1.1\r\nHost: a\r\n\r\n" * 100000)
        [channel] = self.built.site.channels
        before = -1
        while not channel.paused or before != len(served):
            before = len(served)
            pause: Deferred[None] = Deferred()
            reactor.callLater(0.2, pause.callback, None)
            await pause
        self.assertLess(len(served), 200)
        self.assertLess(len(channel._buffer), 200000)

    async def test_on_a_unix_socket(self) -> None:
        """Requests and refusals work on a unix socket, whose peers have no address."""
        built = self.listen()
        path = self.mktemp()[-80:]
        port = reactor.listenUNIX(path, built.site)
        self.addCleanup(port.stopListening)
        for data, status in ((GET, 200), (b"GET / HTTP/1.1\r\n\r\n", 400)):
            wire: Wire = await connectProtocol(UNIXClientEndpoint(reactor, path), Wire())
            self.wires.append(wire)
            wire.send(data)
            self.assertEqual([answer.status for answer in await wire.take(1)], [status])
        self.assertEqual(built.recorded.requests[0].connection.source, "")
        self.assertFalse(built.recorded.requests[0].connection.local)


class OverTLS(Listening):
    """The same behind TLS."""

    def listen(self, **options: Any) -> Built:
        """Open a TLS port."""
        self.built = edge(reactor, **options)
        self.certificate = self_signed()
        self.port = reactor.listenSSL(0, self.built.site, self.certificate.options(), interface="127.0.0.1")
        self.addCleanup(self._close)
        self.wires: list[Wire] = []
        return self.built

    async def wire(self) -> Wire:
        """A new connection, over TLS."""
        options: Any = ssl.optionsForClientTLS("localhost", self.certificate, acceptableProtocols=[b"h2", b"http/1.1"])
        endpoint = wrapClientTLS(options, self.endpoint())
        found: Wire = await connectProtocol(endpoint, Wire())
        self.wires.append(found)
        return found

    async def test_requests_and_refusals(self) -> None:
        """A request over TLS is known to be secure, and a refusal is read to its end."""
        built = self.listen()
        wire = await self.wire()
        wire.send(GET)
        self.assertEqual([answer.status for answer in await wire.take(1)], [200])
        self.assertTrue(built.recorded.requests[0].connection.secure)
        wire.send(b"POST /token HTTP/1.1\r\nHost: a\r\nContent-Length: 65537\r\n\r\n" + b"a" * 65537)
        self.assertEqual([answer.status for answer in await wire.take(1)], [413])

    async def test_a_refusal_ends_in_good_order(self) -> None:
        """A refused TLS connection gets its whole answer and the notice of its end."""
        self.listen(limits=Limits(linger_seconds=0.05))
        wire = await self.wire()
        wire.send(b"GET / HTTP/1.1\r\n\r\n")
        self.assertEqual([answer.status for answer in await wire.end()], [400])
        self.assertEqual(wire.reason, ConnectionDone)

    async def test_http_2_is_not_offered(self) -> None:
        """A client that would speak HTTP/2 gets HTTP/1.1, where every limit is."""
        self.listen()
        wire = await self.wire()
        wire.send(GET)
        await wire.take(1)
        self.assertEqual(INegotiated(wire.transport).negotiatedProtocol, b"http/1.1")

    async def test_too_many(self) -> None:
        """A connection beyond the limit is cut without a trace in the log."""
        self.listen(limits=Limits(connections=1))
        wire = await self.wire()
        wire.send(GET)
        await wire.take(1)
        other = await self.wire()
        self.assertEqual(await other.end(), [])


class Subclasses(SynchronousTestCase):
    """What a faster channel needs of this one."""

    def test_the_site_makes_the_channels_it_is_given(self) -> None:
        """A subclass can answer in `dataReceived` and hand over the rest."""

        class Ping(Channel):
            def dataReceived(self, data: bytes) -> None:
                if self.idle and data == b"ping":
                    self.transport.write(b"pong")
                else:
                    super().dataReceived(data)

        clock = Clock()
        built = edge(clock)
        built.site.channel = Ping
        channel, transport = connected(built.site)
        channel.dataReceived(b"ping")
        self.assertEqual(transport.value(), b"pong")
        transport.clear()
        channel.dataReceived(GET)
        self.assertEqual([answer.status for answer in answers(transport.value())], [200])
        self.assertEqual(built.recorded.requests[0].connection.source, IPv4Address("TCP", "192.0.2.7", 1).host)
