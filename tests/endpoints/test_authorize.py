"""The authorization endpoint and its pages: one flow belongs to one browser and is answered once."""

from __future__ import annotations

from functools import partial
from typing import Any

from msgspec.structs import replace

from oauthd.endpoints.authorization_request import keep, kept
from oauthd.protocol.messages import Parameters
from oauthd.protocol.records import Client
from tests.server import PASSWORD, REDIRECT, App, Browser, ServerCase, form_of, ok, together
from tests.wire import Answer

SESSION, BROWSER = "__Host-oauthd_session", "__Host-oauthd_browser"
DAY = 86400


def _changed(change: dict[str, Any], client: Client) -> Client:
    return replace(client, **change)


class FlowCase(ServerCase):
    """A client, a user and a browser."""

    async def prepare(self) -> None:
        """Make them."""
        self.app = await self.server.client()
        self.alice = await self.server.user()
        self.browser = self.server.browser()

    async def begin(self, browser: Browser | None = None, app: App | None = None, **more: str | None) -> Answer:
        """Begin a flow; the sign-in page, or whatever else it leads to."""
        return await (browser or self.browser).open("/oauth2/authorize", self.server.asking(app or self.app, **more))

    async def is_signed_in(self, browser: Browser) -> bool:
        """Does a silent request of a client that asks nothing get a code?"""
        clients = self.server.application.clients
        record = await clients.find("silent")
        app = App(record, "x") if record else await self.server.client("silent", first_party=True)
        answer = await browser.get("/oauth2/authorize", self.server.asking(app, prompt="none"))
        return "code" in answer.redirected


class InteractionTests(FlowCase):
    """The flow between its pages."""

    async def test_another_browser(self) -> None:
        """A flow cannot be gone on with in another browser, signed in or not: not shown, not answered."""
        page = await self.begin()
        interaction = form_of(page).fields["interaction"]
        other, stranger = self.server.browser(), self.server.browser()
        await self.server.authorize(self.app, self.alice, other)
        for browser in (other, stranger):
            for path in ("/oauth2/authorize", "/login", "/consent"):
                self.refused_page(await browser.get(path, {"interaction": interaction}))
            fields = form_of(page).fields | {"login": "alice", "password": PASSWORD}
            self.refused_page(await browser.post("/login", fields))

    async def test_unknown(self) -> None:
        """A made-up interaction is refused on a page, whatever it looks like."""
        await self.begin()
        for identifier in ("x", "x" * 43, "x" * 5000, "\u00e4", "../login"):
            for path in ("/oauth2/authorize", "/login", "/consent", "/device", "/logout"):
                self.refused_page(await self.browser.get(path, {"interaction": identifier}))

    async def test_of_another_purpose(self) -> None:
        """The interaction of a device or of a sign-out is none of the authorization endpoint, and the reverse."""
        device = form_of(await self.browser.open("/device")).fields["interaction"]
        self.refused_page(await self.browser.get("/oauth2/authorize", {"interaction": device}))
        self.refused_page(await self.browser.get("/consent", {"interaction": device}))
        authorize = form_of(await self.begin()).fields["interaction"]
        for path in ("/device", "/logout"):
            self.refused_page(await self.browser.get(path, {"interaction": authorize}))

    async def test_it_ends(self) -> None:
        """Half an hour after its beginning a flow is over."""
        page = await self.begin()
        self.server.clock.advance(1800)
        self.refused_page(await self.browser.sign_in(page, self.alice))

    async def test_the_request_cannot_be_changed_on_the_way(self) -> None:
        """Parameters beside the interaction are not read: what counts is the request as it began."""
        page = await self.browser.sign_in(await self.begin(scope="openid"), self.alice)
        interaction = form_of(page, "allow").fields["interaction"]
        answer = await self.browser.press(page, "allow")
        target = f"{answer.location}&scope=openid+write&redirect_uri=https://evil.example&client_id=other"
        told = (await self.browser.open(target)).redirected
        self.assertEqual(ok(await self.server.redeem(self.app, told["code"]))["scope"], "openid")
        self.refused_page(await self.browser.get("/oauth2/authorize", {"interaction": interaction}))

    async def test_answered_once(self) -> None:
        """Twenty requests for the answer at once bring one code."""
        page = await self.browser.sign_in(await self.begin(), self.alice)
        answer = await self.browser.press(page, "allow")
        answers = await together(self.browser.get(answer.location) for _ in range(20))
        told = [answer.redirected for answer in answers if answer.location]
        codes = [one["code"] for one in told if "code" in one]
        self.assertEqual(len(codes), 1)
        ok(await self.server.redeem(self.app, codes[0]))

    async def test_two_tabs(self) -> None:
        """Two flows in one browser do not disturb each other."""
        pages = [await self.begin(state=state) for state in ("one", "two")]
        for page, state in ((pages[1], "two"), (pages[0], "one")):
            answer = await self.browser.press(page, "login", login="alice", password=PASSWORD)
            told = (await self.browser.finish(answer, self.alice)).redirected
            self.assertEqual(told["state"], state)
            ok(await self.server.redeem(self.app, told["code"]))

    async def test_the_page_answered_twice(self) -> None:
        """Who presses Allow twice at once gets one code, and no bug is met."""
        page = await self.browser.sign_in(await self.begin(), self.alice)
        answers = await together(self.browser.press(page, "allow") for _ in range(5))
        self.assertIn(303, [answer.status for answer in answers])
        self.assertTrue({answer.status for answer in answers} <= {303, 400})
        going = next(answer for answer in answers if answer.status == 303)
        self.assertIn("code", (await self.browser.follow(going)).redirected)

    async def test_a_changed_client(self) -> None:
        """A redirect URI that was taken away meanwhile is not redirected to; neither is that of an inactive client."""
        clients = self.server.application.clients
        page = await self.browser.sign_in(await self.begin(), self.alice)
        await clients.update("app", lambda client: replace(client, redirect_uris=("https://new.example/cb",)))
        self.refused_page(await self.browser.submit(page, "allow"))
        other = await self.server.client("other")
        page = await self.begin(app=other)
        await clients.update("other", lambda client: replace(client, is_active=False))
        self.refused_page(await self.browser.submit(page, "allow"))

    async def test_a_client_that_is_another_since(self) -> None:
        """Nobody agrees to a client that was shown by another name, or was made anew: it is shown again first."""
        page = await self.browser.sign_in(await self.begin(), self.alice)
        for change in ({"name": "Your bank"}, {"client_uri": "https://bank.example/"}, {"number": 77}):
            await self.server.application.clients.update("app", partial(_changed, change))
            again = await self.browser.submit(page, "allow")
            self.assertTrue(form_of(again, "allow").fields, change)
            page = again
        self.assertIn("code", (await self.browser.submit(page, "allow")).redirected)

    async def test_consent_of_another_person(self) -> None:
        """What one person was shown, another who has signed in meanwhile cannot agree to."""
        bob = await self.server.user("bob", claims={"name": "Bob"})
        page = await self.browser.sign_in(await self.begin(), self.alice)
        await self.browser.sign_in(await self.browser.open("/login"), bob)
        again = await self.browser.submit(page, "allow")
        self.assertIn("Bob", again.text)
        told = (await self.browser.submit(again, "allow")).redirected
        token = ok(await self.server.redeem(self.app, told["code"]))["access_token"]
        self.assertEqual((await self.server.introspect(token))["sub"], bob.user_id)

    async def test_events(self) -> None:
        """A code and a refusal are told of, with identifiers and no secret."""
        told = (await self.browser.finish(await self.begin(nonce="secret-nonce"), self.alice)).redirected
        await self.begin(scope="unknown")
        user = {"client_id": "app", "user_id": self.alice.user_id}
        self.assertEqual(self.server.told("code.issued"), [user])
        self.assertEqual(self.server.told("consent.given"), [user | {"scope": "openid"}])
        refused = {"client_id": "app", "error": "invalid_scope"}
        self.assertEqual(self.server.told("authorization.refused"), [refused])
        for secret in (told["code"], told["state"], "secret-nonce", *self.browser.cookies.values()):
            self.assertNotIn(secret, repr(self.server.events))

    async def test_a_refusal_stays(self) -> None:
        """A flow that the person has refused cannot be agreed to afterwards."""
        page = await self.browser.sign_in(await self.begin(), self.alice)
        interaction = form_of(page, "deny").fields["interaction"]
        await self.browser.press(page, "deny")
        await self.browser.press(page, "allow")
        answer = await self.browser.get("/oauth2/authorize", {"interaction": interaction})
        self.refused_by_redirect(answer.redirected, "access_denied")

    async def test_switch(self) -> None:
        """Switching accounts on the consent page signs out, and leads back with another person."""
        bob = await self.server.user("bob")
        page = await self.browser.sign_in(await self.begin(), self.alice)
        page = await self.browser.submit(page, "switch")
        told = (await self.browser.finish(page, bob)).redirected
        token = ok(await self.server.redeem(self.app, told["code"]))["access_token"]
        self.assertEqual((await self.server.introspect(token))["sub"], bob.user_id)

    async def test_forms_need_their_token(self) -> None:
        """A form without its token, with a wrong one, or with a repeated field changes nothing."""
        page = await self.begin()
        fields = form_of(page).fields | {"login": "alice", "password": PASSWORD, "decision": "login"}
        for wrong in (
            {name: value for name, value in fields.items() if name != "csrf"},
            fields | {"csrf": ""},
            fields | {"csrf": "x" * 43},
            [*fields.items(), ("csrf", fields["csrf"])],
        ):
            self.refused_page(await self.browser.post("/login", wrong))
        self.assertNotIn(SESSION, self.browser.cookies)

    async def test_a_cookie_that_is_too_long(self) -> None:
        """A browser's cookie that cannot be ours is replaced, and the flow goes on."""
        self.browser.cookies[BROWSER] = "x" * 200
        told = (await self.browser.finish(await self.begin(), self.alice)).redirected
        self.assertIn("code", told)
        self.assertNotEqual(self.browser.cookies[BROWSER], "x" * 200)

    async def test_the_store_away(self) -> None:
        """When the store is lost at the answer, the page says so, with the time to come back; nobody is redirected."""
        page = await self.browser.sign_in(await self.begin(), self.alice)
        answer = await self.browser.press(page, "allow")
        self.server.store.crash_before = 1
        lost = await self.browser.get(answer.location)
        self.refused_page(lost, 503)
        self.assertNotEqual(lost.header("retry-after"), "")
        self.assertIn("code", (await self.browser.open(answer.location)).redirected)


class PageTests(FlowCase):
    """What the pages do with answers that no button of theirs gives."""

    async def test_sign_in_without_words(self) -> None:
        """An empty or endless name or password is asked for again, and not counted as a failed sign-in."""
        for _ in range(3):
            page = await self.begin()
            for name, password in (("", ""), ("alice", ""), ("", PASSWORD), ("x" * 5000, "x"), ("alice", "x" * 5000)):
                answer = await self.browser.press(page, "login", login=name, password=password)
                self.assertEqual(answer.status, 400)
                self.assertIn("password", form_of(answer).fields)
        self.assertEqual((await self.browser.sign_in(page, self.alice)).status, 200)

    async def test_wrong_password(self) -> None:
        """A wrong password and an unknown name get the same page, with the name that was typed."""
        page = await self.begin()
        answers = [await self.browser.press(page, "login", login=name, password="no") for name in ("alice", "nobody")]
        self.assertEqual([answer.status for answer in answers], [400, 400])
        self.assertEqual(answers[0].text.replace("alice", "nobody"), answers[1].text)

    async def test_consent_without_a_decision(self) -> None:
        """A consent form that says nothing, or something else, is refused, and the flow goes on."""
        page = await self.browser.sign_in(await self.begin(), self.alice)
        fields = form_of(page, "allow").fields
        for decision in ({}, {"decision": ""}, {"decision": "perhaps"}):
            self.refused_page(await self.browser.post("/consent", fields | decision))
        self.assertIn("code", (await self.browser.submit(page, "allow")).redirected)

    async def test_signed_out_before_consent(self) -> None:
        """Who has signed out meanwhile agrees to nothing: the sign-in page comes first."""
        page = await self.browser.sign_in(await self.begin(), self.alice)
        del self.browser.cookies[SESSION]
        self.assertIn("password", form_of(await self.browser.submit(page, "allow")).fields)
        interaction = form_of(page, "allow").fields["interaction"]
        answer = await self.browser.open("/consent", {"interaction": interaction})
        self.assertIn("password", form_of(answer).fields)

    async def test_deleted_before_consent(self) -> None:
        """The consent page of a client that was deleted meanwhile is an error page."""
        page = await self.browser.sign_in(await self.begin(), self.alice)
        await self.server.application.clients.delete("app")
        self.refused_page(await self.browser.press(page, "allow"))

    async def test_home(self) -> None:
        """Who signs in without an application sees who is signed in."""
        page = await self.browser.sign_in(await self.browser.open("/login"), self.alice)
        self.assertIn("Alice Example", page.text)
        self.assertNotIn("Alice", (await self.server.browser().open("/")).text)


class SessionTests(FlowCase):
    """Who is signed in, and for how long."""

    async def test_a_new_session_at_each_sign_in(self) -> None:
        """The session's cookie changes at each sign-in, and a copy of the former one is worth nothing."""
        await self.browser.sign_in(await self.begin(), self.alice)
        former = self.server.browser()
        former.cookies = dict(self.browser.cookies)
        self.assertTrue(await self.is_signed_in(former))
        await self.browser.sign_in(await self.begin(prompt="login"), self.alice)
        self.assertNotEqual(former.cookies[SESSION], self.browser.cookies[SESSION])
        self.assertFalse(await self.is_signed_in(former))
        self.assertTrue(await self.is_signed_in(self.browser))

    async def test_a_planted_cookie(self) -> None:
        """A session cookie that somebody planted is not taken over by a sign-in."""
        self.browser.cookies[SESSION] = "planted"
        await self.browser.sign_in(await self.begin(), self.alice)
        thief = self.server.browser()
        thief.cookies[SESSION] = "planted"
        self.assertFalse(await self.is_signed_in(thief))

    async def test_idle_end(self) -> None:
        """A session ends after eight hours without use, and each use gives eight more."""
        await self.browser.sign_in(await self.begin(), self.alice)
        for _ in range(5):
            self.server.clock.advance(8 * 3600 - 61)
            self.assertTrue(await self.is_signed_in(self.browser))
        self.server.clock.advance(8 * 3600)
        self.assertFalse(await self.is_signed_in(self.browser))

    async def test_absolute_end(self) -> None:
        """Thirty days after the sign-in a session ends, however much it is used."""
        await self.browser.sign_in(await self.begin(), self.alice)
        for _ in range(30 * 4 - 1):
            self.server.clock.advance(DAY / 4)
            self.assertTrue(await self.is_signed_in(self.browser))
        self.server.clock.advance(DAY / 4)
        self.assertFalse(await self.is_signed_in(self.browser))

    async def test_it_ends_with_the_user(self) -> None:
        """A deactivated user is signed out everywhere, and so is one whose tokens and sessions were ended."""
        browsers = [self.server.browser() for _ in range(2)]
        for browser in browsers:
            await browser.sign_in(await self.begin(browser), self.alice)
        await self.server.application.tokens.end_all_of_user(self.alice.user_id)
        for browser in browsers:
            self.assertFalse(await self.is_signed_in(browser))
        await browsers[0].sign_in(await self.begin(browsers[0]), self.alice)
        await self.server.application.users.deactivate(self.alice.user_id)
        self.assertFalse(await self.is_signed_in(browsers[0]))

    async def test_an_inactive_user_is_nobody(self) -> None:
        """A user whose record says inactive is not signed in, whatever became of the session."""
        await self.browser.sign_in(await self.begin(), self.alice)
        users = self.server.application.users
        await users.update(self.alice.user_id, lambda user: replace(user, is_active=False))
        self.assertFalse(await self.is_signed_in(self.browser))

    async def test_the_cookie_is_not_stored(self) -> None:
        """Neither the session's nor the browser's cookie, nor an interaction, can be read from the database."""
        page = await self.browser.sign_in(await self.begin(), self.alice)
        held = b"\n".join(key + value for key, value in (await self.server.dump()).items())
        interaction = form_of(page, "allow").fields["interaction"]
        for secret in (self.browser.cookies[SESSION], self.browser.cookies[BROWSER], interaction):
            self.assertNotIn(secret.encode(), held)


class HeaderTests(FlowCase):
    """What goes with each page."""

    async def test_cookies(self) -> None:
        """Every cookie is HttpOnly, SameSite=Lax, Secure, for this host alone and the whole of it."""
        page = await self.begin()
        answer = await self.browser.press(page, "login", login="alice", password=PASSWORD)
        first = await self.server.get("/oauth2/authorize", self.server.asking(self.app))
        fields = [value for name, value in (*answer.headers, *first.headers) if name == "set-cookie"]
        self.assertGreaterEqual(len(fields), 3)
        for value in fields:
            attributes = set(value.split("; ")[1:])
            self.assertTrue({"Path=/", "HttpOnly", "SameSite=Lax", "Secure"} <= attributes, value)
            self.assertTrue(value.startswith("__Host-"), value)
            self.assertNotIn("Domain", value)

    async def test_pages(self) -> None:
        """Pages are not stored, not framed, run no script, and tell nobody where they stand."""
        login = await self.begin()
        consent = await self.browser.sign_in(login, self.alice)
        error = await self.browser.get("/oauth2/authorize", {"client_id": "unknown"})
        for page in (login, consent, error, await self.browser.open("/device"), await self.browser.open("/logout")):
            policy = page.header("content-security-policy")
            self.assertIn("default-src 'none'", policy)
            self.assertIn("frame-ancestors 'none'", policy)
            self.assertNotIn("unsafe", policy)
            self.assertEqual(page.header("x-frame-options"), "DENY")
            self.assertEqual(page.header("referrer-policy"), "no-referrer")
            self.assertEqual(page.header("cache-control"), "no-store")
            self.assertEqual(page.header("x-content-type-options"), "nosniff")

    async def test_form_action(self) -> None:
        """The policy of sign-in and consent lets the redirect to the client through, not every address in clear."""
        login = await self.begin()
        consent = await self.browser.sign_in(login, self.alice)
        for page in (login, consent):
            self.assertRegex(page.header("content-security-policy"), r"; form-action 'self' https:[^ ]*; ")

    async def test_errors_are_escaped(self) -> None:
        """What a caller sent does not become part of an error page."""
        for query in ({"client_id": "<script>alert(1)</script>"}, {"interaction": "<img src=x>"}):
            page = await self.browser.get("/oauth2/authorize", query)
            self.refused_page(page)
            self.assertNotIn("<script", page.text)
            self.assertNotIn("<img", page.text)


class KeptTests(ServerCase):
    """What an interaction keeps of a request."""

    def test_there_and_back(self) -> None:
        """What a later step needs comes back as it was sent, several resources included; the rest is dropped."""
        pairs = (("client_id", "a"), ("state", "s t"), ("resource", "https://b"), ("x", "y"), ("resource", "https://c"))
        again = kept(keep(Parameters(pairs)))
        self.assertEqual(set(again), set(pairs) - {("x", "y")})
        self.assertEqual(again.all("resource"), ("https://b", "https://c"))


class OpenRedirectTests(ServerCase):
    """RFC 9700 section 4.11.2: no link to us is a link to whatever site somebody registered."""

    async def prepare(self) -> None:
        """A client that registered itself, one that an operator registered, and a user."""
        self.itself = await self.server.client("itself", registration=b"r" * 32)
        self.known = await self.server.client("known")
        self.alice = await self.server.user()
        self.wrong: list[dict[str, str | None]] = [
            {"scope": "nonsense"}, {"response_type": "token"}, {"response_type": None}, {"display": "x"},
            {"request": "x"}, {"request_uri": "https://app.example/x"}, {"prompt": "x"}, {"id_token_hint": "x"},
            {"claims": "x"},
        ]  # fmt: skip

    async def test_nobody_is_redirected_before_a_sign_in(self) -> None:
        """An error of such a client is told when the person has signed in, or cancels: the same as at once."""
        for more in self.wrong:
            now = await self.server.get("/oauth2/authorize", self.server.asking(self.known, **more))
            for decision in ("login", "deny"):
                browser = self.server.browser()
                page = await browser.open("/oauth2/authorize", self.server.asking(self.itself, **more))
                self.assertIn("Itself", page.text)
                typed = {"login": "alice", "password": self.alice.password} if decision == "login" else {}
                answer = await browser.submit(page, decision, **typed)
                self.assertTrue(answer.location.startswith(REDIRECT))
                self.assertEqual(answer.redirected, now.redirected)

    async def test_who_has_signed_in(self) -> None:
        """Whoever has signed in already is sent on at once, and so is everybody who is asked for silently."""
        browser = self.server.browser()
        await self.server.authorize(self.known, self.alice, browser)
        for more in self.wrong:
            answer = await browser.get("/oauth2/authorize", self.server.asking(self.itself, **more))
            self.assertTrue(answer.location.startswith(REDIRECT))
        answer = await self.server.get("/oauth2/authorize", self.server.asking(self.itself, prompt="none"))
        self.refused_by_redirect(answer.redirected, "login_required")

    async def test_agreed_to_by_destination(self) -> None:
        """A person who agreed to such a client at one place is asked again for another, once for each."""
        other = "https://other.example/cb"
        for name, digest in (("two", b"r" * 32), ("three", b"")):
            uris = (REDIRECT, REDIRECT + "/2", other)
            app = await self.server.client(name, redirect_uris=uris, registration=digest)
            browser = self.server.browser()
            await self.server.authorize(app, self.alice, browser)
            for uri, asked in ((REDIRECT, False), (REDIRECT + "/2", False), (other, bool(digest)), (other, False)):
                page = await browser.open("/oauth2/authorize", self.server.asking(app, redirect_uri=uri))
                self.assertEqual("code" not in page.redirected, asked)
                if asked:
                    self.assertIn("other.example", page.text)
                    self.assertIn("code", (await browser.submit(page, "allow")).redirected)

    async def test_another_address_after_the_page_was_shown(self) -> None:
        """A client that changes its only address while the page is looked at gets nothing by the answer."""
        clients = self.server.application.clients
        asking = self.server.asking(self.itself, redirect_uri=None, scope="read")
        for step in range(2):
            await clients.update("itself", lambda client: replace(client, redirect_uris=(REDIRECT,)))
            browser = self.server.browser()
            page = await browser.open("/oauth2/authorize", asking)
            page = await browser.sign_in(page, self.alice)
            self.assertIn("app.example", page.text)
            answer = await browser.press(page, "allow") if step else None
            await clients.update("itself", lambda client: replace(client, redirect_uris=("https://evil.example/cb",)))
            self.refused_page(await browser.follow(answer) if answer else await browser.submit(page, "allow"))

    async def test_only_by_its_sign_in_page(self) -> None:
        """Without a sign-in the address of the flow leads back to the sign-in page, in this browser alone."""
        browser = self.server.browser()
        begun = await browser.get("/oauth2/authorize", self.server.asking(self.itself, scope="nonsense"))
        interaction = begun.location.partition("=")[2]
        again = await browser.get("/oauth2/authorize", {"interaction": interaction})
        self.assertEqual(again.location, begun.location)
        self.refused_page(await self.server.get("/oauth2/authorize", {"interaction": interaction}))

    async def test_too_long_to_keep(self) -> None:
        """What is too long to be kept is told on a page."""
        asking = self.server.asking(self.itself, scope="nonsense", state="s" * 5000, nonce="n" * 5000)
        self.refused_page(await self.server.get("/oauth2/authorize", asking))
