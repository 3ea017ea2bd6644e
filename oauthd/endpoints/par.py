"""The pushed authorization request endpoint (RFC 9126): a client leaves its request and sends the browser after it.

The client authenticates as at the token endpoint, and the request passes the checks that it would pass coming by
browser. What is refused is told to the client at once, in JSON; a redirect URI must be registered (section 2.4 would
let authenticated clients name others: no). Answered is a request_uri that works for this client, for a short time.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from attrs import frozen

from oauthd.endpoints.authorization_request import HINTED, AuthorizationRequests, keep, redirect_of
from oauthd.events import Events
from oauthd.proofs.client_authentication import ClientAuthentication
from oauthd.protocol import authorization
from oauthd.protocol.errors import INVALID_REQUEST
from oauthd.protocol.messages import Request, Response, json_response
from oauthd.stores.pushed_requests import PushedRequests

Shown = Callable[[Request], Awaitable[str]]
"""The thumbprint of the DPoP key that a request proves to hold (RFC 9449 section 10.1); "" where it shows none."""


async def nothing_shown(request: Request) -> str:
    """No key is looked for."""
    return ""


@frozen
class Par:
    """Takes authorization requests from their clients.

    :ivar shown: what key the client proves to hold.
    """

    authentication: ClientAuthentication
    requests: AuthorizationRequests
    pushed: PushedRequests
    events: Events
    shown: Shown = nothing_shown

    async def __call__(self, request: Request) -> Response:
        """Answer a pushed authorization request (RFC 9126 section 2.2)."""
        request.form.refuse_repeats(authorization.REPEATABLE)
        client = (await self.authentication.client(request)).client
        parameters = await self.requests.posted(request.form, client)
        redirect = redirect_of(client, parameters)
        asked = await self.requests.check(authorization.PAR, parameters, client, redirect)
        jkt = await self.shown(request)
        if jkt and asked.jkt and jkt != asked.jkt:
            raise INVALID_REQUEST("dpop_jkt is not the thumbprint of the DPoP proof's key")  # RFC 9449 section 10.1
        known = keep(parameters, {HINTED: asked.subject})
        request_uri = await self.pushed.push(client, known, jkt, request.connection)
        self.events.tell("authorization.pushed", client_id=client.client_id)
        return json_response({"request_uri": request_uri, "expires_in": self.pushed.lifetime}, 201)
