"""The fast lane on real sockets: TCP, unix, TLS; peers that do not read, sockets that take too little."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

from attrs import evolve
from twisted.internet import reactor as _reactor
from twisted.internet import ssl
from twisted.internet.defer import maybeDeferred
from twisted.internet.endpoints import TCP4ClientEndpoint, UNIXClientEndpoint, connectProtocol, wrapClientTLS
from twisted.internet.tcp import Server as TCPServer
from twisted.internet.unix import Server as UNIXServer
from twisted.protocols.portforward import ProxyClient, ProxyClientFactory, ProxyFactory, ProxyServer

from oauthd.runtime.listening import ask
from oauthd.web.channel import Channel
from oauthd.web.readers import Readers
from tests.certificates import self_signed
from tests.web.edge import Wire
from tests.web.lane import INTROSPECT, TOKEN, LaneCase, cut, json_of, request, turn, until

reactor: Any = _reactor


class WireCase(LaneCase):
    """A server with real timers on a real port, and a token to ask about."""

    async def prepare(self) -> None:
        """Listen."""
        await super().prepare()
        self.wires: list[Wire] = []
        self.site = self.new_site(reactor)
        self.api = await self.server.client("api")
        self.token = await self.machine_token(self.api)
        self.asking = request(INTROSPECT, {"token": self.token}, self.api)
        self.port = self.listen()
        self.addCleanup(self._close)

    def listen(self) -> Any:
        """Open the port."""
        return reactor.listenTCP(0, self.site, interface="127.0.0.1")

    def endpoint(self) -> Any:
        """The way to it."""
        return TCP4ClientEndpoint(reactor, "127.0.0.1", self.port.getHost().port)

    async def wire(self) -> Wire:
        """A new connection."""
        found: Wire = await connectProtocol(self.endpoint(), Wire())
        self.wires.append(found)
        return found

    async def asked(self, wire: Wire, sent: bytes, count: int = 1) -> list[bytes]:
        """The answers to what is sent."""
        wire.send(sent)
        await until(lambda: len(cut(wire.received)) >= count or wire.closed)
        found, wire.received = cut(wire.received), b""
        return found

    async def known(self) -> Wire:
        """A connection on which the request is known."""
        wire = await self.wire()
        for _ in range(3):
            await self.asked(wire, self.asking)
        self.assertGreater(self.counts.hits, 0)
        return wire

    def channel(self) -> Any:
        """The server's end of the only connection."""
        [channel] = self.site.channels
        return channel

    async def _close(self) -> None:
        await maybeDeferred(self.port.stopListening)
        for wire in self.wires:
            if not wire.closed:
                wire.hang_up()
        await until(lambda: not self.site.channels and all(wire.closed for wire in self.wires))


class TCPTests(WireCase):
    """Straight to the socket."""

    kind: type[Any] = TCPServer

    async def test_same_bytes(self) -> None:
        """What the lane writes itself is what the ordinary path writes, again and again."""
        wire = await self.wire()
        answers = [(await self.asked(wire, self.asking))[0] for _ in range(20)]
        self.assertEqual(set(answers), {answers[0]})
        self.assertEqual(self.counts.hits, 18)
        self.assertIs(type(self.channel().transport), self.kind)
        self.assertTrue(self.channel()._straight)

    async def test_in_pieces(self) -> None:
        """Packets that care for no bounds change nothing."""
        wire = await self.known()
        [expected] = await self.asked(wire, self.asking)
        for size in (1, 7, 100, len(self.asking) - 1, len(self.asking) + 1):
            stream = self.asking * 5
            for start in range(0, len(stream), size):
                wire.send(stream[start : start + size])
                if size > 1:
                    await turn()
            self.assertEqual(await self.asked(wire, b"", 5), [expected] * 5, size)

    async def test_tokens(self) -> None:
        """Tokens are issued on the lane as well, each of them another one."""
        wire = await self.wire()
        issue = request(TOKEN, {"grant_type": "client_credentials"}, self.api)
        answers = [(await self.asked(wire, issue))[0] for _ in range(6)]
        self.assertEqual((len(set(answers)), self.counts.issued), (6, 4))

    async def test_less_was_taken(self) -> None:
        """A socket that takes a part of an answer, or nothing, or fails for now: nothing is lost or sent twice."""
        wire = await self.known()
        [expected] = await self.asked(wire, self.asking)
        transport = self.channel().transport
        for sends in (lambda data: 1, lambda data: len(data) - 1, lambda data: 0, lambda data: _blocked()):
            slow = transport.socket = Slow(transport.socket, sends)
            self.assertEqual(await self.asked(wire, self.asking), [expected])
            self.assertEqual(await self.asked(wire, self.asking + self.asking, 2), [expected] * 2)
            self.assertEqual(slow.limited, 0)
            transport.socket = slow.real
        hits = self.counts.hits
        self.assertEqual(await self.asked(wire, self.asking), [expected])
        self.assertEqual(self.counts.hits, hits + 1)

    async def test_what_is_queued_goes_first(self) -> None:
        """While something waits to be written, answers queue behind it."""
        wire = await self.known()
        [expected] = await self.asked(wire, self.asking)
        channel = self.channel()
        slow = channel.transport.socket = Slow(channel.transport.socket, lambda data: 1, times=1)
        channel.dataReceived(self.asking)
        channel.dataReceived(self.asking)
        self.assertEqual(slow.limited, 0)
        channel.transport.socket = slow.real
        self.assertEqual(await self.asked(wire, b"", 2), [expected] * 2)

    async def test_broken(self) -> None:
        """A socket that is broken ends the connection, by the reactor's own way."""
        wire = await self.known()
        transport = self.channel().transport
        transport.socket = Slow(transport.socket, lambda data: _broken(), times=100)
        wire.send(self.asking)
        await until(lambda: not self.site.channels)
        await until(lambda: wire.closed)

    async def test_hang_up_while_asked(self) -> None:
        """A client that goes while the store is asked leaves nothing behind."""
        wire = await self.known()
        wire.send(request(INTROSPECT, {"token": "unknown"}, self.api))
        wire.hang_up()
        await until(lambda: not self.site.channels and not self.site.shield.running)

    async def test_as_many_as_allowed(self) -> None:
        """The limit of connections counts here as elsewhere, and who ends makes room."""
        self.site.limits = evolve(self.site.limits, connections=3)
        first, _, _ = [await self.known() for _ in range(3)]
        fourth = await self.wire()
        await until(lambda: fourth.closed)
        first.hang_up()
        await until(lambda: len(self.site.channels) == 2)
        await self.known()

    async def test_drain(self) -> None:
        """A drain answers what was on its way, says that it was the last, and ends idle connections in order."""
        wire, idle = await self.known(), await self.known()
        drained = self.site.drain(5, grace=0.05)
        [answer] = await self.asked(wire, self.asking)
        self.assertIn(b'"active":true', json_of(answer))
        self.assertIn(b"\r\nConnection: close\r\n", answer)
        await drained
        await until(lambda: wire.closed and idle.closed)
        self.assertEqual(idle.received, b"")

    async def test_many_at_once(self) -> None:
        """Many connections, of which some come and go, get each their own answers."""
        tokens = [await self.machine_token(self.api) for _ in range(8)]
        requests = [request(INTROSPECT, {"token": token}, self.api) for token in tokens]
        expected = [(await self.asked(await self.wire(), one))[0] for one in requests]
        self.assertEqual(len(set(expected)), 8)
        wires = [await self.wire() for _ in range(24)]
        for gone in range(6):
            for number, wire in enumerate(wires):
                wire.send(requests[number % 8])
            for number, wire in enumerate(wires):
                [answer] = await self.asked(wire, b"")
                self.assertEqual(answer, expected[number % 8])
            wires[gone].hang_up()
            wires[gone] = await self.wire()


class UNIXTests(TCPTests):
    """The same on a unix socket."""

    kind = UNIXServer

    def listen(self) -> Any:
        """A socket in a folder of its own."""
        folder = mkdtemp(prefix="oauthd-lane-")  # short: the path of a socket has a limit
        self.addCleanup(shutil.rmtree, folder)
        self.path = str(Path(folder) / "s")
        return reactor.listenUNIX(self.path, self.site)

    def endpoint(self) -> Any:
        """The way to it."""
        return UNIXClientEndpoint(reactor, self.path)

    async def wire(self) -> Wire:
        """A connection, whose packets nobody delays."""
        found: Wire = await connectProtocol(self.endpoint(), UNIXWire())
        self.wires.append(found)
        return found


    async def test_peer_that_does_not_read(self) -> None:
        """Who sends and does not read is read no further; what was accepted is answered when it reads again.

        Not over TCP, where the kernel keeps tens of megabytes for a peer that does not read.
        """
        wire = await self.known()
        wire.send(self.asking)
        await until(lambda: bool(cut(wire.received)))
        [expected], size = cut(wire.received), len(wire.received)
        channel = self.channel()
        wire.transport.pauseProducing()  # type: ignore[union-attr]
        sent = 0
        while not channel.paused:
            wire.send(self.asking)
            sent += 1
            await turn()
            self.assertLess(sent, 100_000)
        for _ in range(500):
            wire.send(self.asking)
            sent += 1
        await turn()
        queued = len(channel.transport.dataBuffer) + channel.transport._tempDataLen
        self.assertLess(queued, 4 * 65536)
        wire.received = b""
        wire.transport.resumeProducing()  # type: ignore[union-attr]
        await until(lambda: len(wire.received) >= sent * size or wire.closed)
        self.assertEqual(cut(wire.received), [expected] * sent)


class UNIXWire(Wire):
    """There is no such thing as Nagle's algorithm here."""

    def connectionMade(self) -> None:
        """Nothing to set."""


class TLSCase(WireCase):
    """An encrypted listener."""

    async def prepare(self) -> None:
        """Its certificate."""
        self.certificate = self_signed()
        await super().prepare()

    async def wire(self) -> Wire:
        """A connection to it."""
        options: Any = ssl.optionsForClientTLS("localhost", ssl.Certificate(self.certificate.original))
        found: Wire = await connectProtocol(wrapClientTLS(options, self.endpoint()), Wire())
        self.wires.append(found)
        return found


class TLSTests(TLSCase):
    """With somebody on the wire who reads everything."""

    def listen(self) -> Any:
        """The listener, and the one in between."""
        self.read = bytearray()
        self.far = reactor.listenSSL(0, self.site, self.certificate.options(), interface="127.0.0.1")
        self.addCleanup(self.far.stopListening)
        return reactor.listenTCP(0, Reading("127.0.0.1", self.far.getHost().port, self.read), interface="127.0.0.1")

    async def test_no_clear_text(self) -> None:
        """Nothing of a request or an answer is ever readable on the wire, also while the lane answers."""
        wire = await self.wire()
        answers = [(await self.asked(wire, self.asking))[0] for _ in range(30)]
        issue = request(TOKEN, {"grant_type": "client_credentials"}, self.api)
        issued = [(await self.asked(wire, issue))[0] for _ in range(5)]
        missed = [
            (await self.asked(wire, request(INTROSPECT, {"token": f"unknown{number}"}, self.api)))[0]
            for number in range(5)
        ]
        await self.asked(wire, self.asking * 3, 3)
        self.assertEqual((self.counts.hits >= 28, self.counts.issued, self.counts.misses), (True, 3, 5))
        self.assertFalse(self.channel()._straight)
        self.assertGreater(len(self.read), sum(map(len, (*answers, *issued, *missed))))
        clear = {self.asking, issue, *answers, *issued, *missed}
        for text in clear:
            for start in range(0, len(text) - 12, 4):  # eight would find the name of the server, which TLS shows
                self.assertNotIn(text[start : start + 12], self.read)

    async def test_same_bytes(self) -> None:
        """The answers are the same as in clear, and of a memo of their own."""
        wire = await self.known()
        [fast] = await self.asked(wire, self.asking)
        clear = self.new_site(self.timers)
        self.site, encrypted = clear, self.site
        [ordinary] = [await self.line().ask(self.asking)]
        self.site = encrypted
        self.assertEqual(fast, ordinary)
        self.assertEqual([facts.secure for facts in self.lane._memos], [True])


class AskingTests(TLSCase):
    """A listener that asks for client certificates: what a request means is not told by its bytes alone."""

    def listen(self) -> Any:
        """The listener."""
        options = self.certificate.options()
        ask(options)
        return reactor.listenSSL(0, self.site, options, interface="127.0.0.1")

    async def test_nothing_is_learned(self) -> None:
        """A request that is repeated goes the ordinary way each time."""
        wire = await self.wire()
        first, *others = [(await self.asked(wire, self.asking))[0] for _ in range(5)]
        self.assertEqual(others, [first] * 4)
        self.assertEqual((self.counts.learned, self.counts.hits), (0, 0))

    async def test_nothing_is_used(self) -> None:
        """What was learned on another connection answers nothing here."""
        line = self.line()
        answers = [await line.ask(self.asking) for _ in range(4)]
        hits = self.counts.hits
        self.assertGreater(hits, 0)
        line.transport.loseConnection()
        wire = await self.wire()
        [answer] = await self.asked(wire, self.asking)
        self.assertEqual((answer, self.counts.hits), (answers[0], hits))


class ReadersTests(WireCase):
    """The connections of the lane in an epoll of their own."""

    async def test_they_come_and_go(self) -> None:
        """Each connection is there while it is read, none after it has ended; the reactor keeps nothing either."""
        readers = self.lane.readers
        assert readers is not None
        wires = [await self.known() for _ in range(5)]
        self.assertEqual(len(readers._reading), 5)
        self.assertEqual(set(map(id, readers._reading.values())), {id(one.transport) for one in self.site.channels})
        self.assertIn(readers, reactor.getReaders())
        for wire in wires:
            wire.hang_up()
        await until(lambda: not self.site.channels)
        self.assertEqual(readers._reading, {})
        self.assertNotIn(readers, reactor.getReaders())

    async def test_paused(self) -> None:
        """A connection that is not to be read is not, and is again when it may."""
        wire = await self.known()
        channel, readers = self.channel(), self.lane.readers
        assert isinstance(readers, Readers)
        channel.transport.pauseProducing()
        self.assertEqual(readers._reading, {})
        wire.send(self.asking)
        for _ in range(20):
            await turn()
        self.assertEqual(wire.received, b"")
        channel.transport.resumeProducing()
        self.assertEqual(len(await self.asked(wire, b"")), 1)

    async def test_a_fault_of_ours(self) -> None:
        """An exception while one connection is read is logged, ends that one, and no other."""
        wire, other = await self.known(), await self.known()
        [_, broken] = sorted(self.site.channels, key=lambda one: one.transport.getPeer().port == _port(wire))

        def fail(data: bytes) -> None:
            raise ZeroDivisionError

        self.patch(broken, "dataReceived", fail)
        wire.send(self.asking)
        await until(lambda: wire.closed)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertEqual(len(await self.asked(other, self.asking)), 1)

    async def test_ended_in_the_same_round(self) -> None:
        """A connection that another one ends while both are ready is left alone."""
        first, second = await self.known(), await self.known()
        channels = list(self.site.channels)
        ended: list[Channel] = []

        def end(data: bytes) -> None:
            for channel in channels:
                if channel not in ended:
                    ended.append(channel)
                    channel.forceAbortClient()

        for channel in channels:
            self.patch(channel, "dataReceived", end)
        first.send(self.asking)
        second.send(self.asking)
        await until(lambda: first.closed and second.closed and not self.site.channels)
        self.assertEqual(len(ended), 2)


class Slow:
    """A socket that takes what it is told to take; for some sends, then all."""

    def __init__(self, real: Any, sends: Callable[[bytes], int], times: int = 1) -> None:
        self.real, self._sends, self.limited = real, sends, times

    def __getattr__(self, name: str) -> Any:
        return getattr(self.real, name)

    def send(self, data: bytes) -> int:
        """Send a part."""
        if not self.limited:
            return int(self.real.send(data))
        self.limited -= 1
        part = bytes(data)[: self._sends(bytes(data))]
        return int(self.real.send(part)) if part else 0


def _blocked() -> int:
    raise BlockingIOError(11, "try again")


def _broken() -> int:
    raise BrokenPipeError(32, "broken")


def _port(wire: Wire) -> int:
    return int(wire.transport.getHost().port)  # type: ignore[union-attr]


class Reading(ProxyFactory):
    """Passes on what it gets in both directions, and keeps it."""

    noisy = False

    def __init__(self, host: str, port: int, read: bytearray) -> None:
        super().__init__(host, port)
        self.read = read

    def buildProtocol(self, addr: Any) -> Any:
        """One connection."""
        protocol = _Near()
        protocol.factory = self
        return protocol


class _Far(ProxyClient):
    def dataReceived(self, data: bytes) -> None:
        near: Any = self.peer
        near.factory.read += data
        super().dataReceived(data)


class _FarFactory(ProxyClientFactory):
    noisy = False
    protocol = _Far


class _Near(ProxyServer):
    clientProtocolFactory = _FarFactory  # noqa: N815

    def dataReceived(self, data: bytes) -> None:
        factory: Any = self.factory
        factory.read += data
        super().dataReceived(data)
