"""Every call ends, outages look like outages and bugs like bugs, and nothing that was said gets into a log."""

from __future__ import annotations

import contextlib
import ipaddress
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from twisted.internet.defer import CancelledError, ensureDeferred, gatherResults
from twisted.internet.endpoints import UNIXClientEndpoint, serverFromString
from twisted.internet.protocol import Factory
from twisted.internet.task import deferLater
from twisted.logger import ILogObserver, LogEvent, globalLogPublisher
from twisted.protocols.portforward import ProxyClientFactory, ProxyServer
from twisted.trial.unittest import TestCase

from oauthd.metrics import StoreCounts
from oauthd.stores.connection import CommandRefused, RedisConnection
from oauthd.stores.interface import StoreUnavailable
from oauthd.stores.pool import ReplyLost
from oauthd.stores.scripts import Script
from tests.certificates import builder, common
from tests.stores.case import PATIENCE, stopped
from tests.stores.servers import Line, OwnValkey, Reciter, reactor
from tests.valkey import fresh_database

SECRET = "s3cr3t-word"
SHORT = 0.5  # seconds of reply time-out, where a test waits for it to pass


class ConnectionCase(TestCase):
    """Makes connections that are closed after the test, and listens to the log."""

    def setUp(self) -> None:
        """Listen."""
        self.logged: list[LogEvent] = []
        observer = cast(ILogObserver, self.logged.append)
        globalLogPublisher.addObserver(observer)
        self.addCleanup(globalLogPublisher.removeObserver, observer)

    def connection(self, **settings: Any) -> RedisConnection:
        """A connection that has been started; patient, unless the test says otherwise."""
        connection = RedisConnection(reactor, **{"reply_timeout": PATIENCE, **settings})
        connection.start()
        self.addCleanup(stopped, connection)
        return connection

    async def connected(self, **settings: Any) -> RedisConnection:
        """A connection that is up."""
        connection = self.connection(**settings)
        await connection.ready(PATIENCE)
        return connection

    def reciter(self, answer: Callable[[list[bytes]], bytes | None]) -> Reciter:
        """A server that says what the test wants."""
        reciter = Reciter(answer)
        self.addCleanup(lambda: ensureDeferred(reciter.close()))
        return reciter

    def line(self, server: str) -> Line:
        """A lossy line to a server."""
        line = Line(server)
        self.addCleanup(lambda: ensureDeferred(line.close()))
        return line

    async def eventually(self, call: Callable[[], Any]) -> Any:
        """What `call` gives as soon as the store is available again; the test's own time-out bounds it."""
        while True:
            with contextlib.suppress(StoreUnavailable):
                return await call()
            await deferLater(reactor, 0.02)

    def assert_nothing_told(self) -> None:
        """No log line holds the secret word."""
        self.assertNotIn(SECRET, repr(self.logged))


class CallTests(ConnectionCase):
    """`call` on a server that is well."""

    async def test_replies(self) -> None:
        """Replies are bytes, integers, lists and None, in the order of the commands, and digits stay bytes."""
        connection = await self.connected(path=fresh_database())
        replies = await connection.call(
            ("SET", b"k\0\xff", b"12.5"), ("GET", b"k\0\xff"), ("INCR", "n"), ("MGET", "n", "x"), ("GET", "x")
        )
        self.assertEqual(replies, [b"OK", b"12.5", 1, [b"1", None], None])

    async def test_many_at_once(self) -> None:
        """A thousand calls at once each get their own reply, over as many connections as it takes."""
        connection = await self.connected(path=fresh_database(), size=3)
        calls = [ensureDeferred(connection.call(("ECHO", b"%d" % n), ("ECHO", "x"))) for n in range(1000)]
        self.assertEqual(await gatherResults(calls), [[b"%d" % n, b"x"] for n in range(1000)])

    async def test_large(self) -> None:
        """A value of megabytes arrives whole."""
        connection = await self.connected(path=fresh_database())
        value = bytes(range(256)) * 20_000
        self.assertEqual(await connection.call(("SET", "k", value), ("GET", "k")), [b"OK", value])

    async def test_cancelled(self) -> None:
        """Cancelling one who waits takes nothing from the others, and the connection stays."""
        connection = await self.connected(path=fresh_database(), size=1)
        await connection.call(("CLIENT", "SETNAME", "same"))
        calls = [ensureDeferred(connection.call(("ECHO", b"%d" % n))) for n in range(9)]
        for n in (0, 4, 8):
            calls[n].cancel()
        for n, call in enumerate(calls):
            if n % 4:
                self.assertEqual(await call, [b"%d" % n])
            else:
                with self.assertRaises(CancelledError):
                    await call
        self.assertEqual(await connection.call(("CLIENT", "GETNAME")), [b"same"])

    async def test_database(self) -> None:
        """Another database of the same server holds other keys."""
        path = fresh_database()
        one, other = await self.connected(path=path), await self.connected(path=path, db=3)
        await other.call(("SET", "k", "v"))
        self.assertEqual(await one.call(("GET", "k")), [None])
        self.assertEqual(await one.call(("SELECT", 3), ("GET", "k")), [b"OK", b"v"])

    async def test_counted(self) -> None:
        """Exchanges, what failed and what was refused, and connections that stand and were lost, are counted."""
        counts = StoreCounts()
        line = self.line(fresh_database())
        connection = await self.connected(path=line.path, size=1, counts=counts)
        greeted = counts.latency.count
        await connection.call(("SET", "k", "v"), ("GET", "k"))
        with self.assertRaises(CommandRefused):
            await connection.call(("INCR", "k"))
        self.assertEqual((counts.latency.count - greeted, counts.refused, counts.connections), (2, 1, 1))
        line.plan = [False]
        with self.assertRaises(StoreUnavailable):
            await connection.call(("GET", "k"), again=False)
        self.assertEqual((counts.unavailable, counts.lost, counts.connections), (1, 1, 0))

    async def test_stop(self) -> None:
        """What is under way when the connection is stopped ends well; what comes later is refused."""
        connection = await self.connected(path=fresh_database())
        call = ensureDeferred(connection.call(("SET", "k", "v")))
        await connection.stop()
        self.assertEqual(self.successResultOf(call), [b"OK"])
        self.assertFalse(connection.available)
        with self.assertRaises(StoreUnavailable):
            await connection.call(("GET", "k"))

    async def test_stop_before_the_first_connection(self) -> None:
        """A connection that never came up is stopped as well, and so is one that was never started."""
        connection = self.connection(path="/nonexistent/socket", reply_timeout=SHORT)
        call = ensureDeferred(connection.call(("GET", "k")))
        await connection.stop()
        self.assertFalse(connection.available)
        with self.assertRaises(StoreUnavailable):
            await call
        await RedisConnection(reactor, path="/nonexistent/socket").stop()

    def test_address(self) -> None:
        """A connection needs a path, or host and port."""
        for settings in ({}, {"host": "localhost"}, {"port": 1}):
            with self.assertRaises(ValueError):
                RedisConnection(reactor, **settings)


class RefusalTests(ConnectionCase):
    """What the server's errors become."""

    async def test_states(self) -> None:
        """Each word for a state of the server is an outage, as itself and as scripts of Redis 6 hide it."""
        said: list[bytes] = []
        reciter = self.reciter(lambda command: said[-1] if command[0] in (b"GET", b"EVALSHA") else None)
        connection = await self.connected(path=reciter.path)
        texts = [f"{word} {SECRET}" for word in (
            "LOADING", "READONLY", "OOM", "MISCONF", "BUSY", "NOREPLICAS", "NOAUTH", "WRONGPASS", "NOPERM",
            "MASTERDOWN", "CLUSTERDOWN", "TRYAGAIN", "MOVED", "ASK",
        )]  # fmt: skip
        texts.append("ERR max number of clients reached")
        texts.append(f"ERR Error running script (call to f_ab): @user_script:3: @user_script: 3: -OOM {SECRET}")
        for text in texts:
            said.append(f"-{text}\r\n".encode())
            with self.assertRaises(StoreUnavailable) as caught:
                await self.eventually_asked(connection)
            self.assertNotIn(SECRET, str(caught.exception))
        self.assert_nothing_told()

    async def eventually_asked(self, connection: RedisConnection) -> None:
        """Ask when there is a connection: some of the errors end it."""
        await connection.ready(PATIENCE)
        await connection.call(("GET", SECRET))

    async def test_bugs(self) -> None:
        """Other errors are ours; they tell command or script, line and word, and no value."""
        connection = await self.connected(path=fresh_database())
        await connection.call(("SET", SECRET, SECRET))
        broken = Script("broken", f"-- {SECRET}\nreturn nil + 1".encode(), "0" * 40)
        wrong = Script("wrong", f"\nreturn redis.call('INCR', '{SECRET}')".encode(), "1" * 40)
        for command, told in (
            (("NONSENSE", SECRET), "the store refused NONSENSE: ERR"),
            (("INCR", SECRET), "the store refused INCR: ERR"),
            (("LPUSH", SECRET, "x"), "the store refused LPUSH: WRONGTYPE"),
            (broken.on(), "the store refused broken at line 2: ERR"),
            (wrong.on(), "the store refused wrong at line 2: ERR"),
        ):
            with self.assertRaises(CommandRefused) as caught:
                await connection.call(command)
            self.assertEqual(str(caught.exception), told)
            self.assertNotIsInstance(caught.exception, StoreUnavailable)
        self.assert_nothing_told()

    async def test_one_of_a_batch(self) -> None:
        """An error of one command is that of the batch, whose other commands were carried out."""
        connection = await self.connected(path=fresh_database())
        with self.assertRaises(CommandRefused):
            await connection.call(("SET", "a", "1"), ("NONSENSE",), ("SET", "b", "2"))
        self.assertEqual(await connection.call(("MGET", "a", "b")), [[b"1", b"2"]])

    async def test_busy(self) -> None:
        """A server that is held up by somebody's script is unavailable, and then is not."""
        server = OwnValkey()
        self.addCleanup(server.close)
        server.start("--lua-time-limit", "1")
        connection = await self.connected(path=server.path)
        other = await self.connected(path=server.path)
        held = ensureDeferred(other.call(("EVAL", "while true do end", 0)))
        with self.assertRaises(StoreUnavailable) as caught:
            while True:
                await connection.call(("GET", "k"))
                await deferLater(reactor, 0.01)
        self.assertIn("BUSY", str(caught.exception))
        server.say("SCRIPT", "KILL")
        with self.assertRaises(CommandRefused):
            await held
        self.assertEqual(await self.eventually(lambda: connection.call(("GET", "k"))), [None])


class LossTests(ConnectionCase):
    """Connections that break."""

    async def test_silence(self) -> None:
        """A server that takes commands and never replies is unavailable, and everybody who waits is told."""
        line = self.line(fresh_database())
        connection = await self.connected(path=line.path, reply_timeout=SHORT)
        line.dumb = True
        for call in [ensureDeferred(connection.call(("GET", "k"))) for _ in range(5)]:
            with self.assertRaises(StoreUnavailable) as caught:
                await call
            self.assertNotIsInstance(caught.exception, ReplyLost)
        self.assertEqual(connection.why, "no reply within 0.5 s")
        line.dumb = False
        self.assertEqual(await self.eventually(lambda: connection.call(("GET", "k"))), [None])

    async def test_silence_is_not_asked_twice(self) -> None:
        """A command that was met with silence is not sent again: it may have been carried out, and time is up."""
        reciter = self.reciter(lambda command: b"" if command[0] == b"GET" else None)
        connection = await self.connected(path=reciter.path, reply_timeout=SHORT)
        with self.assertRaises(StoreUnavailable):
            await connection.call(("GET", "k"))
        await connection.stop()
        self.assertEqual(reciter.heard.count([b"GET", b"k"]), 1)

    async def test_own_stillness(self) -> None:
        """If this process stood still past the time-out, the server is given its time all the same."""
        path = fresh_database()
        other = await self.connected(path=path, size=1)
        connection = await self.connected(path=path, reply_timeout=0.5, size=1)
        await other.call(("PING",))
        call = ensureDeferred(connection.call(("ECHO", "x")))
        time.sleep(1)  # noqa: ASYNC251 - this is the point: in the middle of a turn of the reactor
        self.assertEqual(await call, [b"x"])

    async def test_lost_and_sent_again(self) -> None:
        """What may be done twice is sent again when the reply was lost, until it is answered."""
        line = self.line(fresh_database())
        connection = await self.connected(path=line.path, size=1)
        line.plan = [False]
        self.assertEqual(await connection.call(("INCR", "n")), [2])

    async def test_lost_and_not_sent_again(self) -> None:
        """What may be done once only is not sent again: its outcome is unknown."""
        line = self.line(fresh_database())
        connection = await self.connected(path=line.path, size=1)
        line.plan = [False]
        with self.assertRaises(StoreUnavailable):
            await connection.call(("INCR", "n"), again=False)
        self.assertEqual(await self.eventually(lambda: connection.call(("GET", "n"))), [b"1"])

    async def test_nobody_there(self) -> None:
        """Without any server a call waits for it a little, and once it has been away longer, not at all."""
        connection = self.connection(path="/nonexistent/socket", reply_timeout=SHORT)
        with self.assertRaises(StoreUnavailable) as caught:
            await connection.call(("GET", SECRET))
        self.assertEqual(str(caught.exception), "no connection to the store: connecting failed: ConnectError")
        at_once = ensureDeferred(connection.call(("GET", SECRET)))
        self.failureResultOf(at_once, StoreUnavailable)
        with self.assertRaises(StoreUnavailable):
            await connection.ready(0.01)
        self.assert_nothing_told()

    async def test_waits_for_the_connection(self) -> None:
        """A call that comes before the connection is up is sent when it is."""
        connection = self.connection(path=fresh_database())
        calls = [ensureDeferred(connection.call(("ECHO", b"%d" % n))) for n in range(3)]
        calls[1].cancel()
        self.failureResultOf(calls[1], CancelledError)
        self.assertEqual([await calls[0], await calls[2]], [[b"0"], [b"2"]])

    async def test_no_redis(self) -> None:
        """A server that speaks something else, or speaks unasked, is left."""
        for noise, why in ((b"HTTP/1.1 400\r\n\r\n", "what it says is not the Redis protocol"),
                           (b"+A\r\n+B\r\n", "it said something unasked")):  # fmt: skip
            reciter = self.reciter(lambda command, noise=noise: noise if command[0] == b"GET" else None)  # type: ignore[misc]
            connection = await self.connected(path=reciter.path, size=1)
            with contextlib.suppress(StoreUnavailable):
                await connection.call(("GET", "k"), again=False)
            while connection.available:
                await deferLater(reactor, 0)
            self.assertEqual(connection.why, why)

    async def test_pool_does_not_grow(self) -> None:
        """However often connections break, nothing of them is kept."""
        line = self.line(fresh_database())
        connection = await self.connected(path=line.path, size=2)
        factory = connection._factory
        for _ in range(5):
            while len(factory.pool) < 2:
                await deferLater(reactor, 0.01)
            for near in list(line.lines):
                near.cut()
            while factory.pool:
                await deferLater(reactor, 0.01)
        await connection.ready(PATIENCE)
        self.assertLessEqual(len(factory.pool), 2)
        self.assertEqual(len(factory.connectionQueue.pending), len(factory.pool))  # type: ignore[attr-defined]


class GreetingTests(ConnectionCase):
    """What happens on a new connection."""

    async def test_password(self) -> None:
        """A server with a password is used with it, each connection anew; with the wrong one or none it is away."""
        server = OwnValkey()
        self.addCleanup(server.close)
        server.start("--requirepass", SECRET)
        right = await self.connected(path=server.path, password=SECRET, db=2)
        self.assertEqual(await right.call(("SET", "k", "v")), [b"OK"])
        for password, why in ((SECRET + "x", "it answers WRONGPASS to AUTH"), (None, "it answers NOAUTH to PING")):
            wrong = self.connection(path=server.path, password=password, reply_timeout=SHORT)
            with self.assertRaises(StoreUnavailable):
                await wrong.call(("GET", "k"))
            self.assertEqual(wrong.why, why)
        self.assert_nothing_told()

    async def test_password_mended(self) -> None:
        """When the server gets the password that we have, or the user is made, the next try succeeds."""
        server = OwnValkey()
        self.addCleanup(server.close)
        server.start("--requirepass", "other")
        connections = [
            self.connection(path=server.path, password=SECRET, reply_timeout=SHORT),
            self.connection(path=server.path, user="oauthd", password=SECRET, db=1, reply_timeout=SHORT),
        ]
        for connection in connections:
            with self.assertRaises(StoreUnavailable):
                await connection.call(("GET", "k"))
        connection = await self.connected(path=server.path, password="other")
        await connection.call(("ACL", "SETUSER", "oauthd", "on", f">{SECRET}", "~*", "+@all", "-@dangerous"))
        await connection.call(("CONFIG", "SET", "requirepass", SECRET))
        for mended in connections:
            self.assertEqual(await self.eventually(lambda mended=mended: mended.call(("GET", "k"))), [None])  # type: ignore[misc]
        self.assert_nothing_told()

    async def test_password_changed(self) -> None:
        """Connections that the server throws out come back as soon as the password is right again."""
        server = OwnValkey()
        self.addCleanup(server.close)
        server.start("--requirepass", SECRET)
        connection = await self.connected(path=server.path, password=SECRET, reply_timeout=SHORT)
        server.kill()
        server.start("--requirepass", "changed")
        with self.assertRaises(StoreUnavailable):
            while True:
                await connection.call(("GET", "k"))
                await deferLater(reactor, 0.01)
        server.kill()
        server.start("--requirepass", SECRET)
        self.assertEqual(await self.eventually(lambda: connection.call(("GET", "k"))), [None])

    async def test_silent_greeting(self) -> None:
        """A server that accepts and says nothing is tried again and again, with a password too."""
        tries: list[bytes] = []

        def answer(command: list[bytes]) -> bytes | None:
            tries.append(command[0])
            return b"" if len(tries) < 10 else b"+OK\r\n" if command[0] in (b"AUTH", b"GET") else None

        connection = self.connection(path=self.reciter(answer).path, password="p", size=1, reply_timeout=0.1)
        self.assertEqual(await self.eventually(lambda: connection.call(("GET", "k"))), [b"OK"])

    async def test_replica(self) -> None:
        """A replica is not used; where ROLE is forbidden the server is trusted."""
        role = [b"*1\r\n$5\r\nslave\r\n"]
        reciter = self.reciter(lambda command: {b"ROLE": role[0], b"GET": b"$-1\r\n"}.get(command[0]))
        connection = self.connection(path=reciter.path, reply_timeout=SHORT)
        with self.assertRaises(StoreUnavailable):
            await connection.call(("GET", "k"))
        self.assertEqual(connection.why, "it is a replica")
        role[0] = b"-NOPERM this user has no permissions to run the 'role' command\r\n"
        self.assertEqual(await self.eventually(lambda: connection.call(("GET", "k"))), [None])


class TlsTests(ConnectionCase):
    """TLS, by a terminator in front of the server."""

    def setUp(self) -> None:
        """An authority and the folder for its files."""
        super().setUp()
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)

    def certificate(self, name: str, hosts: list[x509.GeneralName]) -> str:
        """Make a self-signed certificate; the stem of its files."""
        key = ec.generate_private_key(ec.SECP256R1())
        made = (
            builder(common(name), common(name), key)
            .add_extension(x509.BasicConstraints(True, None), True)
            .add_extension(x509.SubjectAlternativeName(hosts), False)
            .sign(key, hashes.SHA256())
        )
        stem = Path(self.folder.name) / name
        private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        stem.with_suffix(".key").write_bytes(private)
        stem.with_suffix(".pem").write_bytes(made.public_bytes(Encoding.PEM))
        return str(stem)

    def joined(self, *stems: str) -> str:
        """One file of several certificates."""
        both = Path(self.folder.name) / "both.pem"
        both.write_bytes(b"".join(Path(f"{stem}.pem").read_bytes() for stem in stems))
        return str(both)

    async def terminator(self, stem: str, path: str = "") -> int:
        """Start the terminator with a certificate, before the server at a socket; its port."""
        path = path or fresh_database()

        class Server(ProxyServer):
            def connectionMade(self) -> None:
                self.transport.pauseProducing()
                client = ProxyClientFactory()
                client.setServer(self)
                UNIXClientEndpoint(reactor, path).connect(client)

        port = await serverFromString(
            reactor, f"ssl:0:interface=127.0.0.1:privateKey={stem}.key:certKey={stem}.pem"
        ).listen(Factory.forProtocol(Server))  # type: ignore[type-var]
        self.addCleanup(port.stopListening)
        number: int = port.getHost().port
        return number

    async def test_trusted(self) -> None:
        """A certificate of the given authority for the given host, by name and by address, is accepted."""
        loopback = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
        stem = self.certificate("server", [x509.DNSName("localhost"), loopback])
        other = self.certificate("other", [x509.DNSName("other.example")])
        both = self.joined(other, stem)
        port = await self.terminator(stem)
        for host in ("localhost", "127.0.0.1"):
            connection = await self.connected(host=host, port=port, tls=True, ca_file=both)
            self.assertEqual(await connection.call(("ECHO", "x" * 50_000)), [b"x" * 50_000])
            await connection.stop()

    async def test_strangers(self) -> None:
        """A certificate for another host, of another authority, or of none that the system knows, is refused."""
        stem = self.certificate("server", [x509.DNSName("elsewhere.example")])
        other = self.certificate("other", [x509.DNSName("localhost")])
        port = await self.terminator(stem)
        for ca_file in (f"{stem}.pem", f"{other}.pem", None):
            connection = self.connection(host="localhost", port=port, tls=True, ca_file=ca_file, reply_timeout=SHORT)
            with self.assertRaises(StoreUnavailable):
                await connection.call(("GET", "k"))
            self.assertFalse(connection.available)
            await connection.stop()

    async def test_sentinels(self) -> None:
        """Sentinels are spoken to by TLS as the primary is; strangers are not believed."""
        stem = self.certificate("server", [x509.DNSName("localhost")])
        other = self.certificate("other", [x509.DNSName("localhost")])
        primary = b"%d" % await self.terminator(stem)
        named = b"*2\r\n$9\r\nlocalhost\r\n$%d\r\n%b\r\n" % (len(primary), primary)
        reciter = self.reciter(lambda command: b"*0\r\n" if command[1] == b"MASTER" else named)
        port = await self.terminator(stem, reciter.path)
        where = {"sentinels": [("localhost", port)], "service": "main", "tls": True}
        connection = await self.connected(**where, ca_file=f"{stem}.pem")
        self.assertEqual(await connection.call(("ECHO", "x")), [b"x"])
        stranger = self.connection(**where, ca_file=f"{other}.pem", reply_timeout=SHORT)
        with self.assertRaises(StoreUnavailable):
            await stranger.call(("GET", "k"))
        self.assertIn("no sentinel answers", stranger.why)

    def test_no_authorities(self) -> None:
        """A file of authorities that holds none is refused at once."""
        empty = Path(self.folder.name) / "empty.pem"
        empty.write_bytes(b"nothing\n")
        for where in ({"host": "localhost", "port": 1}, {"sentinels": [("localhost", 1)], "service": "main"}):
            with self.assertRaises(ValueError):
                RedisConnection(reactor, **where, tls=True, ca_file=str(empty))


