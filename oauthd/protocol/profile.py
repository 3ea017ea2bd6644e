"""FAPI 2.0 Security Profile (final): what it asks beyond OAuth, of whoever is held to it.

A server, or one client of it, is held to a profile by its name. Here stand the lists that several places judge by; each
rule itself is carried out where its matter is: at client authentication, at the authorization request, at the token.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from oauthd.protocol import auth_methods
from oauthd.protocol.records import Client

FAPI2: Final = "fapi2"
FAPI1: Final = "fapi1"
"""FAPI 1.0 Advanced, for single clients: what of it their other members (signed requests, certificates) cannot demand.
`is_strict` knows nothing of it."""
PLAIN: Final = "plain"
"""A client that is not held to the server's profile: the administrator's own, which has a secret and no key."""
FAPI1_SIGNING: Final = ("PS256", "ES256")
"""The algorithms that sign JWTs of either side (Advanced section 8.6)."""
CLIENT_AUTHENTICATION: Final = tuple(row.name for row in auth_methods.METHODS.values() if row.strict)
"""The methods by which its clients authenticate (section 5.3.2.1 item 6)."""
SIGNING: Final = ("PS256", "ES256", "EdDSA", "Ed25519")
"""What signs JWTs of either side (section 5.4.1); Ed25519 is the name that RFC 9864 gives to the only curve allowed."""
PROMPT: Final = 10
LATE: Final = 60
"""How many seconds ahead `iat` and `nbf` may lie for certain, and at most (section 5.3.2.1 item 13)."""


LONGEST_CODE: Final = 60
"""Seconds that a code may live (section 5.3.2.1 item 11)."""


def code_lifetime(seconds: int, strict: bool) -> int:
    """How long a code lives, given what the server's settings say."""
    return min(seconds, LONGEST_CODE) if strict else seconds


def accepted(client: Client, server: str) -> tuple[str, ...] | None:
    """The algorithms that may sign JWTs of a client, and those for it; None for all that are on.

    :param server: the profile that the server holds all clients to.
    """
    if is_strict(client, server):
        return SIGNING
    return FAPI1_SIGNING if client.profile == FAPI1 else None


def signs(client: Client, wanted: str, available: Collection[str], server: str) -> str:
    """The algorithm that signs for a client, given what it registered or what is the default.

    :param available: those that have keys.
    :param server: the profile that the server holds all clients to.
    """
    known = accepted(client, server)
    if known is None or wanted in known:
        return wanted
    return next((name for name in known if name in available), wanted)


def signs_id_tokens(client: Client, usual: str, available: Collection[str], server: str) -> str:
    """The algorithm of a client's id tokens, and of what must be signed as they are.

    :param usual: of clients that registered none; the others as in `signs`.
    """
    return signs(client, client.id_token_algorithm or usual, available, server)


def is_strict(client: Client, server: str) -> bool:
    """Is this client held to it?

    :param server: the profile that the server holds all of them to; whoever asks has to know it.
    """
    return FAPI2 in (server, client.profile) and client.profile != PLAIN
