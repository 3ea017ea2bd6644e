"""RFC 6750, Bearer Token Usage: section by section, what holds of our own protected resources."""

from __future__ import annotations

from typing import Any

from tests.server import ServerCase, ok

PATHS = ("/oauth2/userinfo", "/oauth/userinfo")


class BearerTests(ServerCase):
    """The userinfo endpoint as a protected resource."""

    async def prepare(self) -> None:
        """A client with the token of a user."""
        self.app = await self.server.client(scopes=("openid", "read"))
        self.alice = await self.server.user()
        self.tokens = await self.server.signed_in(self.app, self.alice, scope="openid read")
        self.token: str = self.tokens["access_token"]

    async def challenged(self, error: str | None, **request: Any) -> None:
        """A request is 401, with this error code in the challenge, or none."""
        method = request.pop("method", "GET")
        answer = await self.server.http.request(method, "/oauth2/userinfo", **request)
        self.refused(answer, "invalid_token", 401)
        challenge = answer.header("www-authenticate")
        self.assertRegex(challenge, r'\ABearer realm="[^"]+"')
        self.assertEqual(f'error="{error}"' in challenge if error else "error" not in challenge, True, challenge)

    async def test_section_2_1_header(self) -> None:
        """Section 2.1: the token stands in the Authorization header, whatever the case of the scheme's name."""
        for path in PATHS:
            for scheme in ("Bearer", "bearer", "BEARER"):
                headers = [("Authorization", f"{scheme} {self.token}")]
                ok(await self.server.get(path, headers=headers))

    async def test_section_2_2_form(self) -> None:
        """Section 2.2: a POST may carry the token in its form."""
        told = ok(await self.server.post("/oauth2/userinfo", {"access_token": self.token}))
        self.assertEqual(told["sub"], self.alice.user_id)

    async def test_core_section_5_3_1_post_with_header(self) -> None:
        """Core section 5.3.1: a POST with the token in the header is answered, with and without a body."""
        ok(await self.server.post("/oauth2/userinfo", {}, bearer=self.token))
        ok(await self.server.post("/oauth2/userinfo", {"x": "y"}, bearer=self.token))

    async def test_section_2_3_never_in_the_query(self) -> None:
        """RFC 9700 4.3.2: a token in the request URI does not count."""
        await self.challenged(None, query={"access_token": self.token})

    async def test_section_2_one_way_only(self) -> None:
        """Section 2: a token sent twice is invalid_request, equal or not."""
        for second in (self.token, "another"):
            answer = await self.server.post("/oauth2/userinfo", {"access_token": second}, bearer=self.token)
            self.refused(answer, "invalid_request")
        answer = await self.server.post("/oauth2/userinfo", [("access_token", self.token)] * 2)
        self.refused(answer, "invalid_request")

    async def test_section_3_1_no_credentials(self) -> None:
        """Section 3.1: without credentials the challenge has no error code."""
        await self.challenged(None)

    async def test_section_3_1_invalid_token(self) -> None:
        """Section 3.1: a wrong, changed, revoked or expired token, or another kind of secret, is invalid_token."""
        refresh = self.tokens["refresh_token"]
        for wrong in ("x", self.token[:-1], self.token + "x", refresh, self.tokens["id_token"], "x" * 15000):
            await self.challenged("invalid_token", bearer=wrong)
        for header in ("Bearer", "Bearer ", "Bearer a b", f"Basic {self.token}", f"Token {self.token}", self.token):
            await self.challenged("invalid_token", headers=[("Authorization", header)])
        await self.server.post("/oauth2/revoke", {"token": self.token}, basic=self.app.basic)
        await self.challenged("invalid_token", bearer=self.token)

    async def test_section_3_1_expired(self) -> None:
        """Section 3.1: a token is good until its last second, and not after."""
        self.server.clock.advance(1799)
        ok(await self.server.userinfo(self.token))
        self.server.clock.advance(1)
        await self.challenged("invalid_token", bearer=self.token)

    async def test_section_3_1_insufficient_scope(self) -> None:
        """Section 3.1: a token without `openid` is 403 insufficient_scope, and the scope that would do is named."""
        token = (await self.server.signed_in(self.app, self.alice, scope="read"))["access_token"]
        answer = await self.server.userinfo(token)
        self.refused(answer, "insufficient_scope", 403)
        challenge = answer.header("www-authenticate")
        self.assertIn('error="insufficient_scope"', challenge)
        self.assertIn('scope="openid"', challenge)

    async def test_machine_token(self) -> None:
        """A client's own token names no user, and gets none, whatever its scope."""
        token = ok(await self.server.token(self.app, "client_credentials", scope="openid"))["access_token"]
        await self.challenged("invalid_token", bearer=token)

    async def test_token_for_another_resource(self) -> None:
        """RFC 9068 section 4: a token for somebody else's resource is none for ours."""
        await self.server.client("api", resources=("https://api.example",))
        tokens = await self.server.signed_in(self.app, self.alice, resource="https://api.example")
        await self.challenged("invalid_token", bearer=tokens["access_token"])

    async def test_opaque_token(self) -> None:
        """Opaque tokens work as JWTs do."""
        app = await self.server.client("opaque", access_format="opaque")
        tokens = await self.server.signed_in(app, self.alice)
        ok(await self.server.userinfo(tokens["access_token"]))
        await self.challenged("invalid_token", bearer=tokens["access_token"][:-1])

    async def test_section_5_2_not_stored(self) -> None:
        """Section 5.3: the answer is not to be stored."""
        answer = await self.server.userinfo(self.token)
        self.assertEqual(answer.header("cache-control"), "no-store")

    async def test_cors(self) -> None:
        """Any origin may read the answer and its errors, never with credentials; preflights are answered."""
        origin = [("Origin", "https://spa.example")]
        for bearer in (self.token, "wrong"):
            answer = await self.server.get("/oauth2/userinfo", bearer=bearer, headers=origin)
            self.assertEqual(answer.header("access-control-allow-origin"), "*")
            self.assertEqual(answer.header("access-control-allow-credentials"), "")
        answer = await self.server.http.request("OPTIONS", "/oauth2/userinfo", headers=origin)
        self.assertEqual(answer.status, 204)
        self.assertIn("Authorization", answer.header("access-control-allow-headers"))
        self.assertEqual(answer.header("access-control-allow-credentials"), "")
