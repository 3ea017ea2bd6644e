"""The end-session endpoint (OpenID Connect RP-Initiated Logout section 2).

A valid `id_token_hint` of the person who is signed in signs out at once; anything else asks first, since a GET may come
from anywhere. The browser is sent on only to an address that the client registered for this (section 3).
"""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlencode

from attrs import frozen

from oauthd.events import Events
from oauthd.proofs.id_token_hint import IdTokenHint
from oauthd.protocol.cookies import Cookie
from oauthd.protocol.errors import INVALID_REQUEST
from oauthd.protocol.messages import Parameters, Request, Response, see_other
from oauthd.protocol.records import Client, Session
from oauthd.protocol.redirects import RedirectUri
from oauthd.stores.clients import Clients
from oauthd.stores.sessions import Interactions, Sessions
from oauthd.subjects import Subjects

LONGEST_QUERY = 12000  # characters


@frozen
class EndSession:
    """Ends a browser session for a client that asks for it."""

    clients: Clients
    sessions: Sessions
    interactions: Interactions
    hints: IdTokenHint
    subjects: Subjects
    events: Events
    session_cookie: Cookie

    async def __call__(self, request: Request) -> Response:
        """Answer a logout request (section 2)."""
        if request.method == "POST":
            return self._again(request)
        parameters = request.query
        parameters.refuse_repeats()
        hint = await self._hint(parameters)
        client = await self._client(parameters, hint)
        target = self._target(parameters, client)
        value = self.session_cookie.read(request)
        session = await self.sessions.find(value)
        if session is not None and not (client and hint and hint.get("sub") == self._told(client, session)):
            return await self._ask(request, client, target)
        if session is None and client and client.registered_itself and not hint:
            # Section 3: nothing shows that this is where the person wants to go (RFC 9700 section 4.11.2).
            return see_other("/logout").adding(self.session_cookie.drop())
        if session is not None:
            await self.sessions.end(value)
            self.events.tell("sign_out", user_id=session.user_id, client_id=client.client_id if client else None)
        return see_other(target or "/logout").adding(self.session_cookie.drop())

    def _again(self, request: Request) -> Response:
        """Turn a POST into a GET: from another site it comes without our cookies (SameSite=Lax), as if signed out."""
        query = urlencode(list(request.form))
        if len(query) > LONGEST_QUERY:
            raise INVALID_REQUEST("the request is too long")
        return see_other(f"{request.path}?{query}")

    async def _hint(self, parameters: Parameters) -> Mapping[str, object]:
        hint = parameters.one("id_token_hint")
        if hint is None:
            return {}
        audience = self.hints.audience(hint)
        return self.hints.claims(hint, await self.clients.find(audience) if audience else None)

    async def _client(self, parameters: Parameters, hint: Mapping[str, object]) -> Client | None:
        """The client that asks, by its id or by the audience of the hint, which must agree (section 2)."""
        named, audience = parameters.one("client_id"), hint.get("aud")
        if named is not None and audience is not None and named != audience:
            raise INVALID_REQUEST("the client_id is not the audience of the id_token_hint")
        identifier = named or (audience if isinstance(audience, str) else None)
        client = await self.clients.find(identifier) if identifier else None
        if client is not None and not client.is_active:
            client = None  # nobody is sent to it any more
        if named is not None and client is None:
            raise INVALID_REQUEST("the client_id is unknown")
        return client

    def _told(self, client: Client, session: Session) -> str:
        """What the client knows the signed-in person by."""
        return self.subjects.of(client, session.user_id)

    def _target(self, parameters: Parameters, client: Client | None) -> str:
        """Where the browser goes afterwards, with `state`; "" for our own page."""
        uri, state = parameters.one("post_logout_redirect_uri"), parameters.one("state")
        if uri is None:
            return ""
        # Section 3: exact comparison, with the values registered for this client.
        if client is None or uri not in client.post_logout_redirect_uris:
            raise INVALID_REQUEST("post_logout_redirect_uri is not registered for the client that asks")
        return RedirectUri(uri).with_parameters((("state", state),) if state else ())

    async def _ask(self, request: Request, client: Client | None, target: str) -> Response:
        asked = {"target": target, "client_id": client.client_id if client else ""}
        return await self.interactions.begin(request, "logout", asked, "/logout")
