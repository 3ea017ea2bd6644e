"""Clients whose access tokens are not written down: introspected and revoked like all others."""

from __future__ import annotations

import json
from typing import Any

from msgspec.structs import replace

from oauthd.config import TokenSettings
from oauthd.minting import Order
from oauthd.protocol import jose
from oauthd.protocol.records import Generations
from oauthd.stores import kinds
from oauthd.stores.cache import Cache
from oauthd.stores.interface import StoreUnavailable
from oauthd.stores.status_lists import StatusLists, entry
from tests.server import App, ServerCase, ok
from tests.web.lane import listening

P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


def graves(cache: Cache) -> list[bytes]:
    """What answers hear of revocations by, of tokens that are not written down."""
    return [name for name in cache._cells if name[:2] == b"v:"]


def mirrored(token: str) -> str:
    """The same token with the other signature that its ES256 key could have made: (r, n - s) for (r, s)."""
    said, _, signature = token.rpartition(".")
    octets = jose.decode(signature)
    other = P256_ORDER - int.from_bytes(octets[32:], "big")
    return f"{said}.{jose.encode(octets[:32] + other.to_bytes(32, 'big'))}"


class StatelessCase(ServerCase):
    """A client whose tokens are not written down, one whose are, and a user."""

    async def prepare(self) -> None:
        """Register both."""
        self.app = await self.server.client("app", stateless=True)
        self.other = await self.server.client("other")
        self.alice = await self.server.user()

    async def machine(self, app: App | None = None, **form: str) -> str:
        """A client's own token."""
        answer = await self.server.token(app or self.app, "client_credentials", scope="read", **form)
        return str(ok(answer)["access_token"])

    async def revoke(self, token: str, app: App | None = None) -> None:
        """Revoke it as its client."""
        answer = await self.server.post("/oauth2/revoke", {"token": token}, basic=(app or self.app).basic)
        self.assertEqual(answer.status, 200)

    async def kept(self) -> list[bytes]:
        """What the database holds of tokens and their revocations."""
        return sorted(key for key in await self.server.keys() if key[:2] in (b"a:", b"v:"))


class IntrospectionTests(StatelessCase):
    """What is told of them."""

    async def test_nothing_is_written(self) -> None:
        """A machine's token leaves nothing in the database, a user's only its grant and what it is refreshed by."""
        before = set(await self.server.keys())
        token = await self.machine()
        self.assertEqual(set(await self.server.keys()), before)
        self.assertTrue(await self.server.active(token))
        tokens = await self.server.signed_in(self.app, self.alice)
        self.assertTrue(await self.server.active(tokens["access_token"]))
        self.assertFalse([key for key in await self.server.keys() if key[:2] == b"a:"])

    async def test_the_same_is_told(self) -> None:
        """Introspection tells of them what it tells of tokens that are written down."""
        asked = {"scope": "openid read"}
        signed = await self.server.signed_in(self.app, self.alice, **asked)
        stored = await self.server.signed_in(self.other, self.alice, **asked)
        told = [await self.server.introspect(one["access_token"]) for one in (signed, stored)]
        for one in told:
            self.assertEqual(len(one.pop("jti")), 22)
        self.assertEqual(told[0], told[1] | {"client_id": "app"})
        self.assertEqual(told[0]["username"], "alice")
        machines = [await self.server.introspect(await self.machine(app)) for app in (self.app, self.other)]
        for one in machines:
            self.assertEqual(len(one.pop("jti")), 22)
        self.assertEqual(machines[0], machines[1] | {"client_id": "app", "sub": "app"})

    async def test_what_it_says(self) -> None:
        """The token names neither the user's name nor its grant; of a pairwise client's not even the user."""
        app = await self.server.client("pairwise", stateless=True, subject_type="pairwise", sector="s.example")
        tokens = await self.server.signed_in(app, self.alice)
        _, claims = jose.peek(tokens["access_token"])
        self.assertEqual(claims["gen"], [1, 1, 1])
        shown = json.dumps(claims)
        self.assertNotIn(self.alice.user_id, shown)
        self.assertNotIn(self.alice.username, shown)
        self.assertNotEqual(claims["sub"], self.alice.user_id)
        told = await self.server.introspect(tokens["access_token"])
        self.assertEqual(told["sub"], claims["sub"])
        self.assertNotIn("username", told)
        self.assertEqual(ok(await self.server.userinfo(tokens["access_token"]))["sub"], claims["sub"])

    async def test_opaque(self) -> None:
        """Opaque tokens of such a client are written down: there is nothing else to know them by."""
        app = await self.server.client("opaque", stateless=True, access_format="opaque")
        token = await self.machine(app)
        self.assertTrue(await self.server.active(token))
        self.assertEqual(len([key for key in await self.kept() if key[:2] == b"a:"]), 1)

    async def test_its_end(self) -> None:
        """It is inactive from its end on, to the second."""
        token = await self.machine()
        self.server.clock.advance(1799)
        self.assertTrue(await self.server.active(token))
        self.server.clock.advance(1)
        self.assertFalse(await self.server.active(token))

    async def test_forged(self) -> None:
        """What somebody changed, in whatever part, is inactive."""
        token = await self.machine()
        head, body, signature = token.split(".")
        claims = json.loads(jose.decode(body))
        octets = jose.decode(signature)
        for forged in (
            f"{head}.{jose.encode(json.dumps(claims | {'scope': 'admin'}).encode())}.{signature}",
            f"{head}.{body}.{jose.encode(bytes(64))}",
            f"{head}.{body}.{jose.encode(octets[:-1] + bytes([octets[-1] ^ 1]))}",
            f"{head}.{body}.",
            f"{head}.{body}",
            f"{head}.{body}.{signature}.",
            f"{jose.encode(json.dumps({'alg': 'none'}).encode())}.{body}.",
            f"{jose.encode(json.dumps(jose.peek(token)[0] | {'x': 1}).encode())}.{body}.{signature}",
            f"{head}.{'A' * 20000}.{signature}",
            f"{token}\u00e4",
        ):
            self.assertFalse(await self.server.active(forged), forged[:80])
        self.assertTrue(await self.server.active(token))

    async def test_other_tokens_of_ours(self) -> None:
        """What we signed for another purpose, under another name, or with tokens that are written down is none."""
        tokens = await self.server.signed_in(self.other, self.alice)
        self.assertFalse(await self.server.active(tokens["id_token"]))
        minting = self.server.application.minting
        order = Order(self.app.record, ("read",), Generations(1, 1))
        signer = self.server.application.keys.signer("ES256", "at+jwt")
        draft = minting.draft(order)
        assert draft is not None
        _, claims = jose.peek(draft.token())
        self.assertTrue(await self.server.active(signer.sign(claims)))
        for wrong in (
            claims | {"iss": "https://other.example"}, {**claims, "gen": [None, 1, 0]}, claims | {"gen": [0, 1, 0]},
            claims | {"rec": "AAAA"}, claims | {"rec": 5}, claims | {"client_id": "nobody", "sub": "nobody"},
        ):  # fmt: skip
            self.assertFalse(await self.server.active(signer.sign(wrong)), wrong)
        for typ in ("JWT", "logout+jwt", "AT+JWT"):
            self.assertFalse(await self.server.active(signer.typed(typ).sign(claims)), typ)

    async def test_our_own_resources(self) -> None:
        """Userinfo and the admin API take them, until they are revoked."""
        root = await self.server.client("root", stateless=True, scopes=("admin",))
        bearer = str(ok(await self.server.token(root, "client_credentials", scope="admin"))["access_token"])
        self.assertEqual((await self.server.get("/api/v1/oauth/scopes", bearer=bearer)).status, 200)
        tokens = await self.server.signed_in(self.app, self.alice)
        self.assertEqual(ok(await self.server.userinfo(tokens["access_token"]))["sub"], self.alice.user_id)
        await self.revoke(bearer, root)
        await self.revoke(tokens["access_token"])
        self.assertEqual((await self.server.get("/api/v1/oauth/scopes", bearer=bearer)).status, 401)
        self.assertEqual((await self.server.userinfo(tokens["access_token"])).status, 401)

    async def test_many_at_once(self) -> None:
        """In a batch they are told like alone."""
        server = await self.server.client("rs")
        tokens = [await self.machine() for _ in range(3)]
        await self.revoke(mirrored(tokens[1]))
        answer = await self.server.http.request(
            "POST", "/oauth2/introspect/batch", json_body={"tokens": tokens}, basic_auth=server.basic
        )
        self.assertEqual([one["active"] for one in ok(answer)["results"]], [True, False, True])

    async def test_the_fast_lane(self) -> None:
        """The lane learns of them and forgets them like others."""
        listening(self, self.server)
        cache = self.server.application.world.cache
        token, form = await self.machine(), {"token": ""}
        for _ in range(5):
            cache.prove(self.server.clock.seconds())
            form["token"] = token
            self.assertTrue(await self.server.active(token))
        self.assertEqual(len(graves(cache)), 1)
        await self.revoke(token)
        self.assertFalse(await self.server.active(token))


class RevocationTests(StatelessCase):
    """How they end."""

    async def test_by_value(self) -> None:
        """Its client's revocation ends it, in all ways of writing it, and no other token."""
        token, other = await self.machine(), await self.machine()
        again = mirrored(token)
        self.assertTrue(await self.server.active(again))  # the same token, which nothing says against
        await self.revoke(again)
        for one in (token, again):
            self.assertEqual(await self.server.introspect(one), {"active": False})
        self.assertTrue(await self.server.active(other))
        jti = jose.peek(token)[1]["jti"]
        self.assertEqual([key for key in await self.kept() if key[:2] == b"v:"], [f"v:{jti}".encode()])

    async def test_from_memory(self) -> None:
        """What is remembered of a token is gone when another way of writing it is revoked."""
        listening(self, self.server)
        cache = self.server.application.world.cache
        cache.prove(self.server.clock.seconds())
        token = await self.machine()
        for one in (token, mirrored(token)):
            self.assertTrue(await self.server.active(one))
        entries = [cache.entries[kinds.digest(one)] for one in (token, mirrored(token))]
        self.assertEqual([cache.counts(entry) for entry in entries], [True, True])
        await self.revoke(token)
        self.assertEqual([cache.counts(entry) for entry in entries], [False, False])
        self.assertFalse(await self.server.active(mirrored(token)))

    async def test_by_others(self) -> None:
        """Another client ends nothing."""
        token = await self.machine()
        await self.revoke(token, self.other)
        self.assertTrue(await self.server.active(token))
        self.assertFalse([key for key in await self.kept() if key[:2] == b"v:"])

    async def test_by_an_administrator(self) -> None:
        """An administrator ends it by its value; lists do not show it."""
        root = await self.server.client("root", scopes=("admin",))
        bearer = str(ok(await self.server.token(root, "client_credentials", scope="admin"))["access_token"])
        token = await self.machine()
        listed = ok(await self.server.get("/api/v1/oauth/tokens", {"client_id": "app"}, bearer=bearer))
        self.assertEqual(listed["tokens"], [])
        answer = await self.server.http.request(
            "POST", "/api/v1/oauth/tokens/revoke", json_body={"token": token}, bearer=bearer
        )
        self.assertEqual(answer.status, 200)
        self.assertFalse(await self.server.active(token))

    async def test_with_its_grant(self) -> None:
        """It ends with its grant, whose refresh token is revoked."""
        tokens = await self.server.signed_in(self.app, self.alice)
        new = ok(await self.server.refresh(self.app, tokens["refresh_token"]))
        await self.revoke(new["refresh_token"])
        for one in (tokens, new):
            self.assertFalse(await self.server.active(one["access_token"]))

    async def test_with_all_others(self) -> None:
        """It ends with all of its user, of its client, with everything, and what is issued then is alive."""
        end = self.server.application.tokens
        for revoke in (
            lambda: end.end_all_of_user(self.alice.user_id), lambda: end.end_all_of_client("app"), end.end_everything
        ):  # fmt: skip
            tokens = await self.server.signed_in(self.app, self.alice)
            await revoke()
            self.assertFalse(await self.server.active(tokens["access_token"]))
        self.assertTrue(await self.server.active(await self.machine()))

    async def test_the_repeat_of_a_revocation(self) -> None:
        """What was revoked is confirmed when it is revoked again."""
        token = await self.machine()
        for _ in range(2):
            await self.revoke(token)
        self.assertFalse(await self.server.active(token))

    async def test_one_that_was_written_down(self) -> None:
        """A token that was written down and is revoked stays dead, though its signature is good."""
        token = await self.machine(self.other)
        await self.revoke(token, self.other)
        self.assertFalse(await self.server.active(token))
        self.assertFalse([key for key in await self.kept() if key[:2] == b"v:"])

    async def test_a_client_that_changes(self) -> None:
        """What was issued stays alive when its client is stateless no more, and can be revoked."""
        token = await self.machine()
        record = await self.server.application.clients.find("app")
        assert record is not None
        await self.server.application.clients.update("app", lambda one: replace(one, stateless=False))
        self.assertTrue(await self.server.active(token))
        await self.revoke(token)
        self.assertFalse(await self.server.active(token))


class KeyTests(StatelessCase):
    """Whose signature counts."""

    async def test_rotated(self) -> None:
        """A token lives on when its key signs no more; it is dead when the key is taken out, remembered or not."""
        listening(self, self.server)
        world, keys = self.server.application.world, self.server.application.keys
        world.cache.prove(self.server.clock.seconds())
        token = await self.machine()
        await keys.rotate(0)
        self.assertTrue(await self.server.active(token))
        self.assertEqual(len(graves(world.cache)), 1)
        await keys.drop(jose.peek(token)[0]["kid"])
        self.assertFalse(await self.server.active(token))
        self.assertTrue(await self.server.active(await self.machine()))

    async def test_retired(self) -> None:
        """A key is published until the last token that it signed has ended; then nothing counts that it signed."""
        keys = self.server.application.keys
        token = await self.machine()
        await keys.rotate(0)
        (old,) = [key for key in keys.states() if key.kid == jose.peek(token)[0]["kid"]]
        assert old.retires_at is not None
        self.assertGreater(old.retires_at, jose.peek(token)[1]["exp"])
        claims = jose.peek(token)[1] | {"exp": old.retires_at + 1000}
        forever = keys._opened[old.kid].signer
        assert forever is not None
        late = forever.typed("at+jwt").sign(claims)
        self.assertTrue(await self.server.active(late))
        self.server.clock.advance(old.retires_at - self.server.clock.seconds() + 1)
        self.assertFalse(await self.server.active(late))

    async def test_another_node(self) -> None:
        """Every node of the store knows them, what is sealed in them included, and hears of their end."""
        sibling = self.server.sibling()
        await sibling.application.keys.open()
        tokens = await self.server.signed_in(self.app, self.alice)
        told = await sibling.introspect(tokens["access_token"])
        self.assertEqual((told["active"], told["username"]), (True, "alice"))
        await self.revoke(tokens["access_token"])
        self.assertFalse(await sibling.active(tokens["access_token"]))


class SlowTests(StatelessCase):
    """Tokens that a thread signs."""

    sections = {"tokens": TokenSettings(access_algorithm="PS256")}

    async def test_nothing_is_written(self) -> None:
        """They are not written down either, and are revoked alike."""
        before = set(await self.server.keys())
        token = await self.machine()
        self.assertEqual(set(await self.server.keys()), before)
        self.assertTrue(await self.server.active(token))
        await self.revoke(token)
        self.assertFalse(await self.server.active(token))
        self.assertEqual(await self.kept(), [b"v:" + jose.peek(token)[1]["jti"].encode()])


class ListedTests(ServerCase):
    """Tokens that are not written down and stand in a status list."""

    async def test_revoked(self) -> None:
        """Only their place is written; it is told there, and by introspection, that one was ended."""
        app = await self.server.client("app", stateless=True, status_listed=True)
        token = str(ok(await self.server.token(app, "client_credentials"))["access_token"])
        index = jose.peek(token)[1]["status"]["status_list"]["idx"]
        self.assertTrue(await self.server.active(token))
        self.assertFalse([key for key in await self.server.keys() if key[:2] == b"a:"])
        revoked = await self.server.post("/oauth2/revoke", {"token": token}, basic=app.basic)
        self.assertEqual(revoked.status, 200)
        self.assertFalse(await self.server.active(token))
        (stored,) = await self.server.store.get(entry(index))
        assert stored is not None
        self.assertTrue(stored.record.ended)

    async def test_revocation_that_failed_midway(self) -> None:
        """A revocation that failed before it was remembered for the list: its repeat is 200 only once it is."""
        app = await self.server.client("app", stateless=True, status_listed=True)
        token = str(ok(await self.server.token(app, "client_credentials"))["access_token"])
        index = jose.peek(token)[1]["status"]["status_list"]["idx"]
        end = StatusLists.end

        async def failing(*anything: Any) -> None:
            raise StoreUnavailable("it is away")

        self.patch(StatusLists, "end", failing)
        revoked = await self.server.post("/oauth2/revoke", {"token": token}, basic=app.basic)
        self.assertEqual(revoked.status, 503)
        self.patch(StatusLists, "end", end)
        revoked = await self.server.post("/oauth2/revoke", {"token": token}, basic=app.basic)
        (stored,) = await self.server.store.get(entry(index))
        assert stored is not None
        self.assertEqual((revoked.status, stored.record.ended), (200, True))
