"""Client credentials (RFC 6749 section 4.4): a confidential client for itself.

One expiring record and no grant, unless the client is configured to get a refresh token (and registered to use it),
against section 4.4.3, as the simple registration document prints it.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from attrs import frozen

from oauthd.grants.interface import Ask, Redemption
from oauthd.grants.resources import asked_audience
from oauthd.protocol import opaque, scopes
from oauthd.protocol.beginning import begin
from oauthd.protocol.errors import UNAUTHORIZED_CLIENT, OAuthError
from oauthd.stores import kinds
from oauthd.stores.clients import Clients
from oauthd.stores.entries import Entry
from oauthd.stores.interface import Commit
from oauthd.stores.scopes import ScopeCatalogue


@frozen
class ClientCredentials:
    """The grant type `client_credentials`."""

    clients: Clients
    scopes: ScopeCatalogue
    entropy: Callable[[int], bytes]
    refresh_absolute: int

    grant_type = "client_credentials"
    varies = ""

    async def redeem(self, ask: Ask) -> Redemption:
        """A token for the client itself."""
        if not ask.client.confidential:
            raise UNAUTHORIZED_CLIENT("only a confidential client may use this grant")  # RFC 6749 section 4.4
        scope, known = await self._scope(ask)
        audience = await asked_audience(ask, self.clients)
        if not (ask.client.machine_refresh and "refresh_token" in ask.client.grant_types):
            # Who owns a resource is looked up each time.
            holds = None if audience else partial(self.scopes.cache.counts, known)
            return Redemption(scope=scope, generations=ask.generations, audience=audience, holds=holds)
        grant_id = opaque.new_grant_id(self.entropy)
        grant = begin(
            ask.client,
            ask.generations,
            None,
            grant_type=self.grant_type,
            scope=scope,
            now=ask.now,
            ends_at=ask.now + self.refresh_absolute,
            audience=audience,
        )
        return Redemption(
            scope=scope,
            generations=ask.generations,
            grant_id=grant_id,
            grant=grant,
            audience=audience,
            commit=Commit(absent=(kinds.grant(grant_id),)),
            refresh=True,
            refresh_scope=scope,
            refresh_audience=audience,
        )

    async def _scope(self, ask: Ask) -> tuple[tuple[str, ...], Entry]:
        """What is granted, and the scopes that it was chosen from."""
        asked, known = ask.parameters.one("scope"), await self.scopes.kept()
        try:
            return scopes.granted_to_client(asked, ask.client, known.value), known
        except OAuthError:  # a scope that was created a moment ago
            known = await self.scopes.kept(fresh=True)
            return scopes.granted_to_client(asked, ask.client, known.value), known
