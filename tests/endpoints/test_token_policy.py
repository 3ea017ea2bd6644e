"""Lifetimes, formats, algorithms and claims of one client, or of one resource."""

from __future__ import annotations

import json
from typing import Any

from msgspec.structs import replace

from oauthd.config import Settings, TokenSettings, key_retirement
from oauthd.protocol import jose
from oauthd.protocol.rotation import LATE
from tests.server import App, ServerCase, ok

HOUR = 3600
API, SHORT, HIDDEN = "https://api.example", "https://short.example", "https://hidden.example"
CLAIMS = tuple(
    map(
        json.dumps,
        (
            {"name": "groups", "from": "roles"},
            {"name": "mail", "from": "email"},
            {"name": "tenant", "value": {"id": 7}},
        ),
    )
)
RESOURCES = tuple(
    map(
        json.dumps,
        (
            {"resource": API, "access_algorithm": "EdDSA", "claims": ["groups"]},
            {"resource": SHORT, "access_lifetime": 60},
            {"resource": HIDDEN, "access_format": "opaque"},
        ),
    )
)


class PolicyCase(ServerCase):
    """A server with declarations, a client that owns resources, and a user."""

    sections = {"tokens": TokenSettings(claims=CLAIMS, resources=RESOURCES, access_longest=8 * HOUR)}

    async def prepare(self) -> None:
        """Register both."""
        self.owner = await self.server.client("owner", resources=(API, SHORT, HIDDEN))
        self.alice = await self.server.user(roles=("ops", "dev"))

    async def machine(self, app: App, *resources: str) -> dict[str, Any]:
        """The answer to a client's own request."""
        form = [("grant_type", "client_credentials"), ("scope", "read"), *(("resource", one) for one in resources)]
        return ok(await self.server.post("/oauth2/token", form, basic=app.basic))

    async def told(self, token: str) -> dict[str, Any]:
        """What the owner of the resources is told."""
        return await self.server.introspect(token, self.owner)


class LifetimeTests(PolicyCase):
    """How long tokens live."""

    async def test_of_a_client(self) -> None:
        """A client's own lifetime stands in place of the server's, shorter or longer, in answer, token and record."""
        for seconds in (60, 4 * HOUR):
            app = await self.server.client(f"app{seconds}", access_lifetime=seconds)
            answer = await self.machine(app)
            _, claims = jose.peek(answer["access_token"])
            self.assertEqual((answer["expires_in"], claims["exp"] - claims["iat"]), (seconds, seconds))
            told = await self.told(answer["access_token"])
            self.assertEqual(told["exp"] - told["iat"], seconds)

    async def test_never_longer_than_the_longest(self) -> None:
        """Whatever a record says, no token outlives the key that signed it."""
        app = await self.server.client(access_lifetime=10**6)
        self.assertEqual((await self.machine(app))["expires_in"], 8 * HOUR)

    async def test_without_refresh_tokens(self) -> None:
        """A user's token that lives longer than others is alive to its end, though nothing refreshes its grant."""
        app = await self.server.client(access_lifetime=4 * HOUR, grant_types=("authorization_code",))
        tokens = await self.server.signed_in(app, self.alice)
        self.server.clock.advance(4 * HOUR - 1)
        self.assertTrue((await self.told(tokens["access_token"]))["active"])
        self.server.clock.advance(1)
        self.assertFalse((await self.told(tokens["access_token"]))["active"])

    async def test_of_resources(self) -> None:
        """The shortest of all that a token is for counts."""
        app = await self.server.client(access_lifetime=600)
        for resources, seconds in (((API,), 600), ((SHORT,), 60), ((API, SHORT), 60), ((), 600)):
            self.assertEqual((await self.machine(app, *resources))["expires_in"], seconds, resources)

    async def test_of_refresh_tokens(self) -> None:
        """A refresh token is idle for as long as its client's may, each one anew."""
        app = await self.server.client(refresh_lifetime=100)
        tokens = await self.server.signed_in(app, self.alice)
        for _ in range(3):
            self.server.clock.advance(99)
            tokens = ok(await self.server.refresh(app, tokens["refresh_token"]))
        self.server.clock.advance(100)
        self.refused(await self.server.refresh(app, tokens["refresh_token"]), "invalid_grant")

    async def test_of_refresh_tokens_that_stay(self) -> None:
        """One that is not replaced at use is idle anew at each use."""
        app = await self.server.client(refresh_lifetime=100, rotates_refresh=False)
        tokens = await self.server.signed_in(app, self.alice)
        for _ in range(3):
            self.server.clock.advance(99)
            ok(await self.server.refresh(app, tokens["refresh_token"]))
        self.server.clock.advance(100)
        self.refused(await self.server.refresh(app, tokens["refresh_token"]), "invalid_grant")

    async def test_keys_wait_for_them(self) -> None:
        """A key stays published until the longest token that it may have signed has ended, also on nodes whose clocks
        differ."""
        settings = Settings(tokens=self.sections["tokens"])
        self.assertGreaterEqual(key_retirement(settings), 8 * HOUR + settings.tokens.leeway)
        keys = self.server.application.keys
        app = await self.server.client(access_lifetime=8 * HOUR, stateless=True)
        token = (await self.machine(app))["access_token"]
        await keys.rotate(0)
        (old,) = [key for key in keys.states() if key.kid == jose.peek(token)[0]["kid"]]
        assert old.retires_at is not None
        self.assertGreaterEqual(old.retires_at, jose.peek(token)[1]["exp"] + LATE)
        self.server.clock.advance(8 * HOUR - 1)
        self.assertTrue(await self.server.active(token))


class FormatTests(PolicyCase):
    """What tokens look like."""

    async def test_of_resources(self) -> None:
        """A resource that wants opaque tokens gets them, also beside one that does not."""
        app = await self.server.client(access_format="jwt")
        for resources, dots in (((), 2), ((API,), 2), ((HIDDEN,), 0), ((API, HIDDEN), 0)):
            token = (await self.machine(app, *resources))["access_token"]
            self.assertEqual(token.count("."), dots, resources)
            self.assertTrue((await self.told(token))["active"])

    async def test_algorithms(self) -> None:
        """A resource's algorithm comes before the client's, and that before the server's."""
        app, own = await self.server.client(), await self.server.client("own", access_algorithm="PS256")
        for one, resources, algorithm in (
            (app, (), "ES256"), (own, (), "PS256"), (app, (API,), "EdDSA"), (own, (API,), "EdDSA"),
            (own, (SHORT,), "PS256"),
        ):  # fmt: skip
            token = (await self.machine(one, *resources))["access_token"]
            self.assertEqual(jose.peek(token)[0]["alg"], algorithm)
            self.assertTrue((await self.told(token))["active"])

    async def test_a_profile_comes_first(self) -> None:
        """No declaration makes a key sign for a client what its profile forbids."""
        app = await self.server.client(access_algorithm="RS256", profile="fapi1")
        self.assertEqual(jose.peek((await self.machine(app))["access_token"])[0]["alg"], "PS256")


class ClaimTests(PolicyCase):
    """What tokens say more."""

    async def claims(self, app: App, **more: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        """What a user's token says, and what introspection says of it."""
        token = (await self.server.signed_in(app, self.alice, **more))["access_token"]
        return jose.peek(token)[1], await self.told(token)

    async def test_of_a_client(self) -> None:
        """RFC 9068 section 2.2: the token, and introspection, carry those that the client's list names, no others."""
        for fields in ({}, {"stateless": True}, {"access_format": "opaque"}):
            name = "".join(fields) or "plain"
            app = await self.server.client(name, token_claims=("groups", "tenant"), **fields)
            tokens = await self.server.signed_in(app, self.alice)
            told = [await self.told(tokens["access_token"])]
            if "access_format" not in fields:
                told.append(jose.peek(tokens["access_token"])[1])
            for one in told:
                self.assertEqual((one["groups"], one["tenant"]), (["ops", "dev"], {"id": 7}), name)
                self.assertNotIn("mail", one)

    async def test_of_nobody(self) -> None:
        """Without a list there are none; a client's own token has what is not about a user."""
        said, told = await self.claims(await self.server.client())
        self.assertTrue({"groups", "mail", "tenant"}.isdisjoint(said | told))
        app = await self.server.client("machine", token_claims=("groups", "tenant"))
        told = await self.told((await self.machine(app))["access_token"])
        self.assertEqual((told.get("groups"), told["tenant"]), (None, {"id": 7}))

    async def test_of_a_resource(self) -> None:
        """A token for a resource carries what that wants to know, and only such a token does."""
        app = await self.server.client()
        code = {"resource": API}
        said, told = await self.claims(app, **code)
        self.assertEqual((said["groups"], told["groups"]), (["ops", "dev"], ["ops", "dev"]))
        said, told = await self.claims(app, resource=SHORT)
        self.assertTrue("groups" not in said and "groups" not in told)

    async def test_the_next_token(self) -> None:
        """What changes about the user is so from the next token on; the one before says what was so."""
        app = await self.server.client(token_claims=("groups",))
        tokens = await self.server.signed_in(app, self.alice)
        users = self.server.application.users
        await users.update(self.alice.user_id, lambda user: replace(user, roles=("dev",)))
        new = ok(await self.server.refresh(app, tokens["refresh_token"]))
        for token, groups in ((tokens, ["ops", "dev"]), (new, ["dev"])):
            self.assertEqual((await self.told(token["access_token"]))["groups"], groups)
        await users.update(self.alice.user_id, lambda user: replace(user, roles=()))
        new = ok(await self.server.refresh(app, new["refresh_token"]))
        self.assertNotIn("groups", await self.told(new["access_token"]))

    async def test_one_that_is_declared_no_more(self) -> None:
        """A name in a client's list that nothing declares adds nothing."""
        said, told = await self.claims(await self.server.client(token_claims=("gone", "mail")))
        self.assertEqual((said["mail"], told["mail"]), ("alice@example.com", "alice@example.com"))
        self.assertTrue("gone" not in said and "gone" not in told)
