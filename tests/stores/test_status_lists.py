"""Places in status lists: given out once, by many processes at once, and told of as they should be."""

from __future__ import annotations

import itertools
import os
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import ensureDeferred, gatherResults
from twisted.internet.task import Clock

from oauthd.protocol import records, status_list
from oauthd.protocol.jose.segments import encode
from oauthd.protocol.records import Generations, StatusEntry
from oauthd.protocol.status_list import SIZE
from oauthd.stores import kinds, status_lists
from oauthd.stores.interface import StoreUnavailable, Write
from oauthd.stores.redis import RedisStore
from oauthd.stores.status_lists import BLOCK, BLOCKS, HOLD, SLOW, StatusLists, entry, listing, where
from oauthd.stores.status_sweep import LEASE, StatusSweep
from tests.specs.status_reader import status
from tests.stores.case import NOW, StoreCase, access, grant

TTL = 300


class StatusCase(StoreCase):
    """Tests with lists in the real store."""

    async def setUp(self) -> None:  # type: ignore[override]  # trial awaits it
        """Two clients and a user."""
        await super().setUp()
        for subject in ("world", "client:app", "client:other", "user:u1"):
            await self.store.begin(subject)
        self.lists = self.process()

    def process(self, store: Any = None) -> StatusLists:
        """One process's share of the lists."""
        return StatusLists(store or self.store, self.clock.seconds, os.urandom, "https://as.example/lists/")

    def sweep(self, holder: str = "one", clock: Clock | None = None) -> StatusSweep:
        """One process's sweep."""
        return StatusSweep(self.store, (clock or self.clock).seconds, reactor, holder, TTL)

    async def bit(self, index: int) -> int:
        """The status in a place, as it is told."""
        number, place = divmod(index, SIZE)
        found = await self.lists.find(number)
        assert found is not None
        array = found.record.array or status_list.NOBODY
        return status(encode(array), 1, place)

    async def checked(self, number: int = 0) -> int:
        """As of when a list holds."""
        found = await self.lists.find(number)
        assert found is not None
        return found.record.checked_at

    async def listed(self, name: str, **facts: Any) -> int:
        """Write a listed token's records as they are minted; its place."""
        index = await self.lists.place()
        token = Write(kinds.access_token(name), access(status=index + 1, **facts))
        await self.store.put(token, *listing(token))
        return index


class PlacesTests(StatusCase):
    """Places are given out."""

    def test_permutation(self) -> None:
        """Every place of a list comes up once, in an order that seed and number alone decide."""
        places = status_list.Places(b"seed", 3)
        order = [places[nth] for nth in range(SIZE)]
        self.assertEqual(len(set(order)), SIZE)
        self.assertEqual((min(order), max(order)), (0, SIZE - 1))
        again = status_list.Places(b"seed", 3)
        self.assertEqual([again[nth] for nth in range(100)], order[:100])
        for other in (status_list.Places(b"seed", 4), status_list.Places(b"Seed", 3)):
            same = sum(other[nth] == order[nth] for nth in range(1000))
            self.assertLess(same, 20)

    async def test_no_two_alike(self) -> None:
        """A hundred processes that take places at once, past the end of a list, never get the same one."""
        processes = [self.process() for _ in range(100)]
        found = await gatherResults(
            [ensureDeferred(one.place()) for one in itertools.chain(*itertools.repeat(processes, 3))]
        )
        for process in processes[:40]:  # until each has asked for a block again
            found += [await process.place() for _ in range(BLOCK)]
        self.assertEqual(len(set(found)), len(found))
        self.assertEqual({index // SIZE for index in found}, {0, 1})
        self.assertEqual(await self.lists.numbers(), [0, 1])

    async def test_asks_early(self) -> None:
        """A block is asked for while there are places in hand: who needs one seldom waits."""
        await self.lists.place()
        for _ in range(BLOCK - 2):
            self.assertIsNotNone(self.lists.at_hand())
        await self.lists.find(0)  # the store answers in order
        for _ in range(10):
            await self.store.confirm()
            await self.lists.find(0)
        self.assertIsNotNone(self.lists.at_hand())
        self.assertIsNotNone(self.lists.at_hand())

    async def test_one_asks_for_all(self) -> None:
        """Those who wait at once share one block."""
        await gatherResults([ensureDeferred(self.lists.place()) for _ in range(200)])
        self.assertEqual(await self.command("GET", "sequence:status blocks"), b"1")

    async def test_held_for_an_hour(self) -> None:
        """Places in hand are not used when `HOLD` has passed: a list that nobody adds to can go."""
        await self.lists.place()
        self.clock.advance(HOLD - 1)
        self.assertIsNotNone(self.lists.at_hand())
        self.clock.advance(1)
        self.assertIsNone(self.lists.at_hand())
        await self.lists.place()
        self.assertEqual(await self.command("GET", "sequence:status blocks"), b"2")

    async def test_another_server(self) -> None:
        """What was in hand when another server was met is used no more; nor what that one does not know of."""
        processes = [self.process() for _ in range(10)]
        used = {await process.place() for process in processes}
        await self.command("SET", "sequence:status blocks", 2)
        for process in processes:
            process.another_server()
            self.assertIsNone(process.at_hand())
        for process in processes:
            used |= {await process.place() for _ in range(BLOCK)}
        self.assertEqual(len(used), 10 + 10 * BLOCK)

    async def test_store_away(self) -> None:
        """Without a store nobody waits for ever for a place, and the next one asks again."""
        await self.connection.stop()
        for _ in range(2):
            waiting = [ensureDeferred(self.lists.place()) for _ in range(3)]
            for one in waiting:
                await self.assertFailure(one, StoreUnavailable)

    async def test_slow_block_is_not_used(self) -> None:
        """A block that took longer to get than `SLOW` is given up: its list may have gone meanwhile."""
        clock = self.clock

        class Slow(RedisStore):
            async def confirm(self) -> None:
                if clock.seconds() < NOW + SLOW:
                    clock.advance(SLOW)

        await self.process(Slow(self.connection, self.clock.seconds)).place()
        self.assertEqual(await self.command("GET", "sequence:status blocks"), b"2")

    async def test_new_list_holds(self) -> None:
        """A list that never was holds as of now; one whose record was lost does not, until it was looked at."""
        await self.lists.place()
        self.assertEqual(await self.checked(), NOW)
        await self.store.forget(where(0))
        self.lists.give_up()
        await self.lists.place()
        self.assertEqual(await self.checked(), 0)
        await self.sweep().due()
        self.assertEqual(await self.checked(), NOW)

    async def test_everything_ends(self) -> None:
        """Nothing that is remembered of tokens and lists stays for ever."""
        await self.listed("t")
        await self.sweep().due()
        lasting = {b"statuses:{all}:", b"sequence:status blocks"}
        for key in await self.keys():
            if not key.startswith(b"gen:") and key not in lasting:
                self.assertGreater(await self.command("TTL", key), 0, key)


class EntryTests(StatusCase):
    """What is written next to a token."""

    def test_unlisted(self) -> None:
        """Nothing, where it is not listed."""
        self.assertEqual(listing(Write(kinds.access_token("t"), access())), ())

    def test_complete(self) -> None:
        """All that it stands on, and no more: no token, scope or name."""
        record = access(user_id="u1", grant="g1", status=8, username="alice")
        (write,) = listing(Write(kinds.access_token("t"), record))
        issued = record.generations
        self.assertEqual(write.ref, entry(7))
        self.assertEqual(
            write.record,
            StatusEntry(record.expires_at, "app", "", "g1", issued, kinds.access_token("t").ident),
        )


class SweepTests(StatusCase):
    """What has ended since."""

    async def test_each_way(self) -> None:
        """The token's record, its grant, its client, its user and the world: whatever goes is found."""
        user = Generations(1, 1, 1)
        await self.store.put(*[Write(kinds.grant(name), grant()) for name in ("g1", "g2")])
        index = {
            "plain": await self.listed("plain"),
            "forgotten": await self.listed("forgotten"),
            "grant": await self.listed("grant", grant="g1"),
            "granted": await self.listed("granted", grant="g2"),
            "client": await self.listed("client", client_id="other"),
        }
        token = Write(kinds.access_token("user"), access(user_id="u1", status=await self.lists.place() + 1))
        token = Write(token.ref, records.AccessToken(**{**_facts(token.record), "generations": user}))
        await self.store.put(token, *listing(token))
        index["user"] = token.record.status - 1
        sweep, ended = self.sweep(), set[str]()

        async def look(*more: str) -> None:
            ended.update(more)
            await sweep.look(0)
            self.assertEqual({name: await self.bit(at) for name, at in index.items()},
                             {name: int(name in ended) for name in index})  # fmt: skip

        await look()
        await self.store.forget(kinds.access_token("forgotten"))
        await look("forgotten")
        await self.store.forget(kinds.grant("g1"))
        await look("grant")
        await self.store.raise_generation("user:u1")
        await look("user")
        await self.store.end("client:other", 1000)
        await look("client")
        await self.store.begin("client:other")
        await look()
        await self.store.raise_generation("world")
        await look("plain", "granted")

    async def test_without_record(self) -> None:
        """A token without a record of its own lives by what its place says, and ends when that is told."""
        index = await self.lists.place()
        told = StatusEntry(NOW + 1000, "app", generations=Generations(1, 1))
        await self.store.put(Write(entry(index), told))
        await self.sweep().look(0)
        self.assertEqual(await self.bit(index), 0)
        await self.lists.end(index + 1, NOW + 1000)
        self.assertEqual(await self.bit(index), 1)
        other = await self.lists.place()
        await self.store.put(Write(entry(other), StatusEntry(NOW + 1000, ended=True)))
        await self.sweep().look(0)
        self.assertEqual((await self.bit(index), await self.bit(other)), (1, 1))

    async def test_as_of_its_beginning(self) -> None:
        """What is said to hold since is the moment before the look, however long it took."""
        await self.listed("t")
        clock, sweep = Clock(), self.sweep()
        clock.advance(NOW + 1000.7)

        class Slow(RedisStore):
            async def present(self, refs: Any) -> list[bool]:
                clock.advance(500)
                return await RedisStore.present(self, refs)

        sweep = StatusSweep(Slow(self.connection, self.clock.seconds), clock.seconds, reactor, "one", TTL)
        await sweep.look(0)
        self.assertEqual((await self.checked(), sweep.counts.late), (NOW + 1000, 1))

    async def test_never_back(self) -> None:
        """A look that began earlier and ends later takes neither bits nor time back."""
        one, other = await self.listed("one"), await self.listed("other")
        sweep, early = self.sweep(), Clock()
        early.advance(NOW - 50)
        await self.store.forget(kinds.access_token("other"))

        class Late(RedisStore):
            async def present(this, refs: Any) -> list[bool]:  # noqa: N805
                seen = await RedisStore.present(this, refs)
                await self.store.forget(kinds.access_token("one"))
                self.clock.advance(7)
                await sweep.look(0)
                return seen

        late = StatusSweep(Late(self.connection, self.clock.seconds), early.seconds, reactor, "two", TTL)
        await late.look(0)
        self.assertEqual((await self.bit(one), await self.bit(other)), (1, 1))
        self.assertEqual(await self.checked(), NOW + 7)

    async def test_one_for_all(self) -> None:
        """One process sweeps; when it does no more, another one does before `ttl` has passed."""
        index = await self.listed("t", lives=9000)
        one, two = self.sweep("one"), self.sweep("two")
        for _ in range(16):
            self.clock.advance(one.pause)
            await one.due()
            await two.due()
            self.assertLessEqual(self.clock.seconds() - await self.checked(), TTL / 2)
        self.assertEqual(two.counts.looked, 0)
        self.assertTrue(3 <= one.counts.looked <= 5, one.counts.looked)
        await self.store.forget(kinds.access_token("t"))
        for _ in range(8):
            self.clock.advance(two.pause)
            await two.due()
            self.assertLess(self.clock.seconds() - await self.checked(), TTL)
        self.assertEqual(await self.bit(index), 1)
        self.assertEqual((two.counts.late, one.counts.late), (0, 0))

    async def test_lease_ends(self) -> None:
        """Who holds the lease is known for a quarter of `ttl`."""
        await self.listed("t")
        await self.sweep().due()
        (stored,) = await self.store.get(LEASE)
        assert stored is not None
        self.assertEqual((stored.record.holder, stored.record.expires_at), ("one", NOW + TTL // 4))

    async def test_marks_go_together(self) -> None:
        """Many ends of tokens of one list at the same moment are all in it, whoever entered them."""
        places = [await self.lists.place() for _ in range(60)]
        processes = [self.lists, self.process(), self.process()]
        marking = [ensureDeferred(processes[n % 3].mark([index])) for n, index in enumerate(places)]
        await gatherResults(marking)
        self.assertEqual([await self.bit(index) for index in places], [1] * 60)

    async def test_mark_of_nothing(self) -> None:
        """A place in a list that is gone, and a store that is away, stop nobody's revocation."""
        await self.lists.mark([5 * SIZE])
        await self.connection.stop()
        await self.lists.mark([1])

    async def test_full_list(self) -> None:
        """All blocks of a list are looked at."""
        await self.command("SET", "sequence:status blocks", BLOCKS - 1)
        index = await self.listed("t")
        await self.store.forget(kinds.access_token("t"))
        await self.sweep().look(0)
        self.assertEqual((index // SIZE, await self.bit(index)), (0, 1))
        self.assertEqual(status_lists.BLOCKS * status_lists.BLOCK, SIZE)


def _facts(record: records.AccessToken) -> dict[str, Any]:
    return {name: getattr(record, name) for name in record.__struct_fields__}
