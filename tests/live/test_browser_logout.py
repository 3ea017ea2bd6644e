"""Signing out, in a real Chromium (OpenID Connect RP-Initiated Logout)."""

from __future__ import annotations

from urllib.parse import urlencode

from tests.live.browsing import SESSION, WAYS, BrowsingCase, Person


class LogoutTests(BrowsingCase):
    """People who go."""

    def setUp(self) -> None:
        """Register an application that has a page for those who have gone."""
        super().setUp()
        self.after = f"{self.site.origin}/after"
        self.printer = self.app(post_logout_redirect_uris=[self.after])

    def signed_in(self, person: Person) -> str:
        """Sign in at the application; the id token that it gets."""
        person.open(self.asking(self.printer, prompt="consent"))
        person.sign_in(self.user())
        person.press("allow")
        self.session = person.cookies[SESSION]["value"]
        token: str = self.tokens(self.printer, self.site.called()["code"])["id_token"]
        return token

    def leaving(self, **parameters: str) -> str:
        """The address that the application sends those to who want to go."""
        return f"/oauth2/logout?{urlencode({'post_logout_redirect_uri': self.after, 'state': 'x&y'} | parameters)}"

    def assert_gone(self, person: Person) -> None:
        """The browser has been sent on, with the state, and its session has ended, also for who copied it."""
        self.assertEqual(person.path, self.after)
        self.assertEqual(self.site.calls.pop().parameters, {"state": "x&y"})
        self.assertNotIn(SESSION, person.cookies)
        self.plant(person, self.session)
        person.open(self.asking(self.printer, prompt="none"))
        self.assert_refused(self.site.called(), "login_required")

    def test_with_hint(self) -> None:
        """With the id token of the person nothing is asked."""
        with self.person() as person:
            hint = self.signed_in(person)
            person.pages()
            person.open(self.leaving(id_token_hint=hint))
            self.assertEqual(person.pages(), [])
            self.assert_gone(person)

    def test_without_hint(self) -> None:
        """Without it the person is asked; Yes leads on."""
        for way in WAYS:
            with self.person(way) as person:
                self.signed_in(person)
                person.open(self.leaving(client_id=self.printer.client_id))
                self.assertEqual((person.path, person.heading), ("/logout", "Sign out?"))
                self.assertIn("Photo Printer asks to end your session here.", person.text)
                person.press("yes")
                self.assert_gone(person)

    def test_staying(self) -> None:
        """No leads to our own page, and the session goes on."""
        for way in WAYS:
            with self.person(way) as person:
                self.signed_in(person)
                before = person.cookies[SESSION]["value"]
                person.open(self.leaving(client_id=self.printer.client_id))
                person.press("no")
                self.assertEqual(person.path, "/")
                self.assertIn("You are signed in as", person.text)
                self.assertEqual(person.cookies[SESSION]["value"], before)

    def test_from_our_own_page(self) -> None:
        """Home, Sign in, Sign out, Yes: the page says that it is done, and going back shows nothing of before."""
        for way in WAYS:
            with self.person(way) as person:
                username = self.user()
                person.open("/")
                person.press("sign-in")
                person.sign_in(username)
                self.assertEqual(person.path, "/")
                self.assertIn(f"You are signed in as {username}.", person.text)
                person.press("sign-out")
                self.assertIn(f"You are signed in as {username}.", person.text)
                person.press("yes")
                self.assertEqual((person.path, person.heading), ("/logout", "Signed out"))
                self.assertNotIn(SESSION, person.cookies)
                person.back()
                self.assertNotIn(username, person.text)
                person.open("/")
                self.assertIn("You are not signed in.", person.text)

    def test_pressing_twice(self) -> None:
        """Yes pressed twice leads on all the same."""
        with self.person() as person:
            self.signed_in(person)
            person.open(self.leaving(client_id=self.printer.client_id))
            person.press_twice("yes", 0.2, self.server)
            self.assertEqual(person.path, self.after)

    def test_by_post_from_the_application(self) -> None:
        """The application may send the request as a form: the browser leaves our cookies away, and it works."""
        with self.person() as person:
            hint = self.signed_in(person)
            asked = {"id_token_hint": hint, "post_logout_redirect_uri": self.after, "state": "x&y"}
            fields = "".join(f'<input name="{name}" value="{value}">' for name, value in asked.items())
            self.site.pages["/leave"] = (
                f'<form method="post" action="{person.issuer}/oauth2/logout">{fields}'
                '<button id="leave">Leave</button></form>'
            )
            person.open(f"{self.site.origin}/leave")
            person.press("leave")
            self.assert_gone(person)

    def test_unknown_address(self) -> None:
        """An address that is not registered is not gone to, and the session goes on."""
        with self.person() as person:
            hint = self.signed_in(person)
            person.open(self.leaving(id_token_hint=hint, post_logout_redirect_uri=f"{self.site.origin}/elsewhere"))
            self.assertEqual(person.heading, "Error")
            self.assertIn(SESSION, person.cookies)


class FramesTests(BrowsingCase):
    """OpenID Connect Front-Channel Logout: the browser tells the applications."""

    def setUp(self) -> None:
        """Register two applications, at sites of their own, that are told in frames."""
        super().setUp()
        self.other = self.site_at("127.0.0.1")
        self.after = f"{self.site.origin}/after"
        self.printer = self.app(
            post_logout_redirect_uris=[self.after], frontchannel_logout_uri=f"{self.site.origin}/out?x=1"
        )
        self.album = self.app(
            redirect_uris=[f"{self.other.origin}/callback"], frontchannel_logout_uri=f"{self.other.origin}/out"
        )

    def leaving(self, person: Person) -> None:
        """Get tokens at both, and ask to go."""
        person.open(self.asking(self.printer, prompt="consent"))
        person.sign_in(self.user())
        person.press("allow")
        token = self.tokens(self.printer, self.site.called()["code"])["id_token"]
        person.open(self.asking(self.album, prompt="consent"))
        person.press("allow")
        self.site.calls.clear()
        self.other.calls.clear()
        query = {"post_logout_redirect_uri": self.after, "state": "x&y", "id_token_hint": token}
        person.open(f"/oauth2/logout?{urlencode(query)}")

    def test_both_are_told(self) -> None:
        """Each application's address is loaded once, with issuer and a session of its own; then the browser goes on."""
        for way in WAYS:
            with self.person(way) as person:
                self.leaving(person)
                person.tab.page.wait_for_url(f"{self.after}*")
                own = [call for call in self.site.calls if call.path == "/out"]
                others = [call for call in self.other.calls if call.path == "/out"]
                self.assertEqual((len(own), len(others)), (1, 1))
                self.assertEqual((own[0].parameters["iss"], own[0].parameters["x"]), (self.issuer, "1"))
                self.assertNotEqual(own[0].parameters["sid"], others[0].parameters["sid"])
                (after,) = [call for call in self.site.calls if call.path == "/after"]
                self.assertEqual(after.parameters, {"state": "x&y"})
                self.assertLess(self.site.calls.index(own[0]), self.site.calls.index(after))
                self.assertNotIn(SESSION, person.cookies)

    def test_a_frame_that_would_lead_away(self) -> None:
        """No application can lead the page elsewhere from its frame, nor see what is in it."""
        evil = "<script>try { top.location = '/evil' } catch (e) {} try { top.document.title } catch (e) {}</script>"
        self.other.pages["/out"] = evil
        with self.person() as person:
            self.leaving(person)
            person.tab.page.wait_for_url(f"{self.after}*")
            self.assertEqual([call for call in self.other.calls if call.path == "/evil"], [])
            self.assertTrue(any("sandboxed" in one for one in person.tab.complaints), person.tab.complaints)
            person.tab.complaints.clear()
