"""The sign-in page: proves who sits at the browser, writes it down and goes back to where the flow came from."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from attrs import frozen
from msgspec.structs import replace

from oauthd.pages.browser import Browser, Flow
from oauthd.protocol.client_documents import site_of
from oauthd.protocol.cookies import Cookie
from oauthd.protocol.errors import TOO_MANY_REQUESTS, OAuthError
from oauthd.protocol.messages import Connection, Request, Response, see_other
from oauthd.protocol.records import Client
from oauthd.sign_in import Person, SignIn
from oauthd.stores.sessions import ANSWERED, UNDER_WAY

KNOWN_FOR = 180 * 86400  # seconds a browser stays known to an account
LONGEST = 4096  # characters of a name or a password: no setting allows a longer password


@frozen
class Login:
    """GET shows the form, POST answers it.

    :ivar client: the client of an id, for whoever comes from that connection.
    """

    browser: Browser
    client: Callable[[str, Connection], Awaitable[Client | None]]
    sign_in: SignIn
    authorize: str
    known_cookie: Cookie
    clock: Callable[[], float]

    async def __call__(self, request: Request) -> Response:
        """Show or answer the sign-in form."""
        if request.method == "POST":
            return await self._answer(request)
        if request.query.one("interaction") is None:
            return await self.browser.interactions.begin(request, "home", {}, "/login")
        flow = await self.browser.flow(request)
        return await self._form(request, flow, flow.state.parameters.get("login_hint", ""))

    async def _answer(self, request: Request) -> Response:
        flow = await self.browser.posted(request, *UNDER_WAY, ANSWERED)
        if flow.over:
            return await self.browser.again(request, flow, self.authorize)
        if request.form.one("decision") == "deny":
            await self.browser.learn(flow, request, lambda now: replace(now, denied=True))
            return see_other(flow.back(self.authorize))
        name, password = request.form.one("login") or "", request.form.one("password") or ""
        if not name or not password or max(len(name), len(password)) > LONGEST:
            return await self._form(request, flow, name[:LONGEST], "Enter your username and your password.", 400)
        try:
            person = await self.sign_in.by_password(
                name, password, request.connection.source, self.known_cookie.read(request)
            )
        except OAuthError as error:
            if error.kind is not TOO_MANY_REQUESTS:
                raise
            wait = error.headers.get("Retry-After", "60")
            sentence = f"There were too many failed attempts. Wait {_spoken(int(wait))} and try again."
            return (await self._form(request, flow, name, sentence, 429)).adding(("Retry-After", wait))
        if person is None:
            return await self._form(request, flow, name, "The username or the password is wrong.", 400)
        return await self._signed_in(request, flow, person)

    async def _signed_in(self, request: Request, flow: Flow, person: Person) -> Response:
        user, now = person.user, int(self.clock())
        await self.browser.learn(
            flow, request, lambda known: replace(known, signed_in_at=now, user_id=user.user_id, consented=None)
        )
        former = self.browser.session_cookie.read(request)
        before = await self.browser.sessions.find(former)
        if before is not None and before.user_id != user.user_id:
            await self.browser.sign_out.end(former)  # somebody else sits here now
        value, _ = await self.browser.sessions.start(user.user_id, former, person.generation)
        return see_other(flow.back(self.authorize)).adding(
            self.browser.session_cookie.set(value),
            self.known_cookie.set(self.sign_in.known_cookie(user.username), KNOWN_FOR),
        )

    async def _form(
        self, request: Request, flow: Flow, name: str, error: str | None = None, status: int = 200
    ) -> Response:
        client = await self._client(request, flow)
        target = flow.state.parameters.get("redirect_uri", "")
        targets = client.redirect_uris if client and not target else (target,)
        return self.browser.show_client(
            "login",
            client,
            status,
            tuple(targets),
            action="/login",
            hidden=self.browser.hidden(flow),
            client_name=client.name if client else None,
            client_address=site_of(client.client_id) if client and client.described else None,
            login=name,
            error=error,
        )

    async def _client(self, request: Request, flow: Flow) -> Client | None:
        client_id = flow.state.parameters.get("client_id", "")
        return await self.client(client_id, request.connection) if client_id else None


def _spoken(seconds: int) -> str:
    if seconds < 90:
        return f"{seconds} second{'' if seconds == 1 else 's'}"
    return f"{-(-seconds // 60)} minutes"
