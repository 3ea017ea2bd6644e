"""The authorization endpoint (RFC 6749 section 3.1, OpenID Connect Core section 3.1.2).

A state machine over one stored interaction: pages write what they learned and return here, and only here the next step
is decided. A wrong client or redirect URI never redirects (RFC 9700 section 4.11.2); how answers and errors reach the
client is for `authorization_response`.
"""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import urlencode

from attrs import evolve, frozen
from msgspec.structs import replace

from oauthd.config import Settings
from oauthd.endpoints.authorization_response import AuthorizationResponses
from oauthd.events import Events
from oauthd.proofs.id_token_hint import IdTokenHint
from oauthd.protocol import acr, authorization, opaque, scopes
from oauthd.protocol.authorization import Asked, Context, Step
from oauthd.protocol.cookies import Cookie
from oauthd.protocol.errors import ACCESS_DENIED, INVALID_REQUEST, TOO_MANY_REQUESTS, OAuthError
from oauthd.protocol.messages import Parameters, Request, Response, see_other
from oauthd.protocol.records import Client, Code, Generations, Grant, Interaction, Session, User
from oauthd.protocol.redirects import RedirectUri, choose
from oauthd.stores import kinds
from oauthd.stores.clients import Clients
from oauthd.stores.consents import Consents
from oauthd.stores.interface import Commit, IStore, Stored, Write
from oauthd.stores.scopes import ScopeCatalogue
from oauthd.stores.sessions import ANSWERED, Interactions, Sessions
from oauthd.stores.users import Users, is_administrator
from oauthd.subjects import Subjects

EXPIRED = "this sign-in has expired, or it was begun in another browser; go back to the application and start again"
LONGEST_QUERY = 6000  # characters; a longer POST is answered where it is
LONGEST_KEPT = 8192  # octets that an interaction keeps of a request: anybody can begin one, and leave it
KEPT = frozenset(
    {"response_type", "client_id", "redirect_uri", "scope", "state", "response_mode", "nonce", "display", "prompt"}
    | {"max_age", "ui_locales", "login_hint", "acr_values", "code_challenge", "code_challenge_method", "resource"}
    | {"claims", "claims_locales"}
)
"""What an interaction keeps of a request: not the id_token_hint, since no token is stored in clear."""
HINTED = "hinted_subject"
"""What it keeps of that hint: whom it names. No parameter of a request is kept under this name."""


@frozen
class Flow:
    """One authorization request on its way.

    :ivar generations: the client's, read before the client was.
    """

    parameters: Parameters
    client: Client
    generations: Generations
    redirect: RedirectUri
    stored: Stored[Interaction] | None = None

    @property
    def interaction(self) -> Interaction | None:
        """What the pages have learned so far."""
        return self.stored.record if self.stored else None


@frozen
class Authorize:
    """Decides each next step and answers with a code."""

    store: IStore
    clients: Clients
    users: Users
    scopes: ScopeCatalogue
    sessions: Sessions
    interactions: Interactions
    consents: Consents
    hints: IdTokenHint
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
            if error.kind is TOO_MANY_REQUESTS:  # the person's affair, not the client's
                raise
            return await self._refuse(flow, error)

    async def _flow(self, request: Request) -> Flow:
        """The request with its client and redirect URI; what is wrong here is told on a page."""
        identifier = request.query.one("interaction") if request.method == "GET" else None
        if identifier is None:
            parameters, stored = request.parameters, None
        else:
            stored = await self.interactions.find(identifier, request)
            if stored is None or not _goes_on(stored.record):
                raise INVALID_REQUEST(EXPIRED)
            parameters = kept(stored.record.parameters)
        client, generations = await self.clients.find_with_generations(parameters.required("client_id"))
        if client is None or not client.is_active:
            raise INVALID_REQUEST("the client_id is unknown")
        presented = parameters.one("redirect_uri")
        if presented is None and "openid" in (parameters.one("scope") or "").split():
            raise INVALID_REQUEST("redirect_uri is missing")  # OpenID Connect Core section 3.1.2.1
        return Flow(parameters, client, generations, choose(client.redirect_uris, presented), stored)

    async def _decide(self, request: Request, flow: Flow) -> Response:
        asked = await self._asked(flow)
        if flow.interaction is not None:
            asked = evolve(asked, subject=flow.interaction.parameters.get(HINTED, ""))
        if flow.interaction is not None and flow.interaction.denied:
            raise ACCESS_DENIED("the person refused")
        session, user = await self._signed_in(request)
        if user is not None:
            # An administrator's scope is for administrators only, and only now it is known who asks.
            requested, known = flow.parameters.one("scope"), await self.scopes.all()
            asked = evolve(asked, scope=scopes.granted(requested, flow.client, known, is_administrator(user)))
        remembered = await self.consents.find(user, flow.client) if user else None
        told = self.subjects.of(flow.client, user.user_id) if user else ""
        step = authorization.next_step(
            asked, flow.client, flow.redirect, session, flow.interaction, remembered, self.clock(), told
        )
        if step is Step.ANSWER and session is not None and user is not None:
            return await self._answer(flow, asked, session, user)
        return await self._page(request, flow, asked, step)

    async def _asked(self, flow: Flow) -> Asked:
        resources = await self.clients.resources() if "resource" in flow.parameters else {}
        context = Context(
            parameters=flow.parameters,
            client=flow.client,
            scopes=await self.scopes.all(),
            resources=frozenset(resources),
            redirect=flow.redirect,
            pkce_always=self.settings.clients.pkce_required,
            subject_of_hint=self.hints.subject,
        )
        return authorization.check(authorization.AUTHORIZE, context)

    async def _signed_in(self, request: Request) -> tuple[Session | None, User | None]:
        session = await self.sessions.find(self.session_cookie.read(request))
        user = await self.users.find(session.user_id) if session else None
        return (session, user) if user is not None and user.is_active else (None, None)

    async def _page(self, request: Request, flow: Flow, asked: Asked, step: Step) -> Response:
        """Send the browser to the page that can take this step."""
        page = "/login" if step is Step.LOGIN else "/consent"
        if flow.stored is not None:
            return see_other(f"{page}?interaction={request.query.required('interaction')}")
        known = keep(flow.parameters) | ({HINTED: asked.subject} if asked.subject else {})
        if sum(len(value.encode()) for value in known.values()) > LONGEST_KEPT:
            raise INVALID_REQUEST("the request is too long")
        return await self.interactions.begin(request, "authorize", known, page)

    async def _answer(self, flow: Flow, asked: Asked, session: Session, user: User) -> Response:
        if flow.stored is not None and not await self.interactions.finish(flow.stored):
            raise INVALID_REQUEST("this request was answered already")
        now = int(self.clock())
        # Not today's: what was taken from user or client since they were read must not live on in the code.
        generations = replace(flow.generations, user=session.user_generation)
        grant_id = opaque.new_grant_id(self.entropy)
        value = opaque.make(opaque.CODE, self.entropy, grant_id)
        ends = now + self.settings.tokens.code_lifetime
        grant = Grant(
            client_id=flow.client.client_id,
            user_id=user.user_id,
            username=user.username,
            grant_type="authorization_code",
            scope=asked.scope,
            generations=generations,
            issued_at=now,
            ends_at=now + self.settings.tokens.refresh_absolute,
            expires_at=ends,
            audience=asked.audience,
            auth_time=session.auth_time,
            nonce=asked.nonce,
            acr=acr.reached(session.amr),
            claims=dict(asked.claims),
        )
        code = Code(
            client_id=flow.client.client_id,
            redirect_uri=flow.parameters.one("redirect_uri") or "",
            code_challenge=asked.code_challenge,
            expires_at=ends,
        )
        writes = (Write(kinds.grant(grant_id), grant), Write(kinds.code(grant_id, value), code))
        await self.store.commit(Commit(absent=(kinds.grant(grant_id),), writes=writes))
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


def keep(parameters: Parameters) -> dict[str, str]:
    """The parameters that a later step needs, as an interaction stores them."""
    found = {name: value for name, value in parameters if name in KEPT and name != "resource"}
    resources = parameters.all("resource")
    return found | ({"resource": " ".join(resources)} if resources else {})


def kept(stored: dict[str, str]) -> Parameters:
    """The parameters again, as they were sent."""
    pairs = [(name, value) for name, value in stored.items() if name not in ("resource", HINTED)]
    pairs += [("resource", uri) for uri in stored.get("resource", "").split()]
    return Parameters(tuple(pairs))
