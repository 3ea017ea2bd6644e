"""Generations only grow while their subject lives, and an ended subject has none."""

from __future__ import annotations

from twisted.internet.defer import ensureDeferred, gatherResults

from oauthd.protocol.records import Generations
from tests.stores.case import StoreCase


class GenerationTests(StoreCase):
    """`begin`, `raise_generation`, `end` and `generations`."""

    async def test_nothing_begun(self) -> None:
        """What has not begun has no generation, and what is not named has 0."""
        self.assertEqual(await self.store.generations("app", "u1"), Generations(None, None, None))
        self.assertEqual(await self.store.generations("app"), Generations(None, None, 0))
        self.assertEqual(await self.store.generations("", "u1"), Generations(None, 0, None))

    async def test_begin(self) -> None:
        """A subject begins at 1; beginning it again leaves it as it is."""
        for subject in ("world", "client:app", "user:u1"):
            self.assertEqual([await self.store.begin(subject) for _ in range(3)], [1, 1, 1])
        await self.store.raise_generation("world")
        self.assertEqual(await self.store.begin("world"), 2)
        self.assertEqual(await self.store.generations("app", "u1"), Generations(2, 1, 1))

    async def test_begin_at_once(self) -> None:
        """Many nodes that begin the world at once all find it at 1."""
        self.assertEqual(await gatherResults([ensureDeferred(self.store.begin("world")) for _ in range(20)]), [1] * 20)

    async def test_raise(self) -> None:
        """Raising grows a subject's number by one each time, and that of no other."""
        await self.store.begin("client:app")
        await self.store.begin("user:app")
        numbers = await gatherResults([ensureDeferred(self.store.raise_generation("user:app")) for _ in range(20)])
        self.assertEqual(sorted(numbers), list(range(2, 22)))
        self.assertEqual(await self.store.generations("app", "app"), Generations(None, 1, 21))

    async def test_a_resource(self) -> None:
        """A resource needs no beginning: its first number is 1."""
        subject = "resource:https://api.example/{a}"
        self.assertEqual(await self.store.get_with_generations((), (subject,)), ([], [None]))
        self.assertEqual([await self.store.raise_generation(subject) for _ in range(2)], [1, 2])
        self.assertEqual(await self.store.get_with_generations((), (subject,)), ([], [2]))

    async def test_raise_nothing(self) -> None:
        """Raising brings no subject to life that has not begun or has ended."""
        self.assertEqual(await self.store.raise_generation("user:u1"), 0)
        await self.store.begin("client:app")
        await self.store.end("client:app", 100)
        self.assertEqual(await self.store.raise_generation("client:app"), 0)
        self.assertEqual(await self.store.generations("app", "u1"), Generations(None, None, None))

    async def test_end(self) -> None:
        """An ended subject has no generation, is remembered for as long as was said, and begins above what it had."""
        await self.store.begin("client:app")
        await self.store.raise_generation("client:app")
        for _ in range(2):
            await self.store.end("client:app", 1000)
        self.assertEqual((await self.store.generations("app")).client, None)
        self.assertIn(await self.command("TTL", "gen:client:{app}"), range(990, 1001))
        self.assertEqual(await self.store.begin("client:app"), 3)
        self.assertEqual(await self.command("TTL", "gen:client:{app}"), -1)

    async def test_end_nothing(self) -> None:
        """Ending what has not begun leaves nothing behind."""
        await self.store.end("client:app", 1000)
        self.assertEqual(await self.keys(), [])

    async def test_odd_subjects(self) -> None:
        """A client whose name looks like another subject has a generation of its own."""
        await self.store.begin("client:a}:user:u1")
        self.assertEqual(await self.store.generations("a}:user:u1", "u1"), Generations(None, 1, None))
        self.assertEqual(await self.store.generations("a"), Generations(None, None, 0))
