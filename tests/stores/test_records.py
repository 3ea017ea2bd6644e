"""Records are read as they were written, live as long as they say by our clock, and leave nothing behind."""

from __future__ import annotations

from typing import Any

from zope.interface.verify import verifyObject

from oauthd.protocol import records
from oauthd.stores import kinds
from oauthd.stores.codec import VERSION, Unreadable
from oauthd.stores.interface import Commit, IStore, Ref, Write
from oauthd.stores.redis import RedisStore
from oauthd.stores.steps import MARGIN
from tests.stores.case import NOW, StoreCase, access, client, code, grant, one_of_each, refresh, tokens


class RecordsTests(StoreCase):
    """`get`, `put`, `forget` and `next_number`."""

    def test_interface(self) -> None:
        """The store offers every verb of the interface with its arguments."""
        self.assertTrue(verifyObject(IStore, self.store))

    async def test_every_kind(self) -> None:
        """A record of every kind in the table is read back equal, many at once and in the order asked."""
        writes = one_of_each()
        await self.store.put(*writes)
        found = await self.store.get(*(write.ref for write in reversed(writes)))
        self.assertEqual(
            [(stored.ref, stored.record) for stored in found if stored],
            [(write.ref, write.record) for write in reversed(writes)],
        )

    async def test_absent(self) -> None:
        """What was never written is None, in its place among others."""
        await self.store.put(Write(kinds.access_token("t"), access()))
        found = await self.store.get(kinds.access_token("x"), kinds.access_token("t"), kinds.client("x"))
        self.assertEqual([one and one.record for one in found], [None, access(), None])
        self.assertEqual(await self.store.get(), ())
        await self.store.put()
        await self.store.forget()

    async def test_binary_and_long(self) -> None:
        """Identifiers may be any bytes and slots any text, long ones too, and none is taken for another."""
        refs: list[Ref[Any]] = [
            kinds.ACCESS_TOKEN.at(bytes(range(256)) * 40),
            kinds.ACCESS_TOKEN.at(b"{a}:b"),
            kinds.ACCESS_TOKEN.at(b""),
            kinds.REFRESH_TOKEN.at(b":y", "x}"),
            kinds.REFRESH_TOKEN.at(b"}::y", "x"),
            kinds.REFRESH_TOKEN.at(b"y", "x}:"),
            kinds.REFRESH_TOKEN.at(b"\r\n\0", "{}{}% 7é" * 200),
            kinds.REFRESH_TOKEN.at(b"", "%7D"),
            kinds.REFRESH_TOKEN.at(b"", "}"),
        ]
        made = [access(client_id=str(n)) if ref.kind.name == "a" else refresh(str(n)) for n, ref in enumerate(refs)]
        await self.store.put(*(Write(ref, record) for ref, record in zip(refs, made, strict=True)))
        found = await self.store.get(*refs)
        self.assertEqual([one and one.record for one in found], made)
        for n, ref in enumerate(refs):
            page = await self.store.scan(f"tc:{n}")
            self.assertEqual([item.ref for item in page.items], [ref])

    async def test_expiry_by_our_clock(self) -> None:
        """A record is gone at the very second it names, though the server still holds it, and not before."""
        ref = kinds.code("g", "value")
        await self.store.put(Write(ref, code(lives=60)))
        self.clock.advance(59.999)
        self.assertEqual([one and one.record for one in await self.store.get(ref)], [code(lives=60)])
        self.clock.advance(0.001)
        self.assertEqual(await self.store.get(ref), (None,))
        self.assertEqual(len(await self.keys()), 1)

    async def test_time_to_live_from_birth(self) -> None:
        """After writes of every kind, by `put` and by `commit`, only lasting kinds have keys that never expire."""
        for write in one_of_each():
            await self.store.put(write)
        for write in one_of_each():
            self.assertTrue(await self.store.commit(Commit(absent=(write.ref,), writes=(write,))))
        await self.store.begin("client:app")
        await self.store.begin("user:u1")
        await self.store.end("user:u1", 100)
        await self.store.next_number("client")
        lasting = {kind.name.encode() for kind in kinds.KINDS if kind.lasting}
        for key in await self.keys():
            endless = await self.command("TTL", key) == -1
            first, second = [*key.split(b":", 2), b""][:2]
            forever = first in lasting or key in (b"gen:client:{app}", b"sequence:client")
            forever = forever or (first == b"x" and second in (b"clients", b"registered", b"described", b"users"))
            self.assertEqual(endless, forever, key)

    async def test_time_to_live_is_the_records(self) -> None:
        """The server keeps a record for its life by our clock and the margin, whatever date its own clock shows."""
        await self.store.put(Write(kinds.access_token("t"), access(lives=500)))
        for key in await self.keys():
            self.assertIn(await self.command("TTL", key), range(490 + MARGIN, 501 + MARGIN), key)

    async def test_written_after_its_end(self) -> None:
        """A record that has ended before it is written is never seen, and does not stay."""
        await self.store.put(Write(kinds.access_token("t"), access(lives=-5)))
        self.assertEqual(await self.store.get(kinds.access_token("t")), (None,))
        for key in await self.keys():
            self.assertIn(await self.command("TTL", key), range(1, MARGIN + 1), key)

    async def test_forget(self) -> None:
        """A forgotten record is gone from the server and from its indexes; others stay; twice is no error."""
        await self.store.put(*tokens(2), Write(kinds.client("app"), client("app", 1)), Write(kinds.grant("g"), grant()))
        for _ in range(2):
            await self.store.forget(kinds.access_token("t0"), kinds.client("app"), kinds.grant("g"))
        self.assertEqual(await self.command("ZCARD", "x:tc:app"), 1)
        self.assertEqual(await self.command("ZCARD", "x:clients"), 0)
        self.assertEqual(sorted(await self.keys()), [b"a:" + kinds.digest("t1"), b"x:tc:app"])

    async def test_put_replaces(self) -> None:
        """A second write at a reference replaces the record and its time to live."""
        ref = kinds.access_token("t")
        await self.store.put(Write(ref, access(lives=100)))
        await self.store.put(Write(ref, access(lives=5000)))
        found = await self.store.get(ref)
        self.assertEqual([one and one.record.expires_at for one in found], [NOW + 5000])
        self.assertGreater(await self.command("TTL", b"a:" + kinds.digest("t")), 4000)
        self.assertEqual(await self.command("ZCARD", "x:tc:app"), 1)

    async def test_newer_and_older_programs(self) -> None:
        """Fields of a newer program are passed over, its neighbours' versions read, and strangers' refused."""
        ref = kinds.USERNAME.at("alice")
        for version in (VERSION - 1, VERSION, VERSION + 1):
            await self.command("SET", "username:alice", bytes([version]) + b'{"new":[1,{"i":2}],"i":"u1"}')
            found = await self.store.get(ref)
            self.assertEqual([one and one.record for one in found], [records.Username("u1")])
        for strange in (b"\4{}", b"\0", b"", b'\2{"i":', b"\2[]", b"\2{}"):
            await self.command("SET", "username:alice", strange)
            with self.assertRaises(Unreadable):
                await self.store.get(ref)

    async def test_numbers(self) -> None:
        """A sequence counts from 1 and knows nothing of another one."""
        self.assertEqual([await self.store.next_number("client") for _ in range(3)], [1, 2, 3])
        self.assertEqual(await self.store.next_number("scope"), 1)

    async def test_scripts_forgotten(self) -> None:
        """A server that has forgotten every script in the middle is given them again, in a batch too."""
        await self.store.put(*tokens(3))
        for _ in range(2):
            await self.command("SCRIPT", "FLUSH")
            await self.store.put(*tokens(3))
            await self.command("SCRIPT", "FLUSH")
            ref = kinds.code("g", "c")
            await self.store.forget(ref)
            self.assertTrue(await self.store.commit(Commit(absent=(ref,), writes=(Write(ref, code()),))))
        self.assertEqual(await self.command("ZCARD", "x:tc:app"), 3)

    async def test_two_stores(self) -> None:
        """What one node writes another reads."""
        other = RedisStore(await self.connect(path=self.socket), self.clock.seconds)
        await self.store.put(Write(kinds.access_token("t"), access()))
        self.assertEqual([one and one.record for one in await other.get(kinds.access_token("t"))], [access()])
