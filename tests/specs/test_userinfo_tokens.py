"""OpenID Connect Core sections 5.3.2, 10 and 16.14: userinfo and id tokens, signed and encrypted to the client."""

from __future__ import annotations

import json
from functools import partial
from typing import Any

from joserfc import jwe, jwt
from joserfc.jwk import ECKey, OctKey, RSAKey
from msgspec.structs import replace

from oauthd.protocol.records import Client
from tests.server import ISSUER, App, ServerCase, ok
from tests.specs.tokens import published, verified
from tests.wire import Answer

CURVE = ECKey.generate_key("P-256", {"use": "enc", "kid": "curve"})
RSA = RSAKey.generate_key(2048, {"use": "enc", "kid": "rsa"})
SIGNATURE = ECKey.generate_key("P-256", {"use": "sig", "kid": "signature"})
ENCRYPTIONS = (
    (RSA, "RSA-OAEP-256", "A256GCM"),
    (RSA, "RSA-OAEP-256", "A128CBC-HS256"),
    (CURVE, "ECDH-ES", "A128GCM"),
    (CURVE, "ECDH-ES+A128KW", "A128CBC-HS256"),
)


def key_set(*keys: Any) -> dict[str, Any]:
    """The public parts, as a client registers them."""
    return {"keys": [key.as_dict(private=False) for key in keys]}


class TokensCase(ServerCase):
    """Clients that want tokens, and a user."""

    async def prepare(self) -> None:
        """A user."""
        self.alice = await self.server.user()

    async def app(self, name: str = "app", **fields: Any) -> App:
        """A client with keys."""
        return await self.server.client(name, **({"jwks": key_set(SIGNATURE, RSA, CURVE)} | fields))

    async def tokens(self, app: App) -> dict[str, Any]:
        """What the client gets."""
        return await self.server.signed_in(app, self.alice, scope="openid email")

    async def userinfo(self, app: App) -> Answer:
        """What the client is told."""
        answer = await self.server.userinfo((await self.tokens(app))["access_token"])
        self.assertEqual(answer.status, 200, answer.body)
        return answer


class SignedTests(TokensCase):
    """Section 5.3.2: userinfo as a signed token."""

    async def test_each_algorithm(self) -> None:
        """It is a JWT by the algorithm registered, says issuer and audience, and the same claims as JSON."""
        plain = (await self.userinfo(await self.app("plain"))).json()
        for algorithm in ("RS256", "ES256", "PS256", "EdDSA"):
            app = await self.app(algorithm.lower(), userinfo_algorithm=algorithm)
            answer = await self.userinfo(app)
            self.assertEqual(answer.header("content-type"), "application/jwt")
            self.assertEqual(answer.header("cache-control"), "no-store")
            claims = (await verified(self.server, answer.body.decode(), algorithm)).claims
            self.assertEqual(claims, plain | {"iss": ISSUER, "aud": app.client_id})

    async def test_under_fapi(self) -> None:
        """FAPI 2.0 section 5.4.1, FAPI 1.0 Advanced section 8.6: by an algorithm of the profile, whatever it chose."""
        for profile in ("fapi2", "fapi1"):
            app = await self.app(profile, userinfo_algorithm="RS256")
            token = (await self.tokens(app))["access_token"]
            await self.server.application.clients.update(profile, partial(replace, profile=profile))
            answer = await self.server.userinfo(token)
            self.assertEqual((await verified(self.server, answer.body.decode(), "PS256")).header["alg"], "PS256")

    async def test_it_is_no_id_token(self) -> None:
        """It has no end and no time of issue, so nobody takes it for an id token."""
        app = await self.app(userinfo_algorithm="ES256")
        claims = (await verified(self.server, (await self.userinfo(app)).body.decode(), "ES256")).claims
        self.assertTrue({"exp", "iat", "nonce", "at_hash"}.isdisjoint(claims))

    async def test_plain_without(self) -> None:
        """Without an algorithm it is JSON."""
        self.assertEqual((await self.userinfo(await self.app())).header("content-type"), "application/json")

    async def test_errors_stay_json(self) -> None:
        """A refused request is JSON with a challenge, whatever the client registered."""
        await self.app(userinfo_algorithm="ES256")
        answer = await self.server.userinfo("x")
        self.refused(answer, "invalid_token", 401)
        self.assertIn("invalid_token", answer.header("www-authenticate"))


class EncryptedTests(TokensCase):
    """Sections 10.2 and 16.14: encrypted to a key of the client."""

    async def nested(self, token: str, key: Any, alg: str, enc: str, algorithm: str) -> dict[str, Any]:
        """The claims within: decrypted by the client, then verified with our published keys."""
        opened = jwe.decrypt_compact(token, key, algorithms=[alg, enc])
        self.assertEqual((opened.protected["alg"], opened.protected["enc"]), (alg, enc))
        self.assertEqual((opened.protected["cty"], opened.protected["kid"]), ("JWT", key.kid))
        assert opened.plaintext is not None
        keys = await published(self.server)
        return dict(jwt.decode(opened.plaintext.decode(), keys, algorithms=[algorithm]).claims)

    async def test_id_tokens(self) -> None:
        """An id token is signed and then encrypted, by each pair of algorithms."""
        for number, (key, alg, enc) in enumerate(ENCRYPTIONS):
            app = await self.app(f"app{number}", id_token_encryption=(alg, enc), id_token_algorithm="ES256")
            claims = await self.nested((await self.tokens(app))["id_token"], key, alg, enc, "ES256")
            self.assertEqual((claims["sub"], claims["aud"]), (self.alice.user_id, app.client_id))

    async def test_userinfo(self) -> None:
        """Userinfo is signed and then encrypted, by each pair of algorithms."""
        for number, (key, alg, enc) in enumerate(ENCRYPTIONS):
            app = await self.app(f"app{number}", userinfo_encryption=(alg, enc), userinfo_algorithm="ES256")
            answer = await self.userinfo(app)
            self.assertEqual(answer.header("content-type"), "application/jwt")
            claims = await self.nested(answer.body.decode(), key, alg, enc, "ES256")
            self.assertEqual((claims["sub"], claims["iss"]), (self.alice.user_id, ISSUER))

    async def test_userinfo_encrypted_alone(self) -> None:
        """Userinfo that is encrypted and not signed holds the JSON."""
        app = await self.app(userinfo_encryption=("ECDH-ES", "A256GCM"))
        opened = jwe.decrypt_compact((await self.userinfo(app)).body, CURVE, algorithms=["ECDH-ES", "A256GCM"])
        self.assertNotIn("cty", opened.protected)
        assert opened.plaintext is not None
        self.assertEqual(json.loads(opened.plaintext)["email"], "alice@example.com")

    async def test_no_key_that_fits(self) -> None:
        """Without a key to encrypt to nothing is handed out: no id token in clear, and no userinfo."""
        octets = OctKey.generate_key(256, {"kid": "o"})
        for number, keys in enumerate(({}, key_set(SIGNATURE), key_set(CURVE), {"keys": [octets.as_dict()]})):
            encryption = ("RSA-OAEP-256", "A256GCM")
            app = await self.app(f"i{number}", id_token_encryption=encryption, jwks=keys)
            answer = await self.server.redeem(app, await self.server.code(app, self.alice))
            self.refused(answer, "invalid_request")
            app = await self.app(f"u{number}", userinfo_encryption=encryption, jwks=keys)
            answer = await self.server.userinfo((await self.tokens(app))["access_token"])
            self.refused(answer, "invalid_request")
            self.assertNotIn(b"alice", answer.body)

    async def test_a_key_that_was_changed(self) -> None:
        """The key that is registered today is the one that counts."""
        app = await self.app(id_token_encryption=("ECDH-ES", "A128GCM"), jwks=key_set(CURVE))
        tokens = await self.tokens(app)
        other = ECKey.generate_key("P-256", {"use": "enc", "kid": "other"})
        await self.server.application.clients.update("app", lambda now: replaced(now, key_set(other)))
        again = ok(await self.server.refresh(app, tokens["refresh_token"]))
        jwe.decrypt_compact(again["id_token"], other, algorithms=["ECDH-ES", "A128GCM"])


class MetadataTests(ServerCase):
    """Discovery section 3: what the document says of it."""

    async def test_members(self) -> None:
        """The algorithms that a client may ask for are listed, and nothing that is not there."""
        document = ok(await self.server.get("/.well-known/openid-configuration"))
        self.assertIn("ES256", document["userinfo_signing_alg_values_supported"])
        for what in ("id_token", "userinfo"):
            algorithms = document[f"{what}_encryption_alg_values_supported"]
            self.assertLessEqual({"RSA-OAEP-256", "ECDH-ES"}, set(algorithms))
            self.assertTrue({"RSA1_5", "dir", "PBES2-HS256+A128KW"}.isdisjoint(algorithms))
            self.assertIn("A128CBC-HS256", document[f"{what}_encryption_enc_values_supported"])
            self.assertNotIn("none", document[f"{what}_signing_alg_values_supported"])
        self.assertEqual(document["subject_types_supported"], ["public", "pairwise"])


def replaced(client: Client, keys: dict[str, Any]) -> Client:
    """The same client with other keys."""
    return replace(client, jwks=keys)
