"""The primary is where the newest word of the sentinels says, and a pool never stands on two servers."""

from __future__ import annotations

import signal
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import CancelledError, Deferred, ensureDeferred, gatherResults
from twisted.internet.endpoints import UNIXClientEndpoint
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThread

from oauthd.stores.address import Primary
from oauthd.stores.connection import RedisConnection
from oauthd.stores.interface import StoreUnavailable
from oauthd.stores.sentinel import WATCH, NoPrimary, Place, Sentinels
from tests.ports import free_port
from tests.stores.case import PATIENCE
from tests.stores.replicas import Service
from tests.stores.servers import Reciter, reactor
from tests.stores.test_connection import SECRET, SHORT, ConnectionCase


class AnswerTests(ConnectionCase):
    """What becomes of the answers of sentinels that say what the test wants."""

    def setUp(self) -> None:
        """Three sentinels, each of which says `host` and an epoch; None: it is silent."""
        super().setUp()
        self.said: list[tuple[str, int] | None] = [("old", 1)] * 3
        self.reciters = [self.reciter(self.answer(number)) for number in range(3)]

    def answer(self, number: int) -> Callable[[list[bytes]], bytes | None]:
        """What one sentinel says."""

        def answer(command: list[bytes]) -> bytes | None:
            said = self.said[number]
            if said is None:
                return b""
            host, epoch = said
            if command[1] == b"MASTER":
                return b"*4\r\n$4\r\nname\r\n$4\r\nmain\r\n$12\r\nconfig-epoch\r\n$1\r\n%d\r\n" % epoch
            return b"*2\r\n$%d\r\n%b\r\n$1\r\n7\r\n" % (len(host), host.encode()) if host else b"*-1\r\n"

        return answer

    def sentinels(self, reciters: list[Reciter], **settings: Any) -> Sentinels:
        """The sentinels, by numbers; a server of any other name is what listens at the first one's socket."""
        paths = {str(number): reciter.path for number, reciter in enumerate(reciters)}
        self.reached: list[str] = []
        self.asked: list[str] = []

        def reach(host: str, port: int) -> UNIXClientEndpoint:
            (self.asked if host in paths else self.reached).append(host)
            return UNIXClientEndpoint(reactor, paths.get(host, reciters[0].path))

        return Sentinels(reactor, [(host, 1) for host in paths], "main", reach, timeout=SHORT, **settings)

    async def connect(self, sentinels: Sentinels) -> Place | None:
        """Connect once; where to."""
        protocol: Any = await sentinels.connect(Factory.forProtocol(Protocol))
        protocol.transport.abortConnection()
        return sentinels.place

    async def test_agreed(self) -> None:
        """Where all agree the connection is made to that place."""
        sentinels = self.sentinels(self.reciters)
        self.assertEqual(await self.connect(sentinels), ("old", 7))
        self.assertEqual(self.reached, ["old"])

    async def test_newest_configuration(self) -> None:
        """One sentinel that has heard of the failover counts for more than one that has not."""
        sentinels = self.sentinels(self.reciters[:2])
        self.said[:2] = [("old", 1), ("new", 2)]
        self.assertEqual(await self.connect(sentinels), ("new", 7))

    async def test_never_back(self) -> None:
        """A minority that speaks of an older configuration than was heard of is not followed; a majority is."""
        sentinels = self.sentinels(self.reciters)
        self.said = [("new", 2)] * 3
        self.assertEqual(await self.connect(sentinels), ("new", 7))
        self.said = [("old", 1), None, None]
        self.assertEqual(await self.connect(sentinels), ("new", 7))
        self.said = [("again", 0)] * 3
        self.assertEqual(await self.connect(sentinels), ("again", 7))

    async def test_silent_ones(self) -> None:
        """Sentinels that are away or silent do not stand in the way of one that answers."""
        await self.reciters[2].close()
        self.said = [None, ("old", 1), None]
        self.assertEqual(await self.connect(self.sentinels(self.reciters)), ("old", 7))

    async def test_none(self) -> None:
        """Where none answers, or none knows the service, the reason says so."""
        sentinels = self.sentinels(self.reciters)
        for said, reason in ((None, "no sentinel answers (TimeoutError)"),
                             (("", 1), "the sentinels do not know the service")):  # fmt: skip
            self.said = [said] * 3
            with self.assertRaises(NoPrimary) as caught:
                await self.connect(sentinels)
            self.assertEqual(str(caught.exception), reason)

    async def test_refused(self) -> None:
        """A sentinel that does not let us in is as good as none, and no password is in the reason."""
        reciter = self.reciter(lambda command: b"-WRONGPASS invalid " + command[-1] + b"\r\n")
        with self.assertRaises(NoPrimary) as caught:
            await self.connect(self.sentinels([reciter], password=SECRET))
        self.assertEqual(str(caught.exception), "no sentinel answers (WRONGPASS)")

    async def test_one_question_for_all(self) -> None:
        """Many who connect at once ask once, and one who gives up leaves the others their answer."""
        sentinels = self.sentinels(self.reciters[:1])
        connecting = [ensureDeferred(self.connect(sentinels)) for _ in range(5)]
        connecting[0].cancel()
        self.failureResultOf(connecting[0], CancelledError)
        await gatherResults(connecting[1:])
        self.assertEqual([command[1] for command in self.reciters[0].heard], [b"GET-MASTER-ADDR-BY-NAME", b"MASTER"])

    async def test_watching(self) -> None:
        """Who watches is told when the primary is somewhere else, and only then, until the watch ends."""
        sentinels = self.sentinels(self.reciters)
        moves: list[Place | None] = []
        moved: Deferred[None] = Deferred()

        def told() -> None:
            moves.append(sentinels.place)
            moved.callback(None)

        await self.connect(sentinels)
        sentinels.watch(told)
        self.said = [("new", 2)] * 3
        await moved
        self.assertEqual(moves, [("new", 7)])
        sentinels.unwatch(told)
        self.said = [("newer", 3)] * 3
        await self.connect(sentinels)
        self.assertEqual(moves, [("new", 7)])


    async def test_connections_are_kept(self) -> None:
        """While somebody watches, each sentinel is asked on one connection, and on a new one when that was lost."""
        sentinels = self.sentinels(self.reciters[:1])
        sentinels.watch(self.fail)
        self.addCleanup(sentinels.unwatch, self.fail)
        for _ in range(3):
            await self.connect(sentinels)
        self.assertEqual((self.asked, len(self.reciters[0].heard)), (["0"], 2 * 3))
        (line,) = sentinels._lines.values()
        line.transport.abortConnection()
        while line.lost is None:
            await deferLater(reactor, 0.01)
        await self.connect(sentinels)
        self.assertEqual(self.asked, ["0", "0"])

    async def test_slow_one(self) -> None:
        """A sentinel that answers late is not mistaken: what it says belongs to what it was asked."""
        sentinels = self.sentinels(self.reciters[:2])
        sentinels.watch(self.moved)
        self.addCleanup(sentinels.unwatch, self.moved)
        self.said[:2] = [("old", 1), None]
        await self.connect(sentinels)
        self.said[1] = ("new", 2)
        self.assertEqual(await self.connect(sentinels), ("new", 7))

    def moved(self) -> None:
        """The primary is somewhere else."""


class NewServerTests(ConnectionCase):
    """What happens when another server answers than before."""

    def setUp(self) -> None:
        """A server whose name the test sets; it says the name to GET."""
        super().setUp()
        self.run_id = b"a"
        self.server = self.reciter(self.answer)

    def answer(self, command: list[bytes]) -> bytes | None:
        """INFO as a real server gives it."""
        info = b"run_id:%b\r\nmaster_replid:%b\r\n" % (self.run_id, self.run_id.upper())
        said = {b"INFO": b"$%d\r\n%b\r\n" % (len(info), info), b"GET": b"$1\r\n%b\r\n" % self.run_id,
                b"ECHO": b"$1\r\ne\r\n"}  # fmt: skip
        return said.get(command[0])

    async def full(self, size: int = 3) -> RedisConnection:
        """A pool all of whose connections stand."""
        connection = await self.connected(path=self.server.path, size=size)
        while len(connection._factory.pool) < size:
            await deferLater(reactor, 0.01)
        return connection

    async def lose_one(self, connection: RedisConnection) -> None:
        """Make the server break one connection, and wait until there is one in its place."""
        first = connection._factory.pool[0]
        first.leave("the test says so")
        while len(connection._factory.pool) < 3 or first in connection._factory.pool:
            await deferLater(reactor, 0.01)

    async def test_told_first(self) -> None:
        """Whoever wants to know is told before anything is sent to the new server, and once only."""
        connection = await self.full()
        self.assertEqual((connection.server_id, connection.failovers), ("a A", 0))
        told: list[Any] = []
        connection.on_new_server.append(lambda: told.append(ensureDeferred(connection.call(("ECHO", "first")))))
        self.run_id = b"b"
        await self.lose_one(connection)
        self.assertEqual((connection.server_id, connection.failovers, len(told)), ("b B", 1, 1))
        await told[0]
        self.assertEqual(await connection.call(("GET", "k")), [b"b"])
        await self.lose_one(connection)
        self.assertEqual((connection.failovers, len(told)), (1, 1))

    async def test_not_on_two(self) -> None:
        """The connections that reached the server before are given up as soon as one has reached another."""
        connection = await self.full()
        before = list(connection._factory.pool)
        self.run_id = b"b"
        await self.lose_one(connection)
        self.assertEqual([protocol.server_id for protocol in connection._factory.pool], ["b B"] * 3)
        self.assertEqual([protocol.stands for protocol in before], [False] * 3)

    async def test_history(self) -> None:
        """The same run with another history of its data has been a replica in between: that is another server."""
        connection = await self.full()
        answer, self.server.answer = self.server.answer, lambda command: (
            b"$17\r\nmaster_replid:Z\r\n\r\n" if command == [b"INFO", b"replication"] else answer(command)
        )
        await self.lose_one(connection)
        self.assertEqual((connection.server_id, connection.failovers), ("a Z", 1))

    async def test_unknown(self) -> None:
        """A server that does not tell who it is may be another one after each outage, and is not counted."""
        self.server.answer = lambda command: b"-NOPERM no\r\n" if command[0] == b"INFO" else None
        connection = await self.full()
        told: list[bool] = []
        connection.on_new_server.append(lambda: told.append(True))
        await self.lose_one(connection)
        self.assertEqual(told, [])
        for protocol in list(connection._factory.pool):
            protocol.leave("the test says so")
        await connection.ready(PATIENCE)
        self.assertEqual((connection.server_id, connection.failovers, told), ("", 0, [True]))

    async def test_silence_of_one(self) -> None:
        """When one connection falls silent all are given up at once, and what can be is sent anew."""
        line = self.line(self.server.path)
        connection = await self.connected(path=line.path, size=2, reply_timeout=SHORT)
        while len(connection._factory.pool) < 2:
            await deferLater(reactor, 0.01)
        before = list(connection._factory.pool)
        line.dumb = True
        with self.assertRaises(StoreUnavailable):
            await connection.call(("GET", "k"))
        self.assertEqual([protocol.stands for protocol in before], [False, False])
        line.dumb = False
        self.assertEqual(await self.eventually(lambda: connection.call(("GET", "k"))), [b"a"])


class FailoverTests(ConnectionCase):
    """A real primary, a real replica, three real sentinels."""

    password = SECRET

    async def setUp(self) -> None:  # type: ignore[override]  # trial awaits it
        """Start them, and connect."""
        super().setUp()
        self.service = Service(1, self.password, self.password)
        self.addCleanup(self.service.close)
        await deferToThread(self.service.start)
        self.primary = Primary(reactor, **self.service.where, timeout=1.0)
        self.pool = await self.connected(primary=self.primary, size=3, reply_timeout=1.0)
        self.told: list[str] = []
        self.pool.on_new_server.append(lambda: self.told.append(self.pool.server_id))

    async def assert_moved(self) -> None:
        """The pool works at the new primary alone."""
        new = self.service.primary
        self.assertEqual(await self.eventually(lambda: self.pool.call(("SET", "k", "new"))), [b"OK"])
        run_id = new.info("server")["run_id"]
        self.assertEqual(self.pool.server_id.split()[0], run_id)
        self.assertEqual((self.pool.failovers, len(self.told)), (1, 1))
        self.assertEqual(self.primary.place, f"127.0.0.1:{new.port}")
        while len(self.pool._factory.pool) < 3:
            await deferLater(reactor, 0.02)
        self.assertEqual({protocol.server_id for protocol in self.pool._factory.pool}, {self.pool.server_id})
        self.assertEqual(new.say("GET", "k"), b"new")
        self.assert_nothing_told()

    async def test_killed(self) -> None:
        """After the death of the primary the pool is at the promoted replica."""
        await self.pool.call(("SET", "k", "old"), ("WAIT", 1, 0))
        self.service.primary.kill()
        await deferToThread(self.service.wait_for_failover)
        await self.assert_moved()

    async def test_standing_still(self) -> None:
        """A primary that stands still is left though its connections stand; when it goes on nobody is there."""
        old = self.service.primary
        old.signal(signal.SIGSTOP)
        self.addCleanup(old.signal, signal.SIGCONT)
        await deferToThread(self.service.wait_for_failover)
        await self.assert_moved()
        old.signal(signal.SIGCONT)
        await self.pool.call(("SET", "k", "newest"))
        self.assertEqual(self.service.primary.say("GET", "k"), b"newest")

    async def test_asked_for(self) -> None:
        """A failover that somebody asks for moves the pool, though the old primary is well."""
        self.assertEqual(self.service.sentinels[0].say("SENTINEL", "FAILOVER", "main"), b"OK")
        new = await deferToThread(self.service.wait_for_failover)
        while self.primary.place != f"127.0.0.1:{new.port}":  # the old one serves until the sentinels name the new one
            await deferLater(reactor, 0.02)
        await self.assert_moved()

    async def test_without_sentinels(self) -> None:
        """What stands goes on standing when all sentinels are gone, and nothing is said of another server."""
        for sentinel in self.service.sentinels:
            sentinel.kill()
        for _ in range(3):
            await deferLater(reactor, WATCH / 2)
            self.assertEqual(await self.pool.call(("SET", "k", "v")), [b"OK"])
        self.assertEqual((self.pool.failovers, self.told), (0, []))

    async def test_second_connection(self) -> None:
        """Another connection of the same primary moves with the pool."""
        other = await self.connected(primary=self.primary, size=1)
        self.service.primary.kill()
        await deferToThread(self.service.wait_for_failover)
        await self.eventually(lambda: other.call(("PING",)))
        self.assertEqual(other.server_id.split()[0], self.service.primary.info("server")["run_id"])
        await self.assert_moved()


class NobodyTests(ConnectionCase):
    """No sentinel at all."""

    async def test_away(self) -> None:
        """Where no sentinel is there the store is away, and the reason says what is."""
        connection = self.connection(sentinels=[("127.0.0.1", free_port())], service="main", reply_timeout=SHORT)
        with self.assertRaises(StoreUnavailable):
            await connection.call(("GET", "k"))
        self.assertEqual(connection.why, "connecting failed: no sentinel answers (ConnectionRefusedError)")
