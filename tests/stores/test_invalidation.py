"""What is kept counts only as long as heartbeats prove it, and whatever goes wrong with them, it does not count."""

from __future__ import annotations

import signal
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock, deferLater

from oauthd.stores import kinds, naming
from oauthd.stores.connection import CommandRefused, RedisConnection
from oauthd.stores.entries import Entry
from oauthd.stores.interface import StoreUnavailable, Write
from oauthd.stores.pool import Command
from oauthd.stores.redis import RedisStore
from tests.stores.case import NOW, PATIENCE, access, stopped
from tests.stores.node import Node, until
from tests.stores.servers import Line, OwnValkey, reactor
from tests.stores.test_answers import write
from tests.stores.test_connection import ConnectionCase
from tests.valkey import fresh_database

TOKEN = kinds.digest("t")


class InvalidationCase(ConnectionCase):
    """Nodes on a database in which there is a token."""

    timeout = 60

    async def setUp(self) -> None:  # type: ignore[override]  # trial awaits it
        """Put the token."""
        super().setUp()
        self.clock = Clock()
        self.clock.advance(NOW)
        self.socket = await self.place()
        self.plain = RedisStore(await self.connected(path=self.socket), self.clock.seconds)
        await self.fill(self.plain)

    async def place(self) -> str:
        """The socket of the server."""
        return fresh_database()

    async def fill(self, store: RedisStore) -> None:
        """A token that is alive."""
        await store.begin("world")
        await store.begin("client:app")
        await store.put(Write(kinds.access_token("t"), access()))

    async def node(self, subscribed_by: str = "", start: bool = True, real: bool = False, **more: Any) -> Node:
        """A process, proven.

        :param real: on the real clock.
        """
        connection = await self.connected(**({"path": self.socket, "reply_timeout": 1.0} | more))
        monotonic = reactor.seconds if real else None
        node = Node.on(connection, self.clock, write, monotonic, subscribed_by=subscribed_by or self.socket)
        self.addCleanup(node.invalidation.stop)
        if start:
            await node.start()
        return node

    async def remembering(self, **more: Any) -> Node:
        """A process that remembers the token."""
        node = await self.node(**more)
        self.assertTrue(await node.alive(TOKEN))
        self.assertTrue(node.remembers_alive(TOKEN))
        return node

    async def lost(self, node: Node, times: int = 1) -> None:
        """Wait until its subscription has been lost so often."""
        await until(lambda: node.invalidation.counts.lost == times)

    async def turns(self, number: int = 20) -> None:
        """Let the reactor work on what there is."""
        for _ in range(number):
            await deferLater(reactor, 0.001)


class ProofTests(InvalidationCase):
    """Heartbeats."""

    async def test_proven_by_its_return(self) -> None:
        """A process that has subscribed proves itself, and again with each beat, from when that was sent."""
        node = await self.node()
        for n in (0.5, 1.0):
            node.monotonic.advance(0.5)
            await node.heard()
            self.assertEqual((node.cache.proven_at, node.cache.lease), (n, n + 2.0))

    async def test_nothing_is_proven_before_it_starts(self) -> None:
        """A process that has not subscribed has no proof, and sends no beat."""
        node = await self.node(start=False)
        node.invalidation._beat()
        await self.turns()
        self.assertFalse(node.cache.fresh)
        self.assertEqual(node.invalidation._number, 0)

    async def test_stop(self) -> None:
        """Nothing counts once it has stopped, whatever is still on its way."""
        node = await self.remembering()
        node.invalidation._beat()
        node.invalidation.stop()
        await self.turns()
        self.assertFalse(node.cache.fresh)
        self.assertFalse(node.remembers_alive(TOKEN))

    async def test_a_process_that_stood_still(self) -> None:
        """When the clock has gone on and no timer has run, nothing counts, from the first look."""
        node = await self.remembering()
        node.monotonic.rightNow += 2.0
        self.assertFalse(node.remembers_alive(TOKEN))

    async def test_another_process_proves_nothing(self) -> None:
        """The beats of others, and beats that nobody sent, are no proof."""
        one, other = await self.node(), await self.node()
        one.beat = _never
        await self.turns()
        one.monotonic.advance(1.0)
        before = one.cache.proven_at
        for _ in range(5):
            await other.heard()
        (answer,) = await self.plain._connection.call(
            ("PUBLISH", naming.CHANNEL, b"beat:%b:%d" % (one.invalidation.origin, 10_000))
        )
        self.assertGreaterEqual(answer, 2)
        await other.heard()
        await self.turns()
        self.assertEqual(one.cache.proven_at, before)

    async def test_unconfirmed(self) -> None:
        """A beat that was heard, but whose writing was not confirmed, proves nothing, and the subscription stays."""
        node = await self.node()
        for error in (StoreUnavailable("no replica"), CommandRefused("no")):
            node.monotonic.advance(0.25)
            before = node.cache.proven_at

            async def fails(command: Command, error: Exception = error, node: Node = node) -> Any:
                await node.connection.call(command)
                raise error

            node.beat = fails
            observed = node.invalidation.counts.latency.count
            node.invalidation._beat()
            await self.turns(100)
            self.assertGreater(node.invalidation.counts.latency.count, observed)
            self.assertEqual(node.cache.proven_at, before)
        self.assertEqual(node.invalidation.counts.lost, 0)

    async def test_confirmed_late(self) -> None:
        """A beat that is confirmed after it was heard proves from its sending, not from its confirmation."""
        node = await self.node()
        confirmation = _confirmed_later(node)
        node.monotonic.advance(0.5)
        node.invalidation._beat()
        await self.turns()
        node.monotonic.advance(1.0)
        self.assertEqual(node.cache.proven_at, 0.0)
        node.beat = _never
        confirmation.callback(None)
        self.assertEqual((node.cache.proven_at, node.cache.lease), (0.5, 2.5))

    async def test_from_before_the_subscription(self) -> None:
        """A beat sent before a subscription was lost proves nothing for the next one."""
        node = await self.node()
        confirmation = _confirmed_later(node)
        node.invalidation._beat()
        await self.turns()
        node.beat = _never
        node.invalidation._subscription.renew()
        await until(lambda: node.invalidation.counts.lost and node.invalidation._subscription.stands)
        confirmation.callback(None)
        await self.turns()
        self.assertFalse(node.cache.fresh)

    async def test_what_is_under_way_is_bounded(self) -> None:
        """Beats that are never answered do not pile up, and are no reason to give the subscription up."""
        node = await self.node()
        node.beat = _never
        for _ in range(100):
            node.monotonic.advance(0.5)
            node.invalidation._beat()
            self.assertLessEqual(len(node.invalidation._beats), 5)
        await self.turns()
        self.assertEqual(node.invalidation.counts.lost, 0)

    async def test_a_change_comes_before_the_proof(self) -> None:
        """Whatever was told before a beat was sent has been heard when that beat proves."""
        node = await self.remembering()
        for n in range(200):
            await self.plain.put(Write(kinds.access_token(f"x{n}"), access()))
            digest = kinds.digest(f"x{n}")
            self.assertTrue(await node.alive(digest))
            node.monotonic.advance(0.125)
            await self.plain.forget(kinds.access_token(f"x{n}"))
            await node.heard()
            self.assertEqual(node.cache.proven_at, node.monotonic.seconds())
            self.assertFalse(node.remembers_alive(digest), n)


def _confirmed_later(node: Node) -> Deferred[None]:
    """Beats are heard at once, and confirmed when this fires."""
    confirmation: Deferred[None] = Deferred()

    async def slow(command: Command) -> Any:
        await node.connection.call(command)
        return await confirmation

    node.beat = slow
    return confirmation


async def _never(command: Command) -> Any:
    """The answer never comes."""
    await Deferred()


class LostTests(InvalidationCase):
    """Subscriptions that end, in whatever way."""

    async def test_killed(self) -> None:
        """A subscription that the server ends empties the cache, whose entries do not come back with the next one."""
        node = await self.remembering()
        (killed,) = await self.plain._connection.call(("CLIENT", "KILL", "TYPE", "pubsub"))
        self.assertGreaterEqual(killed, 1)
        await self.lost(node)
        self.assertFalse(node.cache.fresh)
        await node.proven()
        self.assertEqual(len(node.cache.entries), 0)
        self.assertTrue(await node.alive(TOKEN))
        self.assertTrue(node.remembers_alive(TOKEN))

    async def test_revoked_while_it_was_lost(self) -> None:
        """What is revoked while nobody hears it is inactive when the subscription stands again, and before."""
        node = await self.remembering()
        node.cache.changed(naming.WORLD)
        with node.store.holding():
            asked = node.answers.find(TOKEN)
            await node.store.arrived()
            await self.plain._connection.call(("CLIENT", "KILL", "TYPE", "pubsub"))
            await self.plain.forget(kinds.access_token("t"))
            await self.lost(node)
            await node.proven()
        await asked
        self.assertFalse(node.remembers_alive(TOKEN))
        self.assertFalse(await node.alive(TOKEN))

    async def test_entries_in_hand(self) -> None:
        """Whoever has an entry in hand may not use it after that, though all is proven again."""
        node = await self.remembering()
        entry: Entry = node.cache.entries[TOKEN]
        node.invalidation._subscription.renew()
        await self.lost(node)
        await node.proven()
        self.assertFalse(node.cache.counts(entry))

    async def test_watchers(self) -> None:
        """Who watches a name is called when it is told, and when it may have been missed."""
        called: list[str] = []
        node = await self.node(start=False)
        node.invalidation.watchers[b"keys:world"] = lambda: called.append("keys")
        await node.start()
        self.assertEqual(called, ["keys"])
        await self.plain._connection.call(("PUBLISH", naming.CHANNEL, b"keys:world"), ("PUBLISH", naming.CHANNEL, b"x"))
        await node.heard()
        self.assertEqual(called, ["keys"] * 2)
        node.invalidation._subscription.renew()
        await until(lambda: len(called) == 3)

    async def test_another_server(self) -> None:
        """When the store turns out to be another one nothing counts from that moment; it is subscribed to anew."""
        node = await self.remembering()
        node.invalidation._beat()
        node.invalidation.restart()
        self.assertFalse(node.cache.fresh)
        self.assertFalse(node.remembers_alive(TOKEN))
        self.assertEqual(node.invalidation._beats, {})
        await self.lost(node)
        await node.proven()
        self.assertEqual(node.invalidation.counts.failovers, 1)

    async def test_a_flood_of_messages(self) -> None:
        """Thousands of changes at once are all heard; the proof stays, and what they do not touch is kept."""
        node = await self.remembering()
        await self.plain._connection.call(
            *(("PUBLISH", naming.CHANNEL, b"a:" + kinds.digest(str(n))) for n in range(20_000))
        )
        await node.heard()
        self.assertGreaterEqual(node.invalidation.counts.heard, 20_000)
        self.assertTrue(node.remembers_alive(TOKEN))

    async def test_odd_messages(self) -> None:
        """Messages of any bytes change nothing, and end nothing."""
        node = await self.remembering()
        odd = (b"", b"\0", b"a:", b"\xff" * 40, b"*3\r\n$1\r\n", b"gen:world\n", b"beat:", b"beat:" + b"\xff" * 40,
               b"a:" + TOKEN[:-1], b"A:" + TOKEN, b"x" * 1_000_000)  # fmt: skip
        await self.plain._connection.call(*(("PUBLISH", naming.CHANNEL, word) for word in odd))
        await node.heard()
        self.assertTrue(node.remembers_alive(TOKEN))
        self.assertEqual(node.invalidation.counts.lost, 0)

    async def test_another_channel(self) -> None:
        """What is said on another database's channel is not heard."""
        node = await self.remembering()
        await self.plain._connection.call(("PUBLISH", naming.channel(1), b"a:" + TOKEN))
        await node.heard()
        self.assertTrue(node.remembers_alive(TOKEN))


class SpokenTests(InvalidationCase):
    """Servers that say something else."""

    async def test_not_what_a_subscriber_hears(self) -> None:
        """A server that says on a subscription what is no message is left, and nothing counts meanwhile."""
        for said in (b"-ERR no\r\n", b":1\r\n", b"+OKAY\r\n", b"$-1\r\n", b"*-1\r\n", b"*1\r\n$1\r\na\r\n", b"?\r\n",
                     b"*3\r\n$11\r\nunsubscribe\r\n$8\r\noauthd:0\r\n:0\r\n"):  # fmt: skip
            line = self.line(self.socket)
            node = await self.remembering(subscribed_by=line.path)
            for near in line.lines:
                near.transport.write(said)
            await self.lost(node)
            self.assertFalse(node.remembers_alive(TOKEN))
            await node.proven()
            node.invalidation.stop()


class LineTests(InvalidationCase):
    """A subscription by a line that fails, on the real clock."""

    async def setUp(self) -> None:  # type: ignore[override]  # trial awaits it
        """Lay the line."""
        await super().setUp()
        self.wire: Line = self.line(self.socket)

    async def test_silent(self) -> None:
        """A subscription that stands and says nothing proves nothing; it is given up, and all comes back by itself."""
        node = await self.remembering(subscribed_by=self.wire.path, real=True)
        self.wire.dumb = True
        muted = reactor.seconds()
        await self.plain.forget(kinds.access_token("t"))
        await node.void()
        self.assertLess(node.cache.proven_at, muted + 0.5)
        self.assertFalse(node.remembers_alive(TOKEN))
        self.assertFalse(await node.alive(TOKEN))
        await until(lambda: node.invalidation.counts.lost)
        self.wire.dumb = False
        await node.proven()

    async def test_cut(self) -> None:
        """A subscription that is cut is made again, as often as it is cut."""
        node = await self.remembering(subscribed_by=self.wire.path, real=True)
        for n in (1, 2, 3):
            for near in list(self.wire.lines):
                near.cut()
            await self.lost(node, n)
            self.assertFalse(node.remembers_alive(TOKEN))
            await node.proven()

    async def test_beats_without_replies(self) -> None:
        """Beats whose replies are lost prove nothing, though they are heard."""
        node = await self.remembering(path=self.wire.path, size=1, real=True)
        self.wire.dumb = True
        await node.void()
        self.assertGreater(node.invalidation.counts.latency.count, 1)
        self.assertTrue(node.invalidation._subscription.stands)
        self.wire.dumb = False
        await node.proven()


class ServerTests(InvalidationCase):
    """A server that is not well, on the real clock."""

    async def place(self) -> str:
        """A server of its own."""
        self.server = OwnValkey()
        self.addCleanup(self.server.close)
        self.server.start()
        return self.server.path

    async def test_stopped(self) -> None:
        """While the server stands still nothing counts, and nobody is told anything; when it goes on, so does all."""
        node = await self.remembering(real=True)
        self.server.signal(signal.SIGSTOP)
        try:
            await node.void()
            self.assertFalse(node.remembers_alive(TOKEN))
            await self.assertFailure(node.answers.find(TOKEN), StoreUnavailable)
        finally:
            self.server.signal(signal.SIGCONT)
        await node.proven()
        self.assertTrue(await node.alive(TOKEN))

    async def test_restarted_without_its_data(self) -> None:
        """A server that comes back empty is another one: what was kept of the former is void at once."""
        node = await self.remembering(real=True)
        self.server.kill()
        self.server.start()
        await until(lambda: node.invalidation.counts.failovers)
        await node.proven()
        self.assertFalse(await node.alive(TOKEN))

    async def test_a_full_server(self) -> None:
        """A server whose memory is full still proves, so that who reads is served from memory."""
        node = await self.remembering(real=True)
        self.server.say("CONFIG", "SET", "maxmemory", "1")
        with self.assertRaises(StoreUnavailable):
            await self.plain.put(Write(kinds.access_token("more"), access()))
        proven = node.cache.proven_at
        await until(lambda: node.cache.proven_at > proven + 1)
        self.assertTrue(node.remembers_alive(TOKEN))
        await self.plain.forget(kinds.access_token("t"))
        await node.heard()
        self.assertFalse(node.remembers_alive(TOKEN))

    async def test_read_only(self) -> None:
        """A server that has become a replica, and takes no writes, proves nothing."""
        node = await self.remembering(real=True)
        self.server.say("REPLICAOF", "127.0.0.1", "1")
        await node.void()
        self.assertFalse(node.remembers_alive(TOKEN))
        self.server.say("REPLICAOF", "NO", "ONE")
        await node.proven()

    async def test_the_subscription_is_elsewhere(self) -> None:
        """Where writes go to one server and the subscription to another, nothing is ever proven."""
        other = OwnValkey()
        self.addCleanup(other.close)
        other.start()
        node = await self.node(subscribed_by=other.path, start=False, real=True)
        node.invalidation.start()
        await until(lambda: node.invalidation.counts.lost >= 1)  # given up, for nothing comes back
        self.assertFalse(node.cache.fresh)

    async def test_moved(self) -> None:
        """When writes have moved to another server the old subscription, still standing, proves nothing any more."""
        other = OwnValkey()
        self.addCleanup(other.close)
        other.start()
        node = await self.remembering(real=True)
        connection = RedisConnection(reactor, reply_timeout=PATIENCE, path=other.path)
        connection.start()
        self.addCleanup(stopped, connection)
        await connection.ready(PATIENCE)
        node.beat = connection.call
        await self.fill(RedisStore(connection, self.clock.seconds))
        await node.void()
        self.assertFalse(node.remembers_alive(TOKEN))


class LargeTests(InvalidationCase):
    """A cache with much in it."""

    async def test_swept(self) -> None:
        """A large cache that is emptied is thrown away piece by piece, and proven again afterwards."""
        node = await self.node()
        for n in range(20_000):
            entry = Entry(b"x", NOW * 2, 1e9, (node.cache.cell(b"world"), node.cache.cell(b"client %d" % n)))
            node.cache.keep(b"%d" % n, entry)
        last = node.cache.entries[b"0"]
        node.invalidation.restart()
        self.assertTrue(node.cache._former)
        await node.proven()
        self.assertFalse(node.cache._former or node.cache.counts(last))

    async def test_stopped_while_it_is_swept(self) -> None:
        """Ending in the middle of that leaves no timer behind."""
        node = await self.node()
        for n in range(20_000):
            node.cache.keep(b"%d" % n, Entry(b"x", NOW * 2, 1e9, (node.cache.cell(b"world"),)))
        node.invalidation.restart()
        node.invalidation.stop()
        self.assertFalse(node.cache.fresh)

