"""What this process revoked is revoked again on a server that does not know of it; what was lost is counted."""

from __future__ import annotations

from typing import Any

from twisted.internet.task import Clock, deferLater

from oauthd.protocol.records import Session
from oauthd.stores import kinds, naming
from oauthd.stores.interface import StoreUnavailable, Write
from oauthd.stores.redis import RedisStore
from oauthd.stores.revocations import KEEP, MOST, RECENT, Revocations
from tests.stores.case import NOW, StoreCase, access, example, grant
from tests.stores.replicas import Service
from tests.stores.servers import Talk, reactor
from tests.stores.test_connection import ConnectionCase

TOKEN, GRANT = kinds.access_token("t"), kinds.grant("g")
SESSION = kinds.SESSION.at(b"s")
SUBJECTS = ("client:app", "user:u1", "world")


class MemoryCase(StoreCase):
    """A store with a memory, on a clock that the test moves."""

    async def setUp(self) -> None:  # type: ignore[override]  # trial awaits it
        """Make both."""
        await super().setUp()
        self.memory = Revocations(self.clock, self.connection.call, naming.CHANNEL)
        self.store = RedisStore(self.connection, self.clock.seconds, memory=self.memory)
        self.addCleanup(self.memory.stop)

    async def stage(self) -> dict[bytes, bytes]:
        """Records and generations as a replica would have them that has not heard of anything later."""
        await self.store.put(Write(TOKEN, access()), Write(GRANT, grant()), Write(SESSION, example(Session)))
        for subject in SUBJECTS:
            await self.store.begin(subject)
        return await self.everything()

    async def everything(self) -> dict[bytes, bytes]:
        """All records and generations, in the raw."""
        keys = [key for key in await self.keys() if not key.startswith(b"x:")]
        return {key: await self.command("GET", key) for key in keys}

    async def fail_over(self, state: dict[bytes, bytes]) -> None:
        """The server is another one, which has this state."""
        await self.command("FLUSHALL")
        for key, raw in state.items():
            await self.command("SET", key, raw)
        self.memory.again()
        while self.memory._work is not None and not self.memory._work.called:
            await deferLater(reactor, 0.01)


class RevocationTests(MemoryCase):
    """What is done again."""

    async def test_records(self) -> None:
        """A token, a grant and a session that were ended are gone again, and it is told."""
        state = await self.stage()
        await self.store.forget(TOKEN)
        await self.store.forget(GRANT, SESSION)
        heard = await self.listening()
        await self.fail_over(state)
        self.assertEqual([one is None for one in await self.store.get(TOKEN, GRANT, SESSION)], [True] * 3)
        self.assertEqual(self.memory.counts.reapplied, 3)
        self.assertEqual(await heard(3), {naming.key(TOKEN), naming.key(GRANT), naming.key(SESSION)})

    async def listening(self) -> Any:
        """Subscribe; gives what waits for that many messages."""
        messages: set[bytes] = set()
        other = OwnEar(self.socket)
        self.addCleanup(other.close)

        async def heard(count: int) -> set[bytes]:
            while len(messages) < count:
                messages.add(other.message())
            return messages

        return heard

    async def test_generations(self) -> None:
        """What was raised stands at least where it stood, and what was ended is ended."""
        state = await self.stage()
        await self.store.raise_generation("client:app")
        await self.store.raise_generation("client:app")
        await self.store.raise_generation("world")
        await self.store.end("user:u1", 100)
        await self.fail_over(state)
        today = await self.store.generations("app", "u1")
        self.assertEqual((today.world, today.client, today.user), (2, 3, None))
        self.assertLessEqual(await self.command("TTL", naming.generation("user:u1")), 100)

    async def test_resource(self) -> None:
        """A resource's number, too, though the other server has never heard of it."""
        state = await self.stage()
        for _ in range(2):
            await self.store.raise_generation("resource:https://api.example")
        await self.fail_over(state)
        _, numbers = await self.store.get_with_generations((), ("resource:https://api.example",))
        self.assertEqual(numbers, [2])

    async def test_never_further(self) -> None:
        """A subject that stands higher already, or was begun anew, is left alone; doing it twice changes nothing."""
        await self.stage()
        await self.store.raise_generation("world")
        await self.store.end("client:app", 100)
        await self.store.raise_generation("user:u1")
        await self.store.end("user:u1", 100)
        await self.store.begin("client:app")
        await self.store.begin("user:u1")
        state = await self.everything() | {naming.WORLD: b"9"}
        for _ in range(2):
            await self.fail_over(state)
            today = await self.store.generations("app", "u1")
            self.assertEqual((today.world, today.client, today.user), (9, 2, 3))

    async def test_not_begun(self) -> None:
        """A subject that the other server has never heard of stays unknown there, which is as good as ended."""
        await self.stage()
        for subject in SUBJECTS:
            await self.store.raise_generation(subject)
        await self.fail_over({})
        today = await self.store.generations("app", "u1")
        self.assertEqual((today.world, today.client, today.user), (None, None, None))

    async def test_uncertain(self) -> None:
        """A removal whose outcome is unknown is done again as well: it was asked for."""
        state = await self.stage()
        await self.connection.stop()
        with self.assertRaises(StoreUnavailable):
            await self.store.forget(TOKEN)
        self.connection = await self.connect(path=self.socket)
        self.memory.call = self.connection.call
        self.store = RedisStore(self.connection, self.clock.seconds)
        await self.fail_over(state)
        self.assertEqual(await self.store.get(TOKEN), (None,))

    async def test_many(self) -> None:
        """More than fit into one call are all done again."""
        await self.stage()
        refs = [kinds.access_token(f"t{n}") for n in range(1234)]
        await self.store.put(*(Write(ref, access()) for ref in refs))
        state = await self.everything()
        for ref in refs:
            self.memory.forgot(naming.key(ref))
        await self.fail_over(state)
        self.assertEqual(await self.store.get(*refs), (None,) * len(refs))

    async def test_forgotten_in_time(self) -> None:
        """After ten minutes, or a hundred thousand others, a revocation is not remembered any more."""
        self.memory.start()
        self.memory.forgot(b"a:first")
        self.clock.advance(KEEP - 1)
        self.memory.forgot(b"a:second")
        self.clock.advance(2)
        self.assertEqual(self.memory.remembered, 1)
        for n in range(MOST + 5):
            self.memory.forgot(b"a:%d" % n)
        self.assertEqual(self.memory.remembered, MOST)


class LostTests(MemoryCase):
    """Tokens that the other server does not have."""

    async def issue(self, *names: str) -> None:
        """Issue tokens of these values."""
        await self.store.put(*(Write(kinds.access_token(name), access()) for name in names))

    async def test_counted(self) -> None:
        """Those of the last seconds that are missing are counted; what was revoked is not missing."""
        await self.issue("a", "b")
        state = await self.everything()
        await self.issue("c", "d", "e")
        await self.store.forget(kinds.access_token("e"))
        for _ in range(2):  # another one at once afterwards finds none missing anew
            await self.fail_over(state)
            self.assertEqual(self.memory.counts.tokens_lost, 2)

    async def test_old_ones(self) -> None:
        """A token is looked for during the next seconds only."""
        self.memory.start()
        await self.issue("a")
        self.clock.pump([1] * (RECENT - 1))
        await self.issue("b")
        self.clock.pump([1, 1])
        await self.fail_over({})
        self.assertEqual(self.memory.counts.tokens_lost, 1)


class FailoverTests(ConnectionCase):
    """A real failover to a replica that was cut off."""

    async def test_cut_off(self) -> None:
        """What was revoked after the replica was cut off is revoked there too, and before any other command."""
        service = Service(1)
        self.addCleanup(service.close)
        primary, replica = service.members
        primary.begin()
        replica.begin("--replicaof", f"127.0.0.1 {primary.port}")
        where = OwnLine(self, primary.path)
        connection = await self.connected(path=where.line.path, reply_timeout=1.0)
        memory = Revocations(reactor, connection.call, naming.CHANNEL)
        connection.on_new_server.append(memory.again)
        clock = Clock()
        clock.advance(NOW)
        store = RedisStore(connection, clock.seconds, memory=memory)
        self.addCleanup(memory.stop)
        await store.put(Write(TOKEN, access()))
        while replica.say("EXISTS", naming.key(TOKEN)) != 1:
            await deferLater(reactor, 0.02)
        replica.say("REPLICAOF", "NO", "ONE")
        await store.forget(TOKEN)
        self.assertEqual(replica.say("EXISTS", naming.key(TOKEN)), 1)
        where.lead_to(replica.path)
        self.assertEqual(await self.eventually(lambda: store.get(TOKEN)), (None,))
        self.assertEqual(connection.failovers, 1)


class OwnLine:
    """A line that leads somewhere else when the test says so."""

    def __init__(self, case: ConnectionCase, path: str) -> None:
        self.line = case.line(path)

    def lead_to(self, path: str) -> None:
        """Cut what stands; whoever connects anew is connected there."""
        self.line.server = path
        for near in list(self.line.lines):
            near.cut()


class OwnEar:
    """A plain subscription."""

    def __init__(self, path: str) -> None:
        self._talk = Talk(path)
        self._talk.say("SUBSCRIBE", naming.CHANNEL)

    def message(self) -> bytes:
        """The next message."""
        reply: Any = self._talk.read()
        message: bytes = reply[2]
        return message

    def close(self) -> None:
        """End it."""
        self._talk.close()
