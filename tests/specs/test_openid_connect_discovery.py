"""OpenID Connect Discovery 1.0: section by section, what holds of the running server."""

from __future__ import annotations

from typing import Any

from joserfc.jwk import KeySet

from oauthd.protocol.authorization import PROMPTS
from tests.server import ISSUER, ServerCase, ok


class DiscoveryTests(ServerCase):
    """The provider's configuration and keys."""

    async def document(self) -> dict[str, Any]:
        """The configuration."""
        return ok(await self.server.get("/.well-known/openid-configuration"))

    async def test_section_3_required_members(self) -> None:
        """Section 3: every REQUIRED member is there."""
        required = {
            "issuer", "authorization_endpoint", "token_endpoint", "jwks_uri", "response_types_supported",
            "subject_types_supported", "id_token_signing_alg_values_supported",
        }  # fmt: skip
        self.assertEqual(required - set(await self.document()), set())

    async def test_section_3_rs256(self) -> None:
        """Section 3: RS256 is among the algorithms of id tokens, and `none` is not."""
        algorithms = (await self.document())["id_token_signing_alg_values_supported"]
        self.assertEqual(set(algorithms), {"RS256", "ES256", "EdDSA", "PS256", "HS256"})

    async def test_section_3_scopes_and_claims(self) -> None:
        """Section 3: `openid` is among the scopes, and each claim of the id token among the claims."""
        document = await self.document()
        self.assertIn("openid", document["scopes_supported"])
        for claim in ("iss", "sub", "aud", "exp", "iat", "auth_time", "nonce", "at_hash", "email", "username", "name"):
            self.assertIn(claim, document["claims_supported"])
        self.assertNotIn("admin", document["scopes_supported"])

    async def test_section_3_request_objects(self) -> None:
        """Section 3: what the document says of request objects, and of the claims parameter."""
        document = await self.document()
        self.assertIs(document["request_uri_parameter_supported"], True)
        self.assertIs(document["request_parameter_supported"], True)
        self.assertIs(document["claims_parameter_supported"], True)

    async def test_prompts(self) -> None:
        """Initiating User Registration section 4: the prompt values are those that the authorization endpoint takes."""
        self.assertEqual(set((await self.document())["prompt_values_supported"]), set(PROMPTS))

    async def test_section_4_3_issuer(self) -> None:
        """Section 4.3: the issuer is the address that the document was asked for, without its well-known part."""
        self.assertEqual((await self.document())["issuer"], ISSUER)

    async def test_section_3_keys(self) -> None:
        """Section 3: the key set has a key for each algorithm and use, each with its own kid, in both places."""
        answers = [await self.server.get(path) for path in ("/oauth2/jwks", "/.well-known/jwks.json")]
        self.assertEqual(answers[0].body, answers[1].body)
        keys = ok(answers[0])["keys"]
        signing = {key["alg"] for key in keys if key["use"] == "sig"}
        self.assertEqual(signing, {"RS256", "ES256", "EdDSA", "PS256"})
        # The curve's key names no algorithm, for it serves three.
        encryption = {(key["kty"], key.get("alg")) for key in keys if key["use"] == "enc"}
        self.assertEqual(encryption, {("RSA", "RSA-OAEP-256"), ("EC", None)})
        self.assertEqual(len({key["kid"] for key in keys}), 6)
        KeySet.import_key_set({"keys": keys})

    async def test_host_is_not_believed(self) -> None:
        """Section 4.3: the Host that a caller sends does not become the issuer."""
        answer = await self.server.http.raw(
            b"GET /.well-known/openid-configuration HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n"
        )
        self.assertEqual(answer.json()["issuer"], ISSUER)
