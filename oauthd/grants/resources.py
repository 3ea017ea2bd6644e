"""The resources that a token request asks for (RFC 8707): declared by the operator, named by the client."""

from __future__ import annotations

from oauthd.grants.interface import Ask
from oauthd.protocol.errors import INVALID_TARGET
from oauthd.stores.clients import Clients


async def asked_audience(ask: Ask, clients: Clients) -> tuple[str, ...]:
    """The resources that the token is to be for; () for the issuer alone.

    :raises OAuthError: `invalid_target` for one that no client owns (RFC 8707 section 2).
    """
    asked = tuple(dict.fromkeys(ask.parameters.all("resource")))
    if asked:
        known = await clients.resources()
        if any(uri not in known for uri in asked):
            raise INVALID_TARGET("a requested resource is unknown")
    return asked


def narrowed_audience(granted: tuple[str, ...], requested: tuple[str, ...]) -> tuple[str, ...]:
    """What of the granted resources a request keeps (RFC 8707 section 2.2).

    :raises OAuthError: `invalid_target`.
    """
    if not requested:
        return granted
    if not set(requested) <= set(granted):
        raise INVALID_TARGET("a requested resource was not granted")
    return tuple(dict.fromkeys(requested))
