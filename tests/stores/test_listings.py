"""Listings show every live record of an index once, page by page, and keep the index small."""

from __future__ import annotations

import random
import re
from typing import Any

from msgspec.structs import replace
from twisted.internet.defer import ensureDeferred, gatherResults

from oauthd.protocol import records
from oauthd.stores import cursor as cursors
from oauthd.stores import kinds, naming, scripts
from oauthd.stores.indexes import MOST_AT_ONCE
from oauthd.stores.interface import Commit, Kind, Ref, Write
from oauthd.stores.redis import LONGEST_PAGE
from oauthd.stores.steps import MARGIN
from tests.stores.case import NOW, StoreCase, access, client, grant, tokens

INDEX = "tc:app"


class ListingTests(StoreCase):
    """`scan`, and what `put` does to indexes."""

    async def walk(self, index: str, limit: int) -> list[list[Ref[Any]]]:
        """All pages of an index."""
        pages = []
        cursor: str | None = None
        while True:
            page = await self.store.scan(index, cursor, limit)
            pages.append([item.ref for item in page.items])
            cursor = page.cursor
            if cursor is None:
                return pages

    async def test_nothing(self) -> None:
        """An index that nobody has written is one empty page."""
        self.assertEqual(await self.walk("clients", 10), [[]])

    async def test_order_and_borders(self) -> None:
        """Pages of any size show every record once, in the order of their ends, and only the last has no cursor."""
        writes = tokens(30, lives=lambda n: 100 + n)
        await self.store.put(*random.Random(5).sample(writes, 30))
        for limit in (1, 7, 29, 30, 31, 100):
            pages = await self.walk(INDEX, limit)
            self.assertEqual([ref for page in pages for ref in page], [write.ref for write in writes])
            self.assertEqual([len(page) for page in pages[:-1]], [limit] * (len(pages) - 1))
            self.assertEqual(len(pages), -(-30 // limit))

    async def test_grants_of_a_session(self) -> None:
        """A grant that begins stands in the list of its session with the step itself: it is ended by that list."""
        self.patch(self.store.indexes, "enter", lambda *more: None)
        ref, record = kinds.grant("g1"), replace(grant(), session="s1")
        self.assertTrue(await self.store.commit(Commit(absent=(ref,), writes=(Write(ref, record),))))
        (found,) = (await self.store.scan(kinds.grants_of_session("s1"))).items
        self.assertEqual(found.record, record)

    async def test_equal_scores(self) -> None:
        """Records with one end are neither lost nor repeated where a page ends between them."""
        # Few ends, many records, identifiers that differ in length, case and bytes that locales put elsewhere.
        heads, tails = (b"", b"a", b"B", b"\0", b"\xff", b"_"), (b"", b"a", b"\xe9")
        idents = sorted({head + tail for head in heads for tail in tails})
        writes = [Write(kinds.ACCESS_TOKEN.at(ident), access(lives=100 + n % 3)) for n, ident in enumerate(idents)]
        await self.store.put(*writes)
        for limit in (1, 2, 5):
            refs = [ref for page in await self.walk(INDEX, limit) for ref in page]
            self.assertEqual(sorted(ref.ident for ref in refs), sorted(write.ref.ident for write in writes))

    async def test_more_than_a_small_set(self) -> None:
        """The same holds for an index too large for the server's compact form."""
        writes = tokens(700, lives=lambda n: 100 + n // 300)
        await self.store.put(*writes)
        refs = [ref for page in await self.walk(INDEX, 97) for ref in page]
        self.assertEqual(len(refs), 700)
        self.assertEqual(set(refs), {write.ref for write in writes})

    async def test_changes_between_pages(self) -> None:
        """What is taken away between two pages, the border itself too, hides nothing else; what comes later is seen."""
        writes = tokens(9, lives=lambda n: 100)
        await self.store.put(*writes)
        first = await self.store.scan(INDEX, None, 4)
        await self.store.forget(*(item.ref for item in first.items[1:]))
        late = Write(kinds.access_token("late"), access(lives=200))
        await self.store.put(late)
        rest = await self.store.scan(INDEX, first.cursor, 100)
        seen = {item.ref for item in (*first.items, *rest.items)}
        self.assertEqual(seen, {write.ref for write in writes} | {late.ref})
        self.assertEqual(len(rest.items), 6)

    async def test_expired_is_passed_over(self) -> None:
        """Expired records do not show, and pages beyond them are full."""
        await self.store.put(*tokens(20, lives=lambda n: 100 + n))
        self.clock.advance(110)
        pages = await self.walk(INDEX, 5)
        self.assertEqual([len(page) for page in pages], [5, 4])
        first = await self.store.scan(INDEX, None, 5)
        self.clock.advance(7)
        self.assertEqual(len((await self.store.scan(INDEX, first.cursor, 1)).items), 1)
        self.assertEqual(len((await self.store.scan(INDEX, first.cursor, 5)).items), 2)

    async def test_stale_members(self) -> None:
        """Members whose record is gone, or does not belong there any more, do not show and are taken out."""
        await self.store.put(*tokens(4))
        await self.command("DEL", b"a:" + kinds.digest("t0"))
        await self.store.put(Write(kinds.access_token("t1"), access("other")))
        page = await self.store.scan(INDEX)
        self.assertEqual({item.ref for item in page.items}, {kinds.access_token("t2"), kinds.access_token("t3")})
        self.assertEqual(await self.command("ZCARD", f"x:{INDEX}"), 2)

    async def test_member_entered_anew(self) -> None:
        """A member that was entered anew after it was seen stale stays in."""
        client_ref = kinds.client("app")
        await self.store.put(Write(client_ref, client("app", 8)))
        member, where = naming.member(client_ref), naming.index("clients")
        (dropped,) = await self.connection.call(scripts.DROP.on(where, args=(member, b"7", b"client{gone}", b"8")))
        self.assertEqual((dropped, len((await self.store.scan("clients")).items)), (0, 1))
        (dropped,) = await self.connection.call(scripts.DROP.on(where, args=(member, b"8")))
        self.assertEqual((dropped, len((await self.store.scan("clients")).items)), (1, 0))

    async def test_members_of_newer_programs(self) -> None:
        """A member of a kind that this program does not know is passed over and left in."""
        await self.store.put(*tokens(1))
        await self.command("ZADD", f"x:{INDEX}", NOW + 50, "newer:x")
        self.assertEqual(len((await self.store.scan(INDEX)).items), 1)
        self.assertEqual(await self.command("ZCARD", f"x:{INDEX}"), 2)

    async def test_lasting(self) -> None:
        """Lasting records are listed by their number, or by when they were made, and never pass away."""
        await self.store.put(*(Write(kinds.client(f"c{n}"), client(f"c{n}", n)) for n in (3, 1, 2)))
        made: Kind[Any] = kinds.USER
        for n in (2, 1):
            user = records.User(f"u{n}", f"u{n}", NOW + n, NOW)
            await self.store.put(Write(made.at(b"", f"u{n}"), user))
        self.clock.advance(10**9)
        self.assertEqual([ref.slot for page in await self.walk("clients", 2) for ref in page], ["c1", "c2", "c3"])
        self.assertEqual([ref.slot for page in await self.walk("users", 1) for ref in page], ["u1", "u2"])

    async def test_trimming(self) -> None:
        """Writing to an index takes more out of it than it adds, until nothing expired is left."""
        await self.store.put(*tokens(100, lives=lambda n: 100))
        self.clock.advance(100)
        sizes = []
        for n in range(8):
            await self.store.put(Write(kinds.access_token(f"new{n}"), access(lives=1000)))
            await self.store.indexes.written()
            sizes.append(await self.command("ZCARD", f"x:{INDEX}"))
        self.assertEqual(sizes, [84, 68, 52, 36, 20, 6, 7, 8])

    async def test_one_turn_is_one_command(self) -> None:
        """What one turn of the reactor enters into a list and takes out of it goes together, the last word counts."""
        before = await self._commands("evalsha") + await self._commands("eval")
        await gatherResults([ensureDeferred(self.store.put(write)) for write in tokens(30)])
        self.store.indexes.leave(kinds.access_token("t3"), [INDEX])
        self.store.indexes.enter(kinds.access_token("t4"), [INDEX], NOW + 10, 10)
        self.store.indexes.leave(kinds.access_token("t5"), [INDEX])
        self.store.indexes.enter(kinds.access_token("t5"), [INDEX], NOW + 20, 20)
        await self.store.indexes.written()
        self.assertLessEqual(await self._commands("evalsha") + await self._commands("eval") - before, 4)
        self.assertEqual(await self.command("ZCARD", f"x:{INDEX}"), 29)
        for n, score in ((4, NOW + 10), (5, NOW + 20)):
            member = naming.member(kinds.access_token(f"t{n}"))
            self.assertEqual(float(await self.command("ZSCORE", f"x:{INDEX}", member)), score)

    async def test_many_at_once(self) -> None:
        """More than fit into one command are listed, too."""
        await self.store.put(*tokens(3 * MOST_AT_ONCE + 1))
        await self.store.indexes.written()
        self.assertEqual(await self.command("ZCARD", f"x:{INDEX}"), 3 * MOST_AT_ONCE + 1)

    async def test_who_lists_sees_what_it_wrote(self) -> None:
        """A list has what this process wrote before, though nobody waits for lists to be written."""
        self.store.indexes.enter(kinds.access_token("t0"), [INDEX], NOW + 10, 10)
        await self.store.put(*tokens(1))
        self.assertEqual(len((await self.store.scan(INDEX)).items), 1)

    async def _commands(self, name: str) -> int:
        """How often the server was sent this command."""
        info = (await self.command("INFO", "commandstats")).decode()
        found = re.search(rf"cmdstat_{name}:calls=(\d+)", info)
        return int(found[1]) if found else 0

    async def test_index_lives_as_its_longest_member(self) -> None:
        """An index lives until its longest member has ended, in whatever order they come, and no longer."""
        for lives, longest in ((500, 500), (2000, 2000), (100, 2000)):
            await self.store.put(Write(kinds.access_token(f"t{lives}"), access(lives=lives)))
            await self.store.indexes.written()
            self.assertIn(await self.command("TTL", f"x:{INDEX}"), range(longest + MARGIN - 10, longest + MARGIN + 1))

    async def test_limits(self) -> None:
        """A page has at least one and at most `LONGEST_PAGE` records."""
        await self.store.put(*tokens(LONGEST_PAGE + 1))
        self.assertEqual(len((await self.store.scan(INDEX, None, 0)).items), 1)
        self.assertEqual(len((await self.store.scan(INDEX, None, 10**9)).items), LONGEST_PAGE)

    async def test_forged_cursors(self) -> None:
        """A cursor that is not ours, or of another list, is a ValueError."""
        await self.store.put(*tokens(3))
        good = (await self.store.scan(INDEX, None, 1)).cursor
        assert good is not None
        bad = ["", "0", "-1", "+inf", good + "A", good[:-1], good + "=", " " + good, good.swapcase(), "\0", "é" * 12]
        for cursor in bad:
            with self.assertRaises(ValueError):
                await self.store.scan(INDEX, cursor)
        with self.assertRaises(ValueError):
            await self.store.scan("tc:other", good)

    async def test_well_made_forgeries(self) -> None:
        """Whoever computes the checksum of a cursor gets a page of the same list and nothing else."""
        await self.store.put(*tokens(3, lives=lambda n: 100 + n))
        for score, member, seen in ((0.0, b"x", 3), (NOW + 101.0, b"", 2), (NOW + 101.0, b"\xff", 1), (1e300, b"x", 0)):
            cursor = cursors.written(INDEX, cursors.Position(score, member or b"\0"))
            self.assertEqual(len((await self.store.scan(INDEX, cursor)).items), seen)
