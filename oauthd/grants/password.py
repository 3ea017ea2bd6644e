"""Resource owner password credentials (RFC 6749 section 4.3): only for clients registered for it (RFC 9700 2.4)."""

from __future__ import annotations

from collections.abc import Callable

from attrs import frozen

from oauthd.grants.interface import MINTED_LATER, Ask, Redemption, lives
from oauthd.grants.resources import asked_audience
from oauthd.protocol import opaque, profile, scopes
from oauthd.protocol.acr import PASSWORD
from oauthd.protocol.beginning import SignedIn, begin
from oauthd.protocol.errors import INVALID_GRANT, UNAUTHORIZED_CLIENT
from oauthd.sign_in import SignIn
from oauthd.stores import kinds
from oauthd.stores.clients import Clients
from oauthd.stores.interface import Commit, IStore
from oauthd.stores.scopes import ScopeCatalogue
from oauthd.stores.users import is_administrator


@frozen
class Password:
    """The grant type `password`.

    :ivar profile: what the server holds every client to; "" for nothing.
    """

    store: IStore
    clients: Clients
    scopes: ScopeCatalogue
    sign_in: SignIn
    entropy: Callable[[int], bytes]
    refresh_absolute: int
    access_lifetime: int
    profile: str

    grant_type = "password"
    varies = None

    async def redeem(self, ask: Ask) -> Redemption:
        """Tokens for the user whose password was given."""
        if profile.is_strict(ask.client, self.profile):  # FAPI 2.0 Security Profile section 5.3.2.1
            raise UNAUTHORIZED_CLIENT("the client may not use this grant")
        username = ask.parameters.required("username")
        password = ask.parameters.required("password")
        person = await self.sign_in.by_password(username, password, ask.source)
        if person is None:
            raise INVALID_GRANT("the username or password is wrong")
        user = person.user
        known = await self.scopes.all()
        scope = scopes.granted(ask.parameters.one("scope"), ask.client, known, is_administrator(user))
        audience = await asked_audience(ask, self.clients)
        grant_id = opaque.new_grant_id(self.entropy)
        refresh = "refresh_token" in ask.client.grant_types
        ends_at = ask.now + self.refresh_absolute
        until = ends_at if refresh else min(ends_at, ask.now + lives(ask.client, self.access_lifetime) + MINTED_LATER)
        grant = begin(
            ask.client,
            ask.generations,
            SignedIn(user, person.generation, ask.now, PASSWORD),
            grant_type=self.grant_type,
            scope=scope,
            now=ask.now,
            ends_at=ends_at,
            expires_at=until,
            audience=audience,
        )
        return Redemption(
            scope=scope,
            generations=grant.generations,
            grant_id=grant_id,
            grant=grant,
            audience=audience,
            commit=Commit(absent=(kinds.grant(grant_id),)),
            refresh=refresh,
            refresh_scope=scope,
            refresh_audience=audience,
        )
