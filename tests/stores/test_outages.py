"""Whatever happens to the server, the store says that it cannot, never something wrong, and works again by itself."""

from __future__ import annotations

import signal

from msgspec.structs import replace
from twisted.internet.task import Clock, deferLater

from oauthd.protocol.records import Spent
from oauthd.stores import kinds
from oauthd.stores.interface import Commit, StoreUnavailable, Write
from oauthd.stores.redis import RedisStore
from tests.stores.case import NOW, access, client, code, grant, refresh
from tests.stores.servers import OwnValkey, Talk, reactor
from tests.stores.test_connection import SECRET, ConnectionCase
from tests.valkey import fresh_database

TOKEN = kinds.access_token("t")
CODE = kinds.code("g", "c")
GRANT = kinds.grant("g")
NEXT = kinds.refresh_token("g", "r")


class OutageCase(ConnectionCase):
    """A store on a Valkey of its own, with a token in it."""

    settings: tuple[str, ...] = ("--appendonly", "yes", "--appendfsync", "always")
    password = ""

    async def setUp(self) -> None:  # type: ignore[override]  # trial awaits it
        """Start the server."""
        super().setUp()
        self.server = OwnValkey(self.password)
        self.addCleanup(self.server.close)
        self.server.start(*self.settings)
        clock = Clock()
        clock.advance(NOW)
        self.redis = await self.connected(path=self.server.path, password=self.password or None, reply_timeout=1.0)
        self.store = RedisStore(self.redis, clock.seconds)
        await self.store.put(Write(TOKEN, access()), Write(CODE, code()), Write(GRANT, grant()))
        await self.store.begin("client:app")

    async def assert_away(self) -> None:
        """Every verb says that the store is unavailable, nothing else."""
        ref = kinds.client("app")
        write = Write(ref, client("app", 1))
        for verb in (
            self.store.get(TOKEN),
            self.store.put(Write(TOKEN, access(lives=5))),
            self.store.commit(Commit(absent=(ref,), writes=(write,))),
            self.store.forget(TOKEN),
            self.store.scan("tc:app"),
            self.store.next_number("client"),
            self.store.generations("app"),
            self.store.begin("client:other"),
            self.store.raise_generation("client:app"),
            self.store.end("client:app", 100),
        ):
            with self.assertRaises(StoreUnavailable):
                await verb

    async def assert_back(self) -> None:
        """The store works again by itself, and holds what it held."""
        found = await self.eventually(lambda: self.store.get(TOKEN))
        self.assertEqual([one and one.record for one in found], [access()])
        await self.eventually(lambda: self.store.put(Write(kinds.access_token("new"), access())))
        self.assertEqual((await self.eventually(lambda: self.store.generations("app"))).client, 1)


class OutageTests(OutageCase):
    """Servers that stop, and come back."""

    async def test_killed_and_started(self) -> None:
        """A server that dies is away, and is used again when it has been started anew."""
        self.server.kill()
        await self.assert_away()
        self.server.start(*self.settings)
        await self.assert_back()

    async def test_restarted_at_once(self) -> None:
        """A server that was restarted between two calls is no outage at all: the next call finds it."""
        self.redis = await self.connected(path=self.server.path, password=self.password or None)
        self.store = RedisStore(self.redis, lambda: NOW)
        self.server.kill()
        self.server.start(*self.settings)
        self.assertEqual([one and one.record for one in await self.store.get(TOKEN)], [access()])

    async def test_standing_still(self) -> None:
        """A server that stands still is away though its connections stand, and is used again when it goes on."""
        self.server.signal(signal.SIGSTOP)
        with self.assertRaises(StoreUnavailable):
            await self.store.get(TOKEN)
        # Commands sent before may still be carried out when it goes on: nothing is written here that would show.
        with self.assertRaises(StoreUnavailable):
            await self.store.generations("app")
        self.server.signal(signal.SIGCONT)
        await self.assert_back()

    async def test_replica(self) -> None:
        """A server that is made a replica is away, and is used again as a primary."""
        self.server.say("REPLICAOF", "127.0.0.1", "1")
        with self.assertRaises(StoreUnavailable):
            await self.store.put(Write(TOKEN, access(lives=5)))
        await self.assert_away()
        self.assertEqual(self.redis.why, "it is a replica")
        self.server.say("REPLICAOF", "NO", "ONE")
        await self.assert_back()

    async def test_out_of_memory(self) -> None:
        """A full server reads and does not write, by commands and by scripts alike, and writes again with more room."""
        self.server.say("CONFIG", "SET", "maxmemory-policy", "noeviction")
        self.server.say("CONFIG", "SET", "maxmemory", "1")
        (stored,) = await self.store.get(CODE)
        assert stored is not None
        spent = replace(stored.record, spent=Spent("one", NOW))
        commit = Commit((stored,), (), (GRANT,), (Write(CODE, spent), Write(NEXT, refresh())))
        for verb in (
            self.store.commit(commit),
            self.store.put(Write(TOKEN, access(lives=5))),
            self.store.raise_generation("client:app"),
            self.store.begin("client:other"),
        ):
            with self.assertRaises(StoreUnavailable) as caught:
                await verb
            self.assertEqual(str(caught.exception), "the store answers OOM")
        self.assertEqual((await self.store.get(CODE)), (stored,))
        self.server.say("CONFIG", "SET", "maxmemory", "0")
        self.assertTrue(await self.store.commit(commit))
        await self.assert_back()

    async def test_too_few_replicas(self) -> None:
        """A server that may not write for want of replicas is away for writes."""
        self.server.say("CONFIG", "SET", "min-replicas-to-write", "1")
        for verb in (self.store.put(Write(TOKEN, access(lives=5))), self.store.raise_generation("client:app")):
            with self.assertRaises(StoreUnavailable) as caught:
                await verb
            self.assertEqual(str(caught.exception), "the store answers NOREPLICAS")
        self.server.say("CONFIG", "SET", "min-replicas-to-write", "0")
        await self.assert_back()

    async def test_loading(self) -> None:
        """A server that is still reading its data is away, and is used when it has read them."""
        await self.store.put(*(Write(kinds.access_token(f"x{n}"), access()) for n in range(500)))
        self.server.say("SAVE")
        self.server.kill()
        self.server.start("--key-load-delay", "4000", "--loading-process-events-interval-bytes", "1024")
        while self.redis.why != "it answers LOADING to PING":
            with self.assertRaises(StoreUnavailable):
                await self.store.get(TOKEN)
            await deferLater(reactor, 0.01)
        await self.assert_back()

    async def test_others_clients_fill_it(self) -> None:
        """A server that takes no more connections is away, and is used when there is room."""
        talk = Talk(self.server.path, self.password)
        self.addCleanup(talk.close)
        talk.say("CONFIG", "SET", "maxclients", "1")
        talk.say("CLIENT", "KILL", "TYPE", "normal")
        with self.assertRaises(StoreUnavailable):
            while True:
                await self.store.get(TOKEN)
                await deferLater(reactor, 0.01)
        talk.close()
        await self.assert_back()

    async def test_password_changed(self) -> None:
        """A server that has another password after a restart is away, and is used when it has ours again."""
        self.server.kill()
        self.server.password, ours = "other", self.server.password
        self.server.start(*self.settings)
        with self.assertRaises(StoreUnavailable):
            await self.store.get(TOKEN)
        self.server.kill()
        self.server.password = ours
        self.server.start(*self.settings)
        await self.assert_back()
        self.assert_nothing_told()


class PasswordOutageTests(OutageTests):
    """The same, on a server with a password."""

    password = SECRET


class LostReplyTests(ConnectionCase):
    """Commits that were carried out, and whose replies were lost."""

    async def setUp(self) -> None:  # type: ignore[override]  # trial awaits it
        """A store behind a lossy line."""
        super().setUp()
        self.lossy = self.line(fresh_database())
        redis = await self.connected(path=self.lossy.path, size=1)
        self.store = RedisStore(redis, lambda: NOW)
        await self.store.put(Write(CODE, code()), Write(GRANT, grant()))
        # So that the server knows the scripts, and it is their replies that are lost.
        other = kinds.refresh_token("h", "r")
        self.assertTrue(await self.store.commit(Commit(writes=(Write(other, refresh("other")),))))

    async def redemption(self, attempt: str) -> Commit:
        """The commit that redeems the code."""
        (stored,) = await self.store.get(CODE)
        assert stored is not None
        spent = replace(stored.record, spent=Spent(attempt, NOW))
        return Commit((stored,), (NEXT,), (GRANT,), (Write(CODE, spent), Write(NEXT, refresh())))

    async def test_recognised(self) -> None:
        """The store sends a redemption again by itself and knows it for its own; another attempt is refused."""
        commit, other = await self.redemption("one"), await self.redemption("two")
        self.lossy.plan = [False]
        self.assertIs(await self.store.commit(commit), True)
        self.assertIs(await self.store.commit(other), False)
        self.assertEqual(len((await self.store.scan("tc:app")).items), 1)

    async def test_recognised_later(self) -> None:
        """A redemption whose outcome stayed unknown is done when whoever asked for it asks again."""
        commit, other = await self.redemption("one"), await self.redemption("two")
        self.lossy.plan = [False, True, False]  # the reply, the next greeting, the next reply
        with self.assertRaises(StoreUnavailable):
            await self.store.commit(commit)
        self.assertIs(await self.eventually(lambda: self.store.commit(other)), False)
        self.assertIs(await self.store.commit(commit), True)
        self.assertIs(await self.store.commit(commit), True)

    async def test_overtaken(self) -> None:
        """A redemption that never arrived, and whose code somebody else redeemed since, is refused when repeated."""
        commit, other = await self.redemption("one"), await self.redemption("two")
        self.assertIs(await self.store.commit(other), True)
        self.lossy.plan = [False]
        self.assertIs(await self.store.commit(commit), False)

    async def test_without_an_attempt(self) -> None:
        """A change that carries no attempt id is not sent twice: its outcome is unknown, and a repeat is refused."""
        (stored,) = await self.store.get(CODE)
        assert stored is not None
        commit = Commit(expected=(stored,), writes=(Write(CODE, code(lives=59)),))
        self.lossy.plan = [False]
        with self.assertRaises(StoreUnavailable):
            await self.store.commit(commit)
        self.assertIs(await self.eventually(lambda: self.store.commit(commit)), False)

    async def test_beside_one_without(self) -> None:
        """An attempt that goes together with such a change is recognised all the same; of the change False is said."""
        where = kinds.refresh_token("h", "r")
        (stored,) = await self.store.get(where)
        assert stored is not None
        change = Commit(expected=(stored,), writes=(Write(where, refresh("other", lives=59)),))
        commit = await self.redemption("one")
        self.lossy.plan = [False]
        self.assertEqual(await self.store.commits((commit, change)), [True, False])

    async def test_indexes_lost(self) -> None:
        """A redemption that was done stays done when the server goes away before its indexes are written."""
        commit = await self.redemption("one")
        self.lossy.plan = [True, False, True, False]  # commit, indexes, the next greeting, indexes
        self.assertIs(await self.store.commit(commit), True)
        while self.lossy.plan:  # nobody waits for the indexes
            await deferLater(reactor, 0.01)
        (stored,) = await self.eventually(lambda: self.store.get(CODE))
        self.assertEqual(stored and stored.record.spent, Spent("one", NOW))
