"""What counts once counts once in the whole world."""

from __future__ import annotations

from twisted.internet.defer import Deferred, gatherResults

from oauthd.stores.once import Once
from oauthd.stores.redis import RedisStore
from oauthd.stores.steps import MARGIN
from tests.stores.case import NOW, StoreCase


class OnceTests(StoreCase):
    """Two processes, each with a connection of its own."""

    async def setUp(self) -> None:  # type: ignore[override]  # trial awaits it
        """Connect a second one."""
        await super().setUp()
        other = RedisStore(await self.connect(path=self.socket, size=4), self.clock.seconds)
        self.both = (Once(self.store), Once(other))

    async def test_a_hundred_at_once(self) -> None:
        """Of a hundred copies that arrive together at two processes exactly one is the first."""
        for value in ("one", "two"):
            uses = [Deferred.fromCoroutine(self.both[n % 2].use("assertion", value, NOW + 60)) for n in range(100)]
            self.assertEqual(sorted(await gatherResults(uses)), [False] * 99 + [True])

    async def test_the_first_alone(self) -> None:
        """The first use is one, no later one is, at either process."""
        one, other = self.both
        self.assertTrue(await one.use("assertion", "a", NOW + 60))
        for once in (one, other, one):
            self.assertFalse(await once.use("assertion", "a", NOW + 60))

    async def test_apart(self) -> None:
        """Other values, and the same one for another purpose, have nothing to do with each other."""
        one, other = self.both
        for purpose, value in (("a", "x"), ("b", "x"), ("a", "y"), ("a", "x" * 10**6), ("a", "\ud800"), ("a", "")):
            self.assertTrue(await one.use(purpose, value, NOW + 60))
            self.assertFalse(await other.use(purpose, value, NOW + 60))

    async def test_its_end(self) -> None:
        """It is remembered to its last second, and the database forgets it by itself soon after."""
        one, other = self.both
        self.assertTrue(await one.use("assertion", "a", NOW + 60))
        (key,) = await self.keys()
        self.assertLessEqual(await self.command("TTL", key), 60 + MARGIN)
        self.assertGreater(await self.command("TTL", key), 60)
        self.clock.advance(59.75)
        self.assertFalse(await other.use("assertion", "a", NOW + 60))
        self.clock.advance(0.25)
        self.assertTrue(await other.use("assertion", "a", NOW + 120))

    async def test_nothing_of_it_is_stored(self) -> None:
        """The database holds a digest, not the value."""
        await self.both[0].use("assertion", "a-very-telling-value", NOW + 60)
        (key,) = await self.keys()
        self.assertNotIn(b"telling", key + await self.command("GET", key))
