"""The end-session endpoint (OpenID Connect RP-Initiated Logout section 2).

A valid `id_token_hint` of the person who is signed in, and of this session, signs out at once; anything else asks
first, since a GET may come from anywhere. The browser is sent on only to an address that the client registered for this
(section 3). What is wrong with a request is told on a page, from which whoever wanted to leave still can (section 4).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from urllib.parse import urlencode

from attrs import frozen

from oauthd.proofs.id_token_hint import IdTokenHint
from oauthd.protocol import logout
from oauthd.protocol.cookies import Cookie
from oauthd.protocol.errors import INVALID_REQUEST, OAuthError
from oauthd.protocol.messages import Parameters, Request, Response, see_other
from oauthd.protocol.records import Client, Session
from oauthd.protocol.redirects import RedirectUri
from oauthd.sign_out import SignOut
from oauthd.stores.clients import Clients
from oauthd.stores.sessions import Interactions, Sessions
from oauthd.subjects import Subjects

LONGEST_QUERY = 12000  # characters


@frozen
class EndSession:
    """Ends a browser session for a client that asks for it.

    :ivar page: signs out in frames of these addresses, and leads to that one then.
    :ivar refused: the page of an error, from status, code and description, and where a person signs out.
    """

    clients: Clients
    sessions: Sessions
    interactions: Interactions
    hints: IdTokenHint
    subjects: Subjects
    sign_out: SignOut
    page: Callable[[Sequence[str], str], Response]
    refused: Callable[[int, str, str, str], Response]
    session_cookie: Cookie

    async def __call__(self, request: Request) -> Response:
        """Answer a logout request (section 2)."""
        if request.method == "POST":
            return self._again(request)
        parameters = request.query
        try:
            parameters.refuse_repeats()
            hint = await self._hint(parameters)
            client = await self._client(parameters, hint)
            target = self._target(parameters, client)
        except OAuthError as error:
            return self.refused(error.kind.status, error.kind.code, error.description, "/logout")
        value = self.session_cookie.read(request)
        session = await self.sessions.find(value)
        if session is not None and not (client and hint and self._means(hint, client, session)):
            return await self._ask(request, client, target)
        if session is None and target and client and client.registered_itself:
            # Section 3: nothing shows that this is where the person wants to go (RFC 9700 section 4.11.2). A hint does
            # not: whoever registers a client has one of its own, and can put it into a link for anybody.
            return (await self._ask(request, client, target)).adding(self.session_cookie.drop())
        frames = await self.sign_out.end(value, client.client_id if client else None)
        return self.page(frames, target).adding(self.session_cookie.drop())

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

    def _means(self, hint: Mapping[str, object], client: Client, session: Session) -> bool:
        """Is it about the person who is signed in, and about this session (section 2, with Back-Channel Logout 2.1)?"""
        told = self.subjects.of(client, session.user_id)
        return hint.get("sub") == told and logout.is_of_session(hint.get("sid"), session, client)

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
