"""What tests of logout start from: a person with tokens of several clients, and a world that hears of the end."""

from __future__ import annotations

from typing import Any

from tests.receivers import Receiver
from tests.server import App, Browser, ServerCase, ok
from tests.wire import Answer

AFTER = "https://app.example/after"
TOLD = "https://app.example/told"


class LogoutCase(ServerCase):
    """A server whose messages arrive at `self.receiver`."""

    async def prepare(self) -> None:
        """A client that is told by the back channel, and a signed-in browser."""
        self.receiver = Receiver()
        self.patch(self.server.application.posting, "agent", self.receiver)
        self.alice = await self.server.user()
        self.browser = self.server.browser()
        self.app = await self.client("app")

    async def client(self, name: str, **fields: Any) -> App:
        """A client that is told."""
        usual = {"backchannel_logout_uri": f"{TOLD}/{name}", "post_logout_redirect_uris": (AFTER,)}
        return await self.server.client(name, **(usual | fields))

    async def tokens(self, app: App, browser: Browser | None = None, **more: str) -> dict[str, Any]:
        """What a client gets in the browser's session."""
        told = await self.server.authorize(app, self.alice, browser or self.browser, **more)
        return ok(await self.server.redeem(app, told["code"]))

    async def leave(self, hint: str, browser: Browser | None = None, **more: str) -> Answer:
        """Sign out by a client."""
        asked = {"id_token_hint": hint, "post_logout_redirect_uri": AFTER} | more
        return await (browser or self.browser).get("/oauth2/logout", asked)

    async def sent(self) -> list[tuple[str, str]]:
        """Address and logout token of all that is sent now."""
        self.receiver.heard.clear()
        await self.server.application.deliveries.turn()
        return sorted((heard.url, heard.form["logout_token"]) for heard in self.receiver.heard)

    async def signed_in(self, browser: Browser | None = None) -> bool:
        """Is the browser still signed in?"""
        answer = await (browser or self.browser).get("/oauth2/authorize", self.server.asking(self.app, prompt="none"))
        return "code" in answer.redirected
