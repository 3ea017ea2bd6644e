"""Records that are written together: each waiter is told when its own stands, and of its own failure alone."""

from __future__ import annotations

from typing import Any

from twisted.internet import reactor as _reactor
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from oauthd.stores import kinds
from oauthd.stores.interface import StoreUnavailable, Write
from oauthd.stores.writing import Writing
from tests.stores.case import StoreCase, access

reactor: Any = _reactor


class WritingTests(StoreCase):
    """`Writing.put`."""

    async def setUp(self) -> None:  # type: ignore[override]  # trial awaits it
        """Over the real store."""
        await super().setUp()
        self.writing = Writing(self.store, reactor)

    def put(self, name: str, record: Any = None) -> Deferred[Failure | None]:
        """Write a token; fires with what the waiter was told."""
        told: Deferred[Failure | None] = Deferred()
        outcome: list[Failure | None] = []

        def waiter(one: Failure | None) -> None:
            outcome.append(one)
            self.assertEqual(len(outcome), 1)  # nobody is told twice
            told.callback(None if one is None else one.value)  # type: ignore[arg-type]

        self.writing.put(Write(kinds.access_token(name), record or access()), waiter)
        return told

    async def test_together(self) -> None:
        """Those of one turn go in one exchange, and all stand when their waiters are told."""
        before = await self.exchanges()
        told = [self.put(f"t{n}") for n in range(20)]
        self.assertEqual([await one for one in told], [None] * 20)
        self.assertLessEqual(await self.exchanges() - before, 3)  # theirs, that of the list, and that of this question
        found = await self.store.get(*(kinds.access_token(f"t{n}") for n in range(20)))
        self.assertNotIn(None, found)

    async def exchanges(self) -> int:
        """How many exchanges with the server there were."""
        await self.command("PING")
        return int(self.connection._counts.latency.count)

    async def test_one_that_cannot_be_written(self) -> None:
        """What cannot be written is the affair of who wanted it, and of nobody else."""
        told = [self.put("good"), self.put("bad", access(client_id="\ud800")), self.put("fine")]
        outcomes = [await one for one in told]
        self.assertEqual([type(one) for one in outcomes], [type(None), UnicodeEncodeError, type(None)])
        self.assertNotIn(None, await self.store.get(kinds.access_token("good"), kinds.access_token("fine")))

    async def test_the_store_away(self) -> None:
        """Everybody is told when the outcome is unknown."""
        told = [self.put("one"), self.put("two")]
        await self.connection.stop()
        self.assertEqual({type(await one) for one in told}, {StoreUnavailable})

    async def test_a_waiter_that_fails(self) -> None:
        """One that fails when it is told harms no other."""

        def fails(outcome: Failure | None) -> None:
            raise RuntimeError("a waiter")

        self.writing.put(Write(kinds.access_token("t"), access()), fails)
        self.assertIsNone(await self.put("u"))
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)
