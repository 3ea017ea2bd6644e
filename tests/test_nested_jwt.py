"""Statements to clients as tokens: signed with our keys or the client's secret, and encrypted to the client's key."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from attrs import evolve
from jwcrypto.jwk import JWK
from msgspec.structs import replace

from oauthd.protocol import jose
from oauthd.protocol.errors import OAuthError
from oauthd.protocol.records import Client
from tests.server import ISSUER, App, ServerCase


class SecretTests(ServerCase):
    """OpenID Connect Core section 10.1: signatures with a secret that both know."""

    async def id_token(self, app: App) -> tuple[dict[str, Any], str]:
        """The claims of an id token that the client verifies with its secret, and the access token beside it."""
        tokens = await self.server.signed_in(app, await self.server.user(app.client_id))
        header, claims = jose.verify_hmac(
            tokens["id_token"], app.secret.encode(), ["HS256"], typ=("JWT",), now=self.server.clock.seconds()
        )
        self.assertEqual(header, {"alg": "HS256", "typ": "JWT"})
        return claims, tokens["access_token"]

    async def test_hs256(self) -> None:
        """A client that registered HS256 gets id tokens that its secret verifies, with the at_hash of SHA-256."""
        app = await self.server.client("hmac", id_token_algorithm="HS256")
        claims, token = await self.id_token(app)
        half = hashlib.sha256(token.encode()).digest()[:16]
        self.assertEqual((claims["iss"], claims["aud"]), (ISSUER, "hmac"))
        self.assertEqual(claims["at_hash"], base64.urlsafe_b64encode(half).rstrip(b"=").decode())

    async def test_after_a_rotation(self) -> None:
        """Once a client has a new secret, id tokens are signed with that one."""
        await self.server.client("hmac", id_token_algorithm="HS256")
        record, secret = await self.server.application.clients.rotate_secret("hmac")
        await self.id_token(App(record, secret))

    async def test_without_a_secret_that_will_do(self) -> None:
        """Where the secret is not known here, or too short, nothing is signed in another way."""
        nested = self.server.application.nested
        plain = await self.server.client("plain")
        short = await self.server.client("short", secret="x" * 31, id_token_algorithm="HS256")
        long = await self.server.client("long", id_token_algorithm="HS512")
        for app, algorithm in ((plain, "HS256"), (short, "HS256"), (long, "HS512")):
            with self.assertRaises(OAuthError):
                await nested.signed(app.record, {"iss": ISSUER}, algorithm)

    async def test_without_the_master_key(self) -> None:
        """Where the master key that sealed the secret is gone, nothing is signed, and it is no accident."""
        app = await self.server.client("hmac", id_token_algorithm="HS256")
        lost = replace(app.record, secrets=tuple(replace(one, sealed=bytes(60)) for one in app.record.secrets))
        with self.assertRaises(OAuthError):
            await self.server.application.nested.signed(lost, {"iss": ISSUER}, "HS256")

    async def test_without_a_key_that_signs(self) -> None:
        """An algorithm that a client registered when it had a key, and that has none now, is no accident of ours."""
        app = await self.server.client("given-up", id_token_algorithm="ES384")
        with self.assertRaises(OAuthError):
            await self.server.application.nested.signed(app.record, {"iss": ISSUER}, "ES384")


class EncryptionTests(ServerCase):
    """RFC 7519 section 11.2: signed, then encrypted."""

    async def test_to_the_fitting_key(self) -> None:
        """Among the client's keys the one that fits; the content is the signed token, which verifies."""
        keys = {kty: JWK.generate(kty=kty, **how) for kty, how in (("RSA", {"size": 2048}), ("EC", {"crv": "P-384"}))}
        signing = {**JWK.generate(kty="EC", crv="P-256").export_public(as_dict=True), "use": "sig"}
        jwks = {"keys": [signing, *(key.export_public(as_dict=True) for key in keys.values())]}
        app = await self.server.client("both", jwks=jwks)
        nested = self.server.application.nested
        for kty, alg in (("RSA", "RSA-OAEP-256"), ("EC", "ECDH-ES+A256KW")):
            for algorithm in self.server.settings.keys.algorithms:
                token = await nested.signed(app.record, {"iss": ISSUER, "exp": 2**40}, algorithm, (alg, "A256GCM"))
                header = json.loads(jose.decode(token.partition(".")[0]))
                self.assertEqual((header["alg"], header["cty"]), (alg, "JWT"))
                inner = jose.decrypt(token, [keys[kty]], [alg], ["A256GCM"]).decode()
                published = self.server.application.keys.public_jwks()["keys"]
                jose.verify(inner, published, [algorithm], issuer=ISSUER, now=self.server.clock.seconds())

    async def test_without_a_key(self) -> None:
        """A client without a key that fits gets nothing, rather than a token that everybody can read."""
        secret = {"kty": "oct", "k": "AAAA"}
        broken = {"kty": "EC", "crv": "P-256", "x": "AAAA", "y": "AAAA"}
        app = await self.server.client()

        async def none(client: Client) -> Sequence[Mapping[str, Any]]:
            return [secret, broken]

        for nested in (self.server.application.nested, evolve(self.server.application.nested, keys_of=none)):
            with self.assertRaises(OAuthError):
                await nested.signed(replace(app.record), {"iss": ISSUER}, "ES256", ("ECDH-ES", "A128GCM"))
