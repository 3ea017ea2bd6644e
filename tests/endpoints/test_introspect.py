"""Introspection from memory: whatever ends a token, a caller or a proof is felt at the next look, ordinary or not."""

from __future__ import annotations

import base64
import json
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from msgspec.structs import replace
from twisted.internet.defer import Deferred

from oauthd.endpoints.introspect import MOST_VIEWS, Introspect, IntrospectionLesson
from oauthd.protocol.introspection import INACTIVE
from oauthd.protocol.messages import Headers, Parameters, Request
from oauthd.stores import kinds
from oauthd.stores.interface import Commit, Write
from tests.server import NOW, App, ServerCase
from tests.stores.case import access, grant

RESOURCE = "https://rs.example"


class MemoryCase(ServerCase):
    """A server whose cache has been proven by hand, an application and a resource server."""

    async def prepare(self) -> None:
        """Register both, and store a token."""
        application = self.server.application
        self.cache, self.clients = application.world.cache, application.clients
        self.server.store._store.changed.append(self.cache.changed)
        self.addCleanup(self.cache.flush)  # the server is used by other tests
        self.cache.flush()
        self.prove()
        endpoint: Any = application.endpoints["introspect"]
        self.endpoint: Introspect = endpoint
        self.app, self.rs = await self.server.client("app"), await self.server.client("rs")
        await self.store("token")

    def prove(self) -> None:
        """What was told until now has been heard."""
        self.cache.prove(self.server.clock.seconds())

    async def store(self, token: str, **facts: Any) -> None:
        """An access token of that value, alive."""
        today = await self.server.store.generations("app", facts.get("user_id", ""))
        record = replace(access(**({"lives": 600} | facts)), generations=today)
        await self.server.store.put(Write(kinds.access_token(token), record))

    async def lesson(self, caller: App, token: str = "token") -> tuple[bytes, IntrospectionLesson]:
        """What this caller is told the ordinary way, and what that teaches."""
        field = base64.b64encode(f"{caller.client_id}:{caller.secret}".encode()).decode()
        request = Request(
            "POST", "/oauth2/introspect", form=Parameters((("token", token),)),
            headers=Headers((("authorization", f"Basic {field}"),)),
        )  # fmt: skip
        response = await self.endpoint(request)
        lesson = response.lesson
        assert isinstance(lesson, IntrospectionLesson)
        return response.body, lesson

    async def reads(self, work: Callable[[], Awaitable[Any]]) -> int:
        """How many reads of the store some work takes."""
        read: list[Any] = []
        get, get_with = self.server.store.get, self.server.store.get_with_generations

        async def counted(*refs: Any) -> Any:
            read.append(refs)
            return await get(*refs)

        async def counted_with(*words: Any) -> Any:
            read.append(words)
            return await get_with(*words)

        patches = [self.patch(self.server.store, "get", counted),
                   self.patch(self.server.store, "get_with_generations", counted_with)]  # fmt: skip
        await work()
        for one in patches:
            one.restore()
        return len(read)


class RecallTests(MemoryCase):
    """What was taught, recalled."""

    async def taught(self, caller: App | None = None, token: str = "token") -> IntrospectionLesson:
        """A lesson by which the token is recalled alive."""
        body, lesson = await self.lesson(caller or self.rs, token)
        self.assertTrue(json.loads(body)["active"])
        self.assertTrue(lesson.holds())
        self.assertEqual(lesson.recall(token.encode()), body)
        return lesson

    async def test_from_memory(self) -> None:
        """What was answered once is answered without a read, the ordinary way too."""
        await self.taught()
        self.assertEqual(await self.reads(lambda: self.lesson(self.rs)), 0)

    async def test_the_token_ends(self) -> None:
        """Whatever ends the token ends its recall at once; asked for once more it is recalled as inactive."""
        tokens = self.server.application.tokens
        for end in (
            lambda: tokens.end_access("token"),
            lambda: tokens.end_all_of_client("app"),
            tokens.end_everything,
            lambda: self.clients.delete("app"),
        ):
            await self.store("token")
            lesson = await self.taught()
            await end()
            self.assertIsNone(lesson.recall(b"token"))
            self.assertEqual((await lesson.ask(b"token")).body, INACTIVE)
            self.assertEqual(lesson.recall(b"token"), INACTIVE)
            self.cache.flush()
            self.prove()

    async def test_a_users_token_ends(self) -> None:
        """The same for a token of a user, whose grant may end besides."""
        tokens, users = self.server.application.tokens, self.server.application.users
        alice = (await self.server.user("alice")).user_id
        for n, end in enumerate((
            lambda: tokens.end_grant("g0"),
            lambda: tokens.end_all_of_user(alice),
            lambda: tokens.end_all_of_client("app"),
            tokens.end_everything,
            lambda: users.deactivate(alice),
        )):  # fmt: skip
            await self.server.store.commit(Commit(writes=(Write(kinds.grant(f"g{n}"), grant()),)))
            await self.store("token", user_id=alice, grant=f"g{n}")
            lesson = await self.taught()
            await end()
            self.assertIsNone(lesson.recall(b"token"), n)
            self.assertEqual((await lesson.ask(b"token")).body, INACTIVE)
            self.cache.flush()
            self.prove()

    async def test_the_longest_age(self) -> None:
        """However often it is proven, and whoever asks, an answer is not recalled for longer than the longest age."""
        await self.store("token", lives=9000)
        await self.taught()
        self.server.clock.advance(self.cache.longest - 1)
        self.prove()
        await self.clients.update("rs", lambda client: client)  # which is read anew
        lesson = await self.taught()
        self.server.clock.advance(1)
        self.assertTrue(lesson.holds())
        self.assertIsNone(lesson.recall(b"token"))

    async def test_the_token_expires(self) -> None:
        """At its end, not before."""
        lesson = await self.taught()
        self.server.clock.rightNow = int(NOW) + 600 - 0.25
        self.prove()
        lesson = await self.taught()
        self.server.clock.rightNow = int(NOW) + 600
        self.assertIsNone(lesson.recall(b"token"))

    async def test_the_proof_ends(self) -> None:
        """Nothing is recalled and no lesson holds after the proof's end, until the next one."""
        lesson = await self.taught()
        self.server.clock.advance(2)
        self.assertIsNone(lesson.recall(b"token"))
        self.assertFalse(lesson.holds())
        self.prove()
        self.assertTrue(lesson.holds())
        self.assertIsNotNone(lesson.recall(b"token"))

    async def test_a_flush(self) -> None:
        """A lesson from before a flush never holds again."""
        lesson = await self.taught()
        self.cache.flush()
        self.prove()
        await self.taught()
        self.assertFalse(lesson.holds())
        self.assertIsNone(lesson.recall(b"token"))

    async def test_the_caller_changes(self) -> None:
        """Whatever changes the caller ends what it was taught."""

        def changed(**facts: Any) -> Callable[[], Awaitable[Any]]:
            return lambda: self.clients.update("rs", lambda client: replace(client, **facts))

        for n, change in enumerate((
            changed(introspects=False),
            changed(is_active=False),
            changed(resources=(RESOURCE,)),
            lambda: self.clients.rotate_secret("rs"),
            lambda: self.clients.delete("rs"),
        )):  # fmt: skip
            lesson = await self.taught()
            await change()
            self.assertFalse(lesson.holds(), n)
            self.assertIsNone(lesson.recall(b"token"), n)
            await self._again()

    async def _again(self) -> None:
        """The resource server as it was, with a new secret."""
        if await self.clients.find("rs") is None:
            self.rs = await self.server.client("rs")
            return
        _, secret = await self.clients.rotate_secret("rs", 0)
        record = await self.clients.update(
            "rs", lambda client: replace(client, introspects=True, is_active=True, resources=())
        )
        self.rs = App(record, secret)

    async def test_the_secret_ends(self) -> None:
        """A lesson by a secret that was rotated out ends with its overlap."""
        _, new = await self.clients.rotate_secret("rs", 100)
        old, fresh = await self.taught(), await self.taught(App(self.rs.record, new))
        self.server.clock.rightNow = int(NOW) + 100 - 0.25
        self.prove()
        self.assertTrue(old.holds() and fresh.holds())
        self.server.clock.rightNow = int(NOW) + 100
        self.assertFalse(old.holds())
        self.assertIsNone(old.recall(b"token"))

    async def test_the_caller_is_evicted(self) -> None:
        """A lesson of a caller that is not kept any more does not hold, for changes of it are not heard."""
        lesson = await self.taught()
        self.patch(self.cache, "most_entries", 1)
        await self.store("another")
        body, _ = await self.lesson(self.app, "another")
        self.assertTrue(json.loads(body)["active"])
        self.assertFalse(lesson.holds())
        self.assertIsNone(lesson.recall(b"token"))

    async def test_unproven(self) -> None:
        """What is answered without a proof teaches nothing that holds."""
        self.server.clock.advance(2)
        body, lesson = await self.lesson(self.rs)
        self.assertTrue(json.loads(body)["active"])
        self.assertFalse(lesson.holds())

    async def test_told(self) -> None:
        """Who is told is told what who asks is answered, of any token; a refresh token must be asked for."""
        lesson = await self.taught()
        for token in (b"token", b"unknown"):
            told: Deferred[bytes] = Deferred()
            self.assertTrue(lesson.tell(token, told.callback))
            self.assertEqual(await told, (await lesson.ask(token)).body)
        self.assertFalse(lesson.tell(b"ort_x", self.fail))

    async def test_a_refresh_token(self) -> None:
        """Refresh tokens are asked for each time, and are nobody's business but their client's."""
        alice = await self.server.user("alice")
        token = (await self.server.signed_in(self.app, alice))["refresh_token"]
        body, lesson = await self.lesson(self.app, token)
        self.assertTrue(json.loads(body)["active"])
        self.assertIsNone(lesson.recall(token.encode()))
        self.assertEqual((await (await self.taught()).ask(token.encode())).body, INACTIVE)
        self.assertEqual((await lesson.ask(token.encode())).body, body)

    async def test_a_late_reply_about_a_refresh_token(self) -> None:
        """A reply on its way for longer than a proof counts is not believed of a refresh token either."""
        token = (await self.server.signed_in(self.app, await self.server.user("alice")))["refresh_token"]
        _, lesson = await self.lesson(self.app, token)
        get, look = self.server.store.get, self.server.store.get_with_generations

        async def late(*refs: Any) -> Any:
            found = await get(*refs)
            self.server.clock.advance(10)
            return found

        async def ended(refs: Any, subjects: Any) -> Any:
            found = await look(refs, subjects)
            for patched in both:
                patched.restore()
            await self.server.application.tokens.end_grant(refs[0].slot)
            return found

        store = self.server.store
        both = [self.patch(store, "get", late), self.patch(store, "get_with_generations", ended)]
        self.assertEqual((await lesson.ask(token.encode())).body, INACTIVE)


class ViewTests(MemoryCase):
    """A token with an audience, seen by several."""

    async def prepare(self) -> None:
        """A token for a resource that the resource server owns, and a stranger."""
        await super().prepare()
        self.stranger = await self.server.client("stranger")
        await self.own("rs")
        await self.store("bound", audience=(RESOURCE,))

    async def own(self, *owners: str) -> None:
        """Give the resource to these."""
        for name in ("rs", "stranger"):
            resources = (RESOURCE,) if name in owners else ()
            await self.clients.update(name, partial(replace, resources=resources))

    async def seen(self, caller: App) -> bool:
        """Is this caller told that it is active; the same in the ordinary way, from memory and as recalled?"""
        told = {(await self.lesson(caller, "bound"))[0] for _ in range(3)}
        _, lesson = await self.lesson(caller, "bound")
        told |= {lesson.recall(b"bound") or b"", (await lesson.ask(b"bound")).body}
        self.assertEqual(len(told), 1, told)
        return told != {INACTIVE}

    async def test_each_its_own(self) -> None:
        """Owners and the token's own client see it, others do not, in any order and as often as they ask."""
        for _ in range(2):
            self.assertEqual([await self.seen(one) for one in (self.rs, self.stranger, self.app)], [True, False, True])

    async def test_nobody_takes_the_views_of_others(self) -> None:
        """Callers who ask in turn cost no read once all have asked."""
        lessons = [(await self.lesson(one, "bound"))[1] for one in (self.rs, self.stranger, self.app)]

        async def ask() -> None:
            for lesson in lessons * 3:
                if lesson.recall(b"bound") is None:
                    await lesson.ask(b"bound")

        self.assertEqual(await self.reads(ask), 0)

    async def test_the_resource_moves(self) -> None:
        """When a resource gets another owner, each sees at once what it may."""
        await self.seen(self.rs)
        await self.seen(self.stranger)
        await self.own("stranger")
        self.assertEqual([await self.seen(one) for one in (self.rs, self.stranger, self.app)], [False, True, True])

    async def test_it_ends(self) -> None:
        """A revoked one looks the same to all."""
        await self.seen(self.rs)
        await self.server.application.tokens.end_access("bound")
        self.assertEqual([await self.seen(one) for one in (self.rs, self.stranger, self.app)], [False] * 3)

    async def test_many_callers(self) -> None:
        """More callers than are remembered get the right answer, and no more are remembered."""
        for n in range(2 * MOST_VIEWS):
            caller = await self.server.client(f"c{n}", resources=(RESOURCE,) if n % 2 else ())
            self.assertEqual(await self.seen(caller), bool(n % 2))
        views = self.cache.entries[kinds.digest("bound")].views
        assert views is not None
        self.assertLessEqual(len(views), MOST_VIEWS)
