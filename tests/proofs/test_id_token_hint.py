"""The id_token_hint: an id token of ours, whatever its age, and nothing else."""

from __future__ import annotations

import base64
import hmac
import json
from typing import Any

from joserfc import jwt
from joserfc.jwk import RSAKey
from msgspec.structs import replace

from oauthd.proofs.id_token_hint import IdTokenHint
from oauthd.protocol.errors import OAuthError
from tests.server import ISSUER, NOW, ServerCase


def _by_hmac(header: dict[str, Any], claims: dict[str, Any], key: bytes) -> str:
    """A token signed by HMAC-SHA256, which libraries refuse to do with a public key."""
    parts = [_encoded(json.dumps(part).encode()) for part in (header, claims)]
    return ".".join([*parts, _encoded(hmac.digest(key, ".".join(parts).encode(), "sha256"))])


def _encoded(octets: bytes) -> str:
    return base64.urlsafe_b64encode(octets).rstrip(b"=").decode()


class HintTests(ServerCase):
    """Reading hints."""

    async def prepare(self) -> None:
        """An id token of alice."""
        self.app, self.alice = await self.server.client(), await self.server.user()
        application = self.server.application
        self.hints = IdTokenHint(application.keys, ISSUER, application.clients.open_secrets)
        self.token: str = (await self.server.signed_in(self.app, self.alice))["id_token"]

    def refused(self, hint: str) -> None:  # type: ignore[override]
        """The hint is refused, and the error quotes nothing of it."""
        with self.assertRaises(OAuthError) as caught:
            self.hints.claims(hint)
        self.assertEqual(caught.exception.kind.code, "invalid_request")
        self.assertNotIn(hint[:20] or "\0", caught.exception.description)

    async def test_ours(self) -> None:
        """An id token of ours tells its subject and audience, also years after its end."""
        self.server.clock.advance(10**8)
        self.assertEqual(self.hints.subject(self.token), self.alice.user_id)
        self.assertEqual(self.hints.claims(self.token)["aud"], "app")

    async def test_keys_of_others(self) -> None:
        """Another key under our kid, a key in the header, an HMAC by our public key, and no signature are refused."""
        public = self.server.application.keys.public_jwks()["keys"]
        ours = next(key for key in public if key["alg"] == "RS256")
        claims = {"iss": ISSUER, "sub": self.alice.user_id, "aud": "app", "exp": int(NOW) + 100, "iat": int(NOW)}
        mallory = RSAKey.generate_key(2048)
        forged = {
            "kid": jwt.encode({"alg": "RS256", "kid": ours["kid"]}, claims, mallory),
            "jwk": jwt.encode({"alg": "RS256", "jwk": mallory.as_dict(private=False)}, claims, mallory),
            "hmac": _by_hmac({"alg": "HS256", "kid": ours["kid"]}, claims, RSAKey.import_key(ours).as_pem()),
        }
        for token in forged.values():
            self.refused(token)
        self.refused(".".join(self.token.split(".")[:2]) + ".")

    async def test_by_a_secret(self) -> None:
        """Signed with a client's secret it is a hint of that client, if its id tokens are signed so, and no other's."""
        app = await self.server.client("hmac", id_token_algorithm="HS256")
        token: str = (await self.server.signed_in(app, self.alice))["id_token"]
        self.server.clock.advance(10**8)
        self.assertEqual(self.hints.audience(token), "hmac")
        self.assertEqual(self.hints.subject(token, app.record), self.alice.user_id)
        self.assertEqual(self.hints.audience(self.token), "")
        other = await self.server.client("other", id_token_algorithm="HS256")
        changed = replace(app.record, id_token_algorithm="RS256")
        lost = replace(app.record, secrets=tuple(replace(one, sealed=bytes(60)) for one in app.record.secrets))
        for client in (None, self.app.record, other.record, changed, lost):
            with self.assertRaises(OAuthError):
                self.hints.claims(token, client)
        claims = {"iss": "https://other.example", "sub": "x", "aud": "hmac"}
        for forged in (
            _by_hmac({"alg": "HS256"}, claims, app.secret.encode()),
            _by_hmac({"alg": "HS256"}, {**claims, "iss": ISSUER}, other.secret.encode()),
            _by_hmac({"alg": "HS256", "typ": "at+jwt"}, {**claims, "iss": ISSUER}, app.secret.encode()),
        ):
            with self.assertRaises(OAuthError):
                self.hints.claims(forged, app.record)

    async def test_rubbish(self) -> None:
        """What is no token is refused."""
        for hint in ("x", "a.b.c", "x" * 20000, "\u00e4.\u00e4.\u00e4", self.token[:-1], self.token + "A"):
            self.refused(hint)
