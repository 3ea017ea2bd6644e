"""RFC 7009, OAuth 2.0 Token Revocation: section by section, what holds of the running server."""

from __future__ import annotations

from tests.server import App, ServerCase, ok
from tests.wire import Answer


class RevocationTests(ServerCase):
    """What a client can end."""

    async def prepare(self) -> None:
        """A client with the tokens of a user."""
        self.app = await self.server.client()
        self.alice = await self.server.user()
        self.tokens = await self.server.signed_in(self.app, self.alice)

    async def revoke(self, token: str, app: App | None = None, **more: str) -> Answer:
        """Revoke as a client."""
        app = app or self.app
        named = {} if app.basic else {"client_id": app.client_id}
        return await self.server.post("/oauth2/revoke", {"token": token, **named, **more}, basic=app.basic)

    def done(self, answer: Answer) -> None:
        """It is answered 200 with nothing to read."""
        self.assertEqual((answer.status, answer.body), (200, b""))
        self.assertEqual(answer.header("cache-control"), "no-store")

    async def test_section_2_1_access_token(self) -> None:
        """Section 2.1: an access token ends itself, and its grant goes on."""
        self.done(await self.revoke(self.tokens["access_token"]))
        self.assertEqual(await self.server.introspect(self.tokens["access_token"]), {"active": False})
        new = ok(await self.server.refresh(self.app, self.tokens["refresh_token"]))
        self.assertTrue(await self.server.active(new["access_token"]))

    async def test_section_2_1_refresh_token(self) -> None:
        """Section 2.1: a refresh token ends its grant with every token of it, and no other grant."""
        other = await self.server.signed_in(self.app, self.alice)
        new = ok(await self.server.refresh(self.app, self.tokens["refresh_token"]))
        self.done(await self.revoke(new["refresh_token"]))
        for token in (self.tokens["access_token"], new["access_token"]):
            self.assertEqual(await self.server.introspect(token), {"active": False})
        self.refused(await self.server.refresh(self.app, new["refresh_token"]), "invalid_grant")
        self.assertTrue(await self.server.active(other["access_token"]))

    async def test_spent_refresh_token(self) -> None:
        """A refresh token that was rotated out still ends the grant when it is given back."""
        new = ok(await self.server.refresh(self.app, self.tokens["refresh_token"]))
        self.done(await self.revoke(self.tokens["refresh_token"]))
        self.assertFalse(await self.server.active(new["access_token"]))

    async def test_dead_already(self) -> None:
        """Of a token that something else has ended nothing is left: no process finds it that has not heard of that."""
        kept = [key for key in await self.server.keys() if key.startswith(b"a:")]
        self.assertEqual(len(kept), 1)
        await self.server.store.raise_generation(f"user:{self.alice.user_id}")
        self.done(await self.revoke(self.tokens["access_token"]))
        self.assertFalse(set(kept) & set(await self.server.keys()))

    async def test_section_2_2_unknown(self) -> None:
        """Section 2.2: an unknown, dead or malformed token is answered like a known one, again and again."""
        for token in ("x", "ort_x", "\u00e4", "x" * 20000, self.tokens["id_token"]):
            self.done(await self.revoke(token))
        for _ in range(2):
            self.done(await self.revoke(self.tokens["refresh_token"]))

    async def test_section_2_1_foreign(self) -> None:
        """Section 2.1: a token of another client stays as it is, and its holder cannot be told from a stranger."""
        for thief in (await self.server.client("thief"), await self.server.client("public", public=True)):
            for token in (self.tokens["access_token"], self.tokens["refresh_token"]):
                self.done(await self.revoke(token, thief))
        self.assertTrue(await self.server.active(self.tokens["access_token"]))
        ok(await self.server.refresh(self.app, self.tokens["refresh_token"]))

    async def test_section_2_1_client_authentication(self) -> None:
        """Section 2.1: a confidential client must authenticate, or nothing happens."""
        form = {"token": self.tokens["access_token"], "client_id": self.app.client_id}
        self.refused(await self.server.post("/oauth2/revoke", form), "invalid_client", 401)
        self.refused(await self.server.post("/oauth2/revoke", {"token": "x"}), "invalid_client", 401)
        self.assertTrue(await self.server.active(self.tokens["access_token"]))

    async def test_section_2_1_public_client(self) -> None:
        """Section 2.1: a public client ends its own tokens by naming itself."""
        app = await self.server.client("spa", public=True)
        tokens = await self.server.signed_in(app, self.alice)
        self.done(await self.revoke(tokens["refresh_token"], app))
        self.assertFalse(await self.server.active(tokens["access_token"]))

    async def test_section_2_1_hint(self) -> None:
        """Section 2.1 and 2.2.1: a wrong or unknown hint makes no difference."""
        self.done(await self.revoke(self.tokens["access_token"], token_type_hint="refresh_token"))
        self.assertFalse(await self.server.active(self.tokens["access_token"]))
        self.done(await self.revoke(self.tokens["refresh_token"], token_type_hint="nonsense"))
        self.refused(await self.server.refresh(self.app, self.tokens["refresh_token"]), "invalid_grant")

    async def test_section_2_1_form(self) -> None:
        """Section 2.1: the token is required, once, in the form of a POST."""
        self.refused(await self.revoke(""), "invalid_request")
        twice = [("token", "x"), ("token", "x")]
        self.refused(await self.server.post("/oauth2/revoke", twice, basic=self.app.basic), "invalid_request")
        self.refused(await self.server.get("/oauth2/revoke", {"token": "x"}), "method_not_allowed", 405)
        path = f"/oauth2/revoke?token={self.tokens['access_token']}"
        self.refused(await self.server.post(path, {}, basic=self.app.basic), "invalid_request")
        self.assertTrue(await self.server.active(self.tokens["access_token"]))

    async def test_both_families(self) -> None:
        """The contract: /oauth/revoke is the same endpoint."""
        form = {"token": self.tokens["access_token"]}
        self.done(await self.server.post("/oauth/revoke", form, basic=self.app.basic))
        self.assertFalse(await self.server.active(self.tokens["access_token"]))

    async def test_a_code_is_no_token(self) -> None:
        """A code given to revocation is answered 200 and stays good."""
        code = await self.server.code(self.app, self.alice)
        self.done(await self.revoke(code))
        ok(await self.server.redeem(self.app, code))

    async def test_events(self) -> None:
        """What was ended is told of, with who it concerned; what was not is not."""
        await self.revoke("unknown")
        await self.revoke(self.tokens["access_token"])
        await self.revoke(self.tokens["refresh_token"])
        facts = {"client_id": "app", "user_id": self.alice.user_id}
        self.assertEqual(self.server.told("token.revoked"), [facts])
        self.assertEqual(self.server.told("grant.ended"), [facts])

    async def test_section_2_3_cors(self) -> None:
        """Section 2.3: scripts of any origin may revoke, by preflight and request, never with credentials."""
        origin = [("Origin", "https://spa.example")]
        preflight = await self.server.http.request("OPTIONS", "/oauth2/revoke", headers=origin)
        self.assertEqual(preflight.status, 204)
        for answer in (preflight, await self.revoke("x")):
            self.assertEqual(answer.header("access-control-allow-origin"), "*")
            self.assertEqual(answer.header("access-control-allow-credentials"), "")
