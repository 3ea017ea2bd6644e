"""Signed tokens as somebody else reads them: verified by a library that the server does not use."""

from __future__ import annotations

import warnings
from typing import Any

from attrs import frozen
from joserfc import jwt
from joserfc.errors import SecurityWarning
from joserfc.jwk import KeySet

from tests.server import Server, ok


@frozen
class Read:
    """Header and claims of a token whose signature was good."""

    header: dict[str, Any]
    claims: dict[str, Any]


async def verified(server: Server, token: str, algorithm: str) -> Read:
    """The token, verified by the published keys; whatever is wrong raises."""
    keys = await published(server)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SecurityWarning)  # of the name EdDSA (RFC 9864)
        found = jwt.decode(token, keys, algorithms=[algorithm])
    return Read(dict(found.header), dict(found.claims))


async def published(server: Server) -> KeySet:
    """The key set as a relying party imports it."""
    return KeySet.import_key_set(ok(await server.get("/oauth2/jwks")))  # type: ignore[arg-type]
