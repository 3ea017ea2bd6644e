"""A record is written where it is still as it was read, and nowhere else; who was too slow reads again."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from msgspec.structs import replace
from twisted.internet.defer import Deferred, gatherResults

from oauthd.protocol.records import Tally
from oauthd.stores import kinds
from oauthd.stores.interface import Commit, Stored, StoreUnavailable, Write
from oauthd.stores.swap import TRIES, give, readings, swap
from tests.stores.case import NOW, StoreCase

REF = kinds.TALLY.at("count")


def tally(count: int) -> Tally:
    """A record that says how many."""
    return Tally(count, NOW + 60)


class TallyCase(StoreCase):
    """One record, on which many may count."""

    async def now(self) -> Stored[Tally] | None:
        """What stands there."""
        (stored,) = await self.store.get(REF)
        return stored

    async def count(self) -> int | None:
        """What it says."""
        stored = await self.now()
        return None if stored is None else stored.record.count


class SwapTests(TallyCase):
    """One step."""

    async def test_as_it_was_read(self) -> None:
        """A record that nobody changed is replaced or removed, and one that was absent is made."""
        self.assertTrue(await swap(self.store, REF, None, tally(1)))
        self.assertTrue(await swap(self.store, REF, await self.now(), tally(2)))
        self.assertEqual(await self.count(), 2)
        self.assertTrue(await swap(self.store, REF, await self.now(), None))
        self.assertIsNone(await self.count())

    async def test_somebody_was_faster(self) -> None:
        """What was made, changed or removed since it was read is left as it is, whatever was to stand there."""
        await self.store.put(Write(REF, tally(1)))
        read = await self.now()
        for former, record in ((None, tally(9)), (read, tally(9)), (read, None)):
            await self.store.put(Write(REF, tally(2)))
            self.assertFalse(await swap(self.store, REF, former, record))
            self.assertEqual(await self.count(), 2)
        await self.store.forget(REF)
        self.assertFalse(await swap(self.store, REF, read, tally(9)))
        self.assertIsNone(await self.count())

    async def test_together(self) -> None:
        """What else belongs to a step is written with it, or not at all."""
        grant = kinds.TALLY.at("grant", "slot")
        ref = kinds.TALLY.at("code", "slot")
        self.assertTrue(await swap(self.store, ref, None, tally(1), Write(grant, tally(1))))
        self.assertFalse(await swap(self.store, ref, None, tally(2), Write(grant, tally(2))))
        (stored,) = await self.store.get(grant)
        assert stored is not None
        self.assertEqual(stored.record.count, 1)


class GiveTests(TallyCase):
    """A step that gives something in what may have ended meanwhile."""

    grant = kinds.TALLY.at("grant", "slot")
    code = kinds.TALLY.at("code", "slot")

    async def going_on(self) -> None:
        """It goes on."""

    async def ended(self) -> None:
        """It has ended."""
        raise RuntimeError

    async def unknown(self) -> None:
        """Nobody knows."""
        raise StoreUnavailable("away")

    async def give(self, still: Callable[[], Awaitable[None]]) -> bool:
        """Take the step on a record as it is now."""
        await self.store.put(Write(self.code, tally(1)))
        await self.store.forget(self.grant)
        (stored,) = await self.store.get(self.code)
        assert stored is not None
        return await give(self.store, self.code, stored, tally(2), given=Write(self.grant, tally(1)), still=still)

    async def given(self) -> bool:
        """Does what was given stand?"""
        (stored,) = await self.store.get(self.grant)
        return stored is not None

    async def test_still(self) -> None:
        """What is given stays where it goes on, and nowhere else; what is raised is told."""
        self.assertTrue(await self.give(self.going_on))
        self.assertTrue(await self.given())
        for still, error in ((self.ended, RuntimeError), (self.unknown, StoreUnavailable)):
            with self.assertRaises(error):
                await self.give(still)
            self.assertFalse(await self.given())

    async def test_no_reply(self) -> None:
        """Where nobody knows whether it was done, it is likewise."""
        commit = self.store.commit

        async def lost(step: Commit) -> bool:
            await commit(step)
            raise StoreUnavailable("away")

        self.patch(self.store, "commit", lost)
        for still, stays in ((self.going_on, True), (self.ended, False), (self.unknown, False)):
            with self.assertRaises((StoreUnavailable, RuntimeError)):
                await self.give(still)
            self.assertEqual(await self.given(), stays)

    async def test_somebody_was_faster(self) -> None:
        """What another one has given in the same place is left to him."""
        commit = self.store.commit

        async def late(step: Commit) -> bool:
            await self.store.put(Write(self.code, tally(9)), Write(self.grant, tally(9)))
            return await commit(step)

        self.patch(self.store, "commit", late)
        self.assertFalse(await self.give(self.ended))
        self.assertTrue(await self.given())


class ReadingsTests(TallyCase):
    """Rounds of reading and writing."""

    async def add(self) -> bool:
        """Count one; False when others were faster each time."""
        async for stored in readings(self.store, REF):
            record = tally(1) if stored is None else replace(stored.record, count=stored.record.count + 1)
            if await swap(self.store, REF, stored, record):
                return True
        return False

    async def test_many_at_once(self) -> None:
        """As many as there are tries count at once, and each is counted once."""
        done = await gatherResults([Deferred.fromCoroutine(self.add()) for _ in range(TRIES)])
        self.assertEqual(done, [True] * TRIES)
        self.assertEqual(await self.count(), TRIES)

    async def test_they_end(self) -> None:
        """Who never comes through is told so after as many readings as were wanted, each of what stood there then."""
        read: list[int] = []
        async for stored in readings(self.store, REF, tries=3):
            read.append(0 if stored is None else stored.record.count)
            await self.store.put(Write(REF, tally(len(read))))
            self.assertFalse(await swap(self.store, REF, stored, tally(9)))
        self.assertEqual(read, [0, 1, 2])
