"""`private_key_jwt`: an assertion signed with a key that the client has registered (OpenID Connect Core section 9).

The keys are those of the client and no others: nothing in the assertion brings or names a key from elsewhere. Its
algorithm is one of ours, and the client's own if it registered one. What an assertion says is for `assertions`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Final

from attrs import frozen
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from oauthd.fetcher import FetchRefused
from oauthd.proofs.assertions import TYPES, AssertionMethod
from oauthd.proofs.client_keys import ClientKeys, Keys, missing
from oauthd.proofs.interface import Unproven
from oauthd.protocol import jose
from oauthd.protocol.records import Client


@frozen
class PrivateKeyJwt(AssertionMethod):
    """Verifies with the client's keys."""

    keys: ClientKeys

    method = "private_key_jwt"

    async def verified(
        self, client: Client | None, assertion: str, allowed: Collection[str], kid: str | None
    ) -> Mapping[str, Any]:
        """The claims, if it is signed with a key of the client."""
        keys = await self._keys(client, kid)
        try:
            return jose.verify_with(assertion, keys, allowed, typ=TYPES, now=None)[1]
        except jose.TokenRefused as error:
            raise Unproven(log=f"a client_assertion is refused: {error}") from None

    async def _keys(self, client: Client | None, kid: str | None) -> Keys:
        if client is None:
            return NOBODYS
        try:
            return await self.keys.of(client, kid)
        except FetchRefused as error:
            raise missing(error) from None


def _nobodys() -> Keys:
    """Keys for an unknown client, so that it takes as long as any other: one that fits each of the usual algorithms.

    Everybody knows the private ones, or could; what they verify is believed all the same of nobody.
    """
    found = [
        jose.public_jwk(rsa.RSAPublicNumbers(65537, 2**2048 - 1).public_key(), "RS256"),
        *(
            jose.public_jwk(ec.derive_private_key(1, curve).public_key(), name)
            for name, curve in (("ES256", ec.SECP256R1()), ("ES384", ec.SECP384R1()), ("ES512", ec.SECP521R1()))
        ),
        jose.public_jwk(ed25519.Ed25519PrivateKey.from_private_bytes(bytes(32)).public_key(), "EdDSA"),
    ]
    return [{name: value for name, value in key.items() if name not in ("kid", "alg")} for key in found]


NOBODYS: Final = _nobodys()
