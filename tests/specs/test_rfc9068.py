"""RFC 9068, JWT Profile for OAuth 2.0 Access Tokens: section by section, what holds of the running server."""

from __future__ import annotations

from joserfc.errors import JoseError

from oauthd.config import TokenSettings
from tests.server import ISSUER, App, ServerCase, ok
from tests.specs.tokens import Read, verified


class AccessTokenTests(ServerCase):
    """JWT access tokens, read by a library of others."""

    async def prepare(self) -> None:
        """A client and a user."""
        self.app = await self.server.client()
        self.alice = await self.server.user()

    async def read(self, token: str) -> Read:
        """The verified token."""
        return await verified(self.server, token, "ES256")

    async def machine(self, app: App, *pairs: tuple[str, str]) -> str:
        """A client's own token."""
        form = [("grant_type", "client_credentials"), *pairs]
        token: str = ok(await self.server.post("/oauth2/token", form, basic=app.basic))["access_token"]
        return token

    async def test_section_2_1_header(self) -> None:
        """Section 2.1: the token is signed, with type at+jwt and the key's name."""
        header = (await self.read(await self.machine(self.app))).header
        self.assertEqual((header["typ"], header["alg"]), ("at+jwt", "ES256"))
        self.assertEqual(set(header), {"typ", "alg", "kid"})

    async def test_section_2_2_claims(self) -> None:
        """Section 2.2: the claims of a user's token, those of its sign-in included."""
        tokens = await self.server.signed_in(self.app, self.alice, scope="openid read")
        claims = (await self.read(tokens["access_token"])).claims
        now = int(self.server.clock.seconds())
        self.assertEqual(len(claims.pop("jti")), 22)
        for name, value in {
            "iss": ISSUER,
            "sub": self.alice.user_id,
            "aud": ISSUER,
            "exp": now + 1800,
            "iat": now,
            "client_id": "app",
            "scope": "openid read",  # section 2.2.3
            "auth_time": now,  # section 2.2.1
        }.items():
            self.assertEqual(claims[name], value, name)

    async def test_section_2_2_machine(self) -> None:
        """Section 2.2: of a client's own token `sub` is the client, and nobody has signed in."""
        claims = (await self.read(await self.machine(self.app))).claims
        self.assertEqual((claims["sub"], claims["client_id"]), ("app", "app"))
        self.assertTrue({"auth_time", "scope", "username", "email"}.isdisjoint(claims))

    async def test_section_3_audience(self) -> None:
        """Section 3: `aud` is the resources that were asked for, or by default the issuer."""
        await self.server.client("api", resources=("https://a.example", "https://b.example"))
        for resources, audience in (
            ((), ISSUER),
            (("https://a.example",), "https://a.example"),
            (("https://b.example", "https://a.example"), ["https://b.example", "https://a.example"]),
        ):
            token = await self.machine(self.app, *(("resource", uri) for uri in resources))
            self.assertEqual((await self.read(token)).claims["aud"], audience)

    async def test_jti_is_unique(self) -> None:
        """Section 2.2: no two tokens have the same jti, nor the same string."""
        tokens = [await self.machine(self.app) for _ in range(20)]
        self.assertEqual(len({(await self.read(token)).claims["jti"] for token in tokens}), 20)

    async def test_introspection_agrees(self) -> None:
        """What introspection tells is what the token says."""
        token = (await self.server.signed_in(self.app, self.alice, scope="openid read"))["access_token"]
        told = await self.server.introspect(token)
        claims = (await self.read(token)).claims
        for name in ("iss", "sub", "aud", "exp", "iat", "client_id", "scope", "jti", "auth_time"):
            self.assertEqual(told[name], claims[name], name)

    async def test_an_id_token_is_no_access_token(self) -> None:
        """Section 4 and RFC 8725 3.11: an id token is not taken for an access token, nor the reverse."""
        tokens = await self.server.signed_in(self.app, self.alice)
        self.assertEqual((await self.server.userinfo(tokens["id_token"])).status, 401)
        self.assertEqual(await self.server.introspect(tokens["id_token"]), {"active": False})

    async def test_a_good_signature_is_not_enough(self) -> None:
        """A token is looked up, not only verified: one that was revoked verifies and is inactive all the same."""
        token = await self.machine(self.app)
        await self.server.post("/oauth2/revoke", {"token": token}, basic=self.app.basic)
        await self.read(token)
        self.assertEqual(await self.server.introspect(token), {"active": False})

    async def test_opaque_per_client(self) -> None:
        """A client may have opaque tokens, which nobody can read, with a prefix and a checksum."""
        app = await self.server.client("opaque", access_format="opaque")
        token = await self.machine(app)
        self.assertRegex(token, r"\Aoat_[0-9A-Za-z]{49}\Z")
        with self.assertRaises(JoseError):
            await self.read(token)
        self.assertTrue(await self.server.active(token))


class AlgorithmTests(ServerCase):
    """Another algorithm by setting."""

    sections = {"tokens": TokenSettings(access_algorithm="EdDSA", access_lifetime=60)}

    async def test_by_setting(self) -> None:
        """Algorithm and lifetime of access tokens are settings."""
        app = await self.server.client()
        answer = ok(await self.server.token(app, "client_credentials"))
        self.assertEqual(answer["expires_in"], 60)
        read = await verified(self.server, answer["access_token"], "EdDSA")
        self.assertEqual((read.header["alg"], read.claims["exp"] - read.claims["iat"]), ("EdDSA", 60))
