"""The consent page: which application asks, for what, and where the person will be sent; allow, deny or switch."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from urllib.parse import urlsplit

from attrs import frozen
from msgspec.structs import replace

from oauthd.events import Events
from oauthd.pages.browser import Browser, Flow
from oauthd.pages.client_links import shown_as
from oauthd.pages.rendering import destination
from oauthd.pages.scope_list import described
from oauthd.protocol import claims_request
from oauthd.protocol import scopes as rules
from oauthd.protocol.authorization import kept_redirect
from oauthd.protocol.authorization_details import PARAMETER, DetailsTypes
from oauthd.protocol.client_documents import site_of
from oauthd.protocol.errors import INVALID_REQUEST
from oauthd.protocol.messages import Connection, Request, Response, see_other
from oauthd.protocol.records import Client, Generations, User
from oauthd.protocol.redirects import RedirectUri
from oauthd.stores.consents import Consents
from oauthd.stores.scopes import ScopeCatalogue
from oauthd.stores.sessions import ANSWERED
from oauthd.stores.users import is_administrator

Find = Callable[[str, Connection], Awaitable[tuple[Client | None, Generations]]]
Keep = Callable[[Client, Generations, User], Awaitable[tuple[Client, Generations]]]


@frozen
class ConsentPage:
    """GET shows what is asked, POST takes the answer.

    :ivar find: the client of an id, for whoever comes from that connection; one that is described may not be kept yet.
    :ivar keep: keeps it.
    :ivar identity_with_openid: `openid` alone lets username and email out, and the page says so.
    """

    browser: Browser
    find: Find
    keep: Keep
    scopes: ScopeCatalogue
    consents: Consents
    details: DetailsTypes
    events: Events
    authorize: str
    identity_with_openid: bool

    async def __call__(self, request: Request) -> Response:
        """Show or answer the consent form."""
        answering = request.method == "POST"
        if answering:
            flow = await self.browser.posted(request, "authorize", ANSWERED)
        else:
            flow = await self.browser.flow(request, "authorize")
        if flow.over:
            return await self.browser.again(request, flow, self.authorize)
        signed_in = await self.browser.signed_in(request)
        if signed_in is None:  # signed out meanwhile: the authorization endpoint knows what to do
            return see_other(flow.back(self.authorize))
        client, generations = await self._client(request, flow)
        redirect = kept_redirect(client, flow.state.parameters)
        if answering:
            return await self._answer(request, flow, signed_in[1], client, generations, redirect)
        return await self._form(flow, signed_in[1], client, redirect)

    async def _client(self, request: Request, flow: Flow) -> tuple[Client, Generations]:
        client, generations = await self.find(flow.state.parameters.get("client_id", ""), request.connection)
        if client is None:
            raise INVALID_REQUEST("the application does not exist any more")
        return client, generations

    async def _answer(
        self,
        request: Request,
        flow: Flow,
        user: User,
        client: Client,
        generations: Generations,
        redirect: RedirectUri,
    ) -> Response:
        decision = request.form.one("decision")
        if decision == "switch":
            return await self.browser.leave(request, flow.back(self.authorize))
        if decision == "deny":
            await self.browser.learn(flow, request, lambda now: replace(now, denied=True))
            self.events.tell("consent.denied", client_id=client.client_id, user_id=user.user_id)
            return see_other(flow.back(self.authorize))
        if decision != "allow":
            raise INVALID_REQUEST("the form has no answer")
        scope = await self._asked(flow, user, client)
        # What one person was shown, another may not agree to, and nobody to what was not shown.
        shown = request.form.one("subject"), request.form.one("client"), request.form.one("shown") or ""
        if shown != (user.user_id, shown_as(client), rules.joined(scope)):
            return see_other(f"/consent?interaction={flow.identifier}")
        client, _ = await self.keep(client, generations, user)
        # A sign-in that another person made within this flow is none of this one's.
        signed_in_at = flow.state.signed_in_at if flow.state.user_id == user.user_id else 0
        agreed = replace(flow.state, consented=scope, user_id=user.user_id, signed_in_at=signed_in_at)
        if not await self.browser.save(flow, agreed):
            return see_other(flow.back(self.authorize))  # pressed twice: what counts was written by the other press
        if client.confidential or not redirect.native:
            await self.consents.remember(user, client, redirect, scope)
        self.events.tell("consent.given", client_id=client.client_id, user_id=user.user_id, scope=" ".join(scope))
        return see_other(flow.back(self.authorize))

    async def _form(self, flow: Flow, user: User, client: Client, redirect: RedirectUri) -> Response:
        asked = await self._asked(flow, user, client)
        return self.browser.show_client(
            "consent",
            client,
            200,
            (redirect.value,),
            action="/consent",
            hidden=self.browser.hidden(flow)
            | {"subject": user.user_id, "client": shown_as(client), "shown": rules.joined(asked)},
            client_name=client.name,
            client_host=urlsplit(client.client_uri).hostname or None,
            client_address=site_of(client.client_id) if client.described else None,
            person=user.claims.get("name") or user.username,
            scopes=described(asked, (await self.scopes.all()).scopes, self.identity_with_openid, client),
            details=self.details.shown(self.details.asked(flow.state.parameters.get(PARAMETER), client)),
            destination=destination(redirect.value),
        )

    async def _asked(self, flow: Flow, user: User, client: Client) -> tuple[str, ...]:
        known, parameters = await self.scopes.all(), flow.state.parameters
        scope = rules.granted(parameters.get("scope"), client, known, is_administrator(user))
        claims = claims_request.parse(parameters["claims"]) if "claims" in parameters and "openid" in scope else {}
        return claims_request.to_agree(claims, scope)
