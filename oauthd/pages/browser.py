"""What every page needs of the browser before it: its cookies, its session, the flow it is in, its form's token.

Here a page is refused that belongs to another browser, a form without the token we gave it, a flow that has ended.
People press buttons twice, and a browser shows what the last press led to: so a form that comes again is not refused
where it can be taken for the same.
"""

from __future__ import annotations

from collections.abc import Callable

from attrs import field, frozen

from oauthd.pages.client_links import client_links
from oauthd.pages.frontchannel_logout import FrontChannelLogout
from oauthd.pages.rendering import Pages, page_headers
from oauthd.protocol.cookies import Cookie
from oauthd.protocol.errors import INVALID_REQUEST
from oauthd.protocol.messages import Request, Response, see_other
from oauthd.protocol.records import Client, Interaction, Session, User
from oauthd.sign_out import SignOut
from oauthd.stores.interface import Stored
from oauthd.stores.sessions import ANSWERED, UNDER_WAY, Interactions, Sessions
from oauthd.stores.swap import TRIES
from oauthd.stores.users import Users

SIGNED_OUT = "you were signed out at the same moment; nothing was allowed: go back to the application and start again"
EXPIRED = "this page has expired, or it was opened in another browser; go back to the application and start again"


@frozen
class Flow:
    """The browser flow that a page is part of."""

    identifier: str = field(repr=False)
    stored: Stored[Interaction]

    @property
    def state(self) -> Interaction:
        """What is known of it."""
        return self.stored.record

    @property
    def over(self) -> bool:
        """Has the application had its answer?"""
        return self.state.purpose == ANSWERED

    def back(self, authorize: str) -> str:
        """The address that decides the next step of this flow."""
        homes = {"authorize": authorize, ANSWERED: authorize, "device": "/device", "logout": "/logout"}
        home = {**homes, "requests": "/requests"}.get(self.state.purpose)
        return "/" if home is None else f"{home}?interaction={self.identifier}"


@frozen
class Browser:
    """Reads what a browser sends and writes what it is shown."""

    pages: Pages
    users: Users
    sessions: Sessions
    interactions: Interactions
    session_cookie: Cookie
    issuer: str
    sign_out: SignOut
    front_channel: FrontChannelLogout

    async def flow(self, request: Request, *purposes: str) -> Flow:
        """The flow that the request names, if it is this browser's.

        :raises OAuthError: `invalid_request`.
        """
        identifier = request.parameters.one("interaction") or ""
        stored = await self.interactions.find(identifier, request)
        if stored is None or stored.record.purpose not in (purposes or UNDER_WAY):
            raise INVALID_REQUEST(EXPIRED)
        return Flow(identifier, stored)

    async def posted(self, request: Request, *purposes: str) -> Flow:
        """The flow of a form that we gave to this browser.

        :raises OAuthError: `invalid_request`.
        """
        request.form.refuse_repeats()
        flow = await self.flow(request, *purposes)
        if not self.interactions.csrf_fits(flow.stored, request.form.one("csrf") or ""):
            raise INVALID_REQUEST(EXPIRED)
        return flow

    async def signed_in(self, request: Request) -> tuple[Session, User] | None:
        """Session and user of the browser."""
        session = await self.sessions.find(self.session_cookie.read(request))
        user = await self.users.find(session.user_id) if session else None
        return (session, user) if session is not None and user is not None and user.is_active else None

    async def joined(self, request: Request, session: Session, client: Client) -> None:
        """Write down, before a client gets anything in a session, that it is to be told of the end.

        :raises OAuthError: `invalid_request` when that has come already.
        """
        if not await self.sessions.joined(self.session_cookie.read(request), session, client.client_id):
            raise INVALID_REQUEST(SIGNED_OUT)

    async def leave(self, request: Request, target: str, client_id: str | None = None) -> Response:
        """Sign the browser out everywhere, and lead it on.

        :param target: an address of ours, or one that was registered for this.
        :param client_id: who asked for it.
        """
        frames = await self.sign_out.end(self.session_cookie.read(request), client_id)
        return self.front_channel(frames, target).adding(self.session_cookie.drop())

    async def still(self, request: Request, session: Session) -> None:
        """Make sure that the session goes on, after something was given in it: who ended it has not seen that.

        :raises OAuthError: `invalid_request` when it has ended.
        """
        now = await self.sessions.find(self.session_cookie.read(request))
        if now is None or now.sid != session.sid:
            raise INVALID_REQUEST(SIGNED_OUT)

    async def save(self, flow: Flow, changed: Interaction) -> bool:
        """Write down what a page learned; False when something else was written since the flow was read."""
        return await self.interactions.save(flow.stored, changed)

    async def learn(self, flow: Flow, request: Request, change: Callable[[Interaction], Interaction]) -> None:
        """Write down what holds whatever else was written since the flow was read.

        :raises OAuthError: `invalid_request` when the flow has ended.
        """
        for _ in range(TRIES):
            if await self.save(flow, change(flow.state)):
                return
            flow = await self.flow(request, flow.state.purpose)
        raise INVALID_REQUEST("this page was answered too often at once")

    async def again(self, request: Request, flow: Flow, authorize: str) -> Response:
        """A form of a flow that is over came once more: the application's request begins anew.

        Its first answer is lost on the way when somebody presses twice, but the application may have used it.

        :raises OAuthError: `invalid_request` where somebody refuses what is given already.
        """
        if request.form.one("decision") != "deny":
            return await self.interactions.begin(request, "authorize", flow.state.parameters, authorize)
        if not flow.state.denied:
            raise INVALID_REQUEST(EXPIRED)
        return see_other(flow.back(authorize))

    def hidden(self, flow: Flow) -> dict[str, str]:
        """The hidden fields of this flow's forms."""
        return {"csrf": self.interactions.csrf(flow.stored), "interaction": flow.identifier}

    def show(self, page: str, status: int = 200, targets: tuple[str, ...] = (), **context: object) -> Response:
        """A rendered page; `targets` are the addresses its form may lead to."""
        return Response(status, page_headers(targets), self.pages.render(page, **context))

    def show_client(
        self, page: str, client: Client | None, status: int = 200, targets: tuple[str, ...] = (), **context: object
    ) -> Response:
        """The same, of a page on which a client shows itself."""
        links = client_links(client, self.issuer)
        headers = page_headers(targets, images=links.images)
        return Response(status, headers, self.pages.render(page, **links.context, **context))
