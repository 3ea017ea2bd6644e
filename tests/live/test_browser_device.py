"""A person connects a device, in a real Chromium (RFC 8628 section 3.3)."""

from __future__ import annotations

from typing import Any

from tests.live.browsing import KEYBOARD, MOUSE, SESSION, WAYS, BrowsingCase, Person
from tests.live.visitor import DEVICE_GRANT, App

SESSION_TRIES = 5


class DeviceCase(BrowsingCase):
    """A television without a keyboard."""

    def setUp(self) -> None:
        """Register it."""
        super().setUp()
        self.tv = self.app("Living Room TV", client_type="public", redirect_uris=[])

    def begun(self, scope: str = "openid profile") -> dict[str, Any]:
        """What the device is told, and shows."""
        form = {"client_id": self.tv.client_id, "scope": scope}
        found: dict[str, Any] = self.visitor.http.post("/oauth2/device_authorize", form).json()
        return found

    def polled(self, begun: dict[str, Any]) -> dict[str, Any]:
        """What the device gets when it asks."""
        form = {"grant_type": DEVICE_GRANT, "client_id": self.tv.client_id, "device_code": begun["device_code"]}
        found: dict[str, Any] = self.visitor.http.post("/oauth2/token", form).json()
        return found

    def assert_asked(self, person: Person, begun: dict[str, Any], username: str) -> None:
        """The page says which device, with which code, wants what of whom."""
        self.assertEqual(person.path, "/device")
        self.assertIn("Living Room TV", person.heading)
        self.assertEqual(person.tab.page.locator("#code").inner_text(), begun["user_code"])
        for words in (username, "openid", "profile", "Only allow a device that is in front of you."):
            self.assertIn(words, person.text)


class ApprovalTests(DeviceCase):
    """People who have a device in front of them."""

    def test_by_link(self) -> None:
        """Link, sign-in, comparing the code, Allow: the device gets its tokens, and speaks for this person."""
        for way in WAYS:
            username, begun = self.user(), self.begun()
            with self.person(way) as person:
                person.open(begun["verification_uri_complete"])
                self.assertEqual(person.path, "/login")
                person.sign_in(username)
                self.assert_asked(person, begun, username)
                self.assertEqual(self.polled(begun)["error"], "authorization_pending")
                person.press("allow")
                self.assertEqual((person.path, person.heading), ("/device", "Device connected"))
                self.assertIn("Living Room TV can now use your account.", person.text)
            self.assertEqual(self.userinfo(self.polled(begun)["access_token"])["username"], username)

    def test_by_typing(self) -> None:
        """Address, sign-in, the code as people type it."""
        for way, dash in zip(WAYS, ("", " ", "-"), strict=True):
            username, begun = self.user(), self.begun()
            typed = begun["user_code"].lower().replace("-", dash)
            with self.person(way) as person:
                person.open(begun["verification_uri"])
                person.sign_in(username)
                self.assertEqual((person.heading, person.tab.focused()), ("Connect a device", "user_code"))
                person.type("user_code", typed)
                person.press("submit")
                self.assert_asked(person, begun, username)
                person.press("allow")
                self.assertEqual(person.heading, "Device connected")
            self.assertEqual(self.userinfo(self.polled(begun)["access_token"])["username"], username)

    def test_denying(self) -> None:
        """Deny: the device is told, and a second look at the page shows what was decided."""
        for way in WAYS:
            username, begun = self.user(), self.begun()
            with self.person(way) as person:
                person.open(begun["verification_uri_complete"])
                person.sign_in(username)
                person.press("deny")
                self.assertEqual(person.heading, "Device refused")
                person.tab.page.reload()
                self.assertEqual(person.heading, "Device refused")
            self.assertEqual(self.polled(begun)["error"], "access_denied")

    def test_switching_the_account(self) -> None:
        """Somebody else signs in and the device speaks for that person; the code need not be typed again."""
        first, second, begun = self.user(), self.user(), self.begun()
        with self.person(KEYBOARD) as person:
            person.open(begun["verification_uri_complete"])
            person.sign_in(first)
            person.press("switch")
            self.assertEqual(person.path, "/login")
            self.assertNotIn(SESSION, person.cookies)
            person.sign_in(second)
            self.assert_asked(person, begun, second)
            person.press("allow")
        self.assertEqual(self.userinfo(self.polled(begun)["access_token"])["username"], second)

    def test_pressing_twice(self) -> None:
        """Continue and Allow pressed twice lead where they lead when pressed once."""
        username, begun = self.user(), self.begun()
        with self.person() as person:
            person.open(begun["verification_uri"])
            person.sign_in(username)
            person.type("user_code", begun["user_code"])
            person.press_twice("submit", 0.2, self.server)
            self.assert_asked(person, begun, username)
            person.press_twice("allow", 0.2, self.server)
            self.assertEqual(person.heading, "Device connected")
            person.back()
            self.assertEqual(person.heading, "Device connected")
        self.assertIn("access_token", self.polled(begun))


class WrongCodeTests(DeviceCase):
    """People who mistype, and people who guess."""

    def test_wrong_codes(self) -> None:
        """It is said on the page, announced, and the keyboard is at the code, which is kept; the right one goes on."""
        for way in WAYS:
            username, begun = self.user(), self.begun()
            with self.person(way) as person:
                person.open("/device")
                person.sign_in(username)
                for typed, shown, words in (
                    ("BBBB-BBBB", "BBBB-BBBB", "This code is not known, or it has expired."),
                    ("bbbbbbbb", "BBBB-BBBB", "This code is not known, or it has expired."),
                    ("AEIOU", "AEIOU", "A code has eight letters"),
                ):
                    person.type("user_code", typed)
                    person.press("submit")
                    self.assertEqual(person.path, "/device")
                    self.assertIn(words, person.problem)
                    self.assertEqual(person.tab.focused(), "user_code")
                    self.assertEqual(person.tab.page.locator("#user_code").input_value(), shown)
                    self.assertEqual(person.tab.page.title(), "Error: Connect a device · oauthd")
                person.type("user_code", begun["user_code"])
                person.press("submit")
                self.assert_asked(person, begun, username)

    def test_wrong_link(self) -> None:
        """A link with a code that has gone leads to the page where one is typed."""
        with self.person() as person:
            person.open("/device?user_code=BBBB-BBBB")
            person.sign_in(self.user())
            self.assertIn("This code is not known", person.problem)

    def test_guessing(self) -> None:
        """After the fifth wrong code this is over, also for the right one."""
        begun = self.begun()
        with self.person(MOUSE) as person:
            person.open("/device")
            person.sign_in(self.user())
            for _ in range(SESSION_TRIES):
                person.type("user_code", "BBBB-BBBB")
                person.press("submit")
                self.assertIn("This code is not known", person.problem)
            person.type("user_code", begun["user_code"])
            person.press("submit")
            self.assertEqual(person.heading, "Error")
            self.assertIn("There were too many wrong codes.\n\nStart again on your device.", person.text)
        self.assertEqual(self.polled(begun)["error"], "authorization_pending")

    def test_a_code_that_was_used(self) -> None:
        """The link opened once more says that it is too late."""
        begun = self.begun()
        with self.person() as person:
            person.open(begun["verification_uri_complete"])
            person.sign_in(self.user())
            person.press("allow")
            person.open(begun["verification_uri_complete"])
            self.assertIn("This code is not known, or it has expired.", person.problem)
        self.assertIn("access_token", self.polled(begun))

    def test_another_application(self) -> None:
        """The page names the application that asks, whoever sent the link: what is shown is what is let in."""
        self.tv = App(self.app("Bank", client_type="public", redirect_uris=[]).client_id, "")
        begun = self.begun(scope="")
        with self.person() as person:
            person.open(begun["verification_uri_complete"])
            person.sign_in(self.user())
            self.assertIn("Bank", person.heading)
            self.assertIn("If somebody sent you this code or a link to this page, choose Deny", person.text)
