"""Records that are written together: each waiter is told when its own stands, and of its own failure alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from msgspec.structs import replace
from twisted.internet import reactor as _reactor
from twisted.internet.defer import Deferred, gatherResults
from twisted.python.failure import Failure

from oauthd.protocol.records import Spent
from oauthd.stores import kinds
from oauthd.stores.codec import Unreadable
from oauthd.stores.interface import Commit, StoreUnavailable, Write
from oauthd.stores.turns import Turns
from tests.stores.case import NOW, StoreCase, access, grant, refresh

reactor: Any = _reactor


class TurnTests(StoreCase):
    """`Turns`."""

    async def setUp(self) -> None:  # type: ignore[override]  # trial awaits it
        """Over the real store."""
        await super().setUp()
        self.turns = Turns(self.store, reactor)

    def put(self, name: str, record: Any = None) -> Deferred[Any]:
        """Write a token; fires with what the waiter was told."""
        return self.told(self.turns.put, Write(kinds.access_token(name), record or access()))

    def told(self, ask: Callable[..., None], *asked: Any) -> Deferred[Any]:
        """Ask; fires with what the waiter was told, an exception in place of a failure."""
        told: Deferred[Any] = Deferred()
        outcome: list[Any] = []

        def waiter(one: Any) -> None:
            outcome.append(one)
            self.assertEqual(len(outcome), 1)  # nobody is told twice
            told.callback(one.value if isinstance(one, Failure) else one)

        ask(*asked, waiter)
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

        self.turns.put(Write(kinds.access_token("t"), access()), fails)
        self.assertIsNone(await self.put("u"))
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)

    async def test_reads(self) -> None:
        """Each gets the records that it asked for, in its order, and None for what is not there; in one exchange."""
        await gatherResults([self.put("one"), self.put("two", access(client_id="two"))])
        one, two, none = map(kinds.access_token, ("one", "two", "none"))
        await self.store.indexes.written()
        before = await self.exchanges()
        told = [self.told(self.turns.get, refs) for refs in ((two, one), (none,), (), (one,))]
        found = [[stored and stored.record.client_id for stored in await each] for each in told]
        self.assertEqual(found, [["two", "app"], [None], [], ["app"]])
        self.assertEqual(await self.exchanges() - before, 2)  # theirs, and that of this question

    async def test_a_record_that_cannot_be_read(self) -> None:
        """Who asked for it is told; the others get theirs."""
        await self.put("good")
        await self.command("SET", b"a:" + kinds.digest("bad"), "?")
        told = [self.told(self.turns.get, (kinds.access_token(name),)) for name in ("good", "bad", "good")]
        self.assertEqual([type(await one) for one in told], [list, Unreadable, list])

    async def test_steps(self) -> None:
        """Of two that would replace one record the first is carried out, and each hears of its own."""
        refs = [kinds.refresh_token("g", name) for name in ("one", "two")]
        await self.store.put(Write(kinds.grant("g"), grant()), *(Write(ref, refresh()) for ref in refs))
        (one, two) = await self.store.get(*refs)
        before = await self.exchanges()
        told = [self.told(self.turns.commit, spending(*which)) for which in ((one, "a"), (one, "b"), (two, "c"))]
        self.assertEqual([await each for each in told], [True, False, True])
        self.assertLessEqual(await self.exchanges() - before, 3)  # theirs, that of the lists, and that of this question
        found = await self.store.get(*refs)
        self.assertEqual([stored and stored.record.spent.attempt for stored in found], ["a", "c"])

    async def test_a_step_that_cannot_be(self) -> None:
        """A step over two slots is the error of who asked for it; the others are carried out."""
        refs = [kinds.refresh_token("g", "one"), kinds.refresh_token("h", "two")]
        await self.store.put(*(Write(ref, refresh()) for ref in refs))
        one, two = await self.store.get(*refs)
        told = [self.told(self.turns.commit, step) for step in (spending(one, "a"), spending(one, "b", two))]
        self.assertEqual([type(await each) for each in told], [bool, ValueError])


def spending(stored: Any, attempt: str, *more: Any) -> Commit:
    """A step that spends a refresh token, if others are as they were, too."""
    return Commit((stored, *more), writes=(Write(stored.ref, replace(stored.record, spent=Spent(attempt, NOW))),))
