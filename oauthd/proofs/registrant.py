"""Who may register clients: a stranger, one of this machine, whoever holds an initial access token, an administrator.

RFC 7591 section 3 (the initial access token is a bearer token, RFC 6750). Refused: everybody where registration is off;
strangers unless it is open; on loopback, whatever a page in a browser could have sent.
"""

from __future__ import annotations

import re

from attrs import frozen

from oauthd.config.listeners import is_loopback
from oauthd.proofs.administrator import Administrator
from oauthd.protocol import basic, opaque
from oauthd.protocol.errors import FORBIDDEN, INVALID_TOKEN
from oauthd.protocol.messages import Request
from oauthd.protocol.records import InitialAccess
from oauthd.stores.initial_access import InitialAccessTokens

_HOST = re.compile(r"\[?(.*?)\]?(?::[0-9]*)?")


@frozen
class Registrant:
    """Who registers.

    :ivar initial: the initial access token that was shown.
    :ivar administrator: is it an administrator?
    :ivar facts: as events tell of it.
    """

    initial: InitialAccess | None = None
    administrator: bool = False
    facts: dict[str, str | None] | None = None

    @property
    def stranger(self) -> bool:
        """Has nobody vouched for it?"""
        return self.initial is None and not self.administrator


@frozen
class Registrants:
    """Finds out who registers.

    :ivar allow: who may: `off`, `loopback`, `token` or `open`.
    :ivar issuer_is_loopback: whether the server is meant for this machine alone.
    """

    tokens: InitialAccessTokens
    administrator: Administrator
    allow: str
    issuer_is_loopback: bool

    @property
    def on(self) -> bool:
        """Is there anybody who may?"""
        return self.allow in ("token", "open") or (self.allow == "loopback" and self.issuer_is_loopback)

    async def of(self, request: Request) -> Registrant:
        """Who sends this request.

        :raises OAuthError: `forbidden`, `invalid_token`, `insufficient_scope`.
        """
        if not self.on:
            raise FORBIDDEN("clients are not registered here")
        header = request.headers.one("authorization")
        if header is not None:
            scheme, token = basic.access_token(header)
            if scheme == basic.BEARER and token.startswith(opaque.INITIAL_ACCESS):
                initial = await self.tokens.find(token)
                return Registrant(initial, facts={"by_initial_access": initial.token_id})
            access = await self.administrator.token(request)
            return Registrant(None, True, {"by_client": access.client_id, "by_user": access.user_id or None})
        if self.allow == "open" or (self.allow == "loopback" and is_of_this_machine(request)):
            return Registrant()
        raise INVALID_TOKEN("an initial access token is needed")


def is_of_this_machine(request: Request) -> bool:
    """Did somebody at this machine send it, and no page in a browser?

    With a POST browsers say whose page it is. A name that somebody has made point to this machine (DNS rebinding)
    stands in Host.
    """
    host = _HOST.fullmatch(request.headers.one("host") or "")
    from_a_page = request.headers.one("origin") is not None or host is None or not is_loopback(host[1].lower())
    return request.connection.local and not from_a_page
