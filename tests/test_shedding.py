"""What is refused first: when the store is nearly full, and when the event loop is late."""

from __future__ import annotations

from oauthd.config import LimitSettings, RegistrationSettings
from oauthd.limits import Limits
from tests.server import GRANTS, ServerCase
from tests.wire import Answer

CIBA = "urn:openid:params:grant-type:ciba"
BEGUN = [303, 201, 200, 200]
AWAY = "203.0.113.7"


class ShedCase(ServerCase):
    """A server that may be registered at by everybody."""

    sections = {"registration": RegistrationSettings(allow="open")}

    async def prepare(self) -> None:
        """An application, and a person who has signed in."""
        self.app = await self.server.client("app", grant_types=(*GRANTS, CIBA), ciba_mode="poll")
        self.alice = await self.server.user()
        self.browser = self.server.browser()
        self.tokens = await self.server.signed_in(self.app, self.alice, browser=self.browser)
        self.addCleanup(self.limits.room.know, 0, 0)
        self.addCleanup(self.late, 0.0)

    @property
    def limits(self) -> Limits:
        """Those of the server."""
        return self.server.application.limits

    def late(self, seconds: float, looks: int = 4) -> None:
        """So late was the loop, so often."""
        for _ in range(looks):
            self.limits.overload.look(seconds)

    async def begun(self) -> list[int]:
        """Statuses of what can be left unfinished."""
        asked = self.server.asking(self.app)
        answers = [
            await self.server.browser().get("/oauth2/authorize", asked),
            await self.server.post("/oauth2/par", asked, basic=self.app.basic),
            await self.server.post("/oauth2/device_authorize", {"scope": "read"}, basic=self.app.basic),
            await self.server.post(
                "/oauth2/bc-authorize", {"scope": "openid", "login_hint": "alice"}, basic=self.app.basic
            ),
        ]
        return [self.status(one) for one in answers]

    def status(self, answer: Answer) -> int:
        """Of an answer; one that sends away says when to come back, and a client is told by its redirect."""
        if answer.location.startswith(self.app.redirect_uri):
            self.assertEqual(answer.redirected["error"], "temporarily_unavailable")
            return 503
        if answer.status == 503:
            self.assertGreaterEqual(int(answer.header("retry-after")), 5)
        return answer.status

    async def registered(self) -> int:
        """Status of a registration."""
        body = {"redirect_uris": ["https://new.example/cb"]}
        return self.status(await self.server.http.request("POST", "/oauth2/register", json_body=body))

    async def goes_on(self) -> None:
        """Tokens are issued, told of and revoked, and who has signed in is signed in."""
        self.assertEqual((await self.server.token(self.app, "client_credentials")).status, 200)
        self.assertTrue(await self.server.active(self.tokens["access_token"]))
        revoked = await self.server.post("/oauth2/revoke", {"token": self.tokens["access_token"]}, basic=self.app.basic)
        self.assertEqual(revoked.status, 200)


class StoreTests(ShedCase):
    """A store that fills up."""

    async def test_marks(self) -> None:
        """From the first mark on nothing is begun, from the second nobody registers; tokens go on to the end."""
        for percent, begun, registered in ((79, BEGUN, 201), (80, [503] * 4, 201), (90, [503] * 4, 503)):
            self.limits.room.know(percent, 100)
            self.assertEqual(await self.begun(), begun, percent)
            self.assertEqual(await self.registered(), registered, percent)
        await self.goes_on()

    async def test_who_has_signed_in(self) -> None:
        """Whom nobody need ask gets the code at once: that leaves nothing unfinished."""
        self.limits.room.know(95, 100)
        answer = await self.browser.get("/oauth2/authorize", self.server.asking(self.app))
        self.assertIn("code", answer.redirected)

    async def test_under_way(self) -> None:
        """Who has begun before may finish."""
        browser = self.server.browser()
        page = await browser.open("/oauth2/authorize", self.server.asking(self.app))
        self.limits.room.know(95, 100)
        answer = await browser.finish(await browser.sign_in(page, self.alice), self.alice)
        self.assertIn("code", answer.redirected)

    async def test_told(self) -> None:
        """That it began and that it ended is told once, and each that was refused is counted."""
        before = self.limits.counts.shed["store"]
        for used in (10, 85, 95, 85, 10, 10):
            self.limits.room.know(used, 100)
        self.assertEqual(self.server.told("shedding.began"), [{"reason": "store"}])
        self.assertEqual(self.server.told("shedding.ended"), [{"reason": "store"}])
        self.limits.room.know(85, 100)
        await self.begun()
        self.assertEqual(self.limits.counts.shed["store"] - before, 4)
        self.assertEqual((self.limits.counts.used, self.limits.counts.most), (85, 100))

    async def test_bound_of_ours(self) -> None:
        """Where the server has no bound the setting is one; without either nothing is refused."""
        self.limits.room.know(10**15, 0)
        self.assertEqual(await self.begun(), BEGUN)
        self.limits.room.settings = LimitSettings(store_bytes=1000)
        self.addCleanup(setattr, self.limits.room, "settings", self.limits.room.settings)
        self.limits.room.know(900, 0)
        self.assertEqual(await self.begun(), [503] * 4)
        self.limits.room.know(900, 2000)
        self.assertEqual(await self.begun(), BEGUN)

    async def test_full(self) -> None:
        """A server that is full says so itself, to whoever writes."""
        self.limits.room.know(100, 100)
        self.assertEqual(await self.begun(), BEGUN)

    async def test_off(self) -> None:
        """With a mark of 0 nothing is refused."""
        self.limits.room.settings = LimitSettings(shed_unfinished_at=0, shed_registration_at=0)
        self.addCleanup(setattr, self.limits.room, "settings", LimitSettings())
        self.limits.room.know(99, 100)
        self.assertEqual(await self.begun(), BEGUN)

    async def test_pages(self) -> None:
        """A person is told by a page."""
        self.limits.room.know(95, 100)
        answer = await self.server.browser().get("/device")
        self.assertEqual(answer.status, 503)
        self.assertIn("text/html", answer.header("content-type"))


class LoopTests(ShedCase):
    """An event loop that is late."""

    async def test_dear_ones_first(self) -> None:
        """After a whole second of it what is dear is refused; introspection, tokens and revocation are not."""
        self.late(1.5, 3)
        self.assertEqual(await self.begun(), BEGUN)
        self.late(1.5, 1)
        self.assertEqual(await self.begun(), [503] * 4)
        self.assertEqual(await self.registered(), 503)
        await self.goes_on()
        self.late(0.2, 1)
        self.assertEqual(await self.begun(), BEGUN)
        self.assertEqual(self.server.told("shedding.began"), [{"reason": "loop"}])
        self.assertEqual(self.server.told("shedding.ended"), [{"reason": "loop"}])

    async def test_passwords_wait(self) -> None:
        """A password is not looked at then; the page is shown, and so is what a flow under way comes back to."""
        browser = self.server.browser()
        page = await browser.open("/oauth2/authorize", self.server.asking(self.app))
        self.late(1.5)
        refused = await browser.sign_in(page, self.alice)
        self.assertEqual(refused.status, 503)
        self.late(0.0)
        answer = await browser.finish(await browser.sign_in(page, self.alice), self.alice)
        self.assertIn("code", answer.redirected)

    async def test_never(self) -> None:
        """With a mark of 0 it is never late."""
        self.limits.overload.mark, before = 0.0, self.limits.overload.mark
        self.addCleanup(setattr, self.limits.overload, "mark", before)
        self.late(50.0)
        self.assertFalse(self.limits.overload.late)
