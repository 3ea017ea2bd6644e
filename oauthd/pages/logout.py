"""The sign-out page: asks before it ends a session, and says so afterwards."""

from __future__ import annotations

from attrs import frozen

from oauthd.pages.browser import Browser, Flow
from oauthd.pages.rendering import destination
from oauthd.protocol.messages import Request, Response, see_other
from oauthd.stores.clients import Clients


@frozen
class LogoutPage:
    """GET asks, POST ends the session."""

    browser: Browser
    clients: Clients

    async def __call__(self, request: Request) -> Response:
        """Show or answer the question; without a session there is nothing to ask."""
        if request.method == "POST":
            return await self._answer(request)
        signed_in = await self.browser.signed_in(request)
        if request.query.one("interaction") is None:
            if signed_in is None:
                return self.browser.show("signed_out")
            return await self.browser.interactions.begin(request, "logout", {"target": "", "client_id": ""}, "/logout")
        flow = await self.browser.flow(request, "logout")
        if signed_in is None:
            return await self._over(flow)
        return await self._form(flow, signed_in[1].username)

    async def _over(self, flow: Flow) -> Response:
        """There is nothing to ask: on to where the logout leads, unless that is the word of a client alone."""
        target, client_id = flow.state.parameters["target"], flow.state.parameters["client_id"]
        client = await self.clients.find(client_id) if client_id else None
        if target and client is not None and client.registered_itself:
            return self.browser.show("signed_out_here", target=target, destination=destination(target))
        return see_other(target or "/logout")

    async def _answer(self, request: Request) -> Response:
        flow = await self.browser.posted(request, "logout")
        if request.form.one("decision") != "yes":
            return see_other("/")
        return await self.browser.leave(
            request, flow.state.parameters["target"], flow.state.parameters["client_id"] or None
        )

    async def _form(self, flow: Flow, username: str) -> Response:
        client_id = flow.state.parameters["client_id"]
        client = await self.clients.find(client_id) if client_id else None
        target = flow.state.parameters["target"]
        return self.browser.show(
            "logout",
            200,
            (target,) if target else (),
            action="/logout",
            hidden=self.browser.hidden(flow),
            client_name=client.name if client else None,
            person=username,
        )
