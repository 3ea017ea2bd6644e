"""The device grant: what happens between a poll's look and its step."""

from __future__ import annotations

from typing import Any

from tests.server import DEVICE_GRANT, Browser, ServerCase, ok
from tests.wire import Answer


class BetweenTests(ServerCase):
    """A person decides, or everything ends, in the middle of a poll."""

    async def prepare(self) -> None:
        """A device whose code a signed-in person has typed."""
        self.tv = await self.server.client("tv", public=True)
        self.alice = await self.server.user()
        self.begun: dict[str, Any] = ok(await self.server.post("/oauth2/device_authorize", {"client_id": "tv"}))
        self.browser: Browser = self.server.browser()
        page = await self.browser.sign_in(await self.browser.open("/device"), self.alice)
        self.page = await self.browser.submit(page, "", user_code=self.begun["user_code"])

    async def poll(self) -> Answer:
        """One poll."""
        return await self.server.token(self.tv, DEVICE_GRANT, device_code=self.begun["device_code"])

    async def test_approved_in_between(self) -> None:
        """A poll that is overtaken by the approval gets the tokens, and is not told to slow down."""
        self.overtaken_by(lambda: self.browser.submit(self.page, "allow"))
        ok(await self.poll())

    async def test_denied_in_between(self) -> None:
        """A poll that is overtaken by the denial is told of it."""
        self.overtaken_by(lambda: self.browser.submit(self.page, "deny"))
        self.refused(await self.poll(), "access_denied")

    async def test_polled_while_deciding(self) -> None:
        """A decision that is overtaken by a poll is not lost, and the poll's time is kept."""
        self.overtaken_by(self.poll)
        await self.browser.submit(self.page, "allow")
        ok(await self.poll())

    async def test_revoked_in_between(self) -> None:
        """When all tokens of the person end between look and step, what the device gets is dead."""
        await self.browser.submit(self.page, "allow")
        self.overtaken_by(lambda: self.server.application.tokens.end_all_of_user(self.alice.user_id))
        answer = await self.poll()
        token = answer.json().get("access_token", "none")
        self.assertEqual(await self.server.introspect(token), {"active": False})
