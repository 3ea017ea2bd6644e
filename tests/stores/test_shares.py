"""What processes share of limits through a real server: common buckets, who there is, and how full the server is."""

from __future__ import annotations

import time
from typing import Any

from oauthd.protocol.rates import Limit, settled
from oauthd.stores import naming, shares
from oauthd.stores.interface import StoreUnavailable
from oauthd.stores.shares import Settled, Shares, Spent
from tests.stores.case import StoreCase

LIMIT = Limit(10, 100)
SLOW = Limit(0.1, 100)  # of which a slow machine gets no token back between two steps of a test
HOUR = 3600


class SharesTests(StoreCase):
    """Two processes."""

    async def setUp(self) -> None:  # type: ignore[override]  # trial awaits it
        """Both on one connection."""
        await super().setUp()
        self.one, self.two = Shares(self.connection, "one"), Shares(self.connection, "two")

    async def told(self, shares: Shares, tokens: float, limit: Limit = LIMIT) -> Settled:
        """The common bucket after that many were given out."""
        _, (found,) = await shares.settle([Spent(b"name", limit, tokens)])
        return found

    async def kept(self) -> tuple[float, float]:
        """Level and time of the common bucket; full, and of no time, before there is one."""
        level, at = await self.command("HMGET", naming.bucket(b"name"), "level", "at")
        return (LIMIT.burst, 0.0) if level is None else (float(level), float(at))

    async def test_as_in_python(self) -> None:
        """The script counts as the rules say: what was given out goes, what came since is added, up to the burst."""
        for tokens in (30, 50.5, 40, 0.25):
            level, at = await self.kept()
            found = await self.told(self.one, tokens)
            after, now = await self.kept()
            self.assertAlmostEqual(found.level, settled(level, now - at if at else 0, tokens, LIMIT), 6)
            self.assertEqual(after, found.level)

    async def test_debt(self) -> None:
        """What was given out too much is a debt, for everybody."""
        await self.told(self.one, 90, SLOW)
        self.assertLess((await self.told(self.two, 90, SLOW)).level, -70)

    async def test_who_there_is(self) -> None:
        """Processes are counted: all of them, and those who told of one bucket."""
        self.patch(shares, "LATELY", HOUR)
        self.assertEqual(await self.one.settle([]), (1, []))
        self.assertEqual((await self.told(self.one, 1)).count, 1)
        self.assertEqual((await self.two.settle([]))[0], 2)
        self.assertEqual((await self.told(self.one, 1)).count, 1)
        self.assertEqual((await self.told(self.two, 1)).count, 2)

    async def test_who_is_gone(self) -> None:
        """Who has not told for long is not counted, and no more kept."""
        self.patch(shares, "LATELY", HOUR)
        await self.told(self.one, 1)
        for ago, count in ((HOUR / 2, 2), (2 * HOUR, 1)):
            await self.command("HSET", naming.bucket(b"name"), "p:one", str(time.time() - ago))
            self.assertEqual((await self.told(self.two, 1)).count, count)
        self.assertEqual(await self.command("HEXISTS", naming.bucket(b"name"), "p:one"), 0)

    async def test_names_end(self) -> None:
        """A bucket stays until it would be full, and no longer than a day; what was shared ends."""
        self.patch(shares, "MEASURED", HOUR * 1000)  # which ends in a second, and no test may wait for that
        await self.told(self.one, 50, SLOW)
        await self.one.memory()
        self.assertIn(await self.command("TTL", naming.bucket(b"name")), range(440, 506))
        await self.told(self.one, 1e12, Limit(0.001, 5))
        self.assertIn(await self.command("TTL", naming.bucket(b"name")), range(86340, 86410))
        for key in await self.keys():
            self.assertGreater(await self.command("PTTL", key), 0, key)

    async def test_memory(self) -> None:
        """One looks, and for a moment the others take what it has seen."""
        found = await self.one.memory()
        self.assertGreater(found.used, 100_000)
        self.assertEqual(found.most, 0)
        await self.command("SET", naming.MEMORY, "7 11")
        again = await self.two.memory()
        self.assertEqual((again.used, again.most), (7, 11))

    async def test_full(self) -> None:
        """A server that is full still says so, though it takes nothing."""
        self.addCleanup(self.command, "CONFIG", "SET", "maxmemory", "0")
        await self.command("CONFIG", "SET", "maxmemory", "100000")
        found = await self.one.memory()
        self.assertEqual(found.most, 100_000)
        self.assertGreater(found.used, found.most)
        with self.assertRaises(StoreUnavailable):
            await self.told(self.one, 1)

    async def test_nobody_is_named(self) -> None:
        """A process is known by a name of its own alone."""
        shown: Any = repr(self.one)
        self.assertNotIn("'one'", shown)
