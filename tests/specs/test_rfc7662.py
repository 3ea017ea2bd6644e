"""RFC 7662, OAuth 2.0 Token Introspection: section by section, what holds of the running server."""

from __future__ import annotations

from msgspec.structs import replace

from oauthd.config import TokenSettings
from tests.server import ISSUER, ServerCase, ok

INACTIVE = b'{"active":false}'


class IntrospectionTests(ServerCase):
    """Who may ask, and what is told."""

    async def prepare(self) -> None:
        """A client with the tokens of a user, and a resource server."""
        self.app = await self.server.client()
        self.alice = await self.server.user()
        self.api = await self.server.client("api")
        self.tokens = await self.server.signed_in(self.app, self.alice, scope="openid read")
        self.token: str = self.tokens["access_token"]

    async def inactive(self, token: str, **more: str) -> None:
        """The answer for this token is exactly the inactive one."""
        answer = await self.server.post("/oauth2/introspect", {"token": token, **more}, basic=self.api.basic)
        self.assertEqual((answer.status, answer.body), (200, INACTIVE))
        self.assertEqual(answer.header("cache-control"), "no-store")
        self.assertEqual(answer.header("content-type"), "application/json")

    async def test_section_2_2_members(self) -> None:
        """Section 2.2: a live access token is told with every member that there is."""
        told = await self.server.introspect(self.token, self.api)
        now = int(self.server.clock.seconds())
        self.assertEqual(len(told.pop("jti")), 22)
        self.assertEqual(
            told,
            {
                "active": True,
                "scope": "openid read",
                "client_id": "app",
                "username": "alice",
                "token_type": "Bearer",
                "exp": now + 1800,
                "iat": now,
                "nbf": now,
                "sub": self.alice.user_id,
                "aud": ISSUER,
                "iss": ISSUER,
                "auth_time": now,
                "acr": "urn:oauthd:pwd",  # RFC 9470 section 6.2
            },
        )

    async def test_both_families(self) -> None:
        """The contract: /oauth/introspect is the same endpoint, and the answer is not to be stored."""
        answer = await self.server.post("/oauth/introspect", {"token": self.token}, basic=self.api.basic)
        self.assertTrue(ok(answer)["active"])
        self.assertEqual(answer.header("cache-control"), "no-store")

    async def test_section_2_1_credentials(self) -> None:
        """Section 2.1: a caller without credentials, or with wrong ones, is 401, and learns nothing of the token."""
        for basic in (None, (self.api.client_id, "wrong"), ("unknown", "wrong")):
            answer = await self.server.post("/oauth2/introspect", {"token": self.token}, basic=basic)
            self.refused(answer, "invalid_client", 401)
            self.assertNotEqual(answer.header("www-authenticate"), "")

    async def test_section_2_1_public_clients(self) -> None:
        """Section 2.1: a public client proves nothing and is refused like one without credentials."""
        spa = await self.server.client("spa", public=True)
        answer = await self.server.post("/oauth2/introspect", {"token": self.token, "client_id": spa.client_id})
        self.refused(answer, "invalid_client", 401)

    async def test_section_4_callers_are_authorized(self) -> None:
        """Section 4: a client whose flag for it is off may not ask."""
        app = await self.server.client("not", introspects=False)
        answer = await self.server.post("/oauth2/introspect", {"token": self.token}, basic=app.basic)
        self.refused(answer, "unauthorized_client")

    async def test_section_2_1_form(self) -> None:
        """Section 2.1: the token is required, once, in the form of a POST; a hint changes nothing."""
        post = self.server.post
        self.refused(await post("/oauth2/introspect", {}, basic=self.api.basic), "invalid_request")
        twice = [("token", self.token)] * 2
        self.refused(await post("/oauth2/introspect", twice, basic=self.api.basic), "invalid_request")
        other = [("token", self.token), ("x", "1"), ("x", "2")]
        self.refused(await post("/oauth2/introspect", other, basic=self.api.basic), "invalid_request")
        query = f"/oauth2/introspect?token={self.token}"
        self.refused(await post(query, {}, basic=self.api.basic), "invalid_request")
        self.refused(await self.server.get(query), "method_not_allowed", 405)
        for hint in ("access_token", "refresh_token", "nonsense"):
            form = {"token": self.token, "token_type_hint": hint}
            self.assertTrue(ok(await post("/oauth2/introspect", form, basic=self.api.basic))["active"])

    async def test_section_2_2_inactive(self) -> None:
        """Section 2.2: unknown, malformed, foreign and dead tokens are answered with the very same bytes."""
        for token in ("x", self.token[:-1], self.token + "x", self.tokens["id_token"], "\u00e4", "ort_x", "x" * 20000):
            await self.inactive(token)
        await self.inactive(self.tokens["refresh_token"], token_type_hint="refresh_token")
        await self.server.post("/oauth2/revoke", {"token": self.token}, basic=self.app.basic)
        await self.inactive(self.token)

    async def test_expiry(self) -> None:
        """A token is active until the second that its `exp` names."""
        self.server.clock.advance(1799)
        self.assertTrue(await self.server.active(self.token))
        self.server.clock.advance(1)
        await self.inactive(self.token)

    async def test_canonical_spelling(self) -> None:
        """A JWT whose signature is spelled with other slack bits is another string, and unknown."""
        last = self.token[-1]
        alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
        for other in alphabet:
            if other != last:
                await self.inactive(self.token[:-1] + other)

    async def test_refresh_token_for_its_own_client(self) -> None:
        """A refresh token is told to its own client alone, and is inactive once it was used."""
        told = await self.server.introspect(self.tokens["refresh_token"], self.app)
        self.assertEqual((told["active"], told["client_id"], told["sub"]), (True, "app", self.alice.user_id))
        self.assertNotIn("token_type", told)
        await self.inactive(self.tokens["refresh_token"])
        ok(await self.server.refresh(self.app, self.tokens["refresh_token"]))
        self.assertEqual(await self.server.introspect(self.tokens["refresh_token"], self.app), {"active": False})

    async def test_deactivated_user(self) -> None:
        """The tokens of a deactivated user are inactive at once, and stay so when the user comes back."""
        users = self.server.application.users
        await users.deactivate(self.alice.user_id)
        await self.inactive(self.token)
        await users.update(self.alice.user_id, lambda user: replace(user, is_active=True))
        await self.inactive(self.token)
        self.assertTrue(await self.server.active((await self.server.signed_in(self.app, self.alice))["access_token"]))

    async def test_mass_revocation(self) -> None:
        """All tokens of a user, of a client, or of the world end in one step, and new ones live."""
        tokens = self.server.application.tokens
        machine = ok(await self.server.token(self.app, "client_credentials"))["access_token"]
        await tokens.end_all_of_user(self.alice.user_id)
        await self.inactive(self.token)
        self.assertTrue(await self.server.active(machine))
        await tokens.end_all_of_client("app")
        await self.inactive(machine)
        other = ok(await self.server.token(self.api, "client_credentials"))["access_token"]
        await tokens.end_everything()
        await self.inactive(other)
        new = ok(await self.server.token(self.app, "client_credentials"))["access_token"]
        self.assertTrue(await self.server.active(new))

    async def test_deleted_client(self) -> None:
        """The tokens of a deleted client are inactive, and a new client of the same id does not revive them."""
        machine = ok(await self.server.token(self.app, "client_credentials"))["access_token"]
        await self.server.application.clients.delete("app")
        for token in (self.token, machine):
            await self.inactive(token)
        await self.server.client("app")
        for token in (self.token, machine):
            await self.inactive(token)


class AudienceTests(ServerCase):
    """RFC 8707 and RFC 9068 section 4: who sees a token that is for somebody."""

    async def prepare(self) -> None:
        """Two resource servers that own something, one that owns nothing, and an application."""
        self.files = await self.server.client("files", resources=("https://files.example", "https://both.example"))
        self.mail = await self.server.client("mail", resources=("https://mail.example", "https://both.example"))
        self.nobody = await self.server.client("nobody")
        self.app = await self.server.client()

    async def seen_by(self, *resources: str) -> set[str]:
        """Which of them see a token for these resources as active."""
        form = [("grant_type", "client_credentials"), *(("resource", uri) for uri in resources)]
        token = ok(await self.server.post("/oauth2/token", form, basic=self.app.basic))["access_token"]
        callers = (self.files, self.mail, self.nobody, self.app)
        return {one.client_id for one in callers if (await self.server.introspect(token, one))["active"]}

    async def test_only_owners_and_its_own_client(self) -> None:
        """A token with resources is active for their owners and its own client alone; without, for everybody."""
        self.assertEqual(await self.seen_by(), {"files", "mail", "nobody", "app"})
        self.assertEqual(await self.seen_by("https://files.example"), {"files", "app"})
        self.assertEqual(await self.seen_by("https://both.example"), {"files", "mail", "app"})
        self.assertEqual(await self.seen_by("https://files.example", "https://mail.example"), {"files", "mail", "app"})

    async def test_audience_is_told(self) -> None:
        """Section 2.2: `aud` is the resource, or the list of them."""
        both = ["https://files.example", "https://both.example"]
        for resources, told in ((both[:1], both[0]), (both, both)):
            form = [("grant_type", "client_credentials"), *(("resource", uri) for uri in resources)]
            token = ok(await self.server.post("/oauth2/token", form, basic=self.app.basic))["access_token"]
            self.assertEqual((await self.server.introspect(token, self.files))["aud"], told)


class OpaqueTests(ServerCase):
    """Opaque access tokens."""

    sections = {"tokens": TokenSettings(access_format="opaque")}

    async def test_opaque_by_setting(self) -> None:
        """With the setting tokens are opaque, prefixed, introspectable and revocable; a client may have JWTs still."""
        app, jwt = await self.server.client(), await self.server.client("jwt", access_format="jwt")
        token = ok(await self.server.token(app, "client_credentials"))["access_token"]
        self.assertRegex(token, r"\Aoat_[0-9A-Za-z]{49}\Z")
        self.assertEqual((await self.server.introspect(token))["client_id"], "app")
        for wrong in (token[:-1], token + "0", token.swapcase()):
            self.assertEqual(await self.server.introspect(wrong), {"active": False})
        await self.server.post("/oauth2/revoke", {"token": token}, basic=app.basic)
        self.assertEqual(await self.server.introspect(token), {"active": False})
        token = ok(await self.server.token(jwt, "client_credentials"))["access_token"]
        self.assertEqual(token.count("."), 2)
