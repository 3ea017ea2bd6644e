"""The introspection endpoint (RFC 7662).

Only authenticated confidential clients that may introspect get an answer. Unknown, expired, revoked, malformed and
foreign tokens all look the same: exactly `{"active":false}` (section 2.2), so nothing can be scanned for (section 4).
"""

from __future__ import annotations

from typing import Any

from attrs import frozen

from oauthd.proofs.client_authentication import ClientAuthentication
from oauthd.protocol import opaque
from oauthd.protocol.errors import INVALID_CLIENT, UNAUTHORIZED_CLIENT
from oauthd.protocol.messages import Request, Response, json_response
from oauthd.protocol.records import AccessToken, Client, RefreshToken
from oauthd.stores.tokens import Tokens

INACTIVE: dict[str, Any] = {"active": False}


@frozen
class Introspect:
    """Tells a resource server what a token is good for."""

    authentication: ClientAuthentication
    tokens: Tokens
    issuer: str

    async def __call__(self, request: Request) -> Response:
        """Answer an introspection request (RFC 7662 section 2.1)."""
        request.form.refuse_repeats()
        caller, _ = await self.authentication.client(request)
        if not caller.confidential:  # it has proved nothing (RFC 7662 section 2.1)
            raise INVALID_CLIENT("a client must authenticate to introspect tokens")
        if not caller.introspects:
            raise UNAUTHORIZED_CLIENT("the client may not introspect tokens")
        token = request.form.required("token")  # token_type_hint changes nothing: the token tells what it is
        return json_response(await self.answer(caller, token))

    async def answer(self, caller: Client, token: str) -> dict[str, Any]:
        """What this caller is told of the token."""
        if opaque.parse(opaque.REFRESH_TOKEN, token):
            found = await self.tokens.find_refresh(token)
            # A refresh token is nobody's business but its client's (RFC 6749 section 10.4).
            mine = found is not None and found[1].client_id == caller.client_id
            return self._refresh(found[1]) if found is not None and mine else INACTIVE
        access = await self.tokens.find_access(token)
        if access is None or not may_see(caller, access):
            return INACTIVE
        return self._access(access)

    def _access(self, token: AccessToken) -> dict[str, Any]:
        answer = self._shared(token, token.audience)
        answer |= {"token_type": "Bearer", "nbf": token.issued_at, "jti": token.jti}
        if token.username:
            answer["username"] = token.username
        if token.auth_time:
            answer["auth_time"] = token.auth_time  # RFC 9470 section 6.2
        return answer

    def _refresh(self, token: RefreshToken) -> dict[str, Any]:
        return self._shared(token, token.audience)

    def _shared(self, token: AccessToken | RefreshToken, audience: tuple[str, ...]) -> dict[str, Any]:
        to = audience or (self.issuer,)
        return {
            "active": True,
            "scope": " ".join(token.scope),
            "client_id": token.client_id,
            "exp": token.expires_at,
            "iat": token.issued_at,
            "sub": token.user_id or token.client_id,
            "aud": to[0] if len(to) == 1 else list(to),
            "iss": self.issuer,
        }


def may_see(caller: Client, token: AccessToken) -> bool:
    """Is the token for this caller? One with an audience is for its owners and for its own client only."""
    if not token.audience or token.client_id == caller.client_id:
        return True
    return bool(set(token.audience) & set(caller.resources))
