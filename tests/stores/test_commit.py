"""A commit happens whole or not at all, for one of many, and knows itself again."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace
from twisted.internet.defer import ensureDeferred, gatherResults

from oauthd.protocol.records import Lockout, RefreshToken, Spent
from oauthd.stores import kinds
from oauthd.stores.connection import CommandRefused
from oauthd.stores.interface import Commit, Ref, Stored, StoreUnavailable, Write
from oauthd.stores.redis import RedisStore
from tests.stores.case import NOW, StoreCase, access, client, code, grant, refresh

CODE = kinds.code("g", "value")
GRANT = kinds.grant("g")
TOKEN = kinds.refresh_token("g", "first")
NEXT = kinds.refresh_token("g", "second")


class CommitCase(StoreCase):
    """A grant with a code and a refresh token is stored."""

    async def setUp(self) -> None:  # type: ignore[override]
        """Store the family."""
        await super().setUp()
        await self.store.put(Write(CODE, code()), Write(GRANT, grant()), Write(TOKEN, refresh(user_id="u1")))

    async def read(self, ref: Ref[Any]) -> Stored[Any]:
        """The record at a reference, which must be there."""
        (stored,) = await self.store.get(ref)
        assert stored is not None
        return stored

    async def redemption(self, attempt: str) -> Commit:
        """The commit that redeems the code: spent, and a refresh token stored."""
        stored = await self.read(CODE)
        spent = replace(stored.record, spent=Spent(attempt, NOW))
        return Commit((stored,), (NEXT,), (GRANT,), (Write(CODE, spent), Write(NEXT, refresh("app", "u1"))))


class ConditionTests(CommitCase):
    """Each condition is checked before the first write."""

    async def refused(self, commit: Commit) -> None:
        """The commit is refused and has changed nothing."""
        before = await self.everything()
        self.assertIs(await self.store.commit(commit), False)
        self.assertEqual(await self.everything(), before)

    async def everything(self) -> dict[bytes, Any]:
        """All that stands in the server."""
        found = {}
        for key in await self.keys():
            index = key.startswith(b"x:")
            found[key] = await self.command(*(("ZRANGE", key, 0, -1) if index else ("GET", key)))
        return found

    async def test_done(self) -> None:
        """When every condition holds, the writes are there with their times to live, and the answer is True."""
        self.assertIs(await self.store.commit(await self.redemption("one")), True)
        self.assertEqual((await self.read(CODE)).record.spent, Spent("one", NOW))
        self.assertEqual((await self.read(NEXT)).record, refresh("app", "u1"))

    async def test_changed(self) -> None:
        """A record that is not as it was read refuses the commit."""
        commit = await self.redemption("one")
        await self.store.put(Write(CODE, code(lives=61)))
        await self.refused(commit)

    async def test_gone(self) -> None:
        """A record that is gone refuses the commit."""
        commit = await self.redemption("one")
        await self.store.forget(CODE)
        await self.refused(commit)

    async def test_expired(self) -> None:
        """A record that has ended since it was read refuses the commit."""
        commit = await self.redemption("one")
        self.clock.advance(60)
        await self.refused(commit)

    async def test_present(self) -> None:
        """A record where none may be refuses the commit."""
        commit = await self.redemption("one")
        await self.store.put(Write(NEXT, refresh()))
        await self.refused(commit)

    async def test_dead(self) -> None:
        """A grant that was ended refuses the commit."""
        commit = await self.redemption("one")
        await self.store.forget(GRANT)
        await self.refused(commit)

    async def test_ended_counts_as_absent(self) -> None:
        """A record past its end, which the server still holds, is neither alive nor in the way."""
        await self.store.put(Write(GRANT, grant(lives=5)), Write(NEXT, refresh(lives=5)))
        commit = await self.redemption("one")
        self.clock.advance(5)
        await self.refused(commit)
        await self.store.put(Write(GRANT, grant(lives=50)))
        self.assertTrue(await self.store.commit(commit))

    async def test_lasting_is_present(self) -> None:
        """A record without an end is alive and in the way, whatever the time."""
        ref = kinds.client("app")
        write = Write(ref, client("app", 1))
        self.assertTrue(await self.store.commit(Commit(absent=(ref,), writes=(write,))))
        self.clock.advance(10**9)
        self.assertFalse(await self.store.commit(Commit(absent=(ref,), writes=(write,))))
        self.assertTrue(await self.store.commit(Commit(alive=(ref,), writes=(write,))))

    async def test_forgets(self) -> None:
        """What a commit forgets is gone; a second one that wants it as it was is refused."""
        commit = Commit(expected=(await self.read(TOKEN),), forgets=(TOKEN, GRANT))
        self.assertTrue(await self.store.commit(commit))
        self.assertEqual(await self.store.get(TOKEN, GRANT), (None, None))
        await self.refused(commit)

    async def test_slots(self) -> None:
        """Records of two slots, or of none, are no commit: no server could promise it."""
        for refs in ((CODE, kinds.code("h", "value")), (CODE, kinds.access_token("t"))):
            with self.assertRaises(ValueError):
                await self.store.commit(Commit(absent=refs))
        with self.assertRaises(ValueError):
            await self.store.commit(Commit(absent=(kinds.access_token("t"), kinds.access_token("s"))))

    async def test_wrong_type(self) -> None:
        """What a script cannot do is an error of ours, not an outage, and happens before the first write."""
        commit = await self.redemption("one")
        await self.store.forget(NEXT)
        await self.command("LPUSH", b"r:{g}:" + kinds.digest("second"), "x")
        with self.assertRaises(CommandRefused) as caught:
            await self.store.commit(commit)
        self.assertNotIsInstance(caught.exception, StoreUnavailable)
        self.assertRegex(str(caught.exception), r"^the store refused commit at line \d+: (ERR|WRONGTYPE)$")
        self.assertIsNone((await self.read(CODE)).record.spent)


class RaceTests(CommitCase):
    """One of many commits of a record happens."""

    async def test_fifty_at_once(self) -> None:
        """Of 50 parallel redemptions of one code, over two nodes, one is done, and its writes stand."""
        other = RedisStore(await self.connect(path=self.socket), self.clock.seconds)
        commits = [await self.redemption(f"attempt {n}") for n in range(50)]
        done = await gatherResults(
            [ensureDeferred((other if n % 2 else self.store).commit(commit)) for n, commit in enumerate(commits)]
        )
        self.assertEqual(sorted(done), [False] * 49 + [True])
        winner = done.index(True)
        self.assertEqual((await self.read(CODE)).record.spent, Spent(f"attempt {winner}", NOW))

    async def test_equal_writes_are_not_one(self) -> None:
        """Of many commits that write the very same bytes one is done: equal is not the same (failures are counted)."""
        ref = kinds.LOCKOUT.at("account")
        await self.store.put(Write(ref, Lockout(1, 0.0, NOW + 900)))
        commit = Commit(expected=(await self.read(ref),), writes=(Write(ref, Lockout(2, 0.0, NOW + 900)),))
        done = await gatherResults([ensureDeferred(self.store.commit(commit)) for _ in range(20)])
        self.assertEqual(sorted(done), [False] * 19 + [True])

    async def test_equal_creations_are_not_one(self) -> None:
        """Of many commits that create the very same record one is done."""
        commit = Commit(absent=(NEXT,), writes=(Write(NEXT, refresh(spent=Spent("same", NOW))),))
        done = await gatherResults([ensureDeferred(self.store.commit(commit)) for _ in range(20)])
        self.assertEqual(sorted(done), [False] * 19 + [True])


class RepeatTests(CommitCase):
    """A commit whose reply was lost is recognised by its attempt id."""

    async def test_repeat(self) -> None:
        """The same attempt again is True and changes nothing, however often; another attempt is refused."""
        commit, other = await self.redemption("one"), await self.redemption("two")
        for _ in range(3):
            self.assertIs(await self.store.commit(commit), True)
        self.assertIs(await self.store.commit(other), False)
        self.assertEqual((await self.read(CODE)).record.spent, Spent("one", NOW))

    async def test_repeat_after_more_happened(self) -> None:
        """The attempt is recognised though what it wrote beside was used, and its grant ended, in the meantime."""
        commit = await self.redemption("one")
        await self.store.commit(commit)
        await self.store.forget(NEXT, GRANT)
        self.assertIs(await self.store.commit(commit), True)
        self.assertEqual(await self.store.get(NEXT, GRANT), (None, None))

    async def test_several(self) -> None:
        """Several attempts sent again together are recognised each by itself, beside one that was refused."""
        one, two = await self.redemption("one"), await self.redemption("two")
        stored = await self.read(TOKEN)
        three = Commit((stored,), writes=(Write(TOKEN, replace(stored.record, spent=Spent("three", NOW))),))
        for _ in range(2):
            self.assertEqual(await self.store.commits((one, two, three)), [True, False, True])

    async def test_spent_before(self) -> None:
        """A commit that leaves somebody's attempt id in its record is not taken for done."""
        await self.store.commit(await self.redemption("one"))
        stored = await self.read(CODE)
        commit = Commit(expected=(stored,), alive=(GRANT,), writes=(Write(CODE, stored.record),))
        await self.store.forget(GRANT)
        self.assertIs(await self.store.commit(commit), False)


class CommitIndexTests(CommitCase):
    """Indexes follow a commit."""

    async def listed(self, index: str) -> list[Ref[Any]]:
        """What the server has in an index, dead or alive."""
        return [item.ref for item in (await self.store.scan(index)).items]

    async def test_rotation(self) -> None:
        """A spent refresh token leaves the lists of its client and its user, and its successor enters them."""
        stored = await self.read(TOKEN)
        spent: RefreshToken = replace(stored.record, spent=Spent("one", NOW))
        commit = Commit((stored,), (), (GRANT,), (Write(TOKEN, spent), Write(NEXT, refresh("app", "u1"))))
        self.assertTrue(await self.store.commit(commit))
        for index in ("tc:app", "tu:u1"):
            self.assertEqual(await self.command("ZCARD", f"x:{index}"), 1)
            self.assertEqual(await self.listed(index), [NEXT])

    async def test_loser(self) -> None:
        """A refused commit changes no index."""
        commit, other = await self.redemption("one"), await self.redemption("two")
        await self.store.commit(commit)
        third = kinds.refresh_token("g", "third")
        await self.store.commit(replace(other, absent=(), writes=(other.writes[0], Write(third, refresh()))))
        self.assertEqual(sorted(await self.listed("tc:app"), key=repr), sorted([TOKEN, NEXT], key=repr))

    async def test_moved(self) -> None:
        """A record that changes its client changes the lists."""
        ref = kinds.ACCESS_TOKEN.at(b"x", "g")
        await self.store.put(Write(ref, access("one", "u2")))
        await self.store.commit(Commit(expected=(await self.read(ref),), writes=(Write(ref, access("two", "u2")),)))
        await self.store.indexes.written()
        self.assertEqual(await self.command("ZCARD", "x:tc:one"), 0)
        self.assertEqual((await self.listed("tc:two"), await self.listed("tu:u2")), ([ref], [ref]))

    async def test_forgotten(self) -> None:
        """A record that a commit forgets leaves the lists."""
        await self.store.commit(Commit(expected=(await self.read(TOKEN),), forgets=(TOKEN,)))
        await self.store.indexes.written()
        self.assertEqual(await self.command("EXISTS", "x:tc:app", "x:tu:u1"), 0)
