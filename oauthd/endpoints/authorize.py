"""The authorization endpoint (RFC 6749 section 3.1, OpenID Connect Core section 3.1.2).

A state machine over one stored interaction: pages write what they learned and return here, and only here the next step
is decided. A wrong client or redirect URI never redirects, and no error of a client that registered itself does before
a sign-in (RFC 9700 section 4.11.2). What a request is, wherever its parameters stand, is for `authorization_request`;
how answers and errors reach the client for `authorization_response`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from urllib.parse import urlencode

from attrs import evolve, field, frozen

from oauthd.config import Settings
from oauthd.endpoints.authorization_request import (
    HINTED,
    OBJECT,
    PUSHED,
    REFUSED,
    AuthorizationRequests,
    hinted,
    keep,
    kept,
    notes_of,
    redirect_of,
)
from oauthd.endpoints.authorization_response import AuthorizationResponses
from oauthd.endpoints.described_clients import DescribedClients
from oauthd.events import Events
from oauthd.protocol import authorization, beginning, opaque, profile, scopes
from oauthd.protocol.authorization import CHOSEN, Asked, Step
from oauthd.protocol.beginning import by_session
from oauthd.protocol.cookies import Cookie
from oauthd.protocol.errors import (
    ACCESS_DENIED,
    INVALID_REQUEST,
    INVALID_REQUEST_OBJECT,
    REQUEST_ANSWERED,
    TOO_MANY_REQUESTS,
    ErrorKind,
    OAuthError,
)
from oauthd.protocol.messages import Connection, Parameters, Request, Response, see_other
from oauthd.protocol.records import Client, Code, Generations, Interaction, Session, User
from oauthd.protocol.redirects import RedirectUri
from oauthd.stores import kinds, pushed_requests
from oauthd.stores.consents import Consents
from oauthd.stores.interface import Commit, IStore, Stored, Write
from oauthd.stores.scopes import ScopeCatalogue
from oauthd.stores.sessions import ANSWERED, Interactions, Sessions
from oauthd.stores.users import Users, is_administrator
from oauthd.subjects import Subjects

EXPIRED = "this sign-in has expired, or it was begun in another browser; go back to the application and start again"
SPENT = "this request was answered already, or it has expired; go back to the application and start again there"
TOLD_ON_A_PAGE = (TOO_MANY_REQUESTS, REQUEST_ANSWERED)
"""Errors that are the person's affair, and not the client's."""
SIGNED_OUT = "you have signed out meanwhile; go back to the application and start again"
LONGEST_QUERY = 6000  # characters; a longer POST is answered where it is


@frozen
class Flow:
    """One authorization request on its way.

    :ivar generations: the client's, read before the client was.
    :ivar notes: what is known of the request besides its parameters.
    :ivar refusal: why the request could not be read; its parameters are those that were sent.
    """

    parameters: Parameters
    client: Client
    generations: Generations
    redirect: RedirectUri
    notes: Mapping[str, str] = field(factory=dict)
    stored: Stored[Interaction] | None = None
    refusal: OAuthError | None = None

    @property
    def chosen(self) -> str:
        """Where the response goes, if the request itself does not say it."""
        return "" if "redirect_uri" in self.parameters else self.redirect.value

    @property
    def interaction(self) -> Interaction | None:
        """What the pages have learned so far."""
        return self.stored.record if self.stored else None


@frozen
class Authorize:
    """Decides each next step and answers with a code."""

    store: IStore
    clients: DescribedClients
    requests: AuthorizationRequests
    users: Users
    scopes: ScopeCatalogue
    sessions: Sessions
    interactions: Interactions
    consents: Consents
    responses: AuthorizationResponses
    subjects: Subjects
    events: Events
    settings: Settings
    path: str
    session_cookie: Cookie
    clock: Callable[[], float]
    entropy: Callable[[int], bytes]

    async def __call__(self, request: Request) -> Response:
        """Answer an authorization request, or go on with one."""
        if request.method == "POST":
            query = urlencode(list(request.form))
            if len(query) <= LONGEST_QUERY:
                # A POST from another site comes without our cookies (SameSite=Lax); the GET after it has them.
                return see_other(f"{self.path}?{query}")
        flow = await self._flow(request)
        try:
            return await self._decide(request, flow)
        except OAuthError as error:
            if error.kind in TOLD_ON_A_PAGE:
                raise
            if await self._too_early(request, flow):
                return await self._sign_in_first(request, flow, error)
            return await self._refuse(flow, error)

    async def _flow(self, request: Request) -> Flow:
        """The request with its client and redirect URI; what is wrong here is told on a page."""
        identifier = request.query.one("interaction") if request.method == "GET" else None
        if identifier is None:
            return await self._begun(request.parameters, request.connection)
        stored = await self.interactions.find(identifier, request)
        if stored is None or not _goes_on(stored.record):
            raise INVALID_REQUEST(EXPIRED)
        parameters, notes = kept(stored.record.parameters), notes_of(stored.record.parameters)
        client, generations = await self._client(parameters, request.connection)
        redirect = authorization.kept_redirect(client, stored.record.parameters)
        return Flow(parameters, client, generations, redirect, notes, stored, _noted_refusal(notes))

    async def _begun(self, sent: Parameters, source: Connection) -> Flow:
        client, generations = await self._client(sent, source)
        try:
            stated = await self.requests.brought(sent, client)
        except OAuthError as error:
            return Flow(sent, client, generations, _named_redirect(client, sent, error), refusal=error)
        redirect = redirect_of(client, stated.parameters)
        return Flow(stated.parameters, client, generations, redirect, stated.notes)

    async def _client(self, parameters: Parameters, source: Connection) -> tuple[Client, Generations]:
        client, generations = await self.clients.find(parameters.required("client_id"), source)
        if client is None or not client.is_active:
            raise INVALID_REQUEST("the client_id is unknown")
        return client, generations

    async def _decide(self, request: Request, flow: Flow) -> Response:
        if flow.refusal is not None:
            if flow.interaction is not None and not flow.interaction.denied and await self._nobody(request):
                return see_other(f"/login?interaction={request.query.required('interaction')}")
            raise flow.refusal
        await self._refuse_what_was_answered(flow)
        found = await self.requests.check(authorization.AUTHORIZE, flow.parameters, flow.client, flow.redirect)
        asked = hinted(found, flow.notes)
        if flow.interaction is not None and flow.interaction.denied:
            raise ACCESS_DENIED("the person refused")
        session, user = await self._signed_in(request)
        if user is not None:
            # An administrator's scope is for administrators only, and only now it is known who asks.
            requested, known = flow.parameters.one("scope"), await self.scopes.all()
            asked = evolve(asked, scope=scopes.granted(requested, flow.client, known, is_administrator(user)))
        remembered = await self.consents.find(user, flow.client, flow.redirect) if user else None
        told = self.subjects.of(flow.client, user.user_id) if user else ""
        step = authorization.next_step(
            asked, flow.client, flow.redirect, session, flow.interaction, remembered, self.clock(), told
        )
        if step is Step.ANSWER and session is not None and user is not None:
            client, generations = await self.clients.keep(flow.client, flow.generations, user)
            flow = evolve(flow, client=client, generations=generations)
            # Before the code is there: of whoever gets tokens it is known that they are to be told of the end.
            if not await self.sessions.joined(self.session_cookie.read(request), session, client.client_id):
                return await self._decide(request, flow)  # which has come already
            return await self._answer(request, flow, asked, session, user)
        return await self._page(request, flow, asked, step)

    async def _refuse_what_was_answered(self, flow: Flow) -> None:
        """Refuse early what would be refused in the end: a second answer to what counts once.

        A flow that goes on has an application behind it that was answered, in another tab or by another press: it is
        not told of an error as well. Who comes anew with something that is used is told as of any other error.
        """
        if flow.stored is None and OBJECT not in flow.notes:  # a request_uri was found good just now
            return
        if await self.requests.was_answered(flow.notes):
            if flow.stored is None:
                raise INVALID_REQUEST_OBJECT("the request object was used already")
            raise REQUEST_ANSWERED(SPENT)

    async def _signed_in(self, request: Request) -> tuple[Session | None, User | None]:
        session = await self.sessions.find(self.session_cookie.read(request))
        user = await self.users.find(session.user_id) if session else None
        return (session, user) if user is not None and user.is_active else (None, None)

    async def _nobody(self, request: Request) -> bool:
        return (await self._signed_in(request))[1] is None

    async def _too_early(self, request: Request, flow: Flow) -> bool:
        """Would an error redirect somebody who has done nothing here, to where nobody but the client says?

        RFC 9700 section 4.11.2: a client that registered itself could use a link to us for one to its site. Redirect
        URIs that an operator has registered are trusted; silent requests are the exception that it makes.
        """
        silent = any(name == "prompt" and "none" in value.split() for name, value in flow.parameters)
        return flow.stored is None and flow.client.registered_itself and not silent and await self._nobody(request)

    async def _sign_in_first(self, request: Request, flow: Flow, error: OAuthError) -> Response:
        """Tell the client of an error when somebody has signed in."""
        names = [name for name, _ in flow.parameters]
        once = Parameters(tuple(pair for pair in flow.parameters if names.count(pair[0]) == 1))
        known = keep(once, {**flow.notes, REFUSED: f"{error.kind.code} {error.description}", CHOSEN: flow.chosen})
        return await self.interactions.begin(request, "authorize", known, "/login")

    async def _page(self, request: Request, flow: Flow, asked: Asked, step: Step) -> Response:
        """Send the browser to the page that can take this step."""
        page = "/login" if step is Step.LOGIN else "/consent"
        if flow.stored is not None:
            return see_other(f"{page}?interaction={request.query.required('interaction')}")
        known = keep(flow.parameters, {**flow.notes, HINTED: asked.subject, CHOSEN: flow.chosen})
        return await self.interactions.begin(request, "authorize", known, page)

    async def _answer(self, request: Request, flow: Flow, asked: Asked, session: Session, user: User) -> Response:
        if flow.stored is not None and not await self.interactions.finish(flow.stored):
            raise REQUEST_ANSWERED(SPENT)
        now = int(self.clock())
        pushed = pushed_requests.named(flow.notes[PUSHED]) if PUSHED in flow.notes else None
        grant_id = pushed.slot if pushed else opaque.new_grant_id(self.entropy)
        value = opaque.make(opaque.CODE, self.entropy, grant_id)
        strict = profile.is_strict(flow.client, self.settings.server.profile)
        ends = now + profile.code_lifetime(self.settings.tokens.code_lifetime, strict)
        grant = beginning.begin(
            flow.client,
            flow.generations,
            # Not today's generation: what was taken from the user since the sign-in must not live on in the code.
            by_session(user, session),
            grant_type="authorization_code",
            scope=asked.scope,
            now=now,
            ends_at=now + self.settings.tokens.refresh_absolute,
            expires_at=ends,
            audience=asked.audience,
            details=asked.details,
            nonce=asked.nonce,
            claims=asked.claims,
        )
        code = Code(
            client_id=flow.client.client_id,
            redirect_uri=flow.parameters.one("redirect_uri") or "",
            code_challenge=asked.code_challenge,
            expires_at=ends,
            jkt=asked.jkt,
        )
        writes = (Write(kinds.grant(grant_id), grant), Write(kinds.code(grant_id, value), code))
        if not await self.requests.count(flow.notes):
            raise REQUEST_ANSWERED(SPENT)
        if pushed is None:
            await self.store.commit(Commit(absent=(kinds.grant(grant_id),), writes=writes))
        elif not await self.requests.pushed.spend(pushed, writes):
            raise REQUEST_ANSWERED(SPENT)  # RFC 9126 section 4: of all who come with it, one brings a code
        if not await self.sessions.goes_on(self.session_cookie.read(request)):
            # Its clients were told and its grants were ended; there may be no later one.
            await self.store.forget(kinds.grant(grant_id))
            raise REQUEST_ANSWERED(SIGNED_OUT)
        await self.clients.used(flow.client)
        self.events.tell("code.issued", client_id=flow.client.client_id, user_id=user.user_id)
        return await self.responses.send(flow.client, flow.redirect, flow.parameters, ("code", value))

    async def _refuse(self, flow: Flow, error: OAuthError) -> Response:
        """Tell the client by redirect (RFC 6749 section 4.1.2.1); the flow is over."""
        if flow.stored is not None:
            await self.interactions.finish(flow.stored)
        self.events.tell("authorization.refused", client_id=flow.client.client_id, error=error.kind.code)
        told = (("error", error.kind.code), ("error_description", error.description))
        return await self.responses.send(flow.client, flow.redirect, flow.parameters, *told)


def _goes_on(interaction: Interaction) -> bool:
    """Has it no answer yet? A refusal may be told twice, to people who press twice; a code is given once."""
    return interaction.purpose == "authorize" or (interaction.purpose == ANSWERED and interaction.denied)


def _noted_refusal(notes: Mapping[str, str]) -> OAuthError | None:
    """The error that waits for a sign-in."""
    code, _, description = notes.get(REFUSED, "").partition(" ")
    return OAuthError(ErrorKind(code, 400, "as it was"), description) if code else None


def _named_redirect(client: Client, sent: Parameters, error: OAuthError) -> RedirectUri:
    """Where a request that cannot be read says that its response goes; `error` itself where it does not say it."""
    if sent.one("redirect_uri") is None:
        raise error
    try:
        return redirect_of(client, sent)
    except OAuthError:
        raise error from None
