"""Client authentication (RFC 6749 sections 2.3 and 3.2.1), the same at every endpoint that clients call.

Exactly one method may be used in a request. Refused alike, as `invalid_client`: an unknown client, an inactive one, a
wrong secret, a confidential client without one.
"""

from __future__ import annotations

from attrs import frozen

from oauthd.events import Events
from oauthd.proofs.interface import Credentials, Method
from oauthd.protocol.errors import INVALID_CLIENT, INVALID_REQUEST, UNSUPPORTED_MEDIA_TYPE
from oauthd.protocol.messages import Request
from oauthd.protocol.records import Client, Generations
from oauthd.stores.clients import Clients

FORM = "application/x-www-form-urlencoded"  # RFC 6749 section 3.2 and its like at the other endpoints


@frozen
class ClientAuthentication:
    """Tries the methods in order; the last one takes a bare `client_id`."""

    clients: Clients
    methods: tuple[Method, ...]
    bare: Method
    events: Events

    async def client(self, request: Request) -> tuple[Client, Generations]:
        """The authenticated client and the generations to issue under.

        :raises OAuthError: `invalid_client`, `invalid_request`; `unsupported_media_type` for a body that is no form.
        """
        if request.body and request.content_type != FORM:
            raise UNSUPPORTED_MEDIA_TYPE(f"the body must be {FORM}")
        method, credentials = self._presented(request)
        named = request.form.one("client_id")
        if named is not None and named != credentials.client_id:
            raise INVALID_REQUEST("the client_id differs from the one that authenticates")
        client, generations = await self.clients.find_with_generations(credentials.client_id)
        if not method.proves(client, credentials) or client is None or not client.is_active:
            self.events.tell("client.refused", client_id=client.client_id if client else None, method=method.method)
            raise INVALID_CLIENT("client authentication failed")
        return client, generations

    def _presented(self, request: Request) -> tuple[Method, Credentials]:
        found = [(method, given) for method in self.methods if (given := method.presented(request)) is not None]
        if len(found) > 1:  # RFC 6749 section 2.3: not more than one method in a request
            raise INVALID_REQUEST("the client authenticates in more than one way")
        if found:
            return found[0]
        bare = self.bare.presented(request)
        if bare is None:
            raise INVALID_CLIENT("client authentication is missing")
        return self.bare, bare
