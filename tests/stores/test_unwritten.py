"""Tokens that are not written down: revoked means inactive for them as for others, in whatever order things happen."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from msgspec.structs import replace

from oauthd.protocol.introspection import INACTIVE
from oauthd.protocol.records import AccessToken, Revoked
from oauthd.stores import kinds, naming
from oauthd.stores.interface import Commit, Write
from oauthd.stores.tokens import CLOCKS, Tokens
from tests.stores.case import NOW, access, grant
from tests.stores.node import Node
from tests.stores.test_answers import AnswersCase
from tests.stores.test_revocations import MemoryCase


class UnwrittenCase(AnswersCase):
    """Two processes that know by sight what is not written down: `forms` are its strings."""

    async def setUp(self) -> None:  # type: ignore[override]  # trial awaits it
        """Start both."""
        self.forms: dict[bytes, AccessToken] = {}
        await super().setUp()

    async def node(self, hears: bool = True) -> Node:
        """One more process."""
        node = await super().node(hears)
        node.answers.unwritten = self.forms.get
        return node

    async def founded(self) -> None:
        """There are a client and a user, and one who ends tokens."""
        self.tokens = Tokens(self.one.store.plain, self.one.cache, self.clock.seconds, unwritten=self.forms.get)
        await super().founded()

    async def signed(self, name: str, user_id: str = "u1") -> str:
        """A token that is alive, in two ways of writing; the first one."""
        more: dict[str, Any] = {}
        if user_id:
            await self.store.commit(Commit(writes=(Write(kinds.grant(f"g-{name}"), grant(9000)),)))
            more = {"grant": f"g-{name}"}
        today = await self.store.generations("app", user_id)
        record = replace(access(user_id=user_id, **more), generations=today, jti=f"jti of {name}")
        for form in ("", " again"):
            self.forms[f"eyJ {name}{form}".encode()] = record
        return f"eyJ {name}"

    async def alive(self, node: Node, token: str) -> bool:
        """Is it alive, in the way of the introspection endpoint?"""
        digest = kinds.digest(token)
        value = node.kept(digest)
        if value is None:
            value = (await node.answers.find(digest, token.encode())).value
        return value != INACTIVE

    def revocations(self) -> list[tuple[str, Callable[[str], Awaitable[Any]]]]:
        """By name; each takes the name of a token."""
        return [
            ("token", lambda name: self.tokens.end_access(f"eyJ {name}")),
            ("token written otherwise", lambda name: self.tokens.end_access(f"eyJ {name} again")),
            ("grant", lambda name: self.tokens.end_grant(f"g-{name}")),
            ("user", lambda name: self.tokens.end_all_of_user("u1")),
            ("client", lambda name: self.tokens.end_all_of_client("app")),
            ("everything", lambda name: self.tokens.end_everything()),
            ("user deactivated", lambda name: self.users.deactivate("u1")),
            ("client deleted", lambda name: self.clients.delete("app")),
        ]


class UnwrittenTests(UnwrittenCase):
    """Every kind of revocation."""

    async def test_from_memory(self) -> None:
        """What both remember, in both ways of writing, is inactive at once here, and there when it is heard."""
        for kind, revoke in self.revocations():
            await self.founded()
            forms = [await self.signed(kind), f"eyJ {kind} again"]
            for node in (self.one, self.other):
                for form in forms:
                    self.assertTrue(await self.alive(node, form), kind)
                    self.assertTrue(node.remembers_alive(kinds.digest(form)), kind)
            await revoke(kind)
            for form in forms:
                self.assertFalse(self.one.remembers_alive(kinds.digest(form)), kind)  # nothing was waited for
            await self.other.heard()
            for form in forms:
                self.assertFalse(self.other.remembers_alive(kinds.digest(form)), kind)
                for node in (self.one, self.other):
                    self.assertFalse(await self.alive(node, form), kind)

    async def test_at_every_point_of_a_read(self) -> None:
        """Whenever during a read it is revoked, here or elsewhere: nobody who asks afterwards is told otherwise."""
        for place, node in (("here", self.one), ("there", self.other)):
            for point in (0, 1, 2):
                for asked_again in (False, True):
                    for kind, revoke in self.revocations():
                        await self.founded()
                        name = f"{place} {point} {asked_again} {kind}"
                        await self._overtaken(node, name, await self.signed(name), revoke, point, asked_again)

    async def _overtaken(
        self, node: Node, name: str, token: str, revoke: Callable[[str], Awaitable[Any]], point: int, again: bool
    ) -> None:
        digest = kinds.digest(token)
        with node.store.holding():
            early = node.answers.find(digest, token.encode())
            for _ in range(point):
                await node.store.arrived()
                node.store.release()
            if point < 2:
                await node.store.arrived()
            await revoke(name)
            if node is self.other:
                await node.heard()
            late = node.answers.find(digest, token.encode()) if again else None
        await early  # whatever it says: it was asked before
        self.assertFalse(node.remembers_alive(digest), name)
        if late is not None:
            self.assertEqual((await late).value, INACTIVE, name)
        self.assertFalse(await self.alive(node, token), name)

    async def test_written_otherwise_after_the_revocation(self) -> None:
        """A way of writing that nobody has seen before is as dead as the one that was revoked."""
        for user_id in ("", "u1"):
            token = await self.signed(f"of {user_id}", user_id)
            self.assertTrue(await self.alive(self.other, token))
            await self.tokens.end_access(token)
            self.assertFalse(await self.alive(self.other, f"{token} again"))
            self.assertIsNone(await self.tokens.find_access(f"{token} again"))

    async def test_a_subscription_that_is_lost(self) -> None:
        """Who hears nothing more remembers nothing; what was revoked meanwhile is dead when it hears again."""
        token = await self.signed("t")
        self.assertTrue(await self.alive(self.other, token))
        self.other.invalidation._subscription.renew()
        await self.tokens.end_access(token)
        await self.other.proven()
        self.assertFalse(self.other.remembers_alive(kinds.digest(token)))
        self.assertFalse(await self.alive(self.other, token))

    async def test_one_that_hears_nothing(self) -> None:
        """Without a proof the read decides, each time."""
        deaf = await self.node(hears=False)
        token = await self.signed("t")
        self.assertTrue(await self.alive(deaf, token))
        await self.tokens.end_access(token)
        self.assertFalse(await self.alive(deaf, token))

    async def test_other_keys(self) -> None:
        """When our keys change, what only a signature vouched for is verified again; what is written down is not."""
        token, stored = await self.signed("t"), await self.issue()
        reading = await self.signed("r")
        for form in (token, reading):
            self.assertTrue(await self.alive(self.one, form))
        self.assertTrue(await self.one.alive(stored))
        await self.tokens.end_access(reading)
        other = await self.signed("o")
        with self.one.store.holding():
            asked = self.one.answers.find(kinds.digest(other), other.encode())
            await self.one.store.arrived()
            self.one.store.release()
            await self.one.store.arrived()
            self.forms.clear()  # the key is no more
            self.one.answers.keys_changed()
        await asked
        for form in (token, other):
            self.assertFalse(self.one.remembers_alive(kinds.digest(form)))
            self.assertFalse(await self.alive(self.one, form))
        self.assertTrue(self.one.remembers_alive(stored))

    async def test_its_end(self) -> None:
        """It is dead from its end on, and its revocation is kept for longer than any clock may differ."""
        token = await self.signed("t")
        await self.tokens.end_access(token)
        (revoked,) = await self.store.get(kinds.revoked("jti of t"))
        assert revoked is not None
        self.assertEqual(revoked.record.expires_at, NOW + 1800 + CLOCKS)
        self.assertGreater(await self.command("TTL", naming.key(revoked.ref)), 1800 + CLOCKS - 5)
        alive = await self.signed("u")
        self.assertTrue(await self.alive(self.one, alive))
        self.assertIsNotNone(await self.tokens.find_access(alive))
        self.clock.advance(1800)
        self.assertFalse(await self.alive(self.one, alive))
        self.assertIsNone(await self.tokens.find_access(alive))

    async def test_one_read(self) -> None:
        """All that such tokens stand on is read at once, their revocations among it."""
        first, second = await self.signed("1"), await self.signed("2", "")
        for form in (first, second):
            self.one.answers.ask(kinds.digest(form), lambda outcome: None, form.encode())
        await self.one.answers.find(kinds.digest(first), first.encode())
        self.assertEqual(len(self.one.store.reads), 2)
        self.assertLessEqual({b"v:jti of 1", b"v:jti of 2", b"gen:world", b"g:{g-1}:"}, set(self.one.store.reads[-1]))

    async def test_nothing_is_left_behind(self) -> None:
        """What is evicted, replaced or flushed leaves no grave in memory."""
        cache = self.one.cache
        cache.most_entries = 3
        for number in range(10):
            self.assertTrue(await self.alive(self.one, await self.signed(f"{number}", "")))
        self.assertEqual({name for name in cache._cells if name[:2] == b"v:"}, {b"v:jti of %d" % n for n in (7, 8, 9)})
        await self.tokens.end_access("eyJ 9")
        self.assertFalse(await self.alive(self.one, "eyJ 9"))
        self.assertNotIn(b"v:jti of 9", cache._cells)
        cache.flush()
        self.assertEqual(cache._cells, {})

    async def test_of_nobody(self) -> None:
        """A string that nobody vouches for is inactive, and is not kept."""
        self.assertFalse(await self.alive(self.one, "eyJ forged"))
        self.assertEqual(self.one.cache.entries, {})


class FailoverTests(MemoryCase):
    """A server that has not heard of the revocation."""

    async def test_done_again(self) -> None:
        """The revocation is written again there, and told."""
        state = await self.stage()
        await self.store.bury(Write(kinds.revoked("j"), Revoked(NOW + 100)))
        await self.fail_over(state)
        (revoked,) = await self.store.get(kinds.revoked("j"))
        self.assertEqual(None if revoked is None else revoked.record, Revoked(NOW + 100))
