"""The keys endpoint: our public signing keys as a JWK set (RFC 7517 section 5)."""

from __future__ import annotations

import json

from attrs import frozen

from oauthd.keys import Keys
from oauthd.protocol.messages import Request, Response

MAX_AGE = 300  # seconds; a key is announced much longer than this before it signs


@frozen
class Jwks:
    """Announced, signing and still verifying keys."""

    keys: Keys

    async def __call__(self, request: Request) -> Response:
        """Answer with the key set."""
        headers = (("Content-Type", "application/json"), ("Cache-Control", f"public, max-age={MAX_AGE}"))
        return Response(200, headers, json.dumps(self.keys.public_jwks()).encode())
