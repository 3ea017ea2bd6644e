"""People press buttons twice, and a browser shows what the last press led to: a form that comes again does no harm.

The browser breaks the first navigation off, whose work goes on here, so the last press must lead where the first one
would have: `together` for presses in quick succession, one after the other for those that come late.
"""

from __future__ import annotations

from tests.server import PASSWORD, ServerCase, form_of, ok, together
from tests.wire import Answer

SESSION = "__Host-oauthd_session"


class TwiceCase(ServerCase):
    """A user, a browser and a confidential client."""

    async def prepare(self) -> None:
        """Make them."""
        self.app = await self.server.client()
        self.alice = await self.server.user()
        self.browser = self.server.browser()

    async def begin(self, **more: str | None) -> Answer:
        """The first page of a flow."""
        return await self.browser.open("/oauth2/authorize", self.server.asking(self.app, **more))

    async def assert_signed_in_at_app(self, answer: Answer) -> None:
        """The application gets tokens for the code of this redirect."""
        ok(await self.server.redeem(self.app, answer.redirected["code"]))


class SignInTests(TwiceCase):
    """On the sign-in page."""

    async def test_at_once(self) -> None:
        """Every press signs in, whichever of the answers the browser reads."""
        page = await self.begin()
        browsers = [self.server.browser() for _ in range(3)]
        for browser in browsers:  # each stands for this browser, having read one of the answers
            browser.cookies = dict(self.browser.cookies)
        typed = {"login": "alice", "password": PASSWORD}
        answers = await together(browser.press(page, "login", **typed) for browser in browsers)
        for browser, answer in zip(browsers, answers, strict=True):
            self.assertIn(SESSION, answer.cookies)
            self.assertEqual(form_of(await browser.follow(answer), "allow").action, "/consent")

    async def test_late(self) -> None:
        """When the application has been answered meanwhile, it gets another code."""
        app = await self.server.client("house", first_party=True)
        page = await self.browser.open("/oauth2/authorize", self.server.asking(app))
        first = await self.browser.sign_in(page, self.alice)
        second = await self.browser.sign_in(page, self.alice)
        self.assertNotEqual(first.redirected["code"], second.redirected["code"])
        ok(await self.server.redeem(app, second.redirected["code"]))

    async def test_refusing(self) -> None:
        """Who cancels twice has refused twice."""
        page = await self.begin(state="s")
        for _ in range(2):
            told = (await self.browser.submit(page, "deny")).redirected
            self.assertEqual((told["error"], told["state"]), ("access_denied", "s"))


class ConsentTests(TwiceCase):
    """On the consent page."""

    async def consent_page(self, **more: str | None) -> Answer:
        """A new flow, up to there."""
        return await self.browser.sign_in(await self.begin(**more), self.alice)

    async def test_at_once(self) -> None:
        """Each press leads back to the authorization endpoint, which gives one code."""
        page = await self.consent_page()
        answers = await together(self.browser.press(page, "allow") for _ in range(3))
        self.assertEqual({answer.location for answer in answers}, {answers[0].location})
        await self.assert_signed_in_at_app(await self.browser.follow(answers[0]))

    async def test_the_next_step_at_once(self) -> None:
        """Of several who ask for the next step at once one gets the code, and the others a page: no error is told."""
        page = await self.consent_page()
        answer = await self.browser.press(page, "allow")
        answers = await together(self.browser.follow(answer) for _ in range(5))
        (good,) = (one for one in answers if one.location)
        await self.assert_signed_in_at_app(good)
        for one in answers:
            if one is not good:
                self.refused_page(one)

    async def test_late(self) -> None:
        """When the application has been answered meanwhile, it gets another code: the first may be spent."""
        page = await self.consent_page()
        first, second = [await self.browser.submit(page, "allow") for _ in range(2)]
        self.assertNotEqual(first.redirected["code"], second.redirected["code"])
        for answer in (first, second):
            await self.assert_signed_in_at_app(answer)

    async def test_late_where_consent_is_not_remembered(self) -> None:
        """One agreement is good for one code: the person is asked anew."""
        page = await self.consent_page(prompt="consent")
        self.assertIn("code", (await self.browser.submit(page, "allow")).redirected)
        again = await self.browser.submit(page, "allow")
        self.assertEqual(form_of(again, "allow").action, "/consent")
        await self.assert_signed_in_at_app(await self.browser.submit(again, "allow"))

    async def test_late_where_the_password_was_asked_for(self) -> None:
        """One sign-in is good for one request that wants one."""
        page = await self.consent_page(prompt="login")
        self.assertIn("code", (await self.browser.submit(page, "allow")).redirected)
        self.assertIn("password", form_of(await self.browser.submit(page, "allow")).fields)

    async def test_refusing(self) -> None:
        """Who denies twice has refused twice."""
        page = await self.consent_page()
        for _ in range(2):
            self.assertEqual((await self.browser.submit(page, "deny")).redirected["error"], "access_denied")

    async def test_refusing_what_is_given(self) -> None:
        """Deny never gives anything: after Allow, a page says that it comes too late."""
        page = await self.consent_page()
        await self.browser.submit(page, "allow")
        self.refused_page(await self.browser.submit(page, "deny"))

    async def test_allowing_what_is_refused(self) -> None:
        """Allow after Deny gives nothing either: the person is asked anew."""
        page = await self.consent_page()
        await self.browser.submit(page, "deny")
        again = await self.browser.submit(page, "allow")
        self.assertEqual(form_of(again, "allow").action, "/consent")

    async def test_a_minute_later(self) -> None:
        """Later the flow is forgotten, and a page says that it has expired."""
        page = await self.consent_page()
        await self.browser.submit(page, "allow")
        self.server.clock.advance(61)
        self.refused_page(await self.browser.submit(page, "allow"))

    async def test_in_another_browser(self) -> None:
        """A form of this browser does nothing in another one, before and after the answer."""
        page, stranger = await self.consent_page(), self.server.browser()
        for _ in range(2):
            self.refused_page(await stranger.submit(page, "allow"))
            await self.browser.submit(page, "allow")


class DeviceTests(TwiceCase):
    """On the page for devices."""

    async def prepare(self) -> None:
        """And a device that waits."""
        await super().prepare()
        self.tv = await self.server.client("tv", public=True)
        self.begun = ok(await self.server.post("/oauth2/device_authorize", {"client_id": "tv"}))
        self.page = await self.browser.sign_in(await self.browser.open("/device"), self.alice)

    async def test_the_code(self) -> None:
        """Sending the code twice, at once or late, leads to the question."""
        typed = {"user_code": self.begun["user_code"]}
        answers = await together(self.browser.press(self.page, "", **typed) for _ in range(3))
        answers.append(await self.browser.press(self.page, "", **typed))
        for answer in answers:
            page = await self.browser.follow(answer)
            self.assertIn(self.begun["user_code"], page.text)
            form_of(page, "allow")

    async def test_the_decision(self) -> None:
        """Allowing twice ends on the page that says so."""
        page = await self.browser.submit(self.page, "", user_code=self.begun["user_code"])
        for _ in range(2):
            self.assertIn("Device connected", (await self.browser.submit(page, "allow")).text)

    async def test_the_decision_at_once(self) -> None:
        """Each of several presses at the same moment leads to the page that says what was decided."""
        for decision, words in (("allow", "Device connected"), ("deny", "Device refused")):
            begun = ok(await self.server.post("/oauth2/device_authorize", {"client_id": "tv"}))
            entry = await self.browser.open("/device")
            page = await self.browser.submit(entry, "", user_code=begun["user_code"])
            for answer in await together(self.browser.press(page, decision) for _ in range(3)):
                self.assertIn(words, (await self.browser.follow(answer)).text)
