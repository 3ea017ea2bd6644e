"""The revocation endpoint (RFC 7009): a client ends its own tokens.

An access token ends itself, a refresh token ends its grant with every token of it (section 2.1). An unknown token is
answered 200 (section 2.2), and so is a foreign one, which stays as it is: the difference is nobody's business.
"""

from __future__ import annotations

from attrs import frozen

from oauthd.events import Events
from oauthd.proofs.client_authentication import ClientAuthentication
from oauthd.protocol import opaque
from oauthd.protocol.messages import NO_STORE, Parameters, Request, Response
from oauthd.stores.tokens import Tokens


@frozen
class Revoke:
    """Ends tokens by their value."""

    authentication: ClientAuthentication
    tokens: Tokens
    events: Events

    async def __call__(self, request: Request) -> Response:
        """Answer a revocation request; 200 only after the store has confirmed."""
        request.form.refuse_repeats()
        client = (await self.authentication.client(request)).client
        await self.end(self._token(request.form), client.client_id)
        return Response(200, NO_STORE)

    def _token(self, form: Parameters) -> str:
        return form.required("token")  # an unknown token_type_hint is ignored (RFC 7009 section 2.2.1)

    async def end(self, token: str, client_id: str | None) -> bool:
        """End the token of that value, if it is this client's (None: whoever's it is); was there one?"""
        if opaque.parse(opaque.REFRESH_TOKEN, token):
            return await self._end_refresh(token, client_id)
        access = await self.tokens.find_access(token)
        if access is None:
            await self.tokens.end_rest(token)  # it may be the repeat of a revocation that was answered 503
            return False
        if client_id not in (None, access.client_id):
            return False
        await self.tokens.end_access(token, access)
        self.events.tell("token.revoked", client_id=access.client_id, user_id=access.user_id or None)
        return True

    async def _end_refresh(self, token: str, client_id: str | None) -> bool:
        # A rotated-out token as well: who gives it back wants the authorization ended.
        found = await self.tokens.find_refresh(token, even_spent=True)
        if found is None:
            await self.tokens.confirm()
            return False
        if client_id not in (None, found[1].client_id):
            return False
        await self.tokens.end_grant(found[0])
        self.events.tell("grant.ended", client_id=found[1].client_id, user_id=found[1].user_id or None)
        return True
