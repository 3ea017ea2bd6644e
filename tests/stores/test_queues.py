"""Queues: what was confirmed is in them, one has each thing at a time, and nothing is lost with whoever had it."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred, gatherResults

from oauthd.protocol.records import Outgoing
from oauthd.stores import kinds, naming
from oauthd.stores.codec import VERSION
from oauthd.stores.interface import StoreUnavailable, Write
from oauthd.stores.redis import RedisStore
from oauthd.stores.steps import MARGIN
from tests.stores.case import NOW, StoreCase

SLOT = kinds.OUTBOX_SLOT


def message(name: str, lives: int = 600, **more: Any) -> Write[Outgoing]:
    """A message."""
    record = Outgoing(name, "logout", "app", b"sealed", NOW, NOW + lives, NOW + lives, **more)
    return Write(kinds.outgoing(name), record)


class QueueTests(StoreCase):
    """One queue, several takers."""

    async def taken(self, until: float = NOW + 30, most: int = 100, store: RedisStore | None = None) -> list[str]:
        """The names of what is taken now."""
        claims = await (store or self.store).claim(SLOT, until, most)
        return [stored.record.message_id for stored in claims.items]

    async def test_in_order(self) -> None:
        """What is due is taken, the longest due first, as many as are wanted, and nothing before its time."""
        for name, due in (("late", NOW - 1), ("later", NOW), ("early", NOW - 5), ("not yet", NOW + 1)):
            await self.store.enqueue(due, message(name))
        self.assertEqual(await self.taken(most=2), ["early", "late"])
        self.assertEqual(await self.taken(), ["later"])
        self.clock.advance(1)
        self.assertEqual(await self.taken(), ["not yet"])

    async def test_each_to_one(self) -> None:
        """Of many takers at once in several processes none gets what another one has."""
        other = RedisStore(await self.connect(path=self.socket, size=4), self.clock.seconds)
        names = [str(number) for number in range(250)]
        await self.store.enqueue(NOW, *map(message, names))
        asked = [
            Deferred.fromCoroutine(self.taken(most=7, store=(self.store, other)[number % 2])) for number in range(60)
        ]
        found = [name for taken in await gatherResults(asked) for name in taken]
        self.assertEqual(sorted(found), sorted(names))

    async def test_a_taker_that_died(self) -> None:
        """What was taken and never settled is due again when its lease is over, and not before."""
        await self.store.enqueue(NOW, message("one"))
        self.assertEqual(await self.taken(NOW + 30), ["one"])
        self.clock.advance(29.5)
        self.assertEqual(await self.taken(NOW + 60), [])
        self.clock.advance(0.5)
        self.assertEqual(await self.taken(NOW + 60), ["one"])

    async def test_what_cannot_be_read(self) -> None:
        """What is broken is named, what another version has written is left to it, and the others are taken."""
        await self.store.enqueue(NOW, *map(message, ("broken", "newer", "one", "two")))
        await self.connection.call(("SET", naming.key(kinds.outgoing("broken")), b"\x02{"))
        await self.connection.call(("SET", naming.key(kinds.outgoing("newer")), bytes([VERSION + 2]) + b"{}"))
        claims = await self.store.claim(SLOT, NOW + 30, 10)
        self.assertEqual([one.record.message_id for one in claims.items], ["one", "two"])
        self.assertEqual(claims.broken, (kinds.outgoing("broken"),))
        self.assertEqual(claims.waiting, 4)
        self.clock.advance(30)
        self.assertEqual(await self.taken(NOW + 60), ["one", "two"])

    async def test_settled(self) -> None:
        """What is done is gone with all that there was of it; what is to be done later comes when it is due."""
        await self.store.enqueue(NOW, message("one"), message("two"))
        claims = await self.store.claim(SLOT, NOW + 30, 2)
        self.assertEqual(claims.waiting, 2)
        await self.store.dequeue(kinds.outgoing("one"))
        self.assertTrue(await self.store.requeue(message("two", tries=1), claims.held, NOW + 5))
        self.assertEqual(await self.taken(), [])
        self.clock.advance(5)
        claims = await self.store.claim(SLOT, NOW + 60, 2)
        self.assertEqual([(one.record.message_id, one.record.tries) for one in claims.items], [("two", 1)])
        await self.store.dequeue(kinds.outgoing("two"))
        self.assertEqual(await self.keys(), [])

    async def test_one_who_is_too_slow(self) -> None:
        """Who has lost it to the next one changes nothing any more, and brings nothing back that is done."""
        await self.store.enqueue(NOW, message("one"))
        slow = await self.store.claim(SLOT, NOW + 30, 1)
        self.clock.advance(30)
        self.assertEqual(await self.taken(NOW + 60), ["one"])
        self.assertFalse(await self.store.requeue(message("one", tries=9), slow.held, NOW + 31))
        (stored,) = await self.store.get(kinds.outgoing("one"))
        assert stored is not None
        self.assertEqual(stored.record.tries, 0)
        await self.store.dequeue(kinds.outgoing("one"))
        self.assertFalse(await self.store.requeue(message("one"), slow.held, None))
        self.assertEqual(await self.keys(), [])

    async def test_what_has_ended(self) -> None:
        """A record past its end is not taken, and its place in the queue goes."""
        await self.store.enqueue(NOW, message("short", 10), message("long"))
        self.clock.advance(10)
        claims = await self.store.claim(SLOT, NOW + 60, 9)
        self.assertEqual([one.record.message_id for one in claims.items], ["long"])
        self.assertEqual(claims.waiting, 1)
        self.assertEqual(await self.command("ZCARD", b"x:{outbox}"), 1)

    async def test_everything_ends(self) -> None:
        """Records and queue have a time to live from their birth, as long as the longest of them."""
        await self.store.enqueue(NOW, *(message(str(number), 100 + number) for number in range(250)))
        await self.store.enqueue(NOW, message("short", 10))
        keys = await self.keys()
        self.assertEqual(len(keys), 252)
        for key in keys:
            self.assertGreater(await self.command("TTL", key), 0, key)
        self.assertGreater(await self.command("TTL", b"x:{outbox}"), 348 + MARGIN - 2)

    async def test_what_is_unknown(self) -> None:
        """A member of a newer program is left where it is, and the others are taken."""
        await self.command("ZADD", b"x:{outbox}", NOW, b"zz{outbox}new")
        await self.store.enqueue(NOW, message("one"))
        self.assertEqual(await self.taken(), ["one"])
        self.assertEqual(await self.command("ZCARD", b"x:{outbox}"), 2)

    async def test_a_store_that_is_away(self) -> None:
        """Who puts something in is told when it may not be there."""
        await self.connection.stop()
        try:
            await self.store.enqueue(NOW, message("one"))
        except StoreUnavailable:
            return
        self.fail("it was said to be there")
