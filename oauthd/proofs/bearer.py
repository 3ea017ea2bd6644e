"""An access token presented to one of our own resources: userinfo and the admin API (RFC 6750, RFC 9449 section 7).

It is read from the Authorization header, or from the form of a POST (RFC 6750 section 2.2); never from a query (RFC
9700 section 4.3.2). Refused: two tokens in one request, tokens that are not alive, tokens for somebody else's
resources, and a token that is bound to a key or a certificate without a proof that its sender holds it: above all one
that comes as if it were a bearer token.
"""

from __future__ import annotations

from functools import partial

from attrs import frozen

from oauthd.proofs.dpop import Proofs
from oauthd.protocol import basic
from oauthd.protocol.certificates import thumbprint
from oauthd.protocol.errors import INSUFFICIENT_SCOPE, INVALID_REQUEST, INVALID_TOKEN
from oauthd.protocol.messages import Request
from oauthd.protocol.records import AccessToken, Binding
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
    proofs: Proofs
    issuer: str

    async def token(self, request: Request, *scopes: str) -> AccessToken:
        """The token of the request; with `scopes`, one of them must have been granted.

        :raises OAuthError: `invalid_token` (no or no good token), `insufficient_scope`, `invalid_request`,
            `invalid_dpop_proof`, `use_dpop_nonce`.
        """
        scheme, value = self._presented(request)
        found = await self.cache.timely(partial(self.tokens.find_access, value))
        # A token for another resource is none for ours (RFC 9068 section 4).
        if found is None or (found.audience and self.issuer not in found.audience):
            raise INVALID_TOKEN("the access token is expired, revoked or unknown")
        await self._prove(request, scheme, value, found.binding)
        if scopes and not set(scopes) & set(found.scope):
            raise INSUFFICIENT_SCOPE("the access token lacks the scope", scope=scopes[0])
        return found

    async def _prove(self, request: Request, scheme: str, token: str, binding: Binding) -> None:
        """Make sure that the sender of a token is who it was given to, as far as that can be proved."""
        if bool(binding.jkt) != (scheme == basic.DPOP):
            # RFC 9449 section 7.2: a bound token is no bearer token; and one that is bound to no key proves nothing.
            raise INVALID_TOKEN("the access token was issued for another scheme")
        certificate = request.connection.certificate
        if binding.x5t and not (certificate and thumbprint(certificate) == binding.x5t):  # RFC 8705 section 3
            raise INVALID_TOKEN("the access token is bound to another client certificate")
        if binding.jkt:
            await self.proofs.shown(request, token, binding.jkt)

    def _presented(self, request: Request) -> tuple[str, str]:
        """The scheme and the token."""
        header = request.headers.one("authorization")
        in_form = request.form.one("access_token")
        if header is not None and in_form is not None:
            raise INVALID_REQUEST("the access token is sent twice")  # RFC 6750 section 2
        if in_form is not None:
            return basic.BEARER, in_form
        if header is None:
            # RFC 6750 section 3.1: no error code where no authentication was tried.
            raise INVALID_TOKEN("an access token is needed", fields={})
        return basic.access_token(header)
