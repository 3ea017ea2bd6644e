"""RFC 8414, OAuth 2.0 Authorization Server Metadata: section by section, what holds of the running server."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from oauthd.protocol.grant_types import CIBA, TOKEN_EXCHANGE
from tests.server import DEVICE_GRANT, ISSUER, ServerCase, ok

PATHS = (
    "/.well-known/openid-configuration",
    "/oauth2/.well-known/openid-configuration",
    "/.well-known/oauth-authorization-server",
)


class MetadataTests(ServerCase):
    """The document, and whether it tells the truth."""

    async def document(self, path: str = PATHS[0]) -> dict[str, Any]:
        """The metadata."""
        return ok(await self.server.get(path))

    async def test_section_3_same_bytes_everywhere(self) -> None:
        """Section 3: the document is the same, byte for byte, at each of its addresses."""
        answers = [await self.server.get(path) for path in PATHS]
        self.assertEqual({answer.status for answer in answers}, {200})
        self.assertEqual(len({answer.body for answer in answers}), 1)
        for answer in answers:
            self.assertEqual(answer.header("content-type"), "application/json")

    async def test_section_3_3_issuer(self) -> None:
        """Section 3.3: the issuer is the one that tokens and authorization responses name."""
        self.assertEqual((await self.document())["issuer"], ISSUER)

    async def test_section_2_addresses(self) -> None:
        """Section 2: each endpoint of the document stands below the issuer, at the advertised path, and answers."""
        document = await self.document()
        for member, path in {
            "authorization_endpoint": "/oauth2/authorize",
            "token_endpoint": "/oauth2/token",
            "introspection_endpoint": "/oauth2/introspect",
            "revocation_endpoint": "/oauth2/revoke",
            "device_authorization_endpoint": "/oauth2/device_authorize",
            "pushed_authorization_request_endpoint": "/oauth2/par",
            "userinfo_endpoint": "/oauth2/userinfo",
            "end_session_endpoint": "/oauth2/logout",
            "jwks_uri": "/oauth2/jwks",
        }.items():
            self.assertEqual(document[member], ISSUER + path)
            answer = await self.server.http.request("OPTIONS", urlsplit(document[member]).path)
            self.assertEqual(answer.status, 204)

    async def test_section_2_values(self) -> None:
        """Section 2: what is supported is what the other tests of this folder show to work."""
        document = await self.document()
        self.assertEqual(document["response_types_supported"], ["code"])
        self.assertEqual(document["response_modes_supported"][:3], ["query", "fragment", "form_post"])
        self.assertEqual(
            set(document["grant_types_supported"]),
            {"authorization_code", "client_credentials", "password", "refresh_token"}
            | {DEVICE_GRANT, CIBA, TOKEN_EXCHANGE},
        )
        methods = {"client_secret_basic", "client_secret_post", "client_secret_jwt", "private_key_jwt"}
        self.assertEqual(set(document["token_endpoint_auth_methods_supported"]), methods | {"none"})
        self.assertEqual(set(document["revocation_endpoint_auth_methods_supported"]), methods | {"none"})
        self.assertEqual(set(document["introspection_endpoint_auth_methods_supported"]), methods)
        self.assertEqual(document["code_challenge_methods_supported"], ["S256"])
        self.assertTrue(document["authorization_response_iss_parameter_supported"])  # RFC 9207 section 3

    async def test_cors_and_caching(self) -> None:
        """The document may be read by scripts of any origin and kept for a while."""
        for path in PATHS:
            answer = await self.server.get(path, headers=[("Origin", "https://spa.example")])
            self.assertEqual(answer.header("access-control-allow-origin"), "*")
            self.assertEqual(answer.header("access-control-allow-credentials"), "")
            self.assertIn("max-age=", answer.header("cache-control"))

    async def test_no_empty_members(self) -> None:
        """Section 3.2: members without a value are left out."""
        self.assertEqual([name for name, value in (await self.document()).items() if value in ([], "", None)], [])


class CorsTests(ServerCase):
    """RFC 9700 2.6: where scripts of other origins may look, and where not."""

    OPEN = (
        "/oauth2/token", "/oauth/token", "/oauth/tokens", "/oauth2/revoke", "/oauth/revoke", "/oauth2/userinfo",
        "/oauth/userinfo", "/oauth2/jwks", "/.well-known/jwks.json", *PATHS,
    )  # fmt: skip
    CLOSED = (
        "/oauth2/authorize", "/oauth/authorize", "/oauth2/introspect", "/oauth/introspect", "/oauth2/logout",
        "/oauth2/device_authorize", "/login", "/consent", "/device", "/logout", "/",
    )  # fmt: skip

    async def test_preflight(self) -> None:
        """Preflights are allowed on the open paths, for any origin without credentials, and on no other."""
        headers = [("Origin", "https://spa.example"), ("Access-Control-Request-Method", "POST")]
        for path in self.OPEN + self.CLOSED:
            answer = await self.server.http.request("OPTIONS", path, headers=headers)
            self.assertEqual(answer.status, 204, path)
            self.assertEqual(answer.header("access-control-allow-origin"), "*" if path in self.OPEN else "", path)
            self.assertEqual(answer.header("access-control-allow-credentials"), "", path)
            self.assertNotEqual(answer.header("allow"), "")

    async def test_errors_are_readable_too(self) -> None:
        """An error of the token endpoint can be read by the script that caused it, a 405 included."""
        for method in ("POST", "GET", "DELETE"):
            answer = await self.server.http.request(method, "/oauth2/token", headers=[("Origin", "null")])
            self.assertGreaterEqual(answer.status, 400)
            self.assertEqual(answer.header("access-control-allow-origin"), "*")

    async def test_never_on_authorize(self) -> None:
        """Neither a redirect nor a page of the authorization endpoint can be read from another origin."""
        app = await self.server.client()
        for asked in (self.server.asking(app), {"client_id": "unknown"}, self.server.asking(app, prompt="none")):
            answer = await self.server.get("/oauth2/authorize", asked, headers=[("Origin", "https://app.example")])
            self.assertEqual(answer.header("access-control-allow-origin"), "")
