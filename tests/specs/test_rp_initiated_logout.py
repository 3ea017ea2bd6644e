"""OpenID Connect RP-Initiated Logout 1.0: section by section, what holds of the running server."""

from __future__ import annotations

from msgspec.structs import replace

from tests.server import GRANTS, REDIRECT, Browser, ServerCase, form_of, ok
from tests.wire import Answer

AFTER = "https://app.example/after"


class LogoutTests(ServerCase):
    """A client that asks to end the session."""

    async def prepare(self) -> None:
        """A signed-in browser and the id token that came of it."""
        self.app = await self.server.client(post_logout_redirect_uris=(AFTER, AFTER + "?x=1"))
        self.alice = await self.server.user()
        self.browser = self.server.browser()
        told = await self.server.authorize(self.app, self.alice, self.browser)
        self.tokens = ok(await self.server.redeem(self.app, told["code"]))
        self.hint: str = self.tokens["id_token"]

    async def ask(self, browser: Browser | None = None, **parameters: str) -> Answer:
        """A logout request and where it leads to."""
        return await (browser or self.browser).open("/oauth2/logout", parameters)

    async def signed_in(self, browser: Browser | None = None) -> bool:
        """Is the browser still signed in?"""
        answer = await (browser or self.browser).get("/oauth2/authorize", self.server.asking(self.app, prompt="none"))
        return "code" in answer.redirected

    def asks(self, answer: Answer) -> None:
        """The page asks whether to sign out."""
        self.assertEqual(answer.status, 200, answer.body)
        self.assertEqual(form_of(answer).decisions, ["yes", "no"])

    async def test_section_2_with_hint(self) -> None:
        """Section 2: with the id token of the person who is signed in the session ends at once."""
        answer = await self.ask(id_token_hint=self.hint, post_logout_redirect_uri=AFTER, state="a&b")
        self.assertEqual(answer.location, f"{AFTER}?state=a%26b")
        self.assertFalse(await self.signed_in())
        self.assertEqual([fact["user_id"] for fact in self.server.told("sign_out")], [self.alice.user_id])

    async def test_section_2_hint_by_a_secret(self) -> None:
        """Section 2: an id token that the client's secret signed is as good a hint as any, here and when it asks."""
        app = await self.server.client("hmac", id_token_algorithm="HS256", post_logout_redirect_uris=(AFTER,))
        hint: str = (await self.server.signed_in(app, self.alice, browser=self.browser))["id_token"]
        self.assertIn("code", await self.server.authorize(app, self.alice, id_token_hint=hint))
        answer = await self.ask(id_token_hint=hint, post_logout_redirect_uri=AFTER)
        self.assertEqual(answer.location, AFTER)
        self.assertFalse(await self.signed_in())

    async def test_section_2_without_hint(self) -> None:
        """Section 2: without a hint the person is asked, and says yes."""
        page = await self.ask(client_id="app", post_logout_redirect_uri=AFTER, state="s")
        self.asks(page)
        self.assertIn("App", page.text)
        self.assertTrue(await self.signed_in())
        self.assertEqual((await self.browser.submit(page, "yes")).location, f"{AFTER}?state=s")
        self.assertFalse(await self.signed_in())

    async def test_no(self) -> None:
        """Who says no stays signed in and is not sent on."""
        page = await self.ask(client_id="app", post_logout_redirect_uri=AFTER)
        answer = await self.browser.submit(page, "no")
        self.assertNotIn("app.example", answer.location)
        self.assertTrue(await self.signed_in())

    async def test_section_2_bare(self) -> None:
        """Section 2: a request without any parameter asks, and ends on our own page."""
        page = await self.ask()
        self.asks(page)
        answer = await self.browser.submit(page, "yes")
        self.assertEqual((answer.status, answer.location), (200, ""))
        self.assertFalse(await self.signed_in())

    async def test_section_2_post(self) -> None:
        """Section 2: a POST is answered like a GET, though it comes from another site without our cookies."""
        form = {"id_token_hint": self.hint, "post_logout_redirect_uri": AFTER, "state": "s"}
        answer = await self.server.post("/oauth2/logout", form)
        self.assertEqual((await self.browser.follow(answer)).location, f"{AFTER}?state=s")
        self.assertFalse(await self.signed_in())

    async def test_section_2_endless_post(self) -> None:
        """A POST that is too long to be asked again as a GET is refused: it must not look like a sign-out."""
        self.refused_page(await self.server.post("/oauth2/logout", {"state": "x" * 20000}))
        self.assertTrue(await self.signed_in())

    async def test_section_2_of_no_session(self) -> None:
        """Section 2: an id token of no browser's sign-in, but of a password, belongs to none: the person is asked."""
        script = await self.server.client("script", grant_types=(*GRANTS, "password"))
        said = {"username": self.alice.username, "password": self.alice.password, "scope": "openid"}
        hint = ok(await self.server.token(script, "password", **said))["id_token"]
        self.asks(await self.ask(id_token_hint=hint))
        self.assertTrue(await self.signed_in())

    async def test_section_2_another_person(self) -> None:
        """Section 2: with the hint of another person the one who is signed in is asked."""
        bob = await self.server.user("bob")
        browser = self.server.browser()
        await self.server.authorize(self.app, bob, browser)
        self.asks(await self.ask(browser, id_token_hint=self.hint))
        self.assertTrue(await self.signed_in(browser))

    async def test_expired_hint(self) -> None:
        """Section 2: a hint counts after its end."""
        self.server.clock.advance(2 * 3600)
        answer = await self.ask(id_token_hint=self.hint, post_logout_redirect_uri=AFTER)
        self.assertEqual(answer.location, AFTER)

    async def test_section_3_only_registered_addresses(self) -> None:
        """Section 3: the browser is sent to a registered address, to the letter, and nowhere else."""
        for uri in (AFTER + "/", AFTER + "?x=2", AFTER + "#f", "https://evil.example", "//evil.example", REDIRECT):
            self.refused_page(await self.ask(id_token_hint=self.hint, post_logout_redirect_uri=uri))
            self.refused_page(await self.ask(client_id="app", post_logout_redirect_uri=uri))
        self.assertTrue(await self.signed_in())
        answer = await self.ask(id_token_hint=self.hint, post_logout_redirect_uri=AFTER + "?x=1", state="s")
        self.assertEqual(answer.location, AFTER + "?x=1&state=s")

    async def test_section_3_whose_address(self) -> None:
        """Section 3: an address needs a client that it is registered for, by hint or by id."""
        await self.server.client("other")
        self.refused_page(await self.ask(post_logout_redirect_uri=AFTER))
        self.refused_page(await self.ask(client_id="other", post_logout_redirect_uri=AFTER))
        for asked in ({"post_logout_redirect_uri": AFTER}, {}):
            self.refused_page(await self.browser.open("/oauth2/logout", {"client_id": "unknown"} | asked))

    async def test_section_2_client_id_and_hint(self) -> None:
        """Section 2: client_id must be the audience of the hint."""
        await self.server.client("other", post_logout_redirect_uris=(AFTER,))
        for client_id in ("other", "app"):
            answer = await self.ask(id_token_hint=self.hint, post_logout_redirect_uri=AFTER, client_id=client_id)
            if client_id == "other":
                self.refused_page(answer)
        self.assertEqual(answer.location, AFTER)

    async def test_section_2_wrong_hints(self) -> None:
        """Section 4: rubbish, and tokens that are no id tokens of ours, are refused."""
        for hint in ("rubbish", self.hint[:-2], self.tokens["access_token"], self.tokens["refresh_token"]):
            self.refused_page(await self.ask(id_token_hint=hint))
        self.assertTrue(await self.signed_in())

    async def test_section_4_the_way_out(self) -> None:
        """Section 4: who wanted to leave and meets an error can still leave, and is sent nowhere then."""
        answer = await self.ask(id_token_hint="rubbish", post_logout_redirect_uri=AFTER)
        self.refused_page(answer)
        self.assertIn(b'href="/logout"', answer.body)
        left = await self.browser.submit(await self.browser.open("/logout"), "yes")
        self.assertEqual((left.status, left.location), (200, ""))
        self.assertFalse(await self.signed_in())

    async def test_repeated(self) -> None:
        """A repeated parameter is refused."""
        pairs = [("client_id", "app"), ("state", "a"), ("state", "b")]
        self.refused_page(await self.browser.get("/oauth2/logout", pairs))

    async def test_nobody_signed_in(self) -> None:
        """Who is not signed in is sent on at once, to a registered address or to our own page."""
        stranger = self.server.browser()
        self.assertEqual((await self.ask(stranger, client_id="app", post_logout_redirect_uri=AFTER)).location, AFTER)
        answer = await self.ask(stranger)
        self.assertEqual((answer.status, answer.location), (200, ""))

    async def test_section_3_nobody_signed_in_and_nothing_shown(self) -> None:
        """Section 3, RFC 9700 section 4.11.2: who is led on by such a client is shown where to, hint or not."""
        await self.server.client("itself", post_logout_redirect_uris=(AFTER,), registration=b"r" * 32)
        stranger = self.server.browser()
        answer = await self.ask(stranger, client_id="itself", post_logout_redirect_uri=AFTER)
        self.assertEqual((answer.status, answer.location), (200, ""))
        self.assertIn(f'href="{AFTER}"', answer.text)
        clients = self.server.application.clients
        await clients.update("app", lambda client: replace(client, registration=b"r" * 32))
        hinted = await self.ask(stranger, id_token_hint=self.hint, post_logout_redirect_uri=AFTER)
        self.assertEqual((hinted.status, hinted.location), (200, ""))
        self.assertIn("Continue to <bdi>app.example</bdi>", hinted.text)
        here = await self.ask(id_token_hint=self.hint, post_logout_redirect_uri=AFTER)
        self.assertEqual(here.location, AFTER)  # whoever is signed in by this client is meant

    async def test_section_6_csrf(self) -> None:
        """Section 6: no other site can answer the question: form token, browser and flow must fit."""
        page = await self.ask(client_id="app")
        fields = form_of(page, "yes").fields | {"decision": "yes"}
        for wrong in (fields | {"csrf": "x"}, {"decision": "yes"}, fields | {"interaction": "x"}):
            self.refused_page(await self.browser.post("/logout", wrong))
        self.refused_page(await self.server.browser().post("/logout", fields))
        self.assertTrue(await self.signed_in())

    async def test_tokens_go_on(self) -> None:
        """Ending the browser's session does not end what applications were given."""
        await self.ask(id_token_hint=self.hint)
        self.assertTrue(await self.server.active(self.tokens["access_token"]))
        ok(await self.server.refresh(self.app, self.tokens["refresh_token"]))

    async def test_the_old_cookie_is_dead(self) -> None:
        """A copy of the session cookie is worth nothing after the sign-out."""
        copy = self.server.browser()
        copy.cookies = dict(self.browser.cookies)
        await self.ask(id_token_hint=self.hint)
        self.assertFalse(await self.signed_in(copy))

    async def test_other_browsers_stay(self) -> None:
        """The person's other browsers stay signed in."""
        other = self.server.browser()
        await self.server.authorize(self.app, self.alice, other)
        await self.ask(id_token_hint=self.hint)
        self.assertTrue(await self.signed_in(other))
