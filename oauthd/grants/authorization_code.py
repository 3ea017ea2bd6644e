"""Authorization code (RFC 6749 section 4.1) with PKCE (RFC 7636) and the id token of OpenID Connect Core section 3.1.3.

Refused without a trace: a code of another client, a wrong redirect_uri, a wrong or missing verifier or proof of the key
that the code is bound to (RFC 9700 section 4.5: only a *valid* replay ends the grant).
"""

from __future__ import annotations

from attrs import frozen
from msgspec.structs import replace

from oauthd.events import Events
from oauthd.grants.interface import MINTED_LATER, Ask, Redemption, lives
from oauthd.grants.resources import narrowed_audience
from oauthd.protocol import opaque, pkce
from oauthd.protocol.errors import INVALID_GRANT
from oauthd.protocol.records import Code, Grant, Spent
from oauthd.stores import kinds
from oauthd.stores.interface import Commit, IStore, Write
from oauthd.stores.tokens import Tokens, extended

UNKNOWN = "the code is expired, used or unknown"


@frozen
class AuthorizationCode:
    """The grant type `authorization_code`."""

    store: IStore
    tokens: Tokens
    events: Events
    access_lifetime: int
    pkce_public: bool = True

    grant_type = "authorization_code"
    varies = None

    async def redeem(self, ask: Ask) -> Redemption:
        """Tokens for the authorization that the code stands for."""
        value = ask.parameters.required("code")
        grant_id = opaque.parse(opaque.CODE, value)
        if grant_id is None:
            raise INVALID_GRANT(UNKNOWN)
        stored_code, stored_grant = await self.store.get(kinds.code(grant_id, value), kinds.grant(grant_id))
        if stored_code is None or stored_grant is None:
            raise INVALID_GRANT(UNKNOWN)
        code: Code = stored_code.record
        grant: Grant = stored_grant.record
        self._check(ask, code)
        if code.spent is not None:
            # RFC 6749 section 4.1.2: used more than once, and every check above held: end what it gave.
            await self.tokens.end_grant(grant_id)
            self.events.tell("grant.replayed", client_id=code.client_id, user_id=grant.user_id, grant_type="code")
            raise INVALID_GRANT(UNKNOWN)
        if not await self.tokens.covers(grant, ask.generations):
            raise INVALID_GRANT("the authorization has been withdrawn")
        refresh = "refresh_token" in ask.client.grant_types
        until = grant.ends_at if refresh else ask.now + lives(ask.client, self.access_lifetime) + MINTED_LATER
        spent = replace(code, spent=Spent(ask.attempt, ask.now))
        return Redemption(
            scope=grant.scope,
            generations=grant.generations,
            grant_id=grant_id,
            grant=extended(grant, until),
            audience=narrowed_audience(grant.audience, ask.parameters.all("resource")),
            commit=Commit(
                expected=(stored_code,), alive=(kinds.grant(grant_id),), writes=(Write(stored_code.ref, spent),)
            ),
            refresh=refresh,
            refresh_scope=grant.scope,
            refresh_audience=grant.audience,
            nonce=grant.nonce,
        )

    def _check(self, ask: Ask, code: Code) -> None:
        if code.client_id != ask.client.client_id:  # RFC 6749 section 4.1.3: issued to this client
            raise INVALID_GRANT(UNKNOWN)
        # Section 4.1.3: redirect_uri is required exactly when the authorization request had it, and then identical.
        if (ask.parameters.one("redirect_uri") or "") != code.redirect_uri:
            raise INVALID_GRANT("redirect_uri differs from the authorization request")
        if self.pkce_public and not (code.code_challenge or ask.client.confidential):  # it was when it asked
            raise INVALID_GRANT("this client must use PKCE")
        if code.jkt and ask.binding.jkt != code.jkt:  # RFC 9449 section 10
            raise INVALID_GRANT("the code is bound to a key that the request does not prove to hold")
        pkce.verify(code.code_challenge, ask.parameters.one("code_verifier"))  # RFC 7636 section 4.6
