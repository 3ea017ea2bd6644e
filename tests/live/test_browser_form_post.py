"""Authorization responses by form (`response_mode=form_post`) in a real Chromium: who sends it, and what it may do."""

from __future__ import annotations

from tests.live.browsing import NO_SCRIPT, STATE, WAYS, BrowsingCase

HOSTILE = "\"'><script>document.title='mine'</script></form><form action=https://evil.example id=x>&amp;"


class FormPostTests(BrowsingCase):
    """The page between the server and the application."""

    def test_whole_sign_in(self) -> None:
        """The application gets code, state and issuer in the body of one POST: by itself, or by the button."""
        app = self.app()
        for way in WAYS:
            username = self.user()
            with self.person(way) as person:
                person.open(self.asking(app, response_mode="form_post"))
                person.sign_in(username)
                person.press("allow")
                if not way.script:
                    self.assertEqual(person.heading, "You are being sent on")
                    person.press("continue")
                person.tab.page.wait_for_url(self.site.callback)
                (call,) = [one for one in self.site.calls if one.path == "/callback"]
                self.assertEqual(call.headers["content-type"], "application/x-www-form-urlencoded")
                self.assertEqual(self.username_of(app, self.site.called()), username)

    def test_the_callback_leads_on(self) -> None:
        """The policy of the page lets the application redirect to a place of its own after the form."""
        other = self.site_at("127.0.0.1")
        self.site.onward = f"{other.origin}/home"
        app, username = self.app(), self.user()
        with self.person() as person:
            person.open(self.asking(app, response_mode="form_post"))
            person.sign_in(username)
            person.press("allow")
            person.tab.page.wait_for_url(f"{other.origin}/home")
            self.assertEqual(self.username_of(app, self.site.called()), username)

    def test_a_hostile_state(self) -> None:
        """Markup in the state is text to the browser: it arrives whole, and no script or form of its runs."""
        app = self.app()
        for way in (WAYS[0], NO_SCRIPT):
            with self.person(way) as person:
                person.open(self.asking(app, response_mode="form_post", prompt="none", state=HOSTILE))
                if not way.script:
                    self.assertEqual(person.tab.page.locator("form").count(), 1)
                    self.assertEqual(person.tab.page.locator("#x").count(), 0)
                    person.press("continue")
                person.tab.page.wait_for_url(self.site.callback)
                told = self.site.called()
                self.assertEqual((told["error"], told["state"]), ("login_required", HOSTILE))
        self.assertNotEqual(HOSTILE, STATE)

    def test_back_sends_no_second_answer(self) -> None:
        """Whoever goes back from the application comes to a page of ours, and the application is not called again."""
        app, username = self.app(), self.user()
        with self.person() as person:
            person.open(self.asking(app, response_mode="form_post"))
            person.sign_in(username)
            person.press("allow")
            person.tab.page.wait_for_url(self.site.callback)
            first = self.site.called()
            self.assertIn("code", first)
            person.back()
            self.assertEqual([call.path for call in self.site.calls if call.path == "/callback"], [])

    def test_signed_response(self) -> None:
        """`form_post.jwt` posts one parameter, a token."""
        app, username = self.app(), self.user()
        with self.person() as person:
            person.open(self.asking(app, response_mode="form_post.jwt"))
            person.sign_in(username)
            person.press("allow")
            person.tab.page.wait_for_url(self.site.callback)
            told = self.site.called()
        self.assertEqual(list(told), ["response"])
        self.assertEqual(told["response"].count("."), 2)
