"""An `id_token_hint`: an id token that we issued, by which a client says whom it means (OpenID Connect Core 3.1.2.1).

Accepted after its end, never from another issuer, never unsigned, never another kind of token.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attrs import frozen

from oauthd.keys import Keys
from oauthd.protocol import jose
from oauthd.protocol.errors import INVALID_REQUEST


@frozen
class IdTokenHint:
    """Reads hints."""

    keys: Keys
    issuer: str

    def claims(self, hint: str) -> Mapping[str, Any]:
        """The claims of the hint.

        :raises OAuthError: `invalid_request`.
        """
        try:
            keys = self.keys.public_jwks()["keys"]
            return jose.verify(hint, keys, jose.ASYMMETRIC, issuer=self.issuer, now=None)
        except jose.TokenRefused as error:
            raise INVALID_REQUEST(f"the id_token_hint is refused: {error}") from None

    def subject(self, hint: str) -> str:
        """The `sub` of the hint.

        :raises OAuthError: `invalid_request`.
        """
        return str(self.claims(hint).get("sub", ""))
