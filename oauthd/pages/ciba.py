"""The page where a person answers clients that ask for authentication without a browser (CIBA Core section 8).

One signs in, sees what waits, opens one request and decides. Whoever asks has shown nobody a page of ours: so the page
says which application it is, what it wants and the message that it shows elsewhere, and that nobody else's request is
to be allowed. A sign-in of long ago is not enough to allow; to deny it is.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from attrs import frozen
from msgspec.structs import replace

from oauthd.ciba import CibaRequests, Waiting, request_id
from oauthd.config import Settings
from oauthd.pages.browser import Browser, Flow
from oauthd.pages.client_links import shown_as
from oauthd.pages.scope_list import described
from oauthd.protocol.beginning import by_session
from oauthd.protocol.errors import INVALID_REQUEST, INVALID_SCOPE, OAuthError
from oauthd.protocol.messages import Request, Response, see_other
from oauthd.protocol.records import Client, Session, User
from oauthd.stores.scopes import ScopeCatalogue

SHOWN = 20
"""How many requests the page lists; those that end first come first."""
OVER = "this request was answered already, or it has ended"


@frozen
class CibaPage:
    """GET shows what waits, or one request of it; POST takes the decision."""

    browser: Browser
    ciba: CibaRequests
    scopes: ScopeCatalogue
    settings: Settings
    clock: Callable[[], float]

    async def __call__(self, request: Request) -> Response:
        """Show or answer the page of the step that the flow is at."""
        if request.method == "GET" and request.query.one("interaction") is None:
            return await self.browser.interactions.begin(request, "requests", {}, "/requests")
        answering = request.method == "POST"
        flow = await (self.browser.posted if answering else self.browser.flow)(request, "requests")
        signed_in = await self.browser.signed_in(request)
        if signed_in is None:
            return see_other(f"/login?interaction={flow.identifier}")
        if answering and request.form.one("decision") == "switch":
            return await self.browser.leave(request, _page(flow))
        called = request.parameters.one("request") or flow.state.parameters.get("request")
        if called is None:
            return await self._list(flow, signed_in[1])
        found = await self._found(called, signed_in[1])
        if found.record.status != "pending":  # pressed twice, or come back
            return _one(flow, found) if answering else await self._settled(flow, found)
        client = await self.ciba.client(found.record)
        if answering:
            return await self._decide(request, flow, signed_in, found, client)
        return await self._confirm(flow, signed_in[1], found, client)

    async def _found(self, called: str, user: User) -> Waiting:
        """The request of that name, if it is this person's to answer."""
        found = await self.ciba.find(called)
        if found is None or found.record.user_id != user.user_id:
            raise INVALID_REQUEST(OVER)
        return found

    async def _list(self, flow: Flow, user: User) -> Response:
        page = await self.ciba.waiting(user.user_id, None, SHOWN)
        return self.browser.show(
            "ciba_list",
            action="/requests",
            hidden=self.browser.hidden(flow),
            person=user.claims.get("name") or user.username,
            requests=[await self._entry(flow, stored) for stored in page.items],
        )

    async def _entry(self, flow: Flow, stored: Waiting) -> dict[str, str]:
        client = await self.ciba.clients.find(stored.record.client_id)
        return {
            "address": f"{_page(flow)}&request={request_id(stored.ref)}",
            "client_name": client.name if client else "An application",
            "message": stored.record.message,
        }

    async def _decide(
        self, request: Request, flow: Flow, signed_in: tuple[Session, User], found: Waiting, client: Client
    ) -> Response:
        session, user = signed_in
        decision = request.form.one("decision")
        if decision not in ("allow", "deny"):
            raise INVALID_REQUEST("the form has no answer")
        if not self._as_shown(request, user, client):
            return _one(flow, found)
        mine = flow.stored.ref.ident
        if decision == "deny":
            await self.ciba.deny(found, mine)
        elif not self._fresh(flow, session, client, found):
            return await self._sign_in_again(flow, found)
        else:
            await self.browser.joined(request, session, client)
            still = partial(self.browser.still, request, session)
            await self.ciba.approve(found, by_session(user, session), mine, still)
        return _one(flow, found)

    def _as_shown(self, request: Request, user: User, client: Client) -> bool:
        """Is the answer this person's, and about the application that the page has shown?"""
        shown = request.form.one("subject"), request.form.one("client")
        return shown == (user.user_id, shown_as(client))

    def _fresh(self, flow: Flow, session: Session, client: Client, found: Waiting) -> bool:
        """Has the person signed in a short while ago, or for this request?"""
        asked_for = flow.state.parameters.get("request") == request_id(found.ref)
        if asked_for and flow.state.signed_in_at and flow.state.user_id == session.user_id:
            return True
        limits = [self.settings.ciba.sign_in_age, client.default_max_age]
        return self.clock() - session.auth_time <= min(limit for limit in limits if limit is not None)

    async def _sign_in_again(self, flow: Flow, found: Waiting) -> Response:
        """Ask for the password, and come back to the same request."""
        known = flow.state.parameters | {"request": request_id(found.ref)}
        await self.browser.save(flow, replace(flow.state, parameters=known, signed_in_at=0))
        return see_other(f"/login?interaction={flow.identifier}")

    async def _settled(self, flow: Flow, found: Waiting) -> Response:
        """Say what was decided, where it was decided in this very flow."""
        if found.record.settled_in != flow.stored.ref.ident:
            raise INVALID_REQUEST(OVER)
        client = await self.ciba.clients.find(found.record.client_id)
        return self.browser.show(
            "ciba_done",
            approved=found.record.status == "approved",
            client_name=client.name if client else "The application",
        )

    async def _confirm(self, flow: Flow, user: User, found: Waiting, client: Client) -> Response:
        asked = found.record
        try:
            await self.ciba.may_be_given(asked, client, user)
        except OAuthError as error:
            raise INVALID_SCOPE("the application asks for what you cannot give it") from error
        known = (await self.scopes.all()).scopes
        hidden: dict[str, Any] = self.browser.hidden(flow) | {"request": request_id(found.ref)}
        return self.browser.show_client(
            "ciba_confirm",
            client,
            action="/requests",
            hidden=hidden | {"subject": user.user_id, "client": shown_as(client)},
            client_name=client.name,
            person=user.claims.get("name") or user.username,
            scopes=described(asked.scope, known, self.settings.userinfo.identity_with_openid, client),
            details=self.ciba.details.shown(asked.details),
            message=asked.message or None,
        )


def _one(flow: Flow, found: Waiting) -> Response:
    """To the page of a request, which says what there is to say of it."""
    return see_other(f"{_page(flow)}&request={request_id(found.ref)}")


def _page(flow: Flow) -> str:
    return f"/requests?interaction={flow.identifier}"
