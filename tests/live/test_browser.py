"""Signing in and agreeing, from the application's link to the application's callback, in a real Chromium."""

from __future__ import annotations

import time

from tests.browser import Tab
from tests.live.browsing import KEYBOARD, MOUSE, SESSION, STATE, WAYS, BrowsingCase, OwnDaemonCase, Person
from tests.live.visitor import PASSWORD, App


class SignInTests(BrowsingCase):
    """The whole way of a person whom an application sends here."""

    def test_whole_login(self) -> None:
        """Sign-in, consent, callback, tokens, userinfo; the pages show who asks, for what, and where it leads."""
        app = self.app("Photo Printer", client_uri="https://photos.example")
        for way in WAYS:
            username = self.user(email=f"{way.name.replace(' ', '')}@example.com")
            with self.person(way) as person:
                person.open(self.asking(app, scope="openid profile", nonce="n-0S6"))
                self.assertEqual((person.path, person.heading), ("/login", "Sign in"))
                self.assertIn("to continue to Photo Printer", person.text)
                person.sign_in(username)
                self.assertEqual(person.path, "/consent")
                self.assertIn("Photo Printer", person.heading)
                shown = person.text
                host = self.site.origin.removeprefix("http://")
                for words in (username, "photos.example", "openid", "profile", "your email address", host):
                    self.assertIn(words, shown)
                person.press("allow")
                self.assertEqual(person.path, self.site.callback)
                told = self.site.called()
                self.assertEqual(told.keys(), {"code", "state", "iss"})
                self.assertEqual((told["state"], told["iss"]), (STATE, self.issuer))
                tokens = self.tokens(app, told["code"])
                self.assertEqual(tokens["scope"], "openid profile")
                who = self.userinfo(tokens["access_token"])
                self.assertEqual(who["username"], username)
                self.assertEqual(who["email"], f"{way.name.replace(' ', '')}@example.com")

    def test_consent_is_remembered(self) -> None:
        """The second time there is no page; a further scope is asked for, and then remembered, too."""
        app, username = self.app(), self.user()
        with self.person() as person:
            person.open(self.asking(app))
            person.sign_in(username)
            person.press("allow")
            self.assertEqual(person.pages(), ["/login", "/consent"])
            person.open(self.asking(app))
            self.assertEqual((person.path, person.pages()), (self.site.callback, []))
            person.open(self.asking(app, scope="openid email"))
            self.assertEqual(person.path, "/consent")
            person.press("allow")
            person.pages()
            for scope in ("openid email", "email", "openid"):
                person.open(self.asking(app, scope=scope))
                self.assertEqual((person.path, person.pages()), (self.site.callback, []))
        with self.person() as elsewhere:
            elsewhere.open(self.asking(app))
            elsewhere.sign_in(username)
            self.assertEqual((elsewhere.path, elsewhere.pages()), (self.site.callback, ["/login"]))

    def test_public_client_on_loopback_is_always_asked_for(self) -> None:
        """Any program on the device could be asking in the name of a public client: consent is never remembered."""
        app, username = self.app(client_type="public"), self.user()
        with self.person() as person:
            person.open(self.asking(app))
            person.sign_in(username)
            person.press("allow")
            self.assertEqual(self.username_of(app, self.site.called()), username)
            person.open(self.asking(app))
            self.assertEqual(person.path, "/consent")
            person.press("allow")
            self.assertEqual(self.username_of(app, self.site.called()), username)

    def test_first_party(self) -> None:
        """For an application of the house there is no consent page."""
        app, username = self.app(first_party=True), self.user()
        with self.person() as person:
            person.open(self.asking(app))
            person.sign_in(username)
            self.assertEqual((person.path, person.pages()), (self.site.callback, ["/login"]))
            self.assertEqual(self.username_of(app, self.site.called()), username)


class RefusalTests(BrowsingCase):
    """People who do not want to, and people who cannot."""

    def test_refusing_at_the_sign_in(self) -> None:
        """Cancelling on the sign-in page tells the application so."""
        app = self.app()
        for way in WAYS:
            with self.person(way) as person:
                person.open(self.asking(app))
                person.press("deny")
                self.assertEqual(person.path, self.site.callback)
                self.assert_refused(self.site.called())

    def test_refusing_consent(self) -> None:
        """Deny tells the application so, and the next time the person is asked again."""
        app, username = self.app(), self.user()
        for way in WAYS:
            with self.person(way) as person:
                person.open(self.asking(app))
                person.sign_in(username)
                person.press("deny")
                self.assertEqual(person.path, self.site.callback)
                self.assert_refused(self.site.called())
                person.open(self.asking(app))
                self.assertEqual(person.path, "/consent")

    def test_wrong_password(self) -> None:
        """It is said on the page, announced, and the keyboard is where the next try begins; the name is kept."""
        app, username = self.app(), self.user()
        for way in WAYS:
            with self.person(way) as person:
                person.open(self.asking(app))
                self.assertEqual(person.tab.focused(), "login")
                for wrong in ((username, "wrong"), ("nobody-of-that-name", "wrong")):
                    person.sign_in(*wrong)
                    self.assertEqual(person.path, "/login")
                    self.assertEqual(person.problem, "The username or the password is wrong.")
                    self.assertEqual(person.tab.focused(), "password")
                    self.assertEqual(person.tab.page.title(), "Error: Sign in · oauthd")
                    self.assertEqual(person.tab.page.locator("#login").input_value(), wrong[0])
                    self.assertEqual(person.tab.page.locator("#password").input_value(), "")
                    described = person.tab.page.locator("#password").get_attribute("aria-describedby") or ""
                    self.assertEqual(person.tab.page.locator(f"#{described}").inner_text(), person.problem)
                person.sign_in(username)
                self.assertEqual(person.path, "/consent")

    def test_unknown_addresses(self) -> None:
        """A client or an address that is not registered never redirects: a page says so."""
        app = self.app()
        for address in (
            self.asking(App("nobody", "")),
            self.asking(app, f"{self.site.origin}/elsewhere"),
            self.asking(app, redirect_uri="https://evil.example/callback"),
            "/oauth2/authorize",
        ):
            with self.person() as person:
                person.open(address)
                self.assertEqual((person.path, person.heading), ("/oauth2/authorize", "Error"))
                self.assertIn("Go back to the application and start again.", person.text)
        self.assertEqual(self.site.calls, [])


class RequestTests(BrowsingCase):
    """What the application may wish for (OpenID Connect Core section 3.1.2.1)."""

    def signed_in(self, person: Person, app: App) -> str:
        """Sign a new user in and agree; the name."""
        username = self.user()
        person.open(self.asking(app))
        person.sign_in(username)
        person.press("allow")
        self.assertEqual(self.username_of(app, self.site.called()), username)
        person.pages()
        return username

    def test_prompt_login(self) -> None:
        """prompt=login asks for the password although there is a session, and only once."""
        app = self.app()
        with self.person() as person:
            username = self.signed_in(person, app)
            before = person.cookies
            person.open(self.asking(app, prompt="login"))
            self.assertEqual(person.path, "/login")
            person.sign_in(username)
            self.assertEqual((person.path, person.pages()), (self.site.callback, ["/login"]))
            self.assertEqual(self.username_of(app, self.site.called()), username)
            self.assertNotEqual(person.cookies[SESSION]["value"], before[SESSION]["value"])

    def test_max_age(self) -> None:
        """max_age asks for the password of somebody who signed in longer ago, and of nobody else."""
        app = self.app()
        with self.person() as person:
            username = self.signed_in(person, app)
            person.open(self.asking(app, max_age="3600"))
            self.assertEqual((person.path, person.pages()), (self.site.callback, []))
            person.open(self.asking(app, max_age="0"))
            self.assertEqual(person.path, "/login")
            self.site.calls.clear()
            person.sign_in(username)
            self.assertEqual(self.username_of(app, self.site.called()), username)

    def test_prompt_none(self) -> None:
        """prompt=none never shows a page: it tells what would have been asked, or answers."""
        app, username = self.app(), self.user()
        with self.person() as person:
            person.open(self.asking(app, prompt="none"))
            self.assert_refused(self.site.called(), "login_required")
            person.open("/login")
            person.sign_in(username)
            person.pages()
            person.open(self.asking(app, prompt="none"))
            self.assert_refused(self.site.called(), "consent_required")
            self.assertEqual(person.pages(), [])
            person.open(self.asking(app))
            person.press("allow")
            self.site.calls.clear()
            person.pages()
            person.open(self.asking(app, prompt="none"))
            self.assertEqual(self.username_of(app, self.site.called()), username)
            self.assertEqual(person.pages(), [])

    def test_login_hint(self) -> None:
        """The name that the application knows is filled in, and the keyboard waits at the password."""
        app, username = self.app(), self.user()
        with self.person(KEYBOARD) as person:
            person.open(self.asking(app, login_hint=username))
            self.assertEqual(person.tab.page.locator("#login").input_value(), username)
            self.assertEqual(person.tab.focused(), "password")
            person.type("password", PASSWORD)
            person.press("submit")
            self.assertEqual(person.path, "/consent")

    def test_switching_the_account(self) -> None:
        """On the consent page somebody else can sign in; the application gets that person and no other."""
        app, first, second = self.app(), self.user(), self.user()
        for way in WAYS:
            with self.person(way) as person:
                person.open(self.asking(app, prompt="consent"))
                person.sign_in(first)
                self.assertIn(first, person.text)
                session = person.cookies[SESSION]["value"]
                person.press("switch")
                self.assertEqual(person.path, "/login")
                self.assertNotIn(SESSION, person.cookies)
                person.sign_in(second)
                self.assertEqual(person.path, "/consent")
                self.assertIn(second, person.text)
                self.assertNotEqual(person.cookies[SESSION]["value"], session)
                person.press("allow")
                self.assertEqual(self.username_of(app, self.site.called()), second)


class BackAndTwiceTests(BrowsingCase):
    """What people do with browsers: back, twice, two tabs."""

    def test_back_from_the_consent_page(self) -> None:
        """Back leads to the sign-in page, which works again."""
        app, first, second = self.app(), self.user(), self.user()
        with self.person() as person:
            person.open(self.asking(app))
            person.sign_in(first)
            person.back()
            self.assertEqual(person.path, "/login")
            person.sign_in(second)
            self.assertEqual(person.path, "/consent")
            self.assertIn(second, person.text)
            person.press("allow")
            self.assertEqual(self.username_of(app, self.site.called()), second)

    def test_back_from_the_application(self) -> None:
        """A flow that has been answered is over: its pages say so, and nothing is answered twice."""
        app, username = self.app(), self.user()
        with self.person() as person:
            person.open(self.asking(app))
            person.sign_in(username)
            person.press("allow")
            self.site.called()
            for _ in range(2):
                person.back()
                self.assertEqual(person.heading, "Error")
                self.assertIn("has expired, or it was", person.text)
                self.assertIn("Go back to the application and start again.", person.text)
        self.assertEqual(self.site.calls, [])

    def test_two_tabs(self) -> None:
        """Two flows at once in one browser do not mix."""
        printer, album = self.app("Photo Printer"), self.app("Photo Album")
        username = self.user()
        with self.person() as person:
            person.open(self.asking(printer))
            page = person.tab.page.context.new_page()
            other = Person(Tab(page), person.issuer)
            other.open(self.asking(album))
            self.assertIn("Photo Album", other.text)
            person.sign_in(username)
            self.assertIn("Photo Printer", person.heading)
            other.sign_in(username)
            self.assertIn("Photo Album", other.heading)
            person.press("allow")
            self.assertEqual(self.username_of(printer, self.site.called()), username)
            other.press("allow")
            self.assertEqual(self.username_of(album, self.site.called()), username)

    def test_two_tabs_that_begin_at_once(self) -> None:
        """A browser without cookies that opens two tabs, as after its start, goes on in both."""
        app, username = self.app(), self.user()
        with self.person() as person:
            page = person.tab.page.context.new_page()
            page.goto(f"{self.site.origin}/tab")
            person.open(f"{self.site.origin}/tab")
            both = (person.tab.page, page)
            for tab in both:
                tab.evaluate(f"setTimeout(() => location = '{self.issuer}{self.asking(app)}', 200)")
            for tab in both:
                tab.wait_for_url("**/login?*")
                self.assertEqual(tab.locator("h1").inner_text(), "Sign in")
            for tab in both:
                other = Person(Tab(tab), person.issuer)
                other.sign_in(username)
                if other.path == "/consent":
                    other.press("allow")
                self.assertEqual(self.username_of(app, self.site.called()), username)

    def test_somebody_else_in_another_tab(self) -> None:
        """What one person was shown another does not agree to: the page comes again, with the other's name."""
        app, first, second = self.app(), self.user(), self.user()
        with self.person() as person:
            person.open(self.asking(app))
            person.sign_in(first)
            other = Person(Tab(person.tab.page.context.new_page()), person.issuer)
            other.open("/login")
            other.sign_in(second)
            person.press("allow")
            self.assertEqual(person.path, "/consent")
            self.assertIn(second, person.text)
            person.press("allow")
            self.assertEqual(self.username_of(app, self.site.called()), second)


class LateTests(BrowsingCase):
    """The application thinks for a moment, and people press again what they see."""

    def test_pressing_again(self) -> None:
        """The last press leads to the application with a code that is good, and to no error."""
        app, username = self.app(), self.user()
        self.site.pause = 1.0
        for way in (MOUSE, KEYBOARD):
            with self.person(way) as person:
                person.open(self.asking(app, scope=f"openid {'email' if way.keyboard else 'profile'}"))
                person.sign_in(username)
                person.press_twice("allow", 0.3)
                self.assertEqual(person.path, self.site.callback)
                last = self.site.calls[-1].parameters
                self.assertEqual(self.username_of(app, last), username)

    def test_refusing_again(self) -> None:
        """Deny pressed twice is a refusal all the same."""
        app, username = self.app(), self.user()
        self.site.pause = 1.0
        with self.person() as person:
            person.open(self.asking(app))
            person.sign_in(username)
            person.press_twice("deny", 0.3)
            self.assertEqual(person.path, self.site.callback)
            self.assert_refused(self.site.calls[-1].parameters)


class SlowTests(OwnDaemonCase):
    """A password takes half a second, and people are impatient."""

    settings = {"users_hash_time": "40", "users_hash_memory": "16384"}

    def test_pressing_twice(self) -> None:
        """Who presses the button again, while the password is looked at, is signed in."""
        app, username = self.app(), self.user()
        for way in (MOUSE, KEYBOARD):
            with self.person(way) as person:
                person.open(self.asking(app))
                person.type("login", username)
                person.type("password", PASSWORD)
                person.press_twice("submit", 0.2)
                self.assertIn(person.path, ("/consent", self.site.callback))
                if person.path == "/consent":
                    person.press("allow")
                self.assertEqual(self.username_of(app, self.site.called()), username)


class LockTests(OwnDaemonCase):
    """Those who guess passwords."""

    settings = {"users_lock_free_failures": "1", "users_lock_after": "3"}

    def test_waiting_and_lock(self) -> None:
        """The page says how long to wait, the right password included; a browser that is known gets in."""
        app, username = self.app(), self.user()
        with self.person() as owner, self.person() as guesser:
            owner.open(self.asking(app))
            owner.sign_in(username)
            owner.press("allow")
            guesser.open(self.asking(app))
            for _ in range(2):
                guesser.sign_in(username, "wrong")
                self.assertEqual(guesser.problem, "The username or the password is wrong.")
            self.go_on_until(guesser, username, r"There were too many failed attempts. Wait 15 minutes and try again.")
            self.assertEqual(guesser.tab.focused(), "password")
            guesser.sign_in(username)
            self.assertIn("Wait 15 minutes", guesser.problem)
            owner.open(self.asking(app, prompt="login"))
            owner.sign_in(username)
            self.assertEqual(owner.path, self.site.callback)

    def go_on_until(self, guesser: Person, username: str, sentence: str) -> None:
        """Guess on, waiting as the page says, until it says this."""
        told = []
        while guesser.problem != sentence:
            told.append(guesser.problem)
            guesser.sign_in(username, "wrong")
            self.assertLess(len(told), 100)
        self.assertIn("There were too many failed attempts. Wait 1 second and try again.", told)


class ExpiryTests(OwnDaemonCase):
    """People who leave a page open."""

    settings = {"sessions_interaction_lifetime": "1"}

    def test_expired_page(self) -> None:
        """A page that was left open too long says so when it is sent, and nobody is signed in."""
        username = self.user()
        with self.person() as person:
            person.open(self.asking(self.app()))
            time.sleep(2)
            person.sign_in(username)
            self.assertEqual((person.path, person.heading), ("/login", "Error"))
            self.assertIn("This page has expired", person.text)
            self.assertNotIn(SESSION, person.cookies)
        self.assertEqual(self.site.calls, [])
