"""A revoked token is inactive at once where it was revoked, and everywhere as soon as that is heard."""

from __future__ import annotations

import base64
from collections.abc import Awaitable, Callable
from functools import partial
from itertools import count
from typing import Any

from msgspec.structs import replace
from twisted.internet.defer import CancelledError, Deferred, ensureDeferred, gatherResults

from oauthd.protocol.introspection import INACTIVE, active
from oauthd.protocol.records import AccessToken, Generations, Revoked, User
from oauthd.protocol.seals import Seals
from oauthd.stores import answers as module
from oauthd.stores import kinds, naming
from oauthd.stores.cache import TRIES
from oauthd.stores.clients import Clients
from oauthd.stores.codec import Unreadable
from oauthd.stores.interface import Commit, StoreUnavailable, Write
from oauthd.stores.resources import ResourceGenerations
from oauthd.stores.tokens import Tokens
from oauthd.stores.users import Users
from tests.server import Counting
from tests.stores.case import NOW, StoreCase, access, client, grant
from tests.stores.node import Node

write = partial(active, issuer="https://op.example")
RESOURCES = ("https://rs.example", "https://other.example")


class AnswersCase(StoreCase):
    """Two processes on one store, in which a client and a user are registered."""

    timeout = 60

    async def setUp(self) -> None:  # type: ignore[override]  # trial awaits it
        """Start both."""
        await super().setUp()
        self.one, self.other = await self.node(), await self.node()
        self._names = count()
        entropy = Counting()
        seals = Seals((bytes(32),), entropy)
        store: Any = self.one.store.plain
        self.clients = Clients(store, self.one.cache, seals, self.clock.seconds, entropy, 0, 1000)
        self.users = Users(store, self.clock.seconds, entropy)
        self.tokens = Tokens(store, self.one.cache, self.clock.seconds)
        self.resources = ResourceGenerations(store, self.one.cache)
        await self.store.begin("world")
        await self.founded()

    async def founded(self) -> None:
        """There are a client and a user."""
        await self.store.begin("client:app")
        await self.store.begin("user:u1")
        await self.store.commit(Commit(writes=(Write(kinds.client("app"), client("app", 1)),)))
        await self.store.commit(Commit(writes=(Write(kinds.user("u1"), User("u1", "alice", NOW, NOW)),)))

    async def node(self, hears: bool = True) -> Node:
        """One more process."""
        connection = await self.connect(path=self.socket)
        node = Node.on(connection, self.clock, write, path=self.socket)
        self.addCleanup(node.invalidation.stop)
        if hears:
            await node.start()
        return node

    async def issue(self, name: str = "", user_id: str = "u1", grant_id: str = "", **more: Any) -> bytes:
        """A token that is alive; its digest. With a grant of its own, if that is not named."""
        name = name or f"t{next(self._names)}"
        if more.get("audience"):
            more |= {"resource_generations": await self.resources.today(more["audience"])}
        grant_id = grant_id or f"g-{name}"
        if user_id:
            await self.store.commit(Commit(writes=(Write(kinds.grant(grant_id), grant(9000)),)))
            more |= {"grant": grant_id}
        record = replace(
            access(user_id=user_id, **more), generations=await self.store.generations("app", user_id)
        )
        return await self.put(name, record)

    async def put(self, name: str, record: AccessToken) -> bytes:
        """Store a token; its digest."""
        await self.store.put(Write(kinds.access_token(name), record))
        return kinds.digest(name)


class RevocationTests(AnswersCase):
    """Every kind of revocation."""

    def revocations(self) -> list[tuple[str, Callable[[str], Awaitable[Any]]]]:
        """By name; each takes the name of a token."""
        return [
            ("token", self.tokens.end_access),
            ("grant", lambda name: self.tokens.end_grant(f"g-{name}")),
            ("user", lambda name: self.tokens.end_all_of_user("u1")),
            ("client", lambda name: self.tokens.end_all_of_client("app")),
            ("everything", lambda name: self.tokens.end_everything()),
            ("user deactivated", lambda name: self.users.deactivate("u1")),
            ("client deleted", lambda name: self.clients.delete("app")),
            ("resource", lambda name: self.resources.revoke(RESOURCES[1])),
        ]

    async def test_from_memory(self) -> None:
        """A token that both processes remember is inactive at once where it is revoked, and in the other when heard."""
        for kind, revoke in self.revocations():
            await self.founded()
            digest = await self.issue(f"a {kind}", audience=RESOURCES)
            for node in (self.one, self.other):
                self.assertTrue(await node.alive(digest), kind)
                self.assertTrue(node.remembers_alive(digest), kind)
            await revoke(f"a {kind}")
            self.assertFalse(self.one.remembers_alive(digest), kind)  # nothing was waited for
            await self.other.heard()
            self.assertFalse(self.other.remembers_alive(digest), kind)
            for node in (self.one, self.other):
                self.assertFalse(await node.alive(digest), kind)

    async def test_at_every_point_of_a_read(self) -> None:
        """Whenever during a read it is revoked, here or elsewhere: nobody who asks afterwards is told otherwise."""
        for place, node in (("here", self.one), ("there", self.other)):
            for point in (0, 1, 2):
                for asked_again in (False, True):
                    for kind, revoke in self.revocations():
                        await self.founded()
                        name = f"{place} {point} {asked_again} {kind}"
                        digest = await self.issue(name, audience=RESOURCES)
                        await self._overtaken(node, name, digest, revoke, point, asked_again)

    async def _overtaken(
        self, node: Node, name: str, digest: bytes, revoke: Callable[[str], Awaitable[Any]], point: int, again: bool
    ) -> None:
        with node.store.holding():
            early = node.answers.find(digest)
            for _ in range(point):
                await node.store.arrived()
                node.store.release()
            if point < 2:
                await node.store.arrived()
            await revoke(name)
            if node is self.other:
                await node.heard()
            late = node.answers.find(digest) if again else None
        await early  # whatever it says: it was asked before
        self.assertFalse(node.remembers_alive(digest), name)
        if late is not None:
            self.assertEqual((await late).value, INACTIVE, name)
        self.assertFalse(await node.alive(digest), name)

    async def test_a_user_with_many(self) -> None:
        """A wide revocation ends all of it, and nothing of anybody else."""
        digests = [await self.issue(user_id="u1") for _ in range(50)]
        await self.store.begin("user:u2")
        others = [await self.issue(user_id="u2") for _ in range(5)] + [await self.issue(user_id="") for _ in range(5)]
        for digest in (*digests, *others):
            self.assertTrue(await self.other.alive(digest))
        await self.tokens.end_all_of_user("u1")
        await self.other.heard()
        self.assertFalse(any(map(self.other.remembers_alive, digests)))
        self.assertTrue(all(map(self.other.remembers_alive, others)))

    async def test_a_resource(self) -> None:
        """Its revocation ends the tokens that are for it, also beside others; new ones live, and others' go on."""
        first, second = RESOURCES
        for _ in range(2):
            ended = [await self.issue(audience=audience) for audience in ((first,), (second, first))]
            others = [await self.issue(audience=audience) for audience in ((second,), ())]
            for digest in (*ended, *others):
                self.assertTrue(await self.other.alive(digest))
            await self.resources.revoke(first)
            await self.other.heard()
            self.assertFalse(any(map(self.other.remembers_alive, ended)))
            self.assertTrue(all(map(self.other.remembers_alive, others)))
            for digest in ended:
                self.assertFalse(await self.other.alive(digest))

    async def test_issued_by_an_old_number(self) -> None:
        """A token that was issued by what memory said of its resource, which has been revoked since, is dead."""
        await self.issue("before", audience=RESOURCES)
        numbers = self.resources.at_once(RESOURCES)
        await self.resources.revoke(RESOURCES[0])
        self.assertIsNone(self.resources.at_once(RESOURCES))
        old = replace(access(audience=RESOURCES, resource_generations=numbers), user_id="")
        digest = await self.put("t", replace(old, generations=await self.store.generations("app", "")))
        self.assertFalse(await self.one.alive(digest))
        self.assertIsNone(await self.tokens.find_access("t"))

    async def test_a_number_from_memory(self) -> None:
        """A generation known from memory that is raised while a token is read is not believed for that token."""
        first, second = await self.issue(user_id=""), await self.issue()
        self.assertTrue(await self.other.alive(first))
        with self.other.store.holding():
            asked = self.other.answers.find(second)
            await self.other.store.arrived()
            self.other.store.release()
            await self.other.store.arrived()  # the client's generation is not asked for
            self.assertNotIn(b"gen:client:{app}", self.other.store.reads[-1])
            await self.tokens.end_all_of_client("app")
            await self.other.heard()
        self.assertEqual((await asked).value, INACTIVE)

    async def test_a_number_from_memory_whose_proof_ended(self) -> None:
        """A generation from memory is not believed either when its proof has ended before the rest was read."""
        deaf = await self.node(hears=False)
        deaf.cache.prove(0.0)
        first, second = await self.issue(user_id=""), await self.issue()
        self.assertTrue(await deaf.alive(first))
        deaf.monotonic.advance(1.5)
        with deaf.store.holding():
            asked = deaf.answers.find(second)
            await deaf.store.arrived()
            deaf.store.release()
            await deaf.store.arrived()
            self.assertNotIn(b"gen:client:{app}", deaf.store.reads[-1])
            await self.tokens.end_all_of_client("app")
            deaf.monotonic.advance(0.5)
        self.assertEqual((await asked).value, INACTIVE)

    async def test_a_process_that_stood_still_while_it_read(self) -> None:
        """A reply that waited for this process longer than a proof counts tells nobody that a token is alive."""
        for number in (1, 2):
            deaf = await self.node(hears=False)
            digest = await self.issue()
            with deaf.store.holding():
                asked = deaf.answers.find(digest)
                await deaf.store.arrived()
                if number == 2:
                    deaf.store.release()
                    await deaf.store.arrived()
                await self.store.forget(kinds.ACCESS_TOKEN.at(digest))
                deaf.monotonic.advance(10)
            self.assertEqual((await asked).value, INACTIVE, number)

    async def test_a_store_that_is_always_late(self) -> None:
        """Where each reply takes too long it is as if there was none."""
        digest = await self.issue(user_id="")
        with self.one.store.holding():
            asked = self.one.answers.find(digest)
            for _ in range(TRIES):
                await self.one.store.arrived()
                self.one.monotonic.advance(2)
                self.one.store.release()
                await self.one.store.arrived()
                self.one.store.release()
            await self.assertFailure(asked, StoreUnavailable)
        self.assertEqual(self.one.cache._open, 0)


class DeadFromBirthTests(AnswersCase):
    """Tokens that were never alive."""

    async def test_issued_under_nobody(self) -> None:
        """What was issued when its client, its user or the world had no generation is dead, as `Generations` says."""
        today = await self.store.generations("app", "u1")
        for n, issued in enumerate((
            Generations(None, today.client, today.user),
            Generations(today.world, None, today.user),
            Generations(today.world, today.client, None),
            Generations(0, today.client, today.user),
            Generations(today.world, 0, today.user),
        )):
            self.assertFalse(today.covers(issued))
            digest = await self.put(f"x{n}", replace(access(user_id="u1"), generations=issued))
            self.assertFalse(await self.one.alive(digest), issued)

    async def test_older_than_today(self) -> None:
        """What was issued under a generation before today's is dead; under today's alive."""
        today = Generations(2, 2, 2)
        for subject in ("world", "client:app", "user:u1"):
            await self.store.raise_generation(subject)
        for n, issued in enumerate((Generations(1, 2, 2), Generations(2, 1, 2), Generations(2, 2, 1))):
            digest = await self.put(f"x{n}", replace(access(user_id="u1"), generations=issued))
            self.assertFalse(await self.one.alive(digest), issued)
        digest = await self.put("y", replace(access(user_id="u1"), generations=today))
        self.assertTrue(await self.one.alive(digest))

    async def test_of_nobody(self) -> None:
        """A token of a client, a user or a grant that does not exist is dead."""
        for n, record in enumerate((
            access("nobody"),
            replace(access(user_id="nobody"), generations=Generations(1, 1, 1)),
            access(grant="none"),
        )):
            self.assertFalse(await self.one.alive(await self.put(f"x{n}", record)), record)


class TombstoneTests(AnswersCase):
    """What is remembered of dead tokens."""

    async def test_dead_ones_cost_no_read(self) -> None:
        """Who goes on asking for a token that was seen alive and is dead causes one read, and no more."""
        digest = await self.issue("t")
        self.assertTrue(await self.one.alive(digest))
        await self.tokens.end_access("t")
        reads = len(self.one.store.reads)
        for _ in range(5):
            self.assertFalse(await self.one.alive(digest))
        self.assertEqual(len(self.one.store.reads), reads + 1)
        self.assertEqual(self.one.kept(digest), INACTIVE)

    async def test_expired(self) -> None:
        """The same holds for one that has expired, at the second it says."""
        digest = await self.issue(user_id="", lives=100)
        self.assertTrue(await self.one.alive(digest))
        self.clock.advance(99.5)
        self.assertTrue(self.one.remembers_alive(digest))
        self.clock.advance(0.5)
        reads = len(self.one.store.reads)
        for _ in range(3):
            self.assertFalse(await self.one.alive(digest))
        self.assertEqual(len(self.one.store.reads), reads + 1)

    async def test_unknown_ones_are_not_kept(self) -> None:
        """A token that is unknown is looked for each time, and works as soon as it is issued."""
        digest = kinds.digest("later")
        for _ in range(3):
            self.assertFalse(await self.one.alive(digest))
        self.assertEqual(len(self.one.store.reads), 3)
        self.assertEqual(len(self.one.cache.entries), 0)
        await self.issue("later")
        self.assertTrue(await self.one.alive(digest))

    async def test_issued_while_it_is_asked_for(self) -> None:
        """A token that is issued while somebody asks for it works for who asks next."""
        digest = kinds.digest("now")
        with self.one.store.holding():
            early = self.one.answers.find(digest)
            await self.one.store.arrived()
            await self.issue("now")
        self.assertEqual((await early).value, INACTIVE)
        self.assertTrue(await self.one.alive(digest))

    async def test_never_alive_again(self) -> None:
        """A read that was sent before the token died does not bring it back over its tombstone."""
        digest = await self.issue("t")
        self.assertTrue(await self.other.alive(digest))
        self.other.cache.changed(naming.generation("client:app"))
        with self.other.store.holding():
            early = self.other.answers.find(digest)
            await self.other.store.arrived()
            self.other.store.release()
            await self.tokens.end_access("t")
            await self.other.heard()
            late = self.other.answers.find(digest)
            await self.other.store.arrived(2)
            self.other.store.release()
            self.assertEqual((await late).value, INACTIVE)
        await early
        self.assertEqual(self.other.kept(digest), INACTIVE)


class EarlierVersionTests(AnswersCase):
    """Tokens that were exchanged before tokens said all that they stand on: their records have `pt` alone."""

    async def exchanged(self, name: str, parent: bytes) -> bytes:
        """Store one as it was stored then; its digest."""
        pt = base64.b64encode(parent).decode()
        record = (
            f'{{"c":"app","s":["read"],"i":{NOW},"e":{NOW + 1800},"j":"jti of {name}","g":{{"w":1,"c":1}},"pt":"{pt}"}}'
        )
        ref = kinds.access_token(name)
        await self.command("SET", naming.key(ref), b"\x02" + record.encode(), "EX", 3000)
        return kinds.digest(name)

    async def test_parent_revoked(self) -> None:
        """One of them ends with the token that it was exchanged for, and with no other, for all who ask."""
        await self.put("parent", access())
        await self.put("another", access())
        child = await self.exchanged("child", kinds.digest("parent"))
        spared = await self.exchanged("spared", kinds.digest("another"))
        nodes = (self.one, self.other)
        for node in nodes:
            told = await gatherResults([ensureDeferred(node.alive(one)) for one in (child, spared)])
            self.assertEqual(told, [True, True])
        await self.tokens.end_access("parent")
        await self.other.heard()
        for node in (*nodes, await self.node(hears=False)):
            told = await gatherResults([ensureDeferred(node.alive(one)) for one in (child, spared)])
            self.assertEqual(told, [False, True])
        self.assertIsNone(await self.tokens.find_access("child"))
        self.assertIsNotNone(await self.tokens.find_access("spared"))

    async def test_parent_that_was_not_written_down(self) -> None:
        """As it does where that one is known by its `jti`."""
        child = await self.exchanged("child", b"V1StGXR8Z5jdHi6BmyTa22")
        self.assertTrue(await self.one.alive(child))
        grave = kinds.revoked("V1StGXR8Z5jdHi6BmyTa22")
        await self.one.store.plain.bury(Write(grave, Revoked(NOW + 1800)))
        self.assertFalse(await self.one.alive(child))
        self.assertIsNone(await self.tokens.find_access("child"))


class GrantTests(AnswersCase):
    """Grants live longer when they are used."""

    async def extend(self, grant_id: str, lives: int) -> None:
        """The grant lives so many seconds from now on."""
        end = int(self.clock.seconds()) + lives - NOW
        await self.store.commit(Commit(writes=(Write(kinds.grant(grant_id), grant(end)),)))

    async def test_extended(self) -> None:
        """A token whose grant was to end, and was given longer, goes on being active, at every second."""
        digest = await self.issue("t")
        await self.extend("g-t", 100)
        self.assertTrue(await self.one.alive(digest))
        await self.extend("g-t", 1000)
        for _ in range(240):
            self.clock.advance(0.5)
            self.assertTrue(await self.one.alive(digest), self.clock.seconds() - NOW)

    async def test_ended(self) -> None:
        """A token whose grant was not given longer ends with it."""
        digest = await self.issue("t")
        await self.extend("g-t", 100)
        self.assertTrue(await self.one.alive(digest))
        self.clock.advance(100)
        self.assertFalse(self.one.remembers_alive(digest))
        self.assertFalse(await self.one.alive(digest))

    async def test_extended_while_another_token_is_read(self) -> None:
        """A grant's end known from memory that passes while a token is read kills no token of the longer grant."""
        await self.store.begin("user:u2")
        first = await self.issue("t", grant_id="g")
        await self.extend("g", 100)
        self.assertTrue(await self.one.alive(first))
        await self.extend("g", 5000)
        second = await self.put("n", replace(await self._record("t"), user_id="u2"))
        self.clock.advance(99.75)
        with self.one.store.holding():
            asked = self.one.answers.find(second)
            await self.one.store.arrived()
            self.one.store.release()
            await self.one.store.arrived()
            self.clock.advance(0.5)
        self.assertNotEqual((await asked).value, INACTIVE)

    async def _record(self, name: str) -> AccessToken:
        (stored,) = await self.store.get(kinds.access_token(name))
        assert stored is not None
        record: AccessToken = stored.record
        return record


class BatchTests(AnswersCase):
    """How often the store is asked."""

    async def test_one_read_for_a_turn(self) -> None:
        """All that is asked in a turn of the reactor is one read of tokens and one of what they stand on."""
        digests = [await self.issue() for _ in range(20)]
        found = await gatherResults([self.one.answers.find(digest) for digest in digests])
        self.assertNotIn(INACTIVE, [entry.value for entry in found])
        tokens, numbers = self.one.store.reads
        self.assertEqual(tokens, tuple(b"a:" + digest for digest in digests))
        self.assertEqual(len(numbers), 20 + 3)  # their grants; world, client, user

    async def test_a_long_turn(self) -> None:
        """More than a batch holds are read in several, and each gets its own answer."""
        digests = [await self.issue(user_id="", username=f"u{n}") for n in range(2 * module.LARGEST_BATCH + 1)]
        found = await gatherResults([self.one.answers.find(digest) for digest in digests])
        for n, entry in enumerate(found):
            self.assertIn(b'"username":"u%d"' % n, entry.value)
        self.assertEqual([len(read) for read in self.one.store.reads if read[0][:2] == b"a:"], [256, 256, 1])

    async def test_known_numbers_are_not_read(self) -> None:
        """Of a token of a known client only its record is read."""
        first, second = await self.issue(user_id=""), await self.issue(user_id="")
        await self.one.alive(first)
        self.one.store.reads.clear()
        await self.one.alive(second)
        self.assertEqual(self.one.store.reads, [(b"a:" + second,)])

    async def test_known_numbers_are_read_again_when_old(self) -> None:
        """What is known of a client is not believed for longer than the longest age, though tokens keep coming."""
        deaf = await self.node(hears=False)
        last = await self.issue(user_id="")
        for n in range(13):
            deaf.cache.prove(deaf.monotonic.seconds())
            self.assertTrue(await deaf.alive(await self.issue(user_id="")), n)
            if n == 0:
                await self.tokens.end_all_of_client("app")  # which it never hears
                stale = await self.put("stale", replace(access(), generations=Generations(1, 1)))
            deaf.monotonic.advance(50)
        deaf.cache.prove(deaf.monotonic.seconds())
        self.assertFalse(await deaf.alive(stale))
        self.assertFalse(await deaf.alive(last))

    async def test_one_read_for_a_key(self) -> None:
        """Who asks for a token that is being asked for, sent or unsent, waits for the same read."""
        digest = await self.issue()
        with self.one.store.holding():
            asked = [self.one.answers.find(digest) for _ in range(3)]
            await self.one.store.arrived()
            asked += [self.one.answers.find(digest) for _ in range(3)]
        found = await gatherResults(asked)
        self.assertEqual(len({id(entry) for entry in found}), 1)
        self.assertEqual(len(self.one.store.reads), 2)

    async def test_cancelled(self) -> None:
        """One who waits and is cancelled, sent or unsent, takes nothing from the others."""
        digest = await self.issue()
        with self.one.store.holding():
            asked = [self.one.answers.find(digest) for _ in range(3)]
            asked[0].cancel()
            await self.one.store.arrived()
            asked[1].cancel()
        self.assertNotEqual((await asked[2]).value, INACTIVE)
        for one in asked[:2]:
            await self.assertFailure(one, CancelledError)
        self.assertTrue(self.one.remembers_alive(digest))

    async def test_asked_before_it_was_sent(self) -> None:
        """A read that a change overtakes before it is sent is still the one to wait for, and is kept."""
        digest = await self.issue("t")
        with self.one.store.holding():
            other = self.one.answers.find(await self.issue())
            await self.one.store.arrived()
            asked = self.one.answers.find(digest)
            self.one.cache.changed(naming.generation("client:app"))
            again = self.one.answers.find(digest)
        self.assertIs(await asked, await again)
        await other
        self.assertTrue(self.one.remembers_alive(digest))

    async def test_who_fails_when_told(self) -> None:
        """One whose turn it is to be told, and who fails over it, takes nothing from the others."""
        digests = [await self.issue(user_id="") for _ in range(2)]

        def fail(outcome: object) -> None:
            raise ZeroDivisionError

        self.one.answers.ask(digests[0], fail)
        found = await gatherResults([self.one.answers.find(digest) for digest in digests])
        self.assertNotIn(INACTIVE, [entry.value for entry in found])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    async def test_what_changes_while_others_are_told(self) -> None:
        """What one of a batch changes when it is told holds for all of the batch, and for who asks from then on."""
        first, second = await self.issue(user_id=""), await self.issue(user_id="")
        again: list[Deferred[Any]] = []

        def change(outcome: object) -> None:
            self.one.cache.changed(naming.generation("client:app"))
            again.append(self.one.answers.find(second))

        self.one.answers.ask(first, change)
        found = await self.one.answers.find(second)
        self.assertFalse(self.one.cache.counts(found))
        self.assertIsNot(await again[0], found)
        self.assertTrue(self.one.remembers_alive(second))

    async def test_a_small_cache(self) -> None:
        """Where a batch has more than is kept, what is kept of it still hears of changes, and no cell is left over."""
        cache = self.one.cache
        for cache.most_entries in (1, 0):
            digests = [await self.issue(user_id="") for _ in range(3)]
            await gatherResults([self.one.answers.find(digest) for digest in digests])
            self.assertEqual(sum(map(self.one.remembers_alive, digests)), cache.most_entries)
            self.assertEqual(sorted(cache._cells), [b"gen:client:{app}", b"gen:world"] * cache.most_entries)
            cache.changed(naming.generation("client:app"))
            self.assertFalse(any(map(self.one.remembers_alive, digests)))

    async def test_an_unreadable_record(self) -> None:
        """A record that cannot be read is the trouble of who asks for it alone, not of those in the same batch."""
        good = [await self.issue() for _ in range(3)]
        bad = kinds.digest("bad")
        await self.command("SET", b"a:" + bad, b"\xffnot a record")
        asked = [self.one.answers.find(digest) for digest in (good[0], bad, *good[1:])]
        await self.assertFailure(asked.pop(1), Unreadable)
        self.assertNotIn(INACTIVE, [entry.value for entry in await gatherResults(asked)])
        self.assertEqual((self.one.cache._open, self.one.cache._reads), (0, {}))

    async def test_an_answer_that_cannot_be_written(self) -> None:
        """A token of which nothing can be said harms nobody else, and leaves no cell behind."""
        good = await self.issue(user_id="")
        await self.store.begin("user:odd")
        bad = await self.issue(user_id="odd")
        write = self.one.answers.write

        def writes(record: AccessToken) -> bytes:
            if record.user_id == "odd":
                raise ValueError("nothing can be said")
            return write(record)

        self.one.answers.write = writes
        asked = [self.one.answers.find(digest) for digest in (bad, good)]
        await self.assertFailure(asked[0], ValueError)
        self.assertNotEqual((await asked[1]).value, INACTIVE)
        cells = self.one.cache._cells
        self.assertEqual(set(cells), {b"gen:world", b"gen:client:{app}"})
        self.assertTrue(all(cell.entries == 1 for cell in cells.values()))


class StandingTests(AnswersCase):
    """Does a grant stand, for all that is known? (`Tokens.covers`)"""

    async def covers(self, user_id: str = "u1") -> bool:
        """Under the generations in force when the first test token is issued."""
        made = replace(grant(9000), user_id=user_id, generations=Generations(1, 1, 1))
        return await self.tokens.covers(made, await self.store.generations("app"))

    async def test_from_memory(self) -> None:
        """The user's generation is read once, and a change that was heard counts at once."""
        self.assertEqual([await self.covers(), await self.covers()], [True, True])
        self.assertGreater(self.one.cache.tally.hits, 0)
        await self.store.raise_generation("user:u1")
        await self.one.heard()
        self.assertFalse(await self.covers())

    async def test_nobody_is_refused_by_what_memory_says(self) -> None:
        """A user that was not there a moment ago is looked up again."""
        self.assertFalse(await self.covers("u2"))
        await self.command("SET", naming.generation("user:u2"), 1)  # nobody tells of it
        self.assertTrue(await self.covers("u2"))


class AgeTests(AnswersCase):
    """How long an answer is kept."""

    async def test_from_the_sending(self) -> None:
        """The longest age is counted from when the read was sent, not from its reply."""
        digest = await self.issue(user_id="")
        with self.one.store.holding():
            asked = self.one.answers.find(digest)
            await self.one.store.arrived()
            self.one.monotonic.advance(1)
        entry = await asked
        self.assertEqual((entry.aged, entry.until), (600.0, NOW + 1800))
        self.assertEqual(self.one.cache.cell(naming.WORLD).aged, 600.0)


class UnprovenTests(AnswersCase):
    """Without a proof."""

    async def test_each_look_is_a_read(self) -> None:
        """Nothing is kept and nothing is known: each question goes to the store, and is answered right."""
        deaf = await self.node(hears=False)
        digest = await self.issue("t")
        for _ in range(3):
            self.assertTrue(await deaf.alive(digest))
        self.assertEqual([len(read) for read in deaf.store.reads], [1, 4] * 3)
        await self.tokens.end_access("t")
        self.assertFalse(await deaf.alive(digest))
        self.assertEqual((len(deaf.cache.entries), len(deaf.cache._cells)), (0, 0))

    async def test_proven_while_it_is_read(self) -> None:
        """A flush during a read keeps its outcome out, though a proof has come before its end."""
        digest = await self.issue()
        with self.one.store.holding():
            asked = self.one.answers.find(digest)
            await self.one.store.arrived()
            self.one.cache.flush()
            await self.one.proven()
        self.assertNotEqual((await asked).value, INACTIVE)
        self.assertIsNone(self.one.kept(digest))

    async def test_away(self) -> None:
        """Without the store whoever asks is told so, never that a token is inactive; nothing is left behind."""
        digest = await self.issue()
        await self.one.connection.stop()
        for one in [self.one.answers.find(digest) for _ in range(2)]:
            await self.assertFailure(one, StoreUnavailable)
        self.assertEqual((self.one.cache._open, self.one.cache._reads), (0, {}))


class ViewTests(AnswersCase):
    """Tokens that are not for everybody."""

    async def test_an_audience(self) -> None:
        """The answer about a token with an audience has a view for each caller; one without has none."""
        free, bound = await self.issue(), await self.issue(audience=("https://rs.example",))
        self.assertIsNone((await self.one.answers.find(free)).views)
        self.assertEqual((await self.one.answers.find(bound)).views, {})

    async def test_another_caller(self) -> None:
        """Who has no view of a remembered token yet gets the same entry, without a read and without loss to others."""
        digest = await self.issue(audience=("https://rs.example",))
        entry = await self.one.answers.find(digest)
        reads = len(self.one.store.reads)
        self.assertIs(await self.one.answers.find(digest), entry)
        self.assertEqual(len(self.one.store.reads), reads)

    async def test_a_dead_one(self) -> None:
        """A dead token looks the same to everybody."""
        digest = await self.issue("t", audience=("https://rs.example",))
        await self.one.alive(digest)
        await self.tokens.end_access("t")
        self.assertIsNone((await self.one.answers.find(digest)).views)
