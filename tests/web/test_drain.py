"""How all connections end: nothing that has begun is lost, and nothing lasts for ever."""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionLost
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransportWithDisconnection
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from oauthd.protocol.messages import Response
from oauthd.web.channel import Channel, Limits
from tests.web.edge import Answer, Listening, answers, connected, edge, waiting

GET = b"GET /answer HTTP/1.1\r\nHost: a\r\n\r\n"
POST = (
    b"POST /token HTTP/1.1\r\nHost: a\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 3\r\n\r\n"
)


class ByTheClock(SynchronousTestCase):
    """Ten seconds of a fake clock, a grace of one."""

    def setUp(self) -> None:
        """An endpoint that waits."""
        self.clock = Clock()
        self.pending, answer = waiting()
        self.built = edge(self.clock, answer, Limits(linger_seconds=2), seconds=99)

    def connected(self, data: bytes = b"") -> tuple[Channel, StringTransportWithDisconnection]:
        """A connection on which something was sent."""
        channel, transport = connected(self.built.site)
        if data:
            channel.dataReceived(data)
        return channel, transport

    def drain(self) -> Deferred[None]:
        """Begin."""
        return self.built.site.drain(10, grace=1)

    def answered(self, transport: StringTransportWithDisconnection) -> Answer:
        """The one answer, which must say that it is the last."""
        [answer] = answers(transport.value())
        self.assertEqual(answer.header("connection"), "close")
        return answer

    def test_nothing_to_wait_for(self) -> None:
        """Without connections and work it is over at once, and leaves no timer."""
        self.successResultOf(self.drain())
        self.successResultOf(self.drain())
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_idle_connections(self) -> None:
        """An idle connection is closed after the grace."""
        _, transport = self.connected()
        drained = self.drain()
        self.clock.advance(0.9)
        self.assertTrue(transport.connected)
        self.clock.advance(0.1)
        self.assertFalse(transport.connected)
        self.successResultOf(drained)
        self.assertEqual(transport.value(), b"")
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_a_request_that_was_on_its_way(self) -> None:
        """What arrives on an idle connection within the grace is answered, and that answer is the last."""
        channel, transport = self.connected()
        drained = self.drain()
        channel.dataReceived(POST + b"a=1")
        self.assertEqual(self.answered(transport).status, 200)
        self.assertFalse(transport.connected)
        self.successResultOf(drained)

    def test_requests_in_flight(self) -> None:
        """A request that is being answered gets its answer, and the connection then ends."""
        _, transport = self.connected(GET)
        drained = self.drain()
        self.clock.advance(9)
        self.assertNoResult(drained)
        self.pending[0].callback(Response(200))
        self.assertEqual(self.answered(transport).status, 200)
        self.successResultOf(drained)

    def test_pipelined_requests(self) -> None:
        """Of requests sent all at once, the one in flight is answered and the others are not begun."""
        _, transport = self.connected(GET + GET)
        drained = self.drain()
        self.pending[0].callback(Response(200))
        self.assertEqual(self.answered(transport).status, 200)
        self.successResultOf(drained)
        self.assertEqual(len(self.pending), 1)

    def test_half_sent_requests(self) -> None:
        """A request whose rest arrives in time is answered."""
        channel, transport = self.connected(POST)
        head, other = self.connected(POST[:9])
        drained = self.drain()
        self.clock.advance(5)
        channel.dataReceived(b"a=1")
        head.dataReceived(POST[9:] + b"a=1")
        self.assertEqual(self.answered(transport).status, 200)
        self.assertEqual(self.answered(other).status, 200)
        self.successResultOf(drained)

    def test_the_time_is_over(self) -> None:
        """In the end what is half sent is refused and what is half answered is cut, and then it is over."""
        _, half = self.connected(POST)
        _, unanswered = self.connected(GET)
        drained = self.drain()
        self.clock.advance(10)
        refused = self.answered(half)
        self.assertEqual((refused.status, refused.header("retry-after")), (503, "1"))
        self.assertEqual((unanswered.value(), unanswered.connected), (b"", False))
        self.assertNoResult(drained)
        self.clock.advance(2)
        self.successResultOf(drained)
        self.assertFalse(half.connected)
        self.assertEqual(self.built.recorded.requests, [])

    def test_a_grace_beyond_the_time(self) -> None:
        """An idle connection stays open no longer than requests in flight may take, and is not cut."""
        _, transport = self.connected()
        cut: list[bool] = []
        self.patch(transport, "abortConnection", lambda: cut.append(True))
        drained = self.built.site.drain(10, grace=60)
        self.clock.advance(9.9)
        self.assertTrue(transport.connected)
        self.clock.advance(0.1)
        self.assertFalse(transport.connected)
        self.successResultOf(drained)
        self.assertEqual(cut, [])

    def test_a_client_that_reads_nothing(self) -> None:
        """Whoever does not take the last words is cut at the end."""
        _, half = self.connected(POST)
        cut: list[bool] = []
        self.patch(half, "loseConnection", lambda: None)
        self.patch(half, "abortConnection", lambda: cut.append(True))
        drained = self.drain()
        self.clock.advance(10)
        self.assertEqual(cut, [])
        self.clock.advance(2)
        self.assertEqual(cut, [True])
        self.successResultOf(drained)
        half.protocol.connectionLost(Failure(ConnectionLost()))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_work_whose_client_has_gone(self) -> None:
        """Work goes on after its client hung up, and is waited for."""
        _, transport = self.connected(GET)
        transport.loseConnection()
        drained = self.drain()
        self.clock.advance(1)
        self.assertNoResult(drained)
        self.pending[0].callback(Response(200))
        self.successResultOf(drained)

    def test_work_that_never_ends(self) -> None:
        """Work whose client has gone is not waited for longer than the rest."""
        _, transport = self.connected(GET)
        transport.loseConnection()
        drained = self.drain()
        self.clock.advance(10)
        self.clock.advance(2)
        self.successResultOf(drained)

    def test_connections_that_still_arrive(self) -> None:
        """A connection that was waiting to be accepted is served once, or closed when it says nothing."""
        _, busy = self.connected(GET)
        drained = self.drain()
        self.clock.advance(5)
        _, silent = self.connected()
        _, late = self.connected(POST + b"a=1")
        self.assertEqual(self.answered(late).status, 200)
        self.clock.advance(1)
        self.assertFalse(silent.connected)
        self.assertTrue(busy.connected)
        self.pending[0].callback(Response(200))
        self.successResultOf(drained)


class OnSockets(Listening):
    """The same once more where the kernel has a say."""

    async def test_all_at_once(self) -> None:
        """A request in flight, an idle connection and a half-sent body each end as they should."""
        pending, answer = waiting()
        built = self.listen(answer=answer)
        idle, busy, half = [await self.wire() for _ in range(3)]
        busy.send(GET)
        half.send(POST)
        await self.until(lambda: len(pending) == 1 and any(channel.reading for channel in built.site.channels))
        await self.port.stopListening()
        drained = built.site.drain(600, grace=0.01)
        self.assertEqual(await idle.end(), [])
        half.send(b"a=1")
        self.assertEqual([each.status for each in await half.end()], [200])
        pending[0].callback(Response(200, (), b"done"))
        [last] = await busy.end()
        self.assertEqual((last.body, last.header("connection")), (b"done", "close"))
        await drained
        self.assertEqual(built.site.channels, set())
