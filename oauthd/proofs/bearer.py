"""A bearer access token presented to one of our own resources: userinfo and the admin API (RFC 6750).

It is read from the Authorization header, or from the form of a POST (section 2.2); never from a query (RFC 9700
section 4.3.2). Refused: two tokens in one request, tokens that are not alive, tokens for somebody else's resources.
"""

from __future__ import annotations

from functools import partial

from attrs import frozen

from oauthd.protocol.basic import bearer
from oauthd.protocol.errors import INSUFFICIENT_SCOPE, INVALID_REQUEST, INVALID_TOKEN
from oauthd.protocol.messages import Request
from oauthd.protocol.records import AccessToken
from oauthd.stores.cache import Cache
from oauthd.stores.tokens import Tokens


@frozen
class Bearer:
    """Finds the live access token of a request.

    :ivar cache: knows how old a reply may be.
    :ivar issuer: our own audience.
    """

    tokens: Tokens
    cache: Cache
    issuer: str

    async def token(self, request: Request, *scopes: str) -> AccessToken:
        """The token of the request; with `scopes`, one of them must have been granted.

        :raises OAuthError: `invalid_token` (no or no good token), `insufficient_scope`, `invalid_request`.
        """
        found = await self.cache.timely(partial(self.tokens.find_access, self._presented(request)))
        # A token for another resource is none for ours (RFC 9068 section 4).
        if found is None or (found.audience and self.issuer not in found.audience):
            raise INVALID_TOKEN("the access token is expired, revoked or unknown")
        if scopes and not set(scopes) & set(found.scope):
            raise INSUFFICIENT_SCOPE("the access token lacks the scope", scope=scopes[0])
        return found

    def _presented(self, request: Request) -> str:
        header = request.headers.one("authorization")
        in_form = request.form.one("access_token")
        if header is not None and in_form is not None:
            raise INVALID_REQUEST("the access token is sent twice")  # RFC 6750 section 2
        if in_form is not None:
            return in_form
        if header is None:
            # RFC 6750 section 3.1: no error code where no authentication was tried.
            raise INVALID_TOKEN("an access token is needed", fields={})
        return bearer(header)
