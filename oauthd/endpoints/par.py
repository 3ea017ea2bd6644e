"""The pushed authorization request endpoint (RFC 9126): a client leaves its request and sends the browser after it.

The client authenticates as at the token endpoint, and the request passes the checks that it would pass coming by
browser. What is refused is told to the client at once, in JSON; a redirect URI must be registered (section 2.4 would
let authenticated clients name others: no). Answered is a request_uri that works for this client, for a short time.
"""

from __future__ import annotations

from attrs import frozen

from oauthd.endpoints.authorization_request import HINTED, AuthorizationRequests, keep, redirect_of
from oauthd.endpoints.described_clients import DescribedClients
from oauthd.events import Events
from oauthd.limits import Limits
from oauthd.proofs.binding import Bindings
from oauthd.proofs.client_authentication import ClientAuthentication
from oauthd.protocol import authorization
from oauthd.protocol.errors import INVALID_REQUEST_OBJECT
from oauthd.protocol.messages import Request, Response, json_response
from oauthd.protocol.records import Binding
from oauthd.stores.pushed_requests import PushedRequests


@frozen
class Par:
    """Takes authorization requests from their clients."""

    authentication: ClientAuthentication
    bindings: Bindings
    requests: AuthorizationRequests
    pushed: PushedRequests
    events: Events
    described: DescribedClients
    limits: Limits

    async def __call__(self, request: Request) -> Response:
        """Answer a pushed authorization request (RFC 9126 section 2.2)."""
        request.form.refuse_repeats(authorization.REPEATABLE)
        self.bindings.proofs.ask_for_nonce(request)
        client = (await self.authentication.client(request, self.described.known)).client
        self.limits.begin("pushed", client, self.pushed.lifetime)
        stated = await self.requests.posted(request.form, client)
        redirect = redirect_of(client, stated.parameters)
        asked = await self.requests.check(authorization.PAR, stated.parameters, client, redirect)
        known = keep(stated.parameters, {HINTED: asked.subject})
        jkt = await self.bindings.pushed(request, client, asked.jkt)
        if not await self.requests.count(stated.notes):
            raise INVALID_REQUEST_OBJECT("the request object was used already")
        request_uri = await self.pushed.push(client, known, jkt, request.connection)
        self.events.tell("authorization.pushed", client_id=client.client_id)
        answer = {"request_uri": request_uri, "expires_in": self.pushed.lifetime}
        return json_response(answer, 201).adding(*self.bindings.fields(Binding(jkt)))
