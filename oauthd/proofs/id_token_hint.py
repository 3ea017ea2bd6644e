"""An `id_token_hint`: an id token that we issued, by which a client says whom it means (OpenID Connect Core 3.1.2.1).

Accepted after its end, never from another issuer, never unsigned, never another kind of token. One that was signed with
a client's secret is a hint of that client alone, as long as it has its id tokens signed so.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from attrs import frozen

from oauthd.keys import Keys
from oauthd.protocol import jose
from oauthd.protocol.errors import INVALID_REQUEST
from oauthd.protocol.records import Client
from oauthd.protocol.seals import SealBroken


@frozen
class IdTokenHint:
    """Reads hints.

    :ivar secrets_of: the live secrets of a client, those that are known as they are.
    """

    keys: Keys
    issuer: str
    secrets_of: Callable[[Client], Sequence[bytes]]

    def audience(self, hint: str) -> str:
        """The client with whose secret it says to be signed, nothing of it verified; "" where our keys signed it.

        :raises OAuthError: `invalid_request`.
        """
        try:
            header, claims = jose.peek(hint)
        except jose.TokenRefused as error:
            raise _refused(error) from None
        audience = claims.get("aud")
        return audience if header.get("alg") in jose.HMAC and isinstance(audience, str) else ""

    def claims(self, hint: str, client: Client | None = None) -> Mapping[str, Any]:
        """The claims of the hint.

        :param client: whose hint it is, as far as that is known.
        :raises OAuthError: `invalid_request`.
        """
        try:
            if client is not None and client.id_token_algorithm in jose.HMAC and self.audience(hint):
                return self._by_secret(hint, client)
            keys = self.keys.public_jwks()["keys"]
            return jose.verify(hint, keys, jose.ASYMMETRIC, issuer=self.issuer, now=None)
        except jose.TokenRefused as error:
            raise _refused(error) from None

    def subject(self, hint: str, client: Client | None = None) -> str:
        """The `sub` of the hint.

        :raises OAuthError: `invalid_request`.
        """
        return str(self.claims(hint, client).get("sub", ""))

    def _by_secret(self, hint: str, client: Client) -> Mapping[str, Any]:
        refused = jose.TokenRefused("no secret verifies it")
        try:
            secrets = self.secrets_of(client)
        except SealBroken:  # the master key that sealed them is gone
            raise refused from None
        for secret in secrets:
            try:
                _, claims = jose.verify_hmac(hint, secret, (client.id_token_algorithm,), typ=("JWT",), now=None)
            except jose.TokenRefused as error:
                refused = error
                continue
            if claims.get("iss") == self.issuer and claims.get("aud") == client.client_id:
                return claims
            refused = jose.TokenRefused("it is from another issuer, or for another client")
        raise refused


def _refused(error: jose.TokenRefused) -> Exception:
    return INVALID_REQUEST(f"the id_token_hint is refused: {error}")
